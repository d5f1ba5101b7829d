"""The kernels of convolutions against the plain network: spikes, states, gradients, and under JAX's transformations."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import kernels
from snnlearn._parameters import Constant
from snnlearn.coding import Current, Rate, pack_spikes
from snnlearn.hypothesis import network_input
from snnlearn.losses import CrossEntropy
from snnlearn.network import (
    AveragePool2d,
    Chain,
    Connection,
    Conv2d,
    Dense,
    Layer,
    Network,
    OneToOne,
    Part,
    unroll,
    why_not_compiled,
)
from snnlearn.network.convolved import lowered_images
from snnlearn.network.network import mean_outputs
from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    Atan,
    Boxcar,
    Charged,
    CubaLIF,
    Delayed,
    Filtered,
    NextStep,
    Refractory,
    Subtract,
    ToValue,
    Triangle,
)
from snnlearn.rules import BPTT

pytestmark = pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))

SHARP = LIF(tau_mem=3e-3, v_th=0.3)


def draw(neuron=SHARP, *, side=(9, 8), channels=2, stride=1, padding=0, bias=True, units=16, window=2, last=None):
    """Two convolutions and a dense readout; positive weights on average, so that units spike."""
    keys = jax.random.split(jax.random.key(0), 3)
    first = Conv2d((channels, *side), 5, 3, stride=stride, padding=padding, use_bias=bias, key=keys[0])
    pool = AveragePool2d(first.out_shape, window)
    second = Conv2d(pool.out_shape, units, 2, use_bias=bias, key=keys[1])
    dense = Dense(math.prod(second.out_shape), 3, use_bias=bias, key=keys[2])
    layers = Layer(first, neuron), Layer(Chain(pool, second), neuron), Layer(dense, last or LI())
    return jax.tree.map(lambda leaf: 2 * leaf + 0.05 if eqx.is_inexact_array(leaf) else leaf, Network(layers))


def draw_input(network, batch=3, num_steps=6):
    """Samples of numbers that change, that are held for some steps and for all, and one of silence."""
    shape = (batch, num_steps, *network.in_shape)
    xs = jax.random.normal(jax.random.key(3), shape)
    return xs.at[0].set(xs[0, :1]).at[1, 2:4].set(xs[1, :1]).at[-1].set(0.0)


def scored(network, xs):
    """A number that depends on every output and the state, and its gradients; outputs and states."""

    def value(both):
        network, xs = both

        def one(first, second):
            activity, state = unroll(network, first)
            later, state = unroll(network, second, state)
            return [jnp.concatenate(o) for o in zip(activity.outputs, later.outputs, strict=True)], state

        outputs, state = jax.vmap(one)(xs[:, :2], xs[:, 2:])
        parts = [jnp.sum(jnp.sin(o + 1) * jnp.cos(jnp.arange(o.size).reshape(o.shape))) for o in outputs]
        return sum(parts, jnp.zeros(())) + sum(jnp.sum(s * s) for s in jax.tree.leaves(state)), (outputs, state)

    return eqx.filter_value_and_grad(value, has_aux=True)((network, xs))


def close(actual, expected, relative=2e-4):
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=relative * float(jnp.max(jnp.abs(e), initial=0.0)) + 1e-6)


def both(function, *arguments):
    """What a function gives by the kernels, and as plain JAX."""
    found = eqx.filter_jit(lambda *arguments: function(*arguments))(*arguments)
    with kernels.plain():
        return found, eqx.filter_jit(lambda *arguments: function(*arguments))(*arguments)


CASES = {
    "stride, padding, a current": draw(
        CubaLIF(tau_mem=3e-3, tau_syn=2e-3, v_th=0.3, reset=ToValue(block_gradient=False)),
        stride=2,
        padding=1,
        side=(12, 13),
        bias=False,
        units=70,
    ),
    "more padding than kernel, a late reset": draw(
        LIF(tau_mem=3e-3, v_th=0.3, reset=NextStep(Subtract(block_gradient=False))), padding=3, channels=1
    ),
    "windows of 3, adaptation": draw(
        ALIF(tau_mem=3e-3, v_th=0.3, beta=0.1, surrogate=Boxcar(0.7, 0.3)), side=(13, 14), window=3
    ),
    "a wrapper, a spiking readout": draw(Filtered(SHARP, tau_syn=2e-3), last=LIF(v_th=0.05, surrogate=Atan())),
    "silence": draw(LIF(v_th=100.0, surrogate=Triangle(0.3, 200.0))),
}


@pytest.mark.parametrize("name", CASES)
def test_equal_to_the_plain_network(name):
    network = CASES[name]
    assert why_not_compiled(network.layers) is None
    xs = draw_input(network)
    found, expected = both(scored, network, xs)
    ((_, (outputs, _)), gradient), ((_, (others, _)), _) = found, expected
    for a, e in zip(outputs[:2], others[:2], strict=True):
        np.testing.assert_array_equal(a, e)
        assert (float(jnp.mean(a)) == 0.0) if name == "silence" else (0.05 < float(jnp.mean(a)) < 0.8)
    learned = gradient[0].layers[0] if name == "silence" else gradient  # also by the input
    assert all(float(jnp.max(jnp.abs(leaf))) > 1e-3 for leaf in jax.tree.leaves(learned))
    close(found, expected)


def test_constants_of_each_unit():
    """Such as a chip's; trained ones are not compiled."""
    network = draw(bias=False)
    shapes = [layer.shape for layer in network.layers[:2]]
    assert all(len(shape) == 3 for shape in shapes)
    layers = [
        Layer(
            layer.synapses, LIF(tau_mem=3e-3, v_th=Constant(0.3 + 0.1 * jax.random.uniform(jax.random.key(n), shape)))
        )
        for n, (layer, shape) in enumerate(zip(network.layers, shapes, strict=False))
    ]
    network = Network((*layers, network.layers[2]))
    assert why_not_compiled(network.layers) is None
    close(*both(scored, network, draw_input(network)))


