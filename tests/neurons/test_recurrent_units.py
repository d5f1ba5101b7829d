"""LRU, GRU, LSTM and plain recurrent units against their equations, written in NumPy."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.network import recurrent, unroll
from snnlearn.neurons import (
    GELU,
    GLU,
    GRU,
    LRU,
    LSTM,
    NextStep,
    NoReset,
    ResonateAndFire,
    Subtract,
    Tanh,
    check_neuron,
)

KEY = jax.random.key(0)
UNITS = 4


@pytest.mark.parametrize(
    "neuron",
    [LRU.ring(UNITS, r_min=0.3, r_max=0.9, key=KEY), LRU(0.1, 0.2, 3.0), GLU(), GRU(), LSTM(), Tanh(), GELU()],
    ids=lambda neuron: type(neuron).__name__,
)
def test_the_units_conform(neuron):
    check_neuron(neuron, units=UNITS, spiking=False, key=KEY)


@pytest.mark.parametrize("reset", [NoReset(), NextStep(Subtract())])
def test_resonate_and_fire_conforms(reset):
    check_neuron(ResonateAndFire(tau_mem=9e-3, frequency=jnp.linspace(0, 90, UNITS), reset=reset), units=UNITS, key=KEY)


def test_resonate_and_fire_prefers_its_frequency(x64):
    """The membrane of a sinusoidal current is that of the exact recursion, and largest at the neuron's frequency."""
    neuron = ResonateAndFire(tau_mem=0.1, frequency=30.0, v_th=1e9, resistance=0.5)
    steps = np.arange(400)
    peaks = []
    for hertz in (10.0, 30.0, 60.0):
        current = np.sin(2 * np.pi * hertz * steps * 1e-3)
        _, states = neuron.all_steps(jnp.asarray(current[:, None]), neuron.initial_state((1,)))
        factor = np.exp(-1e-3 / 0.1 + 2j * np.pi * 30 * 1e-3)
        u = [0j]
        for i in current:
            u.append(factor * u[-1] + 0.5 * i)
        np.testing.assert_allclose(states.v[:, 0], np.real(u[1:]), atol=1e-11)
        peaks.append(np.abs(states.v[200:]).max())
    assert peaks[1] > 3 * max(peaks[0], peaks[2])


def test_lru_is_the_published_recursion(x64):
    unit = LRU.ring(3, r_min=0.5, r_max=0.99, key=KEY)
    nu_log, theta_log, gamma_log = (np.asarray(each.log) for each in (unit.nu, unit.theta, unit.gamma))
    lam = np.exp(-np.exp(nu_log) + 1j * np.exp(theta_log))
    drive = np.asarray(jax.random.normal(KEY, (20, 2, 3)))
    h, state = np.zeros(3, complex), unit.initial_state((3,))
    for re, im in drive:
        h = lam * h + np.exp(gamma_log) * (re + 1j * im)
        output, state = unit({"re": jnp.asarray(re), "im": jnp.asarray(im)}, state)
        np.testing.assert_allclose(output, [h.real, h.imag], atol=1e-14)


def test_a_state_carries_over_as_the_powers_of_lambda(x64):
    unit = LRU(nu=jnp.array([0.01, 0.3]), theta=jnp.array([0.1, 2.0]), gamma=jnp.ones(2))
    lam = np.exp(-np.array([0.01, 0.3]) + 1j * np.array([0.1, 2.0]))
    still = unit.no_current((2,))

    def after(v, w, steps):
        state = unit.initial_state((2,))._replace(v=v, w=w)
        state, _ = jax.lax.scan(lambda state, _: unit(still, state)[::-1], state, None, steps)
        return jnp.stack([state.v, state.w])

    for steps in (1, 7, 100):
        by_v, by_w = jax.jacobian(lambda v, w, n=steps: after(v, w, n), (0, 1))(jnp.ones(2), jnp.ones(2))
        power = lam**steps
        for part, expected in ((by_v[0], power.real), (by_v[1], power.imag), (by_w[0], -power.imag)):
            np.testing.assert_allclose(part, np.diag(expected), rtol=1e-11, atol=1e-15)


def test_the_ring_is_uniform_and_normalised():
    size, inner, outer = 40_000, 0.9, 0.99
    ring = LRU.ring(size, r_min=inner, r_max=outer, max_phase=0.5, key=KEY)
    squared, angle = np.exp(-2 * np.asarray(ring.nu.value, float)), np.asarray(ring.theta.value, float)
    low, high = inner**2, outer**2

    def demand_mean(values, expected):
        assert abs(values.mean() - expected) < 3 * values.std() / np.sqrt(size)

    assert low <= squared.min() and squared.max() <= high and 0 < angle.min() and angle.max() <= 0.5
    demand_mean(squared, (low + high) / 2)
    demand_mean((squared - (low + high) / 2) ** 2, (high - low) ** 2 / 12)
    demand_mean(angle, 0.25)
    demand_mean((angle - 0.25) ** 2, 0.25 / 12)
    average = np.log((1 - low) / (1 - high)) / (high - low)
    np.testing.assert_allclose(average, 13.26458, atol=5e-6)
    demand_mean(1 / (1 - squared), average)
    np.testing.assert_allclose(np.asarray(ring.gamma.value) ** 2, 1 - squared, rtol=1e-4)


