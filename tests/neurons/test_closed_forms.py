"""Membranes and firing rates against closed forms, and against traces and recursions that others published."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.neurons import (
    ALIF,
    LI,
    LIF,
    CubaLIF,
    Delayed,
    Filtered,
    ForwardEuler,
    NextStep,
    Refractory,
    Subtract,
    ToValue,
    UnitGain,
)

pytestmark = pytest.mark.usefixtures("x64")


@eqx.filter_jit
def run(neuron, currents, state=None):
    """Output and membrane of every step."""

    def step(state, current):
        output, state = neuron(current, state)
        return state, (output, state.v)

    state = neuron.initial_state(currents.shape[1:]) if state is None else state
    return jax.lax.scan(step, state, jnp.asarray(currents))[1]


# The membrane.


@pytest.mark.parametrize("neuron", [LI, LIF])
def test_a_membrane_decays_by_a_factor_e_in_each_time_constant(neuron):
    neuron = neuron(tau_mem=8e-3, v_leak=-0.5, dt=2e-3)
    state = neuron.initial_state((1,))
    _, v = run(neuron, np.zeros((12, 1)), eqx.tree_at(lambda state: state.v, state, jnp.array([0.3])))
    steps_per_tau = 4
    assert v[steps_per_tau - 1, 0] == pytest.approx(-0.5 + 0.8 * np.exp(-1), rel=1e-12)
    np.testing.assert_allclose(v[:, 0], -0.5 + 0.8 * np.exp(-np.arange(1, 13) / steps_per_tau), rtol=1e-12)


@pytest.mark.parametrize("neuron", [LI, LIF])
def test_a_constant_current_charges_a_membrane_exponentially(neuron):
    neuron = neuron(tau_mem=13e-3, v_leak=0.2, resistance=1.5, dt=5e-4)
    _, v = run(neuron, np.full((200, 1), 0.4))
    t = 5e-4 * np.arange(1, 201)
    np.testing.assert_allclose(v[:, 0], 0.2 + 1.5 * 0.4 * (1 - np.exp(-t / 13e-3)), rtol=1e-12)


def test_forward_euler_converges_with_order_one():
    tau, end = 20e-3, 40e-3
    exact = 1 - np.exp(-end / tau)
    errors = []
    for dt in (2e-3, 1e-3, 5e-4):
        _, v = run(LI(tau_mem=tau, discretisation=ForwardEuler(), dt=dt), np.ones((round(end / dt), 1)))
        errors.append(abs(float(v[-1, 0]) - exact))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.05)


def psp(tau_mem, tau_syn, t):
    """The membrane's answer to one jump of the current, R = 1."""
    return tau_syn / (tau_mem - tau_syn) * (np.exp(-t / tau_mem) - np.exp(-t / tau_syn))


def test_a_spike_makes_a_double_exponential():
    tau_mem, tau_syn, dt = 10e-3, 5e-3, 1e-3
    spike = np.zeros((60, 1))
    spike[0] = 1.0
    _, v = run(CubaLIF(tau_mem=tau_mem, tau_syn=tau_syn, resistance=2.0), spike)
    # The sum Σ_k α^(t−k) β^k of the recursion, as a geometric series.
    alpha, beta, t = np.exp(-dt / tau_mem), np.exp(-dt / tau_syn), np.arange(60)
    expected = 2 * (1 - alpha) * (alpha ** (t + 1) - beta ** (t + 1)) / (alpha - beta)
    np.testing.assert_allclose(v[:, 0], expected, rtol=1e-10)


def test_the_double_exponential_becomes_that_of_continuous_time():
    tau_mem, tau_syn = 10e-3, 5e-3
    for dt, tolerance in ((1e-4, 2e-2), (1e-5, 2e-3)):
        spike = np.zeros((round(20e-3 / dt), 1))
        spike[0] = 1.0
        _, v = run(CubaLIF(tau_mem=tau_mem, tau_syn=tau_syn, dt=dt), spike)
        t = dt * np.arange(1, len(spike) + 1)
        np.testing.assert_allclose(v[:, 0], psp(tau_mem, tau_syn, t), atol=tolerance * 0.25)
    assert dt * (1 + int(np.argmax(v))) == pytest.approx(6.931e-3, abs=1e-5)


