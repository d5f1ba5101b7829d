"""The rates that a time step allows; without JAX, which data sets do not need."""

from __future__ import annotations


def highest_rate(dt: float) -> float:
    """The highest rate with at most one spike per step, Hz, to six digits: advice where a rate is too high.

    >>> highest_rate(1e-3), highest_rate(6e-3)
    (1000.0, 166.665)
    """
    rate = float(f"{1 / dt:.6g}")
    return rate if rate * dt <= 1 else float(f"{(1 - 1e-5) / dt:.6g}")
