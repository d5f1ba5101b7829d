"""The perfect integrator."""

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
    number,
    plain,
    positive,
    value,
)
from snnlearn.neurons.base import AbstractSpikingNeuron, Firing
from snnlearn.neurons.lowering import Constants, Lowered
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import Reset, Subtract
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle


class IFState(NamedTuple):
    """The membrane `v`, and the aftermath of firing."""

    v: Float[Array, "*units"]
    firing: Firing


@final
class IF(AbstractSpikingNeuron):
    r"""Integrate-and-fire without leak: `v ← v + R i` in each step, spike where `v > v_th`.

    Args:
        v_th: threshold above rest, which is 0. A float is a constant, an array is trained.
        resistance: $R$, membrane per unit of current and step, > 0; NIR's $\dot v = rI$ is $R = r\,dt$.
        surrogate: the spike's derivative.
        reset: what a spike does to the membrane, and when.
        refractory: refractory period, or None.
        dt: time step, s, > 0; only the refractory period depends on it.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = IF(v_th=1.0)
    >>> state = neuron.initial_state((1,))
    >>> for _ in range(2):
    ...     spikes, state = neuron(jnp.array([0.75]), state)
    >>> spikes, state.v
    (Array([1.], dtype=float32), Array([0.5], dtype=float32))
    """

    v_th: Parameter = eqx.field(converter=plain, default=1.0)
    resistance: PositiveParameter = eqx.field(converter=positive, default=1.0)
    surrogate: AbstractSurrogate = Triangle()
    reset: Reset = Subtract()
    refractory: AbstractRefractory | None = None
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        check_positive(self, dt=self.dt, resistance=self.resistance)
        check_finite(self, v_th=self.v_th)
        self.reset.check(self, self.v_th, 0.0)

    @property
    def linear(self) -> bool:
        """See the base."""
        return not jax.tree.leaves(eqx.filter(self, eqx.is_array))

    @property
    def affine(self) -> bool:
        """See the base: if it is never reset."""
        return self.never_reset

    def initial_state(self, shape: tuple[int, ...]) -> IFState:
        """See the base."""
        return IFState(jnp.zeros(shape), self._at_rest(shape))

    def __call__(self, current: Float[Array, "*units"], state: IFState) -> tuple[Float[Array, "*units"], IFState]:
        """See the base."""
        v = state.v + value(self.resistance) * current
        spikes, v, firing = self._fire(v, state.v, value(self.v_th), 0.0, state.firing)
        return spikes, IFState(v, firing)

    def lowered(self) -> Lowered | str:
        """See the base."""
        return self._lowered(Constants(decay=1.0, gain=value(self.resistance)))
