"""What synapses around other synapses have in common."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn.network.synapses.base import AbstractSynapses


class AbstractOuterSynapses(AbstractSynapses):
    """Synapses around others: shapes, costs and the map at rest are those of the synapses inside."""

    synapses: eqx.AbstractVar[AbstractSynapses]

    @property
    def in_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the synapses inside."""
        return self.synapses.in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """That of the synapses inside."""
        return self.synapses.out_shape

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base: without noise."""
        return self.synapses(x)

    def initial_state(self) -> Any:
        """See the base: that of the synapses inside."""
        return self.synapses.initial_state()

    def step(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """See the base: that of the synapses inside."""
        return self.synapses.step(x, state)

    @property
    def steady(self) -> bool:
        """As those inside are."""
        return self.synapses.steady

    @property
    def longest_delay(self) -> int:
        """That of the synapses inside."""
        return self.synapses.longest_delay

    @property
    def has_weights(self) -> bool:
        """Whether those inside have."""
        return self.synapses.has_weights

    @property
    def linear(self) -> bool:
        """As those inside."""
        return self.synapses.linear

    @property
    def carrier(self) -> AbstractSynapses:
        """That of the synapses inside."""
        return self.synapses.carrier

    def before(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return self.synapses.before(x)

    def redrawn(self, *, key: PRNGKeyArray) -> "AbstractOuterSynapses":
        """See the base."""
        return eqx.tree_at(lambda outer: outer.synapses, self, self.synapses.redrawn(key=key))

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base: those of the synapses inside."""
        return self.synapses.operations(x)

    def direct_operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base: those of the synapses inside."""
        return self.synapses.direct_operations(x)

    def multiply_accumulates(self) -> int:
        """See the base: those of the synapses inside."""
        return self.synapses.multiply_accumulates()
