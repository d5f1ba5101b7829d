"""Synapses that only move their inputs: surrounded by zeros, or with axes in another order."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.base import AbstractWeightless


@final
class Padded(AbstractWeightless):
    """The input surrounded by zeros, such as one of several parts of a concatenation in its place.

    Args:
        in_shape: of the input.
        widths: of each axis, how many zeros come before and after, ≥ 0.

    Raises:
        SnnlearnError: if there are not two widths, of at least 0, for each axis.

    >>> Padded((2,), ((1, 2),))(jnp.array([3.0, 4.0])).tolist()
    [0.0, 3.0, 4.0, 0.0, 0.0]
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    widths: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def __init__(self, in_shape: tuple[int, ...], widths: tuple[tuple[int, int], ...]):
        self.in_shape, self.widths = tuple(in_shape), tuple(widths)

    def __check_init__(self):
        if len(self.widths) != len(self.in_shape) or any(len(two) != 2 or min(two) < 0 for two in self.widths):
            raise SnnlearnError(
                f"Padded: widths is {self.widths}; give two, of at least 0, for each axis of {self.in_shape}"
            )

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """With the zeros."""
        return tuple(side + sum(two) for side, two in zip(self.in_shape, self.widths, strict=True))

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return jnp.pad(jnp.reshape(x, self.in_shape), self.widths)

    @property
    def selects(self) -> bool:
        """Spikes stay spikes."""
        return True


@final
class Transposed(AbstractWeightless):
    """The input with its axes in another order, such as channels last for a `Dense` that was trained so.

    Args:
        in_shape: of the input.
        axes: the number of the axis that comes to each place.

    Raises:
        SnnlearnError: if axes is not an order of all axes.

    >>> Transposed((1, 2), (1, 0)).out_shape
    (2, 1)
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, in_shape: tuple[int, ...], axes: tuple[int, ...]):
        self.in_shape, self.axes = tuple(in_shape), tuple(axes)

    def __check_init__(self):
        if sorted(self.axes) != list(range(len(self.in_shape))):
            raise SnnlearnError(f"Transposed: axes is {self.axes}; give an order of the {len(self.in_shape)} axes")

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """In that order."""
        return tuple(self.in_shape[axis] for axis in self.axes)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return jnp.transpose(jnp.reshape(x, self.in_shape), self.axes)

    @property
    def selects(self) -> bool:
        """Spikes stay spikes."""
        return True
