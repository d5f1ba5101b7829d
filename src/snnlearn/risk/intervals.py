"""Intervals that hold a true value with a stated confidence: exact for an error count, Student's t for seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from snnlearn._errors import SnnlearnError


class Interval(NamedTuple):
    """A confidence interval: the true value lies in ``[low, high]`` in at least ``confidence`` of all repetitions.

    Args:
        low: Lower end.
        high: Upper end.
        confidence: Coverage that is promised, in (0, 1).
    """

    low: float
    high: float
    confidence: float

    def shift(self, by: float) -> Interval:
        """Move both ends by a known constant; the confidence stays.

        >>> Interval(0.25, 0.5, 0.95).shift(-0.25)
        Interval(low=0.0, high=0.25, confidence=0.95)
        """
        return Interval(self.low + by, self.high + by, self.confidence)

    def clip(self, low: float, high: float) -> Interval:
        """Intersect with the range that the quantity can have at all, which cannot lose a true value.

        >>> Interval(-0.25, 0.5, 0.95).clip(0.0, 1.0)
        Interval(low=0.0, high=0.5, confidence=0.95)
        """
        return Interval(float(np.clip(self.low, low, high)), float(np.clip(self.high, low, high)), self.confidence)


def clopper_pearson(errors: int | np.integer, n: int | np.integer, *, confidence: float = 0.95) -> Interval:
    r"""Exact confidence interval for the risk, from the number of errors on ``n`` independent test samples.

    With $k$ errors and $\alpha = 1 -$ ``confidence``, the ends are the risks at which a tail of the binomial
    distribution holds exactly $\alpha/2$:

    $$\mathrm{low} = \mathrm{Beta}^{-1}(\alpha/2;\, k,\, n-k+1), \qquad
      \mathrm{high} = \mathrm{Beta}^{-1}(1-\alpha/2;\, k+1,\, n-k),$$

    with low = 0 for $k = 0$ and high = 1 for $k = n$. It holds for every $n$ and every true risk; it does *not* hold
    for a model that was chosen by its errors on these same samples.

    Args:
        errors: Number of wrong answers $k$, from 0 to ``n``.
        n: Number of test samples, at least 1.
        confidence: Coverage, in (0, 1).

    Returns:
        The interval, within [0, 1].

    Raises:
        SnnlearnError: If ``n`` is below 1, ``errors`` is outside 0…n or ``confidence`` is outside (0, 1).

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26:404 (1934), doi:10.1093/biomet/26.4.404.

    >>> low, high, _ = clopper_pearson(50, 100)
    >>> round(low, 6), round(high, 6)
    (0.398321, 0.601679)
    """
    _check_confidence(confidence)
    if n < 1:
        raise SnnlearnError(f"n is {n}; an interval needs at least 1 test sample")
    if not 0 <= errors <= n:
        raise SnnlearnError(f"errors is {errors}; give a number of wrong answers from 0 to n = {n}")
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(stats.beta.ppf(tail, errors, n - errors + 1))
    high = 1.0 if errors == n else float(stats.beta.isf(tail, errors + 1, n - errors))
    return Interval(low, high, confidence)


def t_interval(values: Sequence[float] | np.ndarray, *, confidence: float = 0.95) -> Interval:
    r"""Student's t confidence interval for the mean of independent repetitions, such as the seeds of one training.

    $$\bar v \pm t_{K-1,\,1-\alpha/2}\; s / \sqrt K, \qquad s^2 = \tfrac{1}{K-1}\textstyle\sum_k (v_k - \bar v)^2.$$

    It is exact for normally distributed values. Over seeds it speaks of the training's randomness only: the test
    samples are the same for all seeds, and their chance is what `clopper_pearson` is for.

    Args:
        values: One number per repetition, ``[K]``.
        confidence: Coverage, in (0, 1).

    Returns:
        The interval; both ends are ``nan`` for one value, whose spread nobody knows (tables print a dash).

    Raises:
        SnnlearnError: If ``values`` is empty or not one-dimensional, or ``confidence`` is outside (0, 1).

    Source: Student, Biometrika 6:1 (1908), doi:10.1093/biomet/6.1.1.

    >>> low, high, _ = t_interval([1.0, 2.0, 3.0])
    >>> round(low, 4), round(high, 4)
    (-0.4841, 4.4841)
    """
    _check_confidence(confidence)
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size == 0:
        raise SnnlearnError(f"values has shape {values.shape}; give a list of at least one number, one per repetition")
    if values.size == 1:
        return Interval(math.nan, math.nan, confidence)
    quantile = stats.t.isf((1 - confidence) / 2, values.size - 1)
    half = quantile * values.std(ddof=1) / math.sqrt(values.size)
    return Interval(float(values.mean() - half), float(values.mean() + half), confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise SnnlearnError(f"confidence is {confidence}; give a probability between 0 and 1, such as 0.95")
