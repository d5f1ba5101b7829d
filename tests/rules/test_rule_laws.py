"""Every learning rule obeys the laws of the conformance suite, for any network and loss, and the suite can fail."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import kernels
from snnlearn._errors import SnnlearnError
from snnlearn.coding import FirstSpike, MaxMembrane, PackedSpikes, SpikeCount, pack_spikes
from snnlearn.losses import (
    AlphaVanRossum,
    ClassMeanSquaredError,
    CrossEntropy,
    MeanSquaredError,
    RateBand,
    StepwiseCrossEntropy,
)
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll, why_not_compiled
from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    CubaLIF,
    Delayed,
    EscapeNoise,
    Filtered,
    NextStep,
    Refractory,
    Sigmoid,
    Subtract,
    ToValue,
)
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    AbstractRule,
    EProp,
    EventProp,
    EvolutionStrategy,
    ForwardGradient,
    NodePerturbation,
    SuperSpike,
    TruncatedBPTT,
    WeightPerturbation,
    XieSeung,
)
from snnlearn.rules.conformance import check_rule

KEYS = jax.random.split(jax.random.key(4), 5)
B, T = 3, 12
LABELS = jnp.array([2, 0, 1])

STOCHASTIC = (ForwardGradient, NodePerturbation, WeightPerturbation, EvolutionStrategy)


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
def test_bptt_takes_any_network_and_loss(name):
    check_rule(BPTT(), *case(name), key=KEYS[3])


def strong(*sizes, key):
    """Weights with which few spikes make a unit spike."""
    return jax.tree.map(lambda w: 30 * w, Dense(*sizes, use_bias=True, key=key))


@pytest.mark.parametrize("packed", [False, True], ids=["dense", "packed"])
def test_bptt_obeys_the_laws_as_plain_jax_and_by_the_kernels(packed):
    """Each neuron that the compiled kernels know, feed-forward and recurrent, on the same spikes."""
    first, *others = (strong(n, 8, key=key) for n, key in zip((20, 8, 8, 8), KEYS, strict=False))
    network = Network(
        (
            Layer(first, LIF()),
            Layer(others[0], CubaLIF(), others[1]),
            Layer(others[2], ALIF(), others[1]),
            Layer(strong(8, 3, key=KEYS[4]), LI()),
        )
    )
    assert why_not_compiled(network.layers) == kernels.why_plain()  # None, unless none are compiled at all
    inputs = jax.random.bernoulli(KEYS[4], 0.3, (B, T, 20)).astype(jnp.float32)
    inputs = jax.vmap(pack_spikes)(inputs) if packed else inputs
    check_rule(BPTT(), network, CrossEntropy(), inputs, LABELS, key=KEYS[3])


# Every rule, and every neuron, feed-forward or recurrent: it conforms, or refuses in one sentence that names a rule
# that serves.

RULES = {
    "TruncatedBPTT": TruncatedBPTT(5),
    "RTRL": RTRL(),
    "EProp": EProp(),
    "OTTT": OTTT(),
    "SuperSpike": SuperSpike(),
    "ForwardGradient": ForwardGradient(2),
    "NodePerturbation": NodePerturbation(2.0, 2),
    "WeightPerturbation": WeightPerturbation(0.5, 2),
    "EvolutionStrategy": EvolutionStrategy(0.5, 3),
}
NEURONS = {
    "IF": IF(),
    "LIF": LIF(),
    "LIF, hard reset": LIF(reset=ToValue(block_gradient=False), refractory=Refractory()),
    "LIF, trained": LIF(tau_mem=np.full(6, 9e-3)),
    "CubaLIF": CubaLIF(v_th=0.5, reset=NextStep()),
    "ALIF": ALIF(beta=0.3),
    "Delayed ALIF": Delayed(ALIF()),
    "Filtered LIF": Filtered(LIF(), tau_syn=4e-3),
}
REFUSED = {
    "OTTT": ({"LIF, hard reset", "LIF, trained", "ALIF", "Delayed ALIF", "Filtered LIF"}, "use EProp"),
    "SuperSpike": ({"LIF, trained", "ALIF", "Delayed ALIF", "Filtered LIF"}, "use EProp or BPTT"),
    "NodePerturbation": ({"LIF, trained"}, "use WeightPerturbation or BPTT"),
}


def refused(rule):
    return REFUSED.get(rule, (set(), ""))


WHOLE = ("Delayed ALIF", "LIF, trained")
"""For rules that see of a neuron only its state and its derivative as a whole."""
PAIRS = [
    ("TruncatedBPTT", WHOLE),
    ("RTRL", WHOLE),
    ("ForwardGradient", WHOLE),
    ("WeightPerturbation", WHOLE),
    ("EvolutionStrategy", WHOLE),
    # These look into each neuron; that what they find there is right is in the files of each rule.
    ("EProp", WHOLE),
    ("EProp", ("Filtered LIF", "IF")),
    ("OTTT", ("CubaLIF", "IF")),
    ("SuperSpike", ("IF", "LIF, hard reset")),
    ("NodePerturbation", ("Filtered LIF", "Delayed ALIF")),
]


def arguments_of(rule, feedforward_neuron, recurrent_neuron):
    """One hidden layer is feed-forward, the next recurrent."""
    spikes = rule == "SuperSpike"
    network = Network(
        (
            Layer(Dense(4, 6, use_bias=True, key=KEYS[0]), NEURONS[feedforward_neuron]),
            Layer(strong(6, 6, key=KEYS[1]), NEURONS[recurrent_neuron], strong(6, 6, key=KEYS[2])),
            Layer(strong(6, 3, key=KEYS[3]), CubaLIF() if spikes else LI(5e-3)),
        )
    )
    loss = AlphaVanRossum() if spikes else StepwiseCrossEntropy()
    targets = jax.random.bernoulli(KEYS[3], 0.2, (B, T, 3)).astype(jnp.float32) if spikes else LABELS
    return network, loss, 8 * jax.random.normal(KEYS[4], (B, T, 4)), targets


@pytest.mark.parametrize(("rule", "neurons"), PAIRS, ids=str)
def test_every_rule_trains_neurons_of_every_kind(rule, neurons):
    deterministic = not isinstance(RULES[rule], STOCHASTIC)
    check_rule(RULES[rule], *arguments_of(rule, *neurons), deterministic=deterministic, key=KEYS[3])


@pytest.mark.parametrize(("rule", "neuron"), [(rule, neuron) for rule in RULES for neuron in sorted(refused(rule)[0])])
def test_a_rule_refuses_a_neuron_with_the_rule_that_takes_it(rule, neuron):
    with pytest.raises(SnnlearnError, match=refused(rule)[1]):
        eqx.filter_eval_shape(RULES[rule], *arguments_of(rule, neuron, neuron), key=KEYS[3])


@pytest.mark.parametrize(
    "rule", [BPTT(), *RULES.values(), XieSeung(), EventProp()], ids=lambda rule: type(rule).__name__
)
def test_a_loss_with_a_time_step_of_its_own_is_refused(rule):
    """One loss had two values, by its own time step or by the network's."""
    noisy = EscapeNoise(LIF(surrogate=Sigmoid()))
    network = feedforward((4, 3), readout=noisy if isinstance(rule, XieSeung) else CubaLIF(), key=KEYS[0])
    loss = AlphaVanRossum(dt=2e-3)
    if isinstance(rule, EventProp):
        loss = CrossEntropy(FirstSpike(dt=2e-3))
    targets = LABELS if isinstance(rule, EventProp) else jnp.zeros((B, T, 3))
    with pytest.raises(SnnlearnError, match=r"loss.* has dt = 0.002 s and the network 0.001 s"):
        eqx.filter_eval_shape(rule, network, loss, jnp.zeros((B, T, 4)), targets, key=KEYS[3])


