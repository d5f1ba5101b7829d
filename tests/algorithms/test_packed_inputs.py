"""Learning on spiking codes is the same from flat data and from images, by the kernels and without them."""

from __future__ import annotations

import contextlib
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import kernels
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import Latency, Phase, Rate, Spikes
from snnlearn.data import Sample, yin_yang
from snnlearn.hypothesis import encode
from snnlearn.losses import ClassSpikeTrains, StepwiseCrossEntropy
from snnlearn.network import AsGiven, feedforward
from snnlearn.neurons import LI, LIF
from snnlearn.rules import OTTT, EProp, SuperSpike

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


def learnt(rule, loss, readout, data, *, plain):
    """What an epoch of two updates adds to the parameters."""
    network = feedforward((4, 6, 3), neuron=LIF(v_th=0.02), readout=readout, use_bias=True, key=KEY)
    # Of these epochs one is run; another number makes another program, or the first one traced would serve for both.
    algorithm = GradientDescent(loss, rule, OPTIMIZER, AsGiven(), epochs=1 + plain, batch_size=6)
    with kernels.plain() if plain else contextlib.nullcontext():
        before = algorithm.start(Spikes(T), network, data, keys=KEY[None])
        after, _ = algorithm.epoch(Spikes(T), before, data)
    parameters = [jax.tree.leaves(eqx.filter(t.network, eqx.is_inexact_array)) for t in (after, before)]
    return [np.asarray(a - b) for a, b in zip(*parameters, strict=True)]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_learning_is_equal(rule, code):
    """On codes of one shape, so that one program serves for all."""
    flat, images = encoded(code, (4,)), encoded(code, (2, 2))
    expected = learnt(*rule, flat, plain=True)
    assert all(change.any() for change in expected)
    for data, plain in ((images, True), (flat, False), (images, False)):
        for a, b in zip(learnt(*rule, data, plain=plain), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(b).max())
