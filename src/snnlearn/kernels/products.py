"""Products of spikes with matrices, for rules that go through time step by step: silent units cost nothing.

Arrays over time are `[K, B, …]`, steps first and then samples; packed spikes have words `[W, B, …]`. The units of a
step may have any shape, such as that of an image: here they become the single axis of a matrix. Each product is
defined by a line of JAX, which is used wherever the compiled kernels cannot be: in double precision, on other devices,
or if they are switched off. The kernels' results have no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.coding.held import HeldValues
from snnlearn.coding.packed import PackedSpikes, pack_spikes
from snnlearn.kernels.library import why_plain

BLOCK, PAD = 64, 16  # as in cpp/chain.hpp

Activity = Float[Array, "K B ..."] | PackedSpikes | HeldValues
"""Numbers in each step, or spikes, on which the kernels are used, or numbers that stay the same for some steps."""


def known_spikes(xs: Float[Array, "K B ..."]) -> Float[Array, "K B ..."] | PackedSpikes | HeldValues:
    """Numbers that are known to be 0 or 1: packed, if the kernels can be used."""
    return pack_spikes(xs) if _serves(xs) else xs


def currents(
    weight: Float[Array, "units in"],
) -> Callable[[Float[Array, "K B ..."] | PackedSpikes], Float[Array, "K B units"]]:
    r"""The map of spikes to currents, $i^k_b=Wx^k_b$, for spikes only, as numbers or packed.

    The weights come first, so they are laid out once for many steps.

    Raises:
        SnnlearnError: from the map, if a step of its spikes has another size than the weights take.
    """
    units, inputs = weight.shape
    if not _serves(weight):
        return lambda xs: numbers(_flat(xs, inputs)) @ weight.T
    width, lost = _width(units), unless_finite(weight)[None, None]
    rows = jnp.pad(weight.T, ((0, 0), (0, -units % width)))
    blocks = jnp.swapaxes(rows.reshape(len(rows), -1, width), 0, 1)

    def of(xs: Float[Array, "K B ..."] | PackedSpikes) -> Float[Array, "K B units"]:
        xs = _flat(xs, inputs)
        x, num_steps = (xs.words, xs.num_steps) if isinstance(xs, PackedSpikes) else (xs, len(xs))
        out = jax.ShapeDtypeStruct((num_steps, x.shape[1], rows.shape[1]), jnp.float32)
        call = jax.ffi.ffi_call("snnlearn_currents", out, vmap_method="sequential")
        return call(x, blocks, num_steps=np.int64(num_steps))[..., :units] + lost

    return of


def unless_finite(weight: Float[Array, "units in"]) -> Float[Array, " units"]:
    """0 for a unit whose weights are finite, NaN for any other: their product with silent inputs.

    Kernels skip silent inputs. This is added to their currents, so a diverged training shows in them as it does without
    kernels; an infinite weight counts as NaN even where its input spikes.
    """
    return jnp.sum(0 * weight, axis=1)


def outer(xs: Activity, errors: Float[Array, "K B units"]) -> Float[Array, "in units"]:
    r"""The transpose, which gives the gradient of the weights from errors, $\sum_{k,b}x^k_b(\delta^k_b)^\top$."""
    xs, errors = once(_flat(xs), errors)
    if not (isinstance(xs, PackedSpikes) and _serves(errors)):
        x = numbers(xs)
        return x.reshape(-1, x.shape[-1]).T @ errors.reshape(-1, errors.shape[-1])
    inputs, units = xs.words.shape[-1], errors.shape[-1]
    width = _width(units)
    errors = jnp.pad(errors, ((0, 0), (0, 0), (0, -units % width)))
    out = jax.ShapeDtypeStruct((errors.shape[-1] // width, inputs, width), jnp.float32)
    call = jax.ffi.ffi_call("snnlearn_outer", out, vmap_method="sequential")
    found = call(xs.words, errors, num_steps=np.int64(xs.num_steps))
    return jnp.swapaxes(found, 0, 1).reshape(inputs, -1)[:, :units]


def once(
    xs: Activity, errors: Float[Array, "K B ..."]
) -> tuple[Float[Array, "F B ..."] | PackedSpikes, Float[Array, "F B ..."]]:
    """Each held value once, with the sum of the errors of its steps; anything else as it is."""
    if not isinstance(xs, HeldValues):
        return xs, errors
    return xs.values, jnp.sum(errors.reshape(-1, xs.steps, *errors.shape[1:]), axis=1)


_A = TypeVar("_A", bound=Activity)


def _flat(xs: _A, size: int | None = None) -> _A:
    """The same with the units of a step in one axis, of this size if it is given."""

    def flat(a: Array) -> Array:
        a = a.reshape(*a.shape[:2], math.prod(a.shape[2:]))
        if size not in (None, a.shape[2]):
            raise SnnlearnError(f"the weights take {size} inputs and got {a.shape[2]} in a step; give {size}")
        return a

    return jax.tree.map(flat, xs)


def numbers(xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues) -> Float[Array, "K B ..."]:
    """The numbers of each step: of spikes, 0 or 1."""
    return xs.unpack() if isinstance(xs, (PackedSpikes, HeldValues)) else xs


def _serves(array: Array) -> bool:
    return array.dtype == jnp.float32 and array.size > 0 and why_plain() is None


def _width(units: int) -> int:
    return min(BLOCK, units + -units % PAD)
