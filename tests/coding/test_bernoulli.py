"""The generator of coins: independent along every axis, in every bit that is used, and the laws of JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.coding import bernoulli_spikes, packed_spikes, unpack_spikes
from snnlearn.coding.bernoulli import _counters, _stream

KEYS = jax.random.split(jax.random.key(3), 64)
PACK = jax.jit(packed_spikes, static_argnums=1)


@pytest.fixture(scope="module")
def words():
    """2¹⁴ words of each of 64 keys."""
    return np.asarray(jax.jit(jax.vmap(lambda key: _stream(key)(_counters((2**14,)))))(KEYS))


def test_every_value_of_a_word_is_as_likely(words):
    """χ² of the low and the high 16 bits over their 2¹⁶ values, 16 expected in each; both tails, 4 sigma."""
    for coins in (words & 0xFFFF, words >> 16):
        seen = np.bincount(coins.ravel(), minlength=2**16)
        statistic = ((seen - 16) ** 2 / 16).sum()
        assert 3e-5 < stats.chi2.cdf(statistic, 2**16 - 1) < 1 - 3e-5


@pytest.mark.parametrize("lag", [1, 2, 3, 28, 64, 784, 1024])
def test_neighbouring_words_are_uncorrelated(words, lag):
    low, high = (words & 0xFFFF) / 2**16 - 0.5, (words >> 16) / 2**16 - 0.5
    for a, b in [(low, low), (high, high), (low, high), (high, low)]:
        product = a[:, lag:] * b[:, :-lag]
        assert abs(12 * product.mean()) < 4 / np.sqrt(product.size)


def test_the_halves_of_a_word_and_the_words_of_two_keys_are_uncorrelated(words):
    low, high = (words & 0xFFFF) / 2**16 - 0.5, (words >> 16) / 2**16 - 0.5
    assert abs(12 * (low * high).mean()) < 4 / np.sqrt(low.size)
    between = 12 * (low @ low.T) / np.sqrt(low.shape[1])
    between = between[np.triu_indices(len(KEYS), 1)]  # 2016 standard normal numbers
    assert abs(between).max() < stats.norm.isf(3e-5 / len(between) / 2)
    assert abs(between.std() - 1) < 4 / np.sqrt(2 * len(between))


def test_interspike_intervals_are_geometric():
    """P(interval = k) = p (1 − p)^{k−1}: the first intervals, the mean, and CV² = 1 − p, in 4 standard errors."""
    p, num_steps = 0.2, 400_000
    steps = np.flatnonzero(bernoulli_spikes(jnp.array(p), num_steps, key=KEYS[0]))
    intervals = np.diff(steps)
    n = len(intervals)
    for k in range(1, 12):
        expected = p * (1 - p) ** (k - 1)
        assert abs((intervals == k).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    variance = (1 - p) / p**2
    assert abs(intervals.mean() - 1 / p) < 4 * np.sqrt(variance / n)
    fourth_moment = variance * (p**2 - 9 * p + 9) / p**2
    assert abs(intervals.var() - variance) < 4 * np.sqrt((fourth_moment - variance**2) / n)
    correlation = np.corrcoef(intervals[1:], intervals[:-1])[0, 1]
    assert abs(correlation) < 4 / np.sqrt(n)


@pytest.mark.parametrize("num_steps", [1, 32, 100])
def test_packed_spikes_are_the_same_spikes(num_steps):
    p = jnp.array([[0.0, 0.3, 1.0], [0.7, 2.0**-16, 0.5]])
    packed = PACK(p, num_steps, key=KEYS[1])
    assert packed.shape == (-(-num_steps // 32), 2, 3)
    spikes = bernoulli_spikes(p, num_steps, key=KEYS[1])
    np.testing.assert_array_equal(unpack_spikes(packed, num_steps), spikes)
    np.testing.assert_array_equal(np.bitwise_count(np.asarray(packed)).sum(0), spikes.sum(0))  # none after the last


def test_small_probabilities_are_resolved():
    """p = 2⁻¹⁷, which 16 random bits would lose or double: 50 spikes are expected."""
    spikes = bernoulli_spikes(jnp.full(2**14, 2.0**-17), 400, key=KEYS[2])
    assert abs(float(spikes.sum()) - 50) < 4 * 50**0.5


def test_nan_is_nan_as_float_and_silent_as_bits():
    p = jnp.array([jnp.nan, 1.0])
    np.testing.assert_array_equal(bernoulli_spikes(p, 3, key=KEYS[0]), [[np.nan, 1]] * 3)
    assert PACK(p, 3, key=KEYS[0]).tolist() == [[0, 7]]


def test_one_key_has_finitely_many_words():
    with pytest.raises(SnnlearnError, match="split the key"):
        jax.eval_shape(lambda: bernoulli_spikes(jnp.zeros(2**20), 2**14, key=KEYS[0]))


def test_the_derivative_is_that_of_the_expected_spike():
    p, tangent, weight = jnp.array([0.2, 0.9]), jnp.array([1.0, -2.0]), jnp.arange(6.0).reshape(3, 2)
    spikes, moved = jax.jvp(lambda p: bernoulli_spikes(p, 3, key=KEYS[0]), (p,), (tangent,))
    np.testing.assert_array_equal(spikes, bernoulli_spikes(p, 3, key=KEYS[0]))
    np.testing.assert_array_equal(moved, [[1, -2]] * 3)
    gradient = jax.grad(lambda p: (weight * bernoulli_spikes(p, 3, key=KEYS[0])).sum())(p)
    np.testing.assert_array_equal(gradient, weight.sum(0))
