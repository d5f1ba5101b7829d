"""Currents that are held: every rule learns from them what it learns from the same numbers in each step."""

from __future__ import annotations

import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError, kernels
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import Current, Framewise, HeldValues, Rate, hold_values
from snnlearn.data import Sample, yin_yang
from snnlearn.hypothesis import network_input
from snnlearn.losses import ClassSpikeTrains, CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import (
    AsGiven,
    Chain,
    Dense,
    Layer,
    Network,
    Part,
    ReadNoise,
    feedforward,
    unroll,
    why_not_compiled,
)
from snnlearn.neurons import ALIF, LI, LIF, EscapeNoise, Sigmoid
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    AbstractRule,
    EProp,
    ForwardGradient,
    NodePerturbation,
    SuperSpike,
    TruncatedBPTT,
    XieSeung,
)

KEY = jax.random.key(0)
YIN_YANG = yin_yang(num_train=12, num_validation=3, num_test=3)
STEPS = StepwiseCrossEntropy()
compiled = pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))

# And the number of frames, of 12 steps.
RULES = {
    "BPTT in segments": (BPTT(5), STEPS, LI(5e-3), 1),
    "TruncatedBPTT": (TruncatedBPTT(5), STEPS, LI(5e-3), 1),
    "RTRL": (RTRL(), STEPS, LI(5e-3), 3),
    "EProp": (EProp(), STEPS, LI(5e-3), 1),
    "OTTT": (OTTT(), STEPS, LI(5e-3), 3),
    "SuperSpike": (SuperSpike(), ClassSpikeTrains(3), LIF(v_th=0.1), 3),
    "NodePerturbation": (NodePerturbation(), STEPS, LI(5e-3), 1),
    "ForwardGradient": (ForwardGradient(), STEPS, LI(5e-3), 3),
    "XieSeung": (XieSeung(), STEPS, EscapeNoise(LIF(surrogate=Sigmoid(5.0))), 1),
}


def small_network(readout, hidden=LIF(v_th=0.1), **options):
    return feedforward((4, 6, 3), neuron=hidden, readout=readout, use_bias=True, key=KEY, **options)


def values(*shape):
    return jax.random.uniform(jax.random.key(1), shape)


def equal(found, expected, relative=1e-5):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=relative * np.abs(b).max())


@pytest.mark.parametrize(("rule", "loss", "readout", "frames"), RULES.values(), ids=RULES)
def test_every_rule_takes_them(rule, loss, readout, frames):
    network = feedforward((4, 3), readout=readout, key=KEY) if isinstance(rule, XieSeung) else small_network(readout)
    held = HeldValues(20 * values(2, frames, 2, 2), 12 // frames)

    @eqx.filter_jit
    def learnt(*batches):
        return [rule(network, loss, batch, jnp.arange(2), key=KEY) for batch in batches]

    found, expected = learnt(held, jax.vmap(HeldValues.unpack)(held))
    equal(found, expected, 1e-4)
    assert any(leaf.any() for leaf in jax.tree.leaves(expected[1]))


@pytest.mark.parametrize(
    ("rule", "code", "shape"),
    [(BPTT(), Current(13), (2, 2)), (BPTT(), Framewise(Current(3), 4), (4, 4)), (EProp(), Current(13), (2, 2))],
    ids=["images", "series", "images, online"],
)
def test_learning_by_the_kernels_is_learning(rule, code, shape):
    """Two updates; and the weights of another sample learn otherwise."""

    def sample(seed, size):
        x = jax.random.uniform(jax.random.key(seed), (size, *shape))
        return Sample(np.asarray(20 * x, np.float32), np.arange(size) % 3)

    def learnt(seed, epochs):
        data = dataclasses.replace(YIN_YANG, train=sample(seed, 12), validation=sample(5, 3), test=sample(6, 3))
        loss = CrossEntropy() if isinstance(rule, BPTT) else STEPS
        algorithm = GradientDescent(loss, rule, optax.sgd(0.1), AsGiven(), epochs=epochs, batch_size=6)
        before = algorithm.start(code, small_network(LI(5e-3)), data.learning, keys=KEY[None])
        after, metrics = algorithm.epoch(code, before, data.learning)
        parameters = [jax.tree.leaves(eqx.filter(t.network, eqx.is_inexact_array)) for t in (after, before)]
        return [np.asarray(a - b) for a, b in zip(*parameters, strict=True)], metrics.validation_loss

    by_kernels = learnt(2, 1)
    with kernels.plain():
        expected = learnt(2, 2)  # of which one is run: another program
    equal(by_kernels, expected, 1e-4)
    assert all(change.any() for change in expected[0])
    assert max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(learnt(3, 1)[0], expected[0], strict=True)) > 0.01


