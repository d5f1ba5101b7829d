"""The compiled kernels against the plain network: spikes, states, gradients, and under JAX's transformations."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from snnlearn import SnnlearnError, kernels
from snnlearn.coding import HeldValues, PackedSpikes, pack_spikes
from snnlearn.kernels import library
from snnlearn.kernels.products import currents
from snnlearn.losses import CrossEntropy
from snnlearn.network import (
    AbstractSynapses,
    Dense,
    Layer,
    LoweredSynapses,
    Network,
    feedforward,
    unroll,
    why_not_compiled,
)
from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    AbstractNeuron,
    AbstractSurrogate,
    Atan,
    Boxcar,
    CubaLIF,
    Delayed,
    FastSigmoid,
    Filtered,
    ForwardEuler,
    NextStep,
    NoReset,
    Refractory,
    Scaled,
    Sigmoid,
    StraightThrough,
    Subtract,
    ToValue,
    Triangle,
    ZeroOrderHold,
)
from snnlearn.neurons.lowering import Constants, Equation, Lowered
from snnlearn.rules import BPTT

compiled = pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))

NEURONS = [
    LIF(tau_mem=8e-3, v_th=0.4, v_leak=0.1, resistance=2.0),
    CubaLIF(tau_mem=9e-3, tau_syn=4e-3, v_th=0.7, v_leak=-0.05, resistance=1.5, synapse=ZeroOrderHold()),
    ALIF(tau_mem=8e-3, tau_adapt=30e-3, beta=0.2, v_th=0.3, resistance=2.5, discretisation=ForwardEuler()),
    IF(v_th=0.6, resistance=0.3),
]
RESETS = [
    Subtract(),
    ToValue(-0.1),
    ToValue(0.05, block_gradient=False),
    NoReset(),
    NextStep(Subtract(block_gradient=False)),
    NextStep(ToValue(0.1, block_gradient=False)),
    NextStep(ToValue(-0.1)),
]
SURROGATES = [
    Triangle(0.4, 0.25),
    Boxcar(0.7, 0.3),
    FastSigmoid(4.0),
    Atan(3.0),
    StraightThrough(),
    Scaled(Triangle(0.5, 3.0), 0.6),
]


def draw_network(neuron, sizes, recurrent, use_bias, gain, seed):
    """All is drawn by NumPy, which need not compile anything for each shape."""
    rng = np.random.default_rng(seed)
    readout = LI(tau_mem=6e-3, v_leak=0.2)
    shapes = eqx.filter_eval_shape(
        partial(feedforward, sizes, neuron=neuron, readout=readout, recurrent=recurrent, use_bias=use_bias),
        key=jax.random.key(0),
    )

    def draw(leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        bound = leaf.shape[-1] ** -0.5 if len(leaf.shape) > 1 else 0.0
        return jnp.asarray(
            gain * rng.uniform(-bound, bound, leaf.shape) + 0.1 * rng.normal(size=leaf.shape), jnp.float32
        )

    return jax.tree.map(draw, shapes)


def draw_currents(batch, num_frames, size, seed):
    return jnp.asarray(np.random.default_rng(seed).uniform(-0.2, 1.0, (batch, num_frames, size)), jnp.float32)


def draw_spikes(batch, num_steps, size, density, seed):
    return jnp.asarray(np.random.default_rng(seed).random((batch, num_steps, size)) < density, jnp.float32)


def shifted(network, by):
    """The network with all thresholds shifted, the reset as before."""
    hidden = [dataclasses.replace(layer, neuron=_shift(layer.neuron, by)) for layer in network.layers[:-1]]
    return Network((*hidden, network.layers[-1]))


def _shift(neuron, by):
    return dataclasses.replace(neuron, v_th=neuron.v_th + by)


@cache
def program_of(function, way):
    """One for each way, or what was traced in the other might serve; else the same in all tests."""
    del way
    return eqx.filter_jit(lambda *arguments: function(*arguments))


def by_kernels(function, *arguments):
    return program_of(function, "kernels")(*arguments)


def by_plain_jax(function, *arguments):
    with kernels.plain():
        return program_of(function, "plain")(*arguments)


def outputs(network, xs):
    activity, states = jax.vmap(lambda xs: unroll(network, xs))(xs)
    return activity.outputs, states


def scored(network, pieces, weights):
    return _scored(network, pieces, weights)


@partial(eqx.filter_value_and_grad, has_aux=True)
def _scored(network, pieces, weights):
    """A number that depends on every output and every state, by way of the state between two pieces; all of these."""

    def one(first, second):
        activity, state = unroll(network, first)
        later, state = unroll(network, second, state)
        both = [jnp.concatenate(o) for o in zip(activity.outputs, later.outputs, strict=True)]
        parts = [jnp.sum(w * jnp.sin(o + 1)) for w, o in zip(weights, both, strict=True)]
        value = sum(parts, start=jnp.zeros(())) + sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(state))
        return value, (both, state)

    values, results = jax.vmap(one)(*pieces)
    return jnp.mean(values), results


def close(actual, expected, relative=1e-4):
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=relative * float(jnp.max(jnp.abs(e))) + 1e-6)


PACKED = jax.vmap(pack_spikes)
INPUTS = ["spikes", "currents", "held currents"]


@compiled
@pytest.mark.parametrize("kind", INPUTS)
@settings(max_examples=2, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    neuron=st.sampled_from(NEURONS),
    reset=st.sampled_from(RESETS),
    surrogate=st.sampled_from(SURROGATES),
    hidden=st.lists(st.integers(1, 150), min_size=0, max_size=2),
    inputs=st.integers(1, 90),
    classes=st.integers(1, 100),
    recurrent=st.booleans(),
    use_bias=st.booleans(),
    num_steps=st.integers(2, 70),
    batch=st.integers(1, 12),
    density=st.sampled_from([0.01, 0.1, 0.3, 0.9]),
    gain=st.floats(0.5, 4.0),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_equal_to_the_plain_network(
    kind,
    neuron,
    reset,
    surrogate,
    hidden,
    inputs,
    classes,
    recurrent,
    use_bias,
    num_steps,
    batch,
    density,
    gain,
    seed,
    data,
):
    neuron = dataclasses.replace(neuron, reset=reset, surrogate=surrogate)
    network = draw_network(neuron, (inputs, *hidden, classes), recurrent, use_bias, gain, seed)
    assert why_not_compiled(network.layers) is None
    cut = data.draw(st.integers(1, num_steps - 1), "cut")
    if kind == "spikes":
        xs = draw_spikes(batch, num_steps, inputs, density, seed)
        pieces = xs[:, :cut], xs[:, cut:]
        fed = tuple(map(PACKED, pieces))
    else:
        held_for = data.draw(st.sampled_from([(2, 3), (cut, num_steps - cut)]), "held for")  # or the whole piece
        lengths = (1, 1) if kind == "currents" else held_for
        frames = [max(1, steps // length) for steps, length in zip((cut, num_steps - cut), lengths, strict=True)]
        held = [
            HeldValues(draw_currents(batch, f, inputs, seed + n), length)
            for n, (f, length) in enumerate(zip(frames, lengths, strict=True))
        ]
        pieces = [jax.vmap(HeldValues.unpack)(piece) for piece in held]
        xs = jnp.concatenate(pieces, axis=1)
        fed = pieces if kind == "currents" else held
    weights = [
        jnp.asarray(np.random.default_rng(n).normal(size=(xs.shape[1], layer.shape[0])), jnp.float32)
        for n, layer in enumerate(network.layers)
    ]
    (value, (expected, states)), gradient = by_plain_jax(scored, network, pieces, weights)
    # Errors that grow through resets in 70 steps may overflow, in either at another step.
    assume(all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves((value, gradient))))
    (other_value, (actual, after)), other_gradient = by_kernels(scored, network, fed, weights)
    if any(bool(jnp.any(a != e)) for a, e in zip(actual[:-1], expected[:-1], strict=True)):
        for by in (-1e-5, 1e-5):  # where a membrane is as near to its threshold as this, rounding decides
            others, _ = by_plain_jax(outputs, shifted(network, by), xs)
            assume(all(bool(jnp.all(a == b)) for a, b in zip(others[:-1], expected[:-1], strict=True)))
    for a, e in zip(actual[:-1], expected[:-1], strict=True):
        np.testing.assert_array_equal(a, e)
    close((other_value, actual[-1], after, other_gradient), (value, expected[-1], states, gradient))


@pytest.fixture(scope="module")
def case():
    neuron = LIF(tau_mem=8e-3, v_th=0.4, surrogate=Triangle(0.5, 0.4), reset=ToValue(block_gradient=False))
    network = draw_network(neuron, (20, 40, 24, 5), True, True, 6.0, 0)
    xs = draw_spikes(6, 40, 20, 0.2, 1)
    spikes = by_plain_jax(outputs, network, xs)[0][:-1]
    assert all(0.02 < float(jnp.mean(s)) < 0.5 for s in spikes)
    return network, xs, jax.vmap(pack_spikes)(xs), jnp.arange(6) % 5


def bptt(network, xs, ys):
    return BPTT()(network, CrossEntropy(), xs, ys, key=jax.random.key(0))


@compiled
def test_a_rule_gets_the_same_gradient(case):
    network, xs, words, ys = case
    expected = by_plain_jax(bptt, network, xs, ys)
    assert float(jnp.max(jnp.abs(expected[1].layers[0].recurrent.weight))) > 1e-4
    for fed in (words, xs):
        close(by_kernels(bptt, network, fed, ys), expected)
    close(by_plain_jax(bptt, network, words, ys), expected)


@compiled
@pytest.mark.parametrize("above", [64, 330])
def test_errors_where_they_are_needed(above):
    """Several blocks of units at a time, then the blocks that are left, then one that is not full."""
    neuron = LIF(tau_mem=8e-3, v_th=0.4, surrogate=Boxcar(0.7, 0.05))
    network = draw_network(neuron, (20, 70, above, 5), False, True, 6.0, 0)
    xs, ys = draw_spikes(6, 40, 20, 0.2, 1), jnp.arange(6) % 5
    loss, expected = by_plain_jax(bptt, network, xs, ys)
    close(by_kernels(bptt, network, jax.vmap(pack_spikes)(xs), ys), (loss, expected))
    assert float(jnp.max(jnp.abs(expected.layers[0].synapses.weight))) > 1e-4


@compiled
def test_one_call_for_a_batch(case):
    network, _, words, ys = case
    program = str(eqx.filter_make_jaxpr(bptt)(network, words, ys)[0])
    assert program.count("snnlearn_backward[") == 1 and "scan" not in program


@compiled
def test_no_samples(case):
    network, _, words, _ = case
    none = jax.tree.map(lambda leaf: leaf[:0], words)
    value, gradient = eqx.filter_jit(
        eqx.filter_value_and_grad(lambda network: jnp.sum(jax.vmap(lambda xs: network(xs)[0])(none)))
    )(network)
    assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves((value, gradient)))


@compiled
def test_forward_mode(case):
    network, xs, words, _ = case
    weights, rest = eqx.partition(network, eqx.is_array)

    def run(xs):
        @jax.jit
        def derivative(weights, direction):
            return jax.jvp(lambda w: jax.vmap(lambda x: eqx.combine(w, rest)(x)[0])(xs), (weights,), (direction,))

        return derivative(weights, jax.tree.map(jnp.cos, weights))

    with kernels.plain():
        expected = run(xs)
    for fed in (words, xs):
        close(run(fed), expected)


@compiled
def test_several_networks_and_gradients_of_single_samples(case):
    network, xs, words, ys = case
    weights, rest = eqx.partition(network, eqx.is_array)
    several = jax.tree.map(lambda w: jnp.stack([w, 1.1 * w]), weights)

    def loss(weights, xs, y):
        return CrossEntropy()(unroll(eqx.combine(weights, rest), xs)[0].outputs, y)

    def samples(weights, xs, ys):
        return jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(weights, xs, ys)

    def networks(weights, xs, ys):
        return jax.vmap(samples, in_axes=(0, None, None))(weights, xs, ys)

    close(by_kernels(samples, weights, words, ys), by_plain_jax(samples, weights, xs, ys))
    expected = by_plain_jax(networks, several, xs, ys)
    for fed in (words, xs):
        close(by_kernels(networks, several, fed, ys), expected)


@compiled
def test_the_same_bits_every_time(case):
    network, _, words, ys = case
    step = eqx.filter_jit(bptt)
    first, second = step(network, words, ys), step(network, words, ys)
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_what_is_not_compiled_says_why(case, monkeypatch):
    network, xs, words, _ = case
    with kernels.plain():
        assert "switched off" in why_not_compiled(network.layers)
    monkeypatch.setattr(library, "LIBRARY", library.LIBRARY.with_name("absent"))
    library._load.cache_clear()
    try:
        assert "install a C++ compiler" in why_not_compiled(network.layers)
        np.testing.assert_array_equal(network(jax.tree.map(lambda w: w[0], words))[0], network(xs[0])[0])
    finally:
        library._load.cache_clear()


@compiled
@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda dense: Layer(dense, LIF(refractory=Refractory())), "layer 1 has a refractory period"),
        (lambda dense: Layer(dense, LIF(surrogate=Sigmoid())), "layer 1 has the surrogate Sigmoid"),
        (lambda dense: Layer(dense, LIF(tau_mem=jnp.full(5, 20e-3))), "layer 1 has trained neuron parameters"),
        (lambda dense: Layer(dense, LIF(surrogate=Scaled(Sigmoid(), 2.0))), "layer 1 has the surrogate Scaled"),
        (lambda dense: Layer(dense, Delayed(LIF())), "layer 1 is Delayed"),
        (
            lambda dense: Layer(dense, Filtered(CubaLIF())),
            "layer 1 is Filtered around a neuron with a synaptic current",
        ),
    ],
)
def test_layers_that_the_kernels_do_not_know(layer, reason, case):
    assert reason in why_not_compiled((layer(case[0].layers[-1].synapses),))


@compiled
def test_what_does_not_spike_has_its_place(case):
    first, *_, last = case[0].layers
    loop = Dense(5, 5, key=jax.random.key(0))
    assert why_not_compiled((Layer(first.synapses, LI()), last)) == "layer 1 is LI, from which no spikes go to the next"
    assert why_not_compiled((Layer(last.synapses, LI(), loop),)) == "layer 1 is a recurrent LI, which does not spike"


class Doubled(AbstractSynapses):
    """Somebody's own synapses: twice the weights."""

    weight: jax.Array
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x):
        return 2 * (self.weight @ x)

    def lowered(self):
        return LoweredSynapses(2 * self.weight, None)

    def redrawn(self, *, key):
        return self

    def operations(self, x):
        return jnp.zeros(())

    def multiply_accumulates(self):
        return 0


