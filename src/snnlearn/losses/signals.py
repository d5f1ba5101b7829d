"""Losses of signals over time, real-valued or spikes."""

from __future__ import annotations

import math
from typing import Any, ClassVar, final

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive, check_time_constants
from snnlearn._rates import highest_rate
from snnlearn.coding import AbstractDecoder, SpikeCount
from snnlearn.losses.base import AbstractFilteredLoss, AbstractLoss, AbstractStepwiseLoss
from snnlearn.losses.kernel import Kernel


@final
class MeanSquaredError(AbstractStepwiseLoss):
    r"""$\frac1{Tn}\sum_{t,k}(y_k^t-\hat y_k^t)^2$ of the network's output and a target `[T, n]`.

    >>> float(MeanSquaredError()((jnp.zeros((5, 2)),), 3 * jnp.ones((5, 2))))
    9.0
    """

    decoder: AbstractDecoder | None = None

    def moments(self, target: Float[Array, "T *n"], num_steps: int) -> tuple[Array, Array]:
        """See the base: the target of each step, and 1/T."""
        check_steps(self, target, num_steps)
        return target, jnp.full(num_steps, 1 / num_steps)

    def moments_until(
        self, target: Float[Array, "T *n"], num_steps: int, length: Int[Array, ""]
    ) -> tuple[Array, Array]:
        """See the base: the target of each step, and 1 over the sample's own steps."""
        check_steps(self, target, num_steps)
        return target, jnp.full(num_steps, 1 / length.astype(jnp.result_type(float)))

    def moment_of_step(self, target: Float[Array, "*n"], past: None) -> tuple[tuple[Array, Array], None]:
        """See the base."""
        return (target, jnp.ones((), target.dtype)), past

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """See the base."""
        target, share = moment
        return share * jnp.mean(jnp.square(output - target))


class _AbstractSpikeTrainDistance(AbstractFilteredLoss):
    """The common part of the van Rossum distances: a target `[T, n]` of spikes, filtered like the output."""

    def moments(self, target: Float[Array, "T *n"], num_steps: int) -> Array:
        """See the base: the filtered target."""
        check_steps(self, target, num_steps)
        return self.kernel(target)

    def moments_until(self, target: Float[Array, "T *n"], num_steps: int, length: Int[Array, ""]) -> Array:
        """See the base: the same, as the filter is causal."""
        return self.moments(target, num_steps)

    def past_at_rest(self, out_shape: tuple[int, ...]) -> Float[Array, "F *n"]:
        """See the base: the filter's memory."""
        return self.kernel.at_rest(out_shape)

    def moment_of_step(self, target: Float[Array, "*n"], past: Float[Array, "F *n"]) -> tuple[Array, Array]:
        """See the base: the filtered target."""
        return self.kernel.step(target, past)


@final
class VanRossum(_AbstractSpikeTrainDistance):
    r"""$D^2=\sum_k\frac1\tau\int(\epsilon*S_k-\epsilon*\hat S_k)^2dt$ with $\epsilon=e^{-t/\tau}$ (van Rossum 2001).

    The integral over each time step is exact, so a missing spike far from the end costs ½, and a spike displaced by Δ
    costs 1 − exp(−Δ/τ) (doi:10.1162/089976601300014321). The target is a spike train `[T, n]`.

    Args:
        tau: time constant of the kernel, s, ≥ dt.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> spikes = jnp.zeros((500, 1)).at[10].set(1.0)
    >>> round(float(VanRossum(tau=10e-3)((spikes,), 0 * spikes)), 6)
    0.5
    """

    tau: float = 10e-3
    dt: float = 1e-3
    decoder: AbstractDecoder | None = None

    def __check_init__(self):
        check_time_constants(self, self.dt, tau=self.tau)

    @property
    def kernel(self) -> Kernel:
        """See the base."""
        return Kernel(0.0, jnp.ones(1), jnp.exp(jnp.full(1, -self.dt / self.tau)))

    def at_step(self, output: Float[Array, "*n"], moment: Float[Array, "*n"]) -> Float[Array, ""]:
        """See the base."""
        return -math.expm1(-2 * self.dt / self.tau) / 2 * jnp.sum(jnp.square(output - moment))


