"""Running artificial and spiking networks side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.coding import AbstractEncoder
from snnlearn.network import Network

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
    """What a spiking network does over T steps.

    Args:
        currents: the mean current into each layer, `[B, *shape]`.
        outputs: the mean output of each layer: spikes per step.
        peaks: the largest current in any step.
        readout: the last layer's output in each step, `[B, T, *shape]`.
    """

    currents: tuple[Float[Array, "B ..."], ...]
    outputs: tuple[Float[Array, "B ..."], ...]
    peaks: tuple[Float[Array, "B ..."], ...]
    readout: Float[Array, "B T ..."]


def _step(network: Network, x: Array, state: Any) -> tuple[tuple[Array, ...], tuple[Array, ...], Any]:
    """Currents, outputs and next state."""
    currents: dict[int, Array] = {}

    def fire(number, current, state):
        currents[number] = current
        return network.layers[number].neuron(current, state)

    outputs, state = network.run_step(x, state, fire)
    return tuple(currents[n] for n in range(len(outputs))), tuple(outputs), state


@eqx.filter_jit
def activations(network: Network, inputs: Float[Array, "B ..."]) -> Activations:
    """Run an artificial network once."""

    def one(x):
        currents, outputs, _ = _step(network, x, network.initial_state())
        return Activations(currents, outputs)

    return jax.lax.map(one, inputs, batch_size=_TOGETHER)


@eqx.filter_jit
def simulate(network: Network, encoder: AbstractEncoder, inputs: Float[Array, "B ..."]) -> Means:
    """Run a spiking network, with a fixed key for each sample's code."""

    def one(sample):
        x, key = sample
        xs = encoder(x, key=key)
        state = network.initial_state()
        shapes = jax.eval_shape(lambda: _step(network, xs[0], state)[:2])
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        lowest = jax.tree.map(lambda leaf: jnp.full(leaf.shape, -jnp.inf, leaf.dtype), shapes[0])

        def step(carry, x):
            state, sums, peaks = carry
            currents, outputs, state = _step(network, x, state)
            sums = jax.tree.map(jnp.add, sums, (currents, outputs))
            return (state, sums, jax.tree.map(jnp.maximum, peaks, currents)), outputs[-1]

        (_, sums, peaks), readout = jax.lax.scan(step, (state, zeros, lowest), xs)
        currents, outputs = jax.tree.map(lambda total: total / len(xs), sums)
        return Means(currents, outputs, peaks, readout)

    keys = jax.random.split(jax.random.key(0), len(inputs))
    return jax.lax.map(one, (inputs, keys), batch_size=_TOGETHER)


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
