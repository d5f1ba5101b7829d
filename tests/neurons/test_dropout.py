"""Dropout: on in training, off in use; the derivative of what was computed, whoever computes it."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import Experiment, SnnlearnError
from snnlearn.algorithms import GradientDescent
from snnlearn.algorithms.evaluation import evaluate, on_device
from snnlearn.coding import Current, FirstSpike
from snnlearn.data import yin_yang
from snnlearn.losses import CrossEntropy, MeanSquaredError, StepwiseCrossEntropy
from snnlearn.network import (
    AsGiven,
    Connection,
    Dense,
    Layer,
    Network,
    deep_lru,
    feedforward,
    in_use,
    why_not_compiled,
)
from snnlearn.neurons import GELU, GLU, LI, LIF, LRU, Delayed, Dropout, Identity, Rectifier, Tanh, check_neuron
from snnlearn.rules import BPTT, RTRL, DiagonalRTRL, EProp, EventProp, SuperSpike

B, T = 3, 6
KEYS = jax.random.split(jax.random.key(3), 6)
XS, YS = (np.random.default_rng(0).normal(size=(B, T, n)) for n in (3, 2))


def deep(dropout):
    return deep_lru(3, 4, 2, state_size=2, depth=1, r_min=0.5, r_max=0.9, dropout=dropout, key=KEYS[1])


def test_it_obeys_the_laws_of_neurons():
    check_neuron(Dropout(LRU(0.1, 0.2, 3.0), 0.3), units=4, spiking=False, deterministic=False, key=KEYS[0])


def test_the_mask_is_of_a_unit_and_a_sequence_and_keeps_the_expectation():
    neuron = Dropout(Identity(), 0.3)
    currents = jax.random.normal(KEYS[0], (T, 50))

    def outputs(key):
        return neuron.all_steps(currents, neuron.initial_state((50,))._replace(key=key))[0]

    ys = jax.vmap(outputs)(jax.random.split(KEYS[1], 400))
    factors = np.asarray(ys) / np.asarray(currents)
    assert set(np.unique(factors.round(4))) == {0.0, np.float32(1 / 0.7).round(4)}
    np.testing.assert_allclose(factors, np.repeat(factors[:, :1], T, axis=1), rtol=1e-5)  # the same in all steps
    of_units = factors[:, 0]
    assert abs(of_units.mean() - 1) < 4 * of_units.std() / np.sqrt(of_units.size)
    # Units and samples are dropped independently: the covariance of two is as small as chance makes it.
    covariance = np.cov(of_units.T)[np.triu_indices(50, 1)]
    assert np.sqrt(np.mean(covariance**2)) < 1.2 * of_units.var() / np.sqrt(400)


def test_it_is_not_in_use():
    network, without = deep(0.5), deep(0.0)
    assert [layer.name for layer in network.layers if isinstance(layer.neuron, Dropout)] == ["activation 1", "gate 1"]
    assert eqx.tree_equal(in_use(network), without) and not eqx.tree_equal(network, without)
    nested = Delayed(Dropout(Dropout(GELU(), 0.1), 0.2), steps=2)
    assert in_use(nested) == Delayed(GELU(), steps=2)


def test_training_validates_and_keeps_the_network_without_it():
    task = yin_yang(num_train=20, num_validation=20, num_test=20)
    network = feedforward((4, 6, 3), neuron=Dropout(Tanh(), 0.8), readout=Identity(), key=KEYS[1])
    still = GradientDescent(optimizer=optax.sgd(0.0), initialisation=AsGiven(), epochs=1, batch_size=20)
    encoder = Current(num_steps=2)
    (epoch,) = Experiment(task, encoder, network, still, KEYS[:1]).epochs()
    (found,) = still.hypotheses(encoder, epoch.training)
    assert eqx.tree_equal(found.network, in_use(network))
    of_sample = eqx.filter_jit(lambda sample: evaluate(still.loss, encoder, in_use(network), sample, key=KEYS[2])[0])
    metrics, learning = epoch.metrics, task.learning
    np.testing.assert_allclose(metrics.validation_loss[0], of_sample(on_device(learning.validation)), rtol=1e-6)
    without = of_sample(on_device(learning.train))
    assert abs(metrics.training_loss[0] - without) > 0.01 * without  # in training it is on
    assert eqx.tree_equal(jax.tree.map(lambda a: a[0] if eqx.is_array(a) else a, epoch.training.network), network)


@eqx.filter_jit
def gradient(rule, network, key=KEYS[0]):
    return rule(network, MeanSquaredError(), jnp.asarray(XS), jnp.asarray(YS), key=key)


def differ(found, exact):
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True)
    return max(float(jnp.abs(a - b).max() / (jnp.abs(b).max() + 1e-30)) for a, b in pairs)


def test_the_gradient_is_exact_and_online_rules_draw_the_same_mask(x64):
    first, second, last = KEYS[1:4]
    into = [Connection(Dense(3, 2, key=k), port=port) for k, port in ((first, "re"), (second, "im"))]
    memory = Layer(into, Dropout(LRU(jnp.array([0.1, 0.3]), 0.2, 3.0), 0.4))
    network = Network((memory, Layer(Dense(4, 2, key=last), Dropout(Tanh(), 0.4))))
    loss, exact = gradient(BPTT(), network)
    arrays, rest = eqx.partition(network, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    along = [jax.random.normal(jax.random.fold_in(KEYS[2], n), leaf.shape) for n, leaf in enumerate(leaves)]

    def moved(step):
        there = jax.tree.unflatten(structure, [leaf + step * d for leaf, d in zip(leaves, along, strict=True)])
        return gradient(BPTT(), eqx.combine(there, rest))[0]

    slope = sum(jnp.sum(g * d) for g, d in zip(jax.tree.leaves(exact), along, strict=True))
    assert float((moved(1e-5) - moved(-1e-5)) / 2e-5) == pytest.approx(float(slope), rel=1e-7)
    for rule in (RTRL(), DiagonalRTRL()):
        value, found = gradient(rule, network)
        assert float(value) == pytest.approx(float(loss), rel=1e-12) and differ(found, exact) < 1e-9
    assert differ(gradient(BPTT(), network, KEYS[5])[1], exact) > 1e-2  # of another mask


def test_e_prop_sees_the_mask(x64):
    """With one hidden layer and no loop it is exact, and so it is with dropout."""
    hidden = Dropout(LIF(v_th=0.2), 0.4)
    network = Network((Layer(Dense(3, 5, key=KEYS[1]), hidden), Layer(Dense(5, 2, key=KEYS[2]), LI())))
    (loss, exact), (value, found) = gradient(BPTT(), network), gradient(EProp(), network)
    assert float(value) == pytest.approx(float(loss), rel=1e-12) and differ(found, exact) < 1e-9
    assert jnp.any(exact.layers[0].synapses.weight) and differ(gradient(EProp(), network, KEYS[5])[1], exact) > 1e-2


def test_what_cannot_have_it_says_so():
    network = feedforward((3, 4, 2), neuron=Dropout(LIF(), 0.1), key=KEYS[0])
    assert why_not_compiled(network.layers) == "layer 1 is Dropout"
    batch = jnp.asarray(XS, jnp.float32), jnp.zeros(B, int)
    for rule, loss in ((SuperSpike(), StepwiseCrossEntropy()), (EventProp(), CrossEntropy(FirstSpike()))):
        with pytest.raises(SnnlearnError, match="Dropout"):
            rule(network, loss, *batch, key=KEYS[0])
    assert "network.in_use" in Dropout(Rectifier(), 0.1).rectified()


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_bad_rates_are_named(rate):
    with pytest.raises(SnnlearnError, match=f"rate is {rate}; give a share of the units, from 0 to below 1"):
        Dropout(GLU(), rate)
