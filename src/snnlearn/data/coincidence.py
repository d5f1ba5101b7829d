"""Spikes whose only message is the time between two of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn.data.distributions import AbstractDistribution


@dataclass(frozen=True)
class Coincidences(AbstractDistribution):
    r"""Pairs of inputs; each spikes once, and the second a lag after the first that tells the class.

    Pair i has a lag $L_{ik}$ for each class k, drawn once, all different. In a sample of class k the lag of each pair
    is $L_{ik}$ with probability p, and else any of the M between the shortest and the longest, uniformly. The first
    spike may come at any time. So each pair votes for one class or for none, votes are independent given the class, and
    $P(Y=k\,|\,x)\propto(1+Mp/(1-p))^{n_k}$ with $n_k$ votes for k: the class with most votes is the Bayes-optimal
    decision. It needs coincidence detectors behind delays $L_{ik}$ of the first spike. Rates carry no information.

    Args:
        num_classes: ≥ 2.
        num_pairs: pairs of inputs, ≥ 1; x has inputs 2i and 2i + 1 for pair i.
        num_steps: T, more than the longest lag.
        shortest: the shortest lag, in steps, ≥ 1.
        longest: the longest lag, in steps; there must be one for each class.
        reliability: p, in (0, 1).
        seed: of the lags.

    Raises:
        SnnlearnError: a number is out of range.

    Source: this library's. Delays that make spikes coincide are the idea of Jeffress 1948, and of polychronous groups
    (Izhikevich 2006, doi:10.1162/089976606775093882).

    >>> d = Coincidences(num_classes=2, num_pairs=1, shortest=1, longest=2, reliability=0.6)
    >>> round(d.bayes_risk, 6)  # half of the 0.4
    0.2
    """

    num_classes: int = 4
    num_pairs: int = 6
    num_steps: int = 60
    shortest: int = 8
    longest: int = 24
    reliability: float = 0.8
    seed: int = 0
    kind = "spikes"

    def __post_init__(self):
        for name, least in (("num_classes", 2), ("num_pairs", 1), ("shortest", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise SnnlearnError(f"Coincidences: {name} is {getattr(self, name)}; give a whole number from {least}")
        if self._num_lags < self.num_classes:
            raise SnnlearnError(
                f"Coincidences: from {self.shortest} to {self.longest} there are fewer than {self.num_classes} lags; "
                "give one for each class"
            )
        if self.num_steps <= self.longest:
            raise SnnlearnError(
                f"Coincidences: num_steps is {self.num_steps}; give more steps than the longest lag, {self.longest}"
            )
        if not 0 < self.reliability < 1:
            raise SnnlearnError(f"Coincidences: reliability is {self.reliability}; give a probability in (0, 1)")

    @property
    def _num_lags(self) -> int:
        return self.longest - self.shortest + 1

    @property
    def lags(self) -> Int[np.ndarray, "pairs C"]:
        """The lag of each pair in each class, in steps."""
        rng = np.random.default_rng(self.seed)
        every = np.tile(np.arange(self.shortest, self.longest + 1), (self.num_pairs, 1))
        return rng.permuted(every, axis=1)[:, : self.num_classes]

    @property
    def bayes_risk(self) -> float:
        """See the base: exact, from the multinomial distribution of the votes."""
        by_chance = (1 - self.reliability) / self._num_lags
        right, none = self.reliability + by_chance, (self._num_lags - self.num_classes) * by_chance
        others, n = self.num_classes - 1, self.num_pairs

        def term(p: float, k: int) -> Float[np.ndarray, " n"]:
            """p^k z^k / k!, as coefficients up to z^n."""
            return p**k / math.factorial(k) * np.eye(n + 1)[k]

        def times(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return np.convolve(a, b)[: n + 1]

        correct = 0.0
        for votes in range(n + 1):
            fewer = np.sum([term(by_chance, k) for k in range(votes)], axis=0) if votes else np.zeros(n + 1)
            rest = np.sum([term(none, k) for k in range(n + 1)], axis=0)
            for equal in range(others + 1):  # classes with as many votes as the right one, among which any is as good
                product = times(term(right, votes), rest)
                for other in range(others):
                    product = times(product, term(by_chance, votes) if other < equal else fewer)
                correct += math.comb(others, equal) / (1 + equal) * product[n] * math.factorial(n)
        return float(1 - correct)

    def draw_x(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """See the base: `[m, T, 2 · pairs]`."""
        shape = len(y), self.num_pairs
        told = rng.random(shape) < self.reliability
        lag = np.where(told, self.lags[:, y].T, rng.integers(self.shortest, self.longest + 1, shape))
        first = rng.integers(0, self.num_steps - self.longest, shape)
        x = np.zeros((len(y), self.num_steps, self.num_pairs, 2), np.uint8)
        sample, pair = np.indices(shape)
        x[sample, first, pair, 0] = 1
        x[sample, first + lag, pair, 1] = 1
        return x.reshape(len(y), self.num_steps, -1)

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """See the base."""
        times = np.asarray(x).reshape(len(x), self.num_steps, self.num_pairs, 2).argmax(axis=1)
        votes = ((times[..., 1] - times[..., 0])[..., None] == self.lags).sum(axis=1)
        ratio = 1 + self._num_lags * self.reliability / (1 - self.reliability)
        odds = ratio ** (votes - votes.max(axis=1, keepdims=True)).astype(float)
        return odds / odds.sum(axis=1, keepdims=True)
