"""The axon-hillock circuit: the first silicon neuron, in physical units."""

from __future__ import annotations

from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Parameter, PositiveParameter, Value, check_positive, number, plain, positive, value
from snnlearn.neurons.base import AbstractSpikingNeuron
from snnlearn.neurons.integrate_and_fire import IF
from snnlearn.neurons.resets import NoReset
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle
from snnlearn.neurons.thermal import BIAS, Thermal


class AxonHillockState(NamedTuple):
    """The membrane `v`, mV, and whether the output is high."""

    v: Float[Array, "*units"]
    high: Bool[Array, "*units"]


@final
class AxonHillock(AbstractSpikingNeuron):
    r"""Mead's axon-hillock circuit (Analog VLSI and Neural Systems, 1989, chapter 12).

    A current charges the membrane's capacitor. At the threshold of an amplifier its output goes high, which by way of a
    feedback capacitor makes the membrane jump by $\Delta V=V_{dd}C_{fb}/(C_{fb}+C_{mem})$, and turns on the reset
    current. When that has brought the membrane back to the threshold, the output goes low, and the membrane jumps down:

    $$t_{low}=C_{fb}V_{dd}/I,\qquad t_{high}=C_{fb}V_{dd}/(I_r-I).$$

    There is no leak, so it is an `IF` with a refractory period that depends on the current. Like the circuit it gets
    stuck, high and silent, under a current of `i_reset` or more. The step is exact under a constant current, with the
    jumps at their own times within it; at most one spike fits in a step. No gradient flows through the times of jumps.

    Args:
        capacitance: $C_{mem}$, pF, > 0. A float is fixed, an array is trained.
        feedback: $C_{fb}$, pF, > 0.
        v_dd: supply voltage $V_{dd}$, mV, > 0.
        v_th: threshold of the amplifier, mV, above the jump, below `v_dd`.
        i_reset: $I_r$, pA, > 0.
        unit: what a current of 1 is, pA, > 0.
        surrogate: the spike's derivative, a function of (v − v_th) / ΔV.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = AxonHillock()
    >>> t_low, t_high = neuron.t_low(100.0), neuron.t_high(100.0)  # at 100 pA, s
    >>> round(1e3 * t_low, 3), round(1e3 * t_high, 3), round(1 / (t_low + t_high), 2)
    (9.0, 1.0, 100.0)
    """

    capacitance: PositiveParameter = eqx.field(converter=positive, default=4.5)
    feedback: PositiveParameter = eqx.field(converter=positive, default=0.5)
    v_dd: float = eqx.field(converter=number, default=1800.0)
    v_th: Parameter = eqx.field(converter=plain, default=900.0)
    i_reset: PositiveParameter = eqx.field(converter=positive, default=1000.0)
    unit: float = eqx.field(converter=number, default=100.0)
    surrogate: AbstractSurrogate = Triangle()
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        check_positive(self, capacitance=self.capacitance, feedback=self.feedback, v_dd=self.v_dd, v_th=self.v_th)
        check_positive(self, i_reset=self.i_reset, unit=self.unit, dt=self.dt)
        jump, v_th, v_dd = map(value, (self.jump(), self.v_th, self.v_dd))
        if all(isinstance(part, float) for part in (jump, v_th, v_dd)) and not jump < v_th < v_dd:
            raise SnnlearnError(
                f"AxonHillock: v_th is {v_th} mV, not between the jump, {jump:g} mV, and v_dd, {v_dd} mV; "
                "give a threshold between them"
            )

    @property
    def reset(self) -> NoReset:  # pyright: ignore[reportIncompatibleVariableOverride]
        """None: the reset current takes its time."""
        return NoReset()

    @property
    def refractory(self) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """None besides the time that the output is high."""
        return None

    @property
    def surrogate_scale(self) -> Value:
        """See the base: the jump."""
        return self.jump()

    @property
    def thermal(self) -> dict[str, Thermal]:
        """See the base: its times are charges over currents, in which no thermal voltage enters."""
        return {"i_reset": BIAS, "unit": BIAS}

    def jump(self) -> Value:
        r"""$\Delta V$, by which the membrane jumps, mV."""
        feedback = value(self.feedback)
        return self.v_dd * feedback / (feedback + value(self.capacitance))

    def t_low(self, current: Value) -> Value:
        """How long the output is low under a constant current.

        Args:
            current: pA, > 0.

        Returns:
            s.
        """
        return 1e-3 * value(self.feedback) * self.v_dd / current

    def t_high(self, current: Value) -> Value:
        """How long the output is high, the width of a spike.

        Args:
            current: pA, > 0, below `i_reset`.

        Returns:
            s.
        """
        return 1e-3 * value(self.feedback) * self.v_dd / (value(self.i_reset) - current)

    def initial_state(self, shape: tuple[int, ...]) -> AxonHillockState:
        """See the base: as after a spike."""
        v = jnp.zeros(shape) + value(self.v_th) - self.jump()
        return AxonHillockState(v, jnp.zeros(shape, dtype=bool))

    def __call__(
        self, current: Float[Array, "*units"], state: AxonHillockState
    ) -> tuple[Float[Array, "*units"], AxonHillockState]:
        """See the base."""
        v_th, jump = value(self.v_th), self.jump()
        per_pa = 1e3 / (value(self.capacitance) + value(self.feedback))  # mV / s
        i, left = self.unit * current, jnp.full_like(state.v, self.dt)
        v, high = state.v, state.high
        spikes, fired = jnp.zeros_like(v), jnp.zeros_like(high)
        for _ in range(3):  # stretches between jumps, of which one at most is up
            rate = per_pa * jnp.where(high, i - value(self.i_reset), i)
            straight, waits = v + rate * left, ~high & ~fired
            spikes = jnp.where(waits, self.surrogate((straight - v_th) / self.surrogate_scale), spikes)
            # Spikes make it jump, also those that noise draws, which come before the threshold or after it.
            crosses = jnp.where(high, straight < v_th, waits & (spikes > 0.5))
            until = jnp.clip((v_th - v) / jnp.where(crosses, rate, 1.0), 0.0, left)
            landed = jnp.where(high, v_th - jump, v_th + jump)
            straight = jnp.clip(straight, 0.0, jnp.where(fired & ~high, v_th, jnp.inf))
            v, left = jnp.where(crosses, landed, straight), jnp.where(crosses, left - until, 0.0)
            left, fired, high = jax.lax.stop_gradient(left), fired | (crosses & ~high), high ^ crosses
        return spikes, AxonHillockState(v, high)

    def free(self) -> IF:
        """See the base: the `IF` that it is between spikes."""
        per_step = 1e3 * self.dt * self.unit / (value(self.capacitance) + value(self.feedback))
        return IF(resistance=per_step, dt=self.dt).free()  # pyright: ignore[reportReturnType]
