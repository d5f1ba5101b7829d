"""Phase coding: a spike's weight is its place in a cycle; the cycle spells the value in binary."""

from __future__ import annotations

import math
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import (
    AbstractInverse,
    AbstractSpikeEncoder,
    check_whole,
    check_window,
    keep_nan,
    unit_interval,
)
from snnlearn.coding.checks import over_time, scalar


@final
class Phase(AbstractSpikeEncoder):
    """Phase code: the binary digits of x, most significant first, one per step, cycle after cycle.

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

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InversePhase:
        """See the base."""
        return InversePhase(self.num_phases)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class InversePhase(AbstractInverse):
    """Inverse of the phase code, whose spikes in a period of K steps are binary digits, `x̂ = Σ_k 2^{−(1+k)} S_k`.

    Whole periods are averaged, and what follows the last one is ignored; a window shorter than a period holds the first
    digits. So multiples of 2^{−K} below 1 come back exactly, and other values to within one digit.

    Args:
        num_phases: digits K of a period, ≥ 1.

    Raises:
        SnnlearnError: if num_phases is not a whole number of at least 1.

    >>> InversePhase(num_phases=3)(jnp.array([[1.0], [0.0], [1.0]])).tolist()  # binary 0.101
    [0.625]

    Source: Kim et al. (2018), Deep neural networks with weighted spikes, doi:10.1016/j.neucom.2018.05.087.
    """

    num_phases: int = 8

    def __check_init__(self):
        check_whole(self, at_least=1, num_phases=self.num_phases)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        digits = min(self.num_phases, len(spikes))
        periods = len(spikes) // digits
        weight = jnp.asarray(np.ldexp(1.0, -1 - np.arange(digits)), spikes.dtype)
        whole = spikes[: periods * digits].reshape(periods, digits, *spikes.shape[1:])
        return jnp.tensordot(weight, whole.mean(axis=0), axes=1)

    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """See the base."""
        spikes = over_time(self, spikes)
        low = self(spikes)
        return low, low + math.ldexp(1.0, -min(self.num_phases, len(spikes)))
