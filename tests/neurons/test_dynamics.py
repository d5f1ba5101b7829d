"""Every choice of a neuron, in any combination, against the plain loop that the conventions' page describes."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    AbstractNeuron,
    CubaLIF,
    Delayed,
    Filtered,
    ForwardEuler,
    NextStep,
    NoReset,
    Refractory,
    SilentRefractory,
    Subtract,
    ToValue,
    UnitGain,
    ZeroOrderHold,
)

T, N = 40, 6


@eqx.filter_jit
def run(neuron: AbstractNeuron, currents):
    """Output and state of every step, from rest."""

    def step(state, current):
        output, state = neuron(current, state)
        return state, (output, state)

    return jax.lax.scan(step, neuron.initial_state(currents.shape[1:]), currents)[1]


def factors(discretisation, dt, tau):
    match discretisation:
        case ZeroOrderHold():
            return np.exp(-dt / tau), 1 - np.exp(-dt / tau)
        case ForwardEuler():
            return 1 - dt / tau, dt / tau
    return factors(discretisation.of, dt, tau)[0], 1.0


def reset(kind, v, z, height):
    match kind:
        case Subtract():
            return v - height * z
        case ToValue():
            return np.where(z, kind.v_reset, v)
    return v


def plain_loop(neuron: Any, currents):
    """Decay → input → v → spike → reset, with one `if` for each choice."""
    rest = getattr(neuron, "v_leak", 0.0)
    i, v, a = np.zeros(N), np.full(N, rest), np.zeros(N)
    last, since = np.zeros(N), np.full(N, 10**6)
    spikes, states = [], []
    for x in currents:
        since = since + 1
        if isinstance(neuron, CubaLIF):
            decay, gain = factors(neuron.synapse, neuron.dt, neuron.tau_syn)
            x = i = decay * i + gain * x
        decay, gain = (
            (1.0, 1.0) if isinstance(neuron, IF) else factors(neuron.discretisation, neuron.dt, neuron.tau_mem)
        )
        new = rest + decay * (v - rest) + gain * neuron.resistance * x
        period = 0 if neuron.refractory is None else round(neuron.refractory.period / neuron.dt)
        # Held for `period` steps after the spike; silent so that two spikes are at least `period` apart.
        blocked = since <= period if isinstance(neuron.refractory, Refractory) else since < period
        if isinstance(neuron.refractory, Refractory):
            new = np.where(blocked, v, new)
        if isinstance(neuron.reset, NextStep):
            new = reset(neuron.reset.reset, new, last, neuron.v_th - rest)
        threshold = neuron.v_th + (neuron.beta * a if isinstance(neuron, ALIF) else 0.0)
        z = (new > threshold) & ~blocked
        v = new if isinstance(neuron.reset, NextStep) else reset(neuron.reset, new, z, neuron.v_th - rest)
        if isinstance(neuron, ALIF):
            decay, gain = factors(neuron.adaptation, neuron.dt, neuron.tau_adapt)
            a = decay * a + gain * z
        last, since = z, np.where(z, 0, since)
        spikes.append(z)
        states.append((i, v, a))
    return np.array(spikes, dtype=float), [np.array(s) for s in zip(*states, strict=True)]


DISCRETISATIONS = st.sampled_from([ZeroOrderHold(), ForwardEuler(), UnitGain(), UnitGain(ForwardEuler())])
RESETS = st.sampled_from([Subtract(), ToValue(-0.25), ToValue(0.125, block_gradient=False), NoReset()])
REFRACTORY = st.sampled_from([None, Refractory(1e-3), Refractory(4e-3), SilentRefractory(2e-3), SilentRefractory(6e-3)])


@st.composite
def neurons(draw):
    shared = {
        "v_th": draw(st.sampled_from([0.6, 1.3])),
        "resistance": draw(st.sampled_from([0.8, 1.7])),
        "reset": draw(st.one_of(RESETS, RESETS.map(NextStep))),
        "refractory": draw(REFRACTORY),
        "dt": draw(st.sampled_from([5e-4, 2e-3])),
    }
    kind = draw(st.sampled_from([IF, LIF, CubaLIF, ALIF]))
    if kind is IF:
        return IF(**shared)
    shared |= {
        "v_leak": draw(st.sampled_from([-0.4, 0.3])),
        "tau_mem": draw(st.sampled_from([6e-3, 25e-3])),
        "discretisation": draw(DISCRETISATIONS),
    }
    if kind is CubaLIF:
        return CubaLIF(tau_syn=draw(st.sampled_from([3e-3, 12e-3])), synapse=draw(DISCRETISATIONS), **shared)
    if kind is ALIF:
        adaptation = draw(st.sampled_from([UnitGain(), ZeroOrderHold()]))
        return ALIF(tau_adapt=60e-3, beta=draw(st.sampled_from([0.2, 0.9])), adaptation=adaptation, **shared)
    return LIF(**shared)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(neuron=neurons(), seed=st.integers(0, 99))
def test_any_combination_of_choices_is_the_plain_loop(neuron, seed):
    # Strengths over three decades, so that with any gain some units are between silent and saturated.
    currents = np.logspace(-1, 2, N) * np.random.default_rng(seed).normal(0.5, 1.0, (T, N))
    spikes, (i, v, a) = plain_loop(neuron, currents)
    assert 0 < spikes.mean() < 1
    with jax.enable_x64(True):
        output, state = run(neuron, jnp.asarray(currents))
        np.testing.assert_array_equal(output, spikes)
        np.testing.assert_allclose(state.v, v, rtol=1e-9, atol=1e-9)
        if isinstance(neuron, CubaLIF):
            np.testing.assert_allclose(state.i, i, rtol=1e-9, atol=1e-9)
        if isinstance(neuron, ALIF):
            np.testing.assert_allclose(state.a, a, rtol=1e-9, atol=1e-9)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(neuron=neurons(), shift=st.sampled_from([-70.0, -1.0, 40.0]), rest_reset=st.booleans())
def test_only_differences_of_voltages_matter(neuron, shift, rest_reset):
    """Rest, threshold and reset moved together: the same spikes, and a membrane that is moved."""
    assume(not isinstance(neuron, IF))
    reset, fields = neuron.reset, {field.name: getattr(neuron, field.name) for field in dataclasses.fields(neuron)}
    late, reset = isinstance(reset, NextStep), getattr(reset, "reset", reset)
    moved = reset
    if isinstance(reset, ToValue):
        reset, moved = (ToValue(), ToValue()) if rest_reset else (reset, ToValue(reset.v_reset + shift))
    neuron, moved = (
        type(neuron)(**fields | {"reset": NextStep(kind) if late else kind} | voltages)
        for kind, voltages in ((reset, {}), (moved, {n: fields[n] + shift for n in ("v_th", "v_leak")}))
    )
    wrap = [lambda n: n, lambda n: Delayed(Filtered(n, tau_syn=4e-3))][int(rest_reset)]
    currents = jnp.asarray(np.logspace(-1, 2, N) * np.random.default_rng(0).normal(0.5, 1.0, (T, N)))
    with jax.enable_x64(True):
        currents = currents.astype(jnp.float64)
        (expected, before), (output, after) = run(wrap(neuron), currents), run(wrap(moved), currents)
        assert expected.any()
        np.testing.assert_array_equal(output, expected)
        np.testing.assert_allclose(after.v - shift, before.v, rtol=1e-9, atol=1e-9)


def test_a_reset_in_the_next_step_is_not_lost_in_a_refractory_period():
    neuron = IF(reset=NextStep(Subtract()), refractory=Refractory(3e-3))
    output, state = run(neuron, jnp.full((6, 1), 0.75))
    # 0.75, 1.5 spikes, held and reset to 0.5, held, held, 1.25 spikes.
    assert output[:, 0].tolist() == [0, 1, 0, 0, 0, 1]
    assert state.v[:, 0].tolist() == [0.75, 1.5, 0.5, 0.5, 0.5, 1.25]


def test_every_unit_may_have_its_own_parameters():
    taus, thresholds = np.array([5e-3, 10e-3, 40e-3]), np.array([0.3, 0.6, 0.9])
    currents = np.random.default_rng(0).normal(1.0, 2.0, (T, 3))
    together, _ = run(LIF(tau_mem=taus, v_th=thresholds), jnp.asarray(currents, dtype=jnp.float32))
    assert together.any()
    for n in range(3):
        one = LIF(tau_mem=float(taus[n]), v_th=float(thresholds[n]))
        alone, _ = run(one, jnp.asarray(currents[:, n : n + 1], dtype=jnp.float32))
        np.testing.assert_array_equal(together[:, n], alone[:, 0])


@pytest.mark.parametrize("steps", [1, 3])
def test_delayed_is_the_neuron_with_its_input_shifted(steps):
    neuron = LIF(tau_mem=8e-3)
    currents = 3 * jax.random.normal(jax.random.key(0), (T, N))
    shifted = jnp.concatenate([jnp.zeros((steps, N)), currents[:-steps]])
    delayed, state = run(Delayed(neuron, steps=steps), currents)
    expected, expected_state = run(neuron, shifted)
    assert expected.any()
    np.testing.assert_array_equal(delayed, expected)
    np.testing.assert_array_equal(state.v, expected_state.v)


def test_a_neuron_serves_any_shape_of_units():
    currents = 30 * jax.random.normal(jax.random.key(0), (T, 2, 3))
    image, _ = run(ALIF(beta=0.4), currents)
    flat, _ = run(ALIF(beta=0.4), currents.reshape(T, 6))
    assert image.shape == (T, 2, 3)
    np.testing.assert_array_equal(image.reshape(T, 6), flat)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LIF(tau_mem=-1e-3), "LIF: tau_mem is -0.001"),
        (lambda: LI(tau_mem=float("nan")), "LI: tau_mem is nan"),
        (lambda: LIF(tau_mem=5e-4), "dt = 0.001 s is longer than tau_mem = 0.0005"),
        (lambda: CubaLIF(tau_syn=0.0), "CubaLIF: tau_syn is 0.0"),
        (lambda: ALIF(tau_adapt=float("inf")), "ALIF: tau_adapt is inf"),
        (lambda: IF(dt=0.0), "IF: dt is 0.0"),
        (lambda: IF(resistance=-1), "IF: resistance is -1.0"),
        (lambda: Refractory(0.0), "Refractory: period is 0.0"),
        (lambda: SilentRefractory(-1e-3), "SilentRefractory: period is -0.001"),
        (lambda: Delayed(LI(), steps=0), "Delayed: steps is 0"),
    ],
)
def test_a_value_out_of_range_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()
