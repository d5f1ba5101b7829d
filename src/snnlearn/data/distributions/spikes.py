"""Counts of spikes, and whole spike trains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from snnlearn._errors import SnnlearnError
from snnlearn.data.distributions.base import AbstractDistribution, of_two


@dataclass(frozen=True)
class PoissonCounts(AbstractDistribution):
    r"""A spike count of mean λ₀ or λ₁: $\mathcal R^* = \frac12\sum_k\min\{p_0(k), p_1(k)\}$.

    Args:
        mean0: λ₀ > 0.
        mean1: λ₁ > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> round(PoissonCounts(5.0, 10.0).bayes_risk, 6), round(PoissonCounts(2.0, 8.0).bayes_risk, 7)
    (0.176796, 0.0761427)
    """

    mean0: float = 5.0
    mean1: float = 10.0

    def __post_init__(self):
        if not (0 < self.mean0 < math.inf and 0 < self.mean1 < math.inf):
            raise SnnlearnError(f"PoissonCounts: the means are {self.mean0} and {self.mean1}; give numbers above 0")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        from scipy.stats import poisson

        most = max(self.mean0, self.mean1)
        k = np.arange(int(most + 40 * math.sqrt(most) + 100))
        return float(0.5 * np.minimum(poisson.pmf(k, self.mean0), poisson.pmf(k, self.mean1)).sum())

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        return rng.poisson(np.where(y == 1, self.mean1, self.mean0))[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        return of_two(x[:, 0].astype(float) * math.log(self.mean1 / self.mean0) - (self.mean1 - self.mean0))


@dataclass(frozen=True)
class BinomialCounts(AbstractDistribution):
    r"""Spikes in n steps, each of probability p₀ or p₁: $\mathcal R^* = \frac12\sum_k\min\{p_0(k), p_1(k)\}$.

    Args:
        n: steps, ≥ 1.
        p0: in (0, 1).
        p1: in (0, 1).

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> round(BinomialCounts(100, 0.05, 0.1).bayes_risk, 6)
    0.167006
    """

    n: int = 100
    p0: float = 0.05
    p1: float = 0.1

    def __post_init__(self):
        if not (0 < self.p0 < 1 and 0 < self.p1 < 1) or self.n < 1:
            raise SnnlearnError(f"BinomialCounts: n {self.n}, p {self.p0} and {self.p1}; give n ≥ 1 and p in (0, 1)")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        from scipy.stats import binom

        k = np.arange(self.n + 1)
        return float(0.5 * np.minimum(binom.pmf(k, self.n, self.p0), binom.pmf(k, self.n, self.p1)).sum())

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        return rng.binomial(self.n, np.where(y == 1, self.p1, self.p0))[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        k = x[:, 0].astype(float)
        silent = math.log1p(-self.p1) - math.log1p(-self.p0)
        return of_two(k * math.log(self.p1 / self.p0) + (self.n - k) * silent)


@dataclass(frozen=True)
class SpikeTrains(AbstractDistribution):
    r"""Independent Bernoulli spikes, of probability rate · dt in each step and unit, with rates of each class.

    The log-likelihood ratio is $\sum_{t,i} [s_i^t \ln\frac{p_1}{p_0} + (1 - s_i^t)\ln\frac{1-p_1}{1-p_0}]$, linear in
    the spikes: the Bayes-optimal function is *one linear readout*. If each class has one rate for all units and steps
    it is a count, and $\mathcal R^*$ is exact; else it is a mean over 200,000 fixed draws.

    Args:
        rates: of each class in Hz, `[C, N]`, or over time `[C, T, N]`, above 0 and below 1/dt.
        num_steps: T ≥ 1.
        dt: time step, s.

    Raises:
        SnnlearnError: if rates has another shape, or is outside its range.

    >>> d = SpikeTrains(np.array([[50.0], [100.0]]), num_steps=100, dt=1e-3)
    >>> round(d.bayes_risk, 6), d.draw(2).x.shape
    (0.167006, (2, 100, 1))
    """

    rates: np.ndarray
    num_steps: int = 100
    dt: float = 1e-3
    kind = "spikes"

    def __post_init__(self):
        rates = np.asarray(self.rates, float)
        if rates.ndim not in (2, 3) or len(rates) < 2 or (rates.ndim == 3 and rates.shape[1] != self.num_steps):
            raise SnnlearnError(f"SpikeTrains: rates has shape {rates.shape}; give [C, N] or [C, {self.num_steps}, N]")
        if not (np.all(rates > 0) and np.all(rates * self.dt < 1)):
            raise SnnlearnError(f"SpikeTrains: rates go to {rates.max()} Hz; give rates above 0 and below 1/dt")

    @property
    def num_classes(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As many as there are rows of rates."""
        return len(self.rates)

    @property
    def probabilities(self) -> Float[np.ndarray, "C T N"]:
        """Of a spike, of each class, in each step and unit."""
        rates = np.asarray(self.rates, float)
        rates = rates if rates.ndim == 3 else np.repeat(rates[:, None], self.num_steps, axis=1)
        return rates * self.dt

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        p = self.probabilities.reshape(self.num_classes, -1)
        if self.num_classes == 2 and np.all(p == p[:, :1]):
            return 0.0 if p.shape[1] == 0 else BinomialCounts(p.shape[1], float(p[0, 0]), float(p[1, 0])).bayes_risk
        chunks = [self.posterior(self.draw(10_000, seed=2**31 + i).x).max(axis=1) for i in range(20)]
        return float(1 - np.mean(chunks))

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        p = self.probabilities.astype(np.float32)
        return rng.random((len(y), *p.shape[1:]), dtype=np.float32) < p[y]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        from scipy.special import softmax

        p = self.probabilities.reshape(self.num_classes, -1)
        weights, bias = np.log(p) - np.log1p(-p), np.log1p(-p).sum(axis=1)
        return softmax(x.reshape(len(x), -1).astype(float) @ weights.T + bias, axis=1)
