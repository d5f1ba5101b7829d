"""A neuron in continuous time, as exact spike times take it; a neuron says whether its own equation is that one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Unit(NamedTuple):
    r"""One unit above rest, $\tau_{mem}\dot y=-y+i$, $\tau_{syn}\dot i=-i$; at `threshold`, y falls by `drop`.

    Where the synaptic time constant is infinite, the current is constant between arrivals.

    Args:
        tau_mem: membrane time constant, s.
        tau_syn: synaptic time constant, s.
        threshold: its height above rest.
        drop: by how much a spike lowers the membrane.
    """

    tau_mem: Any
    tau_syn: Any
    threshold: Any
    drop: Any

    def response(self, s: Float[Array, "*s"]) -> Float[Array, "*s"]:
        r"""The membrane at a time s ≥ 0 after a unit jump of the current.

        $\frac{\tau_{syn}}{\tau_{mem}-\tau_{syn}}(e^{-s/\tau_{mem}}-e^{-s/\tau_{syn}})$, written so that the time
        constants may be equal: $\frac s{\tau_{mem}}e^{-s/\tau_{slow}}\frac{1-e^{-x}}x$ with
        $x=s/\tau_{fast}-s/\tau_{slow}$.
        """
        slow, fast = jnp.maximum(self.tau_mem, self.tau_syn), jnp.minimum(self.tau_mem, self.tau_syn)
        return s / self.tau_mem * jnp.exp(-s / slow) * _mean_decay(s / fast - s / slow)

    def after(self, s: Float[Array, "*s"], y: Float[Array, "*s"], i: Float[Array, "*s"]) -> tuple[Array, Array]:
        """Membrane and current a time s after they were y and i, if nothing arrives."""
        return y * jnp.exp(-s / self.tau_mem) + i * self.response(s), i * jnp.exp(-s / self.tau_syn)

    def rise(self, y: Float[Array, "*s"], i: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """How long the membrane rises to its highest value from y < i, if nothing arrives; it may be for ever."""
        g, ratio = self.tau_mem / self.tau_syn - 1, y / i
        return self.tau_mem * (_log1p_over(g) - ratio * _log1p_over(jnp.maximum(g * ratio, -1.0)))


class Continuous(NamedTuple):
    """A neuron in continuous time.

    Args:
        unit: its equation, each constant a number or one for each unit.
        resistance: by which an arrival makes its current jump.
        held: how long an arrival lasts, s; None for one that the current's own decay ends.
    """

    unit: Unit
    resistance: Any
    held: float | None = None


SERIES = [(-1) ** k / math.factorial(k + 1) for k in reversed(range(12))]


def _mean_decay(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """(1 − e^{−x}) / x for x ≥ 0, by its series where x is small: the quotient's derivative cancels there."""
    small = x < 0.5
    far = jnp.where(small, 1.0, x)
    return jnp.where(small, jnp.polyval(jnp.array(SERIES, x.dtype), x), -jnp.expm1(-far) / far)


def _log1p_over(x: Float[Array, "*s"] | float) -> Float[Array, "*s"]:
    """log(1 + x) / x."""
    zero = x == 0
    return jnp.where(zero, 1.0, jnp.log1p(x) / jnp.where(zero, 1.0, x))
