"""The weights, connections and neurons of a network, one after the other."""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import draw_key
from snnlearn.network import AbstractSynapses, Layer, Network, connection_weights
from snnlearn.neurons import AbstractNeuron


def each_weight(
    owner: object, network: Network, change: Callable[..., Float[Array, "..."]], *, key: PRNGKeyArray
) -> Network:
    """The network with each array of weights changed; biases stay.

    Args:
        owner: of the change, for the message.
        network: the network.
        change: `change(weight, key=key)`, from an array of weights and a key of its own to the array in its place.
        key: random key.

    Raises:
        SnnlearnError: if the network has no weights.
    """

    def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
        return changed_weights(synapses, lambda weight, number: change(weight, key=draw_key(key, number)))

    if not any(
        jax.tree.leaves([connection_weights(c.synapses) for layer in network.layers for c in layer.connections])
    ):
        raise SnnlearnError(f"{type(owner).__name__}: the network has no weights; give one that has")
    return each_connection(network, of, key=key)


def each_connection(
    network: Network, change: Callable[[AbstractSynapses, PRNGKeyArray], AbstractSynapses], *, key: PRNGKeyArray
) -> Network:
    """The network with the synapses of each connection changed.

    Args:
        network: the network.
        change: from synapses and a key of their own to those in their place.
        key: random key.
    """
    layers = []
    for number, layer in enumerate(network.layers):
        synapses = [
            change(connection.synapses, draw_key(key, number, place))
            for place, connection in enumerate(layer.connections)
        ]
        layers.append(layer.with_parts(synapses, layer.neuron, layer.feedback))
    return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


def each_neuron(network: Network, change: Callable[[Layer, int], AbstractNeuron]) -> Network:
    """The network with the neurons of each layer changed.

    Args:
        network: the network.
        change: from a layer and its number to the neuron in the place of its own.
    """
    layers = [
        layer.with_parts([c.synapses for c in layer.connections], change(layer, number), layer.feedback)
        for number, layer in enumerate(network.layers)
    ]
    return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


def weights(synapses: AbstractSynapses) -> list[Float[Array, "..."]]:
    """The arrays of weights of synapses."""
    return jax.tree.leaves(eqx.filter(synapses, connection_weights(synapses)))


def changed_weights(
    synapses: AbstractSynapses, change: Callable[[Float[Array, "..."], int], Float[Array, "..."]]
) -> AbstractSynapses:
    """Synapses with each array of weights changed.

    Args:
        synapses: the synapses.
        change: from the array and its number among those of the synapses, which no wrapper changes, to another.
    """
    leaves, structure = jax.tree.flatten(synapses)
    number = 0
    for place, is_weight in enumerate(jax.tree.leaves(connection_weights(synapses))):
        if is_weight:
            leaves[place], number = change(leaves[place], number), number + 1
    return jax.tree.unflatten(structure, leaves)
