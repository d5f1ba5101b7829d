"""Learning on spiking codes is the same from flat data and from images, by the kernels and without them."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import kernels
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import FirstSpike, Latency, Phase, Rate, Spikes, pack_spikes
from snnlearn.data import Sample, yin_yang
from snnlearn.hypothesis import encode
from snnlearn.losses import ClassSpikeTrains, CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import AsGiven, feedforward
from snnlearn.neurons import LI, LIF, CubaLIF, EscapeNoise, Sigmoid
from snnlearn.rules import OTTT, EProp, EventProp, NodePerturbation, SuperSpike, XieSeung

KEY = jax.random.key(0)
T = 40  # steps, more than a word of spikes
VALUES = yin_yang(num_train=12, num_validation=3, num_test=3)
OPTIMIZER = optax.sgd(0.1)  # whose steps are as exact as the gradient
RULES = {
    "EProp": (EProp(), StepwiseCrossEntropy(), LI(5e-3)),
    "OTTT": (OTTT(), StepwiseCrossEntropy(), LI(5e-3)),
    "SuperSpike": (SuperSpike(), ClassSpikeTrains(3), LIF(v_th=0.1)),
}
CODES = {"rate": Rate(T, 300.0), "latency": Latency(T), "phase": Phase(T)}


def encoded(code, shape):
    """The data, each sample of this shape, as spikes."""

    def of(sample):
        return Sample(np.asarray(encode(code, jnp.asarray(sample.x).reshape(-1, *shape), key=KEY)), sample.y)

    parts = {part: of(getattr(VALUES, part)) for part in ("train", "validation", "test")}
    return dataclasses.replace(VALUES, **parts)


@functools.cache
def start(name):
    """A rule's algorithm and training before the first epoch, which know nothing of the data's shape."""
    rule, loss, readout = RULES[name]
    network = feedforward((4, 6, 3), neuron=LIF(v_th=0.02), readout=readout, use_bias=True, key=KEY)
    algorithm = GradientDescent(loss, rule, OPTIMIZER, AsGiven(), epochs=1, batch_size=6)
    return algorithm, algorithm.start(Spikes(T), network, encoded(CODES["rate"], (4,)).learning, keys=KEY[None])


def learnt(name, data, *, plain):
    """What an epoch of two updates adds to the parameters."""
    algorithm, before = start(name)
    # Of these epochs one is run; another number makes another program, or the first one traced would serve for both.
    algorithm = dataclasses.replace(algorithm, epochs=1 + plain)
    with kernels.plain() if plain else contextlib.nullcontext():
        after, _ = algorithm.epoch(Spikes(T), before, data.learning)
    parameters = [jax.tree.leaves(eqx.filter(t.network, eqx.is_inexact_array)) for t in (after, before)]
    return [np.asarray(a - b) for a, b in zip(*parameters, strict=True)]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("rule", RULES)
def test_learning_is_equal(rule, code):
    """On codes of one shape, so that one program serves for all."""
    flat, images = encoded(code, (4,)), encoded(code, (2, 2))
    expected = learnt(rule, flat, plain=True)
    assert all(change.any() for change in expected)
    for data, plain in ((images, True), (flat, False), (images, False)):
        for a, b in zip(learnt(rule, data, plain=plain), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())


OTHERS = {
    "NodePerturbation": (NodePerturbation(), StepwiseCrossEntropy(), LI(5e-3)),
    "XieSeung": (XieSeung(), StepwiseCrossEntropy(), EscapeNoise(LIF(surrogate=Sigmoid(5.0)))),
    "EventProp": (EventProp(), CrossEntropy(FirstSpike()), CubaLIF(v_th=0.02)),
}


@pytest.mark.parametrize(("rule", "loss", "readout"), OTHERS.values(), ids=OTHERS)
def test_every_rule_takes_packed_images(rule, loss, readout):
    """Those that go by numbers, too."""
    network = feedforward((4, 3), readout=readout, key=KEY)
    spikes = jnp.asarray(encoded(CODES["latency"], (4,)).train.x[:2])
    found, expected = (
        eqx.filter_jit(rule)(network, loss, inputs, jnp.arange(2), key=KEY)
        for inputs in (jax.vmap(pack_spikes)(spikes.reshape(2, T, 2, 2)), spikes)
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)
