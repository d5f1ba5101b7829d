"""Event-driven products and the three-factor rules that use them, against plain JAX."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from snnlearn import SnnlearnError, kernels
from snnlearn.coding import HeldValues, PackedSpikes, pack_spikes
from snnlearn.coding.packed import later
from snnlearn.kernels.filters import LinearFilter
from snnlearn.kernels.products import currents, known_spikes, outer
from snnlearn.losses import StepwiseCrossEntropy
from snnlearn.network import feedforward, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, NextStep, Triangle
from snnlearn.rules import OTTT, EProp, RandomFeedback
from snnlearn.rules.online import in_blocks

pytestmark = pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
KEY = jax.random.key(0)


def close(actual, expected, relative):
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=0, atol=relative * float(jnp.max(jnp.abs(e))) + 1e-9)


@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    steps=st.integers(1, 70),
    batch=st.integers(1, 9),
    inputs=st.integers(1, 90),
    units=st.integers(1, 150),
    density=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
)
def test_products_are_those_of_matrices(steps, batch, inputs, units, density):
    rng = np.random.default_rng(0)  # which compiles nothing for each shape
    spikes = jnp.asarray(rng.random((steps, batch, inputs)) < density, jnp.float32)
    weight = jnp.asarray(rng.normal(size=(units, inputs)), jnp.float32)
    errors = jnp.asarray(rng.normal(size=(steps, batch, units)), jnp.float32)
    packed = known_spikes(spikes)
    assert not eqx.is_array(packed)
    expected = np.einsum("kbi,ui->kbu", spikes, weight)
    for xs in (spikes, packed):
        close(jax.jit(lambda xs: currents(weight)(xs))(xs), expected, 1e-5)
    close(jax.jit(outer)(packed, errors), np.einsum("kbi,kbu->iu", spikes, errors), 1e-5)
    several = jax.jit(jax.vmap(lambda w, e: (currents(w)(packed), outer(packed, e))))
    found = several(jnp.stack([weight, -weight]), jnp.stack([errors, 2 * errors]))
    close(found[0][1], -found[0][0], 1e-6)
    close(found[1][1], 2 * found[1][0], 1e-6)


@pytest.mark.parametrize(("size", "shape"), [(1, (1, 256)), (2, (3, 37)), (3, (2, 5)), (1, (70, 40))])
def test_filters_are_the_systems_that_they_state(size, shape):
    rng = np.random.default_rng(0)
    matrix, b, c = 0.5 * rng.normal(size=(size, size)), rng.normal(size=size), rng.normal(size=size)
    xs, start = rng.normal(size=(40, *shape)), rng.normal(size=(size, *shape))
    state, expected = start, []
    for x in xs:
        expected.append(np.tensordot(c, state, 1) + 0.3 * x)
        state = np.tensordot(matrix, state, 1) + b[:, None, None] * x
    single = LinearFilter(*(jnp.asarray(each, jnp.float32) for each in (matrix, b, c, 0.3)))
    given = jnp.asarray(xs, jnp.float32), jnp.asarray(start, jnp.float32)
    compiled = "snnlearn_filter" in jax.jit(lambda *given: single(*given)).lower(*given).as_text()
    assert compiled == (size < 3)
    found = single(*given)
    close(found, (np.stack(expected), state), 1e-5)
    close(single(given[0][::-1], given[1], reverse=True), (found[0][::-1], found[1]), 1e-6)
    errors, end = (jnp.asarray(rng.normal(size=each.shape), jnp.float32) for each in found)
    with kernels.plain():
        _, pull = jax.vjp(single, *given)
        close(single.adjoint(errors, end), pull((errors, end)), 1e-5)
    close(single.adjoint(errors, end), pull((errors, end)), 1e-5)


@pytest.mark.parametrize(
    ("rule", "neuron", "recurrent", "hidden", "num_steps"),
    [
        (EProp(RandomFeedback(KEY)), LIF(v_th=0.1), False, (50, 30), 300),
        (EProp(), ALIF(v_th=0.1, beta=0.05), True, (50,), 140),
        (OTTT(), LIF(v_th=0.1), False, (50,), 140),
    ],
    ids=["LIF, random feedback", "ALIF, recurrent", "OTTT"],
)
def test_three_factor_rules_are_the_plain_ones(rule, neuron, recurrent, hidden, num_steps):
    """Over one block, and over several with traces between them; steps that do not fill a word."""
    network = feedforward(
        (33, *hidden, 5), neuron=neuron, readout=LI(9e-3), recurrent=recurrent, use_bias=True, key=KEY
    )
    network = jax.tree.map(lambda leaf: 3 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    xs = jax.random.bernoulli(jax.random.key(1), 0.1, (6, num_steps, 33)).astype(jnp.float32)
    targets = jnp.arange(6) % 5
    spikes = eqx.filter_jit(lambda xs: jax.vmap(lambda x: unroll(network, x)[0].outputs[:-1])(xs))(xs)
    rates = [float(jnp.mean(z)) for z in spikes]
    assert all(0.01 < rate < 0.6 for rate in rates), rates

    def run():
        return eqx.filter_jit(lambda xs: rule(network, StepwiseCrossEntropy(), xs, targets, key=KEY))

    packed, events = jax.vmap(pack_spikes)(xs), run()
    with kernels.plain():
        expected = run()(packed)
    close(events(packed), expected, 1e-4)
    # The negative control: the spikes of one step.
    other = jax.vmap(pack_spikes)(xs.at[0, 20].set(1 - xs[0, 20]))
    weights = [g.layers[0].synapses.weight for _, g in (events(other), expected)]
    assert float(jnp.max(jnp.abs(weights[0] - weights[1]))) > 1e-3 * float(jnp.max(jnp.abs(weights[1])))


@pytest.mark.parametrize("kind", ["numbers", "held"])
def test_a_block_runs_in_one_call_whatever_its_input_is(kind):
    """The kernels record what each step begins with, and the derivatives from there are those of the plain scan."""
    neuron = CubaLIF(v_th=0.05, reset=NextStep(), surrogate=Triangle(0.5, 0.3))
    network = feedforward((6, 18, 3), neuron=neuron, recurrent=True, key=KEY)
    values = 3 * jax.random.normal(KEY, (2, 4 if kind == "held" else 40, 6))
    xs = HeldValues(values, 10) if kind == "held" else values

    def run():
        return jax.jit(lambda xs: EProp()(network, StepwiseCrossEntropy(), xs, jnp.array([0, 2]), key=KEY))

    events = run()
    assert "snnlearn_record" in events.lower(xs).as_text()
    with kernels.plain():
        expected = run()(xs)
    close(events(xs), expected, 1e-4)
    assert float(jnp.abs(expected[1].layers[0].recurrent.weight).max()) > 1e-4, "units spike"


@pytest.mark.parametrize(("steps", "lag"), [(1, 1), (31, 2), (32, 31), (70, 5)])
def test_later_spikes_are_those_of_numbers(steps, lag):
    rng = np.random.default_rng(steps)
    spikes, waiting = ((rng.random((n, 3)) < 0.5).astype(np.float32) for n in (steps, lag))
    found = later(pack_spikes(jnp.asarray(spikes)), jnp.asarray(waiting))
    expected = pack_spikes(jnp.asarray(np.concatenate([waiting, spikes])[:steps]))
    np.testing.assert_array_equal(found.words, expected.words)


def test_no_size_is_taken_on_trust():
    """By Python where a caller gives the sizes, and by the library itself."""
    network, words = feedforward((5, 3, 2), key=KEY), jnp.ones((1, 5), jnp.uint32)
    with pytest.raises(SnnlearnError, match=r"3000000 steps fill 93750 words of 32, and words has shape \(1, 5\)"):
        PackedSpikes(words, 3_000_000)
    with pytest.raises(SnnlearnError, match="160 steps fill 5 words"):
        unroll(network, PackedSpikes(words, 160))
    with pytest.raises(SnnlearnError, match=r"shape \(4,\), and the network takes \(5,\)"):
        unroll(network, PackedSpikes(words[:, :4], 32))
    with pytest.raises(SnnlearnError, match="take 5 inputs and got 4"):
        currents(jnp.ones((3, 5)))(PackedSpikes(words[:, None, :4], 32))
    wide = eqx.tree_at(lambda n: n.layers[0].synapses.weight, network, jnp.ones((3, 500)))
    with pytest.raises(Exception, match="the weight of layer 1 does not fit the call"):
        unroll(wide, PackedSpikes(words, 32))


def test_blocks_of_any_size_stay_packed():
    xs = jax.random.bernoulli(KEY, 0.3, (75, 2, 3)).astype(jnp.float32)
    packed = pack_spikes(xs)
    for size in (10, 32, 100):
        blocks, rest = in_blocks((packed, jnp.arange(75)), size, 75)
        each = [] if blocks is None else [jax.tree.map(lambda a, n=n: a[n], blocks[0]) for n in range(75 // size)]
        parts = [block.unpack() for block in each]
        np.testing.assert_array_equal(jnp.concatenate([*parts, rest[0].unpack()]), xs)
