"""Codes that hand the data on: analog currents, recorded spikes, signals frame by frame, values in other units."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import (
    AbstractEncoder,
    AbstractOuterEncoder,
    AbstractSpikeEncoder,
    check_range,
    check_whole,
    check_window,
)
from snnlearn.coding.checks import Owner, an_array, check_number, check_part, scalar


@final
class Current(AbstractEncoder):
    """The same analog value in every step, `i_t = gain · x`; the first layer of neurons does the coding.

    Any real x is a current, so nothing is clipped.

    Args:
        num_steps: number of steps T, ≥ 1.
        gain: current per value, finite.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> Current(num_steps=2, gain=3)(jnp.array([0.5, -1.0])).tolist()
    [[1.5, -3.0], [1.5, -3.0]]
    """

    num_steps: int
    gain: float = eqx.field(converter=scalar, default=1.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    @property
    def held_steps(self) -> int:
        """All."""
        return self.num_steps

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_number(self, "a finite number", lambda x: True, gain=self.gain)

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        x = an_array(self, x)
        return jnp.broadcast_to(self.gain * x.astype(jnp.float32), (self.num_steps, *x.shape))

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class Spikes(AbstractSpikeEncoder):
    """Data that are spikes already, `[T, N]`, passed on as float32.

    Args:
        num_steps: number of steps T that every sample has, ≥ 1.
        dt: time step of the data, s.

    Raises:
        SnnlearnError: if a field is out of range, or a sample has another number of steps.

    >>> Spikes(num_steps=2)(jnp.array([[True, False, False], [False, False, True]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    num_steps: int
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *n"]:
        """See the base; deterministic."""
        x = an_array(self, x)
        self.out_shape(x.shape)
        return x.astype(jnp.float32)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """All axes but the first, which is time."""
        if in_shape[:1] != (self.num_steps,):
            raise SnnlearnError(
                f"Spikes: a sample has shape {in_shape}, expected {self.num_steps} steps first; "
                "set num_steps to the data's, or bin the data again"
            )
        return in_shape[1:]


@final
class Framewise(AbstractOuterEncoder):
    """A signal over time, each frame of which another encoder turns into its own few steps, one after the other.

    A signal `[num_frames, *n]` becomes `[num_frames · encoder.num_steps, *out]`. With `Rate(num_steps=1)` it is a
    Poisson process whose rate follows the signal, and with `Current(num_steps=1)` the signal itself.

    Args:
        encoder: the code of one frame; its num_steps is how long a frame lasts.
        num_frames: frames of the signal, ≥ 1.

    Raises:
        SnnlearnError: if num_frames is out of range, or a sample has another number of frames.

    >>> from snnlearn.coding import LinearLatency
    >>> code = Framewise(LinearLatency(num_steps=3), num_frames=2)
    >>> code(jnp.array([1.0, 0.5]), key=jax.random.key(0)).tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """

    encoder: AbstractEncoder
    num_frames: int

    def __init__(self, encoder: AbstractEncoder, num_frames: int):
        self.encoder = encoder
        self.num_frames = num_frames

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Rate(5)", encoder=self.encoder)
        check_whole(self, at_least=1, num_frames=self.num_frames)

    @property
    def num_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Steps of all frames."""
        return self.num_frames * self.encoder.num_steps

    def __call__(self, x: Shaped[Array, "F *n"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; each frame has a key of its own."""
        x = an_array(self, x)
        out = self.out_shape(x.shape)
        frames = jax.vmap(lambda frame, k: self.encoder(frame, key=k))(x, jax.random.split(key, self.num_frames))
        return frames.reshape(self.num_steps, *out)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The inner encoder's for one frame."""
        if in_shape[:1] != (self.num_frames,):
            raise SnnlearnError(
                f"Framewise: a sample has shape {in_shape}, expected {self.num_frames} frames first; "
                "set num_frames to the data's, or resample the data"
            )
        return self.encoder.out_shape(in_shape[1:])


@final
class Rescaled(AbstractOuterEncoder):
    """Another encoder on values mapped linearly from [low, high] to [0, 1], `x ← (x − low) / (high − low)`.

    A range per feature is two arrays, whose axes are the sample's last ones; `learn_range` learns it on the training
    data. A feature with `low = high` was constant there: it carries nothing, and becomes 0 whatever its value.

    Args:
        encoder: the encoder that sees the mapped values, and clips them if it clips.
        low: raw value that becomes 0, one for all features or an array.
        high: raw value that becomes 1, > low; in an array of the same shape, ≥ low.

    Raises:
        SnnlearnError: if the range is empty or not finite, or a sample does not have the range's axes.

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
        x = an_array(self, x)
        low, span = (self._like(x, bound) for bound in (self.low, self.high - self.low))
        above = x.astype(jnp.float32) - low
        return self.encoder(jnp.where(span > 0, above / jnp.where(span > 0, span, 1.0), 0.0 * above), key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The inner encoder's."""
        return self.encoder.out_shape(in_shape)

    def _like(self, x: Shaped[Array, "*shape"], bound: float | Float[Array, "..."]) -> Float[Array, "..."]:
        """A bound with the sample's number of axes."""
        bound = jnp.asarray(bound, jnp.float32)
        if bound.shape != x.shape[x.ndim - bound.ndim :]:
            raise SnnlearnError(
                f"Rescaled: a sample has shape {x.shape}, but the range {bound.shape}; learn it on samples like this"
            )
        return bound.reshape(*(1 for _ in x.shape[bound.ndim :]), *bound.shape)


def learn_range(x: np.ndarray | Array, *, axis: int | tuple[int, ...] | None = 0) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest value in training data, for `Rescaled(encoder, *learn_range(x_train))`.

    Args:
        x: the training samples, `[m, *shape]`; never the test samples.
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
    if not np.isfinite(values).all():
        raise SnnlearnError("learn_range: the data hold NaN or infinite values; remove or replace them")
    try:
        return np.asarray(values.min(axis)), np.asarray(values.max(axis))
    except (TypeError, ValueError):
        raise SnnlearnError(
            f"learn_range: axis is {shown(axis)}; give the axes of data {values.shape} that share one range, or None"
        ) from None


def bound_of(owner: Owner, value: Any, name: str) -> float | Float[Array, "..."]:
    """One number for all features stays a constant, several are an array."""
    value = scalar(value)
    return value if isinstance(value, float) else an_array(owner, value, name).astype(jnp.float32)
