"""Gradient descent: repeatable, alone or side by side, blind to the test sample, and it learns."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import Hypothesis, SnnlearnError, fit, predict
from snnlearn.algorithms import Experiment, GradientDescent
from snnlearn.algorithms.evaluation import evaluate
from snnlearn.algorithms.gradient_descent import seed
from snnlearn.coding import Current, FirstSpike, MaxMembrane, Rate
from snnlearn.data import Sample, yin_yang
from snnlearn.losses import CrossEntropy, MeanSquaredError, RateBand
from snnlearn.network import AsGiven, feedforward, unroll
from snnlearn.neurons import LI, LIF
from snnlearn.risk import risk
from snnlearn.rules import BPTT, AbstractRule

KEYS = jax.random.split(jax.random.key(0), 3)
EPOCHS = 6
DATA = yin_yang(num_train=60, num_validation=32, num_test=30)
ENCODER = Rate(num_steps=8, max_rate=700)
NETWORK = feedforward((4, 10, 3), neuron=LIF(tau_mem=5e-3), readout=LI(tau_mem=5e-3), key=KEYS[0])
# A learning rate so large that the validation error goes up and down.
ALGORITHM = GradientDescent(loss=CrossEntropy(MaxMembrane()), optimizer=optax.adam(0.2), epochs=EPOCHS, batch_size=25)


def train(algorithm, keys, data=DATA, encoder=ENCODER, epochs=EPOCHS):
    """The training after each epoch, and how each went."""
    algorithm = dataclasses.replace(algorithm, epochs=epochs)
    epochs_done = Experiment(data, encoder, NETWORK, algorithm, keys).epochs()
    return [(epoch.training, epoch.metrics) for epoch in epochs_done]


def arrays(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


def with_labels(part, labels):
    return dataclasses.replace(DATA, **{part: Sample(getattr(DATA, part).x, labels)})


@pytest.fixture(scope="module")
def together():
    return train(ALGORITHM, KEYS)


@pytest.fixture(scope="module")
def alone():
    return train(ALGORITHM, KEYS[1:2])


def test_the_same_key_gives_the_same_training_bit_by_bit(alone):
    again = train(ALGORITHM, KEYS[1:2])
    for (training, metrics), (training_again, metrics_again) in zip(alone, again, strict=True):
        assert equal(training, training_again)
        assert equal(metrics, metrics_again)


def test_trainings_side_by_side_are_trainings_alone(together, alone):
    for (training, metrics), (training_alone, metrics_alone) in zip(together, alone, strict=True):
        for several, one in zip(arrays((training, metrics)), arrays((training_alone, metrics_alone)), strict=True):
            np.testing.assert_allclose(several[1], one[0], rtol=1e-3, atol=1e-4)


def test_another_key_is_another_training(together):
    weights = together[-1][0].network.layers[0].synapses.weight
    assert not np.allclose(weights[0], weights[1])


def test_the_epoch_with_the_fewest_validation_errors_is_kept(together):
    chosen = set()
    for k in range(len(KEYS)):
        best = 0
        scores = [(float(m.validation_error[k]), float(m.validation_loss[k])) for _, m in together]
        for epoch in range(EPOCHS):
            best = min(range(epoch + 1), key=lambda e: scores[e])
            training = together[epoch][0]
            assert int(training.best_epoch[k]) == best + 1
            assert equal(seed(training.best_network, k), seed(together[best][0].network, k))
            assert int(training.best_errors[k]) == round(scores[best][0] * len(DATA.validation.y))
        chosen.add(best)
    assert chosen != {EPOCHS - 1}  # or the last epoch would have done


def test_the_hypothesis_is_the_best_network_with_its_code(alone):
    hypothesis = ALGORITHM(ENCODER, NETWORK, DATA.learning, key=KEYS[1])
    assert (hypothesis.encoder, hypothesis.decoder) == (ENCODER, MaxMembrane())
    assert equal(hypothesis.network, seed(alone[-1][0].best_network, 0))
    assert equal(fit(ALGORITHM, ENCODER, NETWORK, DATA, key=KEYS[1]), hypothesis)


def test_the_test_sample_never_counts(alone):
    other = dataclasses.replace(DATA, test=Sample(1 - DATA.test.x, (DATA.test.y + 1) % 3))
    for (training, metrics), (training_other, metrics_other) in zip(
        alone, train(ALGORITHM, KEYS[1:2], other), strict=True
    ):
        assert equal((training, metrics), (training_other, metrics_other))


def test_the_validation_sample_chooses_and_does_not_train(alone):
    other = train(ALGORITHM, KEYS[1:2], with_labels("validation", np.roll(DATA.validation.y, 1)))
    assert equal(alone[-1][0].network, other[-1][0].network)
    assert not equal(alone[-1][1].validation_error, other[-1][1].validation_error)


def test_the_training_sample_trains(alone):
    other = train(ALGORITHM, KEYS[1:2], with_labels("train", np.roll(DATA.train.y, 1)), epochs=1)
    assert not equal(alone[0][0].network, other[0][0].network)


def test_one_batch_of_all_samples_is_one_step_along_the_gradient():
    encoder, rate = Current(num_steps=8, gain=4.0), 0.5
    algorithm = GradientDescent(optimizer=optax.sgd(rate), initialisation=AsGiven(), batch_size=60, epochs=1)
    ((training, metrics),) = train(algorithm, KEYS[:1], encoder=encoder, epochs=1)
    inputs = jnp.broadcast_to(4.0 * DATA.train.x[:, None], (60, 8, 4))
    targets = jnp.asarray(DATA.train.y)
    loss, gradient = eqx.filter_jit(BPTT())(NETWORK, CrossEntropy(), inputs, targets, key=KEYS[0])
    for after, before, slope in zip(*map(arrays, (seed(training.network, 0), NETWORK, gradient)), strict=True):
        assert slope.any()
        np.testing.assert_allclose(after, before - rate * slope, rtol=1e-5, atol=1e-6)
    assert float(metrics.training_loss[0]) == pytest.approx(float(loss), rel=1e-5)
    # The validation is of the network after the step.
    hypothesis = Hypothesis(encoder, seed(training.network, 0), CrossEntropy().decoder)
    wrong = predict(hypothesis, DATA.validation.x) != DATA.validation.y
    assert float(metrics.validation_error[0]) == pytest.approx(wrong.mean())
    x, y = jnp.asarray(DATA.validation.x), jnp.asarray(DATA.validation.y)
    run = jax.jit(jax.vmap(lambda x, y: CrossEntropy()(unroll(hypothesis.network, encoder(x))[0].outputs, y)))
    assert float(metrics.validation_loss[0]) == pytest.approx(float(run(x, y).mean()), rel=1e-5)
    few = evaluate(CrossEntropy(), encoder, hypothesis.network, Sample(x, y), batch_size=5, key=KEYS[0])
    assert int(few[1]) == wrong.sum()


class _Visits(AbstractRule):
    """A "gradient" that adds up what the rule is shown."""

    def __call__(self, network, loss, inputs, targets, *, key):
        assert isinstance(inputs, jax.Array)
        zero = jax.tree.map(jnp.zeros_like, eqx.filter(network, eqx.is_inexact_array))
        seen = jnp.broadcast_to(-inputs[:, 0].sum(axis=0), zero.layers[0].synapses.weight.shape)
        return jnp.zeros(()), eqx.tree_at(lambda network: network.layers[0].synapses.weight, zero, seen)


@pytest.mark.parametrize(("batch_size", "all_seen"), [(20, True), (25, False)])
def test_an_epoch_shows_each_sample_once_in_a_new_order(batch_size, all_seen):
    algorithm = GradientDescent(
        rule=_Visits(), optimizer=optax.sgd(1.0), initialisation=AsGiven(), batch_size=batch_size
    )
    history = train(algorithm, KEYS[:1], encoder=Current(num_steps=2), epochs=2)
    weights = [np.asarray(NETWORK.layers[0].synapses.weight[0])]
    weights += [np.asarray(training.network.layers[0].synapses.weight[0, 0]) for training, _ in history]
    seen = np.diff(weights, axis=0)
    np.testing.assert_allclose(seen[:, 0] + seen[:, 2], 60 if all_seen else 50, rtol=1e-4)  # x₀ + x₂ = 1
    assert np.allclose(seen[0], DATA.train.x.sum(axis=0), rtol=1e-4) == all_seen
    assert np.allclose(seen[0], seen[1], rtol=1e-4) == all_seen


def test_it_learns():
    """Better than any linear classifier: lines separate 64 % of yin-yang."""
    data = yin_yang(600, 300, 300)
    network = feedforward((4, 40, 3), use_bias=True, key=KEYS[0])
    algorithm = GradientDescent(optimizer=optax.adam(3e-2), epochs=20, batch_size=30)
    experiment = Experiment(data, Current(num_steps=10), network, algorithm, KEYS[:2])
    for hypothesis in experiment.hypotheses(experiment.run()):
        assert risk(hypothesis, data.test).value < 0.25


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GradientDescent(epochs=0), "epochs is 0"),
        (lambda: GradientDescent(batch_size=0), "batch_size is 0"),
        (lambda: GradientDescent(loss=MeanSquaredError()), "MeanSquaredError decides nothing"),
        (lambda: GradientDescent(loss=2 * RateBand()), "Sum decides nothing"),
        (lambda: start(batch_size=61), "batch_size is 61, but the training sample has only 60"),
        (lambda: start(network=feedforward((5, 4, 3), key=KEYS[0])), "encoded as 4 inputs, but the network takes 5"),
        (
            lambda: start(network=feedforward((4, 4, 2), key=KEYS[0])),
            r"has 3 classes, but the network's output is \(2,\)",
        ),
        (lambda: start(encoder=Current(num_steps=3, dt=2e-3)), "has dt = 0.002 s and the network 0.001 s"),
        (lambda: start(loss=CrossEntropy() + RateBand(dt=2e-3)), r"the loss \(terms.1\) has dt = 0.002 s"),
        (lambda: start(loss=CrossEntropy(FirstSpike(dt=2e-3))), r"the loss \(decoder\) has dt = 0.002 s"),
    ],
)
def test_what_does_not_fit_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()


def start(network=NETWORK, encoder=ENCODER, batch_size=10, loss=ALGORITHM.loss):
    return GradientDescent(loss=loss, batch_size=batch_size).start(encoder, network, DATA.learning, keys=KEYS)
