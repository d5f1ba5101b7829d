"""Rate coding: the value is the firing rate."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._rates import highest_rate
from snnlearn.coding.base import AbstractSpikeEncoder, check_window, unit_interval, up_to_rounding
from snnlearn.coding.checks import check_above_zero, check_number, scalar
from snnlearn.coding.coins import bernoulli_spikes


@final
class Rate(AbstractSpikeEncoder):
    """Rate code: every step is an independent coin, `S_t ~ Bernoulli(x · max_rate · dt)`.

    A count over T steps has mean T·p and variance T·p·(1 − p), with p the probability of the coin. The derivative is
    straight-through, `∂S_t/∂x = max_rate · dt`, that of the expected spike.

    Args:
        num_steps: number of steps T, ≥ 1.
        max_rate: firing rate of x = 1, Hz; at most one spike per step, so `max_rate · dt ≤ 1`.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> spikes = Rate(num_steps=1000, max_rate=100)(jnp.array([0.0, 0.5, 1.0]), key=jax.random.key(0))
    >>> spikes.shape
    (1000, 3)
    >>> (spikes.sum(0) / 1.0).tolist()  # 0, 50 and 100 Hz over 1 s
    [0.0, ...]

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 1.4.
    """

    num_steps: int
    max_rate: float = eqx.field(converter=scalar, default=200.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        _check_one_spike_per_step(self, self.max_rate)

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The probability of a spike in one step; `packed_spikes` draws from it 32 steps to a word."""
        return unit_interval(x) * (self.max_rate * self.dt)

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *shape"]:
        """See the base."""
        return bernoulli_spikes(self.probability(x), self.num_steps, key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class PoissonRate(AbstractSpikeEncoder):
    """Poisson process of the rate `r = x · max_rate`, seen through steps: `S_t ~ Bernoulli(1 − exp(−r · dt))`.

    A step spikes if the process has at least one event in it. `Rate` has the probability r·dt instead: equal to first
    order, exact in the mean count, and bounded by one spike per step, which here is only approached.

    Args:
        num_steps: number of steps T, ≥ 1.
        max_rate: rate of the process for x = 1, Hz, > 0; the spikes themselves saturate at 1/dt.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> code = PoissonRate(num_steps=5, max_rate=1000)
    >>> code.probability(jnp.array(1.0)).round(4).item()
    0.632...
    >>> code(jnp.array(1.0), key=jax.random.key(0)).shape
    (5,)

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 1.4.
    """

    num_steps: int
    max_rate: float = eqx.field(converter=scalar, default=200.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_above_zero(self, max_rate=self.max_rate)

    def probability(self, x: Shaped[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The probability of a spike in one step."""
        return -jnp.expm1(-unit_interval(x) * (self.max_rate * self.dt))

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *shape"]:
        """See the base."""
        return bernoulli_spikes(self.probability(x), self.num_steps, key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class RegularRate(AbstractSpikeEncoder):
    """Evenly spaced spikes: one whenever the accumulated rate `φ + Σ_s r · dt` passes a whole number.

    `S_t = ⌊φ + (t + 1) p⌋ − ⌊φ + t p⌋`, with `p = x · max_rate · dt`, so the count is exactly `⌊φ + T p⌋`: rounded to
    the nearest at φ = ½. It is what a perfect integrator that starts at φ sends. The derivative is straight-through,
    `∂S_t/∂x = max_rate · dt`, as for `Rate`.

    Args:
        num_steps: number of steps T, ≥ 1.
        max_rate: firing rate of x = 1, Hz; at most one spike per step, so `max_rate · dt ≤ 1`.
        phase: φ, in [0, 1).
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> RegularRate(num_steps=6, max_rate=500)(jnp.array([0.5, 1.0])).T.tolist()
    [[0.0, 1.0, 0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]]
    """

    num_steps: int
    max_rate: float = eqx.field(converter=scalar, default=200.0)
    phase: float = eqx.field(converter=scalar, default=0.5)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        _check_one_spike_per_step(self, self.max_rate)
        check_number(self, "a number in [0, 1)", lambda x: 0 <= x < 1, phase=self.phase)

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        p = unit_interval(x) * (self.max_rate * self.dt)
        steps = jnp.arange(self.num_steps + 1, dtype=jnp.float32).reshape(-1, *(1 for _ in p.shape))
        spikes = jnp.diff(jnp.floor(self.phase + steps * jax.lax.stop_gradient(up_to_rounding(p))[None]), axis=0)
        return spikes + (p - jax.lax.stop_gradient(p))[None]

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


def _check_one_spike_per_step(code: Rate | RegularRate, max_rate: float) -> None:
    check_window(code, code.num_steps, code.dt)
    check_above_zero(code, max_rate=max_rate)
    if max_rate * code.dt > 1:
        raise SnnlearnError(
            f"{type(code).__name__}: max_rate is {max_rate} Hz, more than one spike per step of {code.dt} s; "
            f"lower max_rate to {highest_rate(code.dt):g} Hz or shorten dt"
        )
