"""The leaky integrate-and-fire neuron with an adaptive threshold."""

from __future__ import annotations

from typing import NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

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
from snnlearn.neurons.discretisation import AbstractDiscretisation, UnitGain, ZeroOrderHold
from snnlearn.neurons.lowering import Constants, Lowered
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import Reset, Subtract
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle


class ALIFState(NamedTuple):
    """The membrane `v`, the adaptation `a`, and the aftermath of firing."""

    v: Float[Array, "*units"]
    a: Float[Array, "*units"]
    firing: Firing


@final
class ALIF(AbstractSpikingNeuron):
    r"""Adaptive LIF: a LIF whose threshold is $v_{th} + \beta a$, $\tau_{adapt}\dot a = -a$; a spike raises `a` by 1.

    Bellec et al. 2020 (doi:10.1038/s41467-020-17236-y): the threshold of step t depends on spikes up to step t − 1.

    Args:
        tau_mem: membrane time constant, s, ≥ dt and below 1 s (or 1,000 dt). A float is fixed, an array is trained.
        tau_adapt: adaptation time constant, s, ≥ dt and below 100 s (or 1,000 dt).
        beta: adaptation strength, in the unit of the membrane, ≥ 0.
        v_th: threshold at rest.
        v_leak: resting membrane.
        resistance: $R$, membrane per unit of current, > 0.
        surrogate: the spike's derivative.
        reset: what a spike does to the membrane, and when.
        refractory: refractory period, or None.
        adaptation: how the adaptation's equation becomes a step; `ZeroOrderHold()` filters with gain 1 − ρ instead.
        discretisation: how the membrane's equation becomes a step.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = ALIF(beta=0.5)
    >>> spikes, state = neuron(jnp.array([30.0]), neuron.initial_state((1,)))
    >>> spikes, state.a
    (Array([1.], dtype=float32), Array([1.], dtype=float32))
    """

    tau_mem: PositiveParameter = eqx.field(converter=positive, default=20e-3)
    tau_adapt: PositiveParameter = eqx.field(converter=positive, default=200e-3)
    beta: Parameter = eqx.field(converter=plain, default=0.1)
    v_th: Parameter = eqx.field(converter=plain, default=1.0)
    v_leak: Parameter = eqx.field(converter=plain, default=0.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    surrogate: AbstractSurrogate = Triangle()
    reset: Reset = Subtract()
    refractory: AbstractRefractory | None = None
    adaptation: AbstractDiscretisation = UnitGain()
    discretisation: AbstractDiscretisation = ZeroOrderHold()
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_mem=1.0, tau_adapt=100.0)
        check_not_negative(self, beta=plain(self.beta))  # of a new neuron: training may take it anywhere

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_mem=self.tau_mem, tau_adapt=self.tau_adapt)
        check_positive(self, resistance=self.resistance)
        check_finite(self, v_th=self.v_th, v_leak=self.v_leak, beta=self.beta)
        self.reset.check(self, self.v_th, self.v_leak)

    def initial_state(self, shape: tuple[int, ...]) -> ALIFState:
        """See the base."""
        return ALIFState(jnp.zeros(shape) + value(self.v_leak), jnp.zeros(shape), self._at_rest(shape))

    def __call__(self, current: Float[Array, "*units"], state: ALIFState) -> tuple[Float[Array, "*units"], ALIFState]:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        rest = value(self.v_leak)
        v = rest + decay * (state.v - rest) + gain * value(self.resistance) * current
        threshold = value(self.v_th) + value(self.beta) * state.a
        spikes, v, firing = self._fire(v, state.v, threshold, rest, state.firing)
        decay, gain = self.adaptation(self.dt, value(self.tau_adapt))
        return spikes, ALIFState(v, decay * state.a + gain * spikes, firing)

    def lowered(self) -> Lowered | str:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        adapt_decay, adapt_gain = self.adaptation(self.dt, value(self.tau_adapt))
        return self._lowered(
            Constants(
                decay=decay,
                gain=gain * value(self.resistance),
                v_leak=value(self.v_leak),
                beta=value(self.beta),
                adapt_decay=adapt_decay,
                adapt_gain=adapt_gain,
            )
        )
