"""A layer: a population of neurons, and the connections into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn.network.connection import ITSELF, Connection
from snnlearn.network.shapes import check_fit
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.neurons import AbstractNeuron


class LayerState(NamedTuple):
    """The state of the neurons and of each connection.

    Args:
        neuron: the neurons'.
        lines: spikes on their way, `[lag, *in]`, the oldest first; None without delay.
        synapses: the states of the synapses; None for those without a state.
    """

    neuron: Any
    lines: tuple[Float[Array, "lag ..."] | None, ...]
    synapses: tuple[Any, ...]


@final
class Layer(eqx.Module):
    """A population of neurons and the connections into it.

    Args:
        connections: the connections; bare synapses are a connection from the layer before.
        neuron: the neurons' dynamics.
        recurrent: synapses from the layer to itself, or None; short for a `Connection` with that source.
        feedback: `[*shape, *outputs]`, the weights with which some learning rules send errors of the network's output
            to these units; not part of the forward pass. None if there are none.
        name: by which connections of other layers can refer to it.

    Raises:
        SnnlearnError: for a part of another kind, no connection, or one that does not fit the neurons or their ports.

    >>> import jax
    >>> from snnlearn.network import Connection, Dense
    >>> from snnlearn.neurons import LIF
    >>> first, second = jax.random.split(jax.random.key(0))
    >>> skip = Connection(Dense(4, 3, key=first), "input", delay=2)
    >>> Layer([Connection(Dense(5, 3, key=second)), skip], LIF()).shape
    (3,)
    """

    connections: tuple[Connection, ...]
    neuron: AbstractNeuron
    feedback: Float[Array, "..."] | None
    name: str = eqx.field(static=True)

    def __init__(
        self,
        connections: AbstractSynapses | Connection | Sequence[AbstractSynapses | Connection],
        neuron: AbstractNeuron,
        recurrent: AbstractSynapses | None = None,
        feedback: Float[Array, "..."] | None = None,
        *,
        name: str = "",
    ):
        each = connections if isinstance(connections, (tuple, list)) else [connections]
        loops = [] if recurrent is None else [Connection(recurrent, ITSELF)]
        self.connections = (*(c if isinstance(c, Connection) else Connection(c) for c in each), *loops)  # pyright: ignore
        self.neuron, self.feedback, self.name = neuron, feedback, name

    def __check_init__(self):
        check_fields(self, "neuron")
        if not self.connections:
            raise SnnlearnError("Layer: it has no connections; give synapses, or a connection")
        for connection in self.connections:
            what = "recurrent synapses" if connection.source in (ITSELF, self.name or ITSELF) else "a connection"
            check_fit(f"Layer: {what}", connection.synapses.out_shape, self.shape)
            if connection.source in (ITSELF, self.name or ITSELF):
                check_fit(f"Layer: {what}", self.out_shape, connection.synapses.in_shape)
            if connection.port not in self.neuron.ports:
                raise SnnlearnError(
                    f"Layer: a connection goes to port {connection.port!r}, and {type(self.neuron).__name__} has "
                    f"{', '.join(map(repr, self.neuron.ports))}; name one of these"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        """The units' shape."""
        return self.connections[0].synapses.out_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of its output in one step."""
        return self.neuron.out_shape(self.shape)

    @property
    def synapses(self) -> AbstractSynapses:
        """The first connection's."""
        return self.connections[0].synapses

    @property
    def recurrent(self) -> AbstractSynapses | None:
        """The synapses of its connection from itself; None if there is none."""
        return next((c.synapses for c in self.connections if c.source in (ITSELF, self.name or ITSELF)), None)

    @property
    def draws(self) -> bool:
        """Whether neurons or synapses draw at random."""
        return self.neuron.draws or any(connection.synapses.draws for connection in self.connections)

    def currents(self, arriving: Sequence[Float[Array, "..."]], states: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
        """What the neurons receive in one step.

        Args:
            arriving: the input of each connection, `[*in_shape]` of its synapses.
            states: of each connection's synapses.

        Returns:
            the current `[*shape]` or, for neurons of several ports, a dict of them; and the synapses' next states.
        """
        each = zip(self.connections, arriving, states, strict=True)
        currents, after = zip(*(connection.synapses.step(x, state) for connection, x, state in each), strict=True)
        return self.total(currents), after

    def total(self, currents: Sequence[Float[Array, "..."]]) -> Any:
        """The sum of the connections' currents, `[*batch, *shape]` each, at each port."""
        ports: dict[str, Any] = {}
        for connection, current in zip(self.connections, currents, strict=True):
            # Beyond the batch's axes, units may come in one axis, as a Dense gives them, or in several.
            batch = current.shape[: current.ndim - len(connection.synapses.out_shape)]
            current = jnp.reshape(current, (*batch, *self.shape))
            ports[connection.port] = ports[connection.port] + current if connection.port in ports else current
        if len(self.neuron.ports) == 1:
            return ports[self.neuron.ports[0]]
        nothing = jnp.zeros_like(next(iter(ports.values())))
        return {port: ports.get(port, nothing) for port in self.neuron.ports}

    def with_parts(self, synapses: Sequence[Any], neuron: Any, feedback: Any) -> Layer:
        """The same layer, or its gradient, with other parts; nothing is checked."""
        parts = [
            eqx.tree_at(lambda c: c.synapses, connection, part, is_leaf=lambda leaf: leaf is None)
            for connection, part in zip(self.connections, synapses, strict=True)
        ]
        made = object.__new__(Layer)
        for field, value in {
            "connections": tuple(parts),
            "neuron": neuron,
            "feedback": feedback,
            "name": self.name,
        }.items():
            object.__setattr__(made, field, value)
        return made
