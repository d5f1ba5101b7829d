"""The leaky integrate-and-fire neuron."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import (
    Parameter,
    PositiveParameter,
    check_finite,
    check_positive,
    check_time_constants,
    number,
    plain,
    positive,
    train_time_constants,
    value,
)
from snnlearn.neurons.base import AbstractSpikingNeuron, Firing
from snnlearn.neurons.continuous import Continuous
from snnlearn.neurons.discretisation import AbstractDiscretisation, ZeroOrderHold
from snnlearn.neurons.lowering import Constants, Lowered
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import Reset, Subtract
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle


class LIFState(NamedTuple):
    """The membrane `v`, and the aftermath of firing."""

    v: Float[Array, "*units"]
    firing: Firing


@final
class LIF(AbstractSpikingNeuron):
    r"""Leaky integrate-and-fire, $\tau_{mem}\dot v = (v_{leak}-v) + RI$, spike where $v > v_{th}$.

    With the default discretisation, `v ← v_leak + α(v − v_leak) + (1 − α) R i`, `α = exp(−dt/tau_mem)`.

    Args:
        tau_mem: membrane time constant, s, ≥ dt and below 1 s (or 1,000 dt). A float is fixed, an array is trained.
        v_th: threshold.
        v_leak: resting membrane.
        resistance: $R$, membrane per unit of current, > 0.
        surrogate: the spike's derivative.
        reset: what a spike does to the membrane, and when.
        refractory: refractory period, or None.
        discretisation: how the equation becomes a step.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = LIF(tau_mem=10e-3)
    >>> spikes, state = neuron(jnp.array([5.0, 20.0]), neuron.initial_state((2,)))
    >>> spikes
    Array([0., 1.], dtype=float32)
    """

    tau_mem: PositiveParameter = eqx.field(converter=positive, default=20e-3)
    v_th: Parameter = eqx.field(converter=plain, default=1.0)
    v_leak: Parameter = eqx.field(converter=plain, default=0.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    surrogate: AbstractSurrogate = Triangle()
    reset: Reset = Subtract()
    refractory: AbstractRefractory | None = None
    discretisation: AbstractDiscretisation = ZeroOrderHold()
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_mem=1.0)

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_mem=self.tau_mem)
        check_positive(self, resistance=self.resistance)
        check_finite(self, v_th=self.v_th, v_leak=self.v_leak)
        self.reset.check(self, self.v_th, self.v_leak)

    @property
    def linear(self) -> bool:
        """See the base."""
        return not jax.tree.leaves(eqx.filter(self, eqx.is_array))

    @property
    def affine(self) -> bool:
        """See the base: if it is never reset."""
        return self.never_reset

    def initial_state(self, shape: tuple[int, ...]) -> LIFState:
        """See the base."""
        return LIFState(jnp.zeros(shape) + value(self.v_leak), self._at_rest(shape))

    def __call__(self, current: Float[Array, "*units"], state: LIFState) -> tuple[Float[Array, "*units"], LIFState]:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        rest = value(self.v_leak)
        v = rest + decay * (state.v - rest) + gain * value(self.resistance) * current
        spikes, v, firing = self._fire(v, state.v, value(self.v_th), rest, state.firing)
        return spikes, LIFState(v, firing)

    def in_continuous_time(self) -> Continuous | str:
        """See the base: a current held for each step."""
        if not self.discretisation.integrates:
            return f"takes its input by {type(self.discretisation).__name__}, not as its differential equation does"
        tau_mem, v_leak, resistance = map(value, (self.tau_mem, self.v_leak, self.resistance))
        return self._in_continuous_time(tau_mem, math.inf, v_leak, resistance, self.dt)

    def lowered(self) -> Lowered | str:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        return self._lowered(Constants(decay=decay, gain=gain * value(self.resistance), v_leak=value(self.v_leak)))
