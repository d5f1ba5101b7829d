"""Real values to predict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Sample


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
        """$f^* = g$."""
        return self.function(np.asarray(x, float))
