"""Sentences on errors that vanish or explode over a sequence."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.coding import Current, Framewise, LastMembrane, MeanMembrane
from snnlearn.data import adding
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import GradientFlow, feedforward
from snnlearn.neurons import LI
from snnlearn.report.flow import doubts, flow_of, time_constants

LAGS = np.arange(1, 201)


def said(norms: np.ndarray, **taus: float) -> list[str]:
    return doubts(GradientFlow(norms[None], 1e-3), ["Layer 1 · LIF 9"], [taus])


def test_a_layer_that_forgets_is_told_its_half_life_beside_its_time_constant():
    (sentence,) = said(np.exp(-LAGS / 10), tau_mem=10e-3)
    assert sentence.startswith("Layer 1 · LIF 9: errors vanish on their way back through 200 steps; in the first tenth")
    assert "It halves every 6.93 steps (tau_mem is 10)." in sentence


@pytest.mark.parametrize(
    "norms", [np.exp(-LAGS / 40), np.ones(200), np.exp(LAGS / 40), np.zeros(200)], ids=["slow", "all", "grows", "none"]
)
def test_a_layer_whose_errors_keep_their_order_of_magnitude_is_told_nothing(norms):
    assert said(norms) == []


def test_a_layer_whose_errors_explode_is_told_so():
    (sentence,) = said(np.exp(LAGS / 10))
    assert "errors explode on their way back through 200 steps" in sentence and "200 steps back" in sentence


def test_what_is_read_decides_whether_errors_vanish():
    data = adding(length=120, num_train=8, num_validation=4, num_test=4)
    network = feedforward((2, 1), readout=LI(tau_mem=5e-3), key=jax.random.key(0))
    last = Hypothesis(Framewise(Current(num_steps=1), 120), network, LastMembrane())
    taus = [time_constants(layer.neuron) for layer in network.layers]
    assert taus == [{"tau_mem": pytest.approx(5e-3)}]
    for hypothesis, number in ((last, 1), (replace(last, decoder=MeanMembrane()), 0)):
        found = flow_of(hypothesis, data)
        assert found is not None and len(doubts(found, ["Layer 1"], taus)) == number
    short = replace(last, encoder=Framewise(Current(num_steps=1), 20))
    assert flow_of(short, data) is None and jnp.ndim(data.validation.x) == 3
