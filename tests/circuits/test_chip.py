"""A chip is the same chip whatever is asked of it, and a network on it is a network."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn import SnnlearnError
from snnlearn._parameters import trained_part, value
from snnlearn.circuits import Chip, LogNormal, Mismatch, Normal, deploy
from snnlearn.network import Network, feedforward, unroll
from snnlearn.neurons import LIF

NETWORK = feedforward((5, 400, 3), key=jax.random.key(0))
THRESHOLDS, TIMES = Mismatch("v_th", Normal(0.1)), Mismatch("tau_mem", LogNormal(0.2))
CHIP = Chip("two", effects=(THRESHOLDS, TIMES))


def parameter(network: Network, name: str, layer: int = 0) -> np.ndarray:
    """A parameter of a layer's neurons."""
    return np.asarray(value(getattr(network.layers[layer].neuron, name)))


def test_the_same_chip_is_the_same_chip():
    chip = deploy(NETWORK, CHIP, key=jax.random.key(1))
    turned = deploy(NETWORK, Chip("two", effects=(TIMES, THRESHOLDS)), key=jax.random.key(1))
    alone = deploy(NETWORK, CHIP.without(THRESHOLDS.label), key=jax.random.key(1))
    many = eqx.filter_vmap(lambda n: deploy(NETWORK, CHIP, key=jax.random.key(n)))(jnp.arange(3))
    np.testing.assert_array_equal(parameter(turned, "v_th"), parameter(chip, "v_th"))
    for layer in (0, 1):
        np.testing.assert_array_equal(parameter(alone, "tau_mem", layer), parameter(chip, "tau_mem", layer))
        np.testing.assert_allclose(parameter(many, "tau_mem", layer)[1], parameter(chip, "tau_mem", layer), rtol=1e-6)
    other = deploy(NETWORK, CHIP, key=jax.random.key(2))
    assert abs(np.corrcoef(parameter(other, "v_th"), parameter(chip, "v_th"))[0, 1]) < 0.2
    assert abs(np.corrcoef(parameter(chip, "tau_mem"), parameter(chip, "v_th"))[0, 1]) < 0.2
    assert isinstance(alone.layers[0].neuron.v_th, float)


@pytest.mark.parametrize(
    ("law", "exact"),
    [
        (LogNormal(0.3), scipy.stats.lognorm(np.sqrt(np.log1p(0.09)))),
        (Normal(0.8), scipy.stats.truncnorm(-1.25, np.inf, loc=1, scale=0.8)),
    ],
)
def test_mismatch_has_the_law_that_it_claims(law, exact):
    chips = eqx.filter_vmap(lambda n: Mismatch("tau_mem", law)(NETWORK, key=jax.random.key(n)))(jnp.arange(20))
    factors = parameter(chips, "tau_mem").ravel() / value(NETWORK.layers[0].neuron.tau_mem)
    assert scipy.stats.kstest(factors, exact.cdf).pvalue > 0.01
    wrong = scipy.stats.norm(exact.mean(), exact.std())
    assert scipy.stats.kstest(factors, wrong.cdf).pvalue < 1e-3


def test_trained_parameters_are_still_trained_through_their_mismatch():
    network = feedforward(
        (5, 4, 3), neuron=LIF(tau_mem=jnp.full(4, 0.02), v_th=jnp.full(4, 0.5)), key=jax.random.key(0)
    )

    def membrane(network: Network) -> jax.Array:
        return unroll(deploy(network, CHIP, key=jax.random.key(1)), jnp.ones((10, 5)))[0].outputs[0].sum()

    gradient = trained_part(eqx.filter_grad(membrane)(network)).layers[0].neuron
    assert jnp.abs(gradient.tau_mem.log).min() > 0
    assert jnp.abs(gradient.v_th).min() > 0


def test_what_does_not_exist_is_refused():
    with pytest.raises(SnnlearnError, match=r"no neuron of the network has a parameter 'beta'; give one of .*tau_mem"):
        Mismatch("beta", Normal(0.1))(NETWORK, key=jax.random.key(0))
    with pytest.raises(SnnlearnError, match=r"more than one mismatch of v_th"):
        Chip("double", effects=(THRESHOLDS, THRESHOLDS))
    with pytest.raises(
        SnnlearnError, match=r"no effect 'drift'; give one of 'mismatch of v_th', 'mismatch of tau_mem'"
    ):
        CHIP.without("drift")
    with pytest.raises(SnnlearnError, match=r"std is 1.5; give a number from 0 to 1, or use LogNormal"):
        Normal(1.5)
    with pytest.raises(SnnlearnError, match=r"cv is -0\.1"):
        LogNormal(-0.1)
