"""Synapses with a state of their own: the library's read noise, and somebody else's depression."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from snnlearn import SnnlearnError
from snnlearn._parameters import split
from snnlearn.losses import CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import (
    AbstractSynapses,
    AveragePool2d,
    Chain,
    Connection,
    Conv2d,
    CurrentNoise,
    Dense,
    Layer,
    Network,
    ReadNoise,
    check_synapses,
    unroll,
    why_not_compiled,
)
from snnlearn.neurons import LI, LIF, Constant
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    EProp,
    ForwardGradient,
    NodePerturbation,
    TruncatedBPTT,
    WeightPerturbation,
    check_rule,
)

KEYS = jax.random.split(jax.random.key(4), 8)
T, INPUTS, HIDDEN = 12, 4, 5


@eqx.filter_jit
def run(rule, *arguments):
    return rule(*arguments, key=KEYS[6])


class Depressing(AbstractSynapses):
    """Resources r of each input are spent by a share of what is sent, and recover: the current is W (r x)."""

    weight: Array
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    share: float = 0.4
    kept: float = 0.9

    def __call__(self, x):
        return self.weight @ jnp.ravel(x)

    def initial_state(self):
        return jnp.ones(self.in_shape)

    def step(self, x, state):
        x = jnp.ravel(x)
        return self.weight @ (state * x), 1 - self.kept * (1 - state * (1 - self.share * x))

    def redrawn(self, *, key):
        return eqx.tree_at(lambda s: s.weight, self, jax.random.normal(key, self.weight.shape))

    def operations(self, x):
        return jnp.sum(jnp.where(jnp.ravel(x) != 0, jnp.sum(self.weight != 0, axis=0).astype(x.dtype), 0.0))

    def multiply_accumulates(self):
        return self.weight.size


def depressing(inputs, units, key):
    return Depressing(jax.random.normal(key, (units, inputs)), (inputs,), (units,))


def network(hidden, loop=None):
    """A hidden layer, perhaps with a loop that has a state, too, and a readout."""
    readout = Layer(Dense(HIDDEN, 2, use_bias=True, key=KEYS[2]), LI())
    return Network((Layer(hidden, LIF(tau_mem=5e-3, v_th=0.3), loop), readout))


NOISY = network(ReadNoise(Dense(INPUTS, HIDDEN, use_bias=True, key=KEYS[0]), 0.5))
LOOPED = network(Dense(INPUTS, HIDDEN, key=KEYS[0]), ReadNoise(Dense(HIDDEN, HIDDEN, key=KEYS[1]), 0.3))
TIRED = network(depressing(INPUTS, HIDDEN, KEYS[0]), depressing(HIDDEN, HIDDEN, KEYS[1]))
XS = 2.0 * jax.random.bernoulli(KEYS[3], 0.6, (3, T, INPUTS)).astype(jnp.float32)
LABELS = jnp.array([0, 1, 1])
STATEFUL = {
    "dense": ReadNoise(Dense(3, 4, use_bias=True, key=KEYS[4]), 0.4),
    "convolution": ReadNoise(Conv2d((1, 4, 4), 2, 3, key=KEYS[4]), 0.2),
    "after pooling": Chain(AveragePool2d((1, 4, 4), 2), ReadNoise(Dense(4, 3, key=KEYS[4]), 0.4)),
    "before weights": Chain(ReadNoise(Conv2d((1, 4, 4), 2, 3, key=KEYS[4]), 0.2), Dense(8, 3, key=KEYS[5])),
    "of a chain": ReadNoise(Chain(Dense(3, 4, key=KEYS[4]), Dense(4, 2, key=KEYS[5])), 0.1),
    "noisy currents": CurrentNoise(Dense(3, 4, use_bias=True, key=KEYS[4]), 0.3),
    "depressing": depressing(3, 4, KEYS[4]),
    "noisy depressing": ReadNoise(depressing(3, 4, KEYS[4]), 0.4),
}


@pytest.mark.parametrize("synapses", STATEFUL.values(), ids=STATEFUL)
def test_conforms(synapses):
    check_synapses(synapses, key=KEYS[5])
    draws = {name: s.draws for name, s in STATEFUL.items()}
    steady = {name for name, s in STATEFUL.items() if s.steady}
    assert [name for name, it_does in draws.items() if not it_does] == ["depressing"]
    assert steady == {"dense", "convolution", "after pooling", "noisy currents"}


class Untold(Depressing):
    def step(self, x, state):
        current, state = super().step(x, state)
        return current, state[:1]


class Offset(Depressing):
    def step(self, x, state):
        current, state = super().step(x, state)
        return current + 1.0, state


class Secret(Depressing):
    """It draws from a key that it was given once, and from the state's numbers."""

    def step(self, x, state):
        return self.weight @ jnp.ravel(x) + 0.1 * state.sum(), state


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Untold, "a state of another structure"),
        (Offset, "another current than the map"),
        (Secret, "another current than the map"),
    ],
)
def test_the_suite_finds_what_is_not_so(kind, law):
    with pytest.raises(AssertionError, match=law):
        check_synapses(kind(jnp.ones((2, 3)), (3,), (2,)), key=KEYS[5])


def test_noise_is_that_of_weights():
    """Variance σ² Σ x², anew in each step; biases are read as they are."""
    noisy = ReadNoise(Dense(3, 400, use_bias=True, key=KEYS[4]), 0.5)
    x, state, currents = jnp.array([1.0, -2.0, 0.0]), noisy.initial_state(), []
    for _ in range(5):
        current, state = noisy.step(x, state)
        currents.append(current - noisy(x))
    noise = np.asarray(currents)
    assert noise.std() == pytest.approx(0.5 * np.sqrt(5), rel=0.1) and abs(noise.mean()) < 0.1
    assert np.abs(np.corrcoef(noise) - np.eye(5)).max() < 0.2
    assert not np.asarray(noisy.step(jnp.zeros(3), state)[0]).any()


