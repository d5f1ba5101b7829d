"""A neuron whose input passes a synaptic filter."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import equinox as eqx
import jax
from jaxtyping import Array, Float

from snnlearn._parameters import PositiveParameter, check_time_constants, positive, train_time_constants, value
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper
from snnlearn.neurons.discretisation import AbstractDiscretisation, UnitGain
from snnlearn.neurons.lowering import Lowered, LoweredState


class FilteredState(NamedTuple):
    """The synaptic current `i`, `[*units]` (a dict for several ports), and the neuron's state."""

    i: Any
    neuron: Any

    @property
    def v(self) -> Any:
        """The neuron's membrane; any leaf in its place, since a tree may be mapped by it."""
        return self.neuron.v


@final
class Filtered(AbstractWrapper):
    r"""A neuron behind a synapse, $\tau_{syn}\dot i = -i$: an input makes the current jump by its weight.

    `Filtered(LIF(...))` is a `CubaLIF`; any other neuron gets a synaptic current in the same way.

    Args:
        neuron: the neuron that takes the current.
        tau_syn: synaptic time constant, s, ≥ dt and below 1 s (or 1,000 dt). A float is fixed, an array is trained.
        synapse: how the current's equation becomes a step.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> import jax.numpy as jnp
    >>> from snnlearn.neurons import ALIF
    >>> neuron = Filtered(ALIF(), tau_syn=5e-3)
    >>> spikes, state = neuron(jnp.ones(1), neuron.initial_state((1,)))
    >>> state.i
    Array([1.], dtype=float32)
    """

    neuron: AbstractNeuron
    tau_syn: PositiveParameter = eqx.field(converter=positive, default=10e-3)
    synapse: AbstractDiscretisation = UnitGain()

    def __post_init__(self):
        train_time_constants(self, tau_syn=1.0)

    def __check_init__(self):
        check_time_constants(self, self.dt, tau_syn=self.tau_syn)

    def initial_state(self, shape: tuple[int, ...]) -> FilteredState:
        """See the base."""
        return FilteredState(self.no_current(shape), self.neuron.initial_state(shape))

    def __call__(self, current: Any, state: FilteredState) -> tuple[Float[Array, "*units"], FilteredState]:
        """See the base."""
        decay, gain = self.synapse(self.dt, value(self.tau_syn))
        i = jax.tree.map(lambda i, current: decay * i + gain * current, state.i, current)
        output, neuron = self.neuron(i, state.neuron)
        return output, FilteredState(i, neuron)

    def free(self) -> Filtered:
        """See the base."""
        return eqx.tree_at(lambda filtered: filtered.neuron, self, self.neuron.free())

    def lowered(self) -> Lowered | str:
        """See the base: the neuron inside with this current, if it has none yet."""
        inside = self.neuron.lowered()
        if isinstance(inside, str):
            return inside
        if inside.has_current:
            return f"is {type(self).__name__} around a neuron with a synaptic current of its own"
        decay, gain = self.synapse(self.dt, value(self.tau_syn))
        constants = inside.constants._replace(current_decay=decay, current_gain=gain)
        return inside._replace(constants=constants, has_current=True)

    def lowered_state(self, state: FilteredState) -> LoweredState:
        """See the base."""
        return self.neuron.lowered_state(state.neuron)._replace(i=state.i)

    def raised_state(self, state: LoweredState, before: FilteredState) -> FilteredState:
        """See the base."""
        return FilteredState(state.i, self.neuron.raised_state(state, before.neuron))
