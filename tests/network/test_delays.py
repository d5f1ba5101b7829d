"""Learnable delays: kernels, streaming, whole delays, derivatives, and what a training makes of them."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError, data, model_file, predict
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import Current
from snnlearn.hypothesis import Hypothesis
from snnlearn.losses import StepwiseCrossEntropy
from snnlearn.network import (
    Chain,
    Connection,
    Conv2d,
    DelayedSynapses,
    Dense,
    GaussianDelay,
    InterpolatedDelay,
    Layer,
    Network,
    ReadNoise,
    check_synapses,
    rounded,
    unroll,
)
from snnlearn.network.delayed import at_progress
from snnlearn.neurons import ALIF, LI, LIF, Bounded, Constant
from snnlearn.rules import BPTT

KEYS = jax.random.split(jax.random.key(3), 8)
T, INPUTS, UNITS, MOST = 14, 3, 4, 5
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
    "one for all": DelayedSynapses(Conv2d((1, 4, 4), 2, 3, key=KEYS[1]), jnp.array(1.7), MOST),
    "fixed": DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), 5, MOST),
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


@pytest.mark.parametrize("neuron", [LIF(tau_mem=5e-3, v_th=0.05), LI(tau_mem=5e-3)], ids=["LIF", "LI"])
def test_layer_by_layer_step_by_step_and_in_pieces_are_the_same(neuron):
    """Streaming continues exactly: the line is part of the state. A loop that is silent forces the common scan."""
    late = DelayedSynapses(dense(), jnp.round(drawn(UNITS, INPUTS)) + 0.25, MOST)
    hidden, readout = Layer(late, neuron), Layer(DelayedSynapses(dense(UNITS, 2), drawn(2, UNITS), MOST), LI())
    network = Network((hidden, readout))
    silent = jax.tree.map(jnp.zeros_like, dense(UNITS, UNITS))
    looped = Network((Layer(late, neuron, silent), readout))
    expected, end = unroll(looped, XS[0])
    found, state = unroll(network, XS[0], record=lambda state: state.v)
    assert expected.outputs[0].any()
    for one, other in zip(found.outputs, expected.outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.records[0][-1], state[0].neuron.v, rtol=1e-6)
    np.testing.assert_array_equal(state[1].synapses[0].line, end[1].synapses[0].line)
    first, middle = network(XS[0, :6])
    second, last = network(XS[0, 6:], middle)
    np.testing.assert_allclose(jnp.concatenate([first, second]), found.outputs[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(last[0].synapses[0].line, state[0].synapses[0].line)


@pytest.mark.parametrize("delay", [0, 1, 3, MOST])
@pytest.mark.parametrize("shape", [(), (INPUTS,), (UNITS, INPUTS)])
def test_whole_delays_are_those_of_connections_bit_for_bit(delay, shape):
    for kernel in (InterpolatedDelay(), GaussianDelay(1.0, 1e-3).at(jnp.array(1.0))):
        late = DelayedSynapses(dense(), Constant(jnp.full(shape, float(delay))), MOST, kernel)
        neuron = LIF(tau_mem=5e-3, v_th=0.3)
        found = unroll(Network((Layer(late, neuron),)), XS[0], record=lambda state: state.v)[0]
        fixed = Network((Layer(Connection(dense(), delay=delay), neuron),))
        expected = unroll(fixed, XS[0], record=lambda state: state.v)[0]
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


@pytest.mark.parametrize("name", ["pairs", "units", "inputs"])
@pytest.mark.parametrize("kernel", [InterpolatedDelay(), GaussianDelay(2.0)], ids=["interpolated", "gaussian"])
def test_derivatives_are_those_of_finite_differences(name, kernel, x64):
    """Through a filter and a second layer, so that the loss is a smooth function of weights and delays."""
    made = SYNAPSES[name]
    late = DelayedSynapses(made.synapses, made.delays, MOST, kernel)
    readout = DelayedSynapses(Dense(UNITS, 2, key=KEYS[3]), drawn(2, UNITS), MOST, kernel)
    network = Network((Layer(late, LI(tau_mem=5e-3)), Layer(readout, LI(tau_mem=5e-3))))
    network = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, network)
    xs = XS.astype(jnp.float64)
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)

    @jax.jit
    def of(leaves):
        return loss_of(eqx.combine(jax.tree.unflatten(structure, leaves), constants), xs)

    leaves, structure = jax.tree.flatten(parameters)
    gradient = jax.grad(of)(leaves)
    rng, h = np.random.default_rng(0), 1e-6
    for k, (leaf, slope) in enumerate(zip(leaves, gradient, strict=True)):
        direction = jnp.asarray(rng.normal(size=leaf.shape))
        ahead, behind = ([*leaves[:k], leaf + s * direction, *leaves[k + 1 :]] for s in (h, -h))
        difference = float(of(ahead) - of(behind)) / (2 * h)
        assert float(jnp.sum(slope * direction)) == pytest.approx(difference, rel=1e-6, abs=1e-9)
    assert abs(difference) > 1e-3


def test_at_a_whole_delay_the_derivative_is_the_mean_of_both_sides():
    """And interpolation feels one step: an input two steps away has no derivative, but under a wide kernel."""
    xs = jnp.array([1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0])[:, None]

    def arriving(delay, kernel):
        late = DelayedSynapses(dense(1, 1), Constant(1.0), 4, kernel)
        late = eqx.tree_at(lambda s: (s.synapses.weight, s.delays.array), late, (jnp.ones((1, 1)), delay))
        late = eqx.tree_at(lambda s: s.delays, late, Unbounded(delay), is_leaf=lambda n: n is late.delays)
        return late.all_steps(xs, late.initial_state())[0][4, 0]

    slope = [jax.grad(arriving)(d, InterpolatedDelay()) for d in (0.5, 1.0, 1.5, 2.0, 2.5)]
    assert np.allclose(slope, [3.0, 0.0, -3.0, -1.5, 0.0])
    assert jax.grad(arriving)(3.0, GaussianDelay(1.5)) < -0.1


class Unbounded(eqx.Module):
    """A delay as it is."""

    value: jax.Array


def batch_network():
    late = DelayedSynapses(Dense(INPUTS, UNITS, key=KEYS[1]), drawn(UNITS, INPUTS), MOST)
    return Network((Layer(late, LIF(tau_mem=5e-3, v_th=0.1)), Layer(Dense(UNITS, 2, key=KEYS[5]), LI())))


def test_samples_of_a_batch_end_where_they_end():
    """What arrives after the end changes neither loss nor gradient, though its delay would bring it."""
    from snnlearn.losses.ends import Ended  # noqa: PLC0415

    network, labels, lengths = batch_network(), jnp.array([0, 1]), jnp.array([9, T])
    loss = Ended(StepwiseCrossEntropy())
    other = XS.at[0, 9:].set(1 - XS[0, 9:])
    value, gradient = BPTT()(network, loss, XS, (labels, lengths), key=KEYS[6])
    again, same = BPTT()(network, loss, other, (labels, lengths), key=KEYS[6])
    assert value == again
    jax.tree.map(np.testing.assert_array_equal, gradient, same)
