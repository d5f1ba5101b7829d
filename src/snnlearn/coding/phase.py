"""Phase coding: a spike's weight is its place in a cycle; the cycle spells the value in binary."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractSpikeEncoder, check_whole, check_window, keep_nan, unit_interval
from snnlearn.coding.checks import scalar


@final
class Phase(AbstractSpikeEncoder):
    """Phase code: the binary digits of x, the half first, one per step, cycle after cycle.

    A spike in step t has the weight `2^{−(1 + t mod K)}`, and `Σ_t weight_t S_t` over one cycle of K steps is
    `⌊2^K x⌋ / 2^K`: exact for the multiples of 2^{−K}, and at most 2^{−K} too small for others (1 becomes
    `1 − 2^{−K}`). At K = 8 a grey level of 8 bits sends just these bits.

    Args:
        num_steps: number of steps T, ≥ 1; whole cycles for the value to be complete.
        num_phases: digits K of a cycle, from 1 to 23.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> Phase(num_steps=8)(jnp.array(180 / 256)).tolist()  # 180 is 10110100 in binary
    [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0]

    Source: Kim et al. (2018), doi:10.1016/j.neucom.2018.05.087.
    """

    num_steps: int
    num_phases: int = 8
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_whole(self, at_least=1, num_phases=self.num_phases)
        if self.num_phases > 23:
            raise SnnlearnError(
                f"Phase: num_phases is {self.num_phases}, more than single precision holds; give at most 23"
            )

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        value, levels = unit_interval(x), 2**self.num_phases
        level = jnp.minimum(jnp.floor(value * levels), levels - 1).astype(jnp.int32)
        # Digits of whole numbers, by shifting: the exp2 of floats is not exact, and 2^{−13} times a level lost digits.
        last = self.num_phases - 1 - np.arange(self.num_steps, dtype=np.int32) % self.num_phases
        return keep_nan((level[None] >> last.reshape(-1, *(1 for _ in value.shape))) & 1, value)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape
