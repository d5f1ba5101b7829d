"""Networks that are no chains: what is refused, initial weights, training, diagnosis, cost, and when kernels serve."""

from __future__ import annotations

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from scipy.signal import lfilter

import snnlearn as sl
from snnlearn import SnnlearnError, kernels
from snnlearn.coding import Spikes, pack_spikes
from snnlearn.network import (
    INPUT,
    ITSELF,
    Chain,
    Connection,
    Dense,
    FluctuationDriven,
    Layer,
    Network,
    Part,
    diagnose,
    feedforward,
    unroll,
    why_not_compiled,
)
from snnlearn.neurons import LI, LIF, Delayed, Identity, Rectifier
from snnlearn.report.measure import multiply_accumulates, operations

KEYS = jax.random.split(jax.random.key(3), 8)
B, T, N = 8, 60, 30


@contextlib.contextmanager
def without_types():
    """As a user has it, whose arguments jaxtyping does not check."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def dense(in_size, out_size, number=0):
    return Dense(in_size, out_size, key=KEYS[number])


def hidden(size=N):
    return Layer(dense(4, size), LIF(), name="hidden")


REFUSED = {
    "an unknown name": (
        lambda: Network((hidden(), Layer(Connection(dense(N, 2), "hiden"), LI()))),
        "did you mean hidden",
    ),
    "a name twice": (
        lambda: Network((hidden(), Layer(dense(N, N), LIF(), name="hidden"))),
        "which has another meaning",
    ),
    "a name with a meaning": (lambda: Network((Layer(dense(4, 2), LI(), name="input"),)), "which has another meaning"),
    "no input": (lambda: Network((Layer(Connection(dense(2, 2), ITSELF), LI()),)), "no layer takes the input"),
    "two sizes of input": (
        lambda: Network((hidden(), Layer([dense(N, 2), Connection(dense(5, 2), INPUT)], LI()))),
        "input: one part has output",
    ),
    "a source that does not fit": (
        lambda: Network((hidden(), Layer(dense(N, 5), LIF()), Layer(Connection(dense(5, 2), "hidden"), LI()))),
        "make their sizes equal",
    ),
    "connections of different sizes": (lambda: Layer([dense(4, 3), dense(4, 2)], LI()), "make their sizes equal"),
    "a port that is none": (lambda: Layer(Connection(dense(4, 3), port="gate"), LIF()), "LIF has 'current'"),
    "a negative delay": (lambda: Connection(dense(4, 3), delay=-1), "delay is -1"),
    "nothing": (lambda: Layer([], LIF()), "it has no connections"),
    "an empty part": (lambda: Part(5, 3, 3), "start < stop"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_hang_together_is_refused(name):
    make, expected = REFUSED[name]
    with pytest.raises(SnnlearnError, match=expected):
        make()


@pytest.mark.parametrize("wrong", ["dense", Dense, None, 3])
def test_what_is_no_part_is_refused_by_its_name(wrong):
    for make, name in (
        (lambda: Connection(wrong), "synapses"),
        (lambda: Layer(wrong, LIF()), "synapses"),
        (lambda: Layer(dense(4, 3), wrong), "neuron"),
        (lambda: Network((wrong,)), "layers"),
    ):
        with without_types(), pytest.raises(SnnlearnError, match=f"{name}.* is .*; give"):
            make()


def test_a_layer_that_only_itself_or_a_later_one_reaches_gets_weights_too():
    alone = Layer(Connection(dense(N, N), ITSELF), LIF())
    reached = Layer(Connection(dense(N, N, 1), "last"), LIF())
    network = Network((alone, reached, Layer(Connection(dense(4, N, 2), INPUT), LIF(), name="last")))
    inputs = jax.random.bernoulli(KEYS[0], 0.3, (B, T, 4)).astype(jnp.float32)
    drawn = FluctuationDriven()(network, inputs, key=KEYS[1])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(drawn))
    assert not np.array_equal(drawn.layers[1].synapses.weight, network.layers[1].synapses.weight)


def looped(neuron=LIF(tau_mem=8e-3)):
    """Two ways ahead into the second layer, one back to itself and one from the layer behind."""
    first = Layer(dense(N, N, 0), neuron, name="first")
    ways = [dense(N, N, 1), Connection(dense(N, N, 2), INPUT, delay=2), Connection(dense(N, N, 3), "third", delay=1)]
    second = Layer(ways, neuron, dense(N, N, 4), name="second")
    return Network((first, second, Layer(dense(N, N, 5), neuron, name="third"), Layer(dense(N, 3, 6), LI())))


def test_each_connection_contributes_its_share_of_the_variance():
    inputs = jax.random.bernoulli(KEYS[7], 0.1, (B, T, N)).astype(jnp.float32)
    network = eqx.filter_jit(FluctuationDriven(xi=1.0, recurrent_share=0.2))(looped(), inputs, key=KEYS[0])
    alone = eqx.filter_jit(lambda network: jax.vmap(lambda xs: unroll(network, xs)[0].outputs)(inputs))

    def power(xs, synapses):
        alpha = np.exp(-1 / 8)
        free = lfilter([1 - alpha], [1, -alpha], np.asarray(xs) @ np.asarray(synapses.weight).T, axis=1)
        return np.mean(np.square(free))

    first, second, third, _ = network.layers
    before, skip, back, loop = (connection.synapses for connection in second.connections)
    spikes = alone(Network((first,)))[0]
    assert power(inputs, first.synapses) == pytest.approx(1.0, rel=0.01)
    assert power(spikes, before) == pytest.approx(0.4, rel=0.01)
    assert power(inputs, skip) == pytest.approx(0.4, rel=0.01)
    ahead = Network((first, Layer([before, Connection(skip, INPUT)], second.neuron)))
    assert power(alone(ahead)[1], loop) == pytest.approx(0.1, rel=0.1)
    without_back = Layer([before, Connection(skip, INPUT)], second.neuron, loop)
    assert power(alone(Network((first, without_back, third)))[2], back) == pytest.approx(0.1, rel=0.1)


def test_a_graph_is_trained_diagnosed_and_counted():
    data = sl.data.digits()
    size = 24
    first = Layer(dense(64, size), LIF(tau_mem=8e-3), name="first")
    second = Layer(
        [dense(size, size, 1), Connection(dense(64, size, 2), INPUT)], LIF(tau_mem=8e-3), dense(size, size, 3)
    )
    readout = Layer([dense(size, 10, 4), Connection(dense(size, 10, 5), "first")], LI())
    network = Network((first, second, readout))
    algorithm = sl.algorithms.GradientDescent(epochs=6)
    encoder = sl.coding.Current(num_steps=10)
    hypothesis = sl.fit(algorithm, encoder, network, data, key=KEYS[0])
    assert sl.risk.risk(hypothesis, data.test).value < 0.15
    inputs = jax.vmap(lambda x: encoder(x, key=KEYS[0]))(jnp.asarray(data.test.x[:20]))
    healths = diagnose(hypothesis.network, inputs)
    assert healths[0] is not None and healths[1] is not None and healths[2] is None
    assert float(healths[0].firing_rate.mean()) > 1 and float(healths[1].surrogate_mass) > 0.01
    assert multiply_accumulates(network) == 2 * 64 * size + 2 * size * size + 2 * size * 10


def test_operations_count_each_connection_and_not_what_arrives_after_the_end():
    ones = eqx.tree_at(lambda d: d.weight, dense(3, 2), jnp.ones((2, 3)))
    fires = Layer(eqx.tree_at(lambda d: d.weight, dense(3, 3), 100 * jnp.ones((3, 3))), LIF(), name="all")
    readout = Layer([ones, Connection(ones, INPUT, delay=2), Connection(ones, "all", delay=3)], LI())
    xs = jnp.ones((1, 5, 3))
    found = operations(Network((fires, readout)), Spikes(5), xs)
    # 9 synapses of the first layer, 6 of each connection, in 5, 5, 3 and 2 steps.
    assert float(found.synops) == 9 * 5 + 6 * (5 + 3 + 2) and float(found.macs) == 0


def test_spikes_of_a_part_are_spikes():
    chain = Chain(Part(6, 2, 5), eqx.tree_at(lambda d: d.weight, dense(3, 2), jnp.ones((2, 3))))
    found = operations(Network((Layer(chain, LI()),)), Spikes(4), jnp.ones((1, 4, 6)))
    assert (float(found.synops), float(found.macs)) == (4 * 6, 0)


def test_kernels_run_chains_however_they_are_written_and_say_what_they_do_not():
    chain = feedforward((6, 5, 3), recurrent=True, key=KEYS[0])
    first, readout = chain.layers
    named = Layer([Connection(first.synapses, INPUT), Connection(first.recurrent, "h")], first.neuron, name="h")
    written = Network((named, Layer(Connection(readout.synapses, "h"), readout.neuron)))
    assert why_not_compiled(written.layers) == kernels.why_plain()
    xs = pack_spikes(jax.random.bernoulli(KEYS[1], 0.4, (20, 6)).astype(jnp.float32))
    for one, other in zip(
        eqx.filter_jit(unroll)(chain, xs)[0].outputs, eqx.filter_jit(unroll)(written, xs)[0].outputs, strict=True
    ):
        np.testing.assert_array_equal(one, other)
    if kernels.why_plain() is None:
        late = Network((named, Layer(Connection(readout.synapses, "h", delay=1), readout.neuron)))
        assert why_not_compiled(late.layers) == "layer 2 is reached by more than the layer before and itself, or later"


def test_a_delayed_connection_is_a_delayed_neuron():
    xs = jax.random.normal(KEYS[0], (T, 4))
    delayed = Network((Layer(Connection(dense(4, 3), delay=3), LIF(v_th=0.05)),))
    reference = Network((Layer(dense(4, 3), Delayed(LIF(v_th=0.05), steps=3)),))
    ys, _ = eqx.filter_jit(unroll)(delayed, xs)[0].outputs[0], None
    assert ys.any()
    np.testing.assert_array_equal(ys, eqx.filter_jit(unroll)(reference, xs)[0].outputs[0])
    # In pieces, with the state passed on.
    first, state = delayed(xs[:25])
    second, _ = delayed(xs[25:], state)
    np.testing.assert_array_equal(jnp.concatenate([first, second]), ys)


def test_rectifiers_make_an_artificial_network():
    weights = [dense(4, 6, 0), dense(6, 3, 1)]
    network = Network((Layer(weights[0], Rectifier()), Layer(weights[1], Identity())))
    x = jax.random.normal(KEYS[2], (4,))
    expected = weights[1].weight @ jnp.maximum(weights[0].weight @ x, 0)
    np.testing.assert_allclose(network(jnp.stack([x, x]))[0], jnp.stack([expected, expected]), rtol=1e-5)
    with jax.checking_leaks():
        gradient = jax.grad(lambda network: jnp.sum(network(x[None])[0]))(network)
    by_hand = jax.grad(lambda w: jnp.sum(weights[1].weight @ jnp.maximum(w @ x, 0)))(weights[0].weight)
    np.testing.assert_allclose(gradient.layers[0].synapses.weight, by_hand, rtol=1e-5)
