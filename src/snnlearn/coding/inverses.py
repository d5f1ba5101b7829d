"""Decoders of values: the inverse of each code, from spikes back to what they encode.

`x → encoder → spikes [T, *n] → inverse → x̂ [*n]`

An inverse of a deterministic code also tells all values that give these spikes, so that its error is known and not
estimated: `interval(spikes)` holds both x and x̂. `inverse_of(encoder)` finds the one that fits an encoder.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_time_constants
from snnlearn.coding.base import check_whole
from snnlearn.coding.checks import check_above_zero, check_number, check_part, known_array, over_time, scalar


class AbstractReconstruction(Component):
    """Turn spikes back into the values that they encode."""

    @abstractmethod
    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*x"]:
        """Estimate the values.

        Args:
            spikes: 0 or 1, or their number, at each of T steps.
        """


class AbstractInverse(AbstractReconstruction):
    """The reconstruction of a deterministic code, whose error is bounded by an interval."""

    @abstractmethod
    def interval(self, spikes: Float[Array, "T *n"]) -> tuple[Float[Array, "*x"], Float[Array, "*x"]]:
        """Smallest and largest value whose code is these spikes, up to rounding."""


def first_step(spikes: Float[Array, "T *n"]) -> Float[Array, "*n"]:
    """The step of each unit's first spike, counted from 0; T for a silent unit, NaN where there is NaN.

    >>> first_step(jnp.array([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [1.0, 2.0]
    """
    fired = spikes > 0
    step = jnp.where(fired.any(axis=0), fired.argmax(axis=0), len(spikes)).astype(spikes.dtype)
    return jnp.where(jnp.isnan(spikes).any(axis=0), jnp.nan, step)


@final
class InverseRate(AbstractReconstruction):
    """Inverse of the rate code, `x̂ = Σ_t S_t / (T · dt · max_rate)`.

    Unbiased. With independent coins of probability `p = x · max_rate · dt` its variance is
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

    A step shows one spike even if the process had more, and the logarithm makes up for it.

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
        """The current that charges to the threshold within so many steps, at most 1."""
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


@final
class InverseBurst(AbstractInverse):
    """Inverse of the burst code: the middle of the values whose number of spikes and whose interval these are.

    n spikes say `(n − 1)/N < x ≤ n/N`, an interval of I steps says `t_max − I ≤ x (t_max − t_min) < t_max − I + 1`.
    Where the next spike would have fallen out of the window, there may have been more than n.

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


@final
class InverseDelta(AbstractReconstruction):
    """The signal that ON and OFF spikes tell, `x̂_t = x₀ + θ Σ_{s ≤ t} (ON_s − OFF_s)`.

    Of a send-on-delta code it is within θ of the signal, as long as that changes by at most θ in a step. Delta
    modulation does not send slow changes, so there its error can grow without bound.

    Args:
        threshold: change θ of one event, in the unit of the signal, > 0.
        initial: the value x₀ before the first step; where the code began with the signal's own first value, that.

    Raises:
        SnnlearnError: if the threshold is not positive.

    >>> InverseDelta(threshold=0.5)(jnp.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])).tolist()
    [0.5, 0.5, 0.0]
    """

    threshold: float = eqx.field(converter=scalar, default=0.1)
    initial: float = eqx.field(converter=scalar, default=0.0)

    def __check_init__(self):
        check_above_zero(self, threshold=self.threshold)
        check_number(self, "a finite number", lambda x: True, initial=self.initial)

    def __call__(self, spikes: Float[Array, "T *n 2"]) -> Float[Array, "T *n"]:
        """See the base."""
        spikes = over_time(self, spikes, axes=2)
        if spikes.shape[-1] != 2:
            raise SnnlearnError(
                f"InverseDelta: spikes has shape {spikes.shape}; give ON and OFF along the last axis, of 2"
            )
        return self.initial + self.threshold * jnp.cumsum(spikes[..., 0] - spikes[..., 1], axis=0)


@final
class InverseRescaled(AbstractReconstruction):
    """Another inverse, whose values in [0, 1] are mapped back to `[low, high]`, `x̂ = low + (high − low) x̂₀₁`.

    Args:
        inverse: the inverse of the code of the mapped values.
        low: value of 0, a number or an array whose axes are the values' last ones.
        high: value of 1, alike.

    Raises:
        SnnlearnError: if a field is not that, or a bound is not finite.

    >>> InverseRescaled(InverseRate(max_rate=1000), low=-1.0, high=3.0)(jnp.array([[1.0], [0.0]])).tolist()
    [1.0]
    """

    inverse: AbstractReconstruction
    low: float | Float[Array, "..."] = eqx.field(converter=scalar)
    high: float | Float[Array, "..."] = eqx.field(converter=scalar)

    def __check_init__(self):
        check_part(self, AbstractReconstruction, "an inverse, such as InverseRate()", inverse=self.inverse)
        for name, bound in (("low", self.low), ("high", self.high)):
            known_array(self, bound, name, shape="a number for each feature", axes=())

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "*x"]:
        """See the base."""
        spikes = over_time(self, spikes)
        x = self.inverse(spikes)
        low, high = (jnp.asarray(bound, x.dtype) for bound in (self.low, self.high))
        return jnp.broadcast_to(low, x.shape) + jnp.broadcast_to(high - low, x.shape) * x


@final
class InverseFramewise(AbstractReconstruction):
    """Another inverse, frame by frame, for a signal whose frames were encoded one after the other.

    Args:
        inverse: the inverse of the code of one frame.
        num_frames: frames of the signal, ≥ 1.

    Raises:
        SnnlearnError: if num_frames is not a whole number of at least 1.

    >>> InverseFramewise(InverseRate(max_rate=1000), num_frames=2)(jnp.array([1.0, 0.0, 1.0, 1.0])).tolist()
    [0.5, 1.0]
    """

    inverse: AbstractReconstruction
    num_frames: int

    def __check_init__(self):
        check_part(self, AbstractReconstruction, "an inverse, such as InverseRate()", inverse=self.inverse)
        check_whole(self, at_least=1, num_frames=self.num_frames)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "F *x"]:
        """See the base."""
        spikes = over_time(self, spikes)
        if len(spikes) % self.num_frames:
            raise SnnlearnError(
                f"InverseFramewise: {len(spikes)} steps are not {self.num_frames} frames of one length; "
                "give the number of frames that the signal has"
            )
        frames = spikes.reshape(self.num_frames, -1, *spikes.shape[1:])
        return jax.vmap(self.inverse)(frames)
