"""What optimisers move, by how much and how often; RMaxProp against its recursion in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn.algorithms import GradientDescent, Optimizer, adamw, constant, gradient_descent, rmaxprop
from snnlearn.losses import RateBand, StepwiseCrossEntropy
from snnlearn.network import AsGiven
from snnlearn.rules import BPTT, EProp, StoredFeedback

RNG = np.random.default_rng(0)


def steps(optimizer, gradients):
    state, found = optimizer.init(jnp.zeros(gradients.shape[1:])), []
    for gradient in gradients:
        update, state = optimizer.update(jnp.asarray(gradient), state)
        found.append(np.asarray(update))
    return np.stack(found)


@pytest.mark.parametrize("per_layer", [False, True])
def test_it_is_its_recursion(per_layer):
    gradients = RNG.normal(size=(20, 3, 4)).astype(np.float32)
    v, expected = np.zeros((3, 4)), []
    for g in gradients:
        v = np.maximum(0.7 * v, g**2)
        if per_layer:
            v = np.full_like(v, v.max())
        expected.append(-0.02 * g / (np.sqrt(v) + 0.3))
    found = steps(rmaxprop(0.02, decay=0.7, eps=0.3, per_layer=per_layer), gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_step_is_longer_than_the_learning_rate_however_rare_the_gradient():
    gradients = np.where(RNG.random((400, 5)) < 0.02, RNG.normal(size=(400, 5)), 0.0).astype(np.float32)
    longest = np.abs(steps(rmaxprop(1e-3), gradients)).max()
    assert longest == pytest.approx(1e-3, rel=1e-5)
    assert np.abs(steps(optax.rmsprop(1e-3, decay=0.98), gradients)).max() > 3e-3


def test_the_learning_rate_may_be_a_schedule_and_the_papers_decay_is_the_default():
    halved = rmaxprop(lambda count: 0.1 * 0.5**count)
    found = steps(halved, np.array([[2.0], [2.0], [1.0]], np.float32))
    v = np.maximum(4 * np.exp(-0.5 / 30), 1.0)
    np.testing.assert_allclose(found.ravel(), [-0.1, -0.05, -0.025 / np.sqrt(v)], rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "name"), [({"decay": 1.0}, "decay"), ({"decay": -0.1}, "decay"), ({"eps": 0.0}, "eps")]
)
def test_it_refuses(wrong, name):
    with pytest.raises(SnnlearnError, match=f"rmaxprop: {name} is"):
        rmaxprop(0.1, **wrong)


def network():
    """Weights, biases, trained time constants and thresholds, and feedback weights."""
    neuron = sl.neurons.LIF(tau_mem=np.full(6, 9e-3), v_th=np.full(6, 0.5))
    plain = sl.network.feedforward((4, 6, 3), neuron=neuron, use_bias=True, key=jax.random.key(0))
    return sl.rules.with_feedback(plain, key=jax.random.key(1))


def data(scale=1.0):
    x, y = jax.random.uniform(jax.random.key(2), (40, 4)), jnp.arange(40) % 3
    sample = sl.data.Sample(np.asarray(scale * x), np.asarray(y))
    return sl.data.Dataset("forty", sample, sample, sample, 3, "values", low=0.0, high=scale)


def epochs(algorithm, start=None, *, count=2, sample=None, encoder=None):
    sample, encoder = sample or data(), encoder or sl.coding.Current(num_steps=12)
    training = algorithm.start(
        encoder, network() if start is None else start, sample.learning, keys=jax.random.key(3)[None]
    )
    first, found = training, []
    for _ in range(count):
        training, metrics = algorithm.epoch(encoder, training, sample.learning)
        found.append(metrics)
    return first.network, training.network, found


class Recorder(NamedTuple):
    rates: jax.Array


def recording(rate):
    """An optimiser that moves nothing and adds up the step sizes that it was given."""

    def update(updates, state, params=None):
        return jax.tree.map(jnp.zeros_like, updates), Recorder(state.rates + rate)

    return optax.GradientTransformation(lambda params: Recorder(jnp.zeros(())), update)


@pytest.mark.parametrize("steps", [None, 5])
def test_the_schedule_ends_with_the_training_however_often_weights_change(steps):
    """Half a cosine has the mean 1/2. With a rate band each batch has 4 updates of 12 steps by 5."""
    loss = StepwiseCrossEntropy() + 1e-4 * RateBand(5.0, 20.0)
    algorithm = GradientDescent(
        loss, EProp(), Optimizer(recording, 1.0), epochs=8, batch_size=10, steps_per_update=steps
    )
    training = sl.Experiment(
        data(), sl.coding.Current(num_steps=12), network(), algorithm, jax.random.key(3)[None]
    ).run()
    updates = 8 * 4 * (1 if steps is None else 4)
    assert float(training.optimizer_state.inner.rates[0]) == pytest.approx(updates / 2, rel=0.04)


def test_decay_is_of_weights_alone_and_given_feedback_stays():
    """Without a gradient, decay is all that moves."""

    def decay_alone(rate, weight_decay):
        return optax.chain(optax.set_to_zero(), adamw(rate, weight_decay))

    optimizer = Optimizer(decay_alone, 0.1, schedule=constant, arguments={"weight_decay": 0.1})
    start = eqx.tree_at(lambda n: n.layers[0].synapses.bias, network(), jnp.full(6, 0.3))
    algorithm = GradientDescent(StepwiseCrossEntropy(), EProp(StoredFeedback()), optimizer, AsGiven(), 1, 20)
    before, after, _ = epochs(algorithm, start, count=1)
    hidden, unmoved = after.layers[0], before.layers[0]
    np.testing.assert_allclose(hidden.synapses.weight, 0.99**2 * unmoved.synapses.weight, rtol=1e-5)
    for of in (lambda layer: layer.synapses.bias, lambda layer: layer.neuron, lambda layer: layer.feedback):
        assert eqx.tree_equal(of(hidden), of(unmoved))


def test_given_feedback_stays_under_any_optimiser_and_learns_where_it_should():
    def moved(feedback):
        algorithm = GradientDescent(StepwiseCrossEntropy(), EProp(feedback), optax.adamw(0.1), AsGiven(), 2, 20)
        before, after, _ = epochs(algorithm)
        assert not eqx.tree_equal(before.layers[0].synapses, after.layers[0].synapses)
        return not eqx.tree_equal(before.layers[0].feedback, after.layers[0].feedback)

    assert not moved(StoredFeedback())
    assert moved(StoredFeedback(learns=True))


@pytest.mark.parametrize("method", [optax.adam, optax.sgd])
def test_a_network_learns_the_same_whatever_the_scale_of_its_input(method):
    """Weights start in inverse proportion to the input, by the initialisation; a power of two rounds alike."""
    algorithm = GradientDescent(optimizer=Optimizer(method, 0.1), epochs=3, batch_size=10)
    plain = sl.network.feedforward((4, 6, 3), key=jax.random.key(0))
    _, small, of_small = epochs(algorithm, plain, count=3)
    _, large, of_large = epochs(algorithm, plain, count=3, sample=data(256.0))
    np.testing.assert_allclose(of_small[-1].training_loss, of_large[-1].training_loss, rtol=1e-4)
    weight = small.layers[0].synapses.weight
    np.testing.assert_allclose(weight, 256 * large.layers[0].synapses.weight, rtol=1e-2, atol=1e-4)
    _, _, of_given = epochs(GradientDescent(optimizer=method(0.1), epochs=3, batch_size=10), plain, count=3)
    assert not np.allclose(of_given[-1].training_loss, of_small[-1].training_loss)  # Optax's own is taken as it is


def test_equal_algorithms_share_their_programs():
    def train(optimizer, number=2):
        algorithm = GradientDescent(optimizer=optimizer, epochs=number, batch_size=20)
        sl.fit(algorithm, sl.coding.Current(num_steps=7), sl.network.feedforward((4, 5, 3), key=key), data(), key=key)

    key = jax.random.key(7)
    train(Optimizer())
    train(optax.adam(0.01))
    programs = gradient_descent._epoch._cached._cache_size()  # pyright: ignore
    train(Optimizer(learning_rate=0.3), 5)
    train(optax.adam(0.01))
    assert gradient_descent._epoch._cached._cache_size() == programs  # pyright: ignore
    train(optax.adam(0.02))
    assert gradient_descent._epoch._cached._cache_size() == programs + 1  # pyright: ignore


@pytest.mark.parametrize("rule", [BPTT(), EProp()])
def test_the_norm_of_the_gradient_is_measured(rule):
    algorithm = GradientDescent(StepwiseCrossEntropy(), rule, recorded := Optimizer(recording), AsGiven(), 1, 40)
    _, _, (metrics,) = epochs(algorithm, count=1)
    inputs = jax.vmap(lambda x: sl.coding.Current(num_steps=12)(x, key=jax.random.key(0)))(jnp.asarray(data().train.x))
    _, gradient = eqx.filter_jit(rule)(
        network(), algorithm.loss, inputs, jnp.asarray(data().train.y), key=jax.random.key(0)
    )
    assert recorded.clip is None
    assert float(metrics.gradient_norm[0]) == pytest.approx(float(optax.tree.norm(gradient)), rel=1e-4)


@pytest.mark.parametrize("optimizer", [optax.sgd(1e30), Optimizer(optax.sgd, 1e30)])
def test_a_training_that_diverges_has_no_result(optimizer):
    algorithm = GradientDescent(optimizer=optimizer, epochs=4, batch_size=20)
    with pytest.raises(SnnlearnError, match=r"diverged in epoch .* is not finite; lower the learning rate"):
        sl.fit(algorithm, sl.coding.Current(num_steps=12), network(), data(), key=jax.random.key(0))


@pytest.mark.parametrize("wrong", [{"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"clip": -1.0}])
def test_a_step_or_a_norm_that_is_no_number_above_0_is_refused(wrong):
    with pytest.raises(SnnlearnError, match=f"{next(iter(wrong))} is .*give a finite number above 0"):
        Optimizer(**wrong)


def test_a_name_is_no_optimizer():
    with pytest.raises(SnnlearnError, match="optimizer is the string 'adam'; give an Optimizer"):
        GradientDescent(optimizer="adam")  # pyright: ignore
