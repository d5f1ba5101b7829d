"""Networks on chips of several cores: which part of a network is where."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import equinox as eqx
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import AbstractLimit
from snnlearn.circuits.connectivity import fan_in
from snnlearn.circuits.limits import check_count, units
from snnlearn.network import Layer, Network
from snnlearn.network.graph import routes


class Placed(NamedTuple):
    """A part of a layer on a core.

    Args:
        layer: its number, from 1.
        start: its first unit, from 0.
        stop: the unit after its last.
        core: from 1.
    """

    layer: int
    start: int
    stop: int
    core: int


@final
class Cores(AbstractLimit):
    """Cores that are all alike, between which layers can be split.

    Units are placed in order, and each core is filled before the next. That is the least number of cores if either
    neurons or weights are what is scarce.

    Args:
        cores: how many there are, ≥ 1.
        neurons: that a core has room for, ≥ 1.
        memory: bits that a core has for weights, ≥ 1; None is no limit.
        bits: of each weight, ≥ 1.

    Raises:
        SnnlearnError: for a number below 1.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 300, 10), key=jax.random.key(0))
    >>> [tuple(part) for part in Cores(4, neurons=256).placed(network)]
    [(1, 0, 256, 1), (1, 256, 300, 2), (2, 0, 10, 2)]
    """

    cores: int = eqx.field(static=True)
    neurons: int = eqx.field(static=True)
    memory: int | None = eqx.field(static=True, default=None)
    bits: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_count(self, cores=self.cores, neurons=self.neurons, bits=self.bits)
        if self.memory is not None:
            check_count(self, memory=self.memory)

    def placed(self, network: Network) -> tuple[Placed, ...]:
        """Which units are on which core, with as many cores as that takes.

        Args:
            network: the network.

        Raises:
            SnnlearnError: if the weights of one unit take more memory than a core has.
        """
        parts, core, room, memory = [], 1, self.neurons, self.memory
        for number, layer in enumerate(network.layers, start=1):
            taken = np.cumsum(self._memory(layer))
            start, stop = 0, len(taken)
            while start < stop:
                before = taken[start - 1] if start else 0
                fit = stop if memory is None else int(np.searchsorted(taken, before + memory, side="right"))
                end = min(stop, start + room, fit)
                if end > start:
                    parts.append(Placed(number, start, end, core))
                    room, memory = room - (end - start), None if memory is None else memory - (taken[end - 1] - before)
                elif room == self.neurons and memory == self.memory:
                    raise SnnlearnError(f"Cores: {self._too_large(number, int(taken[start] - before))}")
                if end < stop:
                    core, room, memory = core + 1, self.neurons, self.memory
                start = end
        return tuple(parts)

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        for number, layer in enumerate(network.layers, start=1):
            if self.memory is not None and (largest := int(self._memory(layer).max())) > self.memory:
                return self._too_large(number, largest)
        parts = self.placed(network)
        needed = parts[-1].core
        if needed <= self.cores:
            return None
        split = ", ".join(
            f"layer {number}: {len({part.core for part in parts if part.layer == number}):,}"
            for number in range(1, len(network.layers) + 1)
        )
        return f"it takes {needed:,} cores ({split}), and there are {self.cores:,}: {needed - self.cores:,} too many"

    def _memory(self, layer: Layer) -> np.ndarray:
        """Bits of the weights of each unit."""
        found = None if self.memory is None else fan_in(layer)
        return np.zeros(units(layer), int) if found is None else found * self.bits

    def _too_large(self, number: int, found: int) -> str:
        most = self.memory or 0
        return (
            f"the weights of a unit of layer {number} take {found:,} bits, and a core has {most:,}: "
            f"{found - most:,} too many"
        )


class ConvolutionCore(NamedTuple):
    """A core for one layer of a network of images.

    Args:
        weights: how many it has room for.
        neurons: how many it has room for.
    """

    weights: int
    neurons: int


@final
class ConvolutionCores(AbstractLimit):
    r"""Cores of different sizes, each for one layer: a pooling, a convolution and its neurons.

    A convolution of c channels into f, with kernels of $k_x\times k_y$, takes
    $c\,2^{\lceil\log_2k_xk_y\rceil+\lceil\log_2f\rceil}$ places for weights, as addresses are made of bits; a dense
    layer is one with kernels as large as its input.

    Args:
        cores: the cores.

    Raises:
        SnnlearnError: for no cores, or room below 1.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> cores = ConvolutionCores((ConvolutionCore(64, 16), ConvolutionCore(16, 64)))
    >>> cores.placed(feedforward((4, 3, 2), key=jax.random.key(0)))
    (2, 1)
    """

    cores: tuple[ConvolutionCore, ...] = eqx.field(static=True)

    def __check_init__(self):
        if not self.cores or min(min(core) for core in self.cores) < 1:
            raise SnnlearnError(
                "ConvolutionCores: give at least one core, with room for at least one weight and neuron"
            )

    def needed(self, network: Network) -> tuple[ConvolutionCore, ...] | str:
        """What each layer takes; or, as the end of a sentence, why a layer is none that a core computes.

        Args:
            network: the network.
        """
        found = []
        for number, (layer, ways) in enumerate(zip(network.layers, routes(network.layers), strict=True)):
            if len(layer.connections) != 1:
                return f"layer {number + 1} has {len(layer.connections)} connections, and a core takes one"
            source = network.in_shape if ways[0].source < 0 else network.layers[ways[0].source].shape
            image = (*source, 1, 1)[:3] if len(source) == 1 else (1, *source)[-3:]
            lowered = layer.synapses.lowered_image((int(image[0]), int(image[1]), int(image[2])))
            if isinstance(lowered, str):
                return f"layer {number + 1} {lowered}"
            if lowered.weight is None:
                return f"layer {number + 1} has no weights, and a core is a convolution"
            features, channels, height, width = lowered.weight.shape
            weights = channels * 2 ** (math.ceil(math.log2(height * width)) + math.ceil(math.log2(features)))
            found.append(ConvolutionCore(weights, units(layer)))
        return tuple(found)

    def placed(self, network: Network) -> tuple[int, ...] | str:
        """The core of each layer, from 1; or, as the end of a sentence, why there is none for each.

        Args:
            network: the network.
        """
        needed = self.needed(network)
        if isinstance(needed, str):
            return needed
        for number, layer in enumerate(needed, start=1):
            if not any(self._fits(layer, core) for core in self.cores):
                largest = ", ".join(f"{core.weights:,} and {core.neurons:,}" for core in sorted(set(self.cores)))
                return (
                    f"layer {number} takes {layer.weights:,} places for weights and {layer.neurons:,} neurons, and "
                    f"cores have {largest}"
                )
        held: dict[int, int] = {}  # the layer on each core

        def find(layer: int, tried: set[int]) -> bool:
            """Whether a core is found for a layer, perhaps by moving others to other cores."""
            for core in range(len(self.cores)):
                if core not in tried and self._fits(needed[layer], self.cores[core]):
                    tried.add(core)
                    if core not in held or find(held[core], tried):
                        held[core] = layer
                        return True
            return False

        placed = sum(find(layer, set()) for layer in range(len(needed)))
        if placed < len(needed):
            left = len(needed) - placed
            return f"of its {len(needed)} layers only {placed} find a core that is large enough: {left} too many"
        return tuple(core + 1 for _, core in sorted((layer, core) for core, layer in held.items()))

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        found = self.placed(network)
        return found if isinstance(found, str) else None

    @staticmethod
    def _fits(layer: ConvolutionCore, core: ConvolutionCore) -> bool:
        return layer.weights <= core.weights and layer.neurons <= core.neurons