@pytest.mark.parametrize("rule", ["TruncatedBPTT", "RTRL", "EProp", "OTTT", "SuperSpike"])
def test_an_online_rule_refuses_a_loss_of_the_whole_sequence(rule):
    network, loss, inputs, targets = case("feed-forward")
    network = feedforward((4, 6, 3), readout=LIF(), key=KEYS[2]) if rule == "SuperSpike" else network
    with pytest.raises(SnnlearnError, match="CrossEntropy is not, and BPTT trains any"):
        eqx.filter_eval_shape(RULES[rule], network, loss, inputs, targets, key=KEYS[3])


def test_ottt_trains_convolutions_and_eprop_refuses_them():
    network, _, inputs, targets = case("convolutional")
    network = eqx.tree_at(lambda n: n.layers[0].neuron, network, LIF(v_th=0.2))
    check_rule(OTTT(), network, StepwiseCrossEntropy(), inputs, targets, key=KEYS[3])
    with pytest.raises(SnnlearnError, match="Conv2d; use OTTT"):
        eqx.filter_eval_shape(EProp(), network, StepwiseCrossEntropy(), inputs, targets, key=KEYS[3])


# The suite itself must be able to fail.


class _Faulty(AbstractRule):
    """The right loss, and a "gradient" that obeys the laws (each weight's is the mean input) but for one fault."""

    fault: str = eqx.field(static=True)

    def __call__(self, network, loss, inputs, targets, *, key) -> Any:
        losses = jax.vmap(lambda xs, target: loss(unroll(network, xs)[0].outputs, target))(inputs, targets)
        slope = jnp.mean(jax.vmap(lambda xs: xs.unpack())(inputs) if isinstance(inputs, PackedSpikes) else inputs)
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


def test_a_faulty_rule_is_found_on_packed_spikes():
    inputs = jax.vmap(pack_spikes)(jax.random.bernoulli(KEYS[4], 0.5, (B, T, 4)).astype(jnp.float32))
    network = jax.tree.map(lambda w: 20 * w, CASES["feed-forward"][0])
    with pytest.raises(AssertionError, match="not the mean of the samples' gradients"):
        check_rule(_Faulty("not a mean"), network, CrossEntropy(), inputs, LABELS, key=KEYS[3])


def test_a_random_rule_may_be_random():
    check_rule(_Faulty("random"), *case("feed-forward"), deterministic=False, key=KEYS[3])


def test_a_silent_network_proves_nothing():
    network, loss, inputs, targets = case("feed-forward")
    with pytest.raises(AssertionError, match="layer 1 is silent"):
        check_rule(BPTT(), network, loss, 0 * inputs, targets, key=KEYS[3])
