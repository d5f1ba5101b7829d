"""Programming error: a conductance is not the one that was asked for."""

from __future__ import annotations

from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn.circuits.base import AbstractEffect, by_place
from snnlearn.circuits.conductances import DifferentialPair
from snnlearn.circuits.spreads import AbstractSpread
from snnlearn.circuits.weights import each_weight
from snnlearn.network import Network


@final
class ProgrammingError(AbstractEffect):
    r"""Each device has another conductance than its target, $G\leftarrow\max(0, G+\sigma(G)\,n)$, n standard normal.

    Drawn once for each programming of a chip. Weights change, and nothing else: kernels run the network as before.

    Args:
        spread: σ(G), such as `Polynomial.pcm()`.
        pair: how weights become conductances.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import Polynomial
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = ProgrammingError(Polynomial.pcm())(network, key=jax.random.key(1))
    >>> bool((chip.layers[0].synapses.weight != network.layers[0].synapses.weight).all())
    True
    """

    spread: AbstractSpread
    pair: DifferentialPair = DifferentialPair()

    def __check_init__(self):
        check_fields(self, "spread", "pair")

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def programmed(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            def of(g: Float[Array, "... 2"]) -> Float[Array, "... 2"]:
                noise = by_place(jax.random.normal, g.shape, key=key).astype(g.dtype)
                return jnp.maximum(g + self.spread(g) * noise, 0)

            return self.pair.changed(weight, of)

        return each_weight(self, network, programmed, key=key)
