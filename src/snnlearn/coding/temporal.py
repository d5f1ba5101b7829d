"""Temporal coding: the value is the time of a single spike; strong values spike early, weak ones late or never."""

from __future__ import annotations

import math
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_time_constants
from snnlearn.coding.base import AbstractInverse, AbstractSpikeEncoder, check_window, unit_interval
from snnlearn.coding.checks import an_array, check_above_zero, check_number, over_time, scalar


def latency(x: Float[Array, "*shape"], tau: float, threshold: float) -> Float[Array, "*shape"]:
    """Time at which a membrane charged by the constant current x reaches its threshold: `t = τ ln(x / (x − θ))`.

    It solves `x (1 − e^{−t/τ}) = θ`.

    Args:
        x: current, in the unit of the threshold.
        tau: membrane time constant τ, s.
        threshold: firing threshold θ, > 0.

    Returns:
        The time, s; `inf` for x ≤ θ, where the membrane never reaches the threshold.

    Raises:
        SnnlearnError: if x is not an array, or tau or threshold is out of range.

    >>> (1e3 * latency(jnp.array([0.1, 0.25, 1.0]), tau=20e-3, threshold=0.2)).round(3).tolist()
    [inf, 32.18..., 4.46...]
    """
    x = an_array("latency", x)
    check_above_zero("latency", tau=tau, threshold=threshold)
    never = x <= threshold  # false for NaN, which stays NaN
    return jnp.where(never, jnp.inf, -tau * jnp.log1p(-threshold / jnp.where(never, 1.0, x)))


def linear_latency(x: Float[Array, "*shape"], t_max: float, threshold: float = 0.0) -> Float[Array, "*shape"]:
    """Time that falls linearly with the value, `t = (1 − x) t_max`.

    Args:
        x: value, in [0, 1].
        t_max: the latest time, s.
        threshold: values up to this one never spike.

    Returns:
        The time, s; `inf` for x ≤ threshold.

    Raises:
        SnnlearnError: if x is not an array, or t_max or threshold is out of range.

    >>> linear_latency(jnp.array([0.0, 0.5, 1.0]), t_max=4.0).tolist()
    [inf, 2.0, 0.0]
    """
    x = an_array("linear_latency", x)
    check_number("linear_latency", "a finite number of at least 0", lambda x: x >= 0, t_max=t_max, threshold=threshold)
    return jnp.where(x <= threshold, jnp.inf, (1.0 - x) * t_max)  # NaN stays NaN


