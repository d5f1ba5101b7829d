"""What may stand in a parameter's place: a float is a constant, an array is trained.

A quantity that must stay positive (a time constant) is trained through its logarithm, never clamped: a clamp has no
gradient at its edge.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError


class Positive(eqx.Module):
    """A trained positive quantity, `value = exp(log)`.

    Args:
        value: the initial value, > 0, of any shape.

    >>> round(float(Positive(jnp.array(0.02)).value), 6)
    0.02
    """

    log: Float[Array, "..."]

    def __init__(self, value: Float[Array, "..."]):
        self.log = jnp.log(value)

    @property
    def value(self) -> Float[Array, "..."]:
        """The quantity itself."""
        return jnp.exp(self.log)


PositiveParameter = float | Positive
"""A positive constant, or a trained positive array."""

Parameter = float | Float[Array, "..."]
"""A constant, or a trained array."""

Number = int | float | np.number


def value(parameter: Any) -> Any:
    """The number or array that a parameter stands for.

    >>> value(0.02)
    0.02
    """
    return parameter.value if isinstance(parameter, Positive) else parameter


def positive(parameter: Number | Array | np.ndarray | Positive) -> PositiveParameter:
    """Make a positive parameter: a number stays a constant, an array becomes trained through its logarithm.

    >>> positive(0.02)
    0.02
    """
    if isinstance(parameter, Positive):
        return parameter
    if isinstance(parameter, Number):
        return float(parameter)
    return Positive(jnp.asarray(parameter, dtype=jnp.result_type(float)))


def plain(parameter: Number | Array | np.ndarray) -> Parameter:
    """Make an unbounded parameter: a number stays a constant, an array is trained.

    >>> plain(1)
    1.0
    """
    if isinstance(parameter, Number):
        return float(parameter)
    return jnp.asarray(parameter, dtype=jnp.result_type(float))


def check_positive(owner: object, **parameters: PositiveParameter) -> None:
    """Refuse constants that are not finite and above 0 (trained ones are positive by construction).

    Raises:
        SnnlearnError: naming the parameter, its value and its owner.
    """
    for name, parameter in parameters.items():
        if isinstance(parameter, float) and not (parameter > 0 and math.isfinite(parameter)):
            raise SnnlearnError(f"{type(owner).__name__}: {name} is {parameter}; give a finite number above 0")


def check_time_constants(owner: object, dt: float, **taus: PositiveParameter) -> None:
    """Refuse time constants that are not positive, or that the time step `dt` cannot resolve.

    Raises:
        SnnlearnError: naming the time constant, its value, dt and what to change.
    """
    check_positive(owner, dt=dt, **taus)
    for name, tau in taus.items():
        if isinstance(tau, float) and dt > tau:
            raise SnnlearnError(
                f"{type(owner).__name__}: dt = {dt} s is longer than {name} = {tau} s; choose dt at most {name}"
            )


def highest_rate(dt: float) -> float:
    """The highest rate of at most one spike in a step, Hz, to six digits: what to advise where a rate is too high.

    >>> highest_rate(1e-3), highest_rate(6e-3)
    (1000.0, 166.665)
    """
    rate = float(f"{1 / dt:.6g}")
    return rate if rate * dt <= 1 else float(f"{(1 - 1e-5) / dt:.6g}")
