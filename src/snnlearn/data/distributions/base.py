r"""Distributions that know their Bayes risk $\mathcal R^*$ and their Bayes-optimal function, spike trains included.

On them the risk of a hypothesis needs no test labels: given x, it errs with probability $1 - P(Y = f(x)\,|\,x)$.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample


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


def of_two(log_ratio: np.ndarray) -> Float[np.ndarray, "m 2"]:
    """The posterior of two equally likely classes from ln p(x|1)/p(x|0)."""
    from scipy.special import expit

    return np.stack([expit(-log_ratio), expit(log_ratio)], axis=1)


def normal_tail(x: float) -> float:
    """P(N(0, 1) > x)."""
    return 0.5 * math.erfc(x / math.sqrt(2))
