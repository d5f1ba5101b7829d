"""Values of any range, mapped to [0, 1] for another code."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import (
    AbstractEncoder,
    AbstractOuterEncoder,
    AbstractReconstruction,
    check_range,
)
from snnlearn.coding.bits import bits_per_value
from snnlearn.coding.checks import Owner, an_array, check_part, known_array, over_time, scalar
from snnlearn.data.ends import filled, lengths_of


@final
class Rescaled(AbstractOuterEncoder):
    """An encoder of values mapped linearly from [low, high] to [0, 1], `x ← (x − low) / (high − low)`.

    A range per feature is two arrays, whose axes are the sample's last ones; `learn_range` learns it on the training
    data. A feature with `low = high` was constant there: it carries no information, and always becomes 0.

    Args:
        encoder: the encoder that sees the mapped values, and clips them if it clips.
        low: raw value that becomes 0, one for all features or an array.
        high: raw value that becomes 1, > low; in an array of the same shape, ≥ low.

    Raises:
        SnnlearnError: if the range is empty or not finite, or a sample does not have the range's axes.

    >>> import jax
    >>> from snnlearn.coding import Current
    >>> Rescaled(Current(num_steps=1), low=0, high=255)(
    ...     jnp.array([0, 51, 255], jnp.uint8), key=jax.random.key(0)
    ... ).tolist()
    [[0.0, 0.2..., 1.0]]
    >>> Rescaled(Current(num_steps=1), low=jnp.array([0.0, 5.0]), high=jnp.array([10.0, 5.0]))(
    ...     jnp.array([4.0, 7.0]), key=jax.random.key(0)
    ... ).tolist()
    [[0.4..., 0.0]]
    """

    encoder: AbstractEncoder
    low: float | Float[Array, "..."]
    high: float | Float[Array, "..."]

    def __init__(
        self,
        encoder: AbstractEncoder,
        low: float | int | np.number | np.ndarray | Array,
        high: float | int | np.number | np.ndarray | Array,
    ):
        self.encoder = encoder
        self.low, self.high = bound_of(self, low, "low"), bound_of(self, high, "high")

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Rate(100)", encoder=self.encoder)
        if isinstance(self.low, float) and isinstance(self.high, float):
            check_range(self, self.low, self.high)
            return
        if np.shape(self.low) != np.shape(self.high):
            raise SnnlearnError(
                f"Rescaled: low has shape {np.shape(self.low)} and high {np.shape(self.high)}; give both the same"
            )
        span = np.asarray(self.high) - np.asarray(self.low)
        if not (np.isfinite(span).all() and (span >= 0).all()):
            raise SnnlearnError("Rescaled: give finite low ≤ high for each feature; learn_range learns them")

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; the key goes to the inner encoder."""
        return self.encoder(self._mapped(x), key=key)

    @property
    def range(self) -> tuple[float, float]:
        """Of all features."""
        return float(np.min(self.low)), float(np.max(self.high))

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*out"] | None:
        """The inner encoder's."""
        return self.encoder.probability(self._mapped(x))

    def inverse(self) -> AbstractReconstruction | str:
        """The inner encoder's, mapped back."""
        inner = self.encoder.inverse()
        return inner if isinstance(inner, str) else InverseRescaled(inner, self.low, self.high)

    def bits(self, in_shape: tuple[int, ...]) -> float:
        """The inner encoder's."""
        return bits_per_value(self.encoder, in_shape)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The inner encoder's."""
        return self.encoder.out_shape(in_shape)

    def _mapped(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The sample, in [0, 1] where it is in the range."""
        x = an_array(self, x)
        low, span = (self._like(x, bound) for bound in (self.low, self.high - self.low))
        above = x.astype(jnp.float32) - low
        return jnp.where(span > 0, above / jnp.where(span > 0, span, 1.0), 0.0 * above)

    def _like(self, x: Shaped[Array, "*shape"], bound: float | Float[Array, "..."]) -> Float[Array, "..."]:
        """A bound with the sample's number of axes."""
        bound = jnp.asarray(bound, jnp.float32)
        if bound.shape != x.shape[x.ndim - bound.ndim :]:
            raise SnnlearnError(
                f"Rescaled: a sample has shape {x.shape}, but the range {bound.shape}; learn it on samples like this"
            )
        return bound.reshape(*(1 for _ in x.shape[bound.ndim :]), *bound.shape)


@final
class InverseRescaled(AbstractReconstruction):
    """An inverse whose values in [0, 1] are mapped back to `[low, high]`, `x̂ = low + (high − low) x̂₀₁`.

    Args:
        inverse: the inverse of the code of the mapped values.
        low: value of 0, a number or an array whose axes are the values' last ones.
        high: value of 1, alike.

    Raises:
        SnnlearnError: if a field is not that, or a bound is not finite.

    >>> from snnlearn.coding import InverseRate
    >>> InverseRescaled(InverseRate(max_rate=1000), low=-1.0, high=3.0)(jnp.array([[1.0], [0.0]])).tolist()
    [1.0]
    """

    inverse: AbstractReconstruction
    low: float | Float[Array, "..."] = eqx.field(converter=scalar)
    high: float | Float[Array, "..."] = eqx.field(converter=scalar)

    def __check_init__(self):
        check_part(self, AbstractReconstruction, "an inverse, such as InverseRate()", inverse=self.inverse)
        for name, bound in (("low", self.low), ("high", self.high)):
            known_array(self, bound, name, shape="a number for each feature", axes=())

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*x"]:
        """See the base."""
        spikes = over_time(self, spikes)
        x = self.inverse(spikes)
        low, high = (jnp.asarray(bound, x.dtype) for bound in (self.low, self.high))
        return jnp.broadcast_to(low, x.shape) + jnp.broadcast_to(high - low, x.shape) * x


def learn_range(x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value in training data, for `Rescaled(encoder, *learn_range(x_train))`.

    Args:
        x: the training samples, `[m, *shape]`; never the test samples. What comes after a sample's end is left out.
        axis: axes that share one range: 0, the samples, for a range per feature; (0, 1) for one per channel of
            signals `[m, T, n]`; None for one range of all.

    Returns:
        low and high, float32, of the shape of the other axes.

    Raises:
        SnnlearnError: if there are no samples, or they hold NaN or infinite values.

    >>> low, high = learn_range(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> low.tolist(), high.tolist()
    ([1.0, 5.0], [3.0, 5.0])
    """
    values = np.asarray(an_array("learn_range", x), np.float32)
    if values.size == 0:
        raise SnnlearnError(f"learn_range: the data of shape {values.shape} are empty; give at least one sample")
    if not np.isfinite(filled(values, 0.0)).all():
        raise SnnlearnError("learn_range: the data hold NaN or infinite values; remove or replace them")
    try:
        if lengths_of(values) is not None:  # fmin and fmax pass over NaN
            return np.asarray(np.fmin.reduce(values, axis)), np.asarray(np.fmax.reduce(values, axis))
        return np.asarray(values.min(axis)), np.asarray(values.max(axis))
    except (TypeError, ValueError):
        raise SnnlearnError(
            f"learn_range: axis is {shown(axis)}; give the axes of data {values.shape} that share one range, or None"
        ) from None


def bound_of(owner: Owner, value: Any, name: str) -> float | Float[Array, "..."]:
    """One number for all features stays a constant, several are an array."""
    value = scalar(value)
    return value if isinstance(value, float) else an_array(owner, value, name).astype(jnp.float32)