@pytest.fixture(scope="module")
def case():
    network = draw()
    return network, draw_input(network), jnp.arange(3)


def bptt(network, xs, ys, segment=None):
    return BPTT(segment)(network, CrossEntropy(), xs, ys, key=jax.random.key(0))


def test_a_rule_gets_the_same_gradient_in_one_call(case):
    found, expected = both(bptt, *case)
    close(found, expected)
    close(eqx.filter_jit(lambda *case: bptt(*case, segment=2))(*case), expected)
    program = str(eqx.filter_make_jaxpr(bptt)(*case)[0])
    assert program.count("snnlearn_images_backward[") == 1 and "scan" not in program


def test_spikes_may_be_packed(case):
    network, xs, ys = case
    spikes = (xs > 0.5).astype(jnp.float32)
    close(eqx.filter_jit(bptt)(network, jax.vmap(pack_spikes)(spikes), ys), eqx.filter_jit(bptt)(network, spikes, ys))


def test_several_networks_single_samples_and_forward_mode(case):
    network, xs, ys = case
    weights, rest = eqx.partition(network, eqx.is_array)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.1 * leaf]), weights)

    def gradients(several, xs, ys):
        def loss(weights, xs, y):
            return CrossEntropy()(unroll(eqx.combine(weights, rest), xs)[0].outputs, y)

        return jax.vmap(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0)), in_axes=(0, None, None))(several, xs, ys)

    close(*both(gradients, several, xs, ys))

    def derivative(weights, xs):
        direction = jax.tree.map(jnp.cos, (weights, xs))
        return jax.jvp(lambda w, xs: jax.vmap(lambda x: eqx.combine(w, rest)(x)[0])(xs), (weights, xs), direction)

    close(*both(derivative, weights, xs))


def test_no_samples_and_the_same_bits_every_time(case):
    network, xs, ys = case
    step = eqx.filter_jit(bptt)
    jax.tree.map(np.testing.assert_array_equal, step(network, xs, ys), step(network, xs, ys))
    value = eqx.filter_value_and_grad(lambda network: jnp.sum(jax.vmap(lambda xs: network(xs)[0])(xs[:0])))
    assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves(eqx.filter_jit(value)(network)))


