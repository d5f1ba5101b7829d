"""The risk of predictions, of labels and of classes that count alike, against other implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, hamming_loss, mean_absolute_error, mean_squared_error, r2_score

from snnlearn._errors import SnnlearnError
from snnlearn.risk import (
    balanced_error,
    clopper_pearson,
    compare_algorithms,
    compare_losses,
    label_risk,
    value_risk,
)

RNG = np.random.default_rng(5)


def test_errors_are_those_of_scikit_learn_and_lie_in_their_intervals():
    y = RNG.normal(20, 3, 80)
    predicted = y + RNG.normal(0.5, 1.0, 80)
    found = value_risk(predicted, y)
    assert found.mse == pytest.approx(mean_squared_error(y, predicted))
    assert found.mae == pytest.approx(mean_absolute_error(y, predicted))
    assert found.r2 == pytest.approx(r2_score(y, predicted))
    assert found.rmse == pytest.approx(math.sqrt(found.mse))
    for value, interval in (
        (found.mse, found.mse_interval),
        (found.mae, found.mae_interval),
        (found.r2, found.r2_interval),
        (found.rmse, found.rmse_interval),
    ):
        assert interval.low < value < interval.high


def test_units_scale_errors_and_leave_r2():
    y, noise = RNG.normal(size=40), RNG.normal(size=40)
    one, other = value_risk(y + noise, y), value_risk(100 * (y + noise) + 7, 100 * y + 7)
    assert other.mse == pytest.approx(1e4 * one.mse) and other.r2 == pytest.approx(one.r2)
    np.testing.assert_allclose(other.mse_interval[:2], 1e4 * np.array(one.mse_interval[:2]))
    np.testing.assert_allclose(other.r2_interval[:2], one.r2_interval[:2])


def test_the_interval_of_the_squared_error_covers_about_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        noise = np.random.default_rng(seed).normal(0, 2.0, 60)
        low, high, _ = value_risk(noise, np.zeros(60), confidence=0.8).mse_interval
        covered += low <= 4.0 <= high
    assert 0.8 * 60 - 12 <= covered <= 58, "and it is no interval that always covers"


def test_what_cannot_be_known():
    one = value_risk(np.array([1.0]), np.array([2.0]))
    assert one.mse == 1.0 and math.isnan(one.mse_interval.low) and math.isnan(one.r2)
    assert value_risk(np.arange(5.0), np.arange(5.0)).r2_interval[:2] == (1.0, 1.0)
    for predicted, y in ((np.zeros(2), np.zeros(3)), (np.zeros(0), np.zeros(0)), (np.array([np.nan]), np.zeros(1))):
        with pytest.raises(SnnlearnError, match="value_risk"):
            value_risk(predicted, y)


def test_losses_are_compared_as_by_all_sign_patterns():
    first, second = RNG.random(10) + 0.2, RNG.random(10)
    exact = compare_algorithms(first, second).p_value
    found = compare_losses(first, second)
    assert found.p_value == pytest.approx(exact, abs=0.02) and found.difference == pytest.approx(
        (first - second).mean()
    )
    assert compare_losses(second, first).p_value == pytest.approx(exact, abs=0.02)
    assert compare_losses(first, first).p_value == 1.0
    with pytest.raises(SnnlearnError, match="at least 2"):
        compare_losses([1.0], [2.0])


def test_labels_are_counted_one_by_one_and_together():
    truth = RNG.integers(0, 2, (50, 3))
    decided = np.where(RNG.random((50, 3)) < 0.2, 1 - truth, truth)
    found = label_risk(decided, truth)
    assert found.hamming == pytest.approx(hamming_loss(truth, decided))
    assert [one.errors for one in found.labels] == (decided != truth).sum(axis=0).tolist()
    assert found.labels[1].interval == clopper_pearson(found.labels[1].errors, 50)
    assert found.subset.errors == sum(a != b for a, b in zip(decided.tolist(), truth.tolist(), strict=True))
    assert found.hamming_interval.low < found.hamming < found.hamming_interval.high
    with pytest.raises(SnnlearnError, match="give both the same"):
        label_risk(decided, truth[:, :2])


def test_the_balanced_error_is_that_of_scikit_learn():
    y = np.repeat([0, 1, 2], [90, 8, 2])
    decided = np.where(RNG.random(100) < 0.3, RNG.integers(0, 3, 100), y)
    wrong, sizes = np.bincount(y[decided != y], minlength=3), np.bincount(y)
    error, (low, high, _) = balanced_error(wrong, sizes)
    assert error == pytest.approx(1 - balanced_accuracy_score(y, decided))
    assert 0 <= low < error < high <= 1
    assert error != pytest.approx(np.mean(decided != y))
    # A class without samples says nothing; more samples say more.
    assert balanced_error(np.array([1, 0]), np.array([10, 0]))[0] == 0.1
    more = balanced_error(10 * wrong, 10 * sizes)[1]
    assert more.high - more.low < high - low
    with pytest.raises(SnnlearnError, match="one above 0"):
        balanced_error(np.zeros(2, int), np.zeros(2, int))


def test_the_interval_of_the_balanced_error_covers_about_as_often_as_it_says():
    rng, risks, sizes = np.random.default_rng(2), np.array([0.05, 0.4]), np.array([200, 20])
    covered = 0
    for _ in range(400):
        _, (low, high, _) = balanced_error(rng.binomial(sizes, risks), sizes, confidence=0.9)
        covered += low <= risks.mean() <= high
    assert 0.85 <= covered / 400 <= 0.95
