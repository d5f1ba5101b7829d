"""Every bound against the values and formulas of the literature, and against simulation where it promises something."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats

from snnlearn import risk
from snnlearn._errors import SnnlearnError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (lambda: risk.hoeffding_radius(10_000), 0.0135810),
        (lambda: risk.finite_class_radius(math.log(10**6), 10_000), 0.0295841),
        (lambda: risk.vc_radius(11, 10_000), 0.143339),
        (lambda: risk.vc_radius(785, 60_000), 0.378676),
        (lambda: risk.pac_bayes_complexity(5000, 60_000), 0.0834865),
        (lambda: risk.maurer_bound(0.028, 5000, 60_000), 0.1501238),
        (lambda: risk.mcallester_bound(0.028, 5000, 60_000), 0.2323116),
    ],
)
def test_known_values(value, expected):
    assert value() == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize(("m", "delta"), [(37, 0.2), (5000, 0.01)])
def test_radii_are_their_formulas(m, delta):
    assert risk.hoeffding_radius(m, delta=delta) == pytest.approx(math.sqrt(math.log(2 / delta) / 2 / m), rel=1e-12)
    chip = risk.log_class_size(40, 3)
    assert chip == pytest.approx(math.log(2.0**120), rel=1e-12)
    expected = math.sqrt((120 * math.log(2) + math.log(2 / delta)) / 2 / m)
    assert risk.finite_class_radius(chip, m, delta=delta) == pytest.approx(expected, rel=1e-12)
    assert risk.realizable_bound(chip, m, delta=delta) == pytest.approx((chip + math.log(1 / delta)) / m, rel=1e-12)
    expected = math.sqrt(2 * 9 / m * (1 + math.log(m / 9))) + math.sqrt(math.log(1 / delta) / 2 / m)
    assert risk.vc_radius(9, m, delta=delta) == pytest.approx(expected, rel=1e-12)
    expected = 0.02 + math.sqrt(math.log(1 / delta) / 2 / m)
    assert risk.rademacher_radius(0.01, m, delta=delta) == pytest.approx(expected, rel=1e-12)
    expected = 0.02 + 3 * math.sqrt(math.log(2 / delta) / 2 / m)
    assert risk.rademacher_radius(0.01, m, delta=delta, empirical=True) == pytest.approx(expected, rel=1e-12)


def test_finite_class_radius_holds_for_all_hypotheses_at_once():
    """Threshold functions on U[0, 1] with label noise: the largest deviation over 64 of them, 10,000 times."""
    rng = np.random.default_rng(0)
    thresholds, m, delta = np.linspace(0, 1, 64), 50, 0.2
    truth = 0.1 + 0.8 * np.abs(thresholds - 0.5)
    x = rng.random((10_000, m))
    y = (x > 0.5) ^ (rng.random(x.shape) < 0.1)
    empirical = np.stack([np.mean((x > t) ^ y, axis=1) for t in thresholds])
    deviation = np.abs(empirical - truth[:, None]).max(axis=0)
    radius = risk.finite_class_radius(math.log(64), m, delta=delta)
    assert np.mean(deviation > radius) <= delta
    assert np.mean(deviation > radius / 2) > delta  # the check can fail


def test_sauer_counts_the_intervals_and_half_lines():
    def labelings(sets, m):
        return len({tuple(s(i) for i in range(m)) for s in sets})

    m = 9
    half_lines = [lambda i, a=a: i >= a for a in range(m + 1)]
    intervals = [lambda i, a=a, b=b: a <= i < b for a in range(m + 1) for b in range(a, m + 1)]
    assert labelings(half_lines, m) == risk.growth_bound(1, m)  # one-sided half-lines: exactly m + 1
    assert labelings(intervals, m) == risk.growth_bound(2, m)
    assert risk.growth_bound(4, 30) <= (math.e * 30 / 4) ** 4


def test_rademacher_of_a_finite_class_by_enumeration_and_below_massart():
    outputs = np.sign(np.random.default_rng(1).normal(size=(12, 10)))
    exact = np.mean([max(outputs @ np.array(s)) / 10 for s in itertools.product((-1, 1), repeat=10)])
    found, error = risk.rademacher_of_class(outputs)
    assert found == pytest.approx(exact, rel=1e-12) and error == 0
    assert found <= risk.massart_bound(outputs)
    wide = np.repeat(outputs, 3, axis=1)
    estimate, error = risk.rademacher_of_class(wide, draws=4000, seed=2)
    assert 0 < error < 0.01 and estimate < risk.massart_bound(wide)


def test_rademacher_of_linear_functions():
    x = 2.0 * np.eye(30)  # orthogonal: exactly Λ r / √m
    found, error = risk.rademacher_of_linear(x, 1.5, draws=100)
    assert found == pytest.approx(1.5 * 2 / math.sqrt(30), rel=1e-12) and error == pytest.approx(0, abs=1e-12)
    x = np.random.default_rng(3).normal(size=(12, 4))
    exact = np.mean([np.linalg.norm(np.array(s) @ x) for s in itertools.product((-1, 1), repeat=12)]) / 12
    assert risk.rademacher_of_linear(x, 1.0)[0] == pytest.approx(exact, rel=1e-12)
    assert exact <= np.linalg.norm(x, axis=1).max() / math.sqrt(12)
    x = np.random.default_rng(4).normal(size=(400, 5))
    found, error = risk.rademacher_of_linear(x, 1.0, draws=3000)
    # ‖Σσx‖ is a 5-dimensional Gaussian's length in the limit: mean √(mean of χ²₅ scaled), by its closed form.
    limit = math.sqrt(2 * 400) * math.gamma(3) / math.gamma(2.5) / 400
    assert found == pytest.approx(limit, rel=0.06) and error < 0.002


# --- PAC-Bayes


@pytest.mark.parametrize("q", [0.0, 0.01, 0.3, 0.9])
@pytest.mark.parametrize("c", [1e-4, 0.05, 0.7])
def test_kl_inverse_solves_its_definition(q, c):
    p = risk.kl_inverse(q, c)
    assert q <= p <= 1
    if p < 1:
        assert risk.bernoulli_kl(q, p) == pytest.approx(c, rel=1e-7)
    if q == 0:
        assert p == pytest.approx(1 - math.exp(-c), rel=1e-12)


def test_kl_inverse_at_its_ends():
    assert risk.kl_inverse(1.0, 0.3) == 1.0 and risk.kl_inverse(0.4, 0.0) == 0.4 and risk.kl_inverse(0.5, 100) == 1.0


@pytest.mark.parametrize(("q", "c"), [(0.02, 0.1), (0.4, 0.01), (0.7, 0.3)])
def test_kl_inverse_gradient_is_the_derivative(q, c):
    by_q, by_c = risk.kl_inverse_gradient(q, c)
    h = 1e-6
    assert by_q == pytest.approx((risk.kl_inverse(q + h, c) - risk.kl_inverse(q - h, c)) / (2 * h), rel=1e-5)
    assert by_c == pytest.approx((risk.kl_inverse(q, c + h) - risk.kl_inverse(q, c - h)) / (2 * h), rel=1e-5)


def test_pac_bayes_bounds_are_their_formulas():
    r, kl, m, delta = 0.07, 40.0, 900, 0.1
    c = (kl + math.log(2 * 30 / delta)) / m
    assert risk.mcallester_bound(r, kl, m, delta=delta) == pytest.approx(r + math.sqrt(c / 2), rel=1e-12)
    assert risk.refined_pinsker_bound(r, kl, m, delta=delta) == pytest.approx(r + math.sqrt(2 * r * c) + 2 * c)
    for lambda_ in (0.3, 1.7):
        expected = r / (1 - lambda_ / 2) + c / (lambda_ * (1 - lambda_ / 2))
        assert risk.thiemann_bound(r, kl, m, lambda_=lambda_, delta=delta) == pytest.approx(expected)
    for big_c in (0.5, 3.0):
        expected = (1 - math.exp(-big_c * r - (kl + math.log(10)) / m)) / (1 - math.exp(-big_c))
        assert risk.catoni_bound(r, kl, m, c=big_c, delta=delta) == pytest.approx(expected)


def test_the_tightest_is_the_tightest():
    maurer = risk.maurer_bound(0.05, 100.0, 3000)
    assert maurer <= risk.mcallester_bound(0.05, 100.0, 3000)
    assert maurer <= risk.refined_pinsker_bound(0.05, 100.0, 3000)
    assert maurer <= min(risk.thiemann_bound(0.05, 100.0, 3000, lambda_=x) for x in np.linspace(0.05, 1.95, 50))


def test_gaussian_kl_is_the_integral():
    q, p = stats.norm(0.7, 0.5), stats.norm(-0.2, 1.3)
    one = integrate.quad(lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), -8, 8)[0]
    found = risk.gaussian_kl(np.full(4, 0.7), np.full(4, 0.5), np.full(4, -0.2), 1.3)
    assert found == pytest.approx(4 * one, rel=1e-8)


def test_pac_bayes_holds_for_a_posterior_chosen_by_the_data():
    """A prior over 200 coins, the posterior on those that fell best: the bound holds in at least 1 − δ of 2,000."""
    rng = np.random.default_rng(5)
    truth, m, delta = rng.random(200), 60, 0.3
    failed = 0
    for _ in range(2000):
        empirical = rng.binomial(m, truth) / m
        weights = np.exp(-20 * empirical)
        weights /= weights.sum()
        kl = float(np.sum(weights * np.log(weights * 200)))
        failed += weights @ truth > risk.maurer_bound(float(weights @ empirical), kl, m, delta=delta)
    assert failed / 2000 <= delta


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: risk.hoeffding_radius(0), "m is 0"),
        (lambda: risk.hoeffding_radius(10, delta=0.0), "delta is 0"),
        (lambda: risk.hoeffding_radius(10, delta=1.0), "delta is 1"),
        (lambda: risk.finite_class_radius(-1.0, 10), "log_size is -1"),
        (lambda: risk.realizable_bound(math.nan, 10), "log_size is nan"),
        (lambda: risk.log_class_size(3, 0), "0 bits"),
        (lambda: risk.vc_radius(11, 10), "dimension is 11"),
        (lambda: risk.growth_bound(-1, 3), "growth_bound"),
        (lambda: risk.rademacher_radius(-0.1, 10), "complexity is -0.1"),
        (lambda: risk.rademacher_of_linear(np.zeros((0, 2)), 1.0), "x has shape"),
        (lambda: risk.kl_inverse(1.1, 0.1), "q is 1.1"),
        (lambda: risk.kl_inverse(0.1, -0.1), "c is -0.1"),
        (lambda: risk.bernoulli_kl(0.1, -0.1), "p is -0.1"),
        (lambda: risk.maurer_bound(1.2, 1.0, 100), "empirical_risk is 1.2"),
        (lambda: risk.maurer_bound(0.1, -1.0, 100), "kl is -1"),
        (lambda: risk.maurer_bound(0.1, 1.0, 7), "8 samples"),
        (lambda: risk.mcallester_bound(0.1, 1.0, 0), "m is 0"),
        (lambda: risk.catoni_bound(0.1, 1.0, 10, c=0.0), "c is 0"),
        (lambda: risk.thiemann_bound(0.1, 1.0, 10, lambda_=2.0), "lambda_ is 2"),
        (lambda: risk.gaussian_kl(np.ones(2), 0.0, np.ones(2), 1.0), "not above 0"),
    ],
)
def test_bounds_refuse(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()
