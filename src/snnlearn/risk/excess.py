r"""Excess risk $R(f) - \mathcal R^*$ on a known distribution, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from snnlearn._arguments import checked
from snnlearn.data import AbstractDistribution, Sample
from snnlearn.risk.intervals import Interval, t_interval

Decide = Callable[[np.ndarray], np.ndarray]
"""A hypothesis as a function from x `[m, *shape]` to classes `[m]`."""


@checked
def excess_risk(
    decide: Decide, distribution: AbstractDistribution, *, m: int = 20_000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, Interval]:
    r"""$\mathbb E[\max_k P(k|X) - P(f(X)|X)]$, which needs no labels and is never below 0.

    Args:
        decide: the hypothesis.
        distribution: whose posterior is known.
        m: draws of X.
        confidence: of the interval, in (0, 1).
        seed: of the draws; not one that drew training data.

    Returns:
        the excess risk, and its t interval.

    Raises:
        SnnlearnError: if m is below 1, or a confidence outside (0, 1).

    >>> from snnlearn.data import GaussianPair
    >>> task = GaussianPair(1.0)
    >>> excess_risk(task.bayes_optimal, task)[0]
    0.0
    """
    lost = _lost(decide, distribution, distribution.draw(m, seed=seed).x)
    low, high, _ = t_interval(lost, confidence=confidence)
    return float(lost.mean()), Interval(max(low, 0.0), high, confidence)


class Decomposition(NamedTuple):
    r"""Excess risk in parts whose sum it is, exactly.

    $R(f_S)-\mathcal R^* = A + B + C + D$ with $A = R(f_S)-\hat R_S(f_S)$, $B = \hat R_S(f_S)-\hat R_S(f^*_F)$,
    $C = \hat R_S(f^*_F)-R(f^*_F)$, $D = R(f^*_F)-\mathcal R^*$; and, by an empirical risk minimiser, optimisation
    $R(f_S)-R(f_{ERM})$, estimation $R(f_{ERM})-R(f^*_F)$ and approximation $D$.
    """

    a: float
    b: float
    c: float
    d: float
    optimisation: float
    estimation: float
    excess: float
    a_interval: Interval
    d_interval: Interval

    @property
    def approximation(self) -> float:
        r"""$R(f^*_F) - \mathcal R^*$, the same as D."""
        return self.d


@checked
def decompose(
    learned: Decide,
    minimiser: Decide,
    best: Decide,
    sample: Sample,
    distribution: AbstractDistribution,
    *,
    m: int = 20_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Decomposition:
    """Measure what a learned hypothesis' excess risk is made of; all risks on the same draws.

    Args:
        learned: $f_S$.
        minimiser: the empirical risk minimiser in the class on the sample, exact or the best found.
        best: $f^*_F$, of least risk in the class; for networks, one trained on very much data stands in.
        sample: what was learned from.
        distribution: what it came from.
        m: draws for the risks.
        confidence: of the intervals of A and D.
        seed: of the draws; not one that drew training data.

    Raises:
        SnnlearnError: if m is below 1, or a confidence outside (0, 1).
    """
    x = distribution.draw(m, seed=seed).x
    bayes = distribution.bayes_risk
    lost = {name: _lost(f, distribution, x) for name, f in (("s", learned), ("erm", minimiser), ("best", best))}
    risk = {name: bayes + float(values.mean()) for name, values in lost.items()}
    empirical = {name: float(np.mean(f(sample.x) != sample.y)) for name, f in (("s", learned), ("best", best))}
    return Decomposition(
        a=risk["s"] - empirical["s"],
        b=empirical["s"] - empirical["best"],
        c=empirical["best"] - risk["best"],
        d=risk["best"] - bayes,
        optimisation=risk["s"] - risk["erm"],
        estimation=risk["erm"] - risk["best"],
        excess=risk["s"] - bayes,
        a_interval=t_interval(lost["s"], confidence=confidence).shift(bayes - empirical["s"]),
        d_interval=t_interval(lost["best"], confidence=confidence),
    )


def _lost(decide: Decide, distribution: AbstractDistribution, x: np.ndarray) -> np.ndarray:
    posterior = distribution.posterior(x)
    return posterior.max(axis=1) - posterior[np.arange(len(x)), np.asarray(decide(x))]
