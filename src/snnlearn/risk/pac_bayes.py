r"""PAC-Bayes bounds: the risk of a random hypothesis drawn from a posterior Q, by its distance from a prior P.

With probability 1 − δ over the sample, *for all Q at once*, as long as P was fixed before the sample was seen. Losses
are in [0, 1]; $\hat R_Q$ and $R_Q$ are their means over $f \sim Q$ on the sample and in truth, and
$c = (KL(Q\|P) + \ln(2\sqrt m/\delta))/m$.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.risk.bounds import check_delta, check_sample_size
from snnlearn.risk.intervals import Count, Real


@checked
def bernoulli_kl(q: Real, p: Real) -> float:
    r"""$\mathrm{kl}(q\|p) = q\ln\frac qp + (1-q)\ln\frac{1-q}{1-p}$, in nats.

    Args:
        q: a probability.
        p: a probability.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> bernoulli_kl(0.5, 0.5), round(bernoulli_kl(0.0, 0.5), 6)
    (0.0, 0.693147)
    """
    for name, value in (("q", q), ("p", p)):
        if not 0 <= value <= 1:
            raise SnnlearnError(f"bernoulli_kl: {name} is {value}; give a probability in [0, 1]")

    return float(special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p))


@checked
def kl_inverse(q: Real, c: Real) -> float:
    r"""$\mathrm{kl}^{-1}(q; c) = \sup\{p : \mathrm{kl}(q\|p) \le c\}$: the largest truth credible of a mean $q$.

    Args:
        q: an observed mean of [0, 1] variables.
        c: ≥ 0.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(kl_inverse(0.028, 0.0834865), 5), kl_inverse(0.0, math.log(2))
    (0.15012, 0.5)
    """
    if not 0 <= q <= 1:
        raise SnnlearnError(f"kl_inverse: q is {q}; give an empirical risk in [0, 1]")
    if not c >= 0:
        raise SnnlearnError(f"kl_inverse: c is {c}; give a number from 0")
    if q == 0:
        return -math.expm1(-c)
    if q == 1 or c == 0:
        return q
    below_one = math.nextafter(1.0, 0.0)
    if bernoulli_kl(q, below_one) <= c:
        return 1.0
    excess = lambda p: special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p) - c  # noqa: E731
    return float(optimize.brentq(excess, q, below_one, xtol=1e-15))  # pyright: ignore[reportArgumentType]


@checked
def kl_inverse_gradient(q: Real, c: Real) -> tuple[float, float]:
    r"""$\partial\,\mathrm{kl}^{-1}/\partial q$ and $/\partial c$, by which the bound itself is minimised.

    With $p = \mathrm{kl}^{-1}(q; c)$: $\frac{\partial p}{\partial c} = \frac{p(1-p)}{p-q}$ and
    $\frac{\partial p}{\partial q} = \frac{\partial p}{\partial c}\,\ln\frac{p(1-q)}{q(1-p)}$.

    Args:
        q: in (0, 1).
        c: > 0.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> [round(d, 4) for d in kl_inverse_gradient(0.1, 0.05)]
    [1.3323, 1.4294]
    """
    p = min(kl_inverse(q, c), 1 - 1e-12)
    if not (0 < q < 1 and c > 0 and p > q):
        raise SnnlearnError(f"kl_inverse_gradient: q is {q} and c {c}; give q in (0, 1) and c above 0")
    by_c = p * (1 - p) / (p - q)
    return by_c * math.log(p * (1 - q) / (q * (1 - p))), by_c


@checked
def pac_bayes_complexity(kl: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$c = (KL(Q\|P) + \ln(2\sqrt m/\delta))/m$.

    Args:
        kl: $KL(Q\|P)$ ≥ 0, nats.
        m: samples, ≥ 1, none of which the prior has seen.
        delta: chance that the bound fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(pac_bayes_complexity(5000, 60_000), 7)
    0.0834865
    """
    _check(0.0, kl, m, delta)
    return (kl + math.log(2 * math.sqrt(m) / delta)) / m


