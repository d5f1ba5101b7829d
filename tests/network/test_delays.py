"""Learnable delays: kernels, streaming, whole delays, derivatives, and what a training makes of them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from snnlearn import SnnlearnError
from snnlearn._parameters import AbstractQuantity, split, value
from snnlearn.algorithms import GradientDescent, rounding
from snnlearn.coding import Spikes
from snnlearn.data import LearningData, Sample
from snnlearn.losses import StepwiseCrossEntropy, ended
from snnlearn.network import (
    Chain,
    Connection,
    DelayedSynapses,
    Dense,
    FluctuationDriven,
    GaussianDelay,
    InterpolatedDelay,
    Layer,
    Network,
    OneToOne,
    ReadNoise,
    check_synapses,
    unroll,
)
from snnlearn.neurons import LI, LIF, Constant, Dropout
from snnlearn.rules import BPTT

KEYS = jax.random.split(jax.random.key(3), 8)
T, INPUTS, UNITS, MOST = 14, 3, 4, 5
SAMPLE = Sample(
    np.random.default_rng(0).integers(0, 2, (16, T, INPUTS)).astype(np.uint8), (np.arange(16) % 2).astype(np.int32)
)
TASK = LearningData("spikes", SAMPLE, SAMPLE, 2)
XS = jax.random.bernoulli(KEYS[0], 0.4, (2, T, INPUTS)).astype(jnp.float32)


def dense(inputs=INPUTS, units=UNITS, key=KEYS[1]):
    """Weights whose sums are exact in any order."""
    weight = jax.random.randint(key, (units, inputs), -40, 60) / 32
    return eqx.tree_at(lambda s: s.weight, Dense(inputs, units, key=key), weight.astype(jnp.result_type(float)))


def drawn(*shape):
    return jax.random.uniform(KEYS[2], shape, minval=0.3, maxval=MOST - 0.3)


SYNAPSES = {
    "pairs": DelayedSynapses(Dense(INPUTS, UNITS, use_bias=True, key=KEYS[1]), drawn(UNITS, INPUTS), MOST),
    "units": DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), drawn(UNITS, 1), MOST, GaussianDelay(2.0)),
    "inputs": DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), drawn(INPUTS), MOST, GaussianDelay(2.0)),
    "noisy": DelayedSynapses(ReadNoise(Dense(INPUTS, UNITS, key=KEYS[1]), 0.3), 1.5, MOST),
    "read with noise": ReadNoise(DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), drawn(UNITS, INPUTS), MOST), 0.3),
    "in a chain": Chain(
        DelayedSynapses(Dense(INPUTS, 2, key=KEYS[1]), 1.5, 2), DelayedSynapses(Dense(2, UNITS, key=KEYS[3]), 2.5, 3)
    ),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_conforms(name):
    check_synapses(SYNAPSES[name], key=KEYS[4])
    assert SYNAPSES[name].longest_delay == MOST


def test_layer_by_layer_step_by_step_and_in_pieces_are_the_same():
    """Streaming continues exactly: the line is part of the state. A loop that is silent forces the common scan."""
    late = DelayedSynapses(dense(), jnp.round(drawn(UNITS, INPUTS)) + 0.25, MOST)
    neuron = LIF(tau_mem=5e-3, v_th=0.05)
    hidden, readout = Layer(late, neuron), Layer(DelayedSynapses(dense(UNITS, 2), drawn(2, UNITS), MOST), LI())
    network = Network((hidden, readout))
    silent = jax.tree.map(jnp.zeros_like, dense(UNITS, UNITS))
    looped = Network((Layer(late, neuron, silent), readout))
    expected, end = eqx.filter_jit(unroll)(looped, XS[0])
    found, state = eqx.filter_jit(unroll)(network, XS[0], record=lambda state: state.v)
    assert expected.outputs[0].any()
    for one, other in zip(found.outputs, expected.outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.records[0][-1], state[0].neuron.v, rtol=1e-6)
    np.testing.assert_array_equal(state[1].synapses[0].line, end[1].synapses[0].line)
    first, middle = network(XS[0, :6])
    second, last = network(XS[0, 6:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), found.outputs[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(last[0].synapses[0].line, state[0].synapses[0].line)


@pytest.mark.parametrize("shape", [(), (UNITS, INPUTS)], ids=["one for all", "pairs"])
def test_whole_delays_are_those_of_connections_bit_for_bit(shape):
    neuron, run = LIF(tau_mem=5e-3, v_th=0.3), eqx.filter_jit(lambda n, x: unroll(n, x, record=lambda s: s.v)[0])
    for kernel in (InterpolatedDelay(), GaussianDelay(1.0, 1e-3).at(jnp.array(1.0))):
        for delay in (0, 3, MOST):
            late = DelayedSynapses(dense(), Constant(jnp.full(shape, float(delay))), MOST, kernel)
            found = run(Network((Layer(late, neuron),)), XS[0])
            expected = run(Network((Layer(Connection(dense(), delay=delay), neuron),)), XS[0])
            assert expected.outputs[0].any()
            np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
            np.testing.assert_array_equal(found.records[0], expected.records[0])


def test_by_hand():
    """Two weights and two delays between steps, in a loop in NumPy."""
    weight, delays = np.array([[2.0, -1.0]]), np.array([[0.25, 2.5]])
    late = eqx.tree_at(lambda s: s.weight, Dense(2, 1, key=KEYS[0]), jnp.asarray(weight, jnp.float32))
    late = DelayedSynapses(late, jnp.asarray(delays), 3)
    xs = np.asarray(XS[0, :, :2])
    expected = np.zeros(T)
    for t in range(T):
        for i in range(2):
            below = int(np.floor(delays[0, i]))
            for n, share in ((below, below + 1 - delays[0, i]), (below + 1, delays[0, i] - below)):
                expected[t] += weight[0, i] * share * (xs[t - n, i] if t >= n else 0.0)
    np.testing.assert_allclose(late.all_steps(jnp.asarray(xs), late.initial_state())[0][:, 0], expected, rtol=1e-5)


def test_kernels_add_up_to_one_and_narrow_to_the_rounded_delay():
    delays = jnp.array([0.0, 0.3, 2.0, 3.6, 5.0])
    for kernel in (InterpolatedDelay(), GaussianDelay(3.0), GaussianDelay(3.0, 0.5).at(jnp.array(1.0))):
        weights = kernel(delays, MOST)
        np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-6)
        assert weights.shape == (MOST + 1, 5) and (weights >= 0).all()
    one_hot = np.eye(MOST + 1)[:, np.round(np.asarray(delays)).astype(int)]
    np.testing.assert_array_equal(GaussianDelay(3.0, 0.01).at(jnp.array(1.0))(delays, MOST), one_hot)
    assert np.abs(np.asarray(GaussianDelay(3.0)(delays, MOST)) - one_hot).max() > 0.5
    wide = GaussianDelay(2.0)(jnp.array(2.0), 4)
    assert float(wide[2] / wide[0]) == pytest.approx(np.exp(0.5), rel=1e-5)  # one deviation away


def test_the_width_narrows_exponentially_over_a_share_of_the_training():
    kernel = GaussianDelay(12.0, 0.5, share=0.25)
    widths = [float(kernel.at(jnp.array(p)).sigma) for p in (0.0, 0.125, 0.25, 1.0)]
    assert widths == pytest.approx([12.0, np.sqrt(12.0 * 0.5), 0.5, 0.5], rel=1e-5)


def loss_of(network, xs):
    return jnp.sum(jnp.square(jax.vmap(lambda x: network(x)[0])(xs)[:, 3:] - 0.3))


@pytest.mark.parametrize(
    ("name", "kernel"), [("pairs", InterpolatedDelay()), ("units", GaussianDelay(2.0)), ("inputs", InterpolatedDelay())]
)
def test_derivatives_are_those_of_finite_differences(name, kernel, x64):
    """Through a filter and a second layer, so that the loss is a smooth function of weights and delays."""
    made = SYNAPSES[name]
    late = DelayedSynapses(made.synapses, made.delays, MOST, kernel)
    readout = DelayedSynapses(Dense(UNITS, 2, key=KEYS[3]), drawn(2, UNITS), MOST, kernel)
    network = Network((Layer(late, LI(tau_mem=5e-3)), Layer(readout, LI(tau_mem=5e-3))))
    network = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, network)
    xs = XS.astype(jnp.float64)
    parameters, constants = split(network)

    @jax.jit
    def of(leaves):
        return loss_of(eqx.combine(jax.tree.unflatten(structure, leaves), constants), xs)

    leaves, structure = jax.tree.flatten(parameters)
    gradient = jax.jit(jax.grad(of))(leaves)
    rng, h = np.random.default_rng(0), 1e-6
    for k, (leaf, slope) in enumerate(zip(leaves, gradient, strict=True)):
        direction = jnp.asarray(rng.normal(size=leaf.shape))
        ahead, behind = ([*leaves[:k], leaf + s * direction, *leaves[k + 1 :]] for s in (h, -h))
        difference = float(of(ahead) - of(behind)) / (2 * h)
        assert abs(difference) > 1e-4
        assert float(jnp.sum(slope * direction)) == pytest.approx(difference, rel=1e-6, abs=1e-9)


def test_at_a_whole_delay_the_derivative_is_the_mean_of_both_sides():
    """And interpolation feels one step: an input two steps away has no derivative, but under a wide kernel."""
    xs = jnp.array([1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0])[:, None]

    def arriving(delay, kernel):
        late = DelayedSynapses(OneToOne((1,)), Constant(1.0), 4, kernel)
        late = eqx.tree_at(lambda s: s.delays, late, Plain(delay), is_leaf=lambda node: node is late.delays)
        return late.all_steps(xs, late.initial_state())[0][4, 0]

    slope = jax.jit(jax.vmap(jax.grad(lambda d: arriving(d, InterpolatedDelay()))))(
        jnp.array([0.5, 1.0, 1.5, 2.0, 2.5])
    )
    assert np.allclose(slope, [3.0, 0.0, -3.0, -1.5, 0.0])
    assert jax.jit(jax.grad(lambda d: arriving(d, GaussianDelay(1.5))))(3.0) < -0.1


LINEAR = InterpolatedDelay()


class Plain(AbstractQuantity):
    """A delay as it is, not by its logit."""

    array: jax.Array

    @property
    def value(self):
        return self.array


def two_layers(kernel=LINEAR):
    late = DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), drawn(UNITS, INPUTS), MOST, kernel)
    return Network((Layer(late, LIF(tau_mem=5e-3, v_th=0.1)), Layer(Dense(UNITS, 2, key=KEYS[5]), LI())))


def test_samples_of_a_batch_end_where_they_end():
    """What comes after the end changes neither loss nor gradient; before the end it would, after its delay."""
    run = eqx.filter_jit(BPTT())

    def of(xs, end):
        loss, targets = ended(StepwiseCrossEntropy(), jnp.array([0, 1]), jnp.array([end, T]))
        return jax.tree.leaves(run(two_layers(), loss, xs, targets, key=KEYS[6]))

    other = XS.at[0, 9:].set(1 - XS[0, 9:])
    for one, its in zip(of(XS, 9), of(other, 9), strict=True):
        np.testing.assert_array_equal(one, its)
    assert any((one != its).any() for one, its in zip(of(XS, 12), of(other, 12), strict=True))


def test_delays_are_drawn_with_the_weights_and_not_scaled_with_them():
    network = two_layers()
    drawn = FluctuationDriven()(network, XS, key=KEYS[6])
    delays = drawn.layers[0].synapses.delays.value  # pyright: ignore[reportAttributeAccessIssue]
    assert ((delays > 0) & (delays < MOST)).all() and np.unique(delays).size == delays.size
    many = DelayedSynapses(Dense(40, 50, key=KEYS[1]), jnp.full((50, 40), 1.0), MOST).redrawn(key=KEYS[2])
    assert kstest(np.ravel(many.delays.value) / MOST, "uniform").pvalue > 1e-3  # pyright: ignore
    fixed = DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), Constant(jnp.full(INPUTS, 2.0)), MOST)
    fixed = FluctuationDriven()(Network((Layer(fixed, LIF()),)), XS, key=KEYS[6])
    np.testing.assert_array_equal(fixed.layers[0].synapses.delays.value, 2.0)  # pyright: ignore


def test_training_narrows_the_kernel_validates_what_it_keeps_and_knows_what_rounding_costs():
    algorithm, encoder = GradientDescent(StepwiseCrossEntropy(), epochs=3, batch_size=8), Spikes(num_steps=T)
    network = two_layers(GaussianDelay(2.0, share=0.5))
    network = eqx.tree_at(lambda n: n.layers[1].neuron, network, Dropout(LI(), 0.1))
    training = algorithm.start(encoder, network, TASK, keys=KEYS[:2])
    starts = training.network.layers[0].synapses.delays.value  # pyright: ignore[reportAttributeAccessIssue]
    for epoch in algorithm.go_on(encoder, training, TASK):
        training = epoch.training
    late = training.network.layers[0].synapses
    assert isinstance(late, DelayedSynapses) and isinstance(late.kernel, GaussianDelay)
    np.testing.assert_allclose(late.kernel.sigma, 0.5, rtol=1e-5)  # 2/3 of the training are done before the last epoch
    assert (np.abs(late.delays.value - starts) > 1e-3).any(axis=(1, 2)).all()  # pyright: ignore
    for found in algorithm.hypotheses(encoder, training):
        its = found.network.layers[0].synapses
        assert isinstance(its, DelayedSynapses) and isinstance(its.kernel, InterpolatedDelay)
        delays = value(its.delays)
        assert (delays == jnp.round(delays)).all()
    cost = rounding(algorithm, encoder, training, TASK, key=KEYS[6])
    np.testing.assert_allclose(cost.loss_rounded, training.best_loss, rtol=1e-5)  # it is the loss that was validated
    assert (np.abs(cost.loss - cost.loss_rounded) > 1e-4).any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: DelayedSynapses(dense(), 1.0, 0), "max_delay is 0; give at least 1 time step"),
        (lambda: DelayedSynapses(dense(), 6.0, 5), "delays is 6.0; give time steps from 0 to max_delay = 5"),
        (lambda: DelayedSynapses(dense(), -1.0, 5), "delays is -1.0; give time steps from 0"),
        (
            lambda: DelayedSynapses(dense(), jnp.zeros(3), 5),
            r"0.0 at \[0\]; give trained delays above 0 and below max_",
        ),
        (
            lambda: DelayedSynapses(dense(), jnp.ones((3, 4)), 5),
            r"shape \(3, 4\).*\(3,\) for.*\(4, 3\) for one of each",
        ),
        (lambda: DelayedSynapses(dense(), "long", 5), "delays is the string 'long'"),  # pyright: ignore
        (lambda: GaussianDelay(1.0, 2.0), "narrow is 2.0 and wide 1.0 steps; give narrow at most wide"),
        (lambda: GaussianDelay(0.0), "wide is 0.0; give a finite number above 0"),
        (lambda: GaussianDelay(1.0, share=1.5), "share is 1.5; give a share of the training, at most 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()


def test_delays_as_long_as_the_sequence_are_refused_before_training():
    late = DelayedSynapses(Dense(INPUTS, 2, key=KEYS[1]), 1.0, max_delay=T)
    algorithm, network = GradientDescent(epochs=1, batch_size=4), Network((Layer(late, LI()),))
    with pytest.raises(SnnlearnError, match=r"layer 1 may take 14 steps and the sequence has 14.*of at most 13"):
        algorithm.start(Spikes(num_steps=T), network, TASK, keys=KEYS[:1])
