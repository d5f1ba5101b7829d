"""Gradients through resets, surrogates and trained parameters, against derivatives taken by hand and by differences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    Atan,
    Boxcar,
    CubaLIF,
    NextStep,
    NoReset,
    Positive,
    Subtract,
    TimeConstant,
    ToValue,
    UnitGain,
)

pytestmark = pytest.mark.usefixtures("x64")

SURROGATE = Atan(alpha=3.0)
V_TH, TAU = 0.7, 10e-3
DECAY = np.exp(-1e-3 / TAU)
V0, CURRENTS = np.array([0.1, 0.5, 0.9]), (0.3, 0.1)
U1 = DECAY * V0 + CURRENTS[0]
Z1 = (U1 > V_TH).astype(float)
PSI1 = 3.0 / 2 / (1 + (np.pi / 2 * 3.0 * (U1 - V_TH)) ** 2)


def d_membrane(reset, steps):
    """∂v after `steps` / ∂v before, of three units: below threshold, just above it, and far above."""
    neuron = LIF(tau_mem=TAU, v_th=V_TH, reset=reset, discretisation=UnitGain(), surrogate=SURROGATE)

    def membrane(v):
        state = eqx.tree_at(lambda state: state.v, neuron.initial_state((3,)), v)
        for current in CURRENTS[:steps]:
            _, state = neuron(jnp.full(3, current), state)
        return state.v

    return jax.jvp(membrane, (jnp.asarray(V0),), (jnp.ones(3),))[1]


def test_the_three_units_are_on_both_sides_of_the_threshold():
    assert Z1.tolist() == [0, 1, 1]


@pytest.mark.parametrize("flows", [False, True])
@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        (Subtract, lambda flows: DECAY * (1 - V_TH * PSI1 * flows)),
        (lambda **b: ToValue(**b), lambda flows: DECAY * (1 - Z1 - U1 * PSI1 * flows)),
        (lambda **b: ToValue(0.2, **b), lambda flows: DECAY * (1 - Z1 + (0.2 - U1) * PSI1 * flows)),
        (lambda **b: NoReset(**b), lambda flows: np.full(3, DECAY)),
    ],
    ids=["subtract", "to 0", "to 0.2", "none"],
)
def test_gradient_through_a_reset_in_the_same_step(reset, expected, flows):
    np.testing.assert_allclose(d_membrane(reset(block_gradient=not flows), 1), expected(flows), rtol=1e-12)


@pytest.mark.parametrize("flows", [False, True])
@pytest.mark.parametrize(
    ("reset", "expected"),
    [
        (Subtract, lambda flows: DECAY - V_TH * PSI1 * flows),
        (ToValue, lambda flows: DECAY * (1 - Z1) - (DECAY * U1 + CURRENTS[1]) * PSI1 * flows),
    ],
    ids=["subtract", "to 0"],
)
def test_gradient_through_a_reset_in_the_next_step(reset, expected, flows):
    actual = d_membrane(NextStep(reset(block_gradient=not flows)), 2)
    np.testing.assert_allclose(actual, DECAY * expected(flows), rtol=1e-12)


@pytest.mark.parametrize("reset", [Subtract, ToValue])
def test_the_gradient_is_blocked_by_default(reset):
    np.testing.assert_array_equal(d_membrane(reset(), 1), d_membrane(reset(block_gradient=True), 1))
    assert np.any(d_membrane(reset(), 1) != d_membrane(reset(block_gradient=False), 1))


def test_spikes_know_their_threshold_and_their_adaptation():
    a = jnp.array([0.4, 0.2, 1.3])

    def spikes(v_th, beta):
        neuron = ALIF(tau_mem=TAU, v_th=v_th, beta=beta, discretisation=UnitGain(), surrogate=SURROGATE)
        state = neuron.initial_state((3,))._replace(v=jnp.asarray(V0), a=a)
        return neuron(jnp.full(3, CURRENTS[0]), state)[0].sum()

    by_threshold, by_beta = jax.grad(spikes, argnums=(0, 1))(jnp.full(3, V_TH), jnp.full(3, 0.5))
    psi = SURROGATE.pseudo_derivative(jnp.asarray(U1 - V_TH) - 0.5 * a)
    np.testing.assert_allclose(by_threshold, -psi, rtol=1e-12)
    np.testing.assert_allclose(by_beta, -a * psi, rtol=1e-12)


def test_the_value_of_a_reset_can_be_trained():
    def membrane(v_reset):
        neuron = LIF(tau_mem=TAU, v_th=V_TH, reset=ToValue(v_reset), discretisation=UnitGain())
        _, state = neuron(jnp.full(3, CURRENTS[0]), neuron.initial_state((3,))._replace(v=jnp.asarray(V0)))
        return state.v.sum()

    np.testing.assert_array_equal(jax.grad(membrane)(jnp.zeros(3)), Z1)


# Trained parameters: below threshold a neuron is smooth, so differences between constants are an oracle.

CURRENT = np.random.default_rng(0).normal(0.2, 0.1, (12, 1))


def smooth_alif(**parameters):
    """Adaptation takes spikes, whose surrogate derivative reaches below threshold: here so narrow that it does not."""
    return ALIF(surrogate=Boxcar(width=1e-6), **parameters)


def trace(neuron):
    """A number that every parameter of the neuron enters."""
    state, total = neuron.initial_state((1,)), 0.0
    if isinstance(neuron, ALIF):
        state = state._replace(a=jnp.ones(1))
    for current in CURRENT:
        output, state = neuron(jnp.asarray(current), state)
        total += jnp.sum(state.v**2 + (state.a if isinstance(neuron, ALIF) else 0.0))
        assert isinstance(neuron, LI) or not output.any()
    return total


@pytest.mark.parametrize(
    ("neuron", "name", "at"),
    [
        (LI, "tau_mem", 7e-3),
        (LI, "resistance", 1.7),
        (IF, "resistance", 0.2),
        (LIF, "tau_mem", 7e-3),
        (CubaLIF, "tau_mem", 30e-3),
        (CubaLIF, "tau_syn", 4e-3),
        (CubaLIF, "resistance", 0.6),
        (smooth_alif, "tau_mem", 7e-3),
        (smooth_alif, "tau_adapt", 50e-3),
    ],
)
def test_a_trained_positive_parameter_has_the_gradient_of_its_logarithm(neuron, name, at):
    gradient = getattr(eqx.filter_grad(trace)(neuron(**{name: jnp.array([at])})), name).log
    h = 1e-5
    least = 0.0 if name == "resistance" else 1e-3  # a time constant is trained as log(tau − dt)
    up, down = (least + (at - least) * np.exp(step) for step in (h, -h))
    difference = trace(neuron(**{name: up})) - trace(neuron(**{name: down}))
    assert abs(gradient[0]) > 1e-3
    assert gradient[0] == pytest.approx(float(difference) / (2 * h), rel=1e-6)


@pytest.mark.parametrize("neuron", [LI, LIF, CubaLIF, smooth_alif])
def test_a_trained_leak_has_the_gradient_of_differences(neuron):
    gradient = eqx.filter_grad(trace)(neuron(v_leak=jnp.array([0.1]))).v_leak
    difference = trace(neuron(v_leak=0.1 + 1e-5)) - trace(neuron(v_leak=0.1 - 1e-5))
    assert gradient[0] == pytest.approx(float(difference) / 2e-5, rel=1e-6)


@pytest.mark.parametrize(
    ("parameter", "least", "at"),
    [(Positive(jnp.array(1e3)), 0.0, 1e3), (TimeConstant(jnp.array(20e-3), 1e-3), 1e-3, 20e-3)],
)
def test_a_trained_parameter_is_never_clamped(parameter, least, at):
    """Clamped decays have no gradient at their edge; here the logarithm may go anywhere, and has a gradient there."""
    assert parameter.value == pytest.approx(at)
    assert jax.grad(lambda p: p.value)(parameter).log == pytest.approx(at - least)
    far = eqx.tree_at(lambda p: p.log, parameter, parameter.log - 10.0)
    assert least < far.value < least + 1e-4 * at
    assert jax.grad(lambda p: p.value)(far).log > 0


def test_a_number_is_a_constant_and_an_array_is_trained():
    leaves = jax.tree.leaves(eqx.filter(LIF(tau_mem=5e-3, v_th=2, v_leak=np.float32(0.5)), eqx.is_inexact_array))
    assert leaves == []
    trained = eqx.filter(LIF(tau_mem=np.full(3, 5e-3), v_th=np.full(3, 2.0)), eqx.is_inexact_array)
    assert [leaf.shape for leaf in jax.tree.leaves(trained)] == [(3,), (3,)]