def spike_at(times: Float[Array, "*shape"], num_steps: int, dt: float) -> Float[Array, "T *shape"]:
    """One spike at the step nearest to each time, `round(t / dt)` (halves go to the even step).

    The derivative is straight-through: that of a spike shared linearly by the two steps around its time,
    `max(0, 1 − |s − t/dt|)` in step s. A later time moves weight from the step before to the step after, so the
    mean time changes correctly; spikes that leave the window are lost. A unit that never spikes has none.

    Args:
        times: when to spike, s; `inf` and times before the window mean never, and NaN gives NaN.
        num_steps: number of steps T; later spikes are lost.
        dt: time step, s.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> spike_at(jnp.array([1e-3, 9e-3, jnp.inf]), num_steps=3, dt=1e-3).tolist()
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    times = an_array("spike_at", times, "times")
    check_window("spike_at", num_steps, dt)
    steps = jnp.arange(num_steps, dtype=jnp.float32).reshape(-1, *(1 for _ in times.shape))
    time = (times / dt)[None]
    shared = jnp.maximum(0.0, 1.0 - jnp.abs(steps - time))
    nearest = (steps == jnp.round(time)).astype(jnp.float32)
    return nearest + (shared - jax.lax.stop_gradient(shared))


@final
class Latency(AbstractSpikeEncoder):
    """Logarithmic latency code: at most one spike, at `t = τ ln(x / (x − θ))`; see `latency`.

    A value x ≤ θ never spikes, nor does one whose spike would come after the window.

    Args:
        num_steps: number of steps T; the window must reach the spike of x = 1.
        tau: time constant τ, s, at least dt.
        threshold: θ, in (0, 1).
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range, or the window holds no spike at all.

    >>> Latency(num_steps=40)(jnp.array([0.1, 0.25, 1.0])).argmax(0).tolist()  # the first one is silent
    [0, 32, 4]

    Source: Zenke (2019), SpyTorch tutorial 2 (its values of τ and θ are the defaults).
    """

    num_steps: int
    tau: float = eqx.field(converter=scalar, default=20e-3)
    threshold: float = eqx.field(converter=scalar, default=0.2)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_above_zero(self, tau=self.tau, dt=self.dt)
        check_time_constants(self, self.dt, tau=self.tau)
        check_number(self, "a number in (0, 1)", lambda x: 0 < x < 1, threshold=self.threshold)
        earliest = -self.tau * math.log1p(-self.threshold)
        if round(earliest / self.dt) >= self.num_steps:
            raise SnnlearnError(
                f"Latency: the window of {self.num_steps} steps of {self.dt} s ends before the first possible spike, "
                f"at {earliest:.3g} s; raise num_steps, or lower tau or threshold"
            )

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        return spike_at(latency(unit_interval(x), self.tau, self.threshold), self.num_steps, self.dt)

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseLatency:
        """See the base."""
        return InverseLatency(self.tau, self.threshold, self.dt)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


@final
class LinearLatency(AbstractSpikeEncoder):
    """Linear latency code: at most one spike, at `t = (1 − x) (T − 1) dt`; 1 spikes in the first step.

    On top of `Population`, with `threshold=0.1`, it is the temporal code of Bohte et al. (2002).

    Args:
        num_steps: number of steps T, ≥ 1.
        threshold: values up to this one never spike, in [0, 1).
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> LinearLatency(num_steps=5)(jnp.array([0.02, 0.5, 1.0])).argmax(0).tolist()
    [4, 2, 0]
    """

    num_steps: int
    threshold: float = eqx.field(converter=scalar, default=0.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_number(self, "a number in [0, 1)", lambda x: 0 <= x < 1, threshold=self.threshold)

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray | None = None) -> Float[Array, "T *shape"]:
        """See the base; deterministic."""
        steps = linear_latency(unit_interval(x), float(self.num_steps - 1), self.threshold)  # dt would only round
        return spike_at(steps, self.num_steps, dt=1.0)

    @property
    def draws(self) -> bool:
        """No."""
        return False

    def inverse(self) -> InverseLinearLatency:
        """See the base."""
        return InverseLinearLatency(self.threshold)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


def first_step(spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
    """The step of each unit's first spike, counted from 0; T for a silent unit, NaN where there is NaN.

    >>> first_step(jnp.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [1.0, 2.0]
    """
    fired = spikes > 0
    step = jnp.where(fired.any(axis=0), fired.argmax(axis=0), len(spikes)).astype(spikes.dtype)
    return jnp.where(jnp.isnan(spikes).any(axis=0), jnp.nan, step)


@final
class InverseLatency(AbstractInverse):
    """Inverse of the logarithmic latency code, `x̂ = θ / (1 − e^{−t/τ})` from the time t of the first spike.

    A spike in step k has a time within half a step of `k dt`. A unit that never fired had a value too small to charge
    to the threshold within the window: its estimate is the middle of that interval.

    Args:
        tau: time constant τ of the code, s, ≥ dt.
        threshold: θ of the code, in (0, 1).
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> spikes = jnp.zeros((40, 2)).at[32, 0].set(1.0)
    >>> InverseLatency(tau=20e-3, threshold=0.2)(spikes).round(3).tolist()
    [0.25..., 0.1...]
    """

    tau: float = eqx.field(converter=scalar, default=20e-3)
    threshold: float = eqx.field(converter=scalar, default=0.2)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, tau=self.tau, dt=self.dt)
        check_time_constants(self, self.dt, tau=self.tau)
        check_number(self, "a number in (0, 1)", lambda x: 0 < x < 1, threshold=self.threshold)

    def _value(self, step: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The current that reaches the threshold within this many steps, at most 1."""
        charged = -jnp.expm1(-step * (self.dt / self.tau))
        return self.threshold / jnp.maximum(charged, self.threshold)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        step = first_step(spikes)
        never = 0.5 * self.interval(jnp.zeros_like(spikes))[1]
        return jnp.where(step == len(spikes), never, self._value(step))

    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """See the base."""
        spikes = over_time(self, spikes)
        step = first_step(spikes)
        return jnp.where(step == len(spikes), 0.0, self._value(step + 0.5)), self._value(step - 0.5)


@final
class InverseLinearLatency(AbstractInverse):
    """Inverse of the linear latency code, `x̂ = 1 − k / (T − 1)` from the step k of the first spike.

    Its error is at most half a step, `½ / (T − 1)`. A unit that never fired had a value of at most the threshold: its
    estimate is half of it.

    Args:
        threshold: values up to this one never spike, in [0, 1).

    Raises:
        SnnlearnError: if the threshold is out of range.

    >>> InverseLinearLatency(threshold=0.1)(jnp.zeros((5, 3)).at[4, 0].set(1.0).at[1, 1].set(1.0)).tolist()
    [0.1..., 0.75, 0.05...]
    """

    threshold: float = eqx.field(converter=scalar, default=0.0)

    def __check_init__(self):
        check_number(self, "a number in [0, 1)", lambda x: 0 <= x < 1, threshold=self.threshold)

    def _value(self, step: Float[Array, "*n"], num_steps: int) -> Float[Array, "*n"]:
        return jnp.clip(1.0 - step / max(num_steps - 1, 1), self.threshold, 1.0)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
        """See the base."""
        spikes = over_time(self, spikes)
        step = first_step(spikes)
        return jnp.where(step == len(spikes), 0.5 * self.threshold, self._value(step, len(spikes)))

    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*n"], Float[Array, "*n"]]:
        """See the base."""
        spikes = over_time(self, spikes)
        step, num_steps = first_step(spikes), len(spikes)
        never = step == num_steps
        half = 0.5 if num_steps > 1 else 1.0  # a window of one step says only whether x is above the threshold
        low = jnp.where(never, 0.0, self._value(step + half, num_steps))
        return low, jnp.where(never, self.threshold, self._value(step - half, num_steps))
