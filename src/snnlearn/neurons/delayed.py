"""A neuron whose input arrives later."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import equinox as eqx
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper


class DelayedState(NamedTuple):
    """The inputs on their way, the oldest first, and the neuron's state."""

    inputs: tuple[Any, ...]
    neuron: Any

    @property
    def v(self) -> Any:
        """The neuron's membrane; any leaf in its place, since a tree may be mapped by it."""
        return self.neuron.v


@final
class Delayed(AbstractWrapper):
    """A neuron whose input acts some steps later.

    One step is the convention of libraries in which the input, or the synaptic current, acts in the next step, or in
    which the spike is read from the membrane before its update.

    Args:
        neuron: the neuron whose input is delayed.
        steps: the delay in time steps, ≥ 1.

    Raises:
        SnnlearnError: if steps is below 1.

    >>> import jax.numpy as jnp
    >>> from snnlearn.neurons import LI
    >>> neuron = Delayed(LI(), steps=1)
    >>> v, state = neuron(jnp.ones(1), neuron.initial_state((1,)))
    >>> v
    Array([0.], dtype=float32)
    """

    neuron: AbstractNeuron
    steps: int = eqx.field(default=1, static=True)

    def __check_init__(self):
        if self.steps < 1:
            raise SnnlearnError(f"Delayed: steps is {self.steps}; give at least 1, or use the neuron itself")

    def initial_state(self, shape: tuple[int, ...]) -> DelayedState:
        """See the base."""
        return DelayedState((self.no_current(shape),) * self.steps, self.neuron.initial_state(shape))

    def __call__(self, current: Any, state: DelayedState) -> tuple[Float[Array, "*units"], DelayedState]:
        """See the base."""
        now, *later = state.inputs
        output, neuron = self.neuron(now, state.neuron)
        return output, DelayedState((*later, current), neuron)

    def free(self) -> Delayed:
        """See the base."""
        return eqx.tree_at(lambda delayed: delayed.neuron, self, self.neuron.free())
