"""Classes in the plane and on the line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Sample
from snnlearn.data.distributions.base import AbstractDistribution
from snnlearn.data.synthetic import draw_yin_yang, yin_yang_class


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
        return draw_yin_yang(m, self.r_small, self.r_big, seed)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base; `draw` does both."""
        raise NotImplementedError

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        found = [yin_yang_class(float(a), float(b), self.r_small, self.r_big) or 0 for a, b in x[:, :2]]
        return np.eye(3)[found]
