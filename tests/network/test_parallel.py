"""Networks without a loop over time are the loop; deep networks of linear recurrent units."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.network import (
    Connection,
    CurrentNoise,
    Dense,
    FluctuationDriven,
    Layer,
    LayerNorm,
    Network,
    Redrawn,
    deep_lru,
    feedforward,
    fresh_state,
    recurrent,
    spiking_lru,
    unroll,
    why_step_by_step,
    with_reset,
)
from snnlearn.neurons import GELU, LI, LIF, LRU, Identity, NextStep, NoReset, Subtract, affine

KEYS = jax.random.split(jax.random.key(0), 8)
XS = jax.random.normal(KEYS[0], (9, 3))


def deep(depth=1):
    return deep_lru(3, 6, 2, state_size=5, depth=depth, r_min=0.8, r_max=0.99, key=KEYS[1])


def branched():
    """Delays, two sources, a skip, noise in currents, and spikes."""
    first = Layer(Connection(Dense(3, 4, key=KEYS[1]), delay=2), LIF(v_th=0.02, reset=NoReset()), name="spikes")
    rings = [Connection(CurrentNoise(Dense(4, 5, key=KEYS[2]), 0.1), port="re")]
    rings += [Connection(Dense(3, 5, key=KEYS[3]), "input", "im", delay=1)]
    last = [Dense(10, 2, key=KEYS[4]), Connection(Dense(4, 2, key=KEYS[5]), "spikes", delay=3)]
    return Network((first, Layer(rings, LRU.ring(5, r_max=0.9, key=KEYS[6])), Layer(last, LI())))


def by_steps(network, xs, state):
    def step(state, x):
        outputs, after = network.run_step(x, state)
        return after, (tuple(outputs), tuple(layer.neuron.v for layer in after))

    state, (outputs, vs) = jax.lax.scan(step, state, xs)
    return outputs, vs, state


@eqx.filter_jit
def in_pieces(run, network):
    """The gradient of a number that depends on all that there is, over two pieces; and all that there is."""
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)

    @partial(jax.grad, has_aux=True)
    def gradient_and_activity(parameters):
        network = eqx.combine(parameters, constants)
        outputs, vs, state = run(network, XS[:4], fresh_state(network, key=KEYS[7]))
        activity = jax.tree.leaves((outputs, vs, run(network, XS[4:], state)[:2]))
        total = sum(jnp.sum(jnp.cos(1 + jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape) * a) for a in activity)
        return total, activity

    return gradient_and_activity(parameters)


@pytest.mark.parametrize(("make", "scan"), [(deep, True), (branched, True), (branched, False)])
def test_all_steps_at_once_are_the_loop(make, scan, monkeypatch):
    if scan:  # which a CPU would not use
        monkeypatch.setattr(affine, "in_a_loop", affine.at_once)
    network = make()
    assert why_step_by_step(network.layers) is None

    def at_once(network, xs, state):
        activity, state = unroll(network, xs, state, record=lambda state: state.v)
        return activity.outputs, activity.records, state

    (expected_gradient, expected), (gradient, found) = in_pieces(by_steps, network), in_pieces(at_once, network)
    for trees, tolerance in (((found, expected), 1e-5), ((gradient, expected_gradient), 1e-4)):
        for a, b in zip(*map(jax.tree.leaves, trees), strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance * max(1.0, np.abs(b).max()))
    assert all(np.any(a) for a in found)


def test_loops_and_resets_need_steps():
    assert "layer 1 is reached by itself" in str(why_step_by_step(recurrent(3, 4, 2, key=KEYS[0]).layers))
    assert "layer 1 is LIF" in str(why_step_by_step(feedforward((3, 4, 2), key=KEYS[0]).layers))
    back = Layer([Dense(3, 4, key=KEYS[1]), Connection(Dense(2, 4, key=KEYS[2]), "late")], Identity())
    late = Layer(Dense(4, 2, key=KEYS[3]), LI(), name="late")
    assert "layer 1 is reached by itself, or by a later layer" in str(why_step_by_step((back, late)))


def test_with_reset_changes_the_resets_alone():
    free = feedforward((3, 4, 2), neuron=LIF(v_th=0.05, reset=NoReset()), key=KEYS[0])
    reset = with_reset(free, NextStep(Subtract()))
    expected = feedforward((3, 4, 2), neuron=LIF(v_th=0.05, reset=NextStep(Subtract())), key=KEYS[0])
    assert eqx.tree_equal(reset, expected)
    (spikes, _), (fewer, _) = (eqx.filter_jit(unroll)(network, 3 * XS)[0].outputs for network in (free, reset))
    assert spikes.sum() > fewer.sum() > 0
    with pytest.raises(SnnlearnError, match="with_reset: the network has no spiking neurons without reset"):
        with_reset(deep())


def test_a_sequence_of_no_steps_is_refused():
    with pytest.raises(SnnlearnError, match=r"unroll: xs has shape \(0, 3\), no time steps; give at least one"):
        unroll(deep(), jnp.zeros((0, 3)))


def test_deep_lru_is_the_published_network(x64):
    """Written as in the paper: complex matrices, a sum over the past in closed form, and the features in one piece."""
    network = deep(depth=2)
    of = {layer.name: layer for layer in network.layers}

    def dense(synapses, x):
        return x @ np.asarray(synapses.weight).T + np.asarray(synapses.bias)

    xs = np.asarray(XS, float)
    u = dense(network.layers[0].synapses, xs)
    for k in (1, 2):
        x = (u - u.mean(1, keepdims=True)) / np.sqrt(u.var(1, keepdims=True) + 1e-6)
        ring, (re, im) = of[f"lru {k}"].neuron, (np.asarray(c.synapses.weight) for c in of[f"lru {k}"].connections)
        lam = np.exp(-np.asarray(ring.nu.value) + 1j * np.asarray(ring.theta.value))
        driven = np.asarray(ring.gamma.value) * (x @ (re + 1j * im).T)
        h = np.stack([sum(lam ** (t - s) * driven[s] for s in range(t + 1)) for t in range(len(x))])
        out, direct = (np.asarray(c.synapses.weight) for c in of[f"activation {k}"].connections)
        c = out[:, :5] - 1j * out[:, 5:]
        y = np.asarray(GELU().activation(jnp.asarray((h @ c.T).real + direct * x)))
        value, gate = (dense(c.synapses, y) for c in of[f"gate {k}"].connections)
        u = u + value / (1 + np.exp(-gate))
    np.testing.assert_allclose(
        eqx.filter_jit(network)(jnp.asarray(xs))[0], dense(network.layers[-1].synapses, u), rtol=1e-9
    )


def test_deep_lru_draws_as_the_authors_do():
    network = deep_lru(3, 256, 2, state_size=200, depth=1, key=KEYS[0])
    of = {layer.name: layer.connections for layer in network.layers}
    for connection, variance in (*((c, 1 / 512) for c in of["lru 1"]), (of["activation 1"][0], 1 / 200)):
        squares = np.square(np.asarray(connection.synapses.weight, float))
        assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(squares.size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: deep_lru(3, 4, 2, state_size=3, depth=0, key=KEYS[0]), "depth is 0; give at least 1 block"),
        (lambda: deep_lru(3, 4, 2, state_size=0, depth=1, key=KEYS[0]), "size is 0; give at least 1 unit"),
        (lambda: deep_lru(3, 4, 2, state_size=3, depth=1, r_max=1.5, key=KEYS[0]), "outside the unit disc"),
        (lambda: deep_lru(3, 4, 2, state_size=3, depth=1, key=7), "deep_lru: key is 7"),
        (lambda: recurrent(3, 4, 2, neuron="lstm", key=KEYS[0]), "recurrent: neuron is the string 'lstm'"),
        (lambda: LayerNorm((1,)), r"LayerNorm: shape is \(1,\); give at least two units"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()


def test_spiking_linear_recurrent_units_are_spikes_of_a_linear_memory_and_need_no_loop():
    network = spiking_lru(3, 6, 2, state_size=5, depth=2, r_min=0.8, r_max=0.99, key=KEYS[1])
    xs = jax.random.normal(KEYS[2], (4, 9, 3))
    network = FluctuationDriven(xi=1.0, band=(0.05, 0.5))(network, xs, key=KEYS[3])
    assert why_step_by_step(network.layers) is None
    activity, _ = eqx.filter_jit(unroll)(network, xs[0])
    outputs, _, _ = eqx.filter_jit(by_steps)(network, xs[0], network.initial_state())
    for found, expected in zip(activity.outputs, outputs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    first, memory = activity.outputs[1], activity.outputs[0].reshape(9, -1)
    assert 0 < first.mean() < 1
    out, direct = (connection.synapses for connection in network.layers[1].connections)
    current = jax.vmap(out)(memory) + jax.vmap(direct)(xs[0])
    np.testing.assert_array_equal(first, current > 1)
    reason = why_step_by_step(with_reset(network).layers)
    assert reason is not None and "layer 2 is LIF" in reason


def test_redrawn_weights_are_new_and_as_large():
    network = deep()
    new, other = (Redrawn()(network, XS[None], key=key) for key in KEYS[2:4])
    for given, one, two in zip(network.layers, new.layers, other.layers, strict=True):
        for connections in zip(given.connections, one.connections, two.connections, strict=True):
            if not isinstance(connections[0].synapses, Dense):
                continue
            weights = [connection.synapses.weight for connection in connections]
            powers = [np.square(weight).mean() for weight in weights]
            np.testing.assert_allclose(powers[1:], powers[0], rtol=1e-5)
            assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(weights, [*weights[1:], weights[0]], strict=True))
