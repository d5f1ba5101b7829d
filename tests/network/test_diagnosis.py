"""Layers that are built to be silent, saturated or healthy are found to be."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.network import Dense, FluctuationDriven, Layer, Network, diagnose
from snnlearn.neurons import (
    IF,
    LI,
    LIF,
    AbstractNeuron,
    AbstractWrapper,
    Atan,
    CubaLIF,
    Delayed,
    Refractory,
    SilentRefractory,
    ToValue,
)

KEY = jax.random.key(0)
B, T = 2, 30


def layer(neuron, weights, recurrent=None):
    """Dense synapses with these weights, one row for each unit."""
    weights = jnp.asarray(weights, dtype=jnp.float32)
    synapses = eqx.tree_at(lambda s: s.weight, Dense(weights.shape[1], len(weights), key=KEY), weights)
    if recurrent is None:
        return Layer(synapses, neuron)
    recurrent = jnp.asarray(recurrent, dtype=jnp.float32)
    loop = eqx.tree_at(lambda s: s.weight, Dense(len(weights), len(weights), key=KEY), recurrent)
    return Layer(synapses, neuron, loop)


def examine(*layers, inputs=None):
    inputs = jnp.ones((B, T, layers[0].synapses.in_shape[0])) if inputs is None else inputs
    return eqx.filter_jit(diagnose)(Network(layers), inputs)


def test_rates_and_shares_of_units_that_are_silent_saturated_and_neither():
    # An integrator with current c ≤ 1 spikes in every (1/c)th step; the threshold is exceeded by rounding only at 1.
    weights = [[0.0], [-3.0], [0.26], [1.1], [5.0]]
    (found, readout) = examine(layer(IF(reset=ToValue(), dt=2e-3), weights), layer(LI(dt=2e-3), np.ones((2, 5))))
    assert readout is None
    # Silent, silent, every 4th step (0.26 · 4 > 1), every step, every step; 500 steps make a second.
    np.testing.assert_allclose(found.firing_rate, [0, 0, 7 / 30 * 500, 500, 500], rtol=1e-5)
    assert float(found.silent) == pytest.approx(2 / 5)
    assert float(found.saturated) == pytest.approx(2 / 5)


@pytest.mark.parametrize(("refractory", "every"), [(Refractory(4e-3), 5), (SilentRefractory(4e-3), 4)])
def test_a_neuron_that_spikes_whenever_it_can_is_saturated(refractory, every):
    (found,) = examine(layer(LIF(refractory=refractory), [[1e4], [0.0]]))
    np.testing.assert_allclose(found.firing_rate, [np.ceil(T / every) / T * 1000, 0], rtol=1e-5)
    assert float(found.saturated) == 0.5


class Loud(AbstractWrapper):
    """Somebody else's wrapper: twice the current."""

    neuron: AbstractNeuron

    def initial_state(self, shape):
        return self.neuron.initial_state(shape)

    def __call__(self, current, state):
        return self.neuron(2 * current, state)

    def free(self):
        return Loud(self.neuron.free())


class Undeclared(AbstractNeuron):
    """The same, without saying that it wraps a neuron."""

    neuron: AbstractNeuron
    dt: float = 1e-3

    initial_state, __call__, free = Loud.initial_state, Loud.__call__, Loud.free


def test_a_wrapper_from_elsewhere_has_the_threshold_of_the_neuron_inside():
    """It counted as a layer that does not spike, with a threshold of 1."""
    drawn = [
        eqx.filter_jit(FluctuationDriven())(Network((layer(neuron, np.ones((6, 3))),)), jnp.ones((B, T, 3)), key=KEY)
        for neuron in (Loud(LIF(v_th=5.0)), LIF(v_th=5.0, resistance=2.0))
    ]
    loud, same = (network.layers[0].synapses.weight for network in drawn)
    np.testing.assert_allclose(loud, same, rtol=1e-5)
    (found,), (expected,) = (diagnose(network, jnp.full((B, T, 3), 4.0)) for network in drawn)
    assert found is not None and found.firing_rate.any()
    np.testing.assert_allclose(found.firing_rate, expected.firing_rate)
    with pytest.raises(SnnlearnError, match=r"Undeclared: it holds another neuron.* derive it from AbstractWrapper"):
        Undeclared(LIF())


@pytest.mark.parametrize("delay", [0, 2])
def test_surrogate_mass_of_a_charging_membrane(delay):
    """Below threshold v_t = R I (1 − α^(t+1)), so the mean of ψ(v_t − v_th) / ψ(0) is known."""
    neuron = LIF(tau_mem=9e-3, v_th=1.2, resistance=2.0, surrogate=Atan(alpha=4.0))
    current = np.array([0.1, 0.4, 0.55])
    (found,) = examine(layer(Delayed(neuron, steps=delay) if delay else neuron, current[:, None]))
    charged = np.maximum(np.arange(1, T + 1) - delay, 0)
    v = 2.0 * current * (1 - np.exp(-charged / 9)[:, None])
    assert float(found.silent) == 1.0
    assert float(found.surrogate_mass) == pytest.approx(np.mean(1 / (1 + (2 * np.pi * (v - 1.2)) ** 2)), rel=1e-4)


def test_surrogate_mass_of_a_recurrent_layer_with_currents_and_refractory_periods():
    rng = np.random.default_rng(0)
    w, r = rng.normal(0, 3, (4, 3)), rng.normal(0, 3, (4, 4))
    neuron = CubaLIF(tau_mem=9e-3, tau_syn=4e-3, refractory=SilentRefractory(3e-3), surrogate=Atan(alpha=4.0))
    inputs = rng.normal(0.3, 1.0, (B, T, 3)).astype(np.float32)
    masses, spikes = [], []
    for sequence in inputs:
        i, v, z, since = np.zeros(4), np.zeros(4), np.zeros(4), np.full(4, 99)
        for x in sequence:
            since += 1
            i = np.exp(-1 / 4) * i + w @ x + r @ z
            v = np.exp(-1 / 9) * v + (1 - np.exp(-1 / 9)) * i
            # No derivative while a spike is withheld.
            masses.append(np.where(since < 3, 0.0, 1 / (1 + (2 * np.pi * (v - 1)) ** 2)))
            z = ((v > 1) & (since >= 3)).astype(float)
            v, since = v - z, np.where(z > 0, 0, since)
            spikes.append(z)
    (found,) = examine(layer(neuron, w, r), inputs=jnp.asarray(inputs))
    assert 0.05 < np.mean(spikes) < 0.3
    np.testing.assert_allclose(found.firing_rate, np.mean(spikes, axis=0) * 1000, rtol=1e-5)
    assert float(found.surrogate_mass) == pytest.approx(np.mean(masses), rel=1e-3)