def test_a_ring_close_to_the_unit_circle_keeps_its_precision():
    """In single precision |λ|² would be rounded there, for 1 unit in 30,000 between 0.999 and 1 to 1 itself."""
    size = 20_000
    ring = LRU.ring(size, r_min=0.9999, r_max=1.0, key=KEY)
    lost = -np.expm1(-2 * np.asarray(ring.nu.value, float))
    assert 0 < lost.min() and lost.max() < 1 - 0.9999**2
    np.testing.assert_allclose(np.asarray(ring.gamma.value, float) ** 2, lost, rtol=1e-5)
    assert len(np.unique(lost)) > 0.99 * size


def test_a_ring_may_be_a_circle():
    ring = LRU.ring(50, r_min=0.5, r_max=0.5, key=KEY)
    np.testing.assert_allclose(np.exp(-np.asarray(ring.nu.value)), 0.5, rtol=1e-6)
    assert LRU.ring(50_000, r_max=1e-4, key=KEY).nu.value.max() < np.inf


@pytest.mark.parametrize("normalised", [True, False])
def test_white_noise_gives_every_unit_of_a_ring_the_same_variance(normalised):
    ring = LRU.ring(3, r_min=0.6, r_max=0.9, key=KEY)
    unit = ring if normalised else LRU(ring.nu, ring.theta, 1.0)
    draws = jax.random.normal(KEY, (2000, 2, 60, 3))
    outputs, _ = jax.jit(jax.vmap(lambda i: unit.all_steps({"re": i[0], "im": i[1]}, unit.initial_state((3,)))))(draws)
    power = np.asarray(jnp.square(outputs[:, -1]).sum(axis=1))
    expected = 2.0 if normalised else 2 / np.asarray(1 - jnp.exp(-2 * ring.nu.value))
    np.testing.assert_array_less(np.abs(power.mean(axis=0) - expected), 3.5 * power.std(axis=0) / np.sqrt(2000))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LRU(-0.1, 0.2, 1.0), "nu is -0.1; give a finite number above 0, so that"),
        (lambda: LRU(jnp.array([0.1, 0.0]), 0.2, 1.0), r"nu is 0.0 at \[1\]; give"),
        (lambda: LRU(0.1, -0.2, 1.0), "theta is -0.2"),
        (lambda: LRU.ring(0, key=KEY), "size is 0; give at least 1"),
        (lambda: LRU.ring(3, r_max=1.1, key=KEY), "outside the unit disc"),
        (lambda: LRU.ring(3, r_min=0.9, r_max=0.8, key=KEY), "r_min = 0.9 to r_max = 0.8"),
        (lambda: LRU.ring(3, r_min=1.0, key=KEY), "r_min below 1"),
        (lambda: LRU.ring(3, max_phase=7.0, key=KEY), r"max_phase is 7.0; give an angle in \(0, 2π\]"),
        (lambda: ResonateAndFire(frequency=500.0), "frequency is 500.0 Hz, .* less than 500 Hz"),
        (lambda: ResonateAndFire(frequency=-1.0), "frequency is -1.0"),
        (lambda: ResonateAndFire(tau_mem=1e-4), "dt = 0.001 s is longer than tau_mem"),
        (lambda: GRU(dt=0.0), "dt is 0.0"),
        (lambda: LSTM().free(), "LSTM has no linear membrane, as its currents gate one another"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain(h, c, into, back):
    return np.tanh(into["current"] + back["current"]), c


def gru(h, c, into, back):
    reset, keep = (sigmoid(into[port] + back[port]) for port in ("reset", "keep"))
    return (1 - keep) * np.tanh(into["new"] + reset * back["back"]) + keep * h, c


def lstm(h, c, into, back):
    write, keep, new, read = (into[port] + back[port] for port in ("write", "keep", "new", "read"))
    c = sigmoid(keep) * c + sigmoid(write) * np.tanh(new)
    return sigmoid(read) * np.tanh(c), c


@pytest.mark.parametrize(("neuron", "step"), [(Tanh(), plain), (GRU(), gru), (LSTM(), lstm)])
def test_recurrent_networks_are_their_equations(neuron, step, x64):
    network = recurrent(3, 5, 2, neuron=neuron, key=KEY)
    # Biases of 0 would hide where they go.
    network = jax.tree.map(lambda a: a + 0.1 if eqx.is_inexact_array(a) else a, network)
    xs = np.asarray(jax.random.normal(KEY, (12, 3)))
    hs = np.asarray(unroll(network, jnp.asarray(xs))[0].outputs[0])
    connections = network.layers[0].connections
    assert len(connections) == len(neuron.input_ports) + len(neuron.loop_ports)
    h, c = np.zeros(5), np.zeros(5)
    for x, expected in zip(xs, hs, strict=True):
        sums = {"before": {}, "itself": {}}
        for connection in connections:
            weight, bias = connection.synapses.weight, connection.synapses.bias
            sent = x if connection.source == "before" else h
            sums[connection.source][connection.port] = weight @ sent + (0 if bias is None else bias)
        h, c = step(h, c, sums["before"], sums["itself"])
        np.testing.assert_allclose(expected, h, atol=1e-13)
    assert np.abs(np.diff(hs, axis=0)).max() > 0.1
