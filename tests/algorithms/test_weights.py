"""Samples whose z do not count alike, and targets that are no classes."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import Current
from snnlearn.data import LearningData, Sample, WeightedSample
from snnlearn.losses import StepwiseCrossEntropy, ValueMeanSquaredError
from snnlearn.network import feedforward
from snnlearn.rules import BPTT, EProp, NodePerturbation

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)).astype(np.float32), (np.arange(12) % 3).astype(np.int32)
WEIGHTS = np.array([0, 1, 2, 3, 1, 0, 2, 1, 1, 2, 0, 1], np.float32)
ROWS = np.repeat(np.arange(12), WEIGHTS.astype(int))
CODE, KEY = Current(num_steps=8, gain=3.0), jax.random.key(0)
NETWORK = feedforward((4, 10, 3), use_bias=True, key=jax.random.key(1))


def after_one_step(sample, validation=None, **kwargs):
    """Of gradient descent with the whole sample as its batch."""
    algorithm = GradientDescent(optimizer=optax.sgd(10.0), epochs=1, batch_size=len(sample.y), **kwargs)
    data = LearningData("it", sample, validation or sample, 3)
    of_all = LearningData("it", Sample(X, Y), data.validation, 3)  # so that all start alike
    training = dataclasses.replace(algorithm, batch_size=12).start(CODE, NETWORK, of_all, keys=KEY[None])
    return algorithm.epoch(CODE, training, data)


@pytest.mark.parametrize(
    "kwargs", [{"rule": BPTT()}, {"rule": EProp(), "loss": StepwiseCrossEntropy()}], ids=["BPTT", "EProp"]
)
def test_a_weight_multiplies_the_loss_whatever_the_rule(kwargs):
    weighted, repeated, alike = (
        after_one_step(sample, **kwargs)
        for sample in (WeightedSample(X, Y, 5 * WEIGHTS), Sample(X[ROWS], Y[ROWS]), Sample(X, Y))
    )
    leaves = [
        jax.tree.leaves(eqx.filter(training.network, eqx.is_array)) for training, _ in (weighted, repeated, alike)
    ]
    for ours, theirs, other in zip(*leaves, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
        assert not np.allclose(ours, other, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(weighted[1][:1] + weighted[1][2:], repeated[1][:1] + repeated[1][2:], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_validation_chooses_by_weighted_errors():
    alike = after_one_step(Sample(X, Y))[1].validation_error
    training, metrics = after_one_step(Sample(X, Y), WeightedSample(X, Y, WEIGHTS))
    by_rows = after_one_step(Sample(X, Y), Sample(X[ROWS], Y[ROWS]))[1]
    np.testing.assert_allclose(metrics.validation_error, by_rows.validation_error, rtol=1e-6)
    assert metrics.validation_error != alike and int(training.best_epoch[0]) == 1


def test_a_draw_of_weights_is_taken_by_rules_that_draw():
    _, metrics = after_one_step(WeightedSample(X, Y, WEIGHTS), rule=NodePerturbation())
    assert np.isfinite(metrics.gradient_norm).all()


def test_real_targets_are_learned_and_chosen_by_their_loss():
    y = np.stack([X[:, 0], X[:, 1] * X[:, 2], -X[:, 3]], axis=1)
    data = LearningData("values", Sample(X, y), Sample(X, y), None)
    algorithm = GradientDescent(loss=ValueMeanSquaredError(), epochs=30, batch_size=4)
    training, losses = algorithm.start(CODE, NETWORK, data, keys=KEY[None]), []
    for epoch in algorithm.go_on(CODE, training, data):
        training = epoch.training
        losses.append(float(epoch.metrics.validation_loss[0]))
    assert float(training.best_loss[0]) == min(losses) < 0.3 * np.mean(y**2)
    assert int(training.best_epoch[0]) == 1 + np.argmin(losses)
    with pytest.raises(SnnlearnError, match="has 2 values, but the network's output is"):
        algorithm.start(CODE, NETWORK, LearningData("two", *[Sample(X, y[:, :2])] * 2, None), keys=KEY[None])


@pytest.mark.parametrize(
    ("sample", "classes", "words"),
    [
        (WeightedSample(X, Y, WEIGHTS[:3]), 3, r"weights of shape \(3,\) for 12 samples"),
        (WeightedSample(X, Y, 0 * WEIGHTS), 3, "weights that are all zero"),
        (WeightedSample(X, Y, WEIGHTS - 1), 3, "weights that are all zero, negative"),
        (WeightedSample(X, Y, WEIGHTS + np.float32(np.inf)), 3, "not finite"),
        (Sample(X, Y), None, "expected finite real values"),
        (Sample(X, X + np.float32(np.nan)), None, "expected finite real values"),
    ],
)
def test_learning_data_refuse(sample, classes, words):
    with pytest.raises(SnnlearnError, match=words):
        LearningData("it", sample, Sample(X, Y if classes else X), classes)
