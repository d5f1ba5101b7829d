"""A scikit-learn transformer from features to spikes, for pipelines, cross-validation and searches.

>>> import numpy as np
>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> from snnlearn.coding import RegularRate
>>> x, y = np.array([[0.0, 9.0], [1.0, 7.0], [8.0, 1.0], [9.0, 0.0]]), np.array([0, 0, 1, 1])
>>> counts = SpikeEncoder(RegularRate(num_steps=50), counts=True)
>>> make_pipeline(counts, LogisticRegression()).fit(x, y).predict([[7.0, 2.0]]).tolist()
[1]
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags, TransformerTags
from sklearn.utils.validation import check_is_fitted, validate_data

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.rescaled import Rescaled, learn_range


class SpikeEncoder(TransformerMixin, BaseEstimator):
    """Encode samples, after mapping each feature from its range in the training data to [0, 1].

    The encoder clips later values outside the range; a feature that was constant in training becomes 0.
    The spikes of a sample depend on `random_state` and on its place in the array.

    Args:
        encoder: the code of one sample.
        rescale: whether `fit` learns a range per feature; False passes the values on unchanged.
        counts: whether to return the spikes of each unit summed over time, `[m, N]`, and not `[m, T, *out]`.
        random_state: seed of the code, a whole number ≥ 0.

    Attributes:
        encoder_: the encoder with the learned range, after `fit`.

    Raises:
        SnnlearnError: on a sample that the encoder does not take.
        ValueError: from scikit-learn, on NaN, infinite or empty data, or another number of features than in `fit`.

    >>> from snnlearn.coding import LinearLatency
    >>> code = SpikeEncoder(LinearLatency(num_steps=3))
    >>> code.fit(np.array([[-5.0], [5.0]])).transform(np.array([[5.0], [0.0]])).squeeze().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    # scikit-learn sets parameters first, whatever they are, and checks them in `fit`.
    def __init__(self, encoder: Any, *, rescale: Any = True, counts: Any = False, random_state: Any = 0):
        self.encoder = encoder
        self.rescale = rescale
        self.counts = counts
        self.random_state = random_state

    def fit(self, X: Any, y: object = None) -> SpikeEncoder:
        """Learn the ranges of the features.

        Args:
            X: training samples, `[m, *shape]`.
            y: ignored.
        """
        if not isinstance(self.encoder, AbstractEncoder):
            raise SnnlearnError(f"SpikeEncoder: encoder is {self.encoder!r}; give an encoder, such as Rate(100)")
        X = self._validated(X, reset=True)
        self.encoder_ = Rescaled(self.encoder, *learn_range(X)) if self.rescale else self.encoder
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode samples.

        Args:
            X: samples, `[m, *shape]`.

        Returns:
            Spikes `[m, T, *out]`, or counts `[m, N]`, float32.
        """
        check_is_fitted(self)
        X = self._validated(X, reset=False)
        return np.asarray(_encode(self.encoder_, jnp.asarray(X), jax.random.key(self.random_state), bool(self.counts)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags(preserves_dtype=["float32"])
        return tags

    def _validated(self, X: Any, *, reset: bool) -> np.ndarray:
        return validate_data(self, X, reset=reset, allow_nd=True, dtype=np.float32)  # pyright: ignore  # an array


@eqx.filter_jit
def _encode(encoder: AbstractEncoder, xs: Array, key: PRNGKeyArray, counts: bool) -> Float[Array, "m ..."]:
    """Encode a few samples at a time, so that counts never need all spikes at once."""

    def one(sample: tuple[Array, PRNGKeyArray]) -> Array:
        spikes = encoder(sample[0], key=sample[1])
        return spikes.sum(axis=0).ravel() if counts else spikes

    return jax.lax.map(one, (xs, jax.random.split(key, len(xs))), batch_size=256)
