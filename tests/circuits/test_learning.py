"""Learning for chips and on them: the gradients are those of the chips that there are."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn._parameters import trained_part
from snnlearn.circuits import (
    AbstractDevice,
    AbstractEffect,
    Chip,
    Converter,
    ForChips,
    InTheLoop,
    LogNormal,
    Measured,
    Mismatch,
    RewardInTheLoop,
    SimulatedDevice,
    deploy,
    draw_key,
)
from snnlearn.coding import SpikeCount
from snnlearn.losses import CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import feedforward
from snnlearn.neurons import ALIF, LIF, EscapeNoise, Filtered, NextStep, Refractory, Sigmoid, Subtract
from snnlearn.rules import BPTT, EProp, WeightPerturbation, XieSeung
from snnlearn.rules.base import mean_loss

KEY = jax.random.key(3)
THRESHOLDS = Chip("thresholds", effects=(Mismatch("v_th", LogNormal(0.3)),))
IDEAL = Chip("ideal")


@final
class Rounded(AbstractEffect):
    """Weights on a grid; the derivative of a rounded weight is that of the weight."""

    step: float = 0.25

    def __call__(self, network, *, key):
        def rounded(weight):
            return weight + jax.lax.stop_gradient(self.step * jnp.round(weight / self.step) - weight)

        return jax.tree.map(lambda leaf: rounded(leaf) if eqx.is_array(leaf) else leaf, network)


def case(**options):
    """A network that spikes, and a batch; in the precision of now."""
    network = feedforward((5, 8, 3), key=jax.random.key(0), **options)
    return network, 8 * jax.random.normal(jax.random.key(1), (4, 12, 5)), jnp.array([0, 1, 2, 1])


def assert_equal(tree, expected, tolerance=1e-10):
    assert jax.tree.structure(tree) == jax.tree.structure(expected)
    for found, other in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, other, rtol=tolerance, atol=tolerance)


def differs(tree, other):
    return max(float(jnp.abs(a - b).max()) for a, b in zip(*map(jax.tree.leaves, (tree, other)), strict=True)) > 1e-4


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("rule", "loss"), [(BPTT(), CrossEntropy()), (EProp(), StepwiseCrossEntropy())], ids=["BPTT", "e-prop"]
)
def test_for_chips_is_the_rule_on_an_ideal_chip_and_the_mean_over_others(rule, loss):
    network, *batch = case()
    plain = eqx.filter_jit(rule)(network, loss, *batch, key=KEY)
    assert_equal(eqx.filter_jit(ForChips(rule, IDEAL, num_chips=2))(network, loss, *batch, key=KEY), plain)

    found = eqx.filter_jit(ForChips(rule, THRESHOLDS, num_chips=3))(network, loss, *batch, key=KEY)
    keys = [jax.random.fold_in(draw_key(KEY, "chips"), k) for k in range(3)]
    # Constants have no gradient, and mismatch of fixed thresholds leaves all parameters as they are.
    compiled = eqx.filter_jit(rule)
    each = [compiled(deploy(network, THRESHOLDS, key=key), loss, *batch, key=KEY) for key in keys]
    values, gradients = zip(*each, strict=True)
    leaves = [sum(g) / 3 for g in zip(*map(jax.tree.leaves, gradients), strict=True)]
    np.testing.assert_allclose(found[0], np.mean(values), rtol=1e-10)
    assert_equal(jax.tree.leaves(found[1]), leaves)
    assert jax.tree.structure(found[1]) == jax.tree.structure(trained_part(network))
    assert differs(found[1], plain[1])


@pytest.mark.usefixtures("x64")
def test_the_gradient_goes_back_through_what_the_chip_does_to_trained_parameters():
    network, *batch = case(neuron=LIF(tau_mem=np.full(8, 0.02), v_th=np.full(8, 0.5)))
    kind = Chip("two", effects=(Mismatch("v_th", LogNormal(0.3)), Mismatch("tau_mem", LogNormal(0.2))))
    rule = ForChips(BPTT(), kind)

    def on_chip(network):
        deployed = deploy(network, kind, key=jax.random.fold_in(draw_key(KEY, "chips"), 0))
        return mean_loss(deployed, CrossEntropy(), *batch, key=KEY)

    _, found = eqx.filter_jit(rule)(network, CrossEntropy(), *batch, key=KEY)
    assert_equal(trained_part(found), trained_part(eqx.filter_jit(eqx.filter_grad(on_chip))(network)))
    assert jnp.abs(found.layers[0].neuron.tau_mem.log).min() > 0


@pytest.mark.usefixtures("x64")
def test_quantisation_aware_is_the_gradient_at_the_rounded_weights():
    network, *batch = case()
    compiled = eqx.filter_jit(BPTT())
    found = eqx.filter_jit(ForChips(BPTT(), Chip("grid", effects=(Rounded(),))))(
        network, CrossEntropy(), *batch, key=KEY
    )
    rounded = jax.tree.map(lambda w: 0.25 * jnp.round(w / 0.25) if eqx.is_array(w) else w, network)
    assert_equal(found, compiled(rounded, CrossEntropy(), *batch, key=KEY))
    assert differs(found, compiled(network, CrossEntropy(), *batch, key=KEY))


@pytest.mark.usefixtures("x64")
def test_the_worst_share_of_chips_counts_alone():
    network, *batch = case()
    keys = [jax.random.fold_in(draw_key(KEY, "chips"), k) for k in range(5)]
    compiled = eqx.filter_jit(BPTT())
    each = [compiled(deploy(network, THRESHOLDS, key=key), CrossEntropy(), *batch, key=KEY) for key in keys]
    worst = sorted(each, key=lambda one: float(one[0]))[-2:]
    found = eqx.filter_jit(ForChips(BPTT(), THRESHOLDS, num_chips=5, worst=0.4))
    found = found(network, CrossEntropy(), *batch, key=KEY)
    expected = [sum(g) / 2 for g in zip(*map(jax.tree.leaves, worst), strict=True)]
    assert_equal(jax.tree.leaves(found), expected)
    everything = [sum(g) / 5 for g in zip(*map(jax.tree.leaves, each), strict=True)]
    assert differs(jax.tree.leaves(found), everything)


def test_what_is_known_of_a_rule_is_known_of_it_on_chips():
    network, *_ = case()
    plain, spiking = ForChips(BPTT(), IDEAL), ForChips(XieSeung(), THRESHOLDS, 2)
    assert plain.why_plain(network) == BPTT().why_plain(network)
    assert ForChips(BPTT(), THRESHOLDS).why_plain(network) == BPTT().why_plain(network)
    assert "ForwardGradient" not in str(plain.why_plain(network))
    assert spiking.why_plain(network) == XieSeung().why_plain(network)
    assert spiking.usual_decoder is XieSeung.usual_decoder and plain.usual_loss is BPTT.usual_loss
    assert spiking.draws and not plain.draws and ForChips(WeightPerturbation(), IDEAL).draws
    reference = ForChips(EProp(), THRESHOLDS, 2, 0.5).reference()
    assert isinstance(reference, ForChips) and reference.rule == BPTT() and reference.worst == 0.5


# --- in the loop


@pytest.mark.usefixtures("x64")
def test_in_the_loop_with_the_model_as_device_is_bptt():
    late = NextStep(Subtract(block_gradient=False))
    neuron = Filtered(ALIF(v_th=0.3, reset=late, refractory=Refractory(2e-3)), tau_syn=4e-3)  # pyright: ignore
    network, *batch = case(neuron=neuron, recurrent=True)
    device = SimulatedDevice(IDEAL, KEY, reading=None)
    found = eqx.filter_jit(InTheLoop(device))(network, CrossEntropy(), *batch, key=KEY)
    assert_equal(found, eqx.filter_jit(BPTT())(network, CrossEntropy(), *batch, key=KEY))
    assert device.run(network, batch[0], key=KEY).outputs[0].mean() > 0.02

    other = SimulatedDevice(Chip("one", effects=(Mismatch("v_th", LogNormal(0.5)),)), KEY, Converter(4, -4.0, 4.0))
    value, gradient = eqx.filter_jit(InTheLoop(other))(network, CrossEntropy(), *batch, key=KEY)
    outputs = other.run(network, batch[0], key=KEY).outputs
    np.testing.assert_allclose(value, jax.vmap(CrossEntropy())(outputs, batch[1]).mean())
    assert differs(found[1], gradient)


class Spikes(AbstractDevice):
    """A device without converters for hidden membranes."""

    device: SimulatedDevice

    def run(self, network, inputs, *, key):
        measured = self.device.run(network, inputs, key=key)
        return Measured(measured.outputs, (None, *measured.membranes[1:]))


@pytest.mark.usefixtures("x64")
def test_membranes_that_are_not_read_follow_the_measured_spikes():
    network, *batch = case()
    device = Spikes(SimulatedDevice(IDEAL, KEY, reading=None))
    compiled = [eqx.filter_jit(rule) for rule in (InTheLoop(device), BPTT())]
    found, expected = (rule(network, CrossEntropy(), *batch, key=KEY) for rule in compiled)
    assert_equal(found, expected)

    # By hand: the hidden layer of the model, with the spikes of a chip, in NumPy, and the gradient of the readout.
    device = Spikes(SimulatedDevice(THRESHOLDS, KEY, reading=None))
    _, gradient = eqx.filter_jit(InTheLoop(device))(network, CrossEntropy(), *batch, key=KEY)
    hidden, readout = device.run(network, batch[0], key=KEY).outputs
    scores = readout.mean(axis=1)
    error = (jax.nn.softmax(scores) - jax.nn.one_hot(batch[1], 3)) / len(scores)
    decay, trace, total = np.exp(-1e-3 / network.layers[1].neuron.tau_mem), np.zeros((4, 8)), np.zeros((4, 8))
    for t in range(12):
        trace = decay * trace + (1 - decay) * np.asarray(hidden[:, t])
        total += trace / 12
    np.testing.assert_allclose(gradient.layers[1].synapses.weight, error.T @ total, rtol=1e-9)


@pytest.mark.usefixtures("x64")
def test_reward_in_the_loop_with_the_model_as_device_is_xie_and_seung():
    neuron = EscapeNoise(LIF(v_th=0.3, surrogate=Sigmoid(5.0), reset=NextStep(Subtract())))  # pyright: ignore
    network, *batch = case(neuron=neuron, readout=neuron, recurrent=True)
    loss = CrossEntropy(SpikeCount())
    device = SimulatedDevice(IDEAL, KEY, None)
    found = eqx.filter_jit(RewardInTheLoop(device))(network, loss, *batch, key=KEY)
    assert_equal(found, eqx.filter_jit(XieSeung())(network, loss, *batch, key=KEY))
    coarse = eqx.filter_jit(RewardInTheLoop(SimulatedDevice(THRESHOLDS, KEY)))(network, loss, *batch, key=KEY)
    assert differs(found[1], coarse[1])
    with pytest.raises(SnnlearnError, match="layer 1 of the model leaves nothing to chance; wrap its neuron in Escape"):
        RewardInTheLoop(device)(case()[0], loss, *batch, key=KEY)


def test_a_device_reads_by_converters_of_its_own():
    network, xs, _ = case()
    exact, one, again, other = (
        SimulatedDevice(IDEAL, key, reading).run(network, xs, key=KEY).membranes[0]
        for key, reading in (
            (KEY, None),
            (KEY, Converter(8, -4.0, 4.0, offset=3.0)),
            (KEY, Converter(8, -4.0, 4.0, offset=3.0)),
            (jax.random.key(9), Converter(8, -4.0, 4.0, offset=3.0)),
        )
    )
    np.testing.assert_array_equal(one, again)
    assert differs(one, other)
    offsets = (np.asarray(one - exact) / (8 / 255)).reshape(-1, one.shape[-1])
    assert np.ptp(offsets, axis=0).max() <= 1.001  # each channel has its own, up to rounding
    assert np.ptp(offsets.mean(axis=0)) > 1


def test_bad_input_is_named():
    network, *batch = case()
    noisy = feedforward((5, 8, 3), neuron=EscapeNoise(LIF(surrogate=Sigmoid(5.0))), key=KEY)  # pyright: ignore
    for wrong, message in (
        (lambda: ForChips(BPTT(), IDEAL, num_chips=0), "ForChips: num_chips is 0; give at least 1"),
        (lambda: ForChips(BPTT(), IDEAL, worst=0.0), "ForChips: worst is 0.0; give the share of chips that count"),
        (
            lambda: InTheLoop(SimulatedDevice(IDEAL, KEY))(noisy, CrossEntropy(), *batch, key=KEY),
            "InTheLoop: layer 1 of the model draws at random",
        ),
        (
            lambda: InTheLoop(Short(SimulatedDevice(IDEAL, KEY)))(network, CrossEntropy(), *batch, key=KEY),
            r"measured outputs of shape \[4, 11, 8\] of layer 1; give \[4, 12, 8\]",
        ),
    ):
        with pytest.raises(SnnlearnError, match=message):
            wrong()


class Short(AbstractDevice):
    """A device that loses the last step."""

    device: SimulatedDevice

    def run(self, network, inputs, *, key):
        return jax.tree.map(lambda a: a[:, :-1], self.device.run(network, inputs, key=key))
