"""Convolution and average pooling in any number of dimensions, as networks of other software have them."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.arrays import affine_bias, drawn, with_weights
from snnlearn.network.synapses.base import AbstractSynapses, AbstractWeightless


class _Windows(NamedTuple):
    """Windows that slide over the axes besides the channels."""

    in_shape: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def sides(self) -> tuple[int, ...]:
        """How many fit along each axis."""
        each = zip(self.in_shape[1:], *self[1:], strict=True)
        return tuple((side + sum(pad) - far * (size - 1) - 1) // step + 1 for side, size, step, pad, far in each)

    def check(self, owner: str) -> None:
        """Refuse those that fit nowhere."""
        axes = len(self.in_shape) - 1
        if axes < 1 or any(len(one) != axes for one in self[1:]):
            raise SnnlearnError(
                f"{owner}: in_shape {self.in_shape} has {axes} axes besides the channels; give as many sizes, strides, "
                "paddings and dilations"
            )
        if (
            min(*self.size, *self.stride, *self.dilation, 1) < 1
            or min(side for two in self.padding for side in two) < 0
        ):
            raise SnnlearnError(f"{owner}: sizes, strides and dilations must be at least 1, and paddings at least 0")
        if min(self.sides()) < 1:
            raise SnnlearnError(
                f"{owner}: the window {self.size} is larger than the padded input {self.in_shape}; make it smaller"
            )


@final
class Convolution(AbstractSynapses):
    """Cross-correlation in one or more dimensions, channels first, with groups.

    `Conv2d` is faster where it is enough.

    Args:
        in_shape: `(channels, *sides)`.
        weight: `[out_channels, channels / groups, *size]`.
        bias: `[out_channels, *ones]`, or None.
        stride: step of the kernel along each axis, ≥ 1.
        padding: zeros before and after along each axis, ≥ 0.
        dilation: distance of the kernel's entries along each axis, ≥ 1.
        groups: parts of the channels, each with its own kernels.

    Raises:
        SnnlearnError: if the shapes do not fit.

    >>> Convolution((2, 9), jnp.ones((4, 1, 3)), stride=(2,), padding=((1, 0),), dilation=(1,), groups=2).out_shape
    (4, 4)
    """

    weight: Float[Array, "out in ..."]
    bias: Float[Array, "out ..."] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: tuple[tuple[int, int], ...] = eqx.field(static=True)
    dilation: tuple[int, ...] = eqx.field(static=True)
    groups: int = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, ...],
        weight: Float[Array, "out in ..."],
        bias: Float[Array, "out ..."] | None = None,
        *,
        stride: tuple[int, ...],
        padding: tuple[tuple[int, int], ...],
        dilation: tuple[int, ...],
        groups: int = 1,
    ):
        self.weight, self.bias, self.in_shape, self.groups = weight, bias, tuple(in_shape), groups
        self.stride, self.padding, self.dilation = tuple(stride), tuple(padding), tuple(dilation)

    def __check_init__(self):
        channels, out = self.in_shape[0], self.weight.shape[0]
        if self.groups < 1 or channels % self.groups or out % self.groups:
            raise SnnlearnError(f"Convolution: {self.groups} groups do not divide {channels} channels into {out}")
        if self.weight.shape[1] != channels // self.groups:
            raise SnnlearnError(
                f"Convolution: weight has {self.weight.shape[1]} input channels; {channels} in {self.groups} groups "
                f"are {channels // self.groups}"
            )
        if self.bias is not None and self.bias.shape != (out, *(1,) * (self.weight.ndim - 2)):
            raise SnnlearnError(
                f"Convolution: bias has shape {self.bias.shape}; give one number for each of {out} kernels"
            )
        self._windows.check("Convolution")

    @property
    def _windows(self) -> _Windows:
        return _Windows(self.in_shape, self.weight.shape[2:], self.stride, self.padding, self.dilation)

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`(out_channels, *sides)`."""
        return (self.weight.shape[0], *self._windows.sides())

    def _correlate(self, x: Array, weight: Array) -> Array:
        return jax.lax.conv_general_dilated(
            jnp.reshape(x, (1, *self.in_shape)),
            weight,
            self.stride,
            self.padding,
            rhs_dilation=self.dilation,
            feature_group_count=self.groups,
        )[0]

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        i = self._correlate(x, self.weight)
        return i if self.bias is None else i + self.bias

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> AbstractSynapses:
        """See the base; what differs between the units of a channel comes after it."""
        channel = (len(self.weight), *(1,) * (self.weight.ndim - 2))
        if any(jnp.ndim(a) and jnp.shape(a) != channel for a in (after, shift) if a is not None):
            return super().affine(before, after, shift)
        gain = jnp.reshape(after, (-1, *(1,) * (self.weight.ndim - 1)))
        return with_weights(self, self.weight * (before * gain), affine_bias(self, after, shift))

    def redrawn(self, *, key: PRNGKeyArray) -> "Convolution":
        """See the base."""
        weight = drawn(self.weight.shape, math.prod(self.weight.shape[1:]), key)
        return with_weights(self, weight, None if self.bias is None else jnp.zeros_like(self.bias))

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        return jnp.sum(self._correlate((x != 0).astype(x.dtype), (self.weight != 0).astype(x.dtype)))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return math.prod(self.out_shape) * math.prod(self.weight.shape[1:])


@final
class AveragePool(AbstractWeightless):
    """The mean over windows in one or more dimensions, which may overlap and reach into a padding.

    Args:
        in_shape: `(channels, *sides)`.
        window: sides of a window, ≥ 1.
        stride: distance of the windows along each axis, ≥ 1; None is the window.
        padding: before and after along each axis, ≥ 0; None is none.
        count_padding: whether the padding counts as zeros, or not at all.

    Raises:
        SnnlearnError: if the shapes do not fit.

    >>> AveragePool((1, 4), (3,), stride=(1,), padding=((1, 1),))(jnp.arange(4.0)).tolist()
    [[0.5, 1.0, 2.0, 2.5]]
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    window: tuple[int, ...] = eqx.field(static=True)
    stride: tuple[int, ...] = eqx.field(static=True)
    padding: tuple[tuple[int, int], ...] = eqx.field(static=True)
    count_padding: bool = eqx.field(static=True)

    def __init__(
        self,
        in_shape: tuple[int, ...],
        window: tuple[int, ...],
        stride: tuple[int, ...] | None = None,
        padding: tuple[tuple[int, int], ...] | None = None,
        *,
        count_padding: bool = False,
    ):
        self.in_shape, self.window, self.count_padding = tuple(in_shape), tuple(window), count_padding
        self.stride = tuple(window if stride is None else stride)
        self.padding = ((0, 0),) * len(self.window) if padding is None else tuple(padding)

    def __check_init__(self):
        self._windows.check("AveragePool")

    @property
    def _windows(self) -> _Windows:
        return _Windows(self.in_shape, self.window, self.stride, self.padding, (1,) * len(self.window))

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """`(channels, *sides)`."""
        return (self.in_shape[0], *self._windows.sides())

    def _sums(self, x: Array) -> Array:
        window, stride, padding = (1, *self.window), (1, *self.stride), ((0, 0), *self.padding)
        return jax.lax.reduce_window(x, jnp.zeros((), x.dtype), jax.lax.add, window, stride, padding)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        x = jnp.reshape(x, self.in_shape)
        counted = math.prod(self.window) if self.count_padding else self._sums(jnp.ones_like(x))
        return self._sums(x) / counted
