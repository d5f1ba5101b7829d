"""Decoders: from the output over time to one score per class."""

from __future__ import annotations

from typing import ClassVar, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_time_constants
from snnlearn.coding.base import AbstractDecoder, check_whole
from snnlearn.coding.checks import check_above_zero, over_time, scalar
from snnlearn.coding.ends import ending_last, until


@final
class MeanMembrane(AbstractDecoder):
    """The membrane averaged over time, `Σ_t v_t / T`.

    >>> MeanMembrane()(jnp.array([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [0.5, 1.5]
    """

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base."""
        output = over_time(self, output, "output", axes=2)
        return output.mean(axis=0)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base: over the sample's own steps."""
        return until(output, length).sum(axis=0) / length.astype(output.dtype)


@final
class MaxMembrane(AbstractDecoder):
    """The highest value of the membrane, `max_t v_t`.

    >>> MaxMembrane()(jnp.array([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [1.0, 3.0]
    """

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base."""
        output = over_time(self, output, "output", axes=2)
        return output.max(axis=0)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base."""
        return self(until(output, length, -jnp.inf))


@final
class LastMembrane(AbstractDecoder):
    """The membrane in the last step, `v_T`.

    >>> LastMembrane()(jnp.array([[1.0, 0.0], [0.0, 3.0]])).tolist()
    [0.0, 3.0]
    """

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base."""
        output = over_time(self, output, "output", axes=2)
        return output[-1]

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base: in the sample's own last step."""
        return self(ending_last(output, length))


@final
class LastSteps(AbstractDecoder):
    """The membrane in each of the last steps, `v_(T−K+1), …, v_T`: K scores of each unit, step by step.

    For targets of each step, such as those of [`copy`][snnlearn.data.copy]: with
    [`EachLabel`][snnlearn.coding.EachLabel] around it, each score decides about a label.

    Args:
        steps: K, from 1 to the number of steps.

    Raises:
        SnnlearnError: if steps is no such number.

    >>> LastSteps(2)(jnp.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]])).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """

    steps: int = 1

    def __check_init__(self):
        check_whole(self, at_least=1, steps=self.steps)

    def num_units(self, num_scores: int) -> int:
        """See the base: K scores are of one unit."""
        if num_scores % self.steps:
            raise SnnlearnError(
                f"LastSteps: {num_scores} scores are not equally many in each of {self.steps} steps; give as many "
                "steps as the targets have"
            )
        return num_scores // self.steps

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " scores"]:
        """See the base."""
        output = over_time(self, output, "output", axes=2)
        if len(output) < self.steps:
            raise SnnlearnError(
                f"LastSteps: the output has {len(output)} steps; give at most as many, not {self.steps}"
            )
        return output[-self.steps :].ravel()

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " scores"]:
        """See the base: in the sample's own last steps; NaN if it has fewer."""
        return jnp.where(length >= self.steps, self(ending_last(output, length)), jnp.nan)


@final
class SpikeCount(AbstractDecoder):
    """The number of spikes, `Σ_t S_t`.

    >>> SpikeCount()(jnp.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [2.0, 1.0]
    """

    reads_spikes: ClassVar[bool] = True

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base."""
        output = over_time(self, output, "output", axes=2)
        return output.sum(axis=0)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base."""
        return self(until(output, length))


@final
class FilteredRate(AbstractDecoder):
    """The firing rate in an exponential window, `r_T = Σ_t κ^{T−t} (1 − κ) S_t / dt`, Hz; `κ = e^{−dt/τ}`.

    It is the state after the last step of `r ← κ r + (1 − κ) S / dt`, and forgets spikes older than a few τ.

    Args:
        tau: time constant τ of the window, s, ≥ dt.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if tau or dt is not positive, or dt is longer than tau.

    >>> FilteredRate(tau=5e-3)(jnp.ones((100, 1))).round(0).tolist()  # a spike in every step of 1 ms
    [1000.0]
    """

    reads_spikes: ClassVar[bool] = True
    tau: float = eqx.field(converter=scalar, default=20e-3)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, tau=self.tau, dt=self.dt)
        check_time_constants(self, self.dt, tau=self.tau)

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base; `output` is spikes."""
        output = over_time(self, output, "output", axes=2)
        age = jnp.arange(len(output) - 1, -1, -1, dtype=output.dtype) * (self.dt / self.tau)
        return (-jnp.expm1(-self.dt / self.tau) / self.dt) * (jnp.exp(-age) @ output)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base: the window ends with the sample."""
        return self(ending_last(output, length))


@final
class FirstSpike(AbstractDecoder):
    """The earlier the first spike, the higher the score: `−t_first / scale`.

    The time is the number of steps before the first spike, T for a silent unit:

    `t_first / dt = Σ_t Π_{s ≤ t} (1 − S_s)`.

    This polynomial is linear in each spike: its derivative with respect to S_s is exactly the effect of adding or
    removing a spike in step s. So the gradient makes a silent unit fire, and vanishes after the first spike.

    Args:
        scale: time that costs one unit of score, s, > 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if scale or dt is not positive.

    >>> FirstSpike(scale=2e-3)(jnp.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0]])).tolist()
    [-1.0, -2.0]
    """

    reads_spikes: ClassVar[bool] = True
    scale: float = eqx.field(converter=scalar, default=5e-3)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, scale=self.scale, dt=self.dt)

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " C"]:
        """See the base; `output` is spikes."""
        output = over_time(self, output, "output", axes=2)
        silent_so_far = jnp.cumprod(1.0 - output, axis=0)
        return -(self.dt / self.scale) * silent_so_far.sum(axis=0)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " C"]:
        """See the base: a silent unit is assumed to spike at the sample's end."""
        return self(until(output, length, 1.0))

    def of_times(self, times: Float[Array, " C"], num_steps: int | Int[Array, ""]) -> Float[Array, " C"]:
        """The scores of first spikes in continuous time.

        Args:
            times: of the first spikes, s; `inf` for a silent unit.
            num_steps: the number of steps T of the window, at whose end a silent unit is assumed to spike.
        """
        end = self.dt * jnp.asarray(num_steps, times.dtype)
        return -jnp.minimum(times, end) / self.scale
