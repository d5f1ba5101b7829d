"""Hypotheses whose errors are known by construction: their decisions, risk, empirical risk and the gap between them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import beta

from snnlearn import Hypothesis, SnnlearnError, predict
from snnlearn.algorithms.evaluation import evaluate
from snnlearn.coding import Current, MeanMembrane, Rate
from snnlearn.data import Sample
from snnlearn.hypothesis import scores, ties
from snnlearn.losses import CrossEntropy
from snnlearn.network import Dense, Layer, Network
from snnlearn.neurons import LI
from snnlearn.risk import chance_level, empirical_risk, generalization_gap, reliability, risk, risk_of_errors

RNG = np.random.default_rng(0)
N, CLASSES, WRONG = 300, 4, 37


def argmax_hypothesis(encoder):
    """It decides for the largest value of x: one leaky integrator for each class, each with its own input."""
    synapses = eqx.tree_at(lambda s: s.weight, Dense(CLASSES, CLASSES, key=jax.random.key(0)), jnp.eye(CLASSES))
    return Hypothesis(encoder, Network((Layer(synapses, LI(dt=encoder.dt)),)), MeanMembrane())


CURRENT = argmax_hypothesis(Current(num_steps=3))
RATE = argmax_hypothesis(Rate(num_steps=5, max_rate=500))
X = RNG.uniform(size=(N, CLASSES)).astype(np.float32)
RIGHT = X.argmax(axis=1).astype(np.int32)
Y = np.where(np.arange(N) < WRONG, (RIGHT + 1) % CLASSES, RIGHT).astype(np.int32)
SAMPLE = Sample(X, Y)


@pytest.mark.parametrize("batch_size", [7, N, 10_000])
def test_predict_decides_for_each_sample(batch_size):
    decisions = predict(CURRENT, X, batch_size=batch_size)
    assert decisions.shape == (N,) and np.issubdtype(decisions.dtype, np.integer)
    np.testing.assert_array_equal(decisions, RIGHT)


def test_a_prediction_can_be_repeated_and_its_key_drawn_anew():
    first = predict(RATE, X)
    np.testing.assert_array_equal(first, predict(RATE, X))
    np.testing.assert_array_equal(first, predict(RATE, X, batch_size=7))
    assert np.any(first != predict(RATE, X, key=jax.random.key(1)))


def test_scores_are_the_decoded_membranes():
    """A constant current x through a leaky integrator: its mean over T steps is x · mean of 1 − α^t."""
    scores = CURRENT(jnp.asarray(X[0]), key=jax.random.key(0))
    mean = np.mean(1 - np.exp(-np.arange(1, 4) / 20))
    np.testing.assert_allclose(scores, X[0] * mean, rtol=1e-5)


def test_the_risk_is_the_share_of_wrong_decisions_with_its_exact_interval():
    found = risk(CURRENT, SAMPLE, confidence=0.9)
    assert (found.errors, found.n, found.value) == (WRONG, N, WRONG / N)
    assert found.interval.confidence == 0.9
    assert found.interval.low == pytest.approx(beta.ppf(0.05, WRONG, N - WRONG + 1), rel=1e-9)
    assert found.interval.high == pytest.approx(beta.ppf(0.95, WRONG + 1, N - WRONG), rel=1e-9)
    assert str(found) == "risk 12.33%, 90% interval [9.33%, 15.90%] (37 errors of 300)"


def test_the_risk_of_no_error_is_not_known_to_be_zero():
    perfect = risk(CURRENT, Sample(X, RIGHT))
    assert perfect.value == 0
    assert perfect.interval.high == pytest.approx(1 - 0.025 ** (1 / N), rel=1e-9)


def test_what_was_seen_has_no_risk():
    other = Sample(X[:100], Y[:100])
    with pytest.raises(SnnlearnError, match="100 of the 100 samples trained or selected the hypothesis"):
        risk(CURRENT, other, seen=[Sample(1 - X, Y), SAMPLE])
    assert risk(CURRENT, other, seen=[Sample(1 - X, Y)]).n == 100


def test_risk_and_empirical_risk_pass_their_key_on():
    keys = jax.random.key(0), jax.random.key(5)
    values = [risk(RATE, SAMPLE, key=key).value for key in keys]
    assert values == [np.mean(predict(RATE, X, key=key) != Y) for key in keys]
    assert values == [empirical_risk(RATE, SAMPLE, key=key) for key in keys]
    assert values[0] != values[1]
    assert risk(RATE, SAMPLE).value == values[0]


def test_the_gap_is_the_risk_less_a_known_number():
    found = risk_of_errors(30, 200, confidence=0.8)
    gap, interval = generalization_gap(found, empirical_risk(CURRENT, SAMPLE))
    assert gap == pytest.approx(0.15 - WRONG / N)
    assert interval.high - interval.low == pytest.approx(found.interval.high - found.interval.low)
    assert interval.low == pytest.approx(found.interval.low - WRONG / N)
    assert interval.confidence == 0.8


def test_chance_is_the_class_most_frequent_in_training():
    train = Sample(np.zeros((6, 1), np.float32), np.array([0, 2, 2, 1, 2, 0], np.int32))
    test = Sample(np.zeros((4, 1), np.float32), np.array([2, 0, 0, 1], np.int32))
    assert chance_level(train, test) == 0.75
    assert chance_level(test, train) == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: predict(CURRENT, X[:0]), "there are no samples"),
        (lambda: predict(CURRENT, np.full((2, CLASSES), np.nan, np.float32)), "NaN or infinite"),
        (lambda: predict(CURRENT, np.full((2, CLASSES), np.inf, np.float32)), "NaN or infinite"),
        (lambda: predict(CURRENT, X[:, :3]), r"shape \(3,\) is encoded as 3 inputs, but the network takes 4"),
        (lambda: Hypothesis(Current(num_steps=3, dt=2e-3), CURRENT.network, MeanMembrane()), "dt = 0.002 s"),
        (lambda: chance_level(SAMPLE, Sample(X[:0], Y[:0])), "a sample is empty"),
        (lambda: risk_of_errors(5, 4), "errors"),
        (lambda: risk_of_errors(0, 0), "n"),
    ],
)
def test_what_cannot_be_decided_is_refused(call, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        call()


def test_ties_favour_no_class():
    """A network that tells nothing apart errs as often as chance does, whichever way the classes are named."""
    silent = eqx.tree_at(lambda h: h.network.layers[0].synapses.weight, CURRENT, replace_fn=jnp.zeros_like)
    assert ties(scores(silent, X)).all() and not ties(scores(CURRENT, X)).any()
    expected, spread = N * (1 - 1 / CLASSES), np.sqrt(N / CLASSES * (1 - 1 / CLASSES))
    decided = predict(silent, X)
    for label in range(CLASSES):
        errors = np.sum(decided != label)
        assert abs(errors - expected) < 4 * spread
        # The validation that selects the epoch, too.
        sample = Sample(X, np.full(N, label, np.int32))
        _, errors = evaluate(CrossEntropy(), silent.encoder, silent.network, sample, key=jax.random.key(0))
        assert abs(int(errors) - expected) < 4 * spread
    np.testing.assert_array_equal(decided, predict(silent, X))
    assert not np.array_equal(decided, predict(silent, X, key=jax.random.key(1)))


def test_the_reliability_of_ties_does_not_depend_on_the_order_of_classes():
    p = np.full((6, 2), 0.5)
    for y in (0, 1):
        assert reliability(p, np.full(6, y)).accuracy[7] == 0.5


@pytest.mark.parametrize(
    ("y", "message"),
    [(np.eye(CLASSES)[Y], "expected integers"), (Y + 0.5, "expected integers"), (Y + 1, "has the label 4")],
)
def test_labels_that_are_none_are_refused(y, message):
    for measure in (risk, empirical_risk):
        with pytest.raises(SnnlearnError, match=message):
            measure(CURRENT, Sample(X, y))
