"""Which layers are silent, saturated, or without gradient."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.network.layer import Layer
from snnlearn.network.network import Network, unroll
from snnlearn.neurons import AbstractSpikingNeuron
from snnlearn.neurons.delayed import undelayed


class Diagnosis(NamedTuple):
    """The health of one spiking layer, measured on a batch.

    Args:
        firing_rate: of each unit, Hz, `[*shape]`.
        silent: the share of units that never spike.
        saturated: the share of units that spike in 9 of 10 of the steps in which they could, or more.
        surrogate_mass: the mean pseudo-derivative over units and steps, as a share of its peak. Where it vanishes, no
            gradient passes the layer.
    """

    firing_rate: Float[Array, "..."]
    silent: Float[Array, ""]
    saturated: Float[Array, ""]
    surrogate_mass: Float[Array, ""]


def diagnose(network: Network, inputs: Float[Array, "B T ..."]) -> tuple[Diagnosis | None, ...]:
    """Diagnose each layer on a batch; None for a layer that does not spike.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> hidden, readout = diagnose(network, jnp.zeros((5, 10, 4)))
    >>> float(hidden.silent), readout
    (1.0, None)
    """
    outputs = jax.vmap(lambda xs: unroll(network, xs)[0].outputs)(inputs)
    arriving = (inputs, *outputs[:-1])
    return tuple(_diagnose(layer, xs, zs) for layer, xs, zs in zip(network.layers, arriving, outputs, strict=True))


def _diagnose(layer: Layer, xs: Array, spikes: Array) -> Diagnosis | None:
    neuron = undelayed(layer.neuron)
    if not isinstance(neuron, AbstractSpikingNeuron):
        return None
    per_step = jnp.mean(spikes, axis=(0, 1))
    most = 1 / (1 + (neuron.refractory.steps(neuron.dt) if neuron.refractory is not None else 0))
    mass = jnp.mean(jax.vmap(lambda x, z: _surrogate_mass(layer, neuron, x, z))(xs, spikes))
    return Diagnosis(
        firing_rate=per_step / neuron.dt,
        silent=jnp.mean(per_step == 0),
        saturated=jnp.mean(per_step >= 0.9 * most),
        surrogate_mass=mass,
    )


def _surrogate_mass(layer: Layer, neuron: AbstractSpikingNeuron, xs: Array, spikes: Array) -> Array:
    """The mean of ψ / ψ(0), had by differentiating the neuron: ∂z/∂i = ψ ∂v/∂i, where ∂v/∂i is the free membrane's."""
    currents = jax.vmap(layer.synapses)(xs)
    if layer.recurrent is not None:
        before = jnp.concatenate([jnp.zeros_like(spikes[:1]), spikes[:-1]])
        currents = currents + jnp.reshape(jax.vmap(layer.recurrent)(before), currents.shape)
    rest = neuron.initial_state(layer.shape)

    def step(state, current):
        (_, state), (slope, _) = jax.jvp(lambda i: neuron(i, state), (current,), (jnp.ones_like(current),))
        return state, slope

    _, slopes = jax.lax.scan(step, rest, currents)
    still = jnp.zeros(layer.shape)
    _, gain = jax.jvp(lambda i: neuron.free()(i, rest)[1].v, (still,), (jnp.ones_like(still),))
    return jnp.mean(slopes / (gain[None] * neuron.surrogate.pseudo_derivative(jnp.zeros(()))))
