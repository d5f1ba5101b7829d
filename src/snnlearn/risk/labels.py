"""The risk of several decisions about one x: of labels that hold or not, and of classes that count alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.empirical import Risk, risk_of_errors
from snnlearn.risk.intervals import Interval, bootstrap, wilson


class LabelRisk(NamedTuple):
    """How often decisions about L labels are wrong, on a sample that the hypothesis does not depend on.

    Args:
        hamming: the share of wrong decisions.
        hamming_interval: a bootstrap interval (BCa) of it over samples, whose labels are not independent: approximate.
        labels: the risk of each label, with exact intervals.
        subset: the risk of any wrong decision about a sample, with an exact interval.
        n: samples.
    """

    hamming: float
    hamming_interval: Interval
    labels: tuple[Risk, ...]
    subset: Risk
    n: int

    def __str__(self) -> str:
        low, high, confidence = self.hamming_interval
        return (
            f"Hamming error {self.hamming:.2%}, {confidence:.0%} bootstrap interval [{low:.2%}, {high:.2%}]; some "
            f"label is wrong in {self.subset.value:.2%} of {self.n} samples"
        )


@checked
def label_risk(
    decided: Int[np.ndarray, "n L"], truth: Int[np.ndarray, "n L"], *, confidence: float = 0.95
) -> LabelRisk:
    """The risk of decisions about labels: of each, of any, and their mean, the Hamming error.

    Args:
        decided: 1 where a label is decided to hold, else 0, `[n, L]`, on data that neither trained nor selected it.
        truth: 1 where it does, else 0, `[n, L]`.
        confidence: of the intervals, in (0, 1).

    Raises:
        SnnlearnError: if there are none, or the shapes differ.

    >>> found = label_risk(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]]))
    >>> found.hamming, [one.errors for one in found.labels], found.subset.errors
    (0.25, [1, 0], 1)
    """
    decided, truth = np.asarray(decided), np.asarray(truth)
    if decided.ndim != 2 or decided.shape != truth.shape or decided.size == 0:
        raise SnnlearnError(
            f"label_risk: decisions {decided.shape} and labels {truth.shape}; give two of the same shape [n, L]"
        )
    wrong, n = decided != truth, len(truth)
    shares = wrong.mean(axis=1)
    interval = bootstrap(shares, confidence=confidence) if n > 1 else Interval(0.0, 1.0, confidence)
    return LabelRisk(
        hamming=float(shares.mean()),
        hamming_interval=interval,
        labels=tuple(risk_of_errors(int(k), n, confidence=confidence) for k in wrong.sum(axis=0)),
        subset=risk_of_errors(int(wrong.any(axis=1).sum()), n, confidence=confidence),
        n=n,
    )


@checked
def balanced_error(
    errors: Int[np.ndarray, " C"], sizes: Int[np.ndarray, " C"], *, confidence: float = 0.95
) -> tuple[float, Interval]:
    r"""The mean of the classes' errors, $\frac1C\sum_c k_c/n_c$: rare classes count as much as frequent ones.

    The interval combines those of the classes, which are independent, by the distances from their estimates:
    $\hat p - \frac1C\sqrt{\sum_c(\hat p_c-l_c)^2}$ and alike above, with Wilson's $l_c$ and $u_c$. It is approximate.

    Args:
        errors: wrong decisions $k_c$ about the samples of each class, `[C]`.
        sizes: the samples $n_c$ of each class, `[C]`; classes without any are left out.
        confidence: of the interval, in (0, 1).

    Returns:
        the balanced error, and its interval.

    Raises:
        SnnlearnError: if there are none, or counts are impossible.

    Source: G. Y. Zou and A. Donner, Stat. Med. 27:1693 (2008), doi:10.1002/sim.3095, for sums of independent estimates.

    >>> error, (low, high, _) = balanced_error(np.array([0, 5]), np.array([90, 10]))
    >>> error, round(low, 3), round(high, 3)
    (0.25, 0.118, 0.383)
    """
    errors, sizes = np.asarray(errors), np.asarray(sizes)
    if errors.shape != sizes.shape or errors.ndim != 1 or not np.any(sizes > 0):
        raise SnnlearnError(
            f"balanced_error: errors {errors.shape} and sizes {sizes.shape}; give a count for each class, one above 0"
        )
    shares, below, above = [], 0.0, 0.0
    for k, n in zip(errors.tolist(), sizes.tolist(), strict=True):
        if n == 0 and k == 0:
            continue
        low, high, _ = wilson(k, n, confidence=confidence)
        shares.append(k / n)
        below, above = below + (k / n - low) ** 2, above + (high - k / n) ** 2
    mean, classes = float(np.mean(shares)), len(shares)
    interval = Interval(mean - math.sqrt(below) / classes, mean + math.sqrt(above) / classes, confidence)
    return mean, interval.clip(0.0, 1.0)
