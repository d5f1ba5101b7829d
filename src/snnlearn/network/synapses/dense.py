"""All-to-all synapses."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.network.synapses.arrays import affine_bias, check_shape, check_sizes, drawn, with_weights
from snnlearn.network.synapses.base import AbstractSynapses, LoweredImage, LoweredSynapses


@final
class Dense(AbstractSynapses):
    """All-to-all: `i = W x (+ b)`.

    Args:
        in_size: inputs, ≥ 1.
        out_size: units, ≥ 1.
        use_bias: whether each unit also gets a constant current `b`, trained, 0 at first.
        key: random key of the weights `W [out_size, in_size]`.

    Raises:
        SnnlearnError: for a size below 1, or arrays of other sizes.

    >>> import jax
    >>> Dense(3, 2, key=jax.random.key(0))(jnp.ones(3)).shape
    (2,)
    """

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"] | None
    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, in_size: int, out_size: int, *, use_bias: bool = False, key: PRNGKeyArray):
        check_sizes("Dense", in_size=in_size, out_size=out_size)
        self.in_shape, self.out_shape = (in_size,), (out_size,)
        self.weight = drawn((out_size, in_size), in_size, key)
        self.bias = jnp.zeros(out_size) if use_bias else None

    def __check_init__(self):
        # Of a model file the sizes and the arrays come apart, and kernels go by the sizes.
        check_shape(self, "weight", (*self.out_shape, *self.in_shape))
        check_shape(self, "bias", self.out_shape)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " out"]:
        """See the base."""
        # In this order: under vmap the other one costs a transposed copy of the currents.
        i = jnp.ravel(x) @ self.weight.T
        return i if self.bias is None else i + self.bias

    @property
    def pairs(self) -> bool:
        """They are."""
        return True

    def lowered(self) -> LoweredSynapses:
        """See the base."""
        return LoweredSynapses(self.weight, self.bias)

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage:
        """A convolution with kernels as large as the image."""
        return LoweredImage(self.weight.reshape(-1, *shape), self.bias)

    def redrawn(self, *, key: PRNGKeyArray) -> "Dense":
        """See the base."""
        weight = drawn(self.weight.shape, self.in_shape[0], key)
        bias = None if self.bias is None else jnp.zeros_like(self.bias)
        return with_weights(self, weight, bias)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "Dense":
        """See the base."""
        gain = jnp.reshape(after, (-1, 1))
        return with_weights(self, self.weight * (before * gain), affine_bias(self, after, shift))

    def adjusted(self, gain: Float[Array, " out"], shift: Float[Array, " out"]) -> "Dense":
        """See the base."""
        return with_weights(self, self.weight * gain[:, None], None if self.bias is None else self.bias + shift)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        fan_out = jnp.sum(self.weight != 0, axis=0).astype(x.dtype)
        return jnp.sum(jnp.where(jnp.ravel(x) != 0, fan_out, 0.0))

    def multiply_accumulates(self) -> int:
        """See the base."""
        return self.in_shape[0] * self.out_shape[0]
