"""Three-factor rules against the equations of their papers, and against derivatives of the network they stand for."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.losses import RateBand, StepwiseCrossEntropy
from snnlearn.network import LayerState, feedforward
from snnlearn.neurons import (
    ALIF,
    LI,
    LIF,
    CubaLIF,
    Delayed,
    Filtered,
    NextStep,
    Refractory,
    SilentRefractory,
    Subtract,
    ToValue,
    Triangle,
    UnitGain,
)
from snnlearn.rules import BPTT, EProp, eligibility_traces
from snnlearn.rules.eligibility import has_presynaptic_traces

pytestmark = pytest.mark.usefixtures("x64")

B, N_IN, N, N_OUT = 2, 3, 5, 2
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
TARGETS = jnp.array([0, 1])
TRIANGLE = Triangle(0.5, 0.6)


def inputs(num_steps, seed=1):
    return 8 * jax.random.normal(jax.random.key(seed), (B, num_steps, N_IN))


def recurrent(neuron, readout=LI(12e-3)):
    return feedforward((N_IN, N, N_OUT), neuron=neuron, readout=readout, recurrent=True, use_bias=True, key=KEY)


def run(rule, network, loss, xs, targets=TARGETS):
    return eqx.filter_jit(rule)(network, loss, xs, targets, key=KEY)


def assert_same(found, expected, rtol=1e-10):
    """Each array to `rtol` of its largest element; none of them is 0 throughout."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


def differ(found, expected):
    """By how much the gradients of the first layer's weights differ, relative to the second."""
    a, b = (gradient.layers[0].synapses.weight for gradient in (found, expected))
    return float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b))


# --- e-prop is the derivative of the network whose units do not feel each other's spikes (Bellec et al. 2020, eq. 4)


def stopped(network, xs):
    """The layers' outputs; no derivative passes the recurrent synapses (the reset blocks it by itself)."""

    def step(states, x):
        after, outputs = [], []
        for layer, state in zip(network.layers, states, strict=True):
            if layer.recurrent is not None:
                state = LayerState(state.neuron, jax.lax.stop_gradient(state.output))
            x, state = layer.step(x, state)
            after.append(state)
            outputs.append(x)
        return tuple(after), tuple(outputs)

    return jax.lax.scan(step, network.initial_state(), xs)[1]


@eqx.filter_jit
@partial(eqx.filter_value_and_grad, has_aux=True)
def stop_gradient_form(network, loss, xs, targets):
    """The mean loss and the hidden layer's spikes; the derivative."""
    outputs = jax.vmap(lambda x: stopped(network, x))(xs)
    return jnp.mean(jax.vmap(loss)(outputs, targets)), outputs[0]


def adaptive(**others):
    return ALIF(tau_mem=9e-3, tau_adapt=40e-3, beta=0.3, v_th=0.6, surrogate=TRIANGLE, **others)


# Functions, since arrays are to be made in double precision.
NEURONS = {
    "LIF": lambda: LIF(tau_mem=9e-3, v_th=0.6, reset=NextStep(), refractory=SilentRefractory(3e-3)),
    "LIF, to value": lambda: LIF(tau_mem=9e-3, v_th=0.6, v_leak=0.1, reset=ToValue(-0.2), refractory=Refractory(2e-3)),
    "ALIF": lambda: adaptive(reset=NextStep(), refractory=SilentRefractory(3e-3), discretisation=UnitGain()),
    "ALIF, trained": lambda: ALIF(np.full(N, 9e-3), np.full(1, 40e-3), np.full(N, 0.3), np.full(N, 0.6)),
    "CubaLIF": lambda: CubaLIF(tau_mem=9e-3, tau_syn=4e-3, v_th=0.6, resistance=0.3),
    "behind filter and delay": lambda: Delayed(Filtered(adaptive(resistance=0.3), tau_syn=4e-3)),
}
BANDS = 1e-4 * RateBand(20.0, 20.0)


@pytest.mark.parametrize("neuron", NEURONS.values(), ids=NEURONS)
def test_eprop_is_its_stop_gradient_form(neuron):
    network, xs, loss = recurrent(neuron()), inputs(52), StepwiseCrossEntropy() + BANDS
    value, gradient = run(EProp(), network, loss, xs)
    (expected, spikes), derivative = stop_gradient_form(network, loss, xs, TARGETS)
    assert 0.05 < spikes.mean() < 0.8 and (spikes.mean(axis=(0, 1)) > 0).all()
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    assert_same(gradient, derivative)


def test_eprop_leaves_out_what_units_do_to_each_other():
    network, xs, loss = recurrent(NEURONS["LIF"]()), inputs(52), StepwiseCrossEntropy()
    assert differ(run(EProp(), network, loss, xs)[1], run(BPTT(), network, loss, xs)[1]) > 0.02


@pytest.mark.parametrize("num_steps", [7, 25])
def test_time_shorter_than_a_block_and_of_one(num_steps):
    network, xs, loss = recurrent(NEURONS["LIF"]()), inputs(num_steps), StepwiseCrossEntropy() + BANDS
    assert_same(run(EProp(), network, loss, xs)[1], stop_gradient_form(network, loss, xs, TARGETS)[1])


# --- The factorisation is exact with the total derivative of the loss by each spike (eq. 3)


