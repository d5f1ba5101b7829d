"""Running a network over time: all at once, step by step and in pieces are one thing."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, Delayed, ExponentialEscape, NextStep, Refractory

KEYS = jax.random.split(jax.random.key(2), 8)
T = 14


def convolutional():
    conv = Conv2d((1, 6, 6), 2, 3, padding=1, key=KEYS[0])
    dense = Chain(AveragePool2d((2, 6, 6), 2), Dense(18, 5, use_bias=True, key=KEYS[1]))
    return Network(
        (
            Layer(conv, LIF(v_th=0.1, refractory=Refractory(2e-3)), Dense(72, 72, key=KEYS[2])),
            Layer(dense, Delayed(ALIF(v_th=0.01, reset=NextStep())), Dense(5, 5, key=KEYS[3])),
            Layer(Dense(5, 3, key=KEYS[4]), LI()),
        )
    )


NETWORKS = {
    "dense": (feedforward((4, 6, 5, 3), neuron=CubaLIF(v_th=0.3), key=KEYS[5]), (4,)),
    "recurrent": (feedforward((4, 6, 3), neuron=ALIF(v_th=0.1), recurrent=True, use_bias=True, key=KEYS[6]), (4,)),
    "convolutional": (convolutional(), (6, 6)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    network, shape = NETWORKS[request.param]
    xs = 3 * jax.random.normal(KEYS[7], (T, *shape))
    activity, state = jax.jit(lambda xs: unroll(network, xs, record=lambda state: state.v))(xs)
    assert all(bool(spikes.any()) for spikes in activity.outputs)
    return network, xs, activity, state


def same(actual, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected)


def test_unroll_is_stepping(case):
    network, xs, activity, after = case
    step = jax.jit(lambda x, state: network.step(x, state))
    state, ys = network.initial_state(), []
    for x in xs:
        y, state = step(x, state)
        ys.append(y)
    same(jnp.stack(ys), activity.outputs[-1])
    same(state, after)


def test_a_sequence_may_be_run_in_pieces(case):
    network, xs, activity, after = case
    run = jax.jit(lambda xs, state: network(xs, state))
    first, state = run(xs[: T // 2], network.initial_state())
    second, state = run(xs[T // 2 :], state)
    same(jnp.concatenate([first, second]), activity.outputs[-1])
    same(state, after)


def test_a_batch_is_its_samples(case):
    network, xs, activity, _ = case
    batch, _ = jax.jit(jax.vmap(network))(jnp.stack([-xs, xs]))
    same(batch[1], activity.outputs[-1])
    assert bool(jnp.any(batch[0] != batch[1]))


def test_activity_is_of_every_layer(case):
    network, _, activity, after = case
    for layer, output, v, state in zip(network.layers, activity.outputs, activity.records, after, strict=True):
        assert output.shape == v.shape == (T, *layer.shape)
        np.testing.assert_array_equal(v[-1], state.neuron.v)
    np.testing.assert_array_equal(activity.outputs[-1], activity.records[-1])  # the readout's output is its membrane


def test_recurrent_spikes_arrive_one_step_later():
    """Against a plain loop of the two equations, in NumPy."""
    network = feedforward((3, 4, 2), neuron=LIF(tau_mem=8e-3, v_th=0.2), recurrent=True, key=KEYS[0])
    xs = np.random.default_rng(0).normal(0.5, 2.0, (30, 3)).astype(np.float32)
    hidden, readout = network.layers
    w, r, out = (np.asarray(s.weight) for s in (hidden.synapses, hidden.recurrent, readout.synapses))
    v, z, y, ys, zs = np.zeros(4), np.zeros(4), np.zeros(2), [], []
    for x in xs:
        v = np.exp(-1 / 8) * v + (1 - np.exp(-1 / 8)) * (w @ x + r @ z)
        z = (v > 0.2).astype(float)
        v = v - 0.2 * z
        y = np.exp(-1 / 20) * y + (1 - np.exp(-1 / 20)) * (out @ z)
        ys.append(y)
        zs.append(z)
    assert 0.05 < np.mean(zs) < 0.95
    activity, _ = eqx.filter_jit(unroll)(network, jnp.asarray(xs))
    np.testing.assert_array_equal(activity.outputs[0], np.array(zs))
    np.testing.assert_allclose(activity.outputs[1], ys, atol=1e-5)


def test_feedforward_puts_its_arguments_where_they_belong():
    network = feedforward((4, 6, 5, 3), neuron=ALIF(), readout=LIF(), recurrent=True, use_bias=True, key=KEYS[0])
    assert [layer.shape for layer in network.layers] == [(6,), (5,), (3,)]
    assert [type(layer.neuron) for layer in network.layers] == [ALIF, ALIF, LIF]
    assert [layer.recurrent is None for layer in network.layers] == [False, False, True]
    first = {float(leaf.ravel()[0]) for leaf in jax.tree.leaves(network) if eqx.is_array(leaf) and leaf.any()}
    assert len(first) == 5  # three layers and two loops, drawn apart


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Network(()), "Network: it has no layers"),
        (
            lambda: Network((Layer(Dense(3, 4, key=KEYS[0]), LIF()), Layer(Dense(5, 2, key=KEYS[0]), LI()))),
            r"Network: .*\(4,\).*\(5,\)",
        ),
        (
            lambda: Network((Layer(Dense(3, 4, key=KEYS[0]), LIF()), Layer(Dense(4, 2, key=KEYS[0]), LI(dt=2e-3)))),
            r"time steps \[0.001, 0.002\] s",
        ),
        (lambda: Layer(Dense(3, 4, key=KEYS[0]), LIF(), Dense(3, 4, key=KEYS[0])), "recurrent synapses"),
        (lambda: Layer(Dense(3, 4, key=KEYS[0]), LIF(), Dense(4, 3, key=KEYS[0])), "recurrent synapses"),
        (
            lambda: feedforward((3, 4), readout=LIF(surrogate=ExponentialEscape(dt=2e-3)), key=KEYS[0]),
            r"time steps \[0.001, 0.002\] s",
        ),
        (
            lambda: feedforward((3, 4, 2), neuron=Delayed(LIF(tau_mem=np.full(5, 9e-3))), key=KEYS[0]),
            r"layer 1 has units of shape \[4\], but tau_mem of its Delayed is of shape \[5\]",
        ),
        (
            lambda: feedforward((3, 4, 2), readout=LI(v_leak=np.zeros(3)), key=KEYS[0]),
            r"layer 2 has units of shape \[2\], but v_leak of its LI is of shape \[3\]",
        ),
        (lambda: feedforward((4,), key=KEYS[0]), "feedforward: sizes is"),
        (lambda: feedforward((4, 0, 3), key=KEYS[0]), "Dense: out_size is 0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("neuron", "size", "message"),
    [
        (LIF(), 4, r"neuron.v of layer 1 is float32\[4\], and should be float32\[3\]"),
        (ALIF(), 3, r"it has neuron.a of layer 1, float32\[3\], which should not be there"),
    ],
)
def test_the_state_of_another_network_is_refused(neuron, size, message):
    network = feedforward((2, 3, 2), key=jax.random.key(0))
    other = feedforward((2, size, 2), neuron=neuron, key=jax.random.key(0)).initial_state()
    with pytest.raises(SnnlearnError, match=message):
        network(jnp.ones((4, 2)), other)
    with pytest.raises(SnnlearnError, match=r"it has no .* of layer 2"):
        network(jnp.ones((4, 2)), network.initial_state()[:1])
