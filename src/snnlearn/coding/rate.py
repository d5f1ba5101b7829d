"""Rate coding: the value is the firing rate."""

from __future__ import annotations

from dataclasses import replace
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._rates import highest_rate
from snnlearn.coding.base import (
    AbstractInverse,
    AbstractReconstruction,
    AbstractSpikeEncoder,
    check_window,
    unit_interval,
    up_to_rounding,
)
from snnlearn.coding.bernoulli import bernoulli_spikes
from snnlearn.coding.checks import check_above_zero, check_number, over_time, scalar


@final
class Rate(AbstractSpikeEncoder):
    """Rate code: every step is an independent draw, `S_t ~ Bernoulli(x · max_rate · dt)`.

    A count over T steps has mean T·p and variance T·p·(1 − p), with p the probability of a spike. The derivative is
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

    def of_frame(self) -> Rate:
        """See the base: all steps are alike."""
        return replace(self, num_steps=1)

    def inverse(self) -> InverseRate:
        """See the base."""
        return InverseRate(self.max_rate, self.dt)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class PoissonRate(AbstractSpikeEncoder):
    """Poisson process of rate `r = x · max_rate` in time steps: `S_t ~ Bernoulli(1 − exp(−r · dt))`.

    A step spikes if the process has at least one event in it. `Rate` has the probability r·dt instead: equal to first
    order, exact in the mean count, and limited to one spike per step, which is only approached here.

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

    def of_frame(self) -> PoissonRate:
        """See the base: all steps are alike."""
        return replace(self, num_steps=1)

    def inverse(self) -> InversePoissonRate:
        """See the base."""
        return InversePoissonRate(self.max_rate, self.dt)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class RegularRate(AbstractSpikeEncoder):
    """Evenly spaced spikes: one whenever the accumulated rate `φ + Σ_s r · dt` passes a whole number.

    `S_t = ⌊φ + (t + 1) p⌋ − ⌊φ + t p⌋`, with `p = x · max_rate · dt`, so the count is exactly `⌊φ + T p⌋`: rounded to
    the nearest integer for φ = ½. A perfect integrator that starts at φ spikes like this. The derivative is
    straight-through, `∂S_t/∂x = max_rate · dt`, as for `Rate`.

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

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseRegularRate:
        """See the base."""
        return InverseRegularRate(self.max_rate, self.phase, self.dt)

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


@final
class InverseRate(AbstractReconstruction):
    """Inverse of the rate code, `x̂ = Σ_t S_t / (T · dt · max_rate)`.

    Unbiased. With independent spikes of probability `p = x · max_rate · dt` its variance is
    `p (1 − p) / (T (dt · max_rate)²)`; it is not clipped to 1, because that would be a bias.

    Args:
        max_rate: firing rate of x = 1, Hz, > 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> InverseRate(max_rate=500)(jnp.array([[0.0, 1.0], [0.0, 0.0]])).tolist()
    [0.0, 1.0]
    """

    max_rate: float = eqx.field(converter=scalar, default=200.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, max_rate=self.max_rate, dt=self.dt)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        return spikes.mean(axis=0) / (self.max_rate * self.dt)


@final
class InversePoissonRate(AbstractReconstruction):
    """Inverse of the Poisson rate code: the most likely value, `x̂ = −ln(1 − n/T) / (dt · max_rate)`, at most 1.

    A step has one spike even if the process had more events; the logarithm corrects for this.

    Args:
        max_rate: rate of the process for x = 1, Hz, > 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> InversePoissonRate(max_rate=1000)(jnp.array([[0.0, 1.0], [0.0, 0.0]])).round(4).tolist()  # ln 2
    [0.0, 0.693...]
    """

    max_rate: float = eqx.field(converter=scalar, default=200.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, max_rate=self.max_rate, dt=self.dt)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        # Where every step spikes the rate is not bounded by them; half a step that does not keeps the logarithm finite.
        silent = jnp.maximum(1.0 - spikes.mean(axis=0), 0.5 / len(spikes))
        return jnp.clip(jnp.log(silent) / (-self.max_rate * self.dt), 0.0, 1.0)


@final
class InverseRegularRate(AbstractInverse):
    """Inverse of evenly spaced spikes, whose number is `n = ⌊φ + T x · dt · max_rate⌋`: the middle of such x.

    Its error is at most `½ / (T · dt · max_rate)`, half a spike.

    Args:
        max_rate: firing rate of x = 1, Hz, > 0.
        phase: φ of the code, in [0, 1).
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> spikes = jnp.array([0.0, 1.0, 0.0, 1.0])
    >>> [float(x) for x in InverseRegularRate(max_rate=1000).interval(spikes)]  # 2 ± ½ of 4 spikes
    [0.375, 0.625]
    """

    max_rate: float = eqx.field(converter=scalar, default=200.0)
    phase: float = eqx.field(converter=scalar, default=0.5)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, max_rate=self.max_rate, dt=self.dt)
        check_number(self, "a number in [0, 1)", lambda x: 0 <= x < 1, phase=self.phase)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        low, high = self.interval(spikes)
        return 0.5 * (low + high)

    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """See the base."""
        spikes = over_time(self, spikes)
        least, of_one = spikes.sum(axis=0) - self.phase, len(spikes) * self.dt * self.max_rate
        return jnp.clip(least / of_one, 0.0, 1.0), jnp.clip((least + 1.0) / of_one, 0.0, 1.0)
