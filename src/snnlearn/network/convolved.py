"""Networks of convolutions that the compiled kernels can run, and running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import trained_part
from snnlearn.kernels import why_plain
from snnlearn.kernels.chain import BLOCK
from snnlearn.kernels.convolution import Form, run
from snnlearn.network.graph import in_chain
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import LoweredImage
from snnlearn.neurons.lowering import Constants, Lowered, LoweredState


class LoweredImages(NamedTuple):
    """A layer as the kernels take it.

    Args:
        neuron: its neurons.
        synapses: its synapses.
        weight: theirs, `[units, channels, height, width]`.
        arriving: `(channels, height, width)` of its input.
        given: `(channels, height, width)` of its output.
    """

    neuron: Lowered
    synapses: LoweredImage
    weight: Float[Array, "units channels height width"]
    arriving: tuple[int, int, int]
    given: tuple[int, int, int]


def lowered_images(layers: Sequence[Layer]) -> list[LoweredImages] | str:
    """What the kernels compute for these layers, or the reason why they cannot."""
    if (reason := why_plain() or in_chain(layers)) is not None:
        return reason
    if all(len(layer.synapses.in_shape) == 1 for layer in layers):
        return "no layer has an image as its input"
    found: list[LoweredImages] = []
    shape = _image(layers[0].synapses.in_shape)
    for number, layer in enumerate(layers, start=1):
        part = "has no image as its input" if shape is None else _lowered(layer, shape, last=number == len(layers))
        if isinstance(part, str):
            return f"layer {number} {part}"
        found.append(part)
        shape = part.given
    return found


def run_images(
    layers: Sequence[Layer], parts: Sequence[LoweredImages], xs: Float[Array, "T ..."], states: Sequence[LayerState]
) -> tuple[tuple[Float[Array, "T ..."], ...], tuple[LayerState, ...]]:
    """Run layers of convolutions over numbers.

    Args:
        layers: the layers.
        parts: what `lowered_images` made of them.
        xs: the input.
        states: of each layer before the first step.

    Returns:
        the output of each layer, and its state after the last step.
    """
    before = [layer.neuron.lowered_state(state.neuron) for layer, state in zip(layers, states, strict=True)]
    forms = [_form(part, state, first=n == 0) for n, (part, state) in enumerate(zip(parts, before, strict=True))]
    outputs, after = run(
        tuple(forms),
        jnp.moveaxis(xs.reshape(len(xs), *parts[0].arriving), 1, -1),
        [_constants(layer, part, form) for layer, part, form in zip(layers, parts, forms, strict=True)],
        [_weights(part, form) for part, form in zip(parts, forms, strict=True)],
        [_rows(part, form, state) for part, form, state in zip(parts, forms, before, strict=True)],
    )
    results = [
        jnp.moveaxis(output[..., : part.given[0]], -1, 1).reshape(len(xs), *layer.shape)
        for layer, part, output in zip(layers, parts, outputs, strict=True)
    ]
    later = [
        _after(layer, part, form, state, rows)
        for layer, part, form, state, rows in zip(layers, parts, forms, states, after, strict=True)
    ]
    return tuple(results), tuple(later)


def _image(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """A shape as `(channels, height, width)`; what has one axis is an image of one pixel."""
    if len(shape) == 1:
        return (shape[0], 1, 1)
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def _lowered(layer: Layer, shape: tuple[int, int, int], *, last: bool) -> LoweredImages | str:
    if layer.recurrent is not None:
        return "is recurrent, and reached by convolutions"
    neuron, synapses, given = layer.neuron.lowered(), layer.synapses.lowered_image(shape), _image(layer.shape)
    if isinstance(neuron, str) or isinstance(synapses, str):
        return neuron if isinstance(neuron, str) else str(synapses)
    if synapses.weight is None:
        return "has no weights"
    if given is None:
        return f"has units of shape {list(layer.shape)}, which is no image"
    part = LoweredImages(neuron, synapses, synapses.weight, shape, given)
    if part.weight.dtype != jnp.float32:
        return f"has weights of type {part.weight.dtype}, not float32"
    if not part.neuron.equation.spiking and not last:
        return f"is {type(layer.neuron).__name__}, from which no spikes go to the next"
    if jax.tree.leaves(trained_part(layer.neuron)):
        return "has trained neuron parameters"
    return part


def _padded(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _form(part: LoweredImages, state: LoweredState, *, first: bool) -> Form:
    """The input's channels are as they are, those of layers are padded."""
    # What a neuron's state has not is a number, 0.
    states = tuple(name for name, value in state._asdict().items() if not isinstance(value, float))
    (channels, height, width), (units, out_height, out_width) = part.arriving, part.given
    return Form(
        (height, width, channels if first else _padded(channels)),
        part.synapses.window,
        (part.weight.shape[2], part.weight.shape[3]),
        part.synapses.stride,
        part.synapses.padding,
        (out_height, out_width, _padded(units)),
        part.neuron.equation,
        states,
    )


def _weights(part: LoweredImages, form: Form) -> tuple[Array, Array]:
    weight, bias = part.weight, part.synapses.bias
    units, channels = form.given[2] - weight.shape[0], form.arriving[2] - weight.shape[1]
    # Silent inputs are passed over, so what is not finite must show by itself, as `products.unless_finite` has it.
    total = jnp.sum(0 * weight, axis=(1, 2, 3)) + (0.0 if bias is None else bias)
    rows = jnp.pad(jnp.transpose(weight, (2, 3, 1, 0)), [(0, 0), (0, 0), (0, channels), (0, units)])
    return rows.reshape(form.kernel_size, form.given[2]), jnp.pad(total, (0, units))


def _constants(layer: Layer, part: LoweredImages, form: Form) -> Float[Array, "rows constants units"]:
    """Of one row if all units have the same, or else of each row."""
    values: Constants = part.neuron.constants
    height, width, channels = form.given
    if all(jnp.size(value) == 1 for value in values):
        numbers = jnp.stack([jnp.asarray(value, jnp.float32).reshape(()) for value in values])
        return jnp.broadcast_to(numbers[None, :, None], (1, len(values), width * channels))
    each = [
        _padded_image(jnp.broadcast_to(jnp.asarray(value, jnp.float32), layer.shape), part, form) for value in values
    ]
    return jnp.swapaxes(jnp.stack(each).reshape(len(values), height, width * channels), 0, 1)


def _padded_image(x: Array, part: LoweredImages, form: Form) -> Float[Array, "height width padded"]:
    image = jnp.moveaxis(x.reshape(part.given), 0, -1)
    return jnp.pad(image, [(0, 0), (0, 0), (0, form.given[2] - part.given[0])])


def _rows(part: LoweredImages, form: Form, state: LoweredState) -> Float[Array, "states size"]:
    each = [
        _padded_image(jnp.asarray(getattr(state, name), jnp.float32), part, form).reshape(-1) for name in form.states
    ]
    return jnp.stack(each)


def _after(layer: Layer, part: LoweredImages, form: Form, before: LayerState, rows: Array) -> LayerState:
    images = jnp.moveaxis(rows.reshape(-1, *form.given)[..., : part.given[0]], -1, 1)
    named = dict(zip(form.states, images.reshape(-1, *layer.shape), strict=True))
    return LayerState(layer.neuron.raised_state(LoweredState(**named), before.neuron), before.lines, before.synapses)