def test_the_post_synaptic_potential_has_the_area_and_power_that_stork_publishes():
    """Rossbroich, Gygax & Zenke 2022: τ_mem 20 ms, τ_syn 10 ms, dt 1 ms give ε̄ = .010507353 and ε̂ = .001841948."""
    spike = np.zeros((200, 1))
    spike[0] = 1.0
    _, v = run(CubaLIF(tau_mem=20e-3, tau_syn=10e-3), spike)
    assert 1e-3 * float(v.sum()) == pytest.approx(0.010507353, rel=2e-4)
    assert 1e-3 * float((v**2).sum()) == pytest.approx(0.001841948, rel=2e-4)


# The firing rate.


@pytest.mark.parametrize(("drive", "rate"), [(1.5, 41.7149), (4.0, 128.9717)])
def test_the_threshold_is_crossed_when_the_membrane_equation_says(drive, rate):
    tau = 20e-3
    charging = tau * np.log(drive / (drive - 1))
    assert 1 / (2e-3 + charging) == pytest.approx(rate, rel=1e-6)
    spikes, v = run(LIF(tau_mem=tau), np.full((60, 1), drive))
    k = int(np.argmax(spikes[:, 0])) - 1  # the last step below threshold
    assert 1e-3 * (k + 1) + tau * np.log((drive - v[k, 0]) / (drive - 1)) == pytest.approx(charging, abs=1e-9)


@pytest.mark.parametrize(("drive", "rate"), [(1.5, 41.7149), (4.0, 128.9717)])
def test_the_firing_rate_is_that_of_continuous_time(drive, rate):
    tau, period = 20e-3, 2e-3
    errors = []
    for dt in (1e-3, 1e-5):
        neuron = LIF(tau_mem=tau, reset=ToValue(), refractory=Refractory(period), dt=dt)
        spikes, _ = run(neuron, np.full((round(0.15 / dt), 1), drive))
        intervals = np.diff(np.flatnonzero(spikes[:, 0]))
        charging = int(np.ceil(tau * np.log(drive / (drive - 1)) / dt))
        assert len(intervals) > 3
        np.testing.assert_array_equal(intervals, round(period / dt) + charging)
        errors.append(intervals[0] * dt - 1 / rate)
        assert 0 <= errors[-1] <= dt
    assert errors[1] < errors[0]


# What others published.


def test_norse_prints_this_trace():
    neuron = CubaLIF(
        tau_mem=10e-3,
        tau_syn=5e-3,
        synapse=UnitGain(ForwardEuler()),
        discretisation=ForwardEuler(),
        reset=ToValue(),
    )
    spikes, v = run(neuron, np.ones((9, 1)))
    np.testing.assert_allclose(v[:, 0], [0.1, 0.27, 0.487, 0.7335, 0.9963, 0, 0.3951, 0.7717, 0], atol=1e-4)
    np.testing.assert_array_equal(spikes[:, 0], [0, 0, 0, 0, 0, 1, 0, 0, 1])


ALPHA, BETA, RHO = np.exp(-1 / 20), np.exp(-1 / 5), np.exp(-1 / 150)


def loop(step, state, currents):
    """Run `step(x, *state) -> spikes, membrane, state` over the currents."""
    spikes, membranes = [], []
    for x in currents:
        z, v, state = step(x, *state)
        spikes.append(z)
        membranes.append(v)
    return np.array(spikes, dtype=float), np.array(membranes)


def eprop_light_lif(x, v, z):
    v = ALPHA * v + (1 - ALPHA) * x - z * 0.4
    return v > 0.4, v, (v, v > 0.4)


def eprop_light_alif(x, v, b, z):
    b = RHO * b + (1 - RHO) * z
    v = ALPHA * v + (1 - ALPHA) * x - z * 0.4
    return v > 0.4 + 1.8 * b, v, (v, b, v > 0.4 + 1.8 * b)


def snntorch_tutorial_5(x, v, z):
    v = ALPHA * v + x - ALPHA * z * 1.0
    return v > 1, v - (v > 1), (v, v > 1)


def sparch_lif(x, u, s):
    u = ALPHA * (u - s) + (1 - ALPHA) * x
    return u > 1, u - (u > 1), (u, u > 1)


def hxtorch_lif(x, v, i):
    v, i = ALPHA * v + (1 - ALPHA) * i, BETA * i + x
    z = v > 1
    v = np.where(z, 0, v)
    return z, v, (v, i)


