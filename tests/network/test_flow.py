"""Gradient flow against closed forms of linear networks, and against differentiation through a whole run."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.coding import LastMembrane, MeanMembrane
from snnlearn.network import (
    Dense,
    Layer,
    Network,
    feedforward,
    gradient_flow,
    lyapunov_exponents,
    singular_values,
)
from snnlearn.network.network import fresh_state
from snnlearn.neurons import ALIF, LI, Identity

KEY = jax.random.key(0)
INPUTS = jax.random.normal(KEY, (3, 12, 4))


def linear(matrix: np.ndarray) -> Network:
    """y ← B x + W y, one step later."""
    units = len(matrix)
    loop = eqx.tree_at(lambda s: s.weight, Dense(units, units, key=KEY), jnp.asarray(matrix, jnp.float32))
    return Network((Layer(Dense(4, units, key=KEY), Identity(dt=2e-3), loop),))


def rotation(radius: float) -> np.ndarray:
    """An orthogonal matrix, times a number."""
    return radius * np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.2])
def test_errors_of_a_linear_network_vanish_and_explode_as_powers(radius):
    network = linear(rotation(radius))
    flow = gradient_flow(network, INPUTS, key=KEY)
    # What the network sent in step T − 1 has an effect in step T: one factor for each step of lag.
    np.testing.assert_allclose(flow.norms[0], radius ** np.arange(1, 13), rtol=1e-4)
    expected = np.log(2) / -np.log(radius) * 2e-3 if radius < 1 else np.inf
    np.testing.assert_allclose(flow.half_lives, [expected], rtol=1e-3)
    exponents = lyapunov_exponents(network, INPUTS, 5, key=KEY)
    np.testing.assert_allclose(exponents, np.log(radius) / 2e-3, atol=0.05)
    np.testing.assert_allclose(singular_values(network, INPUTS, key=KEY), radius, rtol=1e-5)


@pytest.mark.parametrize("radius", [0.5, 2.0])
def test_errors_beyond_the_range_of_single_precision_are_followed(radius):
    inputs = jnp.zeros((2, 300, 4))
    flow = gradient_flow(linear(rotation(radius)), inputs, key=KEY)
    np.testing.assert_allclose(np.log(flow.norms[0]), np.arange(1, 301) * np.log(radius), rtol=1e-5)
    # A mean is reached from every step, so that errors join at all scales: Σ_(k=1..ℓ) rᵏ / T in length, for a multiple
    # of the identity.
    mean = gradient_flow(linear(radius * np.eye(3)), inputs, MeanMembrane(), key=KEY)
    expected = np.cumsum(radius ** np.arange(1.0, 301.0)) / 300
    np.testing.assert_allclose(mean.norms[0], expected, rtol=1e-4)


def test_where_no_error_gets_through_the_exponent_is_minus_infinity():
    network = linear(np.zeros((3, 3)))
    assert lyapunov_exponents(network, INPUTS, key=KEY).tolist() == [-np.inf]
    flow = gradient_flow(network, INPUTS, key=KEY)
    assert not flow.norms.any()
    assert np.isnan(flow.half_lives).all()


def test_exponents_are_logarithms_of_eigenvalues_not_of_singular_values():
    matrix = np.array([[0.9, 5.0], [0.0, 0.5]])
    inputs = jnp.zeros((2, 300, 4))
    exponents = lyapunov_exponents(linear(matrix), inputs, 2, key=KEY) * 2e-3
    np.testing.assert_allclose(exponents, np.log([0.9, 0.5]), atol=0.02)
    np.testing.assert_allclose(singular_values(linear(matrix), inputs, key=KEY)[0], np.linalg.svd(matrix)[1], rtol=1e-5)


def test_the_flow_is_the_derivative_through_the_whole_run():
    network = feedforward((4, 6, 2), neuron=ALIF(v_th=0.1), readout=LI(), recurrent=True, key=jax.random.key(3))
    flow = gradient_flow(network, 5 * INPUTS[:1], key=KEY)
    (key,) = jax.random.split(KEY, 1)
    state, direction = fresh_state(network, key=key), jax.random.normal(jax.random.fold_in(key, 1), (2,))
    state = jax.jit(lambda state: jax.lax.scan(lambda s, x: network.step(x, s)[::-1], state, 5 * INPUTS[0, :7])[0])(
        state
    )

    def error(state):
        outputs = jax.lax.scan(lambda s, x: network.step(x, s)[::-1], state, 5 * INPUTS[0, 7:])[1]
        return outputs[-1] @ direction / jnp.linalg.norm(direction)

    gradient = eqx.filter_jit(eqx.filter_grad(error))(state)
    expected = [np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(layer))) for layer in gradient]
    assert min(expected) > 0
    np.testing.assert_allclose(flow.norms[:, 12 - 7 - 1], expected, rtol=1e-4)


def test_a_mean_over_time_is_reached_from_every_step():
    """Of u · Σ_t v^t / T the derivative by the state ℓ steps before the end is Σ_(k=1..ℓ) α^k / T in length."""
    network, alpha = feedforward((4, 3), readout=LI(tau_mem=5e-3), key=KEY), np.exp(-1 / 5)
    lags = np.arange(1, 13)
    mean = gradient_flow(network, INPUTS, MeanMembrane(), key=KEY)
    np.testing.assert_allclose(mean.norms[0], alpha * (1 - alpha**lags) / (1 - alpha) / 12, rtol=1e-5)
    last = gradient_flow(network, INPUTS, LastMembrane(), key=KEY)
    np.testing.assert_allclose(last.norms[0], alpha**lags, rtol=1e-5)


def test_what_cannot_be_measured_is_refused():
    network = linear(rotation(0.5))
    with pytest.raises(SnnlearnError, match=r"inputs has shape \(3, 0, 4\); give at least one sample of at least one"):
        gradient_flow(network, INPUTS[:, :0], key=KEY)
    with pytest.raises(SnnlearnError, match="number is 11; the state has 10 numbers, give 1 to 10"):
        lyapunov_exponents(network, INPUTS, 11, key=KEY)
    silent = feedforward((4, 3), readout=Identity(), key=KEY)
    assert np.isnan(gradient_flow(silent, INPUTS, key=KEY).half_lives).all()  # there is no state
