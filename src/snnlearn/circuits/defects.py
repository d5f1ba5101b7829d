"""Devices that are stuck, and neurons that never spike: the yield of a chip."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, check, number
from snnlearn.circuits.base import AbstractEffect, by_place, draw_key
from snnlearn.circuits.conductances import DifferentialPair
from snnlearn.circuits.weights import each_neuron, each_weight
from snnlearn.network import Layer, Network
from snnlearn.neurons import AbstractNeuron, Dead


@final
class StuckDevices(AbstractEffect):
    """Each device is stuck at one conductance with some probability, whatever is asked of it.

    Both devices of a pair can be. Drawn once for each chip. Weights change, and nothing else: kernels run the network
    as before.

    Args:
        probability: of each device, 0 to 1.
        at: the conductance, S: 0 where a device is open or never formed, `pair.g_max` where it is shorted.
        pair: how weights become conductances.

    Raises:
        SnnlearnError: for a probability or a conductance outside its range, or a part of another kind.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = StuckDevices(1.0)(network, key=jax.random.key(1))
    >>> bool(chip.layers[0].synapses.weight.any())
    False
    """

    probability: float | Float[Array, ""] = eqx.field(converter=number)
    at: float = eqx.field(converter=number, default=0.0)
    pair: DifferentialPair = DifferentialPair()

    def __check_init__(self):
        check_fields(self, "pair")
        check_probability(self, probability=self.probability)
        check(
            self,
            "a conductance from 0 to g_max of the pair, in S",
            lambda g: (g >= 0) & (g <= self.pair.g_max),
            at=self.at,
        )

    @property
    def label(self) -> str:
        """See the base."""
        return f"devices stuck at {self.at:g} S"

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def left(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            def of(g: Float[Array, "... 2"]) -> Float[Array, "... 2"]:
                return jnp.where(struck(self.probability, g.shape, key=key), self.at, g)

            return self.pair.changed(weight, of)

        return each_weight(self, network, left, key=key)


@final
class DeadNeurons(AbstractEffect):
    """Each neuron that spikes is dead with some probability: it never does (`neurons.Dead`).

    Drawn once for each chip. Kernels run the network where they did before.

    Args:
        probability: of each neuron, 0 to 1.

    Raises:
        SnnlearnError: for a probability outside its range.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = DeadNeurons(1.0)(network, key=jax.random.key(1))
    >>> bool(chip.layers[0].neuron.dead.value.all())
    True
    """

    probability: float | Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self):
        check_probability(self, probability=self.probability)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        check_spikes(self, network)

        def of(layer: Layer, number: int) -> AbstractNeuron:
            if not layer.neuron.spikes:
                return layer.neuron
            dead = struck(self.probability, layer.shape, key=draw_key(key, number))
            return Dead(layer.neuron, Constant(dead))  # pyright: ignore[reportCallIssue]

        return each_neuron(network, of)


def struck(probability: float | Float[Array, ""], shape: tuple[int, ...], *, key: PRNGKeyArray) -> Array:
    """Which devices an event of some probability strikes, each by its place.

    More are struck at a higher probability, and all those that a lower one strikes.
    """
    return by_place(jax.random.uniform, shape, key=key) < probability


def check_probability(owner: object, **probabilities: float | Float[Array, ""]) -> None:
    """Refuse what is no probability.

    Raises:
        SnnlearnError: naming it.
    """
    check(owner, "a probability, from 0 to 1", lambda p: (p >= 0) & (p <= 1), **probabilities)


def check_spikes(owner: object, network: Network) -> None:
    """Refuse a network that does not spike.

    Raises:
        SnnlearnError: naming the owner.
    """
    if not any(layer.neuron.spikes for layer in network.layers):
        raise SnnlearnError(f"{type(owner).__name__}: no neuron of the network spikes; give one with neurons that do")