@checked
def maurer_bound(empirical_risk: Real, kl: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$R_Q \le \mathrm{kl}^{-1}(\hat R_Q; c)$, the tightest of the closed forms (Seeger 2002, Maurer 2004), m ≥ 8.

    Args:
        empirical_risk: $\hat R_Q$ in [0, 1].
        kl: $KL(Q\|P)$ ≥ 0, nats.
        m: samples, ≥ 8, none of which the prior has seen.
        delta: chance that the bound fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: A. Maurer 2004, arXiv:cs/0411099.

    >>> round(maurer_bound(0.028, 5000, 60_000), 7)
    0.1501238
    """
    _check(empirical_risk, kl, m, delta)
    if m < 8:
        raise SnnlearnError(f"maurer_bound: m is {m}; the bound is proved for at least 8 samples")
    return kl_inverse(empirical_risk, pac_bayes_complexity(kl, m, delta=delta))


@checked
def mcallester_bound(empirical_risk: Real, kl: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$R_Q \le \hat R_Q + \sqrt{c/2}$; the arguments are those of [`maurer_bound`][snnlearn.risk.maurer_bound].

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(mcallester_bound(0.028, 5000, 60_000), 7)
    0.2323116
    """
    _check(empirical_risk, kl, m, delta)
    return empirical_risk + math.sqrt(pac_bayes_complexity(kl, m, delta=delta) / 2)


@checked
def refined_pinsker_bound(empirical_risk: Real, kl: Real, m: Count, *, delta: float = 0.05) -> float:
    r"""$R_Q \le \hat R_Q + \sqrt{2\hat R_Q c} + 2c$; arguments as of [`maurer_bound`][snnlearn.risk.maurer_bound].

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> round(refined_pinsker_bound(0.028, 5000, 60_000), 6)
    0.263349
    """
    _check(empirical_risk, kl, m, delta)
    c = pac_bayes_complexity(kl, m, delta=delta)
    return empirical_risk + math.sqrt(2 * empirical_risk * c) + 2 * c


@checked
def catoni_bound(empirical_risk: Real, kl: Real, m: Count, *, c: Real, delta: float = 0.05) -> float:
    r"""$R_Q \le \frac{1 - \exp(-C\hat R_Q - (KL + \ln(1/\delta))/m)}{1 - e^{-C}}$ for a C > 0 fixed before the data.

    Args:
        empirical_risk: $\hat R_Q$ in [0, 1].
        kl: $KL(Q\|P)$ ≥ 0, nats.
        m: samples, ≥ 1.
        c: $C$, > 0, not chosen by the data.
        delta: chance that the bound fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: O. Catoni 2007, doi:10.1214/074921707000000391.

    >>> round(catoni_bound(0.028, 5000, 60_000, c=2.0), 6)
    0.150469
    """
    _check(empirical_risk, kl, m, delta)
    if not 0 < c < math.inf:
        raise SnnlearnError(f"catoni_bound: c is {c}; give a finite number above 0")
    return -math.expm1(-c * empirical_risk - (kl + math.log(1 / delta)) / m) / -math.expm1(-c)


@checked
def thiemann_bound(empirical_risk: Real, kl: Real, m: Count, *, lambda_: Real, delta: float = 0.05) -> float:
    r"""$R_Q \le \frac{\hat R_Q}{1-\lambda/2} + \frac{c}{\lambda(1-\lambda/2)}$, for all λ in (0, 2) at once.

    Args:
        empirical_risk: $\hat R_Q$ in [0, 1].
        kl: $KL(Q\|P)$ ≥ 0, nats.
        m: samples, ≥ 1.
        lambda_: λ, in (0, 2); it may be chosen by the data.
        delta: chance that the bound fails, in (0, 1).

    Raises:
        SnnlearnError: for an argument outside its range.

    Source: N. Thiemann et al. 2017, arXiv:1608.05610.

    >>> round(thiemann_bound(0.028, 5000, 60_000, lambda_=1.0), 6)
    0.222973
    """
    _check(empirical_risk, kl, m, delta)
    if not 0 < lambda_ < 2:
        raise SnnlearnError(f"thiemann_bound: lambda_ is {lambda_}; give a number between 0 and 2")
    shrunk = 1 - lambda_ / 2
    return empirical_risk / shrunk + pac_bayes_complexity(kl, m, delta=delta) / (lambda_ * shrunk)


@checked
def gaussian_kl(
    mean: np.ndarray, std: np.ndarray | float, prior_mean: np.ndarray, prior_std: np.ndarray | float
) -> float:
    r"""$KL = \frac12\sum[s_q^2/s_p^2 + (\mu_q-\mu_p)^2/s_p^2 - 1 - \ln(s_q^2/s_p^2)]$, nats.

    Between Gaussians of independent components.

    Args:
        mean: $\mu_q$.
        std: $s_q$ > 0, of the same shape, or one number.
        prior_mean: $\mu_p$, of the same shape.
        prior_std: $s_p$ > 0, of the same shape, or one number.

    Raises:
        SnnlearnError: if a standard deviation is not above 0.

    >>> gaussian_kl(np.ones(3), 1.0, np.zeros(3), 1.0)
    1.5
    """
    if not (np.all(np.asarray(std) > 0) and np.all(np.asarray(prior_std) > 0)):
        raise SnnlearnError("gaussian_kl: a standard deviation is not above 0; give positive numbers")
    ratio = np.square(np.asarray(std, float) / prior_std)
    shift = np.square((np.asarray(mean, float) - prior_mean) / prior_std)
    return float(0.5 * np.sum(ratio + shift - 1 - np.log(ratio)))


def _check(empirical_risk: Real, kl: Real, m: Count, delta: float) -> None:
    check_sample_size(m)
    check_delta(delta)
    if not 0 <= empirical_risk <= 1:
        raise SnnlearnError(f"empirical_risk is {empirical_risk}; give a probability in [0, 1]")
    if not kl >= 0:
        raise SnnlearnError(f"kl is {kl}; give a divergence from 0, in nats")
