"""The resonate-and-fire neuron."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import (
    Parameter,
    PositiveParameter,
    check_finite,
    check_not_negative,
    check_positive,
    check_time_constants,
    number,
    plain,
    positive,
    train_time_constants,
    value,
)
from snnlearn.neurons.base import AbstractSpikingNeuron, Firing
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import NoReset, Reset
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle
from snnlearn.neurons.thermal import CONDUCTANCE, Thermal


class ResonateAndFireState(NamedTuple):
    """The membrane `v`, the other part `w` of its oscillation, and the aftermath of firing."""

    v: Float[Array, "*units"]
    w: Float[Array, "*units"]
    firing: Firing


@final
class ResonateAndFire(AbstractSpikingNeuron):
    r"""Resonate-and-fire, a membrane that oscillates: $\dot u = (-1/\tau_{mem}+2\pi i f)\,u$, spike where Re u > v_th.

    `u ← exp(−dt/tau_mem + 2πi f dt) u + R i`, `v = Re u`. A frequency of the input near f adds up. Izhikevich 2001,
    "Resonate-and-fire neurons", doi:10.1016/S0893-6080(01)00078-8, where the imaginary part is the membrane, so that
    the same oscillation comes a quarter of a period later; by the real part, and without reset, as in Higuchi, Kairat,
    Bohté & Otte 2024, arXiv:2402.14603. A reset acts on v alone.

    Args:
        tau_mem: time constant of the oscillation's decay, s, ≥ dt. A float is fixed, an array is trained.
        frequency: f, Hz, from 0 to below 1 / (2 dt).
        v_th: threshold; the membrane rests at 0.
        resistance: R, membrane per unit of current and step, > 0.
        surrogate: the spike's derivative.
        reset: what a spike does to the membrane, and when.
        refractory: refractory period, or None.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = ResonateAndFire(tau_mem=1e9, frequency=250.0, dt=1e-3)  # a quarter of a period in a step
    >>> state, vs = neuron.initial_state((1,)), []
    >>> for current in (0.5, 0.0, 0.0, 0.0, 0.0):
    ...     spikes, state = neuron(jnp.array([current]), state)
    ...     vs.append(round(float(state.v[0]), 3) + 0.0)
    >>> vs
    [0.5, 0.0, -0.5, 0.0, 0.5]
    """

    tau_mem: PositiveParameter = eqx.field(converter=positive, default=20e-3)
    frequency: Parameter = eqx.field(converter=plain, default=20.0)
    v_th: Parameter = eqx.field(converter=plain, default=1.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    surrogate: AbstractSurrogate = Triangle()
    reset: Reset = NoReset()
    refractory: AbstractRefractory | None = None
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_mem=math.inf)

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_mem=self.tau_mem)
        check_positive(self, resistance=self.resistance)
        check_not_negative(self, frequency=self.frequency)
        check_finite(self, v_th=self.v_th)
        if isinstance(self.frequency, float) and self.frequency >= 0.5 / self.dt:
            raise SnnlearnError(
                f"ResonateAndFire: frequency is {self.frequency} Hz, which steps of {self.dt} s cannot show; give less "
                f"than {0.5 / self.dt:g} Hz"
            )
        self.reset.check(self, self.v_th, 0.0)

    @property
    def affine(self) -> bool:
        """See the base: if it is never reset."""
        return self.never_reset

    @property
    def thermal(self) -> dict[str, Thermal]:
        """See the base: its frequency is that of two conductances over two capacitors."""
        return super().thermal | {"frequency": CONDUCTANCE}

    def initial_state(self, shape: tuple[int, ...]) -> ResonateAndFireState:
        """See the base."""
        return ResonateAndFireState(jnp.zeros(shape), jnp.zeros(shape), self._at_rest(shape))

    def __call__(
        self, current: Float[Array, "*units"], state: ResonateAndFireState
    ) -> tuple[Float[Array, "*units"], ResonateAndFireState]:
        """See the base."""
        decay = jnp.exp(-self.dt / value(self.tau_mem))
        angle = 2 * math.pi * self.dt * value(self.frequency)
        re, im = decay * jnp.cos(angle), decay * jnp.sin(angle)
        v = re * state.v - im * state.w + value(self.resistance) * current
        w = im * state.v + re * state.w
        spikes, v, firing = self._fire(v, state.v, value(self.v_th), 0.0, state.firing)
        return spikes, ResonateAndFireState(v, w, firing)
