"""BPTT in segments of time: the gradient is that of BPTT, and memory grows with T/K + K only."""

from __future__ import annotations

import re
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
from snnlearn.network import feedforward, unroll
from snnlearn.neurons import ALIF, LIF, EscapeNoise, Sigmoid
from snnlearn.rules import BPTT, TruncatedBPTT

B, T = 3, 13
KEYS = jax.random.split(jax.random.key(0), 4)


def noisy():
    """All is trained, and each spike is drawn."""
    neuron = ALIF(tau_mem=np.full(6, 9e-3), beta=np.full(6, 0.3), v_th=np.full(6, 0.2), surrogate=Sigmoid())
    return feedforward((4, 6, 3), neuron=EscapeNoise(neuron), recurrent=True, use_bias=True, key=KEYS[0])


@eqx.filter_jit
def gradient(rule, network, loss, inputs, targets):
    return rule(network, loss, inputs, targets, key=KEYS[3])


@pytest.mark.usefixtures("x64")
def test_the_gradient_is_that_of_keeping_all():
    inputs, targets = 8 * jax.random.normal(KEYS[2], (B, T, 4)), jnp.array([2, 0, 1])
    arguments = noisy(), StepwiseCrossEntropy(), inputs, targets
    assert bool(eqx.filter_jit(unroll)(arguments[0], inputs[0])[0].outputs[0].any())
    rules = BPTT(), BPTT(5), BPTT((5, 2)), TruncatedBPTT(5)
    expected, found, nested, cut = (gradient(rule, *arguments) for rule in rules)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(expected))
    for each in (found, nested):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), each, expected)
    # The negative control: blocks that the gradient does not cross.
    a, b = (one.layers[0].synapses.weight for _, one in (cut, expected))
    assert np.abs(a - b).max() > 1e-3 * np.abs(b).max()


def working_memory(rule, inputs):
    """Bytes, of a program that is optimised, unlike those of other tests."""
    network, targets = feedforward((8, 128, 2), key=KEYS[0]), jnp.zeros(len(inputs), int)
    program: Any = gradient
    lowered = program.lower(rule, network, CrossEntropy(), inputs, targets)
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    return lowered.lowered.compile(options).memory_analysis().temp_size_in_bytes


def test_memory_grows_with_segments_and_not_with_steps():
    """Per sample and step, a float of each output and input and, in each segment, of each unit's state."""
    short, long = (working_memory(BPTT(20), jnp.zeros((4, T, 8))) for T in (200, 600))
    assert long - short < 4 * 400 * 4 * (8 + 3 * 2 + 128 / 20 * 2)
    assert working_memory(BPTT(), jnp.zeros((4, 600, 8))) > 4 * 600 * 4 * 128 > 3 * long
    within = working_memory(BPTT((64, 8)), jnp.zeros((4, 600, 8)))
    assert long - within > 4 * 4 * 128 * (600 / 20 + 20 - 600 / 64 - 64 / 8 - 8)


@pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
def test_packed_spikes_are_cut_between_words():
    """Segments of 10 steps become those of a word, 32; of 75 steps the last has 11."""
    network = jax.tree.map(lambda w: 6 * w, feedforward((20, 24, 3), neuron=LIF(v_th=0.4), recurrent=True, key=KEYS[0]))
    spikes = jax.random.bernoulli(KEYS[1], 0.2, (B, 75, 20)).astype(jnp.float32)
    assert all(bool(layer.any()) for layer in eqx.filter_jit(unroll)(network, spikes[0])[0].outputs)
    batch = jax.vmap(pack_spikes)(spikes), jnp.array([2, 0, 1])
    loss = CrossEntropy() + 1e-4 * RateBand(5.0, 20.0, dt=network.dt)
    expected, found = (gradient(rule, network, loss, *batch) for rule in (BPTT(), BPTT(10)))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(b))))


def test_a_segment_of_all_steps_is_no_segment():
    """The same program, so that none is compiled."""
    batch = jnp.zeros((B, T, 4)), jnp.zeros(B, int)
    network, loss = noisy(), CrossEntropy()
    gradients = [eqx.filter_make_jaxpr(BPTT(k))(network, loss, *batch, key=KEYS[3])[0] for k in (None, T, T - 1)]
    programs = [str(each) for each in gradients]
    assert programs[0] == programs[1] != programs[2]


@pytest.mark.parametrize("segment", [0, (), (5, 0), (5, 5)])
def test_a_segment_has_a_step(segment):
    with pytest.raises(SnnlearnError, match=re.escape(f"segment is {segment}; give at least 1")):
        BPTT(segment)
