"""Is one better than the other? Two hypotheses on the same data, two algorithms over seeds, several at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from scipy import stats

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.intervals import Count, Interval, bootstrap, t_interval

_ENUMERATED_PAIRS = 16  # 2^16 sign patterns take a moment; more pairs are sampled


class Comparison(NamedTuple):
    """How two differ.

    Args:
        difference: the first's risk less the second's: negative where the first is better.
        interval: of the difference.
        p_value: how often a difference at least as large comes about where there is none.
        n: what was compared: samples, or seeds.
        differing: pairs among them that differ; those that do not say nothing.
    """

    difference: float
    interval: Interval
    p_value: float
    n: int
    differing: int

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many pairs can give, if all differed the same way."""
        return min(1.0, 2.0 ** (1 - self.differing))

    def __str__(self) -> str:
        low, high, confidence = self.interval
        return (
            f"difference {self.difference:+.2%}, {confidence:.0%} interval [{low:+.2%}, {high:+.2%}], "
            f"p = {self.p_value:.3g} ({self.n} pairs)"
        )


@checked
def mcnemar(only_first: Count, only_second: Count) -> float:
    r"""Exact two-sided p-value of McNemar's test: do two hypotheses err equally often on the same samples?

    Of $b + c$ samples on which exactly one of them errs, $b \sim \mathrm{Binomial}(b + c, \tfrac12)$ where they do, and

    $$p = \min\{1,\; 2\,P(B \le \min(b, c))\}.$$

    Args:
        only_first: $b$, samples that only the first gets wrong, ≥ 0.
        only_second: $c$, samples that only the second gets wrong, ≥ 0.

    Returns:
        The p-value; 1 where they never differ.

    Raises:
        SnnlearnError: If a count is negative.

    Source: Q. McNemar, Psychometrika 12:153 (1947), doi:10.1007/BF02295996, in its exact form.

    >>> mcnemar(0, 5)
    0.0625
    """
    if only_first < 0 or only_second < 0:
        raise SnnlearnError(f"mcnemar: the counts are {only_first} and {only_second}; give whole numbers from 0")
    n, k = int(only_first + only_second), int(min(only_first, only_second))
    return 1.0 if n == 0 else min(1.0, 2 * float(stats.binom.cdf(k, n, 0.5)))


