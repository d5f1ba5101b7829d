"""How raw values become those that a code takes, learned from the training sample."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.checks import check_number, scalar
from snnlearn.coding.rescaled import Rescaled, learn_range
from snnlearn.data.ends import lengths_of

Bounds = tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]


class AbstractScaling(Component):
    """What becomes 0 and what becomes 1, feature by feature or for several together."""

    @abstractmethod
    def bounds(self, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> Bounds:
        """The raw values that become 0 and 1, float32, of the shape of the axes that are left.

        Equal ones are of a feature that is constant; `Rescaled` makes it 0.

        Args:
            x: the training samples, `[m, *shape]`; never the test samples.
            axis: axes that share one scale: 0, the samples, for one per feature; (0, 1) for one per channel of signals
                `[m, T, n]`; None for one of all.

        Raises:
            SnnlearnError: if there are no samples, or they hold NaN or infinite values.
        """

    def learned(
        self, encoder: AbstractEncoder, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0
    ) -> Rescaled:
        """The encoder behind the scaling that the training samples ask for; arguments as of `bounds`."""
        return Rescaled(encoder, *self.bounds(x, axis=axis))


@final
class RangeScaling(AbstractScaling):
    """The least value in training becomes 0 and the greatest 1.

    >>> RangeScaling().bounds(np.array([[1.0, 5.0], [3.0, 5.0]]))[1].tolist()
    [3.0, 5.0]
    """

    def bounds(self, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> Bounds:
        """See the base."""
        return learn_range(x, axis=axis)


@final
class StandardScaling(AbstractScaling):
    """The mean in training becomes 0, and one standard deviation above it 1: for codes of any real number.

    >>> low, high = StandardScaling().bounds(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> low.tolist(), high.tolist()
    ([2.0, 5.0], [3.0, 5.0])
    """

    def bounds(self, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> Bounds:
        """See the base."""
        low, high = learn_range(x, axis=axis)
        values = np.asarray(x, np.float64)
        known = np.isfinite(values)  # all but what comes after a sample's end
        mean, std = (of(axis, where=known) for of in (values.mean, values.std))
        # What differs by the rounding of float32 alone is constant.
        constant = std <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
        return np.asarray(mean, np.float32), np.asarray(np.where(constant, mean, mean + std), np.float32)


@final
class CentredScaling(AbstractScaling):
    """Each feature's mean in training becomes 0, and one standard deviation of all features together above it 1.

    For features of one unit, such as pixels: none is magnified because it hardly ever differs, and what all samples
    have in common, which would only move all units' thresholds, is gone.

    >>> low, high = CentredScaling().bounds(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> low.tolist(), high.round(3).tolist()  # 2 + √(½ (1 + 0)); a constant carries nothing
    ([2.0, 5.0], [2.70..., 5.0])
    """

    def bounds(self, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> Bounds:
        """See the base; the means are over `axis`."""
        low, above = StandardScaling().bounds(x, axis=axis)
        values = np.asarray(x, np.float64)
        mean = values.mean(axis, keepdims=True)
        spread = np.sqrt(np.mean(np.square(values - mean)))
        return low, np.where(above > low, mean.squeeze(axis) + spread, low).astype(np.float32)


@final
class QuantileScaling(AbstractScaling):
    """A low quantile in training becomes 0 and the opposite one 1, so that a few extreme values squeeze none else.

    A code of [0, 1] clips what lies outside.

    Args:
        share: of the values, that lie below 0, and above 1, in [0, 0.5).

    Raises:
        SnnlearnError: if it is out of range.

    >>> [bound.tolist() for bound in QuantileScaling(0.1).bounds(np.arange(11.0)[:, None])]
    [[1.0], [9.0]]
    """

    share: float = eqx.field(converter=scalar, default=0.01)

    def __check_init__(self):
        check_number(self, "a number from 0, below 0.5", lambda x: 0 <= x < 0.5, share=self.share)

    def bounds(self, x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> Bounds:
        """See the base."""
        learn_range(x, axis=axis)
        values = np.asarray(x, np.float64)
        quantile = np.quantile if lengths_of(values) is None else np.nanquantile
        low, high = quantile(values, (self.share, 1 - self.share), axis=axis)
        return np.asarray(low, np.float32), np.asarray(high, np.float32)
