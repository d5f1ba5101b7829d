"""Networks that the compiled kernels can run, and running them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import trained_part
from snnlearn.coding.packed import PackedSpikes
from snnlearn.kernels import why_plain
from snnlearn.kernels.chain import Form, Weights, run
from snnlearn.kernels.products import unless_finite
from snnlearn.network.convolved import lowered_images
from snnlearn.network.graph import in_chain
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import LoweredSynapses
from snnlearn.neurons.lowering import Lowered, LoweredState


class LoweredLayer(NamedTuple):
    """A layer as the kernels take it."""

    neuron: Lowered
    synapses: LoweredSynapses
    recurrent: LoweredSynapses | None


def lowered(layers: Sequence[Layer]) -> list[LoweredLayer] | str:
    """What the kernels compute for these layers, or the reason why they cannot."""
    if (reason := why_plain() or in_chain(layers)) is not None:
        return reason
    found = []
    for number, layer in enumerate(layers, start=1):
        part = _lowered(layer, last=number == len(layers))
        if isinstance(part, str):
            return f"layer {number} {part}"
        found.append(part)
    return found


def why_not_compiled(layers: Sequence[Layer]) -> str | None:
    """Why these layers run as plain JAX on packed spikes; None if the compiled kernels run them."""
    found = lowered(layers)
    if isinstance(found, str) and any(len(layer.synapses.in_shape) > 1 for layer in layers):
        found = lowered_images(layers)
    return found if isinstance(found, str) else None


def takes_currents(layers: Sequence[Layer]) -> bool:
    """Whether the kernels that run these layers take any numbers as input, not only spikes."""
    return isinstance(lowered(layers), str) and not isinstance(lowered_images(layers), str)


def run_compiled(
    layers: Sequence[Layer], parts: Sequence[LoweredLayer], xs: PackedSpikes, states: Sequence[LayerState]
) -> tuple[tuple[Float[Array, "T units"], ...], tuple[LayerState, ...]]:
    """Run layers over packed spikes.

    Args:
        layers: the layers.
        parts: what `lowered` made of them.
        xs: the input.
        states: of each layer before the first step.

    Returns:
        the output of each layer, and its state after the last step.
    """
    outputs, after = run(
        tuple(map(_form, layers, parts)),
        xs.num_steps,
        xs.words.reshape(len(xs.words), -1),
        [part.neuron.constants for part in parts],
        [_weights(part) for part in parts],
        [_before(layer, state) for layer, state in zip(layers, states, strict=True)],
    )
    return tuple(outputs), tuple(map(_after, layers, states, after))


def _lowered(layer: Layer, *, last: bool) -> LoweredLayer | str:
    """The statements of the parts, and what the kernels require of every layer."""
    synapses, recurrent = (s if s is None else s.lowered() for s in (layer.synapses, layer.recurrent))
    neuron = layer.neuron.lowered()
    for reason in (synapses, recurrent, neuron):
        if isinstance(reason, str):
            return reason
    part = LoweredLayer(neuron, synapses, recurrent)  # pyright: ignore[reportArgumentType]: none is a reason
    if len(layer.shape) > 1:
        return f"has units of shape {list(layer.shape)}, not in one axis"
    for weight in (s.weight for s in (part.synapses, part.recurrent) if s is not None):
        if weight.dtype != jnp.float32:
            return f"has weights of type {weight.dtype}, not float32"
    if not part.neuron.equation.spiking and not last:
        return f"is {type(layer.neuron).__name__}, from which no spikes go to the next"
    if not part.neuron.equation.spiking and recurrent is not None:
        return f"is a recurrent {type(layer.neuron).__name__}, which does not spike"
    if jax.tree.leaves(trained_part(layer.neuron)):
        return "has trained neuron parameters"
    return part


def _form(layer: Layer, part: LoweredLayer) -> Form:
    """Sizes are those that the layer states, so that the kernels check the weights by them."""
    inputs, (units,) = math.prod(layer.synapses.in_shape), layer.shape
    return Form(inputs, units, part.recurrent is not None, part.neuron.equation)


def _weights(part: LoweredLayer) -> Weights:
    each = [part.synapses] if part.recurrent is None else [part.synapses, part.recurrent]
    biases = [s.bias for s in each if s.bias is not None]
    loop = jnp.zeros((0,)) if part.recurrent is None else part.recurrent.weight
    return Weights(
        part.synapses.weight, sum([unless_finite(s.weight) for s in each] + biases, start=jnp.zeros(())), loop
    )


def _before(layer: Layer, state: LayerState) -> LoweredState:
    """Spikes are those that reset or, where they also come back, those on their way, which are the same."""
    before, line = layer.neuron.lowered_state(state.neuron), state.lines[-1]
    return before if line is None else before._replace(spikes=line.ravel())


def _after(layer: Layer, before: LayerState, after: LoweredState) -> LayerState:
    lines = [None if line is None else after.spikes.reshape(line.shape) for line in before.lines]
    return LayerState(layer.neuron.raised_state(after, before.neuron), tuple(lines), before.synapses)
