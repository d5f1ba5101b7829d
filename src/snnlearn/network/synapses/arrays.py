"""The weights and biases that synapses of several kinds share."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.base import AbstractSynapses


def drawn(shape: tuple[int, ...], fan_in: int, key: PRNGKeyArray) -> Array:
    """Random weights: normal, mean 0, variance 1 / fan-in."""
    return jax.random.normal(key, shape) / math.sqrt(fan_in)


def with_weights(synapses: Any, weight: Array, bias: Array | None) -> Any:
    """Synapses with another weight and bias."""
    return eqx.tree_at(lambda s: (s.weight, s.bias), synapses, (weight, bias), is_leaf=lambda leaf: leaf is None)


def affine_bias(synapses: Any, after: Any, shift: Array | None) -> Array | None:
    """The bias of `after · f(x) + shift`."""
    bias = None if synapses.bias is None else synapses.bias * after
    if shift is None:
        return bias
    shape = (len(synapses.weight),) + (1,) * (synapses.weight.ndim - 2)
    return jnp.zeros(shape, synapses.weight.dtype) + shift + (0.0 if bias is None else bias)


def check_sizes(owner: str, **sizes: int) -> None:
    """Refuse sizes below 1, by name."""
    for name, size in sizes.items():
        if size < 1:
            raise SnnlearnError(f"{owner}: {name} is {size}; a layer needs at least one unit in each dimension")


def check_shape(synapses: AbstractSynapses, name: str, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape, in the field of this name; None will do."""
    array = getattr(synapses, name)
    if array is not None and jnp.shape(array) != shape:
        raise SnnlearnError(
            f"{type(synapses).__name__}: {name} has shape {jnp.shape(array)}, and from {synapses.in_shape} to "
            f"{synapses.out_shape} it is {shape}; give that"
        )


def fits_into(shape: tuple[int, ...], units: tuple[int, ...]) -> bool:
    """Whether an array of this shape can be broadcast to the units."""
    try:
        return jnp.broadcast_shapes(shape, units) == units
    except ValueError:
        return False