@final
class AlphaVanRossum(_AbstractSpikeTrainDistance):
    r"""$\frac12\sum_k\int(\alpha*\hat S_k-\alpha*S_k)^2dt$, with a kernel α that rises and decays.

    $\alpha=(e^{-t/\tau_{decay}}-e^{-t/\tau_{rise}})/(\tau_{decay}-\tau_{rise})$ has unit area, unit 1/s. The error that
    SuperSpike minimises (Zenke & Ganguli 2018, eq. 1, doi:10.1162/neco_a_01086). The target is a spike train `[T, n]`.
    Not the paper's: both exponentials decay exactly over a step, where its simulator takes Euler steps.

    Args:
        tau_rise: rise time constant, s, ≥ dt.
        tau_decay: decay time constant, s, ≥ dt, not equal to tau_rise.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a time constant out of range, or two equal ones.

    >>> spikes = jnp.zeros((5000, 1)).at[10].set(1.0)
    >>> round(float(AlphaVanRossum(dt=0.05e-3)((spikes,), 0 * spikes)), 1)  # 1 / (4 (τ_rise + τ_decay))
    16.7
    """

    tau_rise: float = 5e-3
    tau_decay: float = 10e-3
    dt: float = 1e-3
    decoder: AbstractDecoder | None = None

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_rise=self.tau_rise, tau_decay=self.tau_decay)
        if self.tau_rise == self.tau_decay:
            raise SnnlearnError(f"AlphaVanRossum: tau_rise and tau_decay are both {self.tau_decay} s; make them differ")

    @property
    def kernel(self) -> Kernel:
        """See the base: ẽ ← r ẽ + S, e ← d e + (1 − d) ẽ, and its area, 1/(1 − r) steps, made 1."""
        r, d = math.exp(-self.dt / self.tau_rise), math.exp(-self.dt / self.tau_decay)
        scale = (1 - d) * (1 - r) / ((d - r) * self.dt)
        return Kernel(0.0, jnp.array([scale * d, -scale * r]), jnp.array([d, r]))

    def at_step(self, output: Float[Array, "*n"], moment: Float[Array, "*n"]) -> Float[Array, ""]:
        """See the base."""
        return 0.5 * self.dt * jnp.sum(jnp.square(output - moment))


@final
class ClassSpikeTrains(AbstractFilteredLoss):
    """A distance to the spike trains of a class: its unit fires regularly, the others are silent.

    Args:
        num_classes: units of the readout, ≥ 1.
        distance: the distance of spike trains.
        rate: firing rate of the right class's unit, Hz, in (0, 1/dt].
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a rate out of range.

    >>> ClassSpikeTrains(num_classes=2, rate=500.0).train(jnp.array(1), 4).tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]
    """

    decides_by: ClassVar[type[AbstractDecoder] | None] = SpikeCount
    num_classes: int
    distance: AbstractFilteredLoss = AlphaVanRossum()
    rate: float = 100.0
    dt: float = 1e-3
    decoder: AbstractDecoder | None = SpikeCount()

    def __check_init__(self):
        check_positive(self, dt=self.dt, rate=self.rate, num_classes=float(self.num_classes))
        if self.rate * self.dt > 1:
            most = highest_rate(self.dt)
            raise SnnlearnError(f"ClassSpikeTrains: rate is {self.rate} Hz; give at most 1/dt = {most:g} Hz")

    def train(self, label: Int[Array, ""], num_steps: int) -> Float[Array, "T C"]:
        """The spike trains of a class."""
        phase = jnp.floor(jnp.arange(num_steps + 1.0) * (self.rate * self.dt) + 1e-4)
        spikes = jnp.diff(phase) > 0
        return (spikes[:, None] & (jnp.arange(self.num_classes, dtype=label.dtype) == label)[None]).astype(
            jnp.result_type(float)
        )

    @property
    def kernel(self) -> Kernel:
        """See the base: the distance's."""
        return self.distance.kernel

    def moments(self, target: Int[Array, ""], num_steps: int) -> Any:
        """See the base."""
        return self.distance.moments(self.train(target, num_steps), num_steps)

    def moments_until(self, target: Int[Array, ""], num_steps: int, length: Int[Array, ""]) -> Any:
        """See the base."""
        return self.distance.moments_until(self.train(target, num_steps), num_steps, length)

    def at_step(self, output: Float[Array, "*n"], moment: Any) -> Float[Array, ""]:
        """See the base."""
        return self.distance.at_step(output, moment)


def check_steps(owner: AbstractLoss, target: Array, num_steps: int) -> None:
    """Refuse a target of another length than the output.

    Raises:
        SnnlearnError: naming both lengths.
    """
    if len(target) != num_steps:
        raise SnnlearnError(
            f"{type(owner).__name__}: the target has {len(target)} steps and the output {num_steps}; make them equal"
        )
