from __future__ import annotations

import math

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.risk import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    softmax,
)


def calibrated(m, seed=0):
    """A generator that is right: p ~ U(0, 1), y ~ Bernoulli(p)."""
    rng = np.random.default_rng(seed)
    p = rng.random(m)
    return np.stack([1 - p, p], axis=1), (rng.random(m) < p).astype(int)


def test_calibrated_generator_has_the_exact_scores():
    p, y = calibrated(400_000)
    assert brier_score(p, y) / 2 == pytest.approx(1 / 6, abs=1e-3)  # the scalar form (p − y)²
    assert negative_log_likelihood(p, y) == pytest.approx(0.5, abs=2e-3)


def test_ece_of_a_calibrated_generator_falls_as_the_root_of_the_sample():
    few, many = (np.mean([expected_calibration_error(*calibrated(m, s)) for s in range(30)]) for m in (200, 20_000))
    assert few / many == pytest.approx(10, rel=0.3)
    assert few < 1.5 * math.sqrt(15 / 200)


def test_ece_of_a_known_miscalibration():
    y = np.random.default_rng(1).random(100_000) < 0.7
    p = np.tile([0.1, 0.9], (100_000, 1))
    diagram = reliability(p, y.astype(int), bins=10)
    assert diagram.ece == pytest.approx(0.2, abs=0.005) == pytest.approx(diagram.mce, abs=0.005)
    assert diagram.counts[8] == 100_000 and np.isnan(diagram.accuracy[0])  # (0.8, 0.9] holds 0.9


def test_bins_count_every_decision():
    p, y = calibrated(5000)
    diagram = reliability(p, y, bins=7)
    assert diagram.counts.sum() == 5000 and diagram.edges.size == 8
    confidence, right = p.max(axis=1), p.argmax(axis=1) == y
    b = 5
    inside = (confidence > b / 7) & (confidence <= (b + 1) / 7)
    assert diagram.accuracy[b] == pytest.approx(right[inside].mean())
    assert diagram.confidence[b] == pytest.approx(confidence[inside].mean())


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.5])
def test_temperature_of_a_generator_is_recovered(truth):
    rng = np.random.default_rng(2)
    scores = rng.normal(0, 3, (60_000, 4))
    p = softmax(scores, truth)
    y = (rng.random(60_000)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).clip(max=3)
    found = fit_temperature(scores, y)
    assert found == pytest.approx(truth, rel=0.03)
    best = negative_log_likelihood(softmax(scores, found), y)
    assert all(best <= negative_log_likelihood(softmax(scores, found * f), y) for f in (0.9, 1.1))


def test_temperature_at_its_ends():
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(scores, np.array([0, 1])) == pytest.approx(1e-3)  # always right: the surer the better
    assert fit_temperature(scores, np.array([1, 0])) == pytest.approx(1e3)


@pytest.mark.parametrize(
    ("probabilities", "labels", "names"),
    [
        (np.zeros((0, 2)), np.zeros(0, int), "at least one sample"),
        (np.array([[1.5, -0.5]]), np.array([0]), "numbers in"),
        (np.array([[math.nan, 0.5]]), np.array([0]), "numbers in"),
        (np.array([[0.5, 0.4]]), np.array([0]), "sums to 0.9"),
        (np.array([[0.5, 0.5]]), np.array([2]), "labels goes from"),
        (np.array([[0.5, 0.5]]), np.array([0, 1]), "labels"),
    ],
)
@pytest.mark.parametrize("score", [reliability, brier_score, negative_log_likelihood])
def test_what_is_no_probability_is_refused(score, probabilities, labels, names):
    with pytest.raises(SnnlearnError, match=names):
        score(probabilities, labels)
