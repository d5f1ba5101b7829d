from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample
from snnlearn.risk import (
    compare_algorithms,
    compare_hypotheses,
    cross_validate,
    folds,
    holm,
    mcnemar,
    seeds_needed,
)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (3, 3), (10, 2), (1, 9), (40, 21)])
def test_mcnemar_is_the_binomial_test(b, c):
    expected = 1.0 if b + c == 0 else stats.binomtest(b, b + c, 0.5).pvalue
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-12)


def test_mcnemar_finds_as_much_as_promised_where_there_is_nothing():
    rng = np.random.default_rng(0)
    p = [mcnemar(b, n - b) for n in (30, 200) for b in rng.binomial(n, 0.5, 3000)]
    assert 0.02 < np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 6000)


def test_hypotheses_are_compared_in_pairs():
    rng = np.random.default_rng(1)
    hard = rng.random(2000) < 0.3
    first, second = hard | (rng.random(2000) < 0.02), hard.copy()
    found = compare_hypotheses(first, second, resamples=2000)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.interval.low > 0 and found.p_value == mcnemar(int(np.sum(first & ~second)), 0) < 1e-4
    shuffled = compare_hypotheses(first, rng.permutation(second), resamples=2000)  # the pairing is what found it
    assert shuffled.interval.low < 0 and shuffled.p_value > 0.05
    assert "p = " in str(found)


def test_paired_bootstrap_covers():
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        u = rng.random(300)
        found = compare_hypotheses(u < 0.3, (u < 0.25) | (u > 0.9), resamples=400)
        held += found.interval.low <= -0.05 <= found.interval.high
    assert 0.91 <= held / 400 <= 0.985


def test_algorithms_over_seeds_have_the_permutation_p_value():
    first, second = np.array([0.3, 0.4, 0.35, 0.5]), np.array([0.2, 0.45, 0.3, 0.4])
    found = compare_algorithms(first, second)
    scipy = stats.permutation_test(
        (first, second), lambda a, b, axis: (a - b).mean(axis=axis), permutation_type="samples", vectorized=True
    )
    assert found.p_value == pytest.approx(scipy.pvalue)
    assert found.interval[:2] == pytest.approx(stats.ttest_rel(first, second).confidence_interval(0.95), rel=1e-12)


def test_many_seeds_are_sampled_and_agree_with_the_t_test():
    rng = np.random.default_rng(3)
    first, second = rng.normal(0.2, 0.02, 40), rng.normal(0.195, 0.02, 40)
    p = compare_algorithms(first, second).p_value
    assert p == pytest.approx(stats.ttest_rel(first, second).pvalue, abs=0.02) and p > 0


def test_holm_known_example_and_its_promise():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    rng = np.random.default_rng(4)
    p = rng.random((10_000, 6))
    false_discovery = np.mean([np.any(holm(row) <= 0.05) for row in p])
    assert false_discovery <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 10_000)
    assert np.mean(np.any(p <= 0.05, axis=1)) > 0.2  # without the correction it would be 26 %


def test_seeds_needed_give_the_power_asked_for():
    k = seeds_needed(0.01, 0.02, power=0.9)
    draws = np.random.default_rng(5).normal(0.01, 0.02, (4000, k))
    power = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05)
    assert power == pytest.approx(0.9, abs=0.03)
    assert seeds_needed(1.0, 0.0) == 6  # fewer seeds cannot reach 0.05 by flipping signs


def test_folds_hold_out_each_sample_once_and_classes_alike():
    y = np.repeat([0, 1, 2], [31, 17, 6])
    parts = list(folds(y, 6, seed=3))
    assert np.array_equal(np.sort(np.concatenate([held for _, held in parts])), np.arange(54))
    for rest, held in parts:
        assert not np.intersect1d(rest, held).size and rest.size + held.size == 54
        assert np.sum(y[held] == 2) == 1


def test_cross_validation_does_not_reward_memory():
    """A learner that knows its sample by heart is at chance on labels that are noise."""
    rng = np.random.default_rng(6)
    sample = Sample(rng.random((400, 3)), rng.integers(0, 2, 400))

    def memory(s):
        return lambda x: s.y[np.argmin(np.sum((x[:, None] - s.x) ** 2, axis=-1), axis=1)]

    assert np.mean(memory(sample)(sample.x) != sample.y) == 0
    found = cross_validate(memory, sample, 8)
    assert found.risk == pytest.approx(0.5, abs=0.08) and found.fold_risks.size == 8
    assert found.errors.mean() == found.risk


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: mcnemar(-1, 2), "mcnemar"),
        (lambda: compare_hypotheses(np.zeros(0, bool), np.zeros(0, bool)), "same length"),
        (lambda: compare_hypotheses(np.zeros(3, bool), np.zeros(4, bool)), "same length"),
        (lambda: compare_algorithms([0.1], [0.2]), "at least 2 seeds"),
        (lambda: holm([]), "at least one"),
        (lambda: holm([0.1, 1.2]), "probabilities in"),
        (lambda: holm([math.nan]), "probabilities in"),
        (lambda: seeds_needed(0.0, 1.0), "difference is 0"),
        (lambda: seeds_needed(0.1, 1.0, power=1.0), "power is 1"),
        (lambda: list(folds(np.zeros(3, int), 4)), "k is 4"),
    ],
)
def test_comparisons_refuse(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()


def test_what_is_no_risk_and_no_error_is_refused():
    with pytest.raises(SnnlearnError, match="a risk is NaN"):
        compare_algorithms([np.nan, 2.0], [2.0, 1.0])
    with pytest.raises(SnnlearnError, match="seeds_needed"):
        seeds_needed(float("nan"), 0.1)
