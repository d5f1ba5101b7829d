"""Networks that the compiled kernels can run, and running them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from snnlearn._parameters import trained_part
from snnlearn.coding.held import HeldValues
from snnlearn.coding.packed import PackedSpikes
from snnlearn.kernels import why_plain
from snnlearn.kernels.chain import Form, Weights, advance, record, run
from snnlearn.kernels.products import numbers, unless_finite
from snnlearn.network.convolved import lowered_images
from snnlearn.network.graph import in_chain
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import LoweredSynapses
from snnlearn.neurons.lowering import Constants, Lowered, LoweredState


class LoweredLayer(NamedTuple):
    """A layer as the kernels take it; the first may have any map without time as synapses, which then are None."""

    neuron: Lowered
    synapses: LoweredSynapses | None
    recurrent: LoweredSynapses | None


def lowered(layers: Sequence[Layer]) -> list[LoweredLayer] | str:
    """What the kernels compute for these layers, or the reason why they cannot."""
    if (reason := why_plain() or in_chain(layers)) is not None:
        return reason
    found = []
    for number, layer in enumerate(layers, start=1):
        part = _lowered(layer, first=number == 1, last=number == len(layers))
        if isinstance(part, str):
            return f"layer {number} {part}"
        found.append(part)
    return found


def why_not_compiled(layers: Sequence[Layer]) -> str | None:
    """Why these layers run as plain JAX; None if the compiled kernels run them, whatever their input.

    A graph of images, such as a residual network, is no chain; only its derivative is plain (`unroll`).
    """
    found = lowered(layers)
    if isinstance(found, str) and any(len(layer.synapses.in_shape) > 1 for layer in layers):
        found = why_plain() or in_chain(layers) or lowered_images(layers)
    return found if isinstance(found, str) else None


def run_compiled(
    layers: Sequence[Layer],
    parts: Sequence[LoweredLayer],
    xs: Float[Array, "T ..."] | PackedSpikes | HeldValues,
    states: Sequence[LayerState],
) -> tuple[tuple[Float[Array, "T units"], ...], tuple[LayerState, ...]]:
    """Run layers over their input: spikes from one to the next, anything else by its currents.

    Args:
        layers: the layers.
        parts: what `lowered` made of them.
        xs: the input, of float32.
        states: of each layer before the first step.

    Returns:
        the output of each layer, and its state after the last step.
    """
    if isinstance(xs, PackedSpikes) and parts[0].synapses is not None:
        currents, num_steps, words = None, xs.num_steps, xs.words.reshape(xs.num_words, -1)
    else:
        currents, num_steps = _currents(layers[0], xs)
        words = None
    forms, words, constants, weights, before = _arguments(layers, parts, num_steps, words, currents, states)
    outputs, after = run(forms, num_steps, words, constants, weights, before)
    outputs = tuple(part.neuron.outputs(output) for part, output in zip(parts, outputs, strict=True))
    return outputs, tuple(map(_after, layers, states, after))


def advance_compiled(
    layers: Sequence[Layer],
    parts: Sequence[LoweredLayer],
    xs: Float[Array, "T ..."] | PackedSpikes,
    steps: Int[Array, ""],
    states: Sequence[LayerState],
) -> tuple[Float[Array, "T units"], tuple[LayerState, ...]]:
    """Run layers over the first steps of their input alone, to the bit as if each step were a call.

    Args:
        layers: the layers.
        parts: what `lowered` made of them.
        xs: the input, of float32, of T steps; later ones than the first are not looked at.
        steps: how many are run, from 1 to T.
        states: of each layer before the first step.

    Returns:
        the last layer's output, in whose later steps there may be anything, and each state after the last step.
    """
    if isinstance(xs, PackedSpikes) and parts[0].synapses is not None:
        currents, num_steps, words = None, xs.num_steps, xs.words.reshape(xs.num_words, -1)
    else:
        values = numbers(xs)
        num_steps, words = len(values), None
        currents = _currents_step_by_step(layers[0], values, steps)
    forms, words, constants, weights, before = _arguments(layers, parts, num_steps, words, currents, states)
    output, after = advance(forms, num_steps, steps, words, constants, weights, before)
    return parts[-1].neuron.outputs(output), tuple(map(_after, layers, states, after))


def record_compiled(
    layers: Sequence[Layer],
    parts: Sequence[LoweredLayer],
    xs: Float[Array, "T B ..."] | PackedSpikes | HeldValues,
    states: Sequence[LayerState],
) -> tuple[list[Float[Array, "T B units"] | PackedSpikes], list[tuple[Array, Any]], tuple[LayerState, ...]]:
    """Run layers for a batch, and record what each neuron's step begins with; without a derivative.

    Args:
        layers: the layers.
        parts: what `lowered` made of them.
        xs: the input, of float32.
        states: of each layer before the first step, for each sample.

    Returns:
        the output of each layer, of spikes packed, `[W, B, units]`; each layer's current and its neurons' state before
        each step, `[T, B, ...]`; and its state after the last step.
    """
    if isinstance(xs, PackedSpikes) and parts[0].synapses is not None:
        currents, num_steps = None, xs.num_steps
        words = jnp.swapaxes(xs.words.reshape(*xs.words.shape[:2], -1), 0, 1)
    else:
        values = xs if isinstance(xs, HeldValues) else numbers(xs)
        num_steps = len(jax.tree.leaves(values)[0]) * (xs.steps if isinstance(xs, HeldValues) else 1)
        currents = jax.vmap(lambda x: _currents(layers[0], x)[0], in_axes=1)(values)
        words = jnp.zeros((len(currents), -(-num_steps // 32), 0), jnp.uint32)
    forms, _, constants, weights, before = _arguments(layers, parts, num_steps, words, currents, states)
    kept = [
        [name for name, part in layer.neuron.lowered_state(state.neuron)._asdict().items() if isinstance(part, Array)]
        for layer, state in zip(layers, states, strict=True)
    ]
    outputs, after, records = record(forms, num_steps, words, constants, weights, before, kept)

    def began(layer: Layer, state: LayerState, current: Array, recorded: dict[str, Array]) -> tuple[Array, Any]:
        raised = layer.neuron.raised_state(LoweredState(**recorded), state.neuron)
        return current, jax.tree.map(lambda a, b: jnp.broadcast_to(a, (num_steps, *b.shape)), raised, state.neuron)

    each = [began(layer, state, *found) for layer, state, found in zip(layers, states, records, strict=True)]
    return (
        [_sent(part.neuron, output, num_steps) for part, output in zip(parts, outputs, strict=True)],
        each,
        tuple(map(_after, layers, states, after)),
    )


def _arguments(
    layers: Sequence[Layer],
    parts: Sequence[LoweredLayer],
    num_steps: int,
    words: UInt32[Array, "W ..."] | None,
    currents: Float[Array, "*B F units"] | None,
    states: Sequence[LayerState],
) -> tuple[tuple[Form, ...], Array, list[Constants], list[Weights], list[LoweredState]]:
    """What the kernels take of layers whose input is spikes, or else the currents that it makes."""
    forms = list(map(_form, layers, parts))
    if words is None:
        assert currents is not None
        words = jnp.zeros((-(-num_steps // 32), 0), jnp.uint32)
    if currents is not None:
        forms[0] = forms[0]._replace(inputs=0, frames=currents.shape[-2])
    return (
        tuple(forms),
        words,
        [part.neuron.constants for part in parts],
        [_weights(part, currents if number == 0 else None) for number, part in enumerate(parts)],
        [_before(layer, state) for layer, state in zip(layers, states, strict=True)],
    )


def in_single_precision(tree: Any) -> bool:
    """Whether all its real numbers are float32, as those of the kernels are."""
    return all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)))


def _lowered(layer: Layer, *, first: bool, last: bool) -> LoweredLayer | str:
    """The statements of the parts, and what the kernels require of every layer."""
    synapses, recurrent = (s if s is None else s.lowered() for s in (layer.synapses, layer.recurrent))
    neuron = layer.neuron.lowered()
    if first and isinstance(synapses, str) and layer.synapses.initial_state() is None and len(layer.shape) == 1:
        synapses = None  # their currents are computed before
    for reason in (synapses, recurrent, neuron):
        if isinstance(reason, str):
            return reason
    part = LoweredLayer(neuron, synapses, recurrent)  # pyright: ignore[reportArgumentType]: none is a reason
    if len(layer.shape) > 1:
        return f"has units of shape {list(layer.shape)}, not in one axis"
    for weight in jax.tree.leaves(eqx.filter((layer.synapses, layer.recurrent), eqx.is_inexact_array)):
        if weight.dtype != jnp.float32:
            return f"has weights of type {weight.dtype}, not float32"
    if not part.neuron.equation.spiking and not last:
        return f"is {type(layer.neuron).__name__}, from which no spikes go to the next"
    if not part.neuron.equation.spiking and recurrent is not None:
        return f"is a recurrent {type(layer.neuron).__name__}, which does not spike"
    if jax.tree.leaves(trained_part(layer.neuron)):
        return "has trained neuron parameters"
    return part


def _sent(neuron: Lowered, output: Array, num_steps: int) -> Float[Array, "T B units"] | PackedSpikes:
    """A layer's output for a batch, time first, from what the kernels made of each sample."""
    output = jnp.swapaxes(output, 0, 1)
    spikes = PackedSpikes(output, num_steps) if neuron.equation.spiking else None
    if neuron.output is None and spikes is not None:
        return spikes
    return jax.vmap(neuron.outputs, 1, 1)(output if spikes is None else spikes.unpack())


