"""Samples of different lengths in one batch: by every rule, loss and gradient are those of each sample alone."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.coding import FirstSpike, SpikeCount, pack_spikes
from snnlearn.losses import ClassSpikeTrains, CrossEntropy, RateBand, StepwiseCrossEntropy, ended
from snnlearn.network import feedforward
from snnlearn.neurons import LIF, CubaLIF, EscapeNoise, FastSigmoid, Sigmoid
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    EProp,
    EventProp,
    ForwardGradient,
    NodePerturbation,
    OnlineXieSeung,
    SuperSpike,
    TruncatedBPTT,
    XieSeung,
)
from snnlearn.rules.reinforcement import no_baseline

KEYS = jax.random.split(jax.random.key(4), 4)
T, END = 6, 3
NEURON = LIF(v_th=0.4, tau_mem=5e-3, surrogate=FastSigmoid(5.0))
NOISY = EscapeNoise(LIF(tau_mem=5e-3, surrogate=Sigmoid(slope=5.0)))  # pyright: ignore[reportCallIssue]
LEAKY = feedforward((3, 4, 2), neuron=NEURON, key=KEYS[0])
RECURRENT = feedforward((3, 4, 2), neuron=NEURON, recurrent=True, key=KEYS[0])
SPIKING = feedforward((3, 4, 2), neuron=NEURON, readout=NEURON, key=KEYS[0])
DRAWING = feedforward((3, 2), readout=NOISY, key=KEYS[0])
IN_TIME = feedforward((3, 2), readout=CubaLIF(tau_mem=8e-3, tau_syn=4e-3, v_th=0.05), key=KEYS[0])
BAND = 1e-4 * RateBand(100.0, 200.0)
STEPS = StepwiseCrossEntropy()
CASES = {
    "BPTT": (BPTT(), RECURRENT, CrossEntropy() + BAND),
    "TruncatedBPTT": (TruncatedBPTT(2), LEAKY, STEPS),
    "RTRL": (RTRL(), LEAKY, STEPS),
    "EProp": (EProp(), RECURRENT, STEPS + BAND),
    "OTTT": (OTTT(), LEAKY, STEPS + BAND),
    "SuperSpike": (SuperSpike(), SPIKING, ClassSpikeTrains(2, rate=400.0) + BAND),
    "EventProp": (EventProp(), IN_TIME, CrossEntropy(FirstSpike())),
    "ForwardGradient": (ForwardGradient(2), LEAKY, CrossEntropy() + BAND),
    "NodePerturbation": (NodePerturbation(), LEAKY, CrossEntropy()),
    "XieSeung": (XieSeung(no_baseline), DRAWING, CrossEntropy(SpikeCount())),
    "OnlineXieSeung": (OnlineXieSeung(baseline=no_baseline), DRAWING, STEPS),
}
drawing_for_each_sample = ("NodePerturbation", "XieSeung", "OnlineXieSeung")
X = 3.0 * jax.random.bernoulli(KEYS[1], 0.5, (2, T, 3)).astype(jnp.float32)
GARBAGE = X.at[1, END:].set(40 * jax.random.normal(KEYS[2], (T - END, 3)))
LABELS = jnp.array([0, 1])


def parts(found):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(found)])


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_mean_of_each_alone(name):
    rule, network, loss = CASES[name]
    run = eqx.filter_jit(rule)
    with jax.enable_x64(True):
        network, x, garbage = jax.tree.map(
            lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, (network, X, GARBAGE)
        )
        labels_of_both = LABELS.astype(jnp.int64)

        def padded(x, labels, lengths):
            its, targets = ended(loss, labels, jnp.array(lengths))
            return parts(run(network, its, x, targets, key=KEYS[3]))

        def twice(n, of=x):
            return jnp.stack([of[n], of[n]]), jnp.stack([labels_of_both[n], labels_of_both[n]])

        cut, labels = twice(1)
        alone = parts(run(network, loss, cut[:, :END], labels, key=KEYS[3]))
        assert np.abs(alone[1:]).max() > 1e-5  # a gradient
        both = padded(*twice(1, garbage), (END, END))
        np.testing.assert_allclose(both, alone, rtol=1e-9, atol=1e-10 * np.abs(alone).max())
        # Without an end, what comes after does matter.
        assert np.abs(padded(*twice(1, garbage), (T, T)) - alone).max() > 1e-3 * np.abs(alone).max()
        mixed = padded(garbage, labels_of_both, (T, END))
        np.testing.assert_array_equal(mixed, padded(x, labels_of_both, (T, END)))
        if name not in drawing_for_each_sample:
            expected = (padded(*twice(0), (T, T)) + alone) / 2
            np.testing.assert_allclose(mixed, expected, rtol=1e-9, atol=1e-10 * np.abs(alone).max())


@pytest.mark.parametrize(("rule", "network", "last"), [(BPTT(), LEAKY, 3), (EProp(), RECURRENT, 2)])
def test_lengths_from_one_to_all_steps_by_the_kernels(rule, network, last):
    x = jax.random.bernoulli(KEYS[1], 0.6, (last, last, 3)).astype(jnp.float32)
    labels, lengths = jnp.arange(last) % 2, jnp.arange(1, last + 1)
    assert rule.why_plain(network) is None
    network = jax.tree.map(lambda a: 3 * a if eqx.is_inexact_array(a) else a, network)
    loss, targets = ended(STEPS, labels, lengths)
    found = parts(eqx.filter_jit(rule)(network, loss, jax.vmap(pack_spikes)(x), targets, key=KEYS[3]))
    one = eqx.filter_jit(rule)
    each = [one(network, STEPS, x[n : n + 1, : n + 1], labels[n : n + 1], key=KEYS[3]) for n in range(last)]
    expected = np.mean([parts(alone) for alone in each], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    plain = parts(one(network, STEPS, jax.vmap(pack_spikes)(x), labels, key=KEYS[3]))
    assert np.abs(plain - expected).max() > 1e-2 * np.abs(expected).max()