@compiled
def test_an_encoder_says_how_long_its_values_are_held():
    network = small_network(LI())
    give = partial(network_input, network=network, x=values(4), key=KEY)
    constant = give(Current(13))
    assert isinstance(constant, HeldValues) and constant.values.shape == (1, 4) and constant.steps == 13
    frames = network_input(Framewise(Current(3), 2), network, values(2, 4), key=KEY)
    assert isinstance(frames, HeldValues) and frames.values.shape == (2, 4) and frames.steps == 3
    assert isinstance(give(Current(1)), jax.Array)
    assert give(Rate(13)).words.shape == (1, 4)  # noise is drawn in each step
    with kernels.plain():
        assert give(Current(13)).shape == (13, 4)


class Numbers(AbstractRule):
    """Somebody's own rule, of numbers in each step."""

    def __call__(self, network, loss, inputs, targets, *, key):
        return BPTT()(network, loss, inputs[:, :, :], targets, key=key)


def test_a_rule_of_ones_own_gets_numbers():
    network, x = small_network(LI()), values(2, 4)
    inputs = GradientDescent(rule=Numbers()).inputs(Current(5), network, x, keys=jax.random.split(KEY))
    assert isinstance(inputs, jax.Array) and inputs.shape == (2, 5, 4)


def run(network, xs):
    """A function of its own for each trace."""
    return unroll(network, xs)[0].outputs


@compiled
@pytest.mark.parametrize("recurrent", [False, True])
def test_any_synapses_in_front(recurrent):
    """Their product is JAX's, whatever it is; those with a state, and what comes later, are as they were."""
    first, second, third = jax.random.split(KEY, 3)
    chosen = Chain(Part(9, 2, 6), Dense(4, 6, use_bias=True, key=first))
    loop = Dense(6, 6, key=third) if recurrent else None
    network = Network((Layer(chosen, ALIF(v_th=0.1), loop), Layer(Dense(6, 3, key=second), LI())))
    assert why_not_compiled(network.layers) is None
    held = HeldValues(20 * values(4, 9), 3)

    def slope(network, held):
        return eqx.filter_grad(lambda v: sum(o.sum() for o in run(v[1], HeldValues(v[0], 3))))((held.values, network))

    found = eqx.filter_jit(lambda *case: (run(*case), slope(*case)))(network, held)
    with kernels.plain():
        expected = eqx.filter_jit(lambda *case: (run(*case), slope(*case)))(network, held)
    equal(found, expected, 1e-4)
    assert expected[0][0].any() and np.abs(expected[1][0]).max() > 1e-3  # by the input itself, too
    noisy = Layer(ReadNoise(Dense(4, 6, key=first), 0.1), LIF())
    assert why_not_compiled((noisy,)) == "layer 1 has ReadNoise synapses, not Dense"
    assert why_not_compiled((*network.layers[:1], Layer(Chain(Dense(6, 3, key=second)), LI()))) == (
        "layer 2 has Chain synapses, not Dense"
    )


@pytest.mark.usefixtures("x64")
def test_double_precision_is_kept():
    """By plain JAX: of weights, and of an input alone."""
    network, xs = small_network(LI()), HeldValues(values(1, 4), 7)
    assert run(network, xs)[-1].dtype == jnp.float64
    single = jax.tree.map(lambda w: w.astype(jnp.float32) if eqx.is_array(w) else w, network)
    with jax.numpy_dtype_promotion("standard"):
        assert run(single, xs)[-1].dtype == jnp.float64


@compiled
def test_a_second_derivative_is_refused_in_a_sentence():
    network, x = small_network(LI()), values(5, 4)
    with pytest.raises(SnnlearnError, match=r"first derivatives only.*kernels\.plain"):
        jax.hessian(lambda x: network(x)[0].sum())(x)


def test_what_is_not_held_is_refused():
    with pytest.raises(SnnlearnError, match="HeldValues: steps is 0; give a whole number, at least 1"):
        HeldValues(values(1, 4), 0)
    with pytest.raises(SnnlearnError, match=r"hold_values: xs has shape \(5, 4\), whose first axis is not frames of 2"):
        hold_values(values(5, 4), 2)
    with pytest.raises(SnnlearnError, match=r"unroll: xs has shape \(1, 3\); give \[T, 4\]"):
        unroll(small_network(LI()), HeldValues(values(1, 3), 5))
    with pytest.raises(SnnlearnError, match=r"BPTT: inputs has shape \(1, 4\); give \[B, T, 4\]"):
        BPTT()(small_network(LI()), CrossEntropy(), HeldValues(values(1, 4), 5), jnp.zeros(1, int), key=KEY)
