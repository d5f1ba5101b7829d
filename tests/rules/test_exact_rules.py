"""RTRL equals BPTT; truncated BPTT equals it when its blocks are long enough, and what is left of it when not."""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.losses import MeanSquaredError, RateBand, StepwiseCrossEntropy, Window
from snnlearn.network import feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, NextStep, Refractory, Subtract, ToValue
from snnlearn.rules import BPTT, RTRL, TruncatedBPTT

pytestmark = pytest.mark.usefixtures("x64")

B, T = 2, 13
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
INPUTS, TARGETS = RNG.normal(0, 8, (B, T, 3)), RNG.normal(size=(B, T, 2))
LOSS = Window(MeanSquaredError(), start=4)


def network(neuron, recurrent):
    readout = LI(6e-3, v_leak=np.full(2, 0.5))  # from which its membrane also starts
    return feedforward((3, 4, 2), neuron=neuron, readout=readout, recurrent=recurrent, use_bias=True, key=KEY)


def gradient(rule, network, loss=LOSS, targets=TARGETS):
    return eqx.filter_jit(rule)(network, loss, jnp.asarray(INPUTS), jnp.asarray(targets), key=KEY)


def relative(a, b):
    """The largest difference of two gradients, by the largest value of each parameter."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(jnp.abs(x - y).max() / jnp.abs(y).max()) for x, y in pairs)


# Made in each test, in double precision.
NEURONS = {
    "LIF": lambda: LIF(tau_mem=8e-3),
    "LIF, gradient through the reset": lambda: LIF(tau_mem=8e-3, reset=Subtract(block_gradient=False)),
    "LIF, hard reset, refractory, trained": lambda: LIF(
        tau_mem=np.full(4, 8e-3),
        v_leak=np.full(4, 0.1),
        reset=NextStep(ToValue(0.1, block_gradient=False)),
        refractory=Refractory(2e-3),
    ),
    "CubaLIF": lambda: CubaLIF(tau_mem=8e-3, tau_syn=4e-3),
    "ALIF": lambda: ALIF(tau_mem=8e-3, beta=0.3),
    "ALIF, gradient through the reset": lambda: ALIF(
        tau_mem=8e-3, beta=np.full(4, 0.3), reset=Subtract(block_gradient=False)
    ),
}


@pytest.mark.parametrize("name", NEURONS)
def test_rtrl_is_bptt(name):
    net = network(NEURONS[name](), recurrent=name not in ("LIF", "ALIF"))
    count = jax.jit(jax.vmap(lambda xs: unroll(net, xs)[0].outputs[0].sum()))
    assert np.asarray(count(jnp.asarray(INPUTS))).min() >= 3
    loss, exact = gradient(BPTT(), net)
    value, found = gradient(RTRL(), net)
    assert float(value) == pytest.approx(float(loss), rel=1e-12)
    assert relative(found, exact) < 1e-10


@pytest.mark.parametrize("name", ["ALIF, gradient through the reset"])
def test_truncated_bptt_is_bptt_for_long_blocks_and_differs_for_short_ones(name):
    net = network(NEURONS[name](), recurrent=True)
    _, exact = gradient(BPTT(), net)
    assert relative(gradient(TruncatedBPTT(T), net)[1], exact) < 1e-12
    assert relative(gradient(TruncatedBPTT(T + 7), net)[1], exact) < 1e-12
    assert relative(gradient(TruncatedBPTT(5), net)[1], exact) > 1e-2


def test_truncated_bptt_is_the_sum_over_blocks_with_the_state_carried_on():
    net = network(NEURONS["LIF"](), recurrent=True)

    @eqx.filter_jit
    @partial(eqx.filter_grad, has_aux=True)
    def of_block(net, state, xs, moments):  # no state is the one at rest, of which the network is to be credited
        activity, state = unroll(net, xs, state)
        return jnp.sum(jax.vmap(LOSS.at_step)(activity.outputs[-1], moments)), state

    total = jax.tree.map(jnp.zeros_like, eqx.filter(net, eqx.is_inexact_array))
    for xs, target in zip(jnp.asarray(INPUTS), jnp.asarray(TARGETS), strict=True):
        state, moments = None, LOSS.moments(target, T)
        for start, stop in [(0, 5), (5, 10), (10, 13)]:
            block = jax.tree.map(lambda m, a=start, b=stop: m[a:b], moments)
            part, state = of_block(net, state, xs[start:stop], block)
            total = jax.tree.map(lambda a, b: a + b / B, total, part)
    assert relative(gradient(TruncatedBPTT(5), net)[1], total) < 1e-12


@pytest.mark.parametrize("rule", [RTRL(), TruncatedBPTT(3)])
def test_a_loss_of_firing_rates_is_refused(rule):
    loss = StepwiseCrossEntropy() + 1e-4 * RateBand(5.0, 10.0)
    with pytest.raises(SnnlearnError, match="firing rates; use BPTT"):
        gradient(rule, network(LIF(), False), loss, jnp.array([0, 1]))


def test_a_block_without_steps_is_refused():
    with pytest.raises(SnnlearnError, match="steps is 0"):
        TruncatedBPTT(0)
