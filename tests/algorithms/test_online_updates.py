"""Weights that change during the sequence: the same as by hand, and refused where no rule can."""

from __future__ import annotations

from operator import itemgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError
from snnlearn.algorithms import Experiment, GradientDescent
from snnlearn.coding import Current
from snnlearn.data import yin_yang
from snnlearn.hypothesis import encode
from snnlearn.losses import RateBand, StepwiseCrossEntropy
from snnlearn.network import AsGiven, feedforward
from snnlearn.neurons import LI, LIF
from snnlearn.rules import BPTT, OTTT, EProp
from snnlearn.rules.online import time_first

KEY = jax.random.key(0)
DATA = yin_yang(num_train=20, num_validation=20, num_test=20)
ENCODER = Current(num_steps=7, gain=20.0)
NETWORK = feedforward((4, 6, 3), neuron=LIF(tau_mem=5e-3), readout=LI(5e-3), key=KEY)
OPTIMIZER = optax.adam(0.05)


def parameters(network):
    return jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))


def trained(rule, loss, steps):
    """The network after one epoch of one batch, which is the whole sample."""
    algorithm = GradientDescent(
        loss=loss,
        rule=rule,
        optimizer=OPTIMIZER,
        initialisation=AsGiven(),
        epochs=1,
        batch_size=20,
        steps_per_update=steps,
    )
    (epoch,) = Experiment(DATA, ENCODER, NETWORK, algorithm, KEY[None]).epochs()
    return parameters(epoch.training.network), float(epoch.metrics.training_loss[0])


@pytest.mark.parametrize("rule", [OTTT(), EProp()], ids=["OTTT", "EProp with rates"])
def test_updates_within_the_sequence_are_those_by_hand(rule):
    loss = StepwiseCrossEntropy()
    if isinstance(rule, EProp):
        loss = loss + 1e-4 * RateBand(5.0, 10.0)
    found, value = trained(rule, loss, 3)

    network, expected = NETWORK, 0.0
    state = OPTIMIZER.init(eqx.filter(network, eqx.is_inexact_array))
    inputs = encode(ENCODER, jnp.asarray(DATA.train.x), key=KEY)
    steps = time_first(rule, loss, inputs, jnp.asarray(DATA.train.y))
    advance, finish = eqx.filter_jit(type(rule).advance), eqx.filter_jit(type(rule).finish)
    memory = eqx.filter_jit(rule.start)(network, loss, 20, key=KEY)

    @eqx.filter_jit
    def updated(network, gradient, state):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = OPTIMIZER.update(gradient, state)
        return eqx.apply_updates(network, updates), state

    parts = [jax.tree.map(itemgetter(slice(i, i + 3)), steps) for i in (0, 3, 6)]
    for part in [*parts, None] if isinstance(rule, EProp) else parts:
        if part is None:
            add, gradient = finish(rule, network, loss, memory, 7)
        else:
            memory, add, gradient = advance(rule, network, loss, memory, *part)
        (network, state), expected = updated(network, gradient, state), expected + float(add)
    assert value == pytest.approx(expected, rel=1e-5)
    for a, b in zip(found, parameters(network), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-4)
    after, _ = trained(rule, loss, None)
    assert not all(np.allclose(a, b, atol=1e-3) for a, b in zip(found, after, strict=True))


def test_one_update_for_the_whole_sequence_is_no_other():
    whole, loss = trained(OTTT(), StepwiseCrossEntropy(), 7)
    after, loss_after = trained(OTTT(), StepwiseCrossEntropy(), None)
    assert loss == pytest.approx(loss_after, rel=1e-5)
    for a, b in zip(whole, after, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_what_cannot_be_is_refused():
    with pytest.raises(SnnlearnError, match="BPTT knows its gradient only after all steps"):
        GradientDescent(rule=BPTT(), steps_per_update=1)
    with pytest.raises(SnnlearnError, match="steps_per_update is 0"):
        GradientDescent(rule=OTTT(), steps_per_update=0)
