"""Running artificial and spiking networks side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.coding import AbstractEncoder, HeldValues
from snnlearn.hypothesis import network_input
from snnlearn.kernels.products import numbers
from snnlearn.network import Network
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.network import mean_outputs

_TOGETHER = 64


class Activations(NamedTuple):
    """What an artificial network does.

    Args:
        currents: into each layer, `[B, *shape]`.
        outputs: of each layer, `[B, *shape]`.
    """

    currents: tuple[Float[Array, "B ..."], ...]
    outputs: tuple[Float[Array, "B ..."], ...]


class Means(NamedTuple):
    """What a spiking network does, averaged over its steps.

    Args:
        currents: the mean current into each layer, `[B, *shape]`.
        outputs: the mean output of each layer: spikes per step.
    """

    currents: tuple[Float[Array, "B ..."], ...]
    outputs: tuple[Float[Array, "B ..."], ...]


def _currents(network: Network, x: Array, outputs: Sequence[Array]) -> tuple[Array, ...]:
    """Into each layer, of an input and the outputs of the same step; also of their means, as synapses are affine."""
    sent = {FROM_INPUT: x, **dict(enumerate(outputs))}
    return tuple(
        sum(
            (
                connection.synapses(sent[way.source]).reshape(layer.shape)
                for connection, way in zip(layer.connections, ways, strict=True)
            ),
            start=jnp.zeros(layer.shape),
        )
        for layer, ways in zip(network.layers, routes(network.layers), strict=True)
    )


def _step(network: Network, x: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Currents and outputs of an artificial network."""
    currents: dict[int, Array] = {}

    def fire(number, current, state):
        currents[number] = current
        return network.layers[number].neuron(current, state)

    outputs, _ = network.run_step(x, network.initial_state(), fire)
    return tuple(currents[n] for n in range(len(outputs))), tuple(outputs)


@eqx.filter_jit
def activations(network: Network, inputs: Float[Array, "B ..."]) -> Activations:
    """Run an artificial network once."""

    def one(x):
        return Activations(*_step(network, x))

    return jax.lax.map(one, inputs, batch_size=_TOGETHER)


def _each(inputs: Array, of: Callable[[Array, PRNGKeyArray], Any]) -> Any:
    """A function of each sample and its key, which is always the same."""
    keys = jax.random.split(jax.random.key(0), len(inputs))
    return jax.lax.map(lambda sample: of(*sample), (inputs, keys), batch_size=_TOGETHER)


@eqx.filter_jit
def simulate(network: Network, encoder: AbstractEncoder, inputs: Float[Array, "B ..."]) -> Means:
    """Run a spiking network in which nothing is delayed, and whose synapses are maps without time.

    Args:
        network: the network.
        encoder: from one input to the network's input over time.
        inputs: `[B, *in_shape]`.
    """

    def means(x, key):
        xs = network_input(encoder, network, x, key=key)
        found = mean_outputs(network, xs)
        mean = jnp.mean(xs.values if isinstance(xs, HeldValues) else numbers(xs), axis=0)
        return Means(_currents(network, mean, found), found)

    return _each(inputs, means)


@eqx.filter_jit
def rates(network: Network, encoder: AbstractEncoder, inputs: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    """Only the mean output of the last layer, which costs less; the arguments are those of `simulate`."""
    return _each(inputs, lambda x, key: mean_outputs(network, network_input(encoder, network, x, key=key))[-1])


@eqx.filter_jit
def peak(network: Network, encoder: AbstractEncoder, inputs: Float[Array, "B ..."]) -> Float[Array, ""]:
    """The largest output of any unit of the last layer in any step; the arguments are those of `simulate`."""

    def highest(x, key):
        return jnp.max(network(network_input(encoder, network, x, key=key))[0])

    return jnp.max(_each(inputs, highest))


@eqx.filter_jit
def _coding_error(encoder: AbstractEncoder, scale: float, offset: float, inputs: Array) -> Array:
    def one(x, key):
        return offset + scale * jnp.mean(encoder(x, key=key), axis=0) - x

    errors = jax.vmap(one)(inputs, jax.random.split(jax.random.key(0), len(inputs)))
    return jnp.sqrt(jnp.sum(jnp.square(errors)) / jnp.sum(jnp.square(inputs)))


def coding_error(
    encoder: AbstractEncoder, scale: float, inputs: Float[Array, "B ..."], *, offset: float = 0.0
) -> float:
    """How far the mean of a code is from the input, root mean square relative to the input.

    Args:
        encoder: the code.
        scale: by how much inputs differ whose means differ by 1.
        inputs: of the artificial network, `[B, *in_shape]`.
        offset: the input that a mean of 0 stands for.
    """
    return 0.0 if encoder.held_steps == encoder.num_steps else float(_coding_error(encoder, scale, offset, inputs))
