r"""A step of a nonlinear equation $\dot x = f(x)$: exact if f is linear, of second order otherwise."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

STEEPEST = 2.0
"""The largest growth of a step, as a power of e.

A membrane that runs away, to spike, would otherwise overflow in steps that do not resolve it, and so would derivatives.
"""


def increment(
    f: Callable[[Float[Array, "*units"]], Float[Array, "*units"]],
    x: Float[Array, "*units"],
    dt: float,
    slope: Callable[[Float[Array, "*units"]], Float[Array, "*units"]] = jnp.ones_like,
) -> Float[Array, "*units"]:
    r"""By how much exponential Euler advances: $dt\,\varphi_1(J dt) f(x)$, $J = f'(x)$, $\varphi_1(y) = (e^y - 1)/y$.

    Args:
        f: the right-hand side.
        x: where.
        dt: time step, s.
        slope: $dx/dw$, where the equation is that of another variable w.
    """
    rate, derivative = jax.jvp(f, (x,), (jnp.ones_like(x),))
    return dt * phi_1(jnp.minimum(dt * derivative * slope(x), STEEPEST)) * rate


def phi_1(y: float | Float[Array, "*units"]) -> Float[Array, "*units"]:
    """(e^y − 1) / y, by its series where y is small: the quotient's derivative cancels there.

    Of −t/τ it is the mean, over a time t, of what decays with time constant τ.
    """
    y = jnp.asarray(y)
    small = jnp.abs(y) < 0.1
    far = jnp.where(small, 1.0, y)
    series = 1 + y / 2 * (1 + y / 3 * (1 + y / 4 * (1 + y / 5 * (1 + y / 6))))
    return jnp.where(small, series, jnp.expm1(far) / far)
