"""Codes that pass the data on: analog currents and recorded spikes."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import (
    AbstractEncoder,
    AbstractSpikeEncoder,
    check_window,
)
from snnlearn.coding.checks import an_array, check_number, scalar
from snnlearn.coding.ends import length_of, until


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

    @property
    def range(self) -> None:
        """Any."""
        return None

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def of_frame(self) -> Current:
        """See the base: all steps are alike."""
        return replace(self, num_steps=1)

    def inverse(self) -> str:
        """See the base."""
        return "Current gives no spikes to be read: its values are the input itself, times the gain"

    def bits(self, in_shape: tuple[int, ...]) -> str:
        """See the base."""
        return "it gives no spikes"

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class Spikes(AbstractSpikeEncoder):
    """Data that already are spikes, `[T, N]`, passed on as float32.

    Args:
        num_steps: number of steps T that every sample has, ≥ 1.
        dt: time step of the data, s.

    Raises:
        SnnlearnError: if a field is out of range, or a sample has another number of steps.

    >>> Spikes(num_steps=2)(jnp.array([[True, False, False], [False, False, True]])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """

    takes_spikes: ClassVar[bool] = True
    num_steps: int
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *n"]:
        """See the base; deterministic."""
        x = an_array(self, x)
        self.out_shape(x.shape)
        return until(x.astype(jnp.float32), self.length(x))

    def length(self, x: Shaped[Array, "T *n"]) -> Int[Array, ""]:
        """See the base; the mark is 255 in spikes of one byte, and NaN in floats."""
        return length_of(x, spikes=True)

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def of_frame(self) -> Current:
        """See the base: the spikes of one step, passed on."""
        return Current(num_steps=1, dt=self.dt)

    def inverse(self) -> str:
        """See the base."""
        return "Spikes passes on spikes, so there is nothing to decode"

    def bits(self, in_shape: tuple[int, ...]) -> str:
        """See the base."""
        return "its spikes are the data"

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """All axes but the first, which is time."""
        if in_shape[:1] != (self.num_steps,):
            raise SnnlearnError(
                f"Spikes: a sample has shape {in_shape}, expected {self.num_steps} steps first; "
                "set num_steps to the data's, or bin the data again"
            )
        return in_shape[1:]
