"""Neurons of which some are dead."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import check_fields
from snnlearn._parameters import Constant, check
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper
from snnlearn.neurons.lowering import Lowered, LoweredState

_OUT_OF_REACH = 1e30


@final
class Dead(AbstractWrapper):
    """A neuron of which some units are dead: they get no current, and never spike.

    Args:
        neuron: the neuron.
        dead: 1 for each unit that is dead, 0 for the others.

    Raises:
        SnnlearnError: for a part of another kind, or numbers other than 0 and 1.

    >>> from snnlearn.neurons import LIF
    >>> neuron = Dead(LIF(), Constant([0, 1]))
    >>> neuron(jnp.array([100.0, 100.0]), neuron.initial_state((2,)))[0].tolist()
    [1.0, 0.0]
    """

    neuron: AbstractNeuron
    dead: Constant

    def __check_init__(self):
        check_fields(self, "neuron", "dead")
        check(self, "0 or 1 for each unit", lambda dead: (dead == 0) | (dead == 1), dead=self.dead)

    @property
    def _alive(self) -> Float[Array, "*units"]:
        return 1 - self.dead.value

    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """See the base."""
        return self.neuron.initial_state(shape)

    def __call__(self, current: Any, state: Any) -> tuple[Float[Array, "*units"], Any]:
        """See the base."""
        alive = self._alive
        output, state = self.neuron(jax.tree.map(lambda i: alive.astype(i.dtype) * i, current), state)
        return alive.astype(output.dtype) * output, state

    def free(self) -> Dead:
        """See the base."""
        return eqx.tree_at(lambda dead: dead.neuron, self, self.neuron.free())

    def lowered(self) -> Lowered | str:
        """As the neuron inside, with a gain of 0 and a threshold out of reach for units that are dead."""
        inside = self.neuron.lowered()
        if isinstance(inside, str):
            return inside
        alive, c = self._alive, inside.constants
        constants = c._replace(
            **({"current_gain": alive * c.current_gain} if inside.has_current else {"gain": alive * c.gain}),
            v_th=jnp.where(alive > 0, c.v_th, _OUT_OF_REACH),
        )
        if inside.equation.spiking:
            return inside._replace(constants=constants)
        return inside._replace(constants=constants, output=lambda v: alive * inside.outputs(v[None])[0])

    def lowered_state(self, state: Any) -> LoweredState:
        """See the base."""
        return self.neuron.lowered_state(state)

    def raised_state(self, state: LoweredState, before: Any) -> Any:
        """See the base."""
        return self.neuron.raised_state(state, before)
