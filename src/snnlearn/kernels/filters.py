"""Linear filters along time, which is their first axis: the same small linear system for all units."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.kernels.library import why_plain

MOST_NUMBERS = 2  # as in cpp/filter.hpp


class LinearFilter(NamedTuple):
    r"""A linear system of S numbers, $y^t=c\cdot s^t+d\,x^t$ and $s^{t+1}=As^t+b\,x^t$.

    Args:
        matrix: $A$.
        gain_in: $b$.
        gain_out: $c$.
        direct: $d$.

    >>> one = LinearFilter(jnp.full((1, 1), 0.5), jnp.ones(1), jnp.ones(1), jnp.ones(()))
    >>> one(jnp.array([[1.0], [0.0], [0.0]]), jnp.zeros((1, 1)))[0].ravel()
    Array([1. , 1. , 0.5], dtype=float32)
    """

    matrix: Float[Array, "S S"]
    gain_in: Float[Array, " S"]
    gain_out: Float[Array, " S"]
    direct: Float[Array, ""]

    def __call__(
        self, xs: Float[Array, "K *n"], state: Float[Array, "S *n"], *, reverse: bool = False
    ) -> tuple[Float[Array, "K *n"], Float[Array, "S *n"]]:
        """All steps, by the compiled kernels where they can be used; these have no derivative.

        Args:
            xs: input of each step.
            state: before the first step.
            reverse: from the last step to the first.

        Returns:
            output of each step, and the state after the last.
        """
        size = len(state)
        if xs.dtype == jnp.float32 and 1 <= size <= MOST_NUMBERS and xs.size > 0 and why_plain() is None:
            coefficients = jnp.concatenate([jnp.ravel(each) for each in self])
            flat, before = xs.reshape(len(xs), -1), state.reshape(size, -1)
            results = [jax.ShapeDtypeStruct(each.shape, jnp.float32) for each in (flat, before)]
            call = jax.ffi.ffi_call("snnlearn_filter", results, vmap_method="sequential")
            ys, after = call(coefficients, flat, before, reverse=reverse)
            return ys.reshape(xs.shape), after.reshape(state.shape)

        def step(state, x):
            y = jnp.tensordot(self.gain_out, state, axes=1) + self.direct * x
            ones = (1,) * x.ndim
            return jnp.tensordot(self.matrix, state, axes=1) + self.gain_in.reshape(-1, *ones) * x[None], y

        after, ys = jax.lax.scan(step, state, xs, reverse=reverse)
        return ys, after

    def adjoint(
        self, errors: Float[Array, "K *n"], end: Float[Array, "S *n"]
    ) -> tuple[Float[Array, "K *n"], Float[Array, "S *n"]]:
        """The transpose: derivatives by each step's input and the state before, from those by outputs and the end."""
        turned = LinearFilter(self.matrix.T, self.gain_out, self.gain_in, self.direct)
        return turned(errors, end, reverse=True)