def spytorch_lif(x, mem, syn):
    out = mem > 1
    return out, mem, ((ALPHA * mem + syn) * (1 - out), BETA * syn + x)


def norse_lsnn(x, v, i, b):
    # b relaxes to v_th = 0.8, and is compared after its decay.
    v, i, b = v + (i - v) / 20, i - i / 5 + x, b + (0.8 - b) / 150
    z = v - b > 0
    v = np.where(z, 0, v)
    return z, v, (v, i, b + 0.3 * z)


def norse_lsnn_at_rest(x, v, i, adapted):
    """As above from b = v_th, written as what b is above it."""
    z, v, (_, i, b) = norse_lsnn(x, v, i, 0.8 + adapted)
    return z, v, (v, i, b - 0.8)


EULER = UnitGain(ForwardEuler())
PUBLISHED = {
    "Norse lsnn_step": (
        Delayed(
            Filtered(
                ALIF(
                    v_th=0.8,
                    tau_adapt=150e-3,
                    beta=0.3 * (1 - 1 / 150),
                    adaptation=EULER,
                    discretisation=ForwardEuler(),
                    reset=ToValue(),
                ),
                tau_syn=5e-3,
                synapse=EULER,
            )
        ),
        norse_lsnn_at_rest,
        3,
        1.0,
    ),
    "e-prop LightLIF": (LIF(v_th=0.4, reset=NextStep()), eprop_light_lif, 2, 1.0),
    "e-prop LightALIF": (
        ALIF(v_th=0.4, tau_adapt=150e-3, beta=1.8, adaptation=ALIF().discretisation, reset=NextStep()),
        eprop_light_alif,
        3,
        1.0,
    ),
    "snnTorch tutorial 5": (LIF(discretisation=UnitGain(), reset=Subtract()), snntorch_tutorial_5, 2, 0.3),
    "sparch LIF": (LIF(), sparch_lif, 2, 3.0),
    "hxtorch LIF": (Delayed(CubaLIF(tau_syn=5e-3, reset=ToValue())), hxtorch_lif, 2, 1.0),
    "SpyTorch": (
        Delayed(CubaLIF(tau_syn=5e-3, discretisation=UnitGain(), reset=NextStep(ToValue())), steps=2),
        spytorch_lif,
        2,
        0.1,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recursion_is_one_choice_of_values(name):
    neuron, step, states, strength = PUBLISHED[name]
    currents = strength * np.random.default_rng(1).normal(0.6, 1.0, (150, 8))
    spikes, membranes = loop(step, (np.zeros(8),) * states, currents)
    assert 0.02 < spikes.mean() < 0.6
    output, v = run(neuron, currents)
    np.testing.assert_array_equal(output, spikes)
    np.testing.assert_allclose(v, membranes, atol=1e-12)


def test_spytorch_reads_out_a_filtered_integrator():
    currents = np.random.default_rng(1).normal(0.6, 1.0, (60, 8))
    flt, out, expected = np.zeros(8), np.zeros(8), []
    for h in currents:
        flt, out = BETA * flt + h, ALPHA * out + flt
        expected.append(out)
    output, _ = run(Delayed(Filtered(LI(discretisation=UnitGain()), tau_syn=5e-3)), currents)
    np.testing.assert_allclose(output, expected, atol=1e-12)


def test_a_filtered_lif_is_a_cuba_lif():
    currents = 2 * np.random.default_rng(1).normal(0.6, 1.0, (60, 8))
    shared = {"tau_mem": 9e-3, "v_leak": 0.2, "resistance": 1.5, "refractory": Refractory(2e-3)}
    synapse = {"tau_syn": 4e-3, "synapse": ForwardEuler()}
    spikes, v = run(Filtered(LIF(**shared), **synapse), currents)
    expected_spikes, expected_v = run(CubaLIF(**shared, **synapse), currents)
    assert spikes.any()
    np.testing.assert_array_equal(spikes, expected_spikes)
    np.testing.assert_array_equal(v, expected_v)


def test_no_published_recursion_is_another():
    """The negative control: on the same currents they spike differently."""
    currents = np.random.default_rng(1).normal(0.6, 1.0, (150, 8))
    trains = [loop(step, (np.zeros(8),) * states, currents)[0] for _, step, states, _ in PUBLISHED.values()]
    apart = [np.any(a != b) for n, a in enumerate(trains) for b in trains[:n]]
    assert all(apart)
