"""Few-bit weights: the integer path is the float path, and training passes straight through."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.circuits import (
    LargestWeight,
    LeastSquares,
    PerInput,
    PerLayer,
    PerOutput,
    PowerOfTwo,
    QuantisedWeights,
    SignOfEach,
    SignOfInput,
)
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, OneToOne, feedforward, unroll
from snnlearn.neurons import LI

KEY = jax.random.key(0)
NETWORK = feedforward((64, 50, 3), recurrent=True, use_bias=True, key=KEY)
WEIGHT = np.asarray(NETWORK.layers[0].synapses.weight)
SHARED = [(PerLayer(), (0, 1)), (PerOutput(), (1,)), (PerInput(), (0,))]


def reference(weight: np.ndarray, step: np.ndarray, levels: int) -> np.ndarray:
    """The definition, in NumPy and double precision."""
    return np.clip(np.round(weight.astype(float) / step), -levels, levels)


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize(("shared", "axes"), SHARED)
@pytest.mark.parametrize("step", [LargestWeight(), PowerOfTwo(), LeastSquares()])
def test_weights_are_those_of_the_definition(bits, shared, axes, step):
    effect = QuantisedWeights(bits, shared, step)
    whole, size = map(np.asarray, effect.of(NETWORK.layers[0].synapses.weight))
    levels = 2 ** (bits - 1) - 1
    assert size.shape == tuple(1 if axis in axes else n for axis, n in enumerate(WEIGHT.shape))
    assert (np.abs(whole - reference(WEIGHT, size, levels)) <= (np.abs(WEIGHT / size % 1 - 0.5) < 1e-4)).all()
    assert levels / 2 < np.abs(whole).max() <= levels
    largest = np.abs(WEIGHT).max(axis=axes, keepdims=True) / levels
    if isinstance(step, LargestWeight):
        assert np.abs(whole).max() == levels
        np.testing.assert_allclose(size, largest, rtol=1 / 128)
        assert (np.abs(WEIGHT - whole * size) <= size / 2 * (1 + 1e-6)).all()
    if isinstance(step, PowerOfTwo):
        assert (np.frexp(size)[0] == 0.5).all() and (size >= largest).all() and (size < 2.02 * largest).all()
    if isinstance(step, LeastSquares):
        error = np.square(whole * size - WEIGHT).sum(axis=axes)
        plain = QuantisedWeights(bits, shared).of(NETWORK.layers[0].synapses.weight)
        other = np.square(np.asarray(plain.whole) * np.asarray(plain.step) - WEIGHT).sum(axis=axes)
        assert (error <= other * 1.0001).all() and (bits > 2 or (error < 0.8 * other).all())


@pytest.mark.parametrize("shared", [PerLayer(), PerOutput()])
@pytest.mark.parametrize("step", [LargestWeight(), PowerOfTwo(), LeastSquares()])
def test_the_integer_path_is_the_float_path_bit_for_bit(shared, step):
    effect = QuantisedWeights(7, shared, step)
    chip = effect(NETWORK, key=KEY).layers[0].synapses
    whole, size = map(np.asarray, effect.of(NETWORK.layers[0].synapses.weight))
    assert (np.asarray(chip.weight) == whole * size).all()
    spikes = np.asarray(jax.random.bernoulli(KEY, 0.5, (40, 64)))
    sums = spikes.astype(int) @ whole.T
    assert np.abs(sums).max() < 2**16
    exact = sums.astype(np.float32) * size[:, 0]
    with_bias = eqx.tree_at(lambda s: s.bias, chip, None, is_leaf=lambda leaf: leaf is None)
    currents = np.asarray(jax.jit(jax.vmap(with_bias))(spikes.astype(np.float32)))
    assert (currents == exact).all()
    backwards = np.asarray(jax.vmap(lambda x: with_bias.weight[:, ::-1] @ x[::-1])(spikes.astype(np.float32)))
    assert (backwards == exact).all()  # in any order
    # Weights as they were trained have no such property: the control.
    inexact = np.asarray(jax.vmap(lambda x: WEIGHT @ x)(spikes.astype(np.float32)))
    assert (inexact != np.asarray(jax.vmap(lambda x: WEIGHT[:, ::-1] @ x[::-1])(spikes.astype(np.float32)))).any()


def test_an_input_has_one_sign():
    effect = QuantisedWeights(6, sign=SignOfInput())
    whole = np.asarray(effect.of(NETWORK.layers[0].synapses.weight).whole)
    sign = np.sign(WEIGHT.sum(axis=0))
    assert np.abs(whole).max() == 63 and ((whole * sign) >= 0).all()
    assert (whole[WEIGHT * sign < 0] == 0).all() and (whole < 0).any() and (whole > 0).any()
    both = np.asarray(QuantisedWeights(6).of(NETWORK.layers[0].synapses.weight).whole)
    assert ((both * sign) < 0).any()  # the control: signs of their own


def test_the_derivative_passes_straight_through():
    def error(weight, effect):
        network = eqx.tree_at(lambda n: n.layers[0].synapses.weight, NETWORK, weight)
        made = network if effect is None else effect(network, key=KEY)
        return jnp.sum(jnp.square(made.layers[0].synapses.weight - 0.1))

    weight = NETWORK.layers[0].synapses.weight
    for effect in (QuantisedWeights(3, PerOutput(), LeastSquares()), QuantisedWeights(3, sign=SignOfInput())):
        made = effect(NETWORK, key=KEY).layers[0].synapses.weight
        np.testing.assert_array_equal(jax.grad(error)(weight, effect), 2 * (made - 0.1))
        assert not np.allclose(jax.grad(error)(weight, effect), jax.grad(error)(weight, None))


def test_all_weights_are_quantised_and_nothing_else():
    convolution = Chain(AveragePool2d((2, 4, 4), 2), Conv2d((2, 2, 2), 3, 2, padding=1, use_bias=True, key=KEY))
    network = Network((Layer(convolution, LI()), Layer([Dense(27, 4, key=KEY), Dense(27, 4, key=KEY)], LI())))
    network = eqx.tree_at(
        lambda n: n.layers[0].connections[0].synapses.stages[1].bias, network, jnp.full((3, 1, 1), 0.3)
    )
    chip = QuantisedWeights(2, PerOutput())(network, key=KEY)
    kernel = chip.layers[0].connections[0].synapses.stages[1]
    assert all(len(np.unique(row)) <= 3 for row in kernel.weight) and len(np.unique(kernel.weight)) > 3
    assert (kernel.bias == np.float32(0.3)).all()
    assert all(len(np.unique(row)) <= 3 for c in chip.layers[1].connections for row in c.synapses.weight)
    single = QuantisedWeights(8, PerInput())(Network((Layer(OneToOne((3,), 0.7), LI()),)), key=KEY)
    np.testing.assert_allclose(single.layers[0].synapses.weight, 0.7, rtol=1e-2)


def test_a_quantised_network_runs_by_the_kernels_as_it_does_plainly():
    network = QuantisedWeights(4)(NETWORK, key=KEY)
    spikes = jax.random.bernoulli(KEY, 0.3, (12, 64)).astype(float)
    outputs = unroll(network, spikes)[0].outputs
    plain = unroll(network, spikes, record=lambda state: state.v)[0].outputs
    np.testing.assert_array_equal(outputs[0], plain[0])
    np.testing.assert_allclose(outputs[1], plain[1], atol=1e-6)


def test_what_is_no_number_of_bits_is_refused():
    for bits, sign, least in ((0, SignOfEach(), 2), (1, SignOfEach(), 2), (0, SignOfInput(), 1), (17, SignOfEach(), 2)):
        with pytest.raises(
            SnnlearnError, match=f"QuantisedWeights: bits is {bits}; give a whole number from {least} to 16"
        ):
            QuantisedWeights(bits, sign=sign)
    pool = Network((Layer(AveragePool2d((1, 2, 2), 2), LI()),))
    with pytest.raises(SnnlearnError, match=r"QuantisedWeights: the network has no weights"):
        QuantisedWeights(4)(pool, key=KEY)
