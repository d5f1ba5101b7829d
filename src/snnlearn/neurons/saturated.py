"""Neurons whose current or membrane is bounded, as those of a circuit are."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Parameter, PositiveParameter, check_finite, check_positive, plain, positive, value
from snnlearn.neurons.base import AbstractNeuron, AbstractWrapper, core


@final
class Saturated(AbstractWrapper):
    r"""A neuron whose current saturates, $i\leftarrow I\tanh(i/I)$, as that of a transconductance amplifier does.

    Args:
        neuron: the neuron.
        largest: $I$, which the current's size stays below, in the unit of currents, > 0, or one for each unit. A float
            is fixed, an array is trained.

    Raises:
        SnnlearnError: for a part of another kind, or a bound that is not positive.

    >>> from snnlearn.neurons import LI
    >>> neuron = Saturated(LI(tau_mem=1e-3), 2.0)
    >>> v, _ = neuron(jnp.array([0.01, 100.0]), neuron.initial_state((2,)))
    >>> [round(float(x), 4) for x in v / (1 - jnp.exp(-1))]
    [0.01, 2.0]
    """

    neuron: AbstractNeuron
    largest: PositiveParameter = eqx.field(converter=positive, default=1.0)

    def __check_init__(self):
        check_fields(self, "neuron")
        check_positive(self, largest=self.largest)

    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """See the base."""
        return self.neuron.initial_state(shape)

    def __call__(self, current: Any, state: Any) -> tuple[Float[Array, "*units"], Any]:
        """See the base."""
        largest = value(self.largest)
        return self.neuron(jax.tree.map(lambda i: largest * jnp.tanh(i / largest), current), state)

    def free(self) -> AbstractNeuron:
        """See the base: it is linear, so nothing saturates."""
        return self.neuron.free()


@final
class Railed(AbstractWrapper):
    """A neuron whose membrane stays between two rails at the end of each step.

    Args:
        neuron: the neuron.
        low: the lower rail, in the unit of the membrane.
        high: the upper rail, above `low` and the threshold.

    Raises:
        SnnlearnError: for a part of another kind, or rails between which the neuron cannot work.

    >>> from snnlearn.neurons import LI
    >>> neuron = Railed(LI(), low=-1.0, high=2.0)
    >>> neuron(jnp.array([-1e3, 1e3]), neuron.initial_state((2,)))[1].v.tolist()
    [-1.0, 2.0]
    """

    neuron: AbstractNeuron
    low: Parameter = eqx.field(converter=plain, default=-1.0)
    high: Parameter = eqx.field(converter=plain, default=2.0)

    def __check_init__(self):
        check_fields(self, "neuron")
        check_finite(self, low=self.low, high=self.high)
        v_th = getattr(core(self.neuron), "v_th", None)
        for name, bound in {"low": self.low, "v_th": v_th}.items():
            if isinstance(bound, float) and isinstance(self.high, float) and bound >= self.high:
                raise SnnlearnError(
                    f"Railed: high is {self.high}, not above {name} = {bound}, so that the membrane cannot move or "
                    "spike; raise it"
                )

    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """See the base."""
        return self.neuron.initial_state(shape)

    def __call__(self, current: Any, state: Any) -> tuple[Float[Array, "*units"], Any]:
        """See the base; without spikes the membrane is the output."""
        output, state = self.neuron(current, state)
        low, high = value(self.low), value(self.high)
        state = eqx.tree_at(lambda s: s.v, state, jnp.clip(state.v, low, high))
        return output if self.spikes else jnp.clip(output, low, high), state

    def free(self) -> AbstractNeuron:
        """See the base: it is linear, so there are no rails."""
        return self.neuron.free()
