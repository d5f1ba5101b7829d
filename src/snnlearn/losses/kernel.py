"""Causal filters that are sums of exponentials, which rules and losses can apply step by step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.kernels.filters import LinearFilter


class Kernel(NamedTuple):
    r"""A causal filter, $h_k = d\,\delta_k + \sum_f g_f p_f^k$ at a lag of k steps.

    It needs one number of memory for each exponential, for signals of any length.

    Args:
        direct: $d$, the weight of the unfiltered input.
        gains: $g_f$, `[F]`.
        poles: $p_f$, `[F]`, the decay of each exponential in one step.

    >>> Kernel(0.0, jnp.array([1.0]), jnp.array([0.5]))(jnp.array([1.0, 0.0, 1.0]))
    Array([1.  , 0.5 , 1.25], dtype=float32)
    """

    direct: float
    gains: Float[Array, " F"]
    poles: Float[Array, " F"]

    def step(self, x: Float[Array, "*n"], memory: Float[Array, "F *n"]) -> tuple[Float[Array, "*n"], Array]:
        """One step: input and memory in, output and memory out."""
        ones = (1,) * x.ndim
        memory = self.poles.reshape(-1, *ones) * memory + x[None]
        return self.direct * x + jnp.sum(self.gains.reshape(-1, *ones) * memory, axis=0), memory

    def system(self) -> LinearFilter:
        """The same, with the memory as its state."""
        ones, direct = jnp.ones_like(self.gains), jnp.asarray(self.direct, self.gains.dtype)
        return LinearFilter(jnp.diag(self.poles), ones, self.gains * self.poles, direct + jnp.sum(self.gains))

    def at_rest(self, shape: tuple[int, ...]) -> Float[Array, "F *n"]:
        """The memory before the first step, for inputs of a shape."""
        return jnp.zeros((len(self.gains), *shape))

    def all_steps(
        self, xs: Float[Array, "T *n"], memory: Float[Array, "F *n"]
    ) -> tuple[Float[Array, "T *n"], Float[Array, "F *n"]]:
        """As `step`, for T steps."""
        if not len(self.poles):  # which spares the loop
            return self.direct * xs, memory

        def step(memory, x):
            y, memory = self.step(x, memory)
            return memory, y

        memory, ys = jax.lax.scan(step, memory, xs)
        return ys, memory

    def __call__(self, xs: Float[Array, "T *n"]) -> Float[Array, "T *n"]:
        """A whole signal."""
        return self.all_steps(xs, self.at_rest(xs.shape[1:]))[0]


def unfiltered() -> Kernel:
    """The kernel that leaves signals unchanged."""
    return Kernel(1.0, jnp.zeros(0), jnp.zeros(0))
