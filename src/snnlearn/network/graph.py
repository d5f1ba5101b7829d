"""How layers are connected, and one step through them: the only loop over layers and connections."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.network.connection import BEFORE, INPUT, ITSELF, oldest, pushed
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.shapes import check_fit

FROM_INPUT = -1
"""The number of the input, as a source."""


class Route(NamedTuple):
    """A connection's route: the number of the layer it comes from, and its delay in steps."""

    source: int
    lag: int


def routes(layers: Sequence[Layer]) -> tuple[tuple[Route, ...], ...]:
    """The routes of each layer's connections.

    Raises:
        SnnlearnError: if a source is unknown, or two layers have one name.
    """
    names: dict[str, int] = {}
    for number, layer in enumerate(layers):
        if layer.name in (BEFORE, ITSELF, INPUT, *names):
            raise SnnlearnError(
                f"Network: layer {number + 1} is called {layer.name!r}, which has another meaning; rename it"
            )
        if layer.name:
            names[layer.name] = number

    def route(number: int, source: str, delay: int) -> Route:
        known = {INPUT: FROM_INPUT, BEFORE: number - 1, ITSELF: number, **names}
        if source not in known:
            near = difflib.get_close_matches(source, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(map(repr, known))}"
            raise SnnlearnError(
                f"Network: layer {number + 1} has a connection from {source!r}, but no layer has this name; {hint}"
            )
        return Route(known[source], delay + (known[source] >= number))

    return tuple(
        tuple(route(number, connection.source, connection.delay) for connection in layer.connections)
        for number, layer in enumerate(layers)
    )


def check_graph(layers: Sequence[Layer]) -> None:
    """Refuse layers whose outputs do not fit the inputs they are connected to.

    Raises:
        SnnlearnError: naming both shapes.
    """
    takes: tuple[int, ...] | None = None
    for layer, ways in zip(layers, routes(layers), strict=True):
        for connection, (source, _) in zip(layer.connections, ways, strict=True):
            if source != FROM_INPUT:
                check_fit("Network", layers[source].out_shape, connection.synapses.in_shape)
            elif takes is None:
                takes = connection.synapses.in_shape
            else:
                check_fit("Network: input", takes, connection.synapses.in_shape)
    if takes is None:
        raise SnnlearnError("Network: no layer takes the input; give the first layer synapses from it")


Bring = Callable[[int, Sequence[Any], Sequence[Any]], tuple[Any, Sequence[Any]]]
"""Of a layer, by its number, what arrives at its connections and their synapses' states, as its neurons' current and
the synapses' next states."""

Fire = Callable[[int, Any, Any], tuple[Float[Array, "..."], Any]]
"""Of a layer, by its number, what its neurons make of a current and their state: output and state."""

Each = Callable[[Callable], Callable]
"""How a function of one sample is made one of whatever goes through the network: itself, or `jax.vmap`."""


def propagate(
    layers: Sequence[Layer],
    x: Float[Array, "..."] | None,
    states: Sequence[LayerState],
    bring: Bring,
    fire: Fire,
    *,
    each: Each = lambda function: function,
) -> tuple[list[Float[Array, "..."]], tuple[LayerState, ...]]:
    """One time step through all layers, for any way to compute currents and outputs.

    Args:
        layers: the network's.
        x: the input; None if `bring` already has it.
        states: of each layer.
        bring: computes currents.
        fire: computes outputs.
        each: `jax.vmap` for a batch.

    Returns:
        the output and the next state of each layer.
    """
    ways = routes(layers)
    outputs: list[Any] = []
    neurons, synapses = [], []

    def sent(source: int) -> Any:
        return x if source == FROM_INPUT else outputs[source]

    for number, state in enumerate(states):
        arriving = [
            sent(source) if line is None else each(oldest)(line)
            for (source, _), line in zip(ways[number], state.lines, strict=True)
        ]
        current, each_after = bring(number, arriving, state.synapses)
        output, neuron = fire(number, current, state.neuron)
        outputs.append(output)
        neurons.append(neuron)
        synapses.append(tuple(each_after))
    after = [
        LayerState(
            neuron,
            tuple(
                None if line is None else each(pushed)(line, sent(source))
                for (source, _), line in zip(ways[number], state.lines, strict=True)
            ),
            synapses[number],
        )
        for number, (neuron, state) in enumerate(zip(neurons, states, strict=True))
    ]
    return outputs, tuple(after)


def in_chain(layers: Sequence[Layer]) -> str | None:
    """Why layers are no chain, in which each is reached by the one before and perhaps itself; None if they are."""
    for number, ways in enumerate(routes(layers)):
        if ways not in (((number - 1, 0),), ((number - 1, 0), (number, 1))):
            return f"layer {number + 1} is reached by more than the layer before and itself, or later"
    return None
