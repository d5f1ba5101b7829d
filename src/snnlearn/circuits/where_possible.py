"""An effect that a chip has on whatever it can act on."""

from __future__ import annotations

from typing import final

from jaxtyping import PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn.circuits.base import AbstractEffect
from snnlearn.network import Network


@final
class WherePossible(AbstractEffect):
    """Another effect where the network has something that it acts on; otherwise none.

    A chip has synaptic time constants, and not every network does. By itself an effect without anything to act on is
    refused, as somebody probably mistook a name.

    Args:
        effect: the effect.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> import jax
    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))  # of LIF, whose currents have no time constant
    >>> WherePossible(Mismatch("tau_syn", LogNormal(0.1)))(network, key=jax.random.key(1)) is network
    True
    """

    effect: AbstractEffect

    def __check_init__(self):
        check_fields(self, "effect")

    @property
    def label(self) -> str:
        """That of the effect."""
        return self.effect.label

    def applies(self, network: Network) -> bool:
        """As the effect does."""
        return self.effect.applies(network)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return self.effect(network, key=key) if self.applies(network) else network
