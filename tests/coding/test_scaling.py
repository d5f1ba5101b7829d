"""Scalings learned on training data, against NumPy and scikit-learn; constant features; what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from snnlearn._errors import SnnlearnError
from snnlearn.coding import CentredScaling, Current, QuantileScaling, RangeScaling, StandardScaling

X = np.random.default_rng(0).normal(3.0, [0.1, 1.0, 50.0], (40, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("scaling", "oracle"), [(StandardScaling(), StandardScaler()), (RangeScaling(), MinMaxScaler())]
)
def test_features_are_scaled_as_by_scikit_learn(scaling, oracle):
    code = scaling.learned(Current(num_steps=1), X[:30])
    found = np.stack([code(jnp.asarray(x), key=jax.random.key(0))[0] for x in X[30:]])
    np.testing.assert_allclose(found, oracle.fit(X[:30]).transform(X[30:]), rtol=1e-4, atol=1e-4)


def test_centred_features_keep_what_they_have_of_the_common_spread():
    x = np.random.default_rng(2).normal([10.0, 0.0], [1.0, 5.0], (200, 2))
    low, high = CentredScaling().bounds(x)
    z = (x - low) / (high - low)
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(z.std(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(z.std(axis=0)[1] / z.std(axis=0)[0], x[:, 1].std() / x[:, 0].std(), rtol=1e-5)
    np.testing.assert_array_equal(CentredScaling().bounds(x, axis=None), StandardScaling().bounds(x, axis=None))


def test_quantiles_are_numpys_and_extreme_values_squeeze_none_else():
    x = np.concatenate([X, [[1e6, 1e6, 1e6]]]).astype(np.float32)
    low, high = QuantileScaling(0.05).bounds(x)
    np.testing.assert_allclose((low, high), np.quantile(x.astype(float), (0.05, 0.95), axis=0), rtol=1e-6)
    assert high.max() < 200


def test_channels_of_series_share_a_scale_over_time():
    series = np.random.default_rng(1).normal([0.0, 10.0], [1.0, 3.0], (20, 15, 2)).astype(np.float32)
    low, high = StandardScaling().bounds(series, axis=(0, 1))
    np.testing.assert_allclose(low, series.mean((0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(high - low, series.std((0, 1)), rtol=1e-4)


@pytest.mark.parametrize("scaling", [StandardScaling(), CentredScaling(), RangeScaling(), QuantileScaling()])
@pytest.mark.parametrize("constant", [0.0, 7.0, 1e7])
def test_a_constant_feature_carries_nothing(scaling, constant):
    x = np.stack([np.arange(5), np.full(5, constant)], axis=1).astype(np.float32)
    code = scaling.learned(Current(num_steps=1), x)
    out = code(jnp.array([2.0, 123.0]), key=jax.random.key(0))[0]
    assert np.isfinite(out).all() and out[1] == 0


@pytest.mark.parametrize("scaling", [StandardScaling(), CentredScaling(), RangeScaling(), QuantileScaling()])
def test_what_cannot_be_scaled_is_refused(scaling):
    for x, sentence in ((np.zeros((0, 2)), "empty"), (np.array([[np.nan]]), "NaN")):
        with pytest.raises(SnnlearnError, match=sentence):
            scaling.bounds(x)


@pytest.mark.parametrize("share", [-0.1, 0.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SnnlearnError, match="share"):
        QuantileScaling(share)