def test_noise_of_currents_does_not_depend_on_the_input():
    """Variance σ², anew in each step, of a deviation that may be a constant."""
    noisy = CurrentNoise(Dense(3, 2000, key=KEYS[4]), Constant(0.5))
    state, currents = noisy.initial_state(), []
    for x in (jnp.zeros(3), jnp.array([1.0, -2.0, 0.0])):
        current, state = noisy.step(x, state)
        currents.append(current - noisy(x))
    noise = np.asarray(currents)
    np.testing.assert_allclose(noise.std(axis=1), 0.5, rtol=0.05)
    assert np.abs(np.corrcoef(noise) - np.eye(2)).max() < 0.1


def test_the_same_key_the_same_noise():
    runs = [NOISY(XS[0], NOISY.initial_state(key=key))[0] for key in (KEYS[6], KEYS[6], KEYS[7])]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any() and NOISY.layers[0].draws and not TIRED.layers[0].draws
    _, state = NOISY(XS[0, :7], NOISY.initial_state(key=KEYS[6]))
    np.testing.assert_allclose(NOISY(XS[0, 7:], state)[0], runs[0][7:], rtol=1e-5)  # in two pieces


def test_depression_by_hand():
    """Against a loop in NumPy, through a delay."""
    synapses = depressing(INPUTS, 3, KEYS[0])
    net = Network((Layer(Connection(synapses, "input", delay=2), LI(tau_mem=5e-3)),))
    weight, keep, r, v, expected = np.asarray(synapses.weight), np.exp(-1 / 5), np.ones(INPUTS), np.zeros(3), []
    for x in np.concatenate([np.zeros((2, INPUTS)), np.asarray(XS[0])])[:T]:
        v = keep * v + (1 - keep) * weight @ (r * x)
        r = 1 - 0.9 * (1 - r * (1 - 0.4 * x))
        expected.append(v)
    np.testing.assert_allclose(net(XS[0])[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("net", [LOOPED, TIRED], ids=["noise", "depression"])
def test_exact_rules_are_exact(net, x64):
    """RTRL goes forward, blocks as long as the sequence backward: all meet one noise. Shorter blocks do not."""
    net = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, net)
    arguments = (net, StepwiseCrossEntropy(), XS.astype(jnp.float64), LABELS)
    _, exact = run(BPTT(), *arguments)
    assert all(leaf.any() for leaf in jax.tree.leaves(exact))
    for rule in (RTRL(), TruncatedBPTT(T), BPTT(segment=5)):
        _, gradient = run(rule, *arguments)
        for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)
    _, short = run(TruncatedBPTT(3), *arguments)
    assert not np.allclose(short.layers[0].synapses.weight if net is TIRED else jax.tree.leaves(short)[0],
                           jax.tree.leaves(exact)[0], rtol=1e-3)  # fmt: skip


def test_eligibility_under_noise():
    """Of one feed-forward hidden layer e-prop is exact, also at weights that are read with noise."""
    arguments = (NOISY, StepwiseCrossEntropy(), XS, LABELS)
    (value, gradient), (expected, exact) = (run(rule, *arguments) for rule in (EProp(), BPTT()))
    assert value == pytest.approx(float(expected), rel=1e-5)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "net"),
    [(ForwardGradient(), TIRED), (WeightPerturbation(), TIRED), (NodePerturbation(), NOISY), (OTTT(), NOISY)],
    ids=lambda value: type(value).__name__,
)
def test_rules_run(rule, net):
    loss = StepwiseCrossEntropy() if isinstance(rule, OTTT) else CrossEntropy()
    check_rule(rule, net, loss, XS, LABELS, deterministic=False, key=KEYS[7])


@pytest.mark.parametrize("rule", [EProp(), OTTT(), NodePerturbation()], ids=lambda rule: type(rule).__name__)
def test_rules_that_need_the_map_at_rest_say_so(rule):
    with pytest.raises(
        SnnlearnError, match=r"what a weight does to currents .*Depressing.* depends on their state; use "
    ):
        rule(TIRED, StepwiseCrossEntropy(), XS, LABELS, key=KEYS[7])


def test_the_kernels_say_so():
    assert why_not_compiled(NOISY.layers) == "layer 1 has ReadNoise synapses, not Dense"
    assert why_not_compiled(TIRED.layers) == "layer 1 has Depressing synapses, not Dense"


def test_without_noise_it_is_the_network_inside():
    silent = eqx.tree_at(lambda n: n.layers[0].connections[0].synapses.std, NOISY, 0.0)
    inside = eqx.tree_at(lambda n: n.layers[0].connections[0].synapses, NOISY, NOISY.layers[0].synapses.synapses)  # pyright: ignore
    np.testing.assert_allclose(silent(XS[0])[0], inside(XS[0])[0], rtol=1e-5)
    assert len(jax.tree.leaves(split(silent)[0])) == len(jax.tree.leaves(split(inside)[0]))
    assert eqx.filter_jit(unroll)(inside, XS[0])[0].outputs[0].any()


@pytest.mark.parametrize("std", [-0.1, float("inf"), float("nan")])
def test_a_deviation_that_is_none_is_refused(std):
    with pytest.raises(SnnlearnError, match=r"ReadNoise: std is .*; give a finite number of at least 0"):
        ReadNoise(Dense(2, 2, key=KEYS[0]), std)
    with pytest.raises(SnnlearnError, match=r"CurrentNoise: std is .*; give a finite number, 0 or more"):
        CurrentNoise(Dense(2, 2, key=KEYS[0]), std)
