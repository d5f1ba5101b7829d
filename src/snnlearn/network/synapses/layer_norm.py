"""Layer normalisation: the one map between layers that is not linear."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.base import AbstractSynapses

_LEAST = 1e-6
"""Added to the variance, as in Flax."""


@final
class LayerNorm(AbstractSynapses):
    r"""A step's input with mean 0 and variance 1 over units, then a gain: $g\,(x-\bar x)/\sqrt{s^2+10^{-6}}+b$.

    Statistics are those of one sample in one step, so that what a sample gives does not depend on the others; batch
    normalisation, which published deep LRUs use, would. Ba, Kiros & Hinton 2016, arXiv:1607.06450.

    Args:
        shape: of the input and of the units.

    Raises:
        SnnlearnError: for fewer than two units, or arrays of another shape.

    >>> LayerNorm((2,))(jnp.array([1.0, 3.0])).round(3).tolist()
    [-1.0, 1.0]
    """

    gain: Float[Array, "..."]
    bias: Float[Array, "..."]
    in_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...]):
        self.in_shape = tuple(shape)
        self.gain, self.bias = jnp.ones(self.in_shape), jnp.zeros(self.in_shape)

    def __check_init__(self):
        if self.gain.size < 2:
            raise SnnlearnError(
                f"LayerNorm: shape is {self.in_shape}; give at least two units, whose mean is subtracted"
            )
        for name in ("gain", "bias"):
            if (found := getattr(self, name).shape) != self.in_shape:
                raise SnnlearnError(f"LayerNorm: {name} has shape {found}, and the units {self.in_shape}; give that")

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the input."""
        return self.in_shape

    @property
    def linear(self) -> bool:
        """It is not."""
        return False

    @property
    def has_weights(self) -> bool:
        """False: a factor of its input would have no effect."""
        return False

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        x = jnp.reshape(x, self.in_shape)
        centred = x - jnp.mean(x)
        return self.gain * (centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred)) + _LEAST)) + self.bias

    def redrawn(self, *, key: PRNGKeyArray) -> "LayerNorm":
        """See the base: gains of 1, as at first."""
        return LayerNorm(self.in_shape)

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base: products with the gains."""
        return jnp.sum(((jnp.reshape(x, self.in_shape) != 0) & (self.gain != 0)).astype(x.dtype))

    def multiply_accumulates(self) -> int:
        """See the base: one for each unit."""
        return self.gain.size
