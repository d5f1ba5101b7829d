r"""Capacity of networks by their norms, and by what they can fit.

The norm bounds are of *rate networks*, $x \mapsto W_L\,\sigma(W_{L-1}\cdots\sigma(W_1 x))$ with σ(u) = max(u, 0): what
spike counts of integrate-and-fire neurons with subtractive reset become over many steps of constant input. A spiking
network has jumps, and no norm of its weights bounds it. What holds for any two hypotheses is
$\mathcal R(f) \le \mathcal R(g) + P(f(X) \ne g(X))$, and the second term needs no labels: see `transferred_bound`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Integer

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample
from snnlearn.risk.bounds import check_delta, check_sample_size, random_signs
from snnlearn.risk.cross_validation import Decide
from snnlearn.risk.intervals import Count, Real, clopper_pearson

Weights = Sequence[Float[np.ndarray, "_out _in"]]


@checked
def rademacher_of_learner(
    learn: Callable[[Sample], Decide], x: Float[np.ndarray, "m *shape"], *, draws: int = 20, seed: int = 0
) -> tuple[float, float]:
    r"""$\hat{\mathfrak R}_S(F)=\mathbb E_\sigma\sup_f\frac1m\sum_i\sigma_i f(x^i)$ of ±1 classifiers, by fitting σ.

    Each draw asks an algorithm to learn random signs as labels; where it finds the best fit in its class, this is the
    complexity, else a *lower* estimate: how much the algorithm itself can fit. 1 means that it fits anything.

    Args:
        learn: the algorithm; it sees labels 0 and 1.
        x: the sample's x, `[m, *shape]`.
        draws: random sign vectors, ≥ 2; up to m = 16 samples with $2^m$ ≤ draws all are enumerated.
        seed: of the draws.

    Returns:
        the complexity and its standard error, 0 where it is exact.

    Raises:
        SnnlearnError: if x is empty, or draws is below 2.

    >>> constant = lambda sample: lambda x: np.full(len(x), int(np.mean(sample.y) > 0.5))
    >>> rademacher_of_learner(constant, np.eye(2), draws=4)  # |σ₁ + σ₂| / 2 is 1 or 0
    (0.5, 0.0)
    """
    if x.ndim < 2 or x.size == 0:
        raise SnnlearnError(f"rademacher_of_learner: x has shape {x.shape}; give [m, ...] of at least one sample")
    if draws < 2:
        raise SnnlearnError(f"rademacher_of_learner: draws is {draws}; give at least 2")
    m = len(x)
    if exact := 2**m <= draws:
        signs, _ = random_signs(m, draws, seed)
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (draws, m))
    found = []
    for sign in signs:
        decided = np.asarray(learn(Sample(x, (sign > 0).astype(np.int32)))(x))
        found.append(np.mean(sign * (2.0 * decided - 1)))
    return float(np.mean(found)), 0.0 if exact else float(np.std(found, ddof=1) / math.sqrt(len(found)))


@checked
def norm_complexity(weights: Weights, x: Float[np.ndarray, "m d"]) -> float:
    r"""Bound of the Rademacher complexity of networks by the Frobenius norms of their L layers.

    $$\hat{\mathfrak R}_S \le \frac{\sqrt{\sum_i\lVert x^i\rVert^2}}{m}\,
      (\sqrt{2L\ln 2}+1)\prod_{l\le L}\lVert W_l\rVert_F$$

    Of all rate networks of one output whose layers have at most these Frobenius norms.

    Args:
        weights: of the layers, `[out, in]` each, first to last.
        x: the samples, `[m, d]`.

    Raises:
        SnnlearnError: if x is empty, or weights is not a matrix for each layer.

    Source: N. Golowich, A. Rakhlin and O. Shamir, COLT 2018, Theorem 1, arXiv:1712.06541.

    >>> x = np.ones((100, 4))  # one layer: √400 / 100 · (√(2 ln 2) + 1) · 3
    >>> round(norm_complexity([np.array([[3.0, 0.0, 0.0, 0.0]])], x), 6)
    1.306446
    """
    weights = _checked(weights)
    check_sample_size(len(x))
    product = math.prod(float(np.linalg.norm(w)) for w in weights)
    return math.sqrt(float(np.sum(x**2))) / len(x) * (math.sqrt(2 * len(weights) * math.log(2)) + 1) * product


@checked
def spectral_complexity(weights: Weights, references: Weights | None = None) -> float:
    r"""Spectral complexity of a network, the norm that its margin bound depends on.

    $$R_A = \prod_i\lVert A_i\rVert_\sigma
      \Big(\sum_i(\lVert A_i^\top - M_i^\top\rVert_{2,1}/\lVert A_i\rVert_\sigma)^{2/3}\Big)^{3/2}$$

    The bound is $R \le \hat R_\gamma + \tilde O(\lVert X\rVert_F R_A/(\gamma m))$ for 1-Lipschitz activations; its
    constants are not made for use, but $R_A$ compares networks. $\lVert A^\top\rVert_{2,1}$ sums the Euclidean norms of
    A's rows.

    Args:
        weights: $A_i$, `[out, in]` each, first to last.
        references: $M_i$, fixed before the data, such as the initial weights; None is 0.

    Raises:
        SnnlearnError: if weights is not a matrix for each layer, or references differ from them in shape.

    Source: P. Bartlett, D. Foster and M. Telgarsky, NeurIPS 2017, eq. 1.2, arXiv:1706.08498.

    >>> spectral_complexity([np.diag([3.0, 4.0])])  # 4 · (7 / 4)
    7.0
    """
    weights = _checked(weights)
    references = [np.zeros_like(w) for w in weights] if references is None else _checked(references)
    if [w.shape for w in weights] != [m.shape for m in references]:
        raise SnnlearnError("spectral_complexity: weights and references differ in shape; give one for each layer")
    spectral = [float(np.linalg.norm(w, 2)) for w in weights]
    if min(spectral) == 0:
        return 0.0
    rows = [float(np.linalg.norm(w - m, axis=1).sum()) for w, m in zip(weights, references, strict=True)]
    return math.prod(spectral) * sum((r / s) ** (2 / 3) for r, s in zip(rows, spectral, strict=True)) ** 1.5


@checked
def margin_error(scores: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " m"], margin: Real) -> float:
    r"""$\hat R_\rho$: the share of samples whose class does not lead all others by more than ρ.

    Args:
        scores: `[m, C]`.
        labels: `[m]`.
        margin: ρ ≥ 0.

    Raises:
        SnnlearnError: if the scores are empty, the labels are not as many, or margin is below 0.

    >>> margin_error(np.array([[2.0, 0.0], [1.0, 0.5]]), np.array([0, 0]), 1.0)
    0.5
    """
    if scores.ndim != 2 or len(scores) != len(labels) or scores.size == 0 or not margin >= 0:
        raise SnnlearnError(f"margin_error: scores {scores.shape}, labels {labels.shape}, margin {margin}; margin ≥ 0")
    rows = np.arange(len(labels))
    others = np.array(scores, dtype=float)
    others[rows, labels] = -np.inf
    return float(np.mean(scores[rows, labels] - others.max(axis=1) <= margin))


@checked
def margin_bound(
    margin_error: Real, complexity: Real, m: Count, *, margin: Real, classes: Count = 2, delta: float = 0.05
) -> float:
    r"""$R \le \hat R_\rho + \frac{c}{\rho}\,\mathfrak R_m + \sqrt{\ln(1/\delta)/2m}$, c = 2 for two classes, else 4C.

    Args:
        margin_error: $\hat R_\rho$, see `margin_error`; of two classes with one score y f(x) ≤ ρ.
        complexity: $\mathfrak R_m$ of the scores: of one real function f for two classes, of any one class' score else.
        m: samples, ≥ 1.
        margin: ρ > 0, and the norms in the complexity, not chosen by the sample.
        classes: C ≥ 2.
        delta: chance that the statement fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: Mohri, Rostamizadeh and Talwalkar, Foundations of Machine Learning (2nd ed.), Theorems 5.8 and 9.2.

    >>> round(margin_bound(0.1, 0.01, 10_000, margin=0.5), 6)  # linear, Λ r = 1: 2 · 0.01 / 0.5
    0.152239
    """
    check_sample_size(m)
    check_delta(delta)
    if not (0 <= margin_error <= 1 and complexity >= 0 and margin > 0 and classes >= 2):
        raise SnnlearnError(
            f"margin_bound: margin_error {margin_error}, complexity {complexity}, margin {margin}, classes {classes}; "
            "give a share, numbers ≥ 0 and > 0, and at least 2 classes"
        )
    factor = 2 if classes == 2 else 4 * classes
    return margin_error + factor / margin * complexity + math.sqrt(math.log(1 / delta) / (2 * m))


@checked
def transferred_bound(bound: Real, disagreements: Count, n: Count, *, delta: float = 0.05) -> float:
    r"""$\mathcal R(f) \le \mathcal R(g) + P(f(X)\ne g(X))$: what is known of a rate network, for its spiking network.

    Args:
        bound: of $\mathcal R(g)$, with its own δ.
        disagreements: of f and g on n samples that neither depends on; labels are not needed.
        n: samples, ≥ 1.
        delta: chance that the second term is larger than its one-sided exact bound, to be added to the first's, < ½.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(transferred_bound(0.1, 0, 1000), 6)  # 1 − 0.05^(1/1000)
    0.102991
    """
    if not 0 < delta < 0.5:
        raise SnnlearnError(f"transferred_bound: delta is {delta}; give a number between 0 and ½")
    return bound + clopper_pearson(disagreements, n, confidence=1 - 2 * delta).high


def _checked(weights: Weights) -> list[np.ndarray]:
    found = [np.asarray(w, dtype=float) for w in weights]
    if not found or any(w.ndim != 2 for w in found):
        raise SnnlearnError(f"weights has shapes {[w.shape for w in found]}; give a matrix [out, in] for each layer")
    return found
