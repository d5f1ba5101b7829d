"""Codes that hand the data on as they are: analog currents, recorded spikes, and values in other units."""

from __future__ import annotations

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractEncoder, check_range, check_window


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
    gain: float = eqx.field(converter=float, default=1.0)
    dt: float = eqx.field(converter=float, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        if not math.isfinite(self.gain):
            raise SnnlearnError(f"Current: gain is {self.gain}; give a finite number")

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        return jnp.broadcast_to(self.gain * x.astype(jnp.float32), (self.num_steps, *x.shape))

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


class Spikes(AbstractEncoder):
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
    dt: float = eqx.field(converter=float, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *n"]:
        """See the base; deterministic."""
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


class Rescaled(AbstractEncoder):
    """Another encoder on values mapped linearly from [low, high] to [0, 1], `x ← (x − low) / (high − low)`.

    Args:
        encoder: the encoder that sees the mapped values, and clips them if it clips.
        low: raw value that becomes 0; learn it on training data only.
        high: raw value that becomes 1, > low.

    Raises:
        SnnlearnError: if the range is empty.

    >>> import jax
    >>> Rescaled(Current(num_steps=1), low=0, high=255)(
    ...     jnp.array([0, 51, 255], jnp.uint8), key=jax.random.key(0)
    ... ).tolist()
    [[0.0, 0.2..., 1.0]]
    """

    encoder: AbstractEncoder
    low: float
    high: float

    def __init__(self, encoder: AbstractEncoder, low: float | int, high: float | int):
        self.encoder = encoder
        self.low = float(low)
        self.high = float(high)

    def __check_init__(self):
        check_range(self, self.low, self.high)

    @property
    def num_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # the inner encoder's
        """Steps of the inner encoder."""
        return self.encoder.num_steps

    @property
    def dt(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Time step of the inner encoder, s."""
        return self.encoder.dt

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; the key goes to the inner encoder."""
        return self.encoder((x.astype(jnp.float32) - self.low) / (self.high - self.low), key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The inner encoder's."""
        return self.encoder.out_shape(in_shape)
