"""Networks that need no common loop over time, and running them: layer by layer, each for all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.layer import Layer, LayerState
from snnlearn.neurons import AbstractNeuron


def why_step_by_step(layers: Sequence[Layer]) -> str | None:
    """Why these layers need a loop over time; None if each is run for all steps at once.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LIF, NoReset
    >>> why_step_by_step(feedforward((4, 3, 2), key=jax.random.key(0)).layers)
    'layer 1 is LIF, whose next state is no affine function of its state'
    >>> why_step_by_step(feedforward((4, 3, 2), neuron=LIF(reset=NoReset()), key=jax.random.key(0)).layers)
    """
    for number, (layer, ways) in enumerate(zip(layers, routes(layers), strict=True)):
        if any(way.source >= number for way in ways):
            return f"layer {number + 1} is reached by itself, or by a later layer"
        if not layer.neuron.affine:
            return (
                f"layer {number + 1} is {type(layer.neuron).__name__}, whose next state is no affine function of "
                + ("its state")
            )
    return None


def layer_by_layer(layers: Sequence[Layer]) -> bool:
    """Whether each layer is best run over all steps before the next: none is fed back, and it spares a loop over time.

    It spares one of layers that need none, or one over the lines of synapses with delays.
    """
    fed_back = any(way.source >= number for number, ways in enumerate(routes(layers)) for way in ways)
    late = any(connection.synapses.longest_delay for layer in layers for connection in layer.connections)
    return not fed_back and (late or why_step_by_step(layers) is None)


def run_at_once(
    layers: Sequence[Layer], xs: Float[Array, "T ..."], states: Sequence[LayerState], record: Callable[[Any], Any]
) -> tuple[tuple[Float[Array, "T ..."], ...], tuple[Any, ...], tuple[LayerState, ...]]:
    """Run layers that are not fed back, each over all steps before the next.

    Args:
        layers: the layers.
        xs: the input.
        states: of each layer before the first step.
        record: a function of a layer's neuron state after each step.

    Returns:
        the output of each layer, its record, and its state after the last step.
    """
    sent: dict[int, Array] = {FROM_INPUT: xs}
    records, after = [], []
    for number, (layer, ways, state) in enumerate(zip(layers, routes(layers), states, strict=True)):
        currents, lines, synapses = [], [], []
        for connection, way, line, held in zip(layer.connections, ways, state.lines, state.synapses, strict=True):
            arriving = sent[way.source]
            if line is not None:
                queue = jnp.concatenate([line, arriving.reshape(len(arriving), *line.shape[1:])])
                arriving, line = queue[: len(arriving)], queue[len(arriving) :]
            current, held = connection.synapses.all_steps(arriving, held)
            currents.append(current)
            lines.append(line)
            synapses.append(held)
        sent[number], recorded, neurons = _fire_in_all(layer.neuron, layer.total(currents), state.neuron, record)
        records.append(recorded)
        after.append(LayerState(neurons, tuple(lines), tuple(synapses)))
    return tuple(sent[number] for number in range(len(layers))), tuple(records), tuple(after)


def _fire_in_all(
    neuron: AbstractNeuron, currents: Any, state: Any, record: Callable[[Any], Any]
) -> tuple[Float[Array, "T ..."], Any, Any]:
    """A layer's outputs, records and last state, given the currents of all steps."""
    if neuron.affine:
        outputs, states = neuron.all_steps(currents, state)
        return outputs, jax.vmap(record)(states), jax.tree.map(lambda s: s[-1], states)

    def step(state, current):
        output, state = neuron(current, state)
        return state, (output, record(state))

    state, (outputs, records) = jax.lax.scan(step, state, currents)
    return outputs, records, state
