"""Double descent in closed form: the risk of least squares on the first p of D Gaussian features."""

from __future__ import annotations

import math

import numpy as np

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError


@checked
def least_squares_risk(p: int, n: int, *, kept: float, dropped: float, noise: float) -> float:
    r"""Expected risk of the least-squares solution of least norm, by the number of features p and of samples n.

    With $y = x^\top\beta + \epsilon$, x standard normal and $S = \lVert\beta_{T^c}\rVert^2 + \sigma^2$:
    $S(1 + \frac{p}{n-p-1})$ for $p \le n-2$; $\lVert\beta_T\rVert^2(1-\frac np) + S(1+\frac{n}{p-n-1})$ for
    $p \ge n+2$; infinite between.

    Args:
        p: features used, ≥ 0.
        n: samples, ≥ 1.
        kept: $\lVert\beta_T\rVert^2$ of the features used, ≥ 0.
        dropped: $\lVert\beta_{T^c}\rVert^2$ of the others, ≥ 0.
        noise: $\sigma$ ≥ 0.

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: M. Belkin, D. Hsu and J. Xu 2020, doi:10.1137/20M1336072.

    >>> [round(least_squares_risk(p, 40, kept=p / 100, dropped=1 - p / 100, noise=0.5), 4) for p in (10, 60, 100)]
    [1.5466, 2.2184, 1.0195]
    """
    if p < 0 or n < 1 or min(kept, dropped, noise) < 0:
        raise SnnlearnError(f"p {p}, n {n}, kept {kept}, dropped {dropped}, noise {noise}: need ≥ 0")
    rest = dropped + noise**2
    if p <= n - 2:
        return rest * (1 + p / (n - p - 1))
    if p >= n + 2:
        return kept * (1 - n / p) + rest * (1 + n / (p - n - 1))
    return math.inf


@checked
def simulate_least_squares(
    p: int, n: int, beta: np.ndarray, noise: float, *, repetitions: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The same risk by simulation: its mean over samples, and the standard error of the mean.

    Args:
        p: features used, ≥ 1, the first of them.
        n: samples, ≥ 1.
        beta: the true coefficients, `[D]`.
        noise: standard deviation of y around them.
        repetitions: samples drawn, ≥ 2.
        seed: of the draws.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> mean, error = simulate_least_squares(5, 20, np.ones(10), 0.1, repetitions=200)
    >>> abs(mean - least_squares_risk(5, 20, kept=5.0, dropped=5.0, noise=0.1)) < 4 * error
    True
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((repetitions, n, len(beta)))
    y = x @ beta + noise * rng.standard_normal((repetitions, n))
    fitted = (np.linalg.pinv(x[:, :, :p]) @ y[..., None])[..., 0]
    risks = np.sum((fitted - beta[:p]) ** 2, axis=1) + np.sum(beta[p:] ** 2) + noise**2
    return float(risks.mean()), float(risks.std(ddof=1) / math.sqrt(repetitions))
