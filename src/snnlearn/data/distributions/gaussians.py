"""Classes that are normally distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.distributions.base import AbstractDistribution, normal_tail, of_two


@dataclass(frozen=True)
class GaussianPair(AbstractDistribution):
    r"""$\mathcal N(\pm\mu, \sigma^2 I)$ in d dimensions, $\mathcal R^* = \Phi(-\lVert\mu\rVert/\sigma)$.

    Args:
        distance: $\lVert\mu\rVert/\sigma$ ≥ 0, half of how far the means are apart.
        dimension: d ≥ 1; μ points along the diagonal, so that no single input carries it.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> round(GaussianPair(2.0).bayes_risk, 7)
    0.0227501
    """

    distance: float = 1.0
    dimension: int = 1

    def __post_init__(self):
        if not 0 <= self.distance < math.inf or self.dimension < 1:
            raise SnnlearnError(f"GaussianPair: distance {self.distance}, dimension {self.dimension}; give ≥ 0 and ≥ 1")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        return normal_tail(self.distance)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        mean = self.distance / math.sqrt(self.dimension)
        return rng.standard_normal((len(y), self.dimension)) + np.where(y == 1, mean, -mean)[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        return of_two(2 * self.distance / math.sqrt(self.dimension) * x.sum(axis=1, dtype=float))


@dataclass(frozen=True)
class GaussianXor(AbstractDistribution):
    r"""Unit Gaussians around (±a, ±a), the class is whether the signs differ: $\mathcal R^* = 2q(1-q)$, $q = \Phi(-a)$.

    Args:
        a: of the means, in standard deviations, ≥ 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> round(GaussianXor(1.0).bayes_risk, 6)
    0.266968
    """

    a: float = 1.0

    def __post_init__(self):
        if not 0 <= self.a < math.inf:
            raise SnnlearnError(f"GaussianXor: a is {self.a}; give a finite number from 0")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        q = normal_tail(self.a)
        return 2 * q * (1 - q)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        first = rng.choice([-1.0, 1.0], len(y))
        signs = np.stack([first, np.where(y == 1, -first, first)], axis=1)
        return self.a * signs + rng.standard_normal((len(y), 2))

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        u, v = self.a * x[:, 0].astype(float), self.a * x[:, 1].astype(float)
        return of_two(np.logaddexp(u - v, v - u) - np.logaddexp(u + v, -u - v))


@dataclass(frozen=True)
class GaussianScales(AbstractDistribution):
    r"""$\mathcal N(0, s_0^2)$ against $\mathcal N(0, s_1^2)$: far from 0 the wider is more likely.

    The threshold is $|x| = s_0 s_1\sqrt{2\ln(s_1/s_0)/(s_1^2 - s_0^2)}$.

    Args:
        narrow: $s_0$ > 0.
        wide: $s_1 > s_0$.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> d = GaussianScales(1.0, 2.0)
    >>> round(d.threshold, 6), round(d.bayes_risk, 6)
    (1.359556, 0.338663)
    """

    narrow: float = 1.0
    wide: float = 2.0

    def __post_init__(self):
        if not 0 < self.narrow < self.wide < math.inf:
            raise SnnlearnError(f"GaussianScales: narrow {self.narrow}, wide {self.wide}; give 0 < narrow < wide")

    @property
    def threshold(self) -> float:
        """Where the Bayes-optimal decision changes."""
        s0, s1 = self.narrow, self.wide
        return s0 * s1 * math.sqrt(2 * math.log(s1 / s0) / (s1**2 - s0**2))

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        t = self.threshold
        return 0.5 * (2 * normal_tail(t / self.narrow) + 1 - 2 * normal_tail(t / self.wide))

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        return (rng.standard_normal(len(y)) * np.where(y == 1, self.wide, self.narrow))[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        square = np.square(x[:, 0].astype(float))
        s0, s1 = self.narrow, self.wide
        return of_two(0.5 * square * (1 / s0**2 - 1 / s1**2) - math.log(s1 / s0))
