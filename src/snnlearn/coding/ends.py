"""Where a sample ends, and what comes after: in x as `data.with_lengths` marks it, in time steps as a number."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlearn.data.ends import NO_SPIKE_NOR_SILENCE


def length_of(x: Shaped[Array, "T *n"], *, spikes: bool = False) -> Int[Array, ""]:
    """The number of steps before the end of one sample, whose later steps are NaN, in spikes 255, in all channels.

    A sample of NaN alone has no end: it is unknown, not over.

    Args:
        x: the sample.
        spikes: whether it is spikes.

    >>> length_of(jnp.array([[1.0], [jnp.nan], [2.0], [jnp.nan]])).item()
    3
    """
    x = jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.floating):
        marked = jnp.isnan(x)
    elif spikes and x.dtype == jnp.uint8:
        marked = x == NO_SPIKE_NOR_SILENCE
    else:
        return jnp.asarray(len(x), jnp.int32)
    there = ~jnp.all(marked.reshape(len(x), -1), axis=1)
    last = jnp.max(jnp.where(there, jnp.arange(1, len(x) + 1, dtype=jnp.int32), 0))
    return jnp.where(last > 0, last, len(x))


def goes_on(num_steps: int, length: Int[Array, ""]) -> Bool[Array, " T"]:
    """Whether a sample goes on in each step.

    >>> goes_on(3, jnp.array(2)).tolist()
    [True, True, False]
    """
    return jnp.arange(num_steps, dtype=length.dtype) < length


def until(xs: Shaped[Array, "T *n"], length: Int[Array, ""], filling: float = 0.0) -> Shaped[Array, "T *n"]:
    """A signal with another value in all steps after a sample's end, whatever it holds there, even NaN.

    >>> until(jnp.array([1.0, 2.0, jnp.nan]), jnp.array(2)).tolist()
    [1.0, 2.0, 0.0]
    """
    there = goes_on(len(xs), length).reshape(-1, *(1,) * (xs.ndim - 1))
    return jnp.where(there, xs, jnp.asarray(filling, xs.dtype))


def over_and_over(xs: Shaped[Array, "T *n"], length: Int[Array, ""]) -> Shaped[Array, "T *n"]:
    """A signal that begins again after its end, for statistics of its own steps alone.

    >>> over_and_over(jnp.array([1.0, 2.0, 0.0]), jnp.array(2)).tolist()
    [1.0, 2.0, 1.0]
    """
    return xs[jnp.arange(len(xs), dtype=length.dtype) % length]


def ending_last(xs: Float[Array, "T *n"], length: Int[Array, ""]) -> Float[Array, "T *n"]:
    """A signal moved to later steps, so that it ends with the last; before it there is 0.

    >>> ending_last(jnp.array([1.0, 2.0, jnp.nan]), jnp.array(2)).tolist()
    [0.0, 1.0, 2.0]
    """
    return jnp.roll(until(xs, length), len(xs) - length, axis=0)
