from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.risk.intervals import Interval, clopper_pearson, t_interval


@pytest.mark.parametrize(
    ("errors", "n", "low", "high"),
    [
        (9387, 10000, 0.933819, 0.943323),
        (50, 100, 0.398321, 0.601679),
        (0, 1000, 0.0, 0.003682),
        (1000, 1000, 1 - 0.003682, 1.0),
    ],
)
def test_clopper_pearson_known_values(errors, n, low, high):
    interval = clopper_pearson(errors, n)
    assert interval == pytest.approx((low, high, 0.95), abs=6e-7)


def test_clopper_pearson_one_sided_value_at_90_percent():
    """The upper end at 90 % is the one-sided 95 % bound on 613 errors in 10,000."""
    assert clopper_pearson(613, 10_000, confidence=0.90).high == pytest.approx(0.065391, abs=6e-7)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
@pytest.mark.parametrize(("errors", "n"), [(1, 7), (3, 40), (39, 40)])
def test_clopper_pearson_solves_its_definition(errors, n, confidence):
    """At either end, one binomial tail holds exactly half of what the confidence leaves."""
    low, high, _ = clopper_pearson(errors, n, confidence=confidence)
    tail = (1 - confidence) / 2
    assert stats.binom.sf(errors - 1, n, low) == pytest.approx(tail, rel=1e-8)
    assert stats.binom.cdf(errors, n, high) == pytest.approx(tail, rel=1e-8)


def test_clopper_pearson_without_errors_has_a_closed_form():
    assert clopper_pearson(0, 30).high == pytest.approx(1 - 0.025 ** (1 / 30), rel=1e-12)


def coverage(intervals: list[tuple[float, float]], risk: float) -> float:
    """Probability, summed exactly over all error counts, that the interval holds the risk."""
    n = len(intervals) - 1
    holds = np.array([low <= risk <= high for low, high in intervals])
    return float(stats.binom.pmf(np.arange(n + 1), n, risk) @ holds)


@pytest.mark.parametrize("n", [1, 5, 20, 101])
def test_clopper_pearson_covers_and_the_normal_approximation_does_not(n):
    counts = np.arange(n + 1)
    exact = [clopper_pearson(int(k), n)[:2] for k in counts]
    fraction = counts / n
    half = 1.959964 * np.sqrt(fraction * (1 - fraction) / n)
    wald = list(zip(fraction - half, fraction + half, strict=True))
    risks = np.linspace(0.001, 0.999, 333)
    assert min(coverage(exact, risk) for risk in risks) >= 0.95 - 1e-12
    assert min(coverage(wald, risk) for risk in risks) < 0.9  # the check can fail


@pytest.mark.parametrize(
    ("errors", "n", "confidence", "names"),
    [
        (0, 0, 0.95, "n is 0"),
        (6, 5, 0.95, "errors is 6"),
        (-1, 5, 0.95, "errors is -1"),
    ]
    + [(1, 5, confidence, "confidence is") for confidence in (0.0, 1.0, 95.0, math.nan)],
)
def test_clopper_pearson_refuses(errors, n, confidence, names):
    with pytest.raises(SnnlearnError, match=names):
        clopper_pearson(errors, n, confidence=confidence)


def test_clopper_pearson_takes_numpy_counts():
    assert clopper_pearson(np.int64(50), np.int64(100)) == clopper_pearson(50, 100)


def test_t_interval_equals_the_hand_calculation():
    """Tabulated t quantile for 4 degrees of freedom: 2.776445 (95 %), 4.604095 (99 %)."""
    values = [2.0, 4.0, 4.0, 5.0, 10.0]  # mean 5, sum of squares about it 36, s² = 9
    for confidence, quantile in ((0.95, 2.776445), (0.99, 4.604095)):
        low, high, _ = t_interval(values, confidence=confidence)
        half = quantile * 3 / math.sqrt(5)
        assert (low, high) == pytest.approx((5 - half, 5 + half), rel=1e-6)


def test_t_interval_of_one_value_is_unknown():
    interval = t_interval(np.array([0.3]))
    assert math.isnan(interval.low) and math.isnan(interval.high) and interval.confidence == 0.95


@pytest.mark.parametrize("values", [[], np.ones((2, 2))])
def test_t_interval_refuses_what_is_not_a_list(values):
    with pytest.raises(SnnlearnError, match="values has shape"):
        t_interval(values)


def test_t_interval_refuses_a_confidence_of_one():
    with pytest.raises(SnnlearnError, match="confidence is 1"):
        t_interval([1.0, 2.0], confidence=1.0)


def test_shift_and_clip_keep_the_confidence():
    assert Interval(0.25, 0.5, 0.9).shift(-0.5).clip(0.0, 1.0) == (0.0, 0.0, 0.9)
    assert Interval(0.25, 1.5, 0.9).clip(0.0, 1.0) == (0.25, 1.0, 0.9)
