"""Synapses against NumPy, SciPy and counting one by one."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from snnlearn._errors import SnnlearnError
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense

KEY, SPIKE_KEY = jax.random.split(jax.random.key(5))


def with_values(synapses):
    """Some weights 0, and biases that are not."""
    weight = jnp.where(jnp.abs(synapses.weight) < 0.1, 0.0, synapses.weight)
    assert bool((weight == 0).any())
    synapses = eqx.tree_at(lambda s: s.weight, synapses, weight)
    if synapses.bias is None:
        return synapses
    return eqx.tree_at(lambda s: s.bias, synapses, jax.random.normal(SPIKE_KEY, synapses.bias.shape))


def graded_spikes(shape):
    """Spikes of differing size, as a pooled layer gives, and silence."""
    sizes, spikes = jax.random.normal(SPIKE_KEY, shape), jax.random.bernoulli(KEY, 0.5, shape)
    return jnp.where(spikes, sizes, 0.0)


DENSE = with_values(Dense(7, 5, use_bias=True, key=KEY))
CONVOLUTIONS = [
    Conv2d((1, 6, 6), 2, 3, key=KEY),
    Conv2d((2, 7, 5), 3, 2, stride=2, use_bias=True, key=KEY),
    Conv2d((3, 5, 6), 2, 3, stride=3, padding=2, use_bias=True, key=KEY),
]
CONVOLUTIONS = [with_values(synapses) for synapses in CONVOLUTIONS]


def _name(value):
    return type(value).__name__


def test_dense_is_a_matrix_product():
    x = graded_spikes((7,))
    np.testing.assert_allclose(DENSE(x), np.asarray(DENSE.weight) @ np.asarray(x) + DENSE.bias, rtol=1e-5)
    image = eqx.tree_at(lambda s: s.bias, DENSE, None)(x.reshape(1, 7, 1))
    np.testing.assert_allclose(image, np.asarray(DENSE.weight) @ np.asarray(x), rtol=1e-5)


@pytest.mark.parametrize("synapses", CONVOLUTIONS, ids=_name)
def test_conv2d_is_a_cross_correlation(synapses):
    x = graded_spikes(synapses.in_shape)
    padded = np.pad(x, [(0, 0)] + [(synapses.padding,) * 2] * 2)
    expected = [
        sum(correlate2d(channel, kernel, "valid") for channel, kernel in zip(padded, kernels, strict=True))
        for kernels in np.asarray(synapses.weight)
    ]
    expected = np.stack(expected)[:, :: synapses.stride, :: synapses.stride]
    if synapses.bias is not None:
        expected = expected + np.asarray(synapses.bias)
    assert synapses.out_shape == expected.shape
    np.testing.assert_allclose(synapses(x), expected, rtol=1e-4, atol=1e-5)


def test_an_image_without_channels_serves_as_one_channel():
    synapses = CONVOLUTIONS[0]
    x = graded_spikes((6, 6))
    np.testing.assert_array_equal(synapses(x), synapses(x[None]))


def test_average_pool2d_is_the_mean_of_each_window():
    pool = AveragePool2d((2, 7, 8), 3)
    x = np.asarray(graded_spikes((2, 7, 8)))
    expected = [
        [[x[c, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].mean() for j in range(2)] for i in range(2)] for c in (0, 1)
    ]
    assert pool.out_shape == (2, 2, 2)
    np.testing.assert_allclose(pool(jnp.asarray(x)), expected, rtol=1e-5)


def test_a_chain_is_one_map_after_the_other():
    pool, dense = AveragePool2d((2, 4, 4), 2), with_values(Dense(8, 3, key=KEY))
    x = graded_spikes((2, 4, 4))
    chain = Chain(pool, dense)
    assert (chain.in_shape, chain.out_shape) == ((2, 4, 4), (3,))
    np.testing.assert_array_equal(chain(x), dense(pool(x)))
    assert chain.operations(x) == dense.operations(pool(x)) > 0
    assert chain.multiply_accumulates() == 24


def meetings(synapses, x):
    """Which inputs meet which weights: a list of pairs of values, one for each multiplication of the dense map."""
    if isinstance(synapses, Dense):
        return [(float(x[j]), float(w)) for row in synapses.weight for j, w in enumerate(row)]
    weight, x = np.asarray(synapses.weight), np.asarray(x)
    padded = np.pad(x, [(0, 0)] + [(synapses.padding,) * 2] * 2)
    pairs = []
    channels, height, width = synapses.out_shape
    for o in range(channels):
        for row in range(height):
            for column in range(width):
                for c, i, j in np.ndindex(weight.shape[1:]):
                    value = padded[c, row * synapses.stride + i, column * synapses.stride + j]
                    pairs.append((value, weight[o, c, i, j]))
    return pairs


@pytest.mark.parametrize("synapses", [DENSE, *CONVOLUTIONS], ids=_name)
def test_operations_are_counted_one_by_one(synapses):
    x = graded_spikes(synapses.in_shape)
    pairs = meetings(synapses, x)
    operations = sum(value != 0 and weight != 0 for value, weight in pairs)
    assert 0 < operations < len(pairs)
    assert float(synapses.operations(x)) == operations
    assert synapses.multiply_accumulates() == len(pairs)
    assert synapses.operations(jnp.zeros_like(x)) == 0


def test_two_spikes_that_reach_two_units_each_are_four_operations():
    synapses = eqx.tree_at(lambda s: s.weight, Dense(3, 2, key=KEY), jnp.array([[0.5, -1.0, 2.0], [1.0, 3.0, 0.0]]))
    assert synapses.operations(jnp.array([1.0, 1.0, 0.0])) == 4
    assert synapses.operations(jnp.array([0.0, 0.0, 1.0])) == 1


@pytest.mark.parametrize("synapses", [Dense(400, 300, use_bias=True, key=KEY), Conv2d((40, 5, 5), 30, 5, key=KEY)])
def test_new_weights_have_variance_one_over_fan_in(synapses):
    fan_in = np.prod(synapses.weight.shape[1:])
    for weights in (synapses.weight, synapses.redrawn(key=SPIKE_KEY).weight):
        assert float(jnp.var(weights)) * fan_in == pytest.approx(1.0, rel=0.05)
    assert bool(jnp.any(synapses.weight != synapses.redrawn(key=SPIKE_KEY).weight))


def test_redrawing_sets_biases_to_zero_and_keeps_what_has_no_weights():
    chain = Chain(AveragePool2d((1, 14, 1), 1), AveragePool2d((1, 14, 1), 1), Dense(14, 2, key=KEY))
    redrawn = chain.redrawn(key=SPIKE_KEY)
    assert redrawn.stages[0] == chain.stages[0]
    assert bool(jnp.any(redrawn.stages[2].weight != chain.stages[2].weight))
    assert not DENSE.redrawn(key=KEY).bias.any()
    assert not CONVOLUTIONS[1].redrawn(key=KEY).bias.any()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dense(0, 3, key=KEY), "Dense: in_size is 0"),
        (lambda: Conv2d((1, 4, 4), 2, 5, key=KEY), "Conv2d: height is 0"),
        (lambda: AveragePool2d((1, 4, 4), 5), "AveragePool2d: height is 0"),
        (lambda: Chain(), "Chain: it has no stages"),
        (lambda: Chain(Dense(3, 4, key=KEY), Dense(5, 2, key=KEY)), r"Chain: .*\(4,\).*\(5,\)"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()