@checked
def compare_hypotheses(
    first: Bool[np.ndarray, " m"],
    second: Bool[np.ndarray, " n"],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    """Compare two hypotheses on the same samples: McNemar's exact test, and a paired bootstrap of the difference.

    Paired, since what is hard for one is mostly hard for the other: two separate intervals would hide most differences.

    Args:
        first: whether the first hypothesis errs on each sample, `[m]`.
        second: whether the second does, on the same samples in the same order.
        confidence: of the interval, in (0, 1).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        SnnlearnError: if the samples are none or not the same number.

    >>> wrong = np.zeros((2, 100), bool)
    >>> wrong[0, :5] = True
    >>> print(compare_hypotheses(*wrong))
    difference +5.00%, 95% interval [+2.00%, +11.00%], p = 0.0625 (100 pairs)
    """
    first, second = _paired(first, second, "compare_hypotheses")
    difference = first.astype(float) - second.astype(float)
    interval = bootstrap(difference, confidence=confidence, resamples=resamples, seed=seed)
    p = mcnemar(int(np.sum(difference > 0)), int(np.sum(difference < 0)))
    return Comparison(float(difference.mean()), interval, p, difference.size, int(np.count_nonzero(difference)))


@checked
def compare_losses(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Comparison:
    r"""Compare two hypotheses by their losses on the same samples: sign-flip test, and a paired bootstrap of the mean.

    If the hypotheses are alike, each sample's difference could as well have the other sign. The p-value is the share of
    random sign patterns whose mean is at least as far from 0, counting the one that was seen. Unlike McNemar's test it
    is for losses of any size, such as squared errors.

    Args:
        first: the first hypothesis's loss of each sample, `[m]`.
        second: the second's, on the same samples in the same order.
        confidence: of the interval, in (0, 1).
        resamples: of the bootstrap, and sign patterns.
        seed: of both.

    Raises:
        SnnlearnError: if the samples are fewer than two or not the same number.

    >>> losses = np.arange(20.0)
    >>> found = compare_losses(losses + 1.0, losses)
    >>> found.difference, found.p_value < 0.001
    (1.0, True)
    """
    first, second = _paired(np.asarray(first, float), np.asarray(second, float), "compare_losses")
    difference = first - second
    if difference.size < 2:
        raise SnnlearnError("compare_losses: one sample has no spread; give at least 2")
    interval = bootstrap(difference, confidence=confidence, resamples=resamples, seed=seed)
    rng, seen, further, left = np.random.default_rng(seed), abs(difference.sum()), 1, resamples
    while left > 0:  # in blocks, whose signs take little memory
        rows = min(left, max(1, 10**7 // difference.size))
        sums = (1.0 - 2.0 * rng.integers(0, 2, (rows, difference.size))) @ difference
        further, left = further + int(np.sum(np.abs(sums) >= seen - 1e-12 * max(1.0, seen))), left - rows
    p = further / (resamples + 1)
    return Comparison(float(difference.mean()), interval, p, difference.size, int(np.count_nonzero(difference)))


@checked
def compare_algorithms(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    r"""Compare two algorithms by their risks over seeds, pairwise: sign-flip permutation test and t interval.

    If the algorithms are alike, each pair's difference could as well have the other sign. The p-value is the share of
    sign patterns whose mean is at least as far from 0: of all $2^K$ for K ≤ 16 pairs, of 100,000 random ones for more.
    With K pairs it cannot be below $2^{1-K}$: five seeds cannot show p < 0.0625.

    Args:
        first: the first algorithm's risk for each seed (or fold, or data set), `[K]`, K ≥ 2.
        second: the second's, with the same seeds.
        confidence: of the interval, in (0, 1).
        seed: of the random sign patterns.

    Raises:
        SnnlearnError: if the seeds are fewer than two or not the same number.

    >>> compare_algorithms([0.2, 0.3, 0.4], [0.1, 0.1, 0.1]).p_value
    0.25
    """
    first, second = _paired(np.asarray(first, float), np.asarray(second, float), "compare_algorithms")
    difference = first - second
    if difference.size < 2:
        raise SnnlearnError("compare_algorithms: one pair has no spread; give at least 2 seeds")
    k = difference.size
    if k <= _ENUMERATED_PAIRS:
        signs = 1 - 2 * (np.arange(2**k)[:, None] >> np.arange(k) & 1)
    else:
        signs = np.random.default_rng(seed).choice([-1, 1], (100_000, k))
        signs[0] = 1  # the pattern that was seen is one of them, so that the p-value is never 0
    seen = abs(difference.sum())
    p = np.mean(np.abs(signs @ difference) >= seen - 1e-12 * max(1.0, seen))
    interval = t_interval(difference, confidence=confidence)
    return Comparison(float(difference.mean()), interval, float(p), k, int(np.count_nonzero(difference)))


@checked
def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    r"""Correct p-values for having made several comparisons: the chance of *any* false discovery stays below the level.

    With $p_{(1)} \le \dots \le p_{(k)}$, the corrected value is
    $\tilde p_{(i)} = \max_{j \le i} \min\{1, (k - j + 1)\,p_{(j)}\}$.

    Args:
        p_values: in [0, 1], `[k]`, k ≥ 1.

    Returns:
        The corrected values, in the given order.

    Raises:
        SnnlearnError: If there is none, or one is outside [0, 1].

    Source: S. Holm, Scand. J. Stat. 6:65 (1979).

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or p.size == 0:
        raise SnnlearnError(f"holm: p_values has shape {p.shape}; give a list of at least one")
    if not np.all((p >= 0) & (p <= 1)):
        raise SnnlearnError(f"holm: p_values is {p.tolist()}; give probabilities in [0, 1]")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(p.size, 0, -1)))
    return corrected


@checked
def seeds_needed(difference: float, spread: float, *, power: float = 0.8, level: float = 0.05) -> int:
    r"""How many paired seeds show a difference of mean $d$ and standard deviation $s$, with the stated power.

    The normal approximation $K = \lceil (z_{1-\alpha/2} + z_{power})^2 s^2/d^2 \rceil$, and at least the $K$ at which
    the sign-flip test can reach the level at all.

    Args:
        difference: $d$, not 0.
        spread: $s$ of the pairwise difference, ≥ 0.
        power: the chance to show it, in (0, 1).
        level: $\alpha$ of the test, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> seeds_needed(0.01, 0.01)
    8
    """
    for name, value in (("power", power), ("level", level)):
        if not 0 < value < 1:
            raise SnnlearnError(f"seeds_needed: {name} is {value}; give a probability between 0 and 1")
    if difference == 0 or not (spread >= 0 and math.isfinite(difference) and math.isfinite(spread)):
        raise SnnlearnError(f"seeds_needed: difference is {difference} and spread {spread}; give ≠ 0 and ≥ 0")
    z = float(stats.norm.isf(level / 2) + stats.norm.ppf(power))
    return max(math.ceil((z * spread / difference) ** 2), math.ceil(1 - math.log2(level)), 2)


def _paired(first: np.ndarray, second: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise SnnlearnError(
            f"{where}: the two have shapes {first.shape} and {second.shape}; give two lists of the same length ≥ 1"
        )
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(second))):
        raise SnnlearnError(f"{where}: a risk is NaN or infinite; leave out the pairs whose training failed")
    return first, second
