r"""All time steps at once, of a neuron whose next state is affine in its state: $s^t=A\,s^{t-1}+b(i^t)$.

$A$ and $b$ are derived from the neuron's step. An associative scan (Blelloch 1990) over
$(A,b)\circ(A',b')=(A'A,A'b+b')$ gives the states; as $A$ is the same in every step, only its powers $A^{2^k}$ are ever
needed. The step itself then makes outputs of them, so they may be any function, such as spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add, mul
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Step = Callable[[Any, Any], tuple[Array, Any]]
"""A neuron, or its step."""

Matrix = Sequence[Sequence[Float[Array, "*units"]]]
"""For each unit a matrix between the S numbers of its state, by rows."""


def all_steps_of(step: Step, currents: Any, state: Any) -> tuple[Array, Any]:
    """The outputs of all steps, and the state after each.

    A core is fastest in a loop over numbers that stay in its cache; whatever has thousands of them, by the scan.

    Args:
        step: an affine neuron.
        currents: of each step, `[T, *units]`, or a dict of them.
        state: before the first step.
    """
    return jax.lax.platform_dependent(currents, state, cpu=partial(in_a_loop, step), default=partial(at_once, step))


def in_a_loop(step: Step, currents: Any, state: Any) -> tuple[Array, Any]:
    """Step by step, as the definition says."""

    def advance(state, current):
        output, state = step(current, state)
        return state, (output, state)

    return jax.lax.scan(advance, state, currents)[1]


def at_once(step: Step, currents: Any, state: Any) -> tuple[Array, Any]:
    """By an associative scan: the same up to rounding."""
    reals, others = eqx.partition(state, eqx.is_inexact_array)
    first, structure = jax.tree.flatten(reals)
    rest = jax.tree.map(jnp.zeros_like, first)
    nothing = jax.tree.map(lambda current: jnp.zeros_like(current[0]), currents)

    def advance(current, numbers):
        output, after = step(current, eqx.combine(jax.tree.unflatten(structure, numbers), others))
        return output, after

    def numbers_after(current, numbers):
        return jax.tree.leaves(eqx.filter(advance(current, numbers)[1], eqx.is_inexact_array))

    _, derivative = jax.linearize(lambda numbers: numbers_after(nothing, numbers), rest)
    columns = [derivative([jnp.ones_like(x) if q == p else x for p, x in enumerate(rest)]) for q in range(len(rest))]
    matrix = [list(row) for row in zip(*columns, strict=True)]
    driven = jax.vmap(lambda current: numbers_after(current, rest))(currents)
    driven = [b.at[0].add(a) for b, a in zip(driven, _times(matrix, first), strict=True)]
    after = _accumulated(matrix, driven)
    before = [jnp.concatenate([start[None], s[:-1]]) for start, s in zip(first, after, strict=True)]
    return jax.vmap(advance)(currents, before)


def _accumulated(matrix: Matrix, driven: list[Float[Array, "T *units"]]) -> list[Float[Array, "T *units"]]:
    r"""$s^t=A\,s^{t-1}+b^t$ from $s^{-1}=0$, in logarithmically many stages, of linear work in all."""
    if len(driven[0]) == 1:
        return driven
    even, odd = [b[0::2] for b in driven], [b[1::2] for b in driven]
    half = len(odd[0])
    pairs = [a + b for a, b in zip(_times(matrix, [b[:half] for b in even]), odd, strict=True)]
    at_odd = _accumulated([_times_row(row, matrix) for row in matrix], pairs)
    rest = len(even[0]) - 1
    later = _times(matrix, [s[:rest] for s in at_odd])
    at_even = [jnp.concatenate([b[:1], b[1:] + s]) for b, s in zip(even, later, strict=True)]
    return [_interleaved(*each) for each in zip(at_even, at_odd, strict=True)]


def _times(matrix: Matrix, vector: Sequence[Float[Array, "..."]]) -> list[Float[Array, "..."]]:
    """A matrix of each unit times its vector, or one in each step."""

    def product(a: Array, x: Array) -> Array:
        return a.reshape((1,) * (x.ndim - a.ndim) + a.shape) * x

    return [reduce(add, map(product, row, vector)) for row in matrix]


def _times_row(row: Sequence[Array], matrix: Matrix) -> list[Array]:
    return [reduce(add, map(mul, row, column)) for column in zip(*matrix, strict=True)]


def _interleaved(even: Float[Array, "m *units"], odd: Float[Array, "n *units"]) -> Float[Array, "T *units"]:
    """The two in turn; the first may be one longer."""
    half = len(odd)
    both = jnp.stack([even[:half], odd], axis=1).reshape(2 * half, *odd.shape[1:])
    return both if len(even) == half else jnp.concatenate([both, even[half:]])
