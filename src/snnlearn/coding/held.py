"""Values that stay the same for some steps: what does not change is multiplied by weights only once."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import check_whole
from snnlearn.coding.checks import an_array


@final
class HeldValues(eqx.Module):
    """The input of one sample, of which each value is held for several steps: a constant current is one frame.

    A network accepts it in place of an array `[T, *shape]`, T = F · steps. A batch has a leading axis.

    Args:
        values: F frames.
        steps: for how many steps each frame is held, ≥ 1.

    Raises:
        SnnlearnError: if steps is not a whole number of at least 1.

    >>> HeldValues(jnp.array([[1.0], [3.0]]), 2).unpack().tolist()
    [[1.0], [1.0], [3.0], [3.0]]
    """

    values: Float[Array, "*B F *shape"]
    steps: int = eqx.field(static=True)

    def __check_init__(self):
        check_whole(self, at_least=1, steps=self.steps)

    def unpack(self) -> Float[Array, "T *shape"]:
        """The values of one sample in each step."""
        return jnp.repeat(self.values, self.steps, axis=0)


def hold_values(xs: Float[Array, "T *shape"], steps: int) -> HeldValues:
    """Values that stay the same for `steps` steps, each of them once. The inverse of `unpack`.

    Args:
        xs: the values of one sample in each step; of each frame the first step is taken.
        steps: for how many steps each is held, ≥ 1.

    Raises:
        SnnlearnError: if it is not an array of numbers, steps first, whose number is a multiple of `steps`.

    >>> hold_values(jnp.array([[1.0], [1.0], [3.0], [3.0]]), 2).values.tolist()
    [[1.0], [3.0]]
    """
    xs = an_array("hold_values", xs, "xs")
    check_whole("hold_values", at_least=1, steps=steps)
    if xs.ndim == 0 or len(xs) % steps:
        raise SnnlearnError(
            f"hold_values: xs has shape {xs.shape}, whose first axis is not frames of {steps} steps; give an array, "
            "steps first, of a multiple of so many"
        )
    return HeldValues(xs[::steps], steps)
