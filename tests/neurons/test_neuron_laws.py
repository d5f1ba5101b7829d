"""Every neuron and every surrogate obeys the laws of the conformance suite, and the suite can fail."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.neurons import (
    ALIF,
    DPI,
    IF,
    LI,
    LIF,
    AbstractNeuron,
    AbstractSurrogate,
    AdEx,
    Atan,
    Boxcar,
    CubaLIF,
    Delayed,
    EscapeNoise,
    ExponentialEscape,
    FastSigmoid,
    Filtered,
    ForwardEuler,
    Gaussian,
    MultiGaussian,
    NextStep,
    NoReset,
    Refractory,
    Scaled,
    Sigmoid,
    SilentRefractory,
    StraightThrough,
    Subtract,
    ToValue,
    Triangle,
    UnitGain,
    ZeroOrderHold,
)
from snnlearn.neurons.conformance import check_neuron, check_surrogate
from snnlearn.neurons.lowering import Constants, Equation, Lowered

KEY = jax.random.key(3)
UNITS = 4
HELD, SILENT = Refractory(2e-3), SilentRefractory(3e-3)
ARRAY = np.linspace(5e-3, 30e-3, UNITS)

SURROGATES = [
    FastSigmoid(slope=3.0),
    Sigmoid(slope=7.0),
    Atan(alpha=5.0),
    Triangle(height=0.7, width=0.4),
    Boxcar(height=2.0, width=0.3),
    Gaussian(sigma=0.2),
    MultiGaussian(height=0.8, flank=0.3, sigma=0.4, spread=3.0),
    StraightThrough(),
    Scaled(FastSigmoid(slope=10.0), 10.0),
    ExponentialEscape(rate=50.0, width=0.3, dt=2e-3),
]

# Each reset, refractory period, discretisation and kind of parameter occurs; test_dynamics.py draws their combinations.
NEURONS = [
    LIF(tau_mem=7e-3, v_th=0.6, v_leak=-0.3, resistance=2.0, dt=2e-3, surrogate=Atan(5.0)),
    LIF(reset=ToValue(-0.2, block_gradient=False), refractory=HELD, discretisation=ForwardEuler()),
    LIF(reset=NextStep(ToValue(0.1)), refractory=SILENT, discretisation=UnitGain(ForwardEuler())),
    LIF(reset=NextStep(Subtract(block_gradient=False)), discretisation=UnitGain(), surrogate=Boxcar()),
    LIF(tau_mem=ARRAY, v_th=jnp.full(UNITS, 0.8), v_leak=jnp.full(UNITS, 0.1), reset=ToValue(jnp.full(UNITS, 0.2))),
    IF(v_th=2.0, resistance=0.5, refractory=HELD, reset=NextStep(Subtract()), surrogate=Gaussian(0.2)),
    IF(v_th=jnp.full(UNITS, 0.8), resistance=ARRAY * 100, reset=NoReset()),
    CubaLIF(tau_mem=9e-3, tau_syn=4e-3, v_th=0.7, v_leak=0.2, resistance=1.5, surrogate=MultiGaussian()),
    CubaLIF(tau_mem=ARRAY, tau_syn=ARRAY + 1e-3, synapse=ZeroOrderHold(), reset=Subtract(block_gradient=False)),
    ALIF(beta=0.5, tau_adapt=30e-3, reset=NextStep(Subtract()), refractory=SILENT, surrogate=Triangle(0.3, 0.7)),
    ALIF(beta=jnp.full(UNITS, 0.2), tau_mem=ARRAY, tau_adapt=4 * ARRAY, adaptation=ZeroOrderHold(), refractory=HELD),
    Delayed(Delayed(LIF(tau_mem=ARRAY, surrogate=Scaled(FastSigmoid(5.0), 2.0))), steps=2),
    Filtered(ALIF(beta=0.3, reset=ToValue()), tau_syn=ARRAY, synapse=ZeroOrderHold()),
]

NOISY = [
    EscapeNoise(LIF(surrogate=Sigmoid(5.0), v_th=jnp.full(UNITS, 0.8), refractory=HELD)),
    EscapeNoise(ALIF(tau_mem=ARRAY, surrogate=Gaussian(0.3), reset=NextStep(ToValue(block_gradient=False)))),
    Delayed(EscapeNoise(CubaLIF(surrogate=ExponentialEscape(50.0, 0.3), refractory=SILENT))),
    Filtered(EscapeNoise(IF(v_th=2.0, surrogate=Sigmoid(1.0), reset=NoReset())), tau_syn=ARRAY),
]

INTEGRATORS = [
    LI(tau_mem=7e-3, v_leak=-0.3, resistance=2.0, discretisation=ForwardEuler(), dt=2e-3),
    Delayed(LI(tau_mem=ARRAY, v_leak=jnp.full(UNITS, 0.2), resistance=ARRAY * 50, discretisation=UnitGain())),
    Filtered(LI(), tau_syn=4e-3, synapse=UnitGain(ForwardEuler())),
]


def _name(value):
    return type(value).__name__


@pytest.mark.parametrize("neuron", NEURONS, ids=_name)
def test_neuron_conforms(neuron):
    check_neuron(neuron, units=UNITS, key=KEY)


@pytest.mark.parametrize("neuron", NOISY, ids=_name)
def test_noisy_neuron_conforms(neuron):
    check_neuron(neuron, units=UNITS, deterministic=False, key=KEY)


def test_a_noisy_neuron_is_alike_in_distribution_only():
    """Why the suite is told: each unit has noise of its own, which does not move with its current."""
    with pytest.raises(AssertionError, match="by its place"):
        check_neuron(NOISY[0], units=UNITS, key=KEY)


@pytest.mark.parametrize("neuron", INTEGRATORS, ids=_name)
def test_integrator_conforms(neuron):
    check_neuron(neuron, units=UNITS, spiking=False, key=KEY)


@pytest.mark.parametrize("surrogate", SURROGATES, ids=_name)
def test_surrogate_conforms(surrogate):
    check_surrogate(surrogate)


@pytest.mark.parametrize(
    "neuron", [LIF(refractory=HELD), CubaLIF(reset=NextStep()), ALIF(), Delayed(IF()), DPI(), AdEx()], ids=_name
)
def test_float64_stays_float64(neuron, x64):
    output, state = neuron(jnp.ones(UNITS), neuron.initial_state((UNITS,)))
    assert {leaf.dtype for leaf in jax.tree.leaves((output, state))} <= {np.dtype(np.float64), np.dtype(np.int32)}


# The suites themselves must be able to fail.


class _State(NamedTuple):
    v: jax.Array
    memory: jax.Array


class _Faulty(AbstractNeuron):
    """A neuron that obeys the laws but for one."""

    fault: str = eqx.field(static=True)
    dt: float = 1e-3

    def initial_state(self, shape):
        return _State(jnp.zeros(shape), jnp.zeros(shape))

    def __call__(self, current, state):
        v = 0.9 * state.v + current
        spikes = FastSigmoid(1.0)(v - 1)
        after = _State(v - jax.lax.stop_gradient(spikes), state.memory)
        match self.fault:
            case "half spikes":
                spikes = spikes / 2
            case "silent":
                spikes = 0 * spikes
            case "no derivative":
                spikes = jax.lax.stop_gradient(spikes)
            case "coupled":
                spikes = FastSigmoid(1.0)(v + 0.1 * jnp.roll(v, 1) - 1)
            case "by place":
                spikes = FastSigmoid(1.0)(v - 1 - jnp.arange(v.size, dtype=v.dtype))
            case "shape":
                spikes = spikes[None]
            case "dtype":
                spikes = spikes > 0
            case "state":
                after = _State(after.v, after.memory.astype(jnp.int32))
        return spikes, after

    def free(self):
        return self if self.fault == "free" else _FreeFaulty(self.fault)

    def lowered(self):
        constants = Constants(decay=0.8 if self.fault == "lowered" else 0.9, v_th=1.0, reset_add=-1.0)
        return Lowered(constants, Equation(spiking=True, surrogate=FastSigmoid(1.0).lowered()))


class _FreeFaulty(AbstractNeuron):
    fault: str = eqx.field(static=True)
    dt: float = 1e-3

    def initial_state(self, shape):
        return _State(jnp.zeros(shape), jnp.zeros(shape))

    def __call__(self, current, state):
        v = 0.9 * state.v + (jnp.abs(current) if self.fault == "not linear" else current)
        return 0 * v, _State(v, state.memory)

    def free(self):
        return self


def test_the_faultless_neuron_conforms():
    check_neuron(_Faulty("none"), units=UNITS, key=KEY)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("half spikes", "other than 0 and 1"),
        ("silent", "never or always"),
        ("no derivative", "no derivative"),
        ("coupled", "by its place|each other"),
        ("by place", "by its place"),
        ("shape", "returned shape"),
        ("dtype", "returned bool"),
        ("state", "another structure, shape or dtype"),
        ("free", r"free\(\) spikes"),
        ("not linear", "not linear"),
        ("lowered", r"not the equation that lowered\(\) says"),
    ],
)
def test_a_faulty_neuron_is_found(fault, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_neuron(_Faulty(fault), units=UNITS, key=KEY)


class _FaultySurrogate(AbstractSurrogate):
    fault: str = eqx.field(static=True)

    def primitive(self, x):
        return jnp.arctan(x)

    def pseudo_derivative(self, x):
        match self.fault:
            case "sign":  # as snnTorch's triangular
                return -jnp.sign(x) / (1 + x**2)
            case "factor":
                return 2 / (1 + x**2)
            case "overflow":
                return jnp.exp(-x) * jnp.exp(x) / (1 + x**2)
        return 1 / (1 + x**2)


class _AtThreshold(AbstractSurrogate):
    def primitive(self, x):
        return x

    def pseudo_derivative(self, x):
        return jnp.ones_like(x)

    def __call__(self, x):
        return (x >= 0).astype(x.dtype) + x - jax.lax.stop_gradient(x)


def test_the_faultless_surrogate_conforms():
    check_surrogate(_FaultySurrogate("none"))


@pytest.mark.parametrize(
    ("surrogate", "sentence"),
    [
        (_FaultySurrogate("sign"), "slope at the threshold|not the derivative"),
        (_FaultySurrogate("factor"), "not the derivative of its primitive"),
        (_FaultySurrogate("overflow"), "not finite far"),
        (_AtThreshold(), "Heaviside"),
    ],
)
def test_a_faulty_surrogate_is_found(surrogate, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_surrogate(surrogate)