def test_weights_that_are_not_finite_show_as_in_plain_jax(case):
    network, xs, _ = case
    network = eqx.tree_at(
        lambda n: n.layers[1].synapses.carrier.weight, network, replace_fn=lambda w: w.at[2].set(jnp.nan)
    )
    found, expected = both(lambda network, xs: jax.vmap(lambda x: unroll(network, x)[0].outputs[1:])(xs), network, xs)
    for a, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, e, atol=1e-5)


def test_a_default_run_reaches_them(case):
    """A code of currents gives its numbers, one of spikes packs them; both are run by the kernels."""
    network, x = case[0], jnp.abs(case[1][0, 0]) % 1.0
    for code in (Current(4), Rate(num_steps=4)):
        assert why_not_compiled(network.layers) is None
        assert "snnlearn_images_forward" in str(
            eqx.filter_make_jaxpr(
                lambda x, code=code: network(network_input(code, network, x, key=jax.random.key(0)))[0]
            )(x)[0]
        )


IMAGE = Conv2d((1, 6, 6), 2, 3, key=jax.random.key(0))
DENSE = Dense(32, 3, key=jax.random.key(0))


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([Layer(IMAGE, LIF(refractory=Refractory()))], "layer 1 has a refractory period"),
        ([Layer(IMAGE, Delayed(LIF()))], "layer 1 is Delayed"),
        ([Layer(IMAGE, LIF(tau_mem=jnp.full((2, 4, 4), 20e-3)))], "layer 1 has trained neuron parameters"),
        ([Layer(IMAGE, LI()), Layer(DENSE, LI())], "layer 1 is LI, from which no spikes go to the next"),
        ([Layer(AveragePool2d((1, 6, 6), 2), LIF())], "layer 1 has no weights"),
        (
            [Layer(IMAGE, LIF()), Layer(Chain(DENSE, Dense(3, 3, key=jax.random.key(0))), LI())],
            "layer 2 has more stages of synapses than a pooling and then weights",
        ),
        (
            [Layer(IMAGE, LIF()), Layer(Chain(Part(32, 0, 8), Dense(8, 3, key=jax.random.key(0))), LI())],
            "layer 2 has Part synapses, not Dense, Conv2d or AveragePool2d before one of these",
        ),
        ([Layer(IMAGE, LIF()), Layer(DENSE, LIF(), Dense(3, 3, key=jax.random.key(0)))], "layer 2 is recurrent"),
        (
            [Layer(Dense(9, 36, key=jax.random.key(0)), LIF()), Layer(IMAGE, LIF())],
            "layer 2 takes images of shape (1, 6, 6) and gets (36, 1, 1)",
        ),
        (
            [Layer(IMAGE, LIF()), Layer([DENSE, Connection(Dense(36, 3, key=jax.random.key(0)), "input")], LI())],
            "layer 2 is reached by more than the layer before",
        ),
    ],
)
def test_what_is_not_compiled_says_why_and_runs(layers, reason):
    assert reason in str(why_not_compiled(layers))
    network = Network(tuple(layers))
    assert eqx.filter_jit(network)(jnp.ones((2, *network.in_shape)))[0].shape == (2, *network.out_shape)


def branching(neuron=SHARP, units=20, outer=SHARP):
    """A stem; a block with a path around it, of the stem's means, and one from the input; a readout that skips too."""
    keys = jax.random.split(jax.random.key(0), 7)
    stem = Conv2d((2, 8, 8), units, 3, padding=1, use_bias=True, key=keys[0])
    pool, shape = AveragePool2d(stem.out_shape, 2), (units, 4, 4)
    layers = (
        Layer(stem, neuron, name="stem"),
        Layer(Chain(pool, Conv2d(shape, 7, 3, padding=1, use_bias=True, key=keys[1])), neuron, name="inner"),
        Layer(
            [
                Conv2d((7, 4, 4), units, 3, padding=1, use_bias=True, key=keys[2]),
                Connection(Chain(pool, OneToOne(shape, jax.random.normal(keys[3], (units, 1, 1)), 0.1)), "stem"),
                Connection(Conv2d((2, 8, 8), units, 2, stride=2, key=keys[4]), "input"),
            ],
            outer,
        ),
        Layer([Dense(16 * units, 3, key=keys[5]), Connection(Dense(7 * 16, 3, key=keys[6]), "inner")], LI()),
    )
    return jax.tree.map(lambda leaf: 2 * leaf + 0.05 if eqx.is_inexact_array(leaf) else leaf, Network(layers))


