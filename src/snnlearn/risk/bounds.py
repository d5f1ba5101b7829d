r"""Bounds of the risk by the empirical risk that hold for all hypotheses of a class at once, with probability 1 − δ.

Losses are in [0, 1]. Each `…_radius` is what to add to the empirical risk. A radius above 1 says nothing: it is
returned as it is, since *that* a bound is vacuous is what one often wants to know.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from jaxtyping import Float

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.intervals import Count, Real


@checked
def hoeffding_radius(m: Count, *, delta: float = 0.05) -> float:
    r"""$\sqrt{\ln(2/\delta)/2m}$: how far one fixed hypothesis' empirical risk is from its risk, either way.

    Args:
        m: samples, ≥ 1.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(hoeffding_radius(10_000), 7)
    0.013581
    """
    return finite_class_radius(0.0, m, delta=delta)


@checked
def finite_class_radius(log_size: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$\sup_{f\in F}|R(f)-\hat R_s(f)| \le \sqrt{(\ln|F| + \ln(2/\delta))/2m}$ for a finite class.

    Args:
        log_size: $\ln|F|$ ≥ 0; of a chip with few-bit weights, `log_class_size`.
        m: samples, ≥ 1.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(finite_class_radius(math.log(1e6), 10_000), 7)
    0.0295841
    """
    check_sample_size(m)
    check_delta(delta)
    if not log_size >= 0:
        raise SnnlearnError(f"log_size is {log_size}; give ln|F| of a class of at least one hypothesis, from 0")
    return math.sqrt((log_size + math.log(2 / delta)) / (2 * m))


