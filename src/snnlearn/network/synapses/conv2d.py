"""Two-dimensional convolution, in the form that is fast within loops."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.network.synapses.arrays import affine_bias, check_shape, check_sizes, drawn, with_weights
from snnlearn.network.synapses.base import AbstractSynapses, LoweredImage


@final
class Conv2d(AbstractSynapses):
    """Two-dimensional cross-correlation with a square kernel, channels first.

    Args:
        in_shape: `(channels, height, width)`.
        channels: output channels, ≥ 1.
        kernel_size: side of the kernel, ≥ 1.
        stride: step of the kernel, ≥ 1.
        padding: zeros added on each side, ≥ 0.
        use_bias: whether each output channel also gets a constant current, trained, 0 at first.
        key: random key of the weights `[channels, in_channels, kernel_size, kernel_size]`.

    Raises:
        SnnlearnError: for a size below 1, a kernel larger than the padded image, or arrays of other sizes.

    >>> import jax
    >>> Conv2d((1, 8, 8), 4, 3, padding=1, key=jax.random.key(0)).out_shape
    (4, 8, 8)
    """

    weight: Float[Array, "out in k k"]
    bias: Float[Array, "out 1 1"] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    stride: int = eqx.field(static=True)
    padding: int = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, int, int],
        channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        use_bias: bool = False,
        key: PRNGKeyArray,
    ):
        in_channels, height, width = in_shape
        out_height, out_width = ((side + 2 * padding - kernel_size) // stride + 1 for side in (height, width))
        check_sizes(
            "Conv2d", channels=channels, kernel_size=kernel_size, stride=stride, height=out_height, width=out_width
        )
        self.in_shape, self.out_shape = tuple(in_shape), (channels, out_height, out_width)
        self.stride, self.padding = stride, padding
        self.weight = drawn((channels, in_channels, kernel_size, kernel_size), in_channels * kernel_size**2, key)
        self.bias = jnp.zeros((channels, 1, 1)) if use_bias else None

    def __check_init__(self):
        channels, size = self.out_shape[0], self.weight.shape[-1]
        check_shape(self, "weight", (channels, self.in_shape[0], size, size))
        check_shape(self, "bias", (channels, 1, 1))

    def _correlate(self, x: Array, weight: Array) -> Array:
        """One matrix product of all windows with all kernels.

        XLA's own convolution is several times slower on CPU inside a compiled loop, which is where trainings run.
        """
        channels, height, width = self.out_shape
        size = weight.shape[-1]
        x = jnp.pad(jnp.moveaxis(jnp.reshape(x, self.in_shape), 0, -1), [(self.padding, self.padding)] * 2 + [(0, 0)])
        rows, columns = (slice(0, self.stride * (side - 1) + 1, self.stride) for side in (height, width))
        windows = [x[row:, column:][rows, columns] for row in range(size) for column in range(size)]
        kernels = jnp.reshape(jnp.transpose(weight, (2, 3, 1, 0)), (-1, channels))
        return jnp.moveaxis(jnp.concatenate(windows, axis=-1) @ kernels, -1, 0)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "out height width"]:
        """See the base."""
        i = self._correlate(x, self.weight)
        return i if self.bias is None else i + self.bias

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """See the base."""
        if shape != self.in_shape:
            return f"takes images of shape {self.in_shape} and gets {shape}"
        bias = None if self.bias is None else self.bias[:, 0, 0]
        return LoweredImage(self.weight, bias, stride=self.stride, padding=self.padding)

    def redrawn(self, *, key: PRNGKeyArray) -> "Conv2d":
        """See the base."""
        weight = drawn(self.weight.shape, math.prod(self.weight.shape[1:]), key)
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return with_weights(self, weight, bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> AbstractSynapses:
        """See the base; what differs between the units of a channel comes after it."""
        if any(jnp.ndim(a) and jnp.shape(a) != (len(self.weight), 1, 1) for a in (after, shift) if a is not None):
            return super().affine(before, after, shift)
        gain = jnp.reshape(after, (-1, 1, 1, 1))
        return with_weights(self, self.weight * (before * gain), affine_bias(self, after, shift))

    def adjusted(self, gain: Float[Array, "out height width"], shift: Float[Array, "out height width"]) -> "Conv2d":
        """The units of a channel share its weights: they get their geometric mean, and the mean of the shifts."""
        gains = jnp.exp(jnp.mean(jnp.log(gain), axis=(1, 2)))[:, None, None, None]
        shifts = jnp.mean(shift, axis=(1, 2), keepdims=True)
        return with_weights(self, self.weight * gains, None if self.bias is None else self.bias + shifts)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        return jnp.sum(self._correlate((x != 0).astype(x.dtype), (self.weight != 0).astype(x.dtype)))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return math.prod(self.out_shape) * math.prod(self.weight.shape[1:])
