"""Risk over chips: its intervals cover, its chips are those of `deploy`, and what an effect costs is its own."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.circuits import (
    Chip,
    ChipRisk,
    LogNormal,
    Mismatch,
    decision_steps,
    deploy,
    risk_over_chips,
    sensitivities,
)

DATA = sl.data.yin_yang(num_train=10, num_validation=10, num_test=60)
NETWORK = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
HYPOTHESIS = sl.Hypothesis(sl.coding.Current(num_steps=10, gain=20.0), NETWORK, sl.coding.MeanMembrane())
KIND = Chip("two", effects=(Mismatch("v_th", LogNormal(1.0)), Mismatch("tau_mem", LogNormal(0.0))))


class Whole(sl.coding.AbstractDecoder):
    """The sum of all steps, of which nobody knows what it is before the last."""

    def __call__(self, output):
        """See the base."""
        return output.sum(axis=0)


KEYS = jax.random.split(jax.random.key(1), 4)


@pytest.fixture(scope="module")
def found() -> ChipRisk:
    """Errors on a few chips."""
    return risk_over_chips(HYPOTHESIS, KIND, DATA.test, keys=KEYS)


def test_each_chip_errs_as_its_deployed_network_does(found):
    for chip, key in enumerate(KEYS):
        there = sl.Hypothesis(HYPOTHESIS.encoder, deploy(NETWORK, KIND, key=key), HYPOTHESIS.decoder)
        np.testing.assert_array_equal(found.wrong[chip], sl.predict(there, DATA.test.x) != DATA.test.y)
    assert found.errors.std() > 0


def test_an_effect_costs_what_is_lost_with_it_and_none_without_strength(found):
    thresholds, times = sensitivities(HYPOTHESIS, KIND, DATA.test, keys=KEYS, with_all=found)
    designed = np.mean(sl.predict(HYPOTHESIS, DATA.test.x) != DATA.test.y)
    np.testing.assert_allclose([thresholds.left, thresholds.cost], [designed, found.mean - designed], atol=1e-9)
    assert thresholds.cost != 0
    assert times.cost == 0
    assert times.interval[:2] == (0, 0)


def test_a_decision_stays_after_its_step_and_not_before():
    steps = decision_steps(HYPOTHESIS, DATA.test.x)
    keys = jax.random.split(jax.random.key(0), len(DATA.test.x))
    outputs = jax.jit(jax.vmap(lambda x, key: NETWORK(HYPOTHESIS.encoder(x, key=key))[0]))(DATA.test.x, keys)
    outputs = np.asarray(outputs)
    decided = np.stack([np.argmax(outputs[:, :n].mean(axis=1), axis=1) for n in range(1, 11)], axis=1)
    for of_one, step in zip(decided, steps, strict=True):
        assert (of_one[step - 1 :] == of_one[-1]).all()
        assert step == 1 or of_one[step - 2] != of_one[-1]
    assert len(set(steps.tolist())) > 3
    rank = sl.Hypothesis(HYPOTHESIS.encoder, NETWORK, Whole())
    assert decision_steps(rank, DATA.test.x) is None


def test_intervals_cover_what_they_are_of():
    """Chips and samples of known risks: errors are independent given the chip's and the sample's share."""
    rng = np.random.default_rng(0)
    chips, m, repetitions = 40, 60, 600
    covered = np.zeros(4)
    for _ in range(repetitions):
        good, easy = rng.beta(2, 2, (chips, 1)), rng.beta(2, 2, (1, m))
        risk = ChipRisk(rng.random((chips, m)) < 0.4 * good + 0.4 * easy)
        low, high, _ = risk.interval()
        over_samples_only = np.sqrt(risk.wrong.var() / risk.wrong.size)
        shares = ChipRisk(rng.random((chips, 1)) < np.ones((1, m)) * 0.7)  # 70 % of chips err always
        drawn = ChipRisk(np.arange(m) < 100 * m * rng.random((chips, 1)) ** 2)
        quantile = drawn.quantile(0.5)[1]
        yield_low, yield_high, _ = shares.chip_yield(0.5)[1]
        covered += [
            low <= 0.4 <= high,
            abs(risk.mean - 0.4) <= 2 * over_samples_only,
            quantile.low <= 1.0 <= quantile.high,
            yield_low <= 0.3 <= yield_high,
        ]
    interval, naive, _, good = covered / repetitions
    assert 0.93 < interval < 0.99
    assert naive < 0.75  # as if all decisions were independent
    assert good >= 0.95


def test_a_quantile_is_covered_by_its_order_statistics():
    rng = np.random.default_rng(1)
    m, repetitions = 1000, 800
    covered, below = 0, 0
    for _ in range(repetitions):
        risk = ChipRisk(np.arange(m) < m * rng.random((100, 1)))
        value, interval = risk.quantile(0.9)
        covered += interval.low <= 0.9 <= interval.high
        below += value < 0.9
    assert 0.94 <= covered / repetitions < 1
    assert 0.35 < below / repetitions < 0.75
    low, high, _ = ChipRisk(np.zeros((3, 5), bool)).quantile(0.95)[1]
    assert (low, high) == (0.0, 1.0)  # nobody can know that from three chips


def test_what_cannot_be_is_refused(found):
    with pytest.raises(SnnlearnError, match=r"share is 1\.0; give a number between 0 and 1"):
        found.quantile(1.0)
    with pytest.raises(SnnlearnError, match=r"most is 1\.5; give a share of errors"):
        found.chip_yield(1.5)
    with pytest.raises(SnnlearnError, match="needs two chips and two samples; got 1 and 60"):
        ChipRisk(found.wrong[:1]).interval()
    with pytest.raises(SnnlearnError, match="there are 4 keys, and errors of 2 chips"):
        sensitivities(HYPOTHESIS, KIND, DATA.test, keys=KEYS, with_all=ChipRisk(found.wrong[:2]))
    with pytest.raises(SnnlearnError, match=r"keys has shape \(\)|give one key for each chip|keys"):
        risk_over_chips(HYPOTHESIS, KIND, DATA.test, keys=KEYS[0])
    values = sl.Hypothesis(HYPOTHESIS.encoder, NETWORK, sl.coding.InUnits(sl.coding.MeanMembrane(), 0.0, 1.0))
    with pytest.raises(SnnlearnError, match="task is regression, and only errors of classes are counted"):
        risk_over_chips(values, KIND, DATA.test, keys=KEYS)
