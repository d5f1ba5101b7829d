"""The rates that a time step allows; here, since data sets ask and need no JAX."""

from __future__ import annotations


def highest_rate(dt: float) -> float:
    """The highest rate of at most one spike in a step, Hz, to six digits: what to advise where a rate is too high.

    >>> highest_rate(1e-3), highest_rate(6e-3)
    (1000.0, 166.665)
    """
    rate = float(f"{1 / dt:.6g}")
    return rate if rate * dt <= 1 else float(f"{(1 - 1e-5) / dt:.6g}")
