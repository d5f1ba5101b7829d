"""Losses of a network's activity."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive
from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import AbstractRateLoss


@final
class RateBand(AbstractRateLoss):
    r"""$\sum_l\frac1{N_l}\sum_i[\max(0,r_{low}-r_i)^2+\max(0,r_i-r_{high})^2]$ over hidden units.

    The target is ignored. It keeps units from falling silent and from saturating. Rates are in Hz, so a weight of 1e-4
    or so is usual: `CrossEntropy() + 1e-4 * RateBand(5.0, 100.0)`.

    Args:
        low: lowest firing rate without cost, Hz, ≥ 0.
        high: highest firing rate without cost, Hz, ≥ low; if equal to low, every other rate costs.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> float(RateBand(5.0, 100.0)((jnp.zeros((10, 3)), jnp.zeros((10, 2))), jnp.array(0)))
    25.0
    """

    low: float = 1.0
    high: float = 100.0
    dt: float = 1e-3
    decoder: AbstractDecoder | None = None

    def __check_init__(self):
        check_positive(self, dt=self.dt, high=self.high)
        if not 0 <= self.low <= self.high:
            raise SnnlearnError(f"RateBand: low is {self.low} Hz and high {self.high} Hz; give 0 ≤ low ≤ high")

    def of_rates(self, rates: tuple[Float[Array, "..."], ...]) -> Float[Array, ""]:
        """See the base."""
        outside = [jnp.maximum(0.0, self.low - rate) + jnp.maximum(0.0, rate - self.high) for rate in rates]
        return sum((jnp.mean(jnp.square(excess)) for excess in outside), start=jnp.zeros(()))
