"""Intervals that hold a true value with a stated confidence: for error counts, for bounded losses, for seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError

Count = int | np.integer
Real = float | int


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


@checked
def clopper_pearson(errors: Count, n: Count, *, confidence: float = 0.95) -> Interval:
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
    _check_counts(errors, n, confidence)
    tail = (1 - confidence) / 2
    low = 0.0 if errors == 0 else float(stats.beta.ppf(tail, errors, n - errors + 1))
    high = 1.0 if errors == n else float(stats.beta.isf(tail, errors + 1, n - errors))
    return Interval(low, high, confidence)


@checked
def wilson(errors: Count, n: Count, *, confidence: float = 0.95) -> Interval:
    r"""Approximate confidence interval for the risk, by inverting the score test; shorter than the exact one.

    With $\hat p = k/n$ and $z$ the normal quantile of $(1 + \mathrm{confidence})/2$,

    $$\frac{\hat p + z^2/2n \pm z\sqrt{\hat p(1-\hat p)/n + z^2/4n^2}}{1 + z^2/n}.$$

    Its coverage is right on average over risks but can fall below the promise for a given one; `clopper_pearson` never
    does.

    Args:
        errors: Number of wrong answers $k$, from 0 to ``n``.
        n: Number of test samples, at least 1.
        confidence: Coverage, in (0, 1).

    Returns:
        The interval, within [0, 1].

    Raises:
        SnnlearnError: If ``n`` is below 1, ``errors`` is outside 0…n or ``confidence`` is outside (0, 1).

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22:209 (1927), doi:10.1080/01621459.1927.10502953.

    >>> low, high, _ = wilson(9387, 10_000)
    >>> round(low, 6), round(high, 6)
    (0.933828, 0.943235)
    """
    _check_counts(errors, n, confidence)
    p, z = errors / n, float(stats.norm.isf((1 - confidence) / 2))
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    ends = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    return Interval(0.0 if errors == 0 else ends[0], 1.0 if errors == n else ends[1], confidence)


@checked
def hoeffding(losses: Sequence[float] | np.ndarray, *, confidence: float = 0.95) -> Interval:
    r"""Interval for the risk of one fixed hypothesis from losses in [0, 1]; holds for every distribution and every m.

    $$|R(f) - \hat R_s(f)| \le \sqrt{\ln(2/\delta) / 2m}, \qquad \delta = 1 - \mathrm{confidence}.$$

    Args:
        losses: One loss in [0, 1] for each of m independent samples, `[m]`.
        confidence: Coverage, in (0, 1).

    Returns:
        The interval, within [0, 1].

    Raises:
        SnnlearnError: If ``losses`` is empty or leaves [0, 1], or ``confidence`` is outside (0, 1).

    Source: W. Hoeffding, J. Am. Stat. Assoc. 58:13 (1963), doi:10.1080/01621459.1963.10500830.

    >>> low, high, _ = hoeffding([0.5] * 10_000)
    >>> round(high - 0.5, 6)
    0.013581
    """
    losses = _bounded(losses, confidence)
    half = math.sqrt(math.log(2 / (1 - confidence)) / (2 * losses.size))
    return Interval(float(losses.mean()) - half, float(losses.mean()) + half, confidence).clip(0.0, 1.0)


@checked
def empirical_bernstein(losses: Sequence[float] | np.ndarray, *, confidence: float = 0.95) -> Interval:
    r"""Interval for the risk from losses in [0, 1], which is short where the losses vary little.

    With the sample variance $\hat V$ (divisor $m - 1$) and $\delta = 1 - \mathrm{confidence}$,

    $$|R(f) - \hat R_s(f)| \le \sqrt{\frac{2\hat V\ln(4/\delta)}{m}} + \frac{7\ln(4/\delta)}{3(m-1)}.$$

    Args:
        losses: One loss in [0, 1] for each of m ≥ 2 independent samples, `[m]`.
        confidence: Coverage, in (0, 1).

    Returns:
        The interval, within [0, 1].

    Raises:
        SnnlearnError: If ``losses`` has fewer than two or leaves [0, 1], or ``confidence`` is outside (0, 1).

    Source: A. Maurer and M. Pontil, COLT 2009, Theorem 4, arXiv:0907.3740; used for both sides, δ/2 each.

    >>> low, high, _ = empirical_bernstein([0.25] * 1000)
    >>> round(high - 0.25, 6)  # no variance: 7 ln(80) / (3 · 999)
    0.010235
    """
    losses = _bounded(losses, confidence)
    if losses.size < 2:
        raise SnnlearnError("empirical_bernstein: losses has 1 number, which has no variance; give at least 2")
    log = math.log(4 / (1 - confidence))
    half = math.sqrt(2 * float(losses.var(ddof=1)) * log / losses.size) + 7 * log / (3 * (losses.size - 1))
    return Interval(float(losses.mean()) - half, float(losses.mean()) + half, confidence).clip(0.0, 1.0)


@checked
def bootstrap(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[..., float | np.ndarray] = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval (bias-corrected and accelerated) of any statistic; approximate, for large samples.

    Args:
        values: Independent numbers, such as losses, `[m]`, m ≥ 2.
        statistic: From numbers along ``axis`` to one number each, as NumPy's reductions are.
        confidence: Coverage aimed at, in (0, 1).
        resamples: How often to resample, ≥ 1.
        seed: Random seed of the resampling.

    Returns:
        The interval; both ends are the statistic if all values are equal.

    Raises:
        SnnlearnError: If there are fewer than two values, one is not finite, or a number is out of range.

    Source: B. Efron, J. Am. Stat. Assoc. 82:171 (1987), doi:10.1080/01621459.1987.10478410.

    >>> low, high, _ = bootstrap(np.arange(101.0))
    >>> low < 50 < high and 10 < high - low < 12.5
    True
    """
    _check_confidence(confidence)
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size < 2 or not np.all(np.isfinite(values)):
        raise SnnlearnError(f"bootstrap: values has shape {values.shape}; give a list of at least two finite numbers")
    if resamples < 1:
        raise SnnlearnError(f"bootstrap: resamples is {resamples}; give at least 1")
    if np.all(values == values[0]):
        same = float(statistic(values, axis=-1))
        return Interval(same, same, confidence)
    found = stats.bootstrap(
        (values,),
        statistic,
        confidence_level=confidence,
        n_resamples=resamples,
        vectorized=True,
        batch=max(1, 10**7 // values.size),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high), confidence)


@checked
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


def _check_counts(errors: Count, n: Count, confidence: float) -> None:
    _check_confidence(confidence)
    if n < 1:
        raise SnnlearnError(f"n is {n}; an interval needs at least 1 test sample")
    if not 0 <= errors <= n:
        raise SnnlearnError(f"errors is {errors}; give a number of wrong answers from 0 to n = {n}")


def _bounded(losses: Sequence[float] | np.ndarray, confidence: float) -> np.ndarray:
    _check_confidence(confidence)
    losses = np.asarray(losses, dtype=float)
    if losses.ndim != 1 or losses.size == 0:
        raise SnnlearnError(f"losses has shape {losses.shape}; give a list of at least one number, one per sample")
    if not np.all((losses >= 0) & (losses <= 1)):
        raise SnnlearnError(f"losses goes from {losses.min()} to {losses.max()}; give losses in [0, 1], or scale them")
    return losses