def _currents(layer: Layer, xs: Float[Array, "T ..."] | PackedSpikes | HeldValues) -> tuple[Array, int]:
    """The currents of the layer's input, `[F, units]`, one product for all frames, and the number of steps."""
    values, steps = (xs.values, xs.steps) if isinstance(xs, HeldValues) else (numbers(xs), 1)
    currents = jax.vmap(layer.synapses)(values)
    return currents.reshape(len(currents), -1), len(currents) * steps


def _currents_step_by_step(layer: Layer, xs: Float[Array, "T ..."], steps: Int[Array, ""]) -> Float[Array, "T units"]:
    """The currents of the first steps: a product for each, since one for all may round by how many they are."""

    def one(t, currents):
        return currents.at[t].set(jnp.ravel(layer.synapses(xs[t])))

    return jax.lax.fori_loop(0, steps, one, jnp.zeros((len(xs), math.prod(layer.shape)), jnp.float32))


def _form(layer: Layer, part: LoweredLayer) -> Form:
    """Sizes are those that the layer states, so that the kernels check the weights by them."""
    inputs, (units,) = math.prod(layer.synapses.in_shape), layer.shape
    return Form(inputs, units, part.recurrent is not None, part.neuron.equation)


def _weights(part: LoweredLayer, currents: Float[Array, "*B F units"] | None) -> Weights:
    """Its weights; currents, where they are given, stand in the place of what its input does."""
    synapses = part.synapses if currents is None else None
    each = [s for s in (synapses, part.recurrent) if s is not None]
    biases = [s.bias for s in each if s.bias is not None]
    bias = sum([unless_finite(s.weight) for s in each] + biases, start=jnp.zeros((), jnp.float32))
    loop = jnp.zeros((0,), jnp.float32) if part.recurrent is None else part.recurrent.weight
    if synapses is not None:
        return Weights(synapses.weight, bias, loop)
    assert currents is not None
    none = jnp.zeros((currents.shape[-1], 0), jnp.float32)
    return Weights(none, currents + jnp.broadcast_to(bias, currents.shape), loop)


def _before(layer: Layer, state: LayerState) -> LoweredState:
    """Spikes are those that reset or, where they also come back, those on their way, which are the same."""
    before, line = layer.neuron.lowered_state(state.neuron), state.lines[-1]
    return before if line is None else before._replace(spikes=line[..., 0, :])


def _after(layer: Layer, before: LayerState, after: LoweredState) -> LayerState:
    lines = [None if line is None else after.spikes.reshape(line.shape) for line in before.lines]
    return LayerState(layer.neuron.raised_state(after, before.neuron), tuple(lines), before.synapses)