def test_a_graph_runs_forward_and_has_the_derivative_of_the_scan():
    network = branching(Charged(IF(v_th=0.9), 0.4))
    assert "reached by more than the layer before" in str(why_not_compiled(network.layers))
    xs = draw_input(network)
    found, expected = both(scored, network, xs)
    for a, e in zip(found[0][1][0][:3], expected[0][1][0][:3], strict=True):
        np.testing.assert_array_equal(a, e)
        assert 0.05 < float(jnp.mean(a)) < 0.9
    close(found, expected)
    run = eqx.filter_make_jaxpr(lambda network, xs: jax.vmap(lambda x: network(x)[0])(xs))
    assert str(run(network, xs)[0]).count("snnlearn_images_forward[") == 1
    # The negative control: it matters where a connection comes from.
    other = eqx.tree_at(lambda n: n.layers[2].connections[1].synapses.stages[1].weight, network, jnp.zeros(()))
    with_it, without = (eqx.filter_jit(lambda n, xs: jax.vmap(lambda x: n(x)[0])(xs))(n, xs) for n in (network, other))
    assert np.mean(np.asarray(with_it) != np.asarray(without)) > 0.1


def test_spikes_may_only_be_counted():
    network = branching()
    xs = jnp.repeat(draw_input(network), 7, axis=1)  # more than a word of steps
    counted = eqx.filter_jit(lambda xs: jax.vmap(lambda x: mean_outputs(network, x))(xs))(xs)
    with kernels.plain():
        outputs = jax.jit(jax.vmap(lambda x: unroll(network, x)[0].outputs))(xs)
    assert [o.shape for o in counted] == [(3, *layer.shape) for layer in network.layers]
    close(counted, [output.mean(axis=1) for output in outputs], 1e-5)


def test_several_graphs_at_once():
    network = branching(units=5)
    weights, rest = eqx.partition(network, eqx.is_array)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 1.1 * leaf]), weights)
    xs = draw_input(network)
    close(*both(lambda s, xs: jax.vmap(lambda w: jax.vmap(lambda x: eqx.combine(w, rest)(x)[0])(xs))(s), several, xs))


@pytest.mark.parametrize(
    ("connection", "reason"),
    [
        (Connection(OneToOne((2, 4, 4), jnp.ones((2, 4, 4))), "first"), "whose weights or biases are not one for each"),
        (Connection(OneToOne((2, 4, 4)), "first", delay=1), "a connection that is delayed"),
        (Connection(OneToOne((2, 4, 4)), "last"), "a connection that is delayed, or comes from a later layer"),
    ],
)
def test_graphs_that_run_as_plain_jax(connection, reason):
    layers = (
        Layer(IMAGE, LIF(), name="first"),
        Layer([Conv2d((2, 4, 4), 2, 3, padding=1, key=jax.random.key(0)), connection], LIF()),
        Layer(Conv2d((2, 4, 4), 2, 3, padding=1, key=jax.random.key(0)), LIF(), name="last"),
    )
    assert reason in str(lowered_images(layers))
    network = Network(layers)
    assert eqx.filter_jit(network)(jnp.ones((2, *network.in_shape)))[0].shape == (2, *network.out_shape)


def test_switched_off_like_the_others(case):
    with kernels.plain():
        assert "switched off" in str(why_not_compiled(case[0].layers))
        assert "snnlearn_images" not in str(eqx.filter_make_jaxpr(lambda *case: bptt(*case))(*case)[0])
