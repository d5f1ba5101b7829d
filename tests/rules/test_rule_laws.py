"""Every learning rule obeys the laws of the conformance suite, for any network and loss, and the suite can fail."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.coding import FirstSpike, MaxMembrane, SpikeCount
from snnlearn.losses import ClassMeanSquaredError, CrossEntropy, MeanSquaredError, RateBand, StepwiseCrossEntropy
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, Delayed, NextStep, Refractory, Subtract
from snnlearn.rules import BPTT, AbstractRule
from snnlearn.rules.conformance import check_rule

KEYS = jax.random.split(jax.random.key(4), 5)
B, T = 3, 12
LABELS = jnp.array([2, 0, 1])

RULES = [BPTT()]


def convolutional():
    conv = Conv2d((1, 5, 5), 2, 2, use_bias=True, key=KEYS[0])
    return Network(
        (
            Layer(conv, LIF(v_th=0.2, reset=NextStep(Subtract(block_gradient=False)))),
            Layer(Chain(AveragePool2d((2, 4, 4), 2), Dense(8, 3, key=KEYS[1])), LI()),
        )
    )


CASES = {
    "feed-forward": (feedforward((4, 6, 3), key=KEYS[2]), CrossEntropy(MaxMembrane()), (4,), LABELS),
    "recurrent, all trained": (
        feedforward(
            (4, 6, 3),
            neuron=ALIF(tau_mem=np.full(6, 9e-3), beta=np.full(6, 0.3), v_th=np.full(6, 0.4), refractory=Refractory()),
            readout=LI(np.full(3, 5e-3)),
            recurrent=True,
            use_bias=True,
            key=KEYS[2],
        ),
        StepwiseCrossEntropy() + 1e-4 * RateBand(5.0, 20.0),
        (4,),
        LABELS,
    ),
    "convolutional": (convolutional(), ClassMeanSquaredError(), (5, 5), LABELS),
    "spiking readout": (
        feedforward((4, 6, 3), neuron=Delayed(CubaLIF(v_th=0.4)), readout=LIF(v_th=0.05), key=KEYS[2]),
        CrossEntropy(SpikeCount()) + CrossEntropy(FirstSpike()),
        (4,),
        LABELS,
    ),
    "signals": (feedforward((4, 6, 3), key=KEYS[2]), MeanSquaredError(), (4,), jax.random.normal(KEYS[3], (B, T, 3))),
}


def case(name):
    network, loss, shape, targets = CASES[name]
    return network, loss, 8 * jax.random.normal(KEYS[4], (B, T, *shape)), targets


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_rule_conforms(rule, name):
    check_rule(rule, *case(name), key=KEYS[3])


# The suite itself must be able to fail.


class _Faulty(AbstractRule):
    """The right loss, and a "gradient" that obeys the laws (each weight's is the mean input) but for one fault."""

    fault: str = eqx.field(static=True)

    def __call__(self, network, loss, inputs, targets, *, key) -> Any:
        losses = jax.vmap(lambda xs, target: loss(unroll(network, xs)[0].outputs, target))(inputs, targets)
        slope = jnp.mean(inputs)
        match self.fault:
            case "loss":
                losses = 2 * losses
            case "nan":
                slope = slope / 0
            case "nothing":
                slope = 0 * slope
            case "random":
                slope = slope + jax.random.normal(key)
            case "not a mean":
                slope = jnp.square(slope)
        parameters = eqx.filter(network, eqx.is_inexact_array)
        gradient = jax.tree.map(lambda leaf: jnp.full(leaf.shape[self.fault == "shape" :], slope), parameters)
        return jnp.mean(losses), [gradient] if self.fault == "structure" else gradient


def test_the_faultless_rule_conforms():
    check_rule(_Faulty("none"), *case("feed-forward"), key=KEYS[3])


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("loss", "not the mean of the samples' losses"),
        ("structure", "another structure"),
        ("shape", "another structure"),
        ("nan", "not finite"),
        ("nothing", "no gradient at all"),
        ("random", "depends on its key"),
        ("not a mean", "not the mean of the samples' gradients"),
    ],
)
def test_a_faulty_rule_is_found(fault, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_rule(_Faulty(fault), *case("feed-forward"), key=KEYS[3])


def test_a_random_rule_may_be_random():
    check_rule(_Faulty("random"), *case("feed-forward"), deterministic=False, key=KEYS[3])


def test_a_silent_network_proves_nothing():
    network, loss, inputs, targets = case("feed-forward")
    with pytest.raises(AssertionError, match="layer 1 is silent"):
        check_rule(BPTT(), network, loss, 0 * inputs, targets, key=KEYS[3])
