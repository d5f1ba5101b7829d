"""What a network does at its synapses during an inference."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.ends import until
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.network import Network, fresh_state, unroll
from snnlearn.network.synapses import AbstractSynapses


class Operations(NamedTuple):
    """The cost of an inference at the synapses, mean over a batch; updates of neurons are not counted.

    Args:
        synops: synaptic operations: additions of a weight, one for each spike and each synapse it reaches.
        macs: multiply-accumulates, for inputs of synapses that are not spikes: a current, a mean of pooled spikes.
    """

    synops: Float[Array, ""]
    macs: Float[Array, ""]


@eqx.filter_jit
def operations(
    network: Network,
    encoder: AbstractEncoder,
    inputs: Float[Array, "B T ..."],
    lengths: Int[Array, " B"] | None = None,
) -> Operations:
    """Count the operations of one inference, up to each sample's end.

    A synapse without a spike costs nothing. Currents arrive in all steps, including zeros, so their products are
    counted densely, as in an artificial network; but a held current is multiplied only once.

    Args:
        network: the network.
        encoder: the encoder of the inputs.
        inputs: encoded data, `[B, T, *in_shape]`.
        lengths: after how many steps each sample ends; None if all go on to the last.
    """

    def of(synapses: AbstractSynapses, xs: Array, spikes: bool, last: Array) -> Operations:
        if not spikes:
            steps = jnp.clip(last, 0, len(xs)).astype(jnp.result_type(float))
            return Operations(jnp.zeros(()), steps * float(synapses.multiply_accumulates()))
        xs = until(xs, last)
        direct, all_of_them = (jnp.sum(jax.vmap(f)(xs)) for f in (synapses.direct_operations, synapses.operations))
        return Operations(direct, all_of_them - direct)

    def one(xs, key, length):
        outputs = unroll(network, xs, fresh_state(network, key=key))[0].outputs
        sent = dict(enumerate(outputs)) | {FROM_INPUT: xs[:: encoder.held_steps]}
        spikes = {number: layer.neuron.spikes for number, layer in enumerate(network.layers)}
        spikes[FROM_INPUT] = encoder.gives_spikes
        # A current is multiplied once for as long as it is held.
        held = {FROM_INPUT: encoder.held_steps}
        found = [
            # What the last steps send arrives after the end.
            of(connection.synapses, sent[source], spikes[source], -((lag - length) // held.get(source, 1)))
            for layer, ways in zip(network.layers, routes(network.layers), strict=True)
            for connection, (source, lag) in zip(layer.connections, ways, strict=True)
        ]
        return jax.tree.map(lambda *counts: sum(counts), *found)

    if lengths is None:
        lengths = jnp.full(len(inputs), inputs.shape[1])
    return jax.tree.map(jnp.mean, jax.vmap(one)(inputs, jax.random.split(jax.random.key(0), len(inputs)), lengths))