class Held(NamedTuple):
    v: jax.Array
    spikes: jax.Array


class Halving(AbstractNeuron):
    """Somebody's own neuron: half of its membrane stays, less what spiked in the step before."""

    surrogate: AbstractSurrogate = Boxcar(0.7, 0.3)
    dt: float = 1e-3

    @property
    def spikes(self):
        return True

    def initial_state(self, shape):
        return Held(jnp.zeros(shape), jnp.zeros(shape))

    def __call__(self, current, state):
        v = 0.5 * state.v + current - 0.4 * jax.lax.stop_gradient(state.spikes)
        spikes = self.surrogate(v - 0.4)
        return spikes, Held(v, spikes)

    def free(self):
        return LI()

    def lowered(self):
        constants = Constants(decay=0.5, v_th=0.4, reset_add=-0.4)
        return Lowered(constants, Equation(spiking=True, late_reset=True, surrogate=self.surrogate.lowered()))


@compiled
@pytest.mark.parametrize(
    ("neuron", "recurrent"),
    [(Halving(), True), (Filtered(NEURONS[2], tau_syn=4e-3), True), (Filtered(Halving(), tau_syn=3e-3), False)],
)
def test_wrappers_and_components_of_ones_own(neuron, recurrent):
    network = draw_network(neuron, (20, 30, 24, 5), recurrent, False, 1.5, 0)
    first, *others = network.layers
    doubled = Doubled(first.synapses.weight, (20,), (30,))
    network = Network((Layer(doubled, neuron, first.recurrent), *others))
    assert why_not_compiled(network.layers) is None
    xs = draw_spikes(4, 40, 20, 0.2, 1)
    pieces, weights = (xs[:, :15], xs[:, 15:]), [jnp.ones((40, layer.shape[0])) for layer in network.layers]
    expected = by_plain_jax(scored, network, pieces, weights)
    assert all(0.02 < float(jnp.mean(spikes)) < 0.5 for spikes in expected[0][1][0][:-1])
    for fed in (tuple(map(PACKED, pieces)), pieces):
        close(by_kernels(scored, network, fed, weights), expected)


