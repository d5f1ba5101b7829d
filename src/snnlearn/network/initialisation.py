"""Initial weights that let every layer fire."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import AbstractQuantity, PositiveParameter, check_positive, value
from snnlearn._parameters import number as as_float
from snnlearn.network.connection import Connection, oldest, pushed
from snnlearn.network.graph import FROM_INPUT, Route, routes
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network, with_noise
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.neurons import AbstractSpikingNeuron, core


class AbstractInitialisation(Component):
    """How a training draws its initial network."""

    @abstractmethod
    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """A network of the same structure, with initial weights.

        Args:
            network: the structure.
            inputs: encoded training data, `[B, T, *in_shape]`, to measure what drives each layer.
            key: random key of the weights.
        """


@final
class AsGiven(AbstractInitialisation):
    """Keep the network's weights."""

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return network


@final
class Redrawn(AbstractInitialisation):
    """New weights, as large as the network's: those of each connection keep their root mean square; biases are 0.

    For networks whose sizes of weights are part of their design, such as `deep_lru`, `GRU` and `LSTM`, so that each
    training begins with weights of its own. Neurons' parameters stay.
    """

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        keys = jax.random.split(key, len(network.layers))
        return Network(tuple(map(_as_large, network.layers, keys)))


@final
class FluctuationDriven(AbstractInitialisation):
    r"""Weights drawn so that each membrane fluctuates below threshold and crosses it now and then.

    Rossbroich, Gygax & Zenke 2022 (doi:10.1088/2634-4386/ac97bb): with mean 0, the weights' variance is chosen so that
    the free membrane fluctuates by $\sigma_U = (v_{th} - v_{leak})/\xi$. The paper derives the variance from one input
    rate; here the membrane is measured on real inputs, layer by layer, so that it serves any code, neuron and synapse.
    What is set is the root mean square over units and steps, which counts each unit's mean drive; the paper does not.
    A readout that does not spike gets $\sigma_U = 1/\xi$.

    The variance is that of all units together; where inputs hardly change over time, many units are still silent on all
    samples, and a unit that never spikes hardly learns. A band, which is not the paper's, mends that unit by unit: the
    weights, and biases where there are any, of what arrives from earlier layers are corrected until each unit's rate on
    the given inputs lies in it, or the corrections are used up.

    Args:
        xi: $\xi$, the threshold in standard deviations, > 0; 1 to 3 is usual.
        recurrent_share: the share of the variance that recurrent synapses contribute, in (0, 1).
        band: the lowest and the highest rate of a spiking unit, in spikes per step, 0 < low < high ≤ 1; None leaves the
            rates as the variance makes them.

    Raises:
        SnnlearnError: for a number out of its range.
    """

    xi: PositiveParameter = eqx.field(converter=as_float, default=2.0)
    recurrent_share: float = 0.1
    band: tuple[float, float] | None = None

    def __check_init__(self):
        check_positive(self, xi=self.xi, recurrent_share=self.recurrent_share)
        if self.recurrent_share >= 1:
            raise SnnlearnError(f"FluctuationDriven: recurrent_share is {self.recurrent_share}; give a share below 1")
        if self.band is not None and not 0 < self.band[0] < self.band[1] <= 1:
            raise SnnlearnError(
                f"FluctuationDriven: band is {self.band}; give two numbers of spikes per step, 0 < low < high ≤ 1"
            )

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        ways, sent, layers = routes(network.layers), {FROM_INPUT: inputs}, []
        for number, (layer, layer_key) in enumerate(
            zip(network.layers, jax.random.split(key, len(network.layers)), strict=True)
        ):
            ahead, loops, later = _kinds(ways[number], number)
            share = self._share(ahead, loops + later)
            drawn = self._scaled(_redrawn(layer, layer_key), ways[number], ahead, sent, 1 - share)
            if loops:
                # What comes back to the layer is measured on the spikes that all else causes.
                sent[number] = _run(drawn, ways[number], number, ahead, sent)
                drawn = self._scaled(drawn, ways[number], loops, sent, share / len(loops + later) * len(loops))
            if self.band is not None and layer.neuron.in_use().spikes:
                drawn = _corrected(drawn, ways[number], number, ahead, loops, sent, self.band)
            sent[number] = _run(drawn, ways[number], number, ahead + loops, sent)
            layers.append(drawn)
        for number, layer in enumerate(layers):
            ahead, loops, later = _kinds(ways[number], number)
            share = self._share(ahead, loops + later)
            if later:
                share *= len(later) / len(loops + later)
                layers[number] = self._scaled(layer, ways[number], later, sent, share)
        return Network(tuple(layers))

    def _share(self, ahead: list[int], back: list[int]) -> float:
        """The share of the variance that is left to connections from the layer itself and later ones."""
        if not back:
            return 0.0
        return self.recurrent_share if ahead else 1.0

    def _scaled(
        self, layer: Layer, ways: tuple[Route, ...], chosen: list[int], sent: dict[int, Array], share: float
    ) -> Layer:
        """The layer with weights of some connections such that together they have a share of the variance."""
        variance = jnp.square(_distance_to_threshold(layer) / value(self.xi))
        synapses = [connection.synapses for connection in layer.connections]
        for n in chosen:
            measured = _free_power(layer, layer.connections[n], sent[ways[n].source])
            target = share / len(chosen) * variance
            factor = jnp.where(measured > 0, jnp.sqrt(target / jnp.where(measured > 0, measured, 1.0)), 1.0)
            synapses[n] = _times(synapses[n], factor)
        return layer.with_parts(synapses, layer.neuron, layer.feedback)


