"""Constants for each unit: they act as trained arrays do, but nothing moves them, and the kernels take them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError, kernels
from snnlearn.coding import pack_spikes
from snnlearn.losses import CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import AsGiven, Dense, Layer, Network, why_not_compiled
from snnlearn.neurons import ALIF, LI, LIF, Constant, CubaLIF, NextStep, Positive, TimeConstant, ToValue
from snnlearn.rules import BPTT, OTTT, RTRL, EProp, EventProp, NodePerturbation, SuperSpike

UNITS, INPUTS, B, T = 5, 8, 3, 40
KEYS = jax.random.split(jax.random.key(2), 4)
SPIKES = jax.random.bernoulli(KEYS[0], 0.4, (B, T, INPUTS)).astype(jnp.float32)
LABELS = jnp.array([0, 1, 1])


def each(low, high):
    return Constant(np.linspace(low, high, UNITS))


NEURONS = {
    "LIF": LIF(tau_mem=each(6e-3, 20e-3), v_th=each(0.3, 0.9), v_leak=each(-0.2, 0.1), resistance=each(0.8, 1.2)),
    "CubaLIF": CubaLIF(tau_mem=each(6e-3, 20e-3), tau_syn=each(3e-3, 5e-3), reset=NextStep(ToValue(each(-0.1, 0.1)))),
    "ALIF": ALIF(v_th=each(0.3, 0.9), beta=each(0.1, 0.4), tau_adapt=each(20e-3, 50e-3)),
}


def network(neuron, readout=LI(tau_mem=8e-3)):
    weights = (30 * w for w in (Dense(INPUTS, UNITS, key=KEYS[1]).weight, Dense(UNITS, UNITS, key=KEYS[2]).weight))
    first, loop = (eqx.tree_at(lambda d: d.weight, Dense(w.shape[1], UNITS, key=KEYS[1]), w / 10) for w in weights)
    return Network((Layer(first, neuron, loop), Layer(Dense(UNITS, 2, key=KEYS[3]), readout)))


def as_trained(neuron):
    """The same numbers, trained."""

    def of(node):
        return node.array if isinstance(node, Constant) else node

    def remade(neuron):
        changed = jax.tree.map(of, neuron, is_leaf=lambda node: isinstance(node, Constant))
        fields = {name: getattr(changed, name) for name in vars(neuron)}
        return type(neuron)(**fields)

    return remade(neuron)


@pytest.mark.parametrize("name", NEURONS)
def test_the_kernels_take_them_as_plain_jax_does(name):
    net = network(NEURONS[name])
    assert why_not_compiled(net.layers) == kernels.why_plain()
    packed = jax.vmap(pack_spikes)(SPIKES)
    run = eqx.filter_jit(BPTT())
    value, gradient = run(net, CrossEntropy(), packed, LABELS, key=KEYS[0])
    plain_value, plain = run(net, CrossEntropy(), SPIKES, LABELS, key=KEYS[0])
    assert float(value) == pytest.approx(float(plain_value), rel=1e-5)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(plain), strict=True):
        assert np.abs(other).max() > 0
        np.testing.assert_allclose(one, other, atol=1e-5 * float(np.abs(other).max()))


@pytest.mark.parametrize("name", NEURONS)
def test_the_gradient_is_that_beside_trained_arrays_and_has_none_of_its_own(name):
    constant, trained = network(NEURONS[name]), network(as_trained(NEURONS[name]))
    assert any(isinstance(leaf, Positive | TimeConstant) for leaf in vars(trained.layers[0].neuron).values())
    loss = StepwiseCrossEntropy()
    for rule in (BPTT(), RTRL(), EProp()) if name == "ALIF" else (BPTT(), EProp()):
        _, found = eqx.filter_jit(rule)(constant, loss, SPIKES, LABELS, key=KEYS[0])
        _, beside = eqx.filter_jit(rule)(trained, loss, SPIKES, LABELS, key=KEYS[0])
        assert not jax.tree.leaves(found.layers[0].neuron)
        for n in range(2):
            one, other = (g.layers[0].connections[n].synapses.weight for g in (found, beside))
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_equal_constants_are_a_float():
    floats = network(LIF(tau_mem=9e-3, v_th=0.5))
    constants = network(LIF(tau_mem=each(9e-3, 9e-3), v_th=Constant(0.5)))
    for one, other in zip(floats(SPIKES[0])[0], constants(SPIKES[0])[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_no_training_moves_them_and_no_one_counts_them():
    task = sl.data.yin_yang(num_train=64, num_validation=32, num_test=32)
    neuron = ALIF(tau_mem=each(6e-3, 20e-3), v_th=each(0.3, 0.9), beta=np.full(UNITS, 0.2))
    net = Network((Layer(Dense(4, UNITS, key=KEYS[0]), neuron), Layer(Dense(UNITS, 3, key=KEYS[1]), LI())))
    algorithm = sl.algorithms.GradientDescent(
        optimizer=optax.adamw(0.05, weight_decay=0.1), initialisation=AsGiven(), epochs=3, batch_size=32
    )
    learned = sl.fit(algorithm, sl.coding.Current(num_steps=8), net, task, key=KEYS[0]).network
    after = learned.layers[0].neuron
    assert isinstance(after.tau_mem, Constant) and isinstance(after.v_th, Constant)
    np.testing.assert_array_equal(after.tau_mem.array, neuron.tau_mem.array)
    np.testing.assert_array_equal(after.v_th.array, neuron.v_th.array)
    assert not np.array_equal(after.beta, neuron.beta)
    assert not np.array_equal(learned.layers[0].synapses.weight, net.layers[0].synapses.weight)
    assert sum(leaf.size for leaf in jax.tree.leaves(sl.neurons.trained_part(net))) == 4 * UNITS + UNITS + 3 * UNITS


def test_node_perturbation_and_event_prop_take_them_and_rules_of_equal_units_refuse():
    eqx.filter_jit(NodePerturbation())(network(NEURONS["LIF"]), CrossEntropy(), SPIKES, LABELS, key=KEYS[0])
    neuron = CubaLIF(tau_mem=10e-3, tau_syn=5e-3, v_th=Constant([0.05, 0.08]))
    late = Network((Layer(Dense(INPUTS, 2, key=KEYS[0]), neuron),))
    loss = CrossEntropy(sl.coding.FirstSpike())
    value, _ = eqx.filter_jit(EventProp(max_spikes=32))(late, loss, SPIKES, LABELS, key=KEYS[0])
    assert bool(jnp.isfinite(value))
    with pytest.raises(SnnlearnError, match="use EProp"):
        arguments = network(NEURONS["LIF"]), StepwiseCrossEntropy(), SPIKES, LABELS
        eqx.filter_eval_shape(OTTT(), *arguments, key=KEYS[0])
    with pytest.raises(SnnlearnError, match="use EProp or BPTT"):
        arguments = network(NEURONS["LIF"]), sl.losses.AlphaVanRossum(), SPIKES, SPIKES[..., :2]
        eqx.filter_eval_shape(SuperSpike(), *arguments, key=KEYS[0])


def test_their_ranges_and_lengths_are_checked():
    with pytest.raises(SnnlearnError, match=r"tau_mem is -0.01.* at \[1\]"):
        LIF(tau_mem=Constant([0.02, -0.01]))
    with pytest.raises(SnnlearnError, match=r"v_th of its LIF is of shape \[4\]"):
        network(LIF(v_th=Constant(np.ones(4))))
