r"""Distributions that know their Bayes risk $\mathcal R^*$ and their Bayes-optimal function, spike trains included.

On them the risk of a hypothesis needs no test labels: given x, it errs with probability $1 - P(Y = f(x)\,|\,x)$.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample
from snnlearn.data.synthetic import _draw_yin_yang, _yin_yang_class


class AbstractDistribution(ABC):
    """A distribution of z = (x, y), y a class, whose posterior is known. Classes are equally likely a priori."""

    num_classes: int = 2
    kind: Literal["values", "spikes"] = "values"
    dt: float = 1e-3

    @property
    def name(self) -> str:
        """Its name."""
        return type(self).__name__

    @property
    @abstractmethod
    def bayes_risk(self) -> float:
        r"""$\mathcal R^* = 1 - \mathbb E\max_k P(Y = k\,|\,X)$."""

    @abstractmethod
    def draw_x(self, y: Integer[np.ndarray, " m"], rng: np.random.Generator) -> Shaped[np.ndarray, "m *shape"]:
        """An x of each class."""

    @abstractmethod
    def posterior(self, x: Shaped[np.ndarray, "m *shape"]) -> Float[np.ndarray, "m C"]:
        """P(Y = k | x) of each class k."""

    def draw(self, m: int, *, seed: int = 0) -> Sample:
        """An independent sample of m.

        Args:
            m: how many, ≥ 1.
            seed: ≥ 0.

        Raises:
            SnnlearnError: if m is below 1.
        """
        if m < 1:
            raise SnnlearnError(f"{self.name}: m is {m}; draw at least 1 sample")
        rng = np.random.default_rng(seed)
        y = rng.integers(0, self.num_classes, m)
        x = self.draw_x(y, rng)
        return Sample(x.astype(np.uint8 if self.kind == "spikes" else np.float32), y.astype(np.int32))

    def bayes_optimal(self, x: Shaped[np.ndarray, "m *shape"]) -> Integer[np.ndarray, " m"]:
        r"""$f^*(x) = \arg\max_k P(Y = k\,|\,x)$, the first class among equals."""
        return self.posterior(x).argmax(axis=1)

    def dataset(self, num_train: int, num_validation: int = 200, num_test: int = 1000, *, seed: int = 0) -> Dataset:
        """A classification task of three independent samples.

        Args:
            num_train: training samples, ≥ 1.
            num_validation: validation samples, ≥ 1.
            num_test: test samples, ≥ 1.
            seed: of all of them.

        Raises:
            SnnlearnError: for a number below 1.
        """
        sizes = {"num_train": num_train, "num_validation": num_validation, "num_test": num_test}
        for name, m in sizes.items():
            if m < 1:
                raise SnnlearnError(f"{self.name}: {name} is {m}; draw at least 1 sample")
        train, validation, test = (self.draw(m, seed=3 * seed + i) for i, m in enumerate(sizes.values()))
        low, high = float(train.x.min()), float(train.x.max())
        if self.kind == "spikes":
            low, high = 0.0, 1.0
        return Dataset(self.name, train, validation, test, self.num_classes, self.kind, low=low, high=high, dt=self.dt)


def _two(log_ratio: np.ndarray) -> Float[np.ndarray, "m 2"]:
    """The posterior of two equally likely classes from ln p(x|1)/p(x|0)."""
    from scipy.special import expit

    return np.stack([expit(-log_ratio), expit(log_ratio)], axis=1)


def _normal_tail(x: float) -> float:
    return 0.5 * math.erfc(x / math.sqrt(2))


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
        return _normal_tail(self.distance)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        mean = self.distance / math.sqrt(self.dimension)
        return rng.standard_normal((len(y), self.dimension)) + np.where(y == 1, mean, -mean)[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        return _two(2 * self.distance / math.sqrt(self.dimension) * x.sum(axis=1, dtype=float))


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
        q = _normal_tail(self.a)
        return 2 * q * (1 - q)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        first = rng.choice([-1.0, 1.0], len(y))
        signs = np.stack([first, np.where(y == 1, -first, first)], axis=1)
        return self.a * signs + rng.standard_normal((len(y), 2))

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        u, v = self.a * x[:, 0].astype(float), self.a * x[:, 1].astype(float)
        return _two(np.logaddexp(u - v, v - u) - np.logaddexp(u + v, -u - v))


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
        return 0.5 * (2 * _normal_tail(t / self.narrow) + 1 - 2 * _normal_tail(t / self.wide))

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        return (rng.standard_normal(len(y)) * np.where(y == 1, self.wide, self.narrow))[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        square = np.square(x[:, 0].astype(float))
        s0, s1 = self.narrow, self.wide
        return _two(0.5 * square * (1 / s0**2 - 1 / s1**2) - math.log(s1 / s0))


@dataclass(frozen=True)
class OverlappingUniforms(AbstractDistribution):
    r"""U[0, 1] against U[1 − δ, 2 − δ]: $\mathcal R^* = \delta/2$.

    Args:
        overlap: δ in [0, 1].

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> OverlappingUniforms(0.3).bayes_risk
    0.15
    """

    overlap: float = 0.2

    def __post_init__(self):
        if not 0 <= self.overlap <= 1:
            raise SnnlearnError(f"OverlappingUniforms: overlap is {self.overlap}; give a length in [0, 1]")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        return self.overlap / 2

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base."""
        return (rng.random(len(y)) + np.where(y == 1, 1 - self.overlap, 0.0))[:, None]

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        one = np.where(x[:, 0] > 1, 1.0, np.where(x[:, 0] < 1 - self.overlap, 0.0, 0.5))
        return np.stack([1 - one, one], axis=1)