def _times(synapses: AbstractSynapses, factor: Float[Array, ""]) -> AbstractSynapses:
    """The synapses with all arrays multiplied, but not quantities of another unit, such as delays."""

    def of(node: Any) -> Any:
        return node * factor if eqx.is_inexact_array(node) else node

    return jax.tree.map(of, synapses, is_leaf=lambda node: isinstance(node, AbstractQuantity))


def _kinds(ways: tuple[Route, ...], number: int) -> tuple[list[int], list[int], list[int]]:
    """Which of a layer's connections come from earlier layers, from itself, and from later ones."""
    ahead = [n for n, way in enumerate(ways) if way.source < number]
    loops = [n for n, way in enumerate(ways) if way.source == number]
    return ahead, loops, [n for n, way in enumerate(ways) if way.source > number]


def _redrawn(layer: Layer, key: PRNGKeyArray) -> Layer:
    keys = jax.random.split(key, len(layer.connections))
    drawn = [c.synapses.redrawn(key=k) for c, k in zip(layer.connections, keys, strict=True)]
    return layer.with_parts(drawn, layer.neuron, layer.feedback)


def _as_large(layer: Layer, key: PRNGKeyArray) -> Layer:
    """The layer with new weights of the same root mean squares."""

    def scaled(now: Array, new: Array) -> Array:
        power = jnp.mean(jnp.square(new))
        return new * jnp.sqrt(jnp.where(power > 0, jnp.mean(jnp.square(now)) / jnp.where(power > 0, power, 1.0), 1.0))

    drawn = _redrawn(layer, key)
    synapses = [
        jax.tree.map(lambda now, new: scaled(now, new) if eqx.is_inexact_array(now) else new, c.synapses, d.synapses)
        for c, d in zip(layer.connections, drawn.connections, strict=True)
    ]
    return layer.with_parts(synapses, layer.neuron, layer.feedback)


def _corrected(
    layer: Layer,
    ways: tuple[Route, ...],
    number: int,
    ahead: list[int],
    loops: list[int],
    sent: dict[int, Array],
    band: tuple[float, float],
) -> Layer:
    """The layer with what arrives from earlier ones corrected, unit by unit, until rates are in the band."""
    low, high = band
    distance = _distance_to_threshold(layer)
    arrays, rest = eqx.partition(layer, eqx.is_inexact_array)

    def correct(_, arrays):
        now = eqx.combine(arrays, rest)
        rate = jnp.mean(_run(now, ways, number, ahead + loops, sent), axis=(0, 1))
        gain = jnp.where(rate < low, _GAIN, jnp.where(rate > high, 1 / _GAIN, 1.0))
        # Larger weights alone wake no unit whose membrane is below rest whatever the input.
        shift = distance * jnp.where(rate == 0, _SHIFT, jnp.where(rate > high, -_SHIFT / 2, 0.0)) / max(1, len(ahead))
        synapses = [
            connection.synapses.adjusted(gain, shift) if n in ahead else connection.synapses
            for n, connection in enumerate(now.connections)
        ]
        return eqx.filter(now.with_parts(synapses, now.neuron, now.feedback), eqx.is_inexact_array)

    return eqx.combine(jax.lax.fori_loop(0, _CORRECTIONS, correct, arrays), rest)


_CORRECTIONS = 12
_GAIN = 1.25
"""A unit's weights change by up to 1.25^12, 15 times."""
_SHIFT = 0.1
"""Of the distance from rest to threshold."""


def _distance_to_threshold(layer: Layer) -> Array:
    neuron = core(layer.neuron)
    if not isinstance(neuron, AbstractSpikingNeuron):
        return jnp.ones(())
    return jnp.mean(value(neuron.v_th) - neuron.initial_state(layer.shape).v)


def _free_power(layer: Layer, connection: Connection, xs: Float[Array, "B T ..."]) -> Float[Array, ""]:
    """The mean square of the free membrane that a connection drives alone; it is quadratic in the weights."""
    alone, free = Layer(connection, layer.neuron), layer.neuron.free()
    rest = free.initial_state(layer.shape)

    def step(state, x):
        _, state = free(alone.total([connection.synapses(x)]), state)
        return state, jnp.mean(jnp.square(state.v - rest.v))

    return jnp.mean(jax.vmap(lambda xs: jax.lax.scan(step, rest, xs)[1])(xs))


def _run(
    layer: Layer, ways: tuple[Route, ...], number: int, chosen: list[int], sent: dict[int, Array]
) -> Float[Array, "B T ..."]:
    """What a layer gives if only some of its connections are there."""
    outside = [n for n in chosen if ways[n].source < number]
    loops = [n for n in chosen if ways[n].source == number]
    if not outside:  # so that nothing sets it going
        return jnp.zeros((*sent[FROM_INPUT].shape[:2], *layer.out_shape))
    some = Layer([layer.connections[n] for n in (*outside, *loops)], layer.neuron)

    def one(sent, key):
        def step(carry, xs):
            neuron, lines = carry
            currents = [layer.connections[n].synapses(x) for n, x in zip(outside, xs, strict=True)]
            currents += [layer.connections[n].synapses(oldest(held)) for n, held in zip(loops, lines, strict=True)]
            output, neuron = layer.neuron(some.total(currents), neuron)
            return (neuron, [pushed(held, output) for held in lines]), output

        lines = [jnp.zeros((ways[n].lag, *layer.connections[n].synapses.in_shape)) for n in loops]
        rest = with_noise(layer.neuron.initial_state(layer.shape), key)
        return jax.lax.scan(step, (rest, lines), sent)[1]

    arriving = [sent[ways[n].source] for n in outside]
    # Each sample meets noise of its own, where there is any.
    return jax.vmap(one)(arriving, jax.random.split(jax.random.key(number), len(sent[FROM_INPUT])))
