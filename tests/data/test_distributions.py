"""Distributions with known Bayes risk: their posterior is a count of draws, their optimum cannot be beaten."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from snnlearn._errors import SnnlearnError
from snnlearn.data import (
    BinomialCounts,
    FlippedConcept,
    GaussianPair,
    GaussianScales,
    GaussianXor,
    NoisyFunction,
    OverlappingUniforms,
    PoissonCounts,
    SpikeTrains,
    YinYang,
)

RATES = np.random.default_rng(0).uniform(20, 120, (3, 30, 4))
KNOWN = [
    (GaussianPair(1.0), 0.158655),
    (GaussianPair(2.0, dimension=7), 0.0227501),
    (GaussianXor(1.0), 0.266968),
    (GaussianScales(1.0, 2.0), 0.338663),
    (FlippedConcept(0.15, dimension=3), 0.15),
    (FlippedConcept(0.05, concept=lambda x: x[:, 0] * x[:, 1] > 0.5), 0.05),
    (OverlappingUniforms(0.3), 0.15),
    (PoissonCounts(5.0, 10.0), 0.176796),
    (PoissonCounts(2.0, 8.0), 0.0761427),
    (BinomialCounts(100, 0.05, 0.10), 0.167006),
    (SpikeTrains(np.array([[50.0] * 2, [100.0] * 2]), num_steps=50), 0.167006),
    (YinYang(), 0.0),
]
ids = [f"{type(d).__name__}{i}" for i, (d, _) in enumerate(KNOWN)]


@pytest.mark.parametrize(("distribution", "expected"), KNOWN, ids=ids)
def test_bayes_risk_is_the_known_value_and_what_the_optimum_attains(distribution, expected):
    assert distribution.bayes_risk == pytest.approx(expected, abs=6e-7)
    m = 3000 if isinstance(distribution, YinYang) else 40_000
    sample = distribution.draw(m, seed=1)
    errors = np.mean(distribution.bayes_optimal(sample.x) != sample.y)
    assert abs(errors - expected) <= 4 * math.sqrt(expected * (1 - expected) / m) + 1e-12
    posterior = distribution.posterior(sample.x)
    assert np.allclose(posterior.sum(axis=1), 1) and posterior.min() >= 0
    # 1 − E max η is the same number by another way.
    assert 1 - posterior.max(axis=1).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("distribution", "expected"), KNOWN, ids=ids)
def test_the_posterior_is_calibrated(distribution, expected):
    sample = distribution.draw(3000 if isinstance(distribution, YinYang) else 40_000, seed=2)
    p = distribution.posterior(sample.x)
    for k in range(p.shape[1]):
        for low, high in ((0.0, 0.3), (0.3, 0.7), (0.7, 1.001)):
            inside = (p[:, k] >= low) & (p[:, k] < high)
            if inside.sum() > 100:
                error = math.sqrt(np.mean(p[inside, k] * (1 - p[inside, k])) / inside.sum())
                assert abs(np.mean(sample.y[inside] == k) - p[inside, k].mean()) <= 4.5 * error + 1e-9


@pytest.mark.parametrize(("a", "b"), [(0.7, 1.9), (2.0, 2.5)])
def test_other_parameters_by_integration(a, b):
    def overlap(p, q):
        return 0.5 * integrate.quad(lambda x: min(p(x), q(x)), -30, 30, limit=400, points=[-b, b])[0]

    narrow, wide = stats.norm(0, a).pdf, stats.norm(0, b).pdf
    assert GaussianScales(a, b).bayes_risk == pytest.approx(overlap(narrow, wide), abs=1e-7)
    assert GaussianPair(a).bayes_risk == pytest.approx(overlap(stats.norm(a, 1).pdf, stats.norm(-a, 1).pdf), abs=1e-7)
    q = stats.norm.cdf(-a)
    assert GaussianXor(a).bayes_risk == pytest.approx(2 * q * (1 - q))


def test_spike_trains_of_three_classes_over_time():
    trains = SpikeTrains(RATES, num_steps=30)
    sample = trains.draw(30_000, seed=3)
    assert sample.x.dtype == np.uint8 and trains.num_classes == 3
    for k in range(3):
        rate = sample.x[sample.y == k].mean(axis=0) / 1e-3
        assert np.abs(rate - RATES[k]).max() < 5 * math.sqrt(120e-3 / 9000) / 1e-3
    errors = np.mean(trains.bayes_optimal(sample.x) != sample.y)
    assert errors == pytest.approx(trains.bayes_risk, abs=0.012)
    # The optimum is one linear readout: the spikes' logistic regression cannot do better.
    from sklearn.linear_model import LogisticRegression

    flat = sample.x.reshape(len(sample.x), -1)
    logistic = LogisticRegression(max_iter=200).fit(flat[:15_000], sample.y[:15_000])
    assert np.mean(logistic.predict(flat[15_000:]) != sample.y[15_000:]) > trains.bayes_risk - 0.01


def test_regression():
    d = NoisyFunction(lambda x: x[:, 0] ** 2 - x[:, 1], sigma=0.3, dimension=2)
    x, y = d.draw(100_000, seed=4)
    assert (
        np.mean((y - d.bayes_optimal(x)) ** 2) == pytest.approx(d.bayes_risk, rel=0.02) == pytest.approx(0.09, rel=0.02)
    )


def test_a_dataset_has_independent_parts():
    task = GaussianXor(2.0).dataset(300, 50, 80, seed=5)
    assert [len(part.y) for part in (task.train, task.validation, task.test)] == [300, 50, 80]
    assert not np.isin(task.test.x[:, 0], task.train.x[:, 0]).any()
    assert GaussianXor(2.0).draw(5, seed=1).x[0, 0] != GaussianXor(2.0).draw(5, seed=2).x[0, 0]


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: GaussianPair(-1.0), "distance -1"),
        (lambda: GaussianPair(1.0).draw(0), "m is 0"),
        (lambda: GaussianPair(1.0).dataset(10, num_test=0), "num_test is 0"),
        (lambda: GaussianXor(math.nan), "a is nan"),
        (lambda: GaussianScales(2.0, 1.0), "narrow < wide"),
        (lambda: FlippedConcept(0.6), "eta 0.6"),
        (lambda: FlippedConcept(0.1).draw(0), "m is 0"),
        (lambda: OverlappingUniforms(1.1), "overlap is 1.1"),
        (lambda: PoissonCounts(0.0, 1.0), "means are 0"),
        (lambda: BinomialCounts(10, 0.0, 0.5), "p in"),
        (lambda: SpikeTrains(np.ones(3)), "rates has shape"),
        (lambda: SpikeTrains(np.full((2, 3), 1000.0)), "below 1/dt"),
        (lambda: NoisyFunction(lambda x: x[:, 0], sigma=-1.0), "sigma -1"),
    ],
)
def test_distributions_refuse(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()
