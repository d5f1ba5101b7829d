"""Networks that need no loop over time, and running them: layer by layer, each for all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import AbstractSynapses


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


def run_at_once(
    layers: Sequence[Layer], xs: Float[Array, "T ..."], states: Sequence[LayerState], record: Callable[[Any], Any]
) -> tuple[tuple[Float[Array, "T ..."], ...], tuple[Any, ...], tuple[LayerState, ...]]:
    """Run layers that need no loop over time.

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
            current, held = _through(connection.synapses, arriving, held)
            currents.append(current)
            lines.append(line)
            synapses.append(held)
        sent[number], neurons = layer.neuron.all_steps(layer.total(currents), state.neuron)
        records.append(jax.vmap(record)(neurons))
        after.append(LayerState(jax.tree.map(lambda s: s[-1], neurons), tuple(lines), tuple(synapses)))
    return tuple(sent[number] for number in range(len(layers))), tuple(records), tuple(after)


def _through(synapses: AbstractSynapses, xs: Float[Array, "T ..."], state: Any) -> tuple[Float[Array, "T ..."], Any]:
    """The currents of all steps, and the state of the synapses after them."""
    if state is None:
        return jax.vmap(synapses)(xs), None

    def step(state, x):
        current, state = synapses.step(x, state)
        return state, current

    state, currents = jax.lax.scan(step, state, xs)
    return currents, state
