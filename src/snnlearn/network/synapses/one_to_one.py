"""One input for each unit."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.arrays import check_sizes, drawn, fits_into, with_weights
from snnlearn.network.synapses.base import AbstractSynapses, LoweredImage


@final
class OneToOne(AbstractSynapses):
    """Each unit has one input, that of its own place: `i = w x (+ b)`, such as a residual path.

    Args:
        shape: of the input and of the units.
        weight: broadcast to `[*shape]`: a number for all, `[channels, 1, 1]`, or one for each unit.
        bias: broadcast in the same way, or None.

    Raises:
        SnnlearnError: for a size below 1, or arrays that do not fit.

    >>> OneToOne((3,), 2.0)(jnp.arange(3.0)).tolist()
    [0.0, 2.0, 4.0]
    """

    weight: Float[Array, "..."]
    bias: Float[Array, "..."] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], weight: Any = 1.0, bias: Any = None):
        self.in_shape = tuple(shape)
        self.weight = jnp.asarray(weight, jnp.result_type(float))
        self.bias = None if bias is None else jnp.asarray(bias, jnp.result_type(float))

    def __check_init__(self):
        check_sizes("OneToOne", **{f"shape[{axis}]": size for axis, size in enumerate(self.in_shape)})
        for name in ("weight", "bias"):
            array = getattr(self, name)
            if array is not None and not fits_into(array.shape, self.in_shape):
                raise SnnlearnError(
                    f"OneToOne: {name} has shape {array.shape}, and the units {self.in_shape}; give one number, or "
                    "one for each unit"
                )

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the input."""
        return self.in_shape

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        i = self.weight * jnp.reshape(x, self.in_shape)
        return i if self.bias is None else i + self.bias

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """A convolution by kernels of one pixel, if all units of a channel have the same weight and bias."""
        each = [array for array in (self.weight, self.bias) if array is not None]
        if shape != self.in_shape or any(array.shape not in ((), (shape[0], 1, 1)) for array in each):
            return "has OneToOne synapses whose weights or biases are not one for each channel of an image"
        weight = jnp.broadcast_to(jnp.ravel(self.weight), shape[:1])
        bias = None if self.bias is None else jnp.broadcast_to(jnp.ravel(self.bias), shape[:1])
        return LoweredImage(jnp.diag(weight)[:, :, None, None], bias)

    def redrawn(self, *, key: PRNGKeyArray) -> "OneToOne":
        """See the base."""
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return with_weights(self, drawn(self.weight.shape, 1, key), bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "OneToOne":
        """See the base."""
        bias = None if self.bias is None else self.bias * after
        if shift is not None:
            bias = shift if bias is None else bias + shift
        return OneToOne(self.in_shape, self.weight * (before * jnp.asarray(after)), bias)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        return jnp.sum(((jnp.reshape(x, self.in_shape) != 0) & (self.weight != 0)).astype(x.dtype))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return math.prod(self.in_shape)
