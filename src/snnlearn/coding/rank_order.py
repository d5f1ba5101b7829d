"""Rank order coding: only the order of firing matters."""

from __future__ import annotations

import math
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped
from scipy import stats
from scipy.special import gammaln

from snnlearn.coding.base import AbstractReconstruction, AbstractSpikeEncoder, check_window, keep_nan, unit_interval
from snnlearn.coding.checks import an_array, check_number, over_time, scalar
from snnlearn.coding.temporal import first_step, spike_at


def ranks(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The rank of each value, the largest first; among equal values the earlier in the array first.

    Raises:
        SnnlearnError: if x is not an array.

    >>> ranks(jnp.array([0.2, 0.9, 0.2])).tolist()
    [1.0, 0.0, 2.0]
    """
    x = an_array("ranks", x)
    order = jnp.argsort(-x.ravel(), stable=True)
    return jnp.argsort(order).astype(jnp.float32).reshape(x.shape)


@final
class RankOrder(AbstractSpikeEncoder):
    """Rank order code: the unit with the k-th largest value, k = 0, 1, …, spikes once, in step k.

    Any increasing map of the values (contrast, brightness) leaves the code unchanged. A decoder weights a spike in step
    k by `m^k`, 0 < m < 1. The ranks are those among all values of the sample.

    Args:
        num_steps: number of steps T, ≥ 1; values of rank T and later do not spike.
        threshold: values up to this one never spike, in [0, 1).
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> RankOrder(num_steps=3)(jnp.array([0.2, 0.9, 0.0, 0.5])).tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]

    Source: Thorpe & Gautrais (1998), doi:10.1007/978-1-4615-4831-7_19.
    """

    num_steps: int
    threshold: float = eqx.field(converter=scalar, default=0.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_number(self, "a number in [0, 1)", lambda x: 0 <= x < 1, threshold=self.threshold)

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        value = unit_interval(x)
        steps = jnp.where(value > self.threshold, ranks(value), jnp.inf)
        return keep_nan(spike_at(steps, self.num_steps, dt=1.0), value)

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseRankOrder:
        """See the base."""
        return InverseRankOrder()

    def bits(self, in_shape: tuple[int, ...]) -> float:
        """The spikes show which values fire and in what order: `H(k) + Σ_k P(k) log₂ n!/(n − k)!` for k spikes of n."""
        n = math.prod(in_shape)
        above = stats.binom.pmf(np.arange(n + 1), n, 1.0 - self.threshold)
        most = min(n, self.num_steps)
        chance = np.append(above[:most], above[most:].sum())
        orders = (gammaln(n + 1) - gammaln(n + 1 - np.arange(most + 1))) / math.log(2)
        return float((stats.entropy(chance, base=2) + chance @ orders) / n)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class InverseRankOrder(AbstractReconstruction):
    """Inverse of the rank-order code, `x̂ = m^rank` of the units in the order of their first spikes.

    Only the order is carried: the first unit has rank 0 and the estimate 1, units that fire together share a rank, and
    a silent unit has the estimate 0.

    Args:
        modulation: m, the factor from one rank to the next, in (0, 1).

    Raises:
        SnnlearnError: if the modulation is out of range.

    >>> InverseRankOrder(modulation=0.5)(jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).tolist()
    [0.0, 1.0, 0.5]

    Source: Thorpe & Gautrais (1998), Rank order coding, doi:10.1007/978-1-4615-4831-7_19.
    """

    modulation: float = eqx.field(converter=scalar, default=0.9)

    def __check_init__(self):
        check_number(self, "a number in (0, 1)", lambda x: 0 < x < 1, modulation=self.modulation)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        step = first_step(spikes)
        rank = jnp.searchsorted(jnp.sort(step.ravel()), step).astype(spikes.dtype)
        value = jnp.where(step == len(spikes), 0.0, self.modulation**rank)
        return jnp.where(jnp.isnan(step), jnp.nan, value)
