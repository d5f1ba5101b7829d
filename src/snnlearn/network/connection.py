"""A connection: its source, its synapses, the port of the neurons, and the delay."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.neurons import CURRENT

BEFORE = "before"
"""The source that needs no name: the layer before; of the first, the network's input."""

ITSELF = "itself"
"""The layer itself, as its own source."""

INPUT = "input"
"""The network's input, as a source."""


@final
class Connection(eqx.Module):
    """Synapses from a source to one port of a layer's neurons; several connections to a port add up.

    The input and the output of an earlier layer act in the same step; the output of the layer itself or a later one
    acts in the next; `delay` adds to this.

    Args:
        synapses: the map from the source's output to currents.
        source: `BEFORE`, `ITSELF`, `INPUT`, or the name of a layer.
        port: the neurons' port that receives the current.
        delay: additional time steps, ≥ 0.

    Raises:
        SnnlearnError: for a negative delay, or a part of another kind.

    >>> import jax
    >>> from snnlearn.network import Dense
    >>> Connection(Dense(4, 3, key=jax.random.key(0)), INPUT, delay=2).source
    'input'
    """

    synapses: AbstractSynapses
    source: str = eqx.field(static=True, default=BEFORE)
    port: str = eqx.field(static=True, default=CURRENT)
    delay: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        check_fields(self, "synapses", "source", "port", "delay")
        if self.delay < 0:
            raise SnnlearnError(f"Connection: delay is {self.delay}; give a number of time steps, 0 or more")


def line(connection: Connection, lag: int) -> Float[Array, "lag *in"] | None:
    """The delay line at rest: zeros for each step of delay; None without delay."""
    return jnp.zeros((lag, *connection.synapses.in_shape)) if lag else None


def oldest(line: Float[Array, "lag *in"]) -> Float[Array, "*in"]:
    """What arrives now."""
    return line[0]


def pushed(line: Float[Array, "lag *in"], x: Float[Array, "..."]) -> Float[Array, "lag *in"]:
    """The line one step later, with the new output at its end."""
    return jnp.concatenate([line[1:], jnp.reshape(x, (1, *line.shape[1:]))])
