"""The leaky integrator, a membrane that does not spike."""

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
from snnlearn.neurons.base import AbstractNeuron
from snnlearn.neurons.discretisation import AbstractDiscretisation, ZeroOrderHold
from snnlearn.neurons.lowering import Constants, Lowered


class LIState(NamedTuple):
    """The membrane `v`."""

    v: Float[Array, "*units"]


@final
class LI(AbstractNeuron):
    r"""Leaky integrator, $\tau_{mem}\dot v = (v_{leak}-v) + RI$; its output is its membrane. The usual readout.

    With the default discretisation, `v ← v_leak + α(v − v_leak) + (1 − α) R i`, `α = exp(−dt/tau_mem)`.

    Args:
        tau_mem: membrane time constant, s, ≥ dt and below 1 s (or 1,000 dt). A float is fixed, an array is trained.
        v_leak: resting membrane.
        resistance: $R$, membrane per unit of current, > 0.
        discretisation: how the equation becomes a step.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = LI(tau_mem=10e-3)
    >>> v, state = neuron(jnp.ones(2), neuron.initial_state((2,)))
    >>> [round(float(x), 4) for x in v]
    [0.0952, 0.0952]
    """

    tau_mem: PositiveParameter = eqx.field(converter=positive, default=20e-3)
    v_leak: Parameter = eqx.field(converter=plain, default=0.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    discretisation: AbstractDiscretisation = ZeroOrderHold()
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_mem=1.0)

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_mem=self.tau_mem)
        check_positive(self, resistance=self.resistance)
        check_finite(self, v_leak=self.v_leak)

    @property
    def linear(self) -> bool:
        """See the base."""
        return not jax.tree.leaves(eqx.filter(self, eqx.is_array))

    @property
    def affine(self) -> bool:
        """See the base: it is."""
        return True

    def initial_state(self, shape: tuple[int, ...]) -> LIState:
        """See the base."""
        return LIState(jnp.zeros(shape) + value(self.v_leak))

    def __call__(self, current: Float[Array, "*units"], state: LIState) -> tuple[Float[Array, "*units"], LIState]:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        rest = value(self.v_leak)
        v = rest + decay * (state.v - rest) + gain * value(self.resistance) * current
        return v, LIState(v)

    def free(self) -> LI:
        """Itself: it has no threshold."""
        return self

    def lowered(self) -> Lowered:
        """See the base."""
        decay, gain = self.discretisation(self.dt, value(self.tau_mem))
        return Lowered(Constants(decay=decay, gain=gain * value(self.resistance), v_leak=value(self.v_leak)))