@dataclass(frozen=True)
class FlippedConcept(AbstractDistribution):
    r"""x uniform in the cube [0, 1]^d, y = concept(x) but wrong with probability η: $\mathcal R^* = \eta$.

    Args:
        eta: η in [0, ½].
        dimension: d ≥ 1.
        concept: from x `[m, d]` to classes 0 and 1, `[m]`; by default the half-space Σx > d/2.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> FlippedConcept(0.1).bayes_risk
    0.1
    """

    eta: float = 0.1
    dimension: int = 2
    concept: Callable[[np.ndarray], np.ndarray] = lambda x: x.sum(axis=1) > x.shape[1] / 2

    def __post_init__(self):
        if not 0 <= self.eta <= 0.5 or self.dimension < 1:
            raise SnnlearnError(f"FlippedConcept: eta {self.eta}, dimension {self.dimension}; give η in [0, ½], d ≥ 1")

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        return self.eta

    def draw(self, m: int, *, seed: int = 0) -> Sample:
        """See the base; x comes first here, and the concept need not have classes of equal size."""
        if m < 1:
            raise SnnlearnError(f"FlippedConcept: m is {m}; draw at least 1 sample")
        rng = np.random.default_rng(seed)
        x = rng.random((m, self.dimension)).astype(np.float32)
        return Sample(x, (self._truth(x) ^ (rng.random(m) < self.eta)).astype(np.int32))

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base; `draw` draws x first instead."""
        raise NotImplementedError

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        one = np.where(self._truth(x), 1 - self.eta, self.eta)
        return np.stack([1 - one, one], axis=1)

    def _truth(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.concept(x)).astype(bool)


@dataclass(frozen=True)
class YinYang(AbstractDistribution):
    r"""The points of [`yin_yang`][snnlearn.data.yin_yang], of three classes without noise: $\mathcal R^* = 0$.

    Args:
        r_small: radius of the dots.
        r_big: radius of the symbol.
    """

    r_small: float = 0.1
    r_big: float = 0.5
    num_classes = 3

    @property
    def bayes_risk(self) -> float:
        """See the base."""
        return 0.0

    def draw(self, m: int, *, seed: int = 0) -> Sample:
        """See the base."""
        return _draw_yin_yang(m, self.r_small, self.r_big, seed)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base; `draw` does both."""
        raise NotImplementedError

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        found = [_yin_yang_class(float(a), float(b), self.r_small, self.r_big) or 0 for a, b in x[:, :2]]
        return np.eye(3)[found]


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
        return _two(x[:, 0].astype(float) * math.log(self.mean1 / self.mean0) - (self.mean1 - self.mean0))


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
        return _two(k * math.log(self.p1 / self.p0) + (self.n - k) * silent)


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


@dataclass(frozen=True)
class NoisyFunction:
    r"""Regression: x uniform in [0, 1]^d, $y = g(x) + \mathcal N(0, \sigma^2)$, $\mathcal R^* = \sigma^2$.

    The loss is the squared error, and $f^*(x) = \mathbb E[Y|x] = g(x)$.

    Args:
        function: g, from `[m, d]` to `[m]`.
        sigma: σ ≥ 0.
        dimension: d ≥ 1.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> d = NoisyFunction(lambda x: np.sin(x[:, 0]), sigma=0.2)
    >>> round(d.bayes_risk, 6), d.draw(3)[1].shape
    (0.04, (3,))
    """

    function: Callable[[np.ndarray], np.ndarray]
    sigma: float = 0.1
    dimension: int = 1

    def __post_init__(self):
        if not 0 <= self.sigma < math.inf or self.dimension < 1:
            raise SnnlearnError(f"NoisyFunction: sigma {self.sigma}, dimension {self.dimension}; give σ ≥ 0 and d ≥ 1")

    @property
    def bayes_risk(self) -> float:
        """σ²."""
        return self.sigma**2

    def draw(self, m: int, *, seed: int = 0) -> Sample:
        """An independent sample of m; y are real numbers.

        Raises:
            SnnlearnError: if m is below 1.
        """
        if m < 1:
            raise SnnlearnError(f"NoisyFunction: m is {m}; draw at least 1 sample")
        rng = np.random.default_rng(seed)
        x = rng.random((m, self.dimension))
        return Sample(x.astype(np.float32), self.function(x) + self.sigma * rng.standard_normal(m))

    def bayes_optimal(self, x: np.ndarray) -> np.ndarray:
        """G."""
        return self.function(np.asarray(x, float))
