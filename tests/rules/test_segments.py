"""BPTT in segments of time: the gradient is that of BPTT, and memory grows with T/K + K only."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import kernels
from snnlearn._errors import SnnlearnError
from snnlearn.coding import pack_spikes
from snnlearn.losses import CrossEntropy, RateBand, StepwiseCrossEntropy
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, Delayed, EscapeNoise, NextStep, Refractory, Sigmoid, Subtract
from snnlearn.rules import BPTT, TruncatedBPTT

B, T = 3, 13
KEYS = jax.random.split(jax.random.key(0), 4)


def everything_trained():
    neuron = ALIF(tau_mem=np.full(6, 9e-3), beta=np.full(6, 0.3), v_th=np.full(6, 0.2), refractory=Refractory())
    return feedforward((4, 6, 3), neuron=neuron, recurrent=True, use_bias=True, key=KEYS[0])


def convolutional():
    conv = Conv2d((1, 5, 5), 2, 2, use_bias=True, key=KEYS[0])
    return Network(
        (
            Layer(conv, LIF(v_th=0.2, reset=NextStep(Subtract(block_gradient=False)))),
            Layer(Chain(AveragePool2d((2, 4, 4), 2), Dense(8, 3, key=KEYS[1])), LI()),
        )
    )


CASES = {
    "all trained, loss of hidden units": (
        everything_trained,
        StepwiseCrossEntropy() + 1e-4 * RateBand(5.0, 20.0),
        (4,),
        5,
        T,
    ),
    "convolutional": (convolutional, CrossEntropy(), (5, 5), 1),
    "delayed": (
        lambda: feedforward((4, 6, 3), neuron=Delayed(CubaLIF(v_th=0.2), 3), recurrent=True, key=KEYS[0]),
        CrossEntropy(),
        (4,),
        6,
    ),
    "noise": (
        lambda: feedforward((4, 6, 3), neuron=EscapeNoise(LIF(surrogate=Sigmoid())), recurrent=True, key=KEYS[0]),
        StepwiseCrossEntropy(),
        (4,),
        4,
    ),
}


@eqx.filter_jit
def gradient(rule, network, loss, inputs, targets):
    return rule(network, loss, inputs, targets, key=KEYS[3])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_keeping_all(name):
    make, loss, shape, *segments = CASES[name]
    network = make()
    inputs, targets = 8 * jax.random.normal(KEYS[2], (B, T, *shape)), jnp.array([2, 0, 1])
    assert bool(unroll(network, inputs[0])[0].outputs[0].any())
    expected = gradient(BPTT(), network, loss, inputs, targets)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(expected))
    for segment in segments:
        found = gradient(BPTT(segment), network, loss, inputs, targets)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found, expected)
    if name == "noise":  # the negative control: blocks that the gradient does not cross
        cut = gradient(TruncatedBPTT(5), network, loss, inputs, targets)[1]
        a, b = cut.layers[0].synapses.weight, expected[1].layers[0].synapses.weight
        assert np.abs(a - b).max() > 1e-3 * np.abs(b).max()


def working_memory(rule, inputs):
    """Bytes, of a program that is optimised, unlike those of other tests."""
    network, targets = feedforward((8, 64, 64, 2), key=KEYS[0]), jnp.zeros(len(inputs), int)
    program: Any = gradient
    lowered = program.lower(rule, network, CrossEntropy(), inputs, targets)
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    return lowered.lowered.compile(options).memory_analysis().temp_size_in_bytes


def test_memory_grows_with_segments_and_not_with_steps():
    """Per sample and step, a float of each output and input and, in each segment, of each unit's state."""
    short, long = (working_memory(BPTT(20), jnp.zeros((4, T, 8))) for T in (200, 600))
    assert long - short < 4 * 400 * 4 * (8 + 3 * 2 + 128 / 20 * 2)
    assert working_memory(BPTT(), jnp.zeros((4, 600, 8))) > 4 * 600 * 4 * 128 > 3 * long


@pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
@pytest.mark.parametrize("segment", [10, 64])
def test_packed_spikes_are_cut_between_words(segment):
    network = jax.tree.map(
        lambda w: 6 * w, feedforward((20, 40, 24, 5), neuron=LIF(v_th=0.4), recurrent=True, key=KEYS[0])
    )
    spikes = jax.random.bernoulli(KEYS[1], 0.2, (B, 75, 20)).astype(jnp.float32)
    assert all(bool(layer.any()) for layer in unroll(network, spikes[0])[0].outputs)
    batch = jax.vmap(pack_spikes)(spikes), jnp.array([2, 0, 1])
    loss = CrossEntropy() + 1e-4 * RateBand(5.0, 20.0)
    expected, found = (gradient(rule, network, loss, *batch) for rule in (BPTT(), BPTT(segment)))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(b))))


def test_a_segment_has_a_step():
    with pytest.raises(SnnlearnError, match="segment is 0; give at least 1"):
        BPTT(0)
