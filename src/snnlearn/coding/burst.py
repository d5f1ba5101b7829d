"""Burst coding: a strong value sends more spikes, and sends them faster."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import (
    AbstractInverse,
    AbstractSpikeEncoder,
    check_whole,
    check_window,
    keep_nan,
    unit_interval,
    up_to_rounding,
)
from snnlearn.coding.checks import over_time, scalar
from snnlearn.coding.temporal import first_step


@final
class Burst(AbstractSpikeEncoder):
    """Burst code: `⌈N x⌉` spikes, `⌈t_max − x (t_max − t_min)⌉` steps apart, the first one in the first step.

    0 is silent. Spikes after the window are lost: with the default `max_interval` these are the later spikes of weak
    bursts, whose value is then in their interval.

    Args:
        num_steps: number of steps T, ≥ 1.
        max_spikes: spikes N of the burst of x = 1, ≥ 1.
        min_interval: t_min, the steps between the spikes of x = 1, ≥ 1.
        max_interval: t_max, the steps that the interval of weak values approaches, ≥ min_interval; None is T.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range, or the longest burst does not fit the window.

    >>> Burst(num_steps=9, max_spikes=4, max_interval=4)(jnp.array([0.5, 1.0])).T.tolist()
    [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]]

    Source: Guo et al. (2021), doi:10.3389/fnins.2021.638474 (its N = 5 and t_min = 2 are the defaults; the start of the
    burst in the first step is ours).
    """

    num_steps: int
    max_spikes: int = 5
    min_interval: int = 2
    max_interval: int | None = None
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_whole(self, at_least=1, max_spikes=self.max_spikes, min_interval=self.min_interval)
        if self.max_interval is not None:
            check_whole(self, at_least=self.min_interval, max_interval=self.max_interval)
        takes = (self.max_spikes - 1) * self.min_interval + 1
        if takes > self.num_steps:
            raise SnnlearnError(
                f"Burst: {self.max_spikes} spikes {self.min_interval} steps apart take {takes} steps, but the window "
                f"has {self.num_steps}; raise num_steps, or lower max_spikes or min_interval"
            )

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        value = unit_interval(x)
        longest = self.num_steps if self.max_interval is None else self.max_interval
        # Both are rounded up, from just below: k/N is to send k spikes, also where its nearest float is above it.
        count = jnp.ceil(self.max_spikes * value * (1 - 2 * float(jnp.finfo(value.dtype).eps)))
        interval = jnp.ceil(longest - up_to_rounding(value) * (longest - self.min_interval))
        steps = jnp.arange(self.num_steps, dtype=jnp.float32).reshape(-1, *(1 for _ in value.shape))
        spikes = (steps % interval[None] == 0) & (steps < (count * interval)[None])
        return keep_nan(spikes, value)

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseBurst:
        """See the base."""
        return InverseBurst(self.max_spikes, self.min_interval, self.max_interval)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class InverseBurst(AbstractInverse):
    """Inverse of the burst code: the middle of the values with this number of spikes and this interval.

    n spikes say `(n − 1)/N < x ≤ n/N`, an interval of I steps says `t_max − I ≤ x (t_max − t_min) < t_max − I + 1`.
    If the next spike would have come after the window, there may have been more than n.

    Args:
        max_spikes: spikes N of the burst of x = 1, ≥ 1.
        min_interval: t_min of the code, steps, ≥ 1.
        max_interval: t_max of the code, steps, ≥ min_interval; None is T.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> inverse = InverseBurst(max_spikes=4, min_interval=2, max_interval=4)
    >>> spikes = jnp.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    >>> [float(x) for x in inverse.interval(spikes)]  # by the count above ¼, by the interval at least ½: it is ½
    [0.5, 0.5]

    Source: Guo et al. (2021), doi:10.3389/fnins.2021.638474, for the code; the inverse is ours.
    """

    max_spikes: int = 5
    min_interval: int = 2
    max_interval: int | None = None

    def __check_init__(self):
        check_whole(self, at_least=1, max_spikes=self.max_spikes, min_interval=self.min_interval)
        if self.max_interval is not None:
            check_whole(self, at_least=self.min_interval, max_interval=self.max_interval)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        low, high = self.interval(spikes)
        return 0.5 * (low + high)

    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """See the base."""
        spikes = over_time(self, spikes)
        num_steps = len(spikes)
        longest = num_steps if self.max_interval is None else self.max_interval
        span = max(longest - self.min_interval, 1)  # without a span all intervals are t_max, and say 0 ≤ x ≤ 1
        count = spikes.sum(axis=0)
        between = jnp.where(count > 1, first_step(spikes[1:]) + 1, num_steps)  # a next spike may be out of the window
        by_count = jnp.where(count * between < num_steps, count / self.max_spikes, 1.0)
        by_interval = (longest - between + 1) / span
        low = jnp.maximum((count - 1) / self.max_spikes, jnp.where(count > 1, (longest - between) / span, 0.0))
        # A single spike had no next one, or lost it: a small count, or a long interval.
        high = jnp.where(count > 1, jnp.minimum(by_count, by_interval), jnp.maximum(1.0 / self.max_spikes, by_interval))
        return jnp.where(count == 0, 0.0, jnp.clip(low, 0.0, 1.0)), jnp.where(count == 0, 0.0, jnp.clip(high, 0.0, 1.0))
