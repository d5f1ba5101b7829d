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
from snnlearn.network.graph import FROM_INPUT, Route, routes
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import AbstractSynapses, LoweredImage
from snnlearn.neurons.lowering import Constants, Equation, Lowered, LoweredState


class LoweredDrive(NamedTuple):
    """A connection as the kernels take it.

    Args:
        source: the number of the layer it comes from, or `FROM_INPUT`.
        synapses: its synapses.
        weight: theirs, `[units, channels, height, width]`.
        arriving: `(channels, height, width)` of its input.
    """

    source: int
    synapses: LoweredImage
    weight: Float[Array, "units channels height width"]
    arriving: tuple[int, int, int]


class LoweredImages(NamedTuple):
    """A layer as the kernels take it.

    Args:
        neuron: its neurons.
        drives: the connections into it.
        given: `(channels, height, width)` of its output.
    """

    neuron: Lowered
    drives: tuple[LoweredDrive, ...]
    given: tuple[int, int, int]


def lowered_images(layers: Sequence[Layer]) -> list[LoweredImages] | str:
    """What the kernels compute for these layers, or the reason why they cannot.

    Layers may come from any layers before them. If they are no chain (`in_chain`), the kernels run forward only.
    """
    if (reason := why_plain()) is not None:
        return reason
    if all(len(layer.synapses.in_shape) == 1 for layer in layers):
        return "no layer has an image as its input"
    found: list[LoweredImages] = []
    takes: tuple[int, ...] | None = None
    for number, (layer, ways) in enumerate(zip(layers, routes(layers), strict=True)):
        if takes is None:  # the input has the shape that the first connection from it takes
            takes = next(
                (c.synapses.in_shape for c, way in zip(layer.connections, ways, strict=True) if way.source < 0), None
            )
        shapes = [_image(takes or ()) if way.source < 0 else found[way.source].given for way in ways if not way.lag]
        part = _lowered(layer, ways, shapes, last=number + 1 == len(layers))
        if isinstance(part, str):
            return f"layer {number + 1} {part}"
        found.append(part)
    return found


def run_images(
    layers: Sequence[Layer], parts: Sequence[LoweredImages], xs: Float[Array, "T ..."], states: Sequence[LayerState]
) -> tuple[tuple[Float[Array, "T ..."], ...], tuple[Float[Array, "..."], ...], tuple[LayerState, ...]]:
    """Run layers of convolutions over numbers.

    Args:
        layers: the layers.
        parts: what `lowered_images` made of them.
        xs: the input.
        states: of each layer before the first step.

    Returns:
        the output of each layer, its sum over time, which has no derivative, and its state after the last step. What
        is not used is not computed.
    """
    forms: list[Form] = []
    constants, weights, rows, ends = [], [], [], []
    for layer, part, state in zip(layers, parts, states, strict=True):
        before = layer.neuron.lowered_state(state.neuron)
        for drive in part.drives[:-1]:
            forms.append(_joining(part, drive, ends))
            weights.append(_weights(drive, forms[-1]))
            constants.append(jnp.zeros((0,), jnp.float32))
            rows.append(jnp.zeros((0,), jnp.float32))
        forms.append(_form(part, before, ends))
        weights.append(_weights(part.drives[-1], forms[-1]))
        constants.append(_constants(layer, part, forms[-1]))
        rows.append(_rows(part, forms[-1], before))
        ends.append(len(forms) - 1)
    arriving = next(drive.arriving for part in parts for drive in part.drives if drive.source == FROM_INPUT)
    xs = jnp.moveaxis(xs.reshape(len(xs), *arriving), 1, -1)
    outputs, sums, after = run(tuple(forms), xs, constants, weights, rows)

    def raised(layer: Layer, part: LoweredImages, images: Array) -> Array:
        images = jnp.moveaxis(images[..., : part.given[0]], -1, -3)
        return images.reshape(*images.shape[:-3], *layer.shape)

    results, totals = (tuple(map(raised, layers, parts, kind)) for kind in (outputs, sums))
    results = tuple(part.neuron.outputs(result) for part, result in zip(parts, results, strict=True))
    totals = tuple(
        total if part.neuron.output is None else jax.lax.stop_gradient(jnp.sum(result, axis=0))
        for part, result, total in zip(parts, results, totals, strict=True)
    )
    later = [
        _after(layer, part, forms[end], state, row)
        for layer, part, end, state, row in zip(layers, parts, ends, states, after, strict=True)
    ]
    return results, totals, tuple(later)


def _image(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """A shape as `(channels, height, width)`; what has one axis is an image of one pixel."""
    if len(shape) == 1:
        return (shape[0], 1, 1)
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def _lowered(
    layer: Layer, ways: Sequence[Route], shapes: Sequence[tuple[int, int, int] | None], *, last: bool
) -> LoweredImages | str:
    if layer.recurrent is not None:
        return "is recurrent, and reached by convolutions"
    if any(way.lag for way in ways):
        return "has a connection that is delayed, or comes from a later layer"
    neuron, given = layer.neuron.lowered(), _image(layer.shape)
    if isinstance(neuron, str):
        return neuron
    if given is None:
        return f"has units of shape {list(layer.shape)}, which is no image"
    drives = []
    for connection, way, shape in zip(layer.connections, ways, shapes, strict=True):
        drive = "has no image as its input" if shape is None else _drive(connection.synapses, way.source, shape)
        if isinstance(drive, str):
            return drive
        drives.append(drive)
    part = LoweredImages(neuron, tuple(drives), given)
    if not part.neuron.equation.spiking and not last:
        return f"is {type(layer.neuron).__name__}, from which no spikes go to the next"
    if jax.tree.leaves(trained_part(layer.neuron)):
        return "has trained neuron parameters"
    return part


def _drive(synapses: AbstractSynapses, source: int, shape: tuple[int, int, int]) -> LoweredDrive | str:
    lowered = synapses.lowered_image(shape)
    if isinstance(lowered, str):
        return lowered
    if lowered.weight is None:
        return "has no weights"
    if lowered.weight.dtype != jnp.float32:
        return f"has weights of type {lowered.weight.dtype}, not float32"
    return LoweredDrive(source, lowered, lowered.weight, shape)


def _padded(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _form(part: LoweredImages, state: LoweredState, ends: Sequence[int]) -> Form:
    """Of a layer's last connection; `ends` are the numbers of the earlier layers' last entries."""
    # What a neuron's state has not is a number, 0.
    states = tuple(name for name, value in state._asdict().items() if not isinstance(value, float))
    return _joining(part, part.drives[-1], ends)._replace(neuron=part.neuron.equation, states=states, joins=False)


def _joining(part: LoweredImages, drive: LoweredDrive, ends: Sequence[int]) -> Form:
    """Of another connection into it. The input's channels are as they are, those of layers are padded."""
    (channels, height, width), (units, out_height, out_width) = drive.arriving, part.given
    from_input = drive.source == FROM_INPUT
    return Form(
        (height, width, channels if from_input else _padded(channels)),
        drive.synapses.window,
        (drive.weight.shape[2], drive.weight.shape[3]),
        drive.synapses.stride,
        drive.synapses.padding,
        (out_height, out_width, _padded(units)),
        Equation(),
        (),
        FROM_INPUT if from_input else ends[drive.source],
        joins=True,
    )


def _weights(part: LoweredDrive, form: Form) -> tuple[Array, Array]:
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