@checked
def realizable_bound(log_size: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$R(f) \le (\ln|F| + \ln(1/\delta))/m$ for every $f$ of a finite class that makes no error on the sample.

    Args:
        log_size: $\ln|F|$ ≥ 0.
        m: samples, ≥ 1.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(realizable_bound(math.log(1000), 1000), 6)
    0.009903
    """
    check_sample_size(m)
    check_delta(delta)
    if not log_size >= 0:
        raise SnnlearnError(f"log_size is {log_size}; give ln|F| of a class of at least one hypothesis, from 0")
    return (log_size + math.log(1 / delta)) / m


@checked
def log_class_size(num_weights: Count, bits: Count) -> float:
    r"""$\ln|F| = W\,b\,\ln 2$: what W synapses of b bits can be set to.

    Args:
        num_weights: synapses W, ≥ 0.
        bits: of each weight b, ≥ 1.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(log_class_size(256 * 10, 6), 3)
    10646.741
    """
    if num_weights < 0 or bits < 1:
        raise SnnlearnError(f"log_class_size: {num_weights} weights of {bits} bits; give at least 0 weights of 1 bit")
    return num_weights * bits * math.log(2)


@checked
def vc_radius(dimension: Count, m: Count, *, delta: float = 0.05) -> float:
    r"""$\sqrt{2d\ln(em/d)/m} + \sqrt{\ln(1/\delta)/2m}$ for a class of VC dimension d ≤ m.

    Args:
        dimension: $d$, ≥ 1; d + 1 for half-spaces of R^d, 4 for axis-aligned rectangles of the plane.
        m: samples, ≥ d.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: Mohri, Rostamizadeh and Talwalkar, Foundations of Machine Learning (2nd ed.), Corollary 3.19.

    >>> round(vc_radius(11, 10_000), 6)
    0.143339
    """
    check_sample_size(m)
    check_delta(delta)
    if not 1 <= dimension <= m:
        raise SnnlearnError(f"vc_radius: dimension is {dimension} and m {m}; give a dimension from 1 to m")
    return math.sqrt(2 * dimension * math.log(math.e * m / dimension) / m) + math.sqrt(math.log(1 / delta) / (2 * m))


@checked
def growth_bound(dimension: Count, m: Count) -> int:
    r"""Sauer's lemma: a class of VC dimension d labels m points in at most $\sum_{i\le d}\binom mi$ ways.

    Args:
        dimension: $d$, ≥ 0.
        m: points, ≥ 0.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> growth_bound(2, 4), growth_bound(5, 4)
    (11, 16)
    """
    if dimension < 0 or m < 0:
        raise SnnlearnError(f"growth_bound: dimension is {dimension} and m {m}; give whole numbers from 0")
    return sum(math.comb(m, i) for i in range(dimension + 1))


@checked
def rademacher_radius(complexity: Real, m: Count, *, delta: float = 0.05, empirical: bool = False) -> float:
    r"""$2\mathfrak R + \sqrt{\ln(1/\delta)/2m}$; of a sample's own, $2\hat{\mathfrak R} + 3\sqrt{\ln(2/\delta)/2m}$.

    Args:
        complexity: Rademacher complexity of the *losses*, ≥ 0. For the 0–1 loss of ±1 classifiers it is half that of
            the classifiers; after a loss of Lipschitz constant c it is at most c times that of the scores.
        m: samples, ≥ 1.
        delta: chance that the statement fails, in (0, 1).
        empirical: whether the complexity is of this sample instead of its mean over samples.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(rademacher_radius(0.01, 10_000), 6)
    0.032239
    """
    check_sample_size(m)
    check_delta(delta)
    if not complexity >= 0:
        raise SnnlearnError(f"rademacher_radius: complexity is {complexity}; give a number from 0")
    if empirical:
        return 2 * complexity + 3 * math.sqrt(math.log(2 / delta) / (2 * m))
    return 2 * complexity + math.sqrt(math.log(1 / delta) / (2 * m))


@checked
def massart_bound(outputs: Float[np.ndarray, "F m"]) -> float:
    r"""Massart's lemma: $\hat{\mathfrak R} \le \max_f\lVert f\rVert_2\sqrt{2\ln|F|}/m$ for a finite class.

    Args:
        outputs: of each hypothesis on each sample, `[F, m]`.

    Raises:
        SnnlearnError: if outputs is empty.

    >>> round(massart_bound(np.ones((8, 100))), 6)
    0.203933
    """
    if outputs.size == 0:
        raise SnnlearnError("massart_bound: outputs is empty; give those of at least one hypothesis on one sample")
    size, m = outputs.shape
    return float(np.linalg.norm(outputs, axis=1).max()) * math.sqrt(2 * math.log(size)) / m


@checked
def rademacher_of_class(
    outputs: Float[np.ndarray, "F m"], *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    r"""$\hat{\mathfrak R}_S(F)=\mathbb E_\sigma \max_f \frac1m\sum_i\sigma_i f(x^i)$ of a finite class.

    Args:
        outputs: of each hypothesis on each sample, `[F, m]`.
        draws: random sign vectors; up to m = 16 samples all $2^m$ are enumerated instead.
        seed: of the draws.

    Returns:
        the complexity and its standard error, 0 where it is exact.

    Raises:
        SnnlearnError: if outputs is empty.

    >>> rademacher_of_class(np.array([[1.0, 1.0], [-1.0, -1.0]]))  # |σ₁ + σ₂| / 2 is 1 or 0
    (0.5, 0.0)
    """
    if outputs.size == 0:
        raise SnnlearnError("rademacher_of_class: outputs is empty; give at least one hypothesis on one sample")
    m = outputs.shape[1]
    signs, exact = random_signs(m, draws, seed)
    best = (signs @ outputs.T).max(axis=1) / m
    return float(best.mean()), 0.0 if exact else float(best.std(ddof=1) / math.sqrt(len(best)))


@checked
def rademacher_of_linear(
    x: Float[np.ndarray, "m d"], norm: Real, *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    r"""$\hat{\mathfrak R}_S = \frac\Lambda m\,\mathbb E_\sigma\lVert\sum_i\sigma_i x^i\rVert_2 \le \Lambda r/\sqrt m$.

    Of the linear functions $\langle w, x\rangle$ with $\lVert w\rVert_2\le\Lambda$.

    Args:
        x: the samples, `[m, d]`.
        norm: $\Lambda$, ≥ 0.
        draws: random sign vectors; up to m = 16 samples all $2^m$ are enumerated instead.
        seed: of the draws.

    Returns:
        the complexity and its standard error, 0 where it is exact.

    Raises:
        SnnlearnError: if x is empty or norm is below 0.

    >>> rademacher_of_linear(np.eye(4), 3.0)  # orthogonal samples: Λ r / √m
    (1.5, 0.0)
    """
    if x.size == 0 or norm < 0:
        raise SnnlearnError(
            f"rademacher_of_linear: x has shape {x.shape} and norm is {norm}; give samples, and norm ≥ 0"
        )
    signs, exact = random_signs(len(x), draws, seed)
    length = np.linalg.norm(signs @ x, axis=1) * norm / len(x)
    return float(length.mean()), 0.0 if exact else float(length.std(ddof=1) / math.sqrt(len(length)))


def random_signs(m: int, draws: int, seed: int) -> tuple[np.ndarray, bool]:
    """All sign vectors of m ≤ 16 samples, or random ones; and whether they are all."""
    if m <= 16:
        return np.array(list(itertools.product((-1.0, 1.0), repeat=m))), True
    if draws < 2:
        raise SnnlearnError(f"draws is {draws}; give at least 2")
    return np.random.default_rng(seed).choice([-1.0, 1.0], (draws, m)), False


def check_delta(delta: float) -> None:
    """Refuse a δ that is no probability of failing."""
    if not 0 < delta < 1:
        raise SnnlearnError(f"delta is {delta}; give the chance that the bound fails, between 0 and 1, such as 0.05")


def check_sample_size(m: Count) -> None:
    """Refuse the empty sample."""
    if m < 1:
        raise SnnlearnError(f"m is {m}; a bound needs at least 1 sample")
