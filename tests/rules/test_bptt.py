"""BPTT against the recursion of the adjoint, written out in NumPy, and against finite differences."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.losses import MeanSquaredError
from snnlearn.network import feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, AbstractSurrogate, Atan, CubaLIF, NextStep, Subtract, ToValue
from snnlearn.rules import BPTT

pytestmark = pytest.mark.usefixtures("x64")

T, N_IN, N, N_OUT = 25, 3, 5, 2
V_TH, TAU, TAU_OUT, SLOPE = 0.6, 8e-3, 15e-3, 3.0
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
XS, TARGET = RNG.normal(0.5, 6.0, (T, N_IN)), RNG.normal(size=(T, N_OUT))


def by_hand(w, r, w_out, reset, *, flows):
    """Forward, then δ_t = ψ_t g_t + J_tᵀ δ_{t+1} backward (Werbos 1990); δ = ∂L/∂u, u the membrane before reset."""
    alpha, kappa = np.exp(-1e-3 / TAU), np.exp(-1e-3 / TAU_OUT)
    late = isinstance(reset, NextStep)
    u, z, y = np.zeros((T + 1, N)), np.zeros((T + 1, N)), np.zeros((T + 1, N_OUT))
    v = np.zeros(N)
    for t in range(1, T + 1):
        u[t] = alpha * v + (1 - alpha) * (w @ XS[t - 1] + r @ z[t - 1]) - (V_TH * z[t - 1] if late else 0)
        z[t] = u[t] > V_TH
        v = u[t] if late else u[t] - V_TH * z[t] if isinstance(reset, Subtract) else (1 - z[t]) * u[t]
        y[t] = kappa * y[t - 1] + (1 - kappa) * w_out @ z[t]
    psi = SLOPE / 2 / (1 + (np.pi / 2 * SLOPE * (u - V_TH)) ** 2)

    dw, dr, dw_out = np.zeros_like(w), np.zeros_like(r), np.zeros_like(w_out)
    delta, adjoint_y = np.zeros(N), np.zeros(N_OUT)  # of step t + 1
    for t in range(T, 0, -1):
        adjoint_y = 2 * (y[t] - TARGET[t - 1]) / (T * N_OUT) + kappa * adjoint_y
        through_spike = (1 - kappa) * w_out.T @ adjoint_y + (1 - alpha) * r.T @ delta
        if late:  # u[t+1] = α u[t] − θ z[t] + …
            kept, reset_by_spike = alpha * delta, -V_TH * delta
        elif isinstance(reset, Subtract):  # u[t+1] = α (u[t] − θ z[t]) + …
            kept, reset_by_spike = alpha * delta, -V_TH * alpha * delta
        else:  # u[t+1] = α (1 − z[t]) u[t] + …
            kept, reset_by_spike = alpha * (1 - z[t]) * delta, -u[t] * alpha * delta
        delta = psi[t] * (through_spike + flows * reset_by_spike) + kept
        dw += (1 - alpha) * np.outer(delta, XS[t - 1])
        dr += (1 - alpha) * np.outer(delta, z[t - 1])
        dw_out += (1 - kappa) * np.outer(adjoint_y, z[t])
    return np.mean((y[1:] - TARGET) ** 2), dw, dr, dw_out, z[1:]


def gradient(reset, recurrent):
    neuron = LIF(tau_mem=TAU, v_th=V_TH, reset=reset, surrogate=Atan(SLOPE))
    network = feedforward((N_IN, N, N_OUT), neuron=neuron, readout=LI(TAU_OUT), recurrent=recurrent, key=KEY)
    batch = jnp.asarray(XS)[None], jnp.asarray(TARGET)[None]
    loss, gradient = eqx.filter_jit(BPTT())(network, MeanSquaredError(), *batch, key=KEY)
    return network, float(loss), gradient


@pytest.mark.parametrize("flows", [False, True], ids=["blocked", "flows"])
@pytest.mark.parametrize(
    ("reset", "recurrent"),
    [
        (lambda block: Subtract(block), True),
        (lambda block: NextStep(Subtract(block)), True),
        (lambda block: ToValue(block_gradient=block), True),
        (lambda block: Subtract(block), False),
    ],
    ids=["subtract", "next step", "to value", "feed-forward"],
)
def test_the_gradient_is_the_recursion_of_the_adjoint(reset, recurrent, flows):
    network, loss, found = gradient(reset(not flows), recurrent)
    hidden, readout = network.layers
    w, w_out = np.asarray(hidden.synapses.weight), np.asarray(readout.synapses.weight)
    r = np.asarray(hidden.recurrent.weight) if recurrent else np.zeros((N, N))
    expected_loss, dw, dr, dw_out, spikes = by_hand(w, r, w_out, reset(not flows), flows=flows)
    assert 0.05 < spikes.mean() < 0.8
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(found.layers[0].synapses.weight, dw, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.layers[1].synapses.weight, dw_out, rtol=1e-9, atol=1e-14)
    if recurrent:
        np.testing.assert_allclose(found.layers[0].recurrent.weight, dr, rtol=1e-9, atol=1e-14)
    # The negative control: with the other choice the gradient is another.
    other = by_hand(w, r, w_out, reset(not flows), flows=not flows)[1]
    assert np.abs(other - dw).max() > 1e-3 * np.abs(dw).max()


class Smooth(AbstractSurrogate):
    """A surrogate that is its own primitive in the forward pass too: a network of it can be differenced."""

    def primitive(self, x):
        return 0.5 * (1 + jnp.tanh(2 * x))

    def pseudo_derivative(self, x):
        return 1 / jnp.cosh(2 * x) ** 2

    def __call__(self, x):
        return self.primitive(x)


@pytest.mark.parametrize(
    "neuron",
    [
        lambda n: ALIF(
            tau_mem=jnp.full(n, 8e-3),
            tau_adapt=jnp.full(n, 30e-3),
            beta=jnp.full(n, 0.4),
            v_th=jnp.full(n, 0.6),
            surrogate=Smooth(),
            reset=Subtract(block_gradient=False),
        ),
        lambda n: CubaLIF(
            tau_mem=jnp.full(n, 8e-3),
            tau_syn=jnp.full(n, 5e-3),
            v_leak=jnp.full(n, 0.1),
            resistance=jnp.full(n, 1.3),
            surrogate=Smooth(),
            reset=NextStep(ToValue(jnp.full(n, -0.2), block_gradient=False)),
        ),
    ],
    ids=["ALIF", "CubaLIF"],
)
def test_the_gradient_of_every_parameter_is_that_of_finite_differences(neuron):
    network = feedforward(
        (N_IN, N, N_OUT),
        neuron=neuron(N),
        readout=LI(tau_mem=jnp.full(N_OUT, 12e-3)),
        recurrent=True,
        use_bias=True,
        key=KEY,
    )
    xs, target, loss = jnp.asarray(XS), jnp.asarray(TARGET), MeanSquaredError()
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)

    @jax.jit
    def value(parameters):
        return loss(unroll(eqx.combine(parameters, constants), xs)[0].outputs, target)

    _, found = eqx.filter_jit(BPTT())(network, loss, xs[None], target[None], key=KEY)
    leaves, structure = jax.tree.flatten(parameters)
    assert len(leaves) == 7 + (5 if isinstance(network.layers[0].neuron, CubaLIF) else 4) - 1
    for k, (leaf, slope) in enumerate(zip(leaves, jax.tree.leaves(found), strict=True)):
        direction = jnp.asarray(RNG.normal(size=leaf.shape))

        def moved(h, k=k, leaf=leaf, direction=direction):
            return value(jax.tree.unflatten(structure, [*leaves[:k], leaf + h * direction, *leaves[k + 1 :]]))

        difference = float(moved(1e-5) - moved(-1e-5)) / 2e-5
        assert abs(difference) > 1e-6
        assert float(jnp.sum(slope * direction)) == pytest.approx(difference, rel=1e-5)