@compiled
@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        (lambda n: n.layers[0].synapses.weight, jnp.nan),
        (lambda n: n.layers[0].synapses.weight, jnp.inf),
        (lambda n: n.layers[1].recurrent.weight, jnp.nan),
        (lambda n: n.layers[2].synapses.weight, -jnp.inf),
    ],
)
def test_weights_that_are_not_finite_show_as_in_plain_jax(case, where, wrong):
    """Of a synapse that carries no spikes, too, which the kernels pass over."""
    network, xs, _, _ = case
    silent = xs.at[..., 0].set(0.0)
    network = eqx.tree_at(where, network, where(network).at[2, 0].set(wrong))
    expected = by_plain_jax(outputs, network, silent)[0]
    for fed in (PACKED(silent), silent):
        for a, b in zip(by_kernels(outputs, network, fed)[0], expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)
    assert bool(jnp.isnan(expected[2]).any()) == (where(network) is network.layers[2].synapses.weight)
    by_weight = currents(network.layers[0].synapses.weight)(jnp.swapaxes(silent, 0, 1))
    np.testing.assert_array_equal(
        jnp.isnan(by_weight[0, 0]), jnp.isnan(network.layers[0].synapses.weight @ silent[0, 0])
    )


def test_the_environment_asks_for_what_there_is():
    assert library._asks_for_plain("Plain") and not library._asks_for_plain("")
    for unknown in ("foo", "fused"):
        with pytest.raises(SnnlearnError, match=f"SNNLEARN_KERNELS is '{unknown}' in the environment; give plain"):
            library._asks_for_plain(unknown)


