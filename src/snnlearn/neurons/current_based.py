"""The leaky integrate-and-fire neuron with a synaptic current."""

from __future__ import annotations

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
from snnlearn.neurons.discretisation import AbstractDiscretisation, UnitGain, ZeroOrderHold
from snnlearn.neurons.lowering import Constants, Lowered
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import Reset, Subtract
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle


class CubaLIFState(NamedTuple):
    """The synaptic current `i`, the membrane `v`, and the aftermath of firing."""

    i: Float[Array, "*units"]
    v: Float[Array, "*units"]
    firing: Firing


@final
class CubaLIF(AbstractSpikingNeuron):
    r"""Current-based LIF, $\tau_{syn}\dot i = -i$, $\tau_{mem}\dot v = (v_{leak}-v) + Ri$.

    An input makes `i` jump by its weight. In each step the current decays and receives its input, then the membrane
    decays and receives the new current.

    Args:
        tau_mem: membrane time constant, s, ≥ dt and below 1 s (or 1,000 dt). A float is fixed, an array is trained.
        tau_syn: synaptic time constant, s, ≥ dt and below 1 s (or 1,000 dt).
        v_th: threshold.
        v_leak: resting membrane.
        resistance: $R$, membrane per unit of current, > 0.
        surrogate: the spike's derivative.
        reset: what a spike does to the membrane, and when.
        refractory: refractory period, or None; the current is not affected by it.
        synapse: how the current's equation becomes a step; NIR's and hxtorch's input gains are other choices.
        discretisation: how the membrane's equation becomes a step.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = CubaLIF(tau_mem=10e-3, tau_syn=5e-3)
    >>> spikes, state = neuron(jnp.ones(1), neuron.initial_state((1,)))
    >>> float(state.i[0]), round(float(state.v[0]), 4)
    (1.0, 0.0952)
    """

    tau_mem: PositiveParameter = eqx.field(converter=positive, default=20e-3)
    tau_syn: PositiveParameter = eqx.field(converter=positive, default=10e-3)
    v_th: Parameter = eqx.field(converter=plain, default=1.0)
    v_leak: Parameter = eqx.field(converter=plain, default=0.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    surrogate: AbstractSurrogate = Triangle()
    reset: Reset = Subtract()
    refractory: AbstractRefractory | None = None
    synapse: AbstractDiscretisation = UnitGain()
    discretisation: AbstractDiscretisation = ZeroOrderHold()
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_mem=1.0, tau_syn=1.0)

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_mem=self.tau_mem, tau_syn=self.tau_syn)
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

    def initial_state(self, shape: tuple[int, ...]) -> CubaLIFState:
        """See the base."""
        return CubaLIFState(jnp.zeros(shape), jnp.zeros(shape) + value(self.v_leak), self._at_rest(shape))

    def __call__(
        self, current: Float[Array, "*units"], state: CubaLIFState
    ) -> tuple[Float[Array, "*units"], CubaLIFState]:
        """See the base."""
        decay, gain = self.synapse(self.dt, value(self.tau_syn))
        i = decay * state.i + gain * current
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        rest = value(self.v_leak)
        v = rest + decay * (state.v - rest) + gain * value(self.resistance) * i
        spikes, v, firing = self._fire(v, state.v, value(self.v_th), rest, state.firing)
        return spikes, CubaLIFState(i, v, firing)

    def in_continuous_time(self) -> Continuous | str:
        """See the base."""
        if not self.discretisation.integrates:
            return f"takes its input by {type(self.discretisation).__name__}, not as its differential equation does"
        if not self.synapse.adds:
            return f"has a current that takes its input by {type(self.synapse).__name__}, not UnitGain"
        tau_mem, tau_syn, v_leak, resistance = map(value, (self.tau_mem, self.tau_syn, self.v_leak, self.resistance))
        return self._in_continuous_time(tau_mem, tau_syn, v_leak, resistance, None)

    def lowered(self) -> Lowered | str:
        """See the base."""
        current_decay, current_gain = self.synapse(self.dt, value(self.tau_syn))
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        constants = Constants(
            current_decay, current_gain, decay, gain * value(self.resistance), v_leak=value(self.v_leak)
        )
        return self._lowered(constants, has_current=True)
