"""Intervals hold the truth as often as they promise: in simulation, 10,000 repetitions each."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.risk import bootstrap, clopper_pearson, empirical_bernstein, hoeffding, t_interval, wilson

REPETITIONS = 10_000


def coverage_of_counts(interval, risk, n):
    """By simulation; each of the n + 1 possible counts needs its interval only once."""
    ends = np.array([interval(k, n)[:2] for k in range(n + 1)])
    errors = np.random.default_rng(0).binomial(n, risk, REPETITIONS)
    return np.mean((ends[errors, 0] <= risk) & (risk <= ends[errors, 1]))


@pytest.mark.parametrize(("risk", "n"), [(0.03, 400), (0.2, 60), (0.5, 200)])
def test_clopper_pearson_never_covers_less_in_simulation(risk, n):
    # Three standard errors of a share of 0.95 among 10,000 are 0.0065.
    assert coverage_of_counts(clopper_pearson, risk, n) >= 0.95 - 0.0065


def test_clopper_pearson_and_wilson_cover_as_promised_where_there_are_many_samples():
    assert coverage_of_counts(clopper_pearson, 0.3, 2000) == pytest.approx(0.95, abs=0.01)
    assert coverage_of_counts(wilson, 0.3, 2000) == pytest.approx(0.95, abs=0.01)


def test_wilson_covers_on_average_over_risks():
    risks = np.linspace(0.05, 0.95, 19)
    assert np.mean([coverage_of_counts(wilson, risk, 100) for risk in risks]) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("errors", "n", "low", "high"), [(9387, 10_000, 0.933828, 0.943235), (0, 10, 0.0, 0.277533)])
def test_wilson_known_values(errors, n, low, high):
    assert wilson(errors, n)[:2] == pytest.approx((low, high), abs=6e-7)


@pytest.mark.parametrize("confidence", [0.8, 0.99])
def test_wilson_inverts_the_score_test(confidence):
    z = stats.norm.ppf((1 + confidence) / 2)
    for end in wilson(17, 90, confidence=confidence)[:2]:
        assert abs(17 / 90 - end) / math.sqrt(end * (1 - end) / 90) == pytest.approx(z, rel=1e-9)


def test_t_interval_is_exact_for_normal_values():
    values = np.random.default_rng(1).normal(3.0, 2.0, (REPETITIONS, 5))
    held = [low <= 3.0 <= high for low, high, _ in map(t_interval, values)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("interval", [hoeffding, empirical_bernstein])
def test_bounded_intervals_never_cover_less(interval):
    values = np.random.default_rng(2).beta(0.3, 3.0, (REPETITIONS, 300))
    truth = 0.3 / 3.3
    held = [low <= truth <= high for low, high, _ in map(interval, values)]
    assert np.mean(held) >= 0.95


def test_bounded_intervals_are_their_formulas():
    values = np.random.default_rng(3).random(500)
    low, high, _ = hoeffding(values, confidence=0.9)
    assert (high - low) / 2 == pytest.approx(math.sqrt(math.log(2 / 0.1) / 1000), rel=1e-12)
    low, high, _ = empirical_bernstein(values, confidence=0.9)
    log = math.log(4 / 0.1)
    expected = math.sqrt(2 * np.sum((values - values.mean()) ** 2) / 499 * log / 500) + 7 * log / (3 * 499)
    assert (high - low) / 2 == pytest.approx(expected, rel=1e-12)


def test_bernstein_is_shorter_where_losses_hardly_vary():
    values = np.full(2000, 0.1)
    assert np.ptp(empirical_bernstein(values)[:2]) < np.ptp(hoeffding(values)[:2]) / 3


def test_bootstrap_covers_about_as_promised():
    values = np.random.default_rng(4).exponential(1.0, (400, 60))
    held = [low <= 1.0 <= high for low, high, _ in (bootstrap(v, resamples=600) for v in values)]
    assert 0.89 <= np.mean(held) <= 0.98
    low, high, confidence = bootstrap(values[0], confidence=0.5, resamples=600)
    assert confidence == 0.5 and np.ptp(bootstrap(values[0], resamples=600)[:2]) > 1.8 * (high - low)


def test_bootstrap_takes_any_statistic():
    values = np.random.default_rng(5).normal(size=200)
    low, high, _ = bootstrap(values, np.median, resamples=500, seed=1)
    assert low <= np.median(values) <= high
    assert bootstrap(np.ones(5))[:2] == (1.0, 1.0)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: wilson(0, 0), "n is 0"),
        (lambda: wilson(3, 2), "errors is 3"),
        (lambda: wilson(1, 2, confidence=1.5), "confidence is 1.5"),
        (lambda: hoeffding([]), "losses has shape"),
        (lambda: hoeffding([0.2, 1.2]), "losses goes from"),
        (lambda: hoeffding([0.2, math.nan]), "losses goes from"),
        (lambda: empirical_bernstein([0.5]), "at least 2"),
        (lambda: empirical_bernstein([-0.5, 0.5]), "losses goes from"),
        (lambda: bootstrap([1.0]), "two finite numbers"),
        (lambda: bootstrap([1.0, math.inf]), "two finite numbers"),
        (lambda: bootstrap([1.0, 2.0], resamples=0), "resamples is 0"),
        (lambda: bootstrap([1.0, 2.0], confidence=0.0), "confidence is 0.0"),
    ],
)
def test_intervals_refuse(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()