@pytest.mark.parametrize("reset", [NextStep(), NextStep(Subtract(False)), ToValue()], ids=["blocked", "flows", "value"])
@pytest.mark.parametrize("kind", [LIF, ALIF])
def test_eligibility_and_the_total_derivative_are_bptt(kind, reset):
    strength = {"beta": 0.3, "tau_adapt": 40e-3} if kind is ALIF else {}
    network = feedforward(
        (N_IN, N, N_OUT),
        neuron=kind(tau_mem=9e-3, v_th=0.6, surrogate=TRIANGLE, reset=reset, **strength),
        recurrent=True,
        key=KEY,
    )
    xs, target, (hidden, readout) = inputs(40)[0], TARGETS[0], network.layers

    @jax.jit
    @jax.grad
    def total_derivative(push):
        """By each spike as the other units and the readout see it."""

        def step(states, now):
            x, push = now
            z, before = hidden.step(x, states[0])
            y, after = readout.step(z + push, states[1])
            return (before._replace(output=z + push), after), y

        ys = jax.lax.scan(step, network.initial_state(), (xs, push))[1]
        return StepwiseCrossEntropy()((ys,), target)

    spikes, of_inputs, of_recurrent = jax.jit(lambda xs: eligibility_traces(hidden, xs))(xs)
    assert 0.05 < spikes.mean() < 0.8
    signal = total_derivative(jnp.zeros((40, N)))
    _, gradient = run(BPTT(), network, StepwiseCrossEntropy(), xs[None], target[None])
    assert_same(jnp.einsum("to,toi->oi", signal, of_inputs), gradient.layers[0].synapses.weight)
    assert_same(jnp.einsum("to,toi->oi", signal, of_recurrent), gradient.layers[0].recurrent.weight)


# --- The traces are those of the paper's closed forms


@pytest.mark.parametrize("beta", [0.0, 0.3], ids=["LIF", "ALIF"])
def test_traces_are_the_closed_forms(beta):
    """Bellec et al. 2020, eqs. 22–25: v = αv + Wx + Rz − θz, a = ρa + z, spike above θ + βa."""
    alpha, rho, theta, gamma, num_steps = np.exp(-1 / 9), np.exp(-1 / 40), 0.6, 0.3, 60
    common = {
        "tau_mem": 9e-3,
        "v_th": theta,
        "discretisation": UnitGain(),
        "reset": NextStep(),
        "refractory": SilentRefractory(3e-3),
        "surrogate": Triangle(gamma / theta, theta),
    }
    neuron = ALIF(beta=beta, tau_adapt=40e-3, **common) if beta else LIF(**common)
    layer = recurrent(neuron).layers[0]
    xs = np.asarray(inputs(num_steps)[0]) / 10
    w, r = np.asarray(layer.synapses.weight), np.asarray(layer.recurrent.weight)

    v, a, z, wait, x_bar, z_bar = np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N_IN), np.zeros(N)
    eps_x, eps_z, expected = np.zeros((N, N_IN)), np.zeros((N, N)), []
    for x in xs:
        v = alpha * v + w @ x + r @ z - theta * z
        x_bar, z_bar = alpha * x_bar + x, alpha * z_bar + z
        u = v - theta - beta * a
        psi = np.where(wait > 0, 0, gamma / theta * np.maximum(0, 1 - np.abs(u) / theta))[:, None]
        z = np.where(wait > 0, 0, u > 0)
        wait = np.where(z > 0, 2, np.maximum(wait - 1, 0))
        e_x, e_z = psi * (x_bar - beta * eps_x), psi * (z_bar - beta * eps_z)
        eps_x, eps_z, a = rho * eps_x + e_x, rho * eps_z + e_z, rho * a + z
        expected.append((z, e_x, e_z))

    found = jax.jit(lambda xs: eligibility_traces(layer, xs))(jnp.asarray(xs))
    spikes, of_inputs, of_recurrent = (np.stack(each) for each in zip(*expected, strict=True))
    assert 0.05 < spikes.mean() < 0.5
    np.testing.assert_array_equal(found[0], spikes)
    assert_same(found[1:], (of_inputs, of_recurrent), rtol=1e-12)


@pytest.mark.parametrize(
    ("neuron", "own"),
    [
        (partial(LIF, v_th=0.6, v_leak=0.1), np.full(N, 9e-3)),
        (partial(CubaLIF, tau_syn=4e-3, v_th=0.6, refractory=SilentRefractory(2e-3)), np.full(N, 9e-3)),
    ],
    ids=["LIF", "CubaLIF"],
)
def test_factored_traces_are_the_general_ones(neuron, own):
    """Time constants of each unit's own forbid the factored form."""
    loss, xs = StepwiseCrossEntropy() + BANDS, inputs(60)
    assert has_presynaptic_traces(neuron(9e-3)) and not has_presynaptic_traces(neuron(own))
    value, factored = run(EProp(), recurrent(neuron(9e-3)), loss, xs)
    other, general = run(EProp(), recurrent(neuron(own)), loss, xs)
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    for pick in (lambda layer: layer.synapses, lambda layer: layer.recurrent):
        assert_same(pick(factored.layers[0]), pick(general.layers[0]))
    assert_same(factored.layers[1], general.layers[1])
