"""What becomes of max pooling, which spikes do not compute."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import final

import numpy as np

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.conversion.sources.graph import Graph, Tensor, convolution
from snnlearn.neurons import Rectifier


class AbstractMaxPooling(Component):
    """What becomes of a maximum over windows."""

    @abstractmethod
    def __call__(
        self,
        graph: Graph,
        x: Tensor,
        window: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        name: str,
    ) -> Tensor:
        """The maximum.

        Args:
            graph: the network under construction.
            x: of what, `(channels, *sides)`.
            window: sides of a window.
            stride: distance of the windows along each axis.
            padding: before and after along each axis.
            name: of the layer in the file.

        Raises:
            SnnlearnError: if it cannot be converted.
        """


@final
class Refused(AbstractMaxPooling):
    """No conversion: the largest of several spikes is not a spike of the largest rate.

    A window spikes whenever any of its units does, so that its rate can be as high as the sum of theirs.
    """

    def __call__(
        self,
        graph: Graph,
        x: Tensor,
        window: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        name: str,
    ) -> Tensor:
        """See the base."""
        raise SnnlearnError(
            "the largest of several rates is not the rate of the largest spikes; train the network with average "
            "pooling or strides instead, or have rectifiers compare the units in pairs: --max-pooling pairwise, in "
            "Python max_pooling=PairwiseMaxima()"
        )


@final
class PairwiseMaxima(AbstractMaxPooling):
    r"""Rectifiers that compare two units each, $\max(a,b)=b+\max(0,a-b)$, until one is left of a window.

    That is the same function, of units that conversion knows, so that scales, calibration and the bound hold for it. A
    window of n units needs $n-1$ rectifiers in $\lceil\log_2 n\rceil$ levels, each of which adds its error. Gating by
    rates (Rueckauer 2017) needs no more layers, but counters of spikes in every unit, and no bound holds for it.
    """

    def __call__(
        self,
        graph: Graph,
        x: Tensor,
        window: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[tuple[int, int]],
        name: str,
    ) -> Tensor:
        """See the base."""
        if any(map(any, padding)) and not graph.never_negative(x):
            raise SnnlearnError("pads what may be below 0; put the activation function before the pooling")
        channels, size = x.shape[0], math.prod(window)
        found = []
        for place in range(size):
            kernel = np.zeros((channels, 1, size), np.float32)
            kernel[:, :, place] = 1.0
            kernel = kernel.reshape(channels, 1, *window)
            ones = (1,) * len(window)
            one = convolution(x.shape, kernel, stride=stride, padding=padding, dilation=ones, groups=channels)
            found.append(graph.affine(x, one))
        while len(found) > 1:
            left = [found[-1]] if len(found) % 2 else []
            pairs = [found[n : n + 2] for n in range(0, len(found) - 1, 2)]
            found = [self._larger(graph, a, b, name) for a, b in pairs] + left
        return found[0]

    def _larger(self, graph: Graph, a: Tensor, b: Tensor, name: str) -> Tensor:
        difference = graph.total([a, graph.scaled(b, -1.0)])
        return graph.total([b, graph.units(difference, Rectifier(), name)])
