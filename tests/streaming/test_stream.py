"""Streams: the same to the bit however they are cut, equal to a whole run, restored exactly, or refused."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snnlearn import SnnlearnError, kernels
from snnlearn.coding import Current, pack_spikes
from snnlearn.network import Connection, Dense, Layer, Network, feedforward, unroll, why_not_compiled
from snnlearn.neurons import LI, LIF, EscapeNoise, Sigmoid
from snnlearn.streaming import Stream, StreamState
from snnlearn.streaming.stream import PIECE
from zoo import ENCODERS, KEY, NEURONS, SYNAPSES, UNITS

WIDTH, STEPS = 16, 40
RNG = np.random.default_rng(0)
SPIKES = RNG.random((STEPS, WIDTH)) < 0.5
SPIKES[20:] |= RNG.random((STEPS - 20, WIDTH)) < 0.6  # where a whole run would multiply densely
NUMBERS = RNG.normal(size=(STEPS, WIDTH)).astype(np.float32)


def _all_components() -> Network:
    """A network of all neurons and all synapses, with delays from none to longer than any piece, and noise."""
    layers = [
        Layer([Connection(Dense(WIDTH, UNITS, key=KEY), "input", port, delay) for port in neuron.ports], neuron)
        for delay, neuron in enumerate(NEURONS.values())
    ]
    layers += [Layer(Connection(synapses, "input"), LIF(v_th=0.2), name=name) for name, synapses in SYNAPSES.items()]
    named = [Layer(layer.connections, layer.neuron, name=f"layer {n}") for n, layer in enumerate(layers)]
    sums = [
        Connection(Dense(math.prod(layer.out_shape), 2, key=KEY), layer.name, delay=n % 3)
        for n, layer in enumerate(named)
    ]
    return Network((*named, Layer(sums, LI(), name="readout")))


@pytest.fixture(scope="module")
def everything():
    network = _all_components()
    return network, Stream(network)


def recurrent(hidden: int = 40) -> Network:
    network = feedforward((WIDTH, hidden, 3), recurrent=True, key=KEY)
    return jax.tree.map(lambda leaf: 6 * leaf if eqx.is_array(leaf) else leaf, network)


CHAIN = Stream(recurrent())


def run(stream, xs, cuts, state=None):
    """The output and the state of a stream that is cut at these places."""
    state = stream.start() if state is None else state
    outputs = []
    for first, last in zip([0, *cuts], [*cuts, len(xs)], strict=True):
        output, state = stream.advance(xs[first:last], state)
        outputs.append(output)
    return np.concatenate(outputs), state


def leaves(state):
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(state)]  # fmt: skip


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(leaves(one), leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_all_neurons_and_synapses_stream_as_they_run_and_are_restored(everything, tmp_path):
    network, stream = everything
    whole, state = run(stream, NUMBERS, [])
    expected, last = jax.jit(lambda xs: network(xs))(jnp.asarray(NUMBERS))
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)
    assert jax.tree.structure(last) == jax.tree.structure(state.layers)
    cut, between = run(stream, NUMBERS[:17], [0, 1, 1, 9])
    stream.save(between, tmp_path / "state.npz")
    rest, end = run(stream, NUMBERS[17:], [5], stream.load(tmp_path / "state.npz"))
    np.testing.assert_array_equal(np.concatenate([cut, rest]), whole)
    same(end, state)
    assert state.steps == STEPS
    assert np.ptp(whole[STEPS // 2 :]) > 0


@pytest.mark.parametrize("name", ENCODERS)
def test_all_codes_stream(name, everything):
    encoder, key = ENCODERS[name], jax.random.key(1)
    shape = next(shape for shape in ((4, 2), (2, 2), (3,)) if encoder.takes_spikes or _takes(encoder, shape))
    x = (RNG.random(shape) < 0.5) if encoder.takes_spikes else RNG.random(shape).astype(np.float32)
    encoded = np.asarray(encoder(jnp.asarray(x), key=key)).reshape(encoder.num_steps, -1)
    xs = np.zeros((encoder.num_steps, WIDTH), bool if encoder.gives_spikes else np.float32)
    xs[:, : encoded.shape[1]] = encoded[:, :WIDTH]
    stream = everything[1]
    whole, state = run(stream, xs, [])
    cut, end = run(stream, xs, [1, 2])
    np.testing.assert_array_equal(cut, whole)
    same(end, state)


def _takes(encoder, shape) -> bool:
    try:
        return np.prod(encoder.out_shape(shape)) <= WIDTH
    except SnnlearnError:
        return False


@pytest.mark.parametrize("xs", [SPIKES, NUMBERS], ids=["spikes", "numbers"])
@pytest.mark.parametrize("plain", [False, True], ids=["kernels", "plain"])
def test_any_cut_gives_the_same_bits(xs, plain):
    if not plain and (why := kernels.why_plain()) is not None:
        pytest.skip(why)
    assert why_not_compiled(CHAIN.network.layers) is None

    def check(cuts):
        cut, end = run(CHAIN, xs, sorted(cuts))
        np.testing.assert_array_equal(cut, whole)
        same(end, state)

    cases = settings(max_examples=15, deadline=None)(given(st.lists(st.integers(0, STEPS), max_size=6))(check))
    every = list(range(1, STEPS))
    with kernels.plain() if plain else jax.disable_jit(False):
        whole, state = run(CHAIN, xs, [])
        example(every)(cases)()
        expected = CHAIN.network(pack_spikes(jnp.asarray(xs, jnp.float32)) if xs.dtype == bool else jnp.asarray(xs))[0]
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)
    spikes = eqx.filter_jit(unroll)(CHAIN.network, jnp.asarray(xs, jnp.float32))[0].outputs[0]
    assert 0.02 < float(spikes.mean()) < 0.5


def test_the_kernels_stream_as_plain_jax():
    outputs = [run(CHAIN, xs, [3]) for xs in (SPIKES, NUMBERS)]
    with kernels.plain():
        expected = [run(CHAIN, xs, [3]) for xs in (SPIKES, NUMBERS)]
    for (one, state), (other, its) in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        for a, b in zip(leaves(state), leaves(its), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    assert not np.array_equal(outputs[0][0], outputs[1][0])


def test_a_stream_is_the_loop_over_steps_in_double_precision(x64):
    network = feedforward((3, 4, 2), recurrent=True, key=KEY)
    xs = 5 * RNG.normal(size=(9, 3))
    outputs, state = run(Stream(network), xs, [4])
    layers, step = network.initial_state(), jax.jit(lambda x, state: network.step(x, state))
    for x, output in zip(xs, outputs, strict=True):
        expected, layers = step(jnp.asarray(x), layers)
        np.testing.assert_allclose(output, expected, rtol=1e-14)
    assert outputs.dtype == np.float64
    for a, b in zip(leaves(state.layers), leaves(layers), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_noise_goes_on_and_depends_on_the_key():
    neuron = EscapeNoise(LIF(v_th=0.2, surrogate=Sigmoid(10.0)))  # pyright: ignore[reportCallIssue]
    stream = Stream(Network((Layer(Dense(WIDTH, UNITS, key=KEY), neuron),)))
    start = stream.start(key=jax.random.key(5))
    whole, _ = run(stream, SPIKES, [], start)
    np.testing.assert_array_equal(run(stream, SPIKES, [1, 30], start)[0], whole)
    again = run(stream, SPIKES, [20], start)[1]
    first, second = (run(stream, SPIKES[:20], [], state)[0] for state in (start, again))
    assert not np.array_equal(first, second)
    assert not np.array_equal(run(stream, SPIKES, [])[0], whole)


def test_new_lengths_are_not_compiled_anew(everything):
    _, stream = everything
    run(stream, NUMBERS, [1])
    with jax.log_compiles(True), jax.check_tracer_leaks(False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("snnlearn.streaming.stream.advance", None)  # which tracing would call
            run(stream, NUMBERS, [3, 7, 8, 39])
            long = np.tile(NUMBERS, (PIECE // STEPS + 2, 1))
            outputs, state = stream.advance(long, stream.start())
    assert len(outputs) == len(long) == state.steps


def test_one_step_is_a_piece_of_one(everything):
    _, stream = everything
    output, state = stream.step(NUMBERS[0], stream.start())
    expected, after = stream.advance(NUMBERS[:1], stream.start())
    np.testing.assert_array_equal(output, expected[0])
    same(state, after)


def test_no_steps_change_nothing():
    state = CHAIN.start()
    outputs, after = CHAIN.advance(SPIKES[:0], state)
    assert outputs.shape == (0, 3)
    same(after, state)


def _nan():
    xs = NUMBERS.copy()
    xs[7, 3] = np.nan
    return xs


@pytest.mark.parametrize(
    ("xs", "state", "why"),
    [
        (NUMBERS[:, :5], None, r"xs has shape \(40, 5\); give \[T, 16\]"),
        (NUMBERS[0], None, r"xs has shape \(16,\); give \[T, 16\]"),
        (_nan(), None, "step 8 of the stream holds NaN"),
        ([["one", "two"]], None, "xs is an array of <U3; give numbers"),
        (NUMBERS, "mine", "state is the string 'mine'; give that of start"),
        (NUMBERS, Stream(recurrent(39)).start(), r"neuron.v of layer 1 is float32\[39\], and should be float32\[40\]"),
        (NUMBERS, StreamState(CHAIN.start().layers[:1], 0), r"it has no neuron.\w+ of layer 2"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(xs, state, why):
    with pytest.raises(SnnlearnError, match=why):
        CHAIN.advance(xs, CHAIN.start() if state is None else state)


def test_nan_later_in_a_stream_is_found_at_its_step():
    _, state = CHAIN.advance(NUMBERS, CHAIN.start())
    with pytest.raises(SnnlearnError, match="step 48 of the stream"):
        CHAIN.advance(_nan(), state)


def test_a_state_of_another_network_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    CHAIN.save(run(CHAIN, SPIKES, [])[1], path)
    with pytest.raises(SnnlearnError, match=r"neuron.v of layer 1 is float32\[40\], and should be float32\[39\]"):
        Stream(recurrent(39)).load(path)
    with pytest.raises(SnnlearnError, match="of the same shapes but with other weights or constants"):
        Stream(feedforward((WIDTH, 40, 3), recurrent=True, key=KEY)).load(path)
    slower = recurrent()
    slower = Network((Layer(slower.layers[0].connections, LIF(tau_mem=30e-3)), slower.layers[1]))
    with pytest.raises(SnnlearnError, match="with other weights or constants"):
        Stream(slower).load(path)
    same(Stream(recurrent()).load(path), CHAIN.load(path))


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    CHAIN.save(CHAIN.start(), path)
    content = path.read_bytes()
    with np.load(path) as arrays:
        np.savez(tmp_path / "before.npz", **{**arrays, "steps": np.int64(-5)})
    with pytest.raises(SnnlearnError, match="damaged"):
        CHAIN.load(tmp_path / "before.npz")
    for bad in (content[:-30], content[:100], b"", content[:400] + b"\0" * 40 + content[440:]):
        path.write_bytes(bad)
        with pytest.raises(SnnlearnError, match=r"damaged|not the state of a stream"):
            CHAIN.load(path)
    np.savez(path, structure=np.frombuffer(b"{}", np.uint8))
    with pytest.raises(SnnlearnError, match="not the state of a stream"):
        CHAIN.load(path)
    with pytest.raises(SnnlearnError, match="is not a file"):
        CHAIN.load(tmp_path / "none.npz")


def test_what_is_no_network_is_refused():
    with pytest.raises(SnnlearnError, match="network is"):
        Stream(Current(3))  # pyright: ignore[reportArgumentType]
