"""A neuron whose membrane does not start at rest."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
from jaxtyping import Array, Float

from snnlearn._parameters import Parameter, check_finite, plain, trained_part, value
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper
from snnlearn.neurons.lowering import Lowered, LoweredState


@final
class Charged(AbstractWrapper):
    """A neuron whose membrane starts above or below rest.

    Half a threshold makes the spike count of an integrate-and-fire neuron the nearest whole number to its input instead
    of the next smaller one; conversion uses it.

    Args:
        neuron: the neuron.
        charge: how far above rest its membrane starts. A float is fixed, an array is trained, a `Constant` is not.

    Raises:
        SnnlearnError: if charge is not finite.

    >>> import jax.numpy as jnp
    >>> from snnlearn.neurons import IF
    >>> neuron = Charged(IF(), 0.5)
    >>> neuron(jnp.array([0.75]), neuron.initial_state((1,)))[0].tolist()
    [1.0]
    """

    neuron: AbstractNeuron
    charge: Parameter = eqx.field(converter=plain, default=0.0)

    def __check_init__(self):
        check_finite(self, charge=self.charge)

    @property
    def linear(self) -> bool:
        """As the neuron inside: only the start differs, which is not learned."""
        return self.neuron.linear and not jax.tree.leaves(trained_part(self.charge))

    @property
    def linear_through_spikes(self) -> bool:
        """As the neuron inside."""
        return self.linear and self.neuron.linear_through_spikes

    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """See the base."""
        rest = self.neuron.initial_state(shape)
        return eqx.tree_at(lambda state: state.v, rest, rest.v + value(self.charge))

    def __call__(self, current: Any, state: Any) -> tuple[Float[Array, "*units"], Any]:
        """See the base."""
        return self.neuron(current, state)

    def free(self) -> AbstractNeuron:
        """See the base; it is linear, so it starts at rest."""
        return self.neuron.free()

    def in_continuous_time(self) -> str:
        """See the base."""
        return "does not start at rest"

    def lowered(self) -> Lowered | str:
        """As the neuron inside: only the start differs."""
        return self.neuron.lowered()

    def lowered_state(self, state: Any) -> LoweredState:
        """See the base."""
        return self.neuron.lowered_state(state)

    def raised_state(self, state: LoweredState, before: Any) -> Any:
        """See the base."""
        return self.neuron.raised_state(state, before)
