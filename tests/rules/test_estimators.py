"""Rules that estimate: unbiased, and of the variance that theory says (Baydin 2022; Werfel, Xie & Seung 2005)."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn._errors import SnnlearnError
from snnlearn.losses import MeanSquaredError
from snnlearn.network import Dense, Layer, Network, feedforward
from snnlearn.neurons import LI, LIF, UnitGain
from snnlearn.rules import BPTT, EvolutionStrategy, ForwardGradient, NodePerturbation, WeightPerturbation

pytestmark = pytest.mark.usefixtures("x64")

DRAWS = 100_000
KEY = jax.random.key(0)


def linear(in_size, out_size):
    """y = W x, when run for one step."""
    return Network((Layer(Dense(in_size, out_size, key=KEY), LI(discretisation=UnitGain())),))


def half_squared_error(out_size):
    """½‖y − target‖²."""
    return 0.5 * out_size * MeanSquaredError()


@eqx.filter_jit
def draw(rule, network, loss, inputs, targets, key, draws=DRAWS):
    """Independent estimates of the first layer's weights' gradient; inputs and targets may differ from draw to draw."""

    def one(key, inputs, targets):
        _, gradient = rule(network, loss, inputs, targets, key=key)
        return gradient.layers[0].synapses.weight

    axes = 0, 0 if inputs.ndim == 4 else None, 0 if targets.ndim == 4 else None
    return jax.vmap(one, in_axes=axes)(jax.random.split(key, draws), inputs, targets)


def assert_unbiased(estimates, expected):
    """No element further from its expectation than chance allows, 1 in 10,000 over all."""
    estimates = np.asarray(estimates)
    z = (estimates.mean(axis=0) - expected) / (estimates.std(axis=0) / np.sqrt(len(estimates)))
    assert np.abs(z).max() < scipy.stats.norm.isf(0.5e-4 / z.size), z


# The forward gradient.


@pytest.mark.parametrize(
    ("rule", "factor"),
    [
        (ForwardGradient(), lambda d: d + 2),
        (ForwardGradient(draw=jax.random.rademacher), lambda d: d),
        (ForwardGradient(4), lambda d: 1 + (d + 1) / 4),
    ],
    ids=["normal", "Rademacher", "mean of four"],
)
def test_forward_gradient_is_unbiased_and_has_the_variance_of_its_tangents(rule, factor):
    network, loss = linear(5, 2), half_squared_error(2)
    batch = jnp.arange(5.0).reshape(1, 1, 5), jnp.ones((1, 1, 2))
    exact = eqx.filter_jit(BPTT())(network, loss, *batch, key=KEY)[1].layers[0].synapses.weight
    estimates = draw(rule, network, loss, *batch, jax.random.key(1))
    assert_unbiased(estimates, exact)
    second_moment = float(jnp.mean(jnp.sum(estimates**2, axis=(1, 2))) / jnp.sum(exact**2))
    assert second_moment == pytest.approx(factor(10), rel=0.02)


def test_forward_gradient_is_unbiased_on_a_recurrent_spiking_network():
    network = feedforward((3, 4, 2), neuron=LIF(tau_mem=8e-3), recurrent=True, key=KEY)
    batch = 8 * jax.random.normal(jax.random.key(1), (2, 6, 3)), jnp.ones((2, 6, 2))
    exact = eqx.filter_jit(BPTT())(network, MeanSquaredError(), *batch, key=KEY)[1].layers[0].synapses.weight
    assert jnp.abs(exact).max() > 0
    assert_unbiased(draw(ForwardGradient(), network, MeanSquaredError(), *batch, KEY, draws=5_000), exact)


# Perturbation: the linear case, where each step changes E‖W − W*‖² by a factor 1 − 2η + η² C.

N, M = 3, 4


@pytest.mark.parametrize(
    ("rule", "c"),
    [
        (BPTT(), M + 2),
        (NodePerturbation(1e-4), (N + 2) * (M + 2)),
        (WeightPerturbation(1e-4), (N * M + 2) * (M + 2)),
    ],
    ids=["stochastic gradient", "node perturbation", "weight perturbation"],
)
def test_perturbation_learns_a_linear_map_at_the_speed_of_theory(rule, c):
    network, loss = linear(M, N), half_squared_error(N)
    weight = network.layers[0].synapses.weight
    x_key, rule_key = jax.random.split(jax.random.key(2))
    x = jax.random.normal(x_key, (DRAWS, 1, 1, M))
    estimates = draw(rule, network, loss, x, jnp.zeros((1, 1, N)), rule_key)  # W* = 0
    error = float(jnp.sum(weight**2))
    assert_unbiased(estimates, np.asarray(weight))  # the mean over x of W x xᵀ
    assert float(jnp.mean(jnp.sum(estimates**2, axis=(1, 2)))) / error == pytest.approx(c, rel=0.02)
    after = float(jnp.mean(jnp.sum((weight[None] - estimates / c) ** 2, axis=(1, 2)))) / error
    assert after == pytest.approx(1 - 1 / c, rel=0.01)


# Perturbation of real spikes: one unit, one step, so that the smoothed loss is a normal integral.

X = np.array([0.3, -0.2, 0.5])
SIGMA = 0.4


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    ("rule", "deviation"),
    [(NodePerturbation, SIGMA), (WeightPerturbation, SIGMA * np.linalg.norm(X))],
    ids=["node perturbation", "weight perturbation"],
)
def test_perturbation_follows_the_smoothed_loss_of_spikes(rule, deviation, samples):
    neuron = LIF(v_th=0.2, discretisation=UnitGain())
    network = Network((Layer(Dense(3, 1, key=KEY), neuron),))
    distance = float(network.layers[0].synapses.weight[0] @ X) - 0.2
    expected = scipy.stats.norm.pdf(distance / deviation) / deviation * np.asarray(X)[None]  # of P(spike)
    batch = jnp.asarray(X.reshape(1, 1, 3)), jnp.zeros((1, 1, 1))  # the loss is 1 with a spike, else 0
    estimates = draw(rule(SIGMA, samples), network, MeanSquaredError(), *batch, jax.random.key(3))
    assert_unbiased(estimates, expected)
    surrogate = eqx.filter_jit(BPTT())(network, MeanSquaredError(), *batch, key=KEY)[1].layers[0].synapses.weight
    assert not np.allclose(surrogate, expected, rtol=0.1)  # the surrogate's gradient is another


def test_evolution_strategy_sees_only_ranks_and_points_downhill():
    network, loss = linear(4, 3), half_squared_error(3)
    batch = jnp.ones((1, 1, 4)), jnp.zeros((1, 1, 3))
    run = partial(EvolutionStrategy(0.05, 200), network, inputs=batch[0], targets=batch[1], key=KEY)
    weights = [run(loss=scale * loss)[1].layers[0].synapses.weight for scale in (1.0, 7.0)]
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)
    exact = eqx.filter_jit(BPTT())(network, loss, *batch, key=KEY)[1].layers[0].synapses.weight
    cosine = jnp.sum(weights[0] * exact) / jnp.linalg.norm(weights[0]) / jnp.linalg.norm(exact)
    assert cosine > 0.9


@pytest.mark.parametrize("rule", [NodePerturbation, WeightPerturbation, EvolutionStrategy])
def test_values_out_of_range_are_refused(rule):
    with pytest.raises(SnnlearnError, match="sigma is 0"):
        rule(0.0)
    with pytest.raises(SnnlearnError, match="is 0; give at least 1"):
        rule(0.1, 0)
    with pytest.raises(SnnlearnError, match="num_tangents is 0"):
        ForwardGradient(0)