@pytest.mark.parametrize("platform", ["gpu", "cuda", "tpu"])
def test_other_devices_run_plain_jax(platform, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    assert kernels.why_plain() == f"the compiled kernels are for CPU, not {platform}"


def test_switching_off_holds_for_one_thread():
    """In whatever order several leave it: they used to leave it to each other."""
    before, inside = kernels.why_plain(), threading.Barrier(2, timeout=20)

    def first(_):
        with kernels.plain():
            inside.wait()  # the other has entered as well
        inside.wait()
        return kernels.why_plain()

    def second(_):
        with kernels.plain():
            inside.wait()
            inside.wait()  # the first has left
            assert "switched off" in str(kernels.why_plain())
        return kernels.why_plain()

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(first, 0), pool.submit(second, 0)]
        assert [one.result() for one in found] == [before, before] == [kernels.why_plain()] * 2


def test_packing_is_undone_by_unpacking():
    spikes = draw_spikes(1, 75, 7, 0.4, 3)[0]
    packed = pack_spikes(spikes)
    assert packed.words.shape == (3, 7) and isinstance(packed, PackedSpikes)
    assert int(packed.words[2, 4]) == sum(int(s) << n for n, s in enumerate(spikes[64:, 4]))
    np.testing.assert_array_equal(packed.unpack(), spikes)
