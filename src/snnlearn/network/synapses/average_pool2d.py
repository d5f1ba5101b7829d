"""Two-dimensional average pooling, in the form that is fast within loops."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.network.synapses.arrays import check_sizes
from snnlearn.network.synapses.base import AbstractWeightless, LoweredImage


@final
class AveragePool2d(AbstractWeightless):
    """The mean over square windows that do not overlap; it has no weights. Rows and columns left over are dropped.

    Args:
        in_shape: `(channels, height, width)`.
        window: side of a window, ≥ 1.

    Raises:
        SnnlearnError: for a size below 1, a window larger than the image, or another shape of the input.

    >>> AveragePool2d((4, 9, 9), 2).out_shape
    (4, 4, 4)
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    window: int = eqx.field(static=True)

    def __init__(self, in_shape: tuple[int, int, int], window: int):
        check_sizes("AveragePool2d", window=window)
        channels, height, width = in_shape
        check_sizes("AveragePool2d", height=height // window, width=width // window)
        self.in_shape, self.out_shape = tuple(in_shape), (channels, height // window, width // window)
        self.window = window

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "channels height width"]:
        """See the base."""
        channels, height, width = self.out_shape
        x = jnp.reshape(x, self.in_shape)[:, : height * self.window, : width * self.window]
        return jnp.mean(jnp.reshape(x, (channels, height, self.window, width, self.window)), axis=(2, 4))

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """See the base."""
        if shape != self.in_shape:
            return f"takes images of shape {self.in_shape} and gets {shape}"
        return LoweredImage(None, window=self.window)
