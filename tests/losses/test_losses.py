"""Losses against their closed forms."""

from __future__ import annotations

from operator import itemgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.coding import FirstSpike, LastMembrane, MaxMembrane, MeanMembrane, SpikeCount
from snnlearn.losses import (
    AbstractStepwiseLoss,
    ClassMeanSquaredError,
    CrossEntropy,
    MeanSquaredError,
    RateBand,
    StepwiseCrossEntropy,
    Sum,
    VanRossum,
    Window,
)
from snnlearn.network import feedforward
from snnlearn.neurons import LIF, Atan
from snnlearn.rules import BPTT

T, C = 9, 4
OUTPUT = np.random.default_rng(0).normal(0, 2, (T, C)).astype(np.float32)
SPIKES = (OUTPUT > 1).astype(np.float32)
LABEL = jnp.array(2)


def cross_entropy(scores, label):
    return np.log(np.sum(np.exp(scores))) - scores[label]


def first_spike_times(spikes):
    return np.where(spikes.any(axis=0), spikes.argmax(axis=0), len(spikes))


# Class labels.


@pytest.mark.parametrize(
    ("decoder", "output", "scores"),
    [
        (MeanMembrane(), OUTPUT, OUTPUT.mean(axis=0)),
        (MaxMembrane(), OUTPUT, OUTPUT.max(axis=0)),
        (LastMembrane(), OUTPUT, OUTPUT[-1]),
        (SpikeCount(), SPIKES, SPIKES.sum(axis=0)),
        (FirstSpike(scale=2e-3), SPIKES, -first_spike_times(SPIKES) / 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_cross_entropy_is_that_of_the_decoded_scores(decoder, output, scores):
    loss = CrossEntropy(decoder)
    assert float(loss((jnp.asarray(output),), LABEL)) == pytest.approx(cross_entropy(scores, 2), rel=1e-5)
    # Before any learning all classes score alike: the floor of chance, ln C.
    assert float(loss((jnp.zeros((T, C)),), LABEL)) == pytest.approx(np.log(C), rel=1e-6)
    assert loss.decoder == decoder


def test_stepwise_cross_entropy_is_the_mean_over_steps():
    expected = np.mean([cross_entropy(step, 2) for step in OUTPUT])
    assert float(StepwiseCrossEntropy()((jnp.asarray(OUTPUT),), LABEL)) == pytest.approx(expected, rel=1e-5)
    # Jensen: it is not the cross-entropy of the mean.
    assert expected > cross_entropy(OUTPUT.mean(axis=0), 2) + 0.1


def test_class_mean_squared_error_wants_its_two_scores():
    loss = ClassMeanSquaredError(SpikeCount(), on=6.0, off=1.5)
    wanted = np.array([1.5, 1.5, 6.0, 1.5])
    expected = np.mean((SPIKES.sum(axis=0) - wanted) ** 2)
    assert float(loss((jnp.asarray(SPIKES),), LABEL)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [CrossEntropy(), StepwiseCrossEntropy(), ClassMeanSquaredError()])
def test_the_loss_of_a_class_reads_the_last_layer_only(loss):
    hidden = jnp.ones((T, 3))
    both = loss((hidden, jnp.asarray(OUTPUT)), LABEL)
    assert both == loss((jnp.asarray(OUTPUT),), LABEL)


# Signals.


def test_mean_squared_error_is_over_steps_and_outputs():
    target = np.random.default_rng(1).normal(size=(T, C)).astype(np.float32)
    actual = MeanSquaredError()((jnp.asarray(OUTPUT),), jnp.asarray(target))
    assert float(actual) == pytest.approx(np.mean((OUTPUT - target) ** 2), rel=1e-5)


SIGNAL = jnp.asarray(OUTPUT[::-1].copy())


@pytest.mark.parametrize(
    ("loss", "target", "expected"),
    [
        (StepwiseCrossEntropy(), LABEL, lambda: np.mean(log_loss_by_step())),
        (Window(StepwiseCrossEntropy(), 1, 3), LABEL, lambda: np.mean(log_loss_by_step()[1:3])),
        (Window(MeanSquaredError(), start=-2), SIGNAL, lambda: np.mean(np.square(OUTPUT - SIGNAL)[-2:])),
        (
            0.5 * Window(MeanSquaredError(), start=-2) + 3.0 * MeanSquaredError(),
            SIGNAL,
            lambda: 0.5 * np.mean(np.square(OUTPUT - SIGNAL)[-2:]) + 3 * np.mean(np.square(OUTPUT - SIGNAL)),
        ),
    ],
)
def test_a_stepwise_loss_is_the_sum_of_its_steps(loss, target, expected):
    assert isinstance(loss, AbstractStepwiseLoss)
    whole = float(loss((jnp.asarray(OUTPUT),), target))
    assert whole == pytest.approx(expected(), rel=1e-5)
    moments = loss.moments(target, T)
    steps = [float(loss.at_step(jnp.asarray(OUTPUT[t]), jax.tree.map(itemgetter(t), moments))) for t in range(T)]
    assert whole == pytest.approx(np.sum(steps), rel=1e-5)


def log_loss_by_step():
    return -scipy.special.log_softmax(OUTPUT, axis=1)[:, LABEL]


def test_a_window_outside_the_sequence_and_a_target_of_another_length_are_refused():
    with pytest.raises(SnnlearnError, match="no step of 3 lies from 5"):
        Window(MeanSquaredError(), start=5).moments(jnp.zeros((3, 1)), 3)
    with pytest.raises(SnnlearnError, match="the target has 4 steps and the output 3"):
        MeanSquaredError()((jnp.zeros((3, 1)),), jnp.zeros((4, 1)))


def test_a_sum_of_stepwise_losses_decides_as_the_first_that_does():
    assert (MeanSquaredError() + StepwiseCrossEntropy()).decoder == MeanMembrane()
    assert not isinstance(StepwiseCrossEntropy() + RateBand(), AbstractStepwiseLoss)


def train(*steps, num_steps=400):
    return jnp.zeros((num_steps, 1)).at[jnp.array(steps, dtype=int)].set(1.0)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(shift=st.integers(0, 60), tau=st.sampled_from([5e-3, 12e-3]), dt=st.sampled_from([5e-4, 2e-3]))
def test_van_rossum_of_a_displaced_spike_is_one_minus_exp(shift, tau, dt):
    distance = VanRossum(tau=tau, dt=dt)((train(20),), train(20 + shift))
    assert float(distance) == pytest.approx(1 - np.exp(-shift * dt / tau), abs=1e-5)


def test_van_rossum_of_missing_spikes():
    distance = VanRossum(tau=8e-3)
    assert float(distance((train(10),), train())) == pytest.approx(0.5, abs=1e-5)
    assert float(distance((train(),), train(10))) == pytest.approx(0.5, abs=1e-5)
    # Cut off m steps after the spike, ∫ is over m dt only.
    assert float(distance((train(395),), train())) == pytest.approx(0.5 * (1 - np.exp(-2 * 5 / 8)), rel=1e-5)
    # Two missing spikes Δ apart overlap: ½ + ½ + exp(−Δ/τ).
    assert float(distance((train(10, 14),), train())) == pytest.approx(1 + np.exp(-4 / 8), rel=1e-5)
    # Units add.
    two = jnp.concatenate([train(10), train()], axis=1)
    assert float(distance((two,), two[:, ::-1])) == pytest.approx(1.0, abs=1e-5)


# Activity.


def test_rate_band_is_free_within_and_quadratic_outside():
    band = RateBand(low=20.0, high=150.0, dt=2e-3)
    # In 50 steps of 2 ms, a spike is 10 Hz.
    rates = np.array([0, 10, 20, 100, 150, 300])
    counts = rates // 10
    spikes = jnp.asarray((np.arange(50)[:, None] < counts).astype(np.float32))
    readout = jnp.ones((50, 2))
    expected = np.mean([20**2, 10**2, 0, 0, 0, 150**2])
    assert float(band((spikes, readout), LABEL)) == pytest.approx(expected, rel=1e-5)
    # Hidden layers add, whatever their size; the readout never counts.
    assert float(band((spikes, spikes[:, :1], readout), LABEL)) == pytest.approx(expected + 400, rel=1e-5)
    assert float(band((readout,), LABEL)) == 0
    assert float(band((spikes.reshape(50, 2, 3), readout), LABEL)) == pytest.approx(expected, rel=1e-5)


# Algebra.


def test_losses_add_and_scale():
    outputs = jnp.asarray(SPIKES), jnp.asarray(OUTPUT)
    a, b, c = CrossEntropy(MaxMembrane()), RateBand(1.0, 10.0), StepwiseCrossEntropy()
    total = 0.5 * (a + 2 * b) + c * 3
    values = [float(loss(outputs, LABEL)) for loss in (a, b, c)]
    assert values[1] > 0
    expected = 0.5 * values[0] + 0.5 * 2 * values[1] + 3 * values[2]
    assert float(total(outputs, LABEL)) == pytest.approx(expected, rel=1e-6)


def test_a_sum_decides_as_its_first_term_that_does():
    assert (RateBand() + CrossEntropy(SpikeCount())).decoder == SpikeCount()
    assert (CrossEntropy(MaxMembrane()) + CrossEntropy(SpikeCount())).decoder == MaxMembrane()
    assert (2 * RateBand()).decoder is None
    assert MeanSquaredError().decoder is VanRossum().decoder is None


def test_the_gradient_tells_a_silent_readout_to_fire_first():
    """Times to first spike train a network whose output units are silent, where counting steps of spikes cannot.

    Its surrogate has to reach so far below the threshold, as the default does not.
    """
    network = feedforward((4, 8, 2), readout=LIF(v_th=5.0, surrogate=Atan()), key=jax.random.key(0))
    inputs = 20 * jax.random.normal(jax.random.key(1), (4, 20, 4))
    targets = jnp.array([0, 1, 0, 1])
    loss = CrossEntropy(FirstSpike(scale=3e-3))
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)

    @jax.jit
    def outputs(parameters):
        return jax.vmap(eqx.combine(parameters, constants))(inputs)[0]

    @jax.jit
    def learn(parameters):
        def descend(parameters, _):
            value, gradient = BPTT()(eqx.combine(parameters, constants), loss, inputs, targets, key=jax.random.key(0))
            return jax.tree.map(lambda p, g: p - 1.0 * jnp.sign(g), parameters, gradient), (value, gradient)

        return jax.lax.scan(descend, parameters, length=60)

    assert not outputs(parameters).any()
    trained, (values, gradients) = learn(parameters)
    assert float(values[0]) == pytest.approx(np.log(2), rel=1e-5)
    assert bool(gradients.layers[1].synapses.weight[0].any())
    assert float(values.min()) < 0.1
    assert outputs(trained).any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: RateBand(10.0, 5.0), "RateBand: low is 10.0 Hz and high 5.0 Hz"),
        (lambda: RateBand(-1.0, 5.0), "RateBand: low is -1.0"),
        (lambda: RateBand(dt=0.0), "RateBand: dt is 0.0"),
        (lambda: VanRossum(tau=0.0), "VanRossum: tau is 0.0"),
        (lambda: VanRossum(tau=1e-4), "dt = 0.001 s is longer than tau"),
        (lambda: Sum((CrossEntropy(),), (1.0, 2.0)), "Sum: 1 terms but 2 weights"),
    ],
)
def test_a_value_out_of_range_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()
