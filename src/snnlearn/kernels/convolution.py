"""Layers of images over a whole sequence, convolutions and poolings, as one call forward and one backward.

The primitives are as those of `chain`: `forward`, its derivative `tangent`, which is linear, and `backward`, the
transpose of that. Images are `[height, width, channels]`, here and in the kernels. A dense layer is a convolution with
a kernel as large as its input. Between forward and backward spikes are kept, a bit each, and those currents that would
be costly to compute again.

A layer may be reached from any layers before it, or the input: it then takes several entries, of which all but the last
join the next one. Such graphs run forward only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.interpreters import ad
from jaxtyping import Array, Float

from snnlearn.kernels.primitives import batch_by, flat_list, new_primitive
from snnlearn.neurons.lowering import Constants, Equation, LoweredState, step

KEPT_FROM = 64
"""Currents of more inputs than this are kept for the backward pass."""


class Form(NamedTuple):
    """What is fixed about a layer.

    Args:
        arriving: `(height, width, channels)` of its input.
        window: side of the windows whose means are taken first; 1 for none.
        kernel: `(height, width)`.
        stride: step of the kernel.
        padding: zeros on each side.
        given: `(height, width, channels)` of its output.
        neuron: the units' equation.
        states: the fields of a `LoweredState` that the neurons have.
        source: the number of the entry whose spikes arrive; -1 for the input.
        joins: whether it has no neurons, and its currents are added to those of the next entry.
        differentiated: whether something may be kept for a backward pass.
    """

    arriving: tuple[int, int, int]
    window: int
    kernel: tuple[int, int]
    stride: int
    padding: int
    given: tuple[int, int, int]
    neuron: Equation
    states: tuple[str, ...]
    source: int
    joins: bool = False
    differentiated: bool = True

    @property
    def size(self) -> int:
        """How many units."""
        height, width, channels = self.given
        return height * width * channels

    @property
    def kernel_size(self) -> int:
        """How many inputs a unit has."""
        return self.kernel[0] * self.kernel[1] * self.arriving[2]

    @property
    def keeps_currents(self) -> bool:
        """Whether currents are kept, or else computed again."""
        return self.differentiated and self.neuron.spiking and self.kernel_size > KEPT_FROM


def run(
    forms: tuple[Form, ...],
    xs: Float[Array, "T height width channels"],
    constants: Sequence[Float[Array, "..."]],
    weights: Sequence[tuple[Float[Array, "..."], Float[Array, "..."]]],
    states: Sequence[Float[Array, "..."]],
) -> tuple[list[Float[Array, "T ..."]], list[Float[Array, "..."]], list[Float[Array, "..."]]]:
    """Run layers of images, of which only the last may not spike.

    Args:
        forms: the layers; if they are no chain, the results have no derivative.
        xs: the input.
        constants: of each layer's neurons, `[constants, row]` of one row that stands for all, or of each.
        weights: of each layer, `[inputs, channels]`, and the biases, `[channels]`.
        states: of each layer before the first step, `[states, size]`.

    Returns:
        of each layer, entries that join another left out, the output, `[T, height, width, channels]`, its sum over
        time, which has no derivative, and the state after the last step. What is not used is not computed.
    """
    before = tuple(state[None] for state in states)
    chain = all(form.source == number - 1 and not form.joins for number, form in enumerate(forms))
    results = (_images if chain else _only_forward)(forms, xs[None], tuple(constants), tuple(weights), before)
    outputs, sums, after = ([each[0] for each in kind] for kind in results)
    return outputs, sums, after


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _images(forms, xs, constants, weights, before):
    return _only_forward(forms, xs, constants, weights, before)


def _only_forward(forms, xs, constants, weights, before):
    forms = tuple(form._replace(differentiated=False) for form in forms)
    traces, _, after = _forward(forms, xs, constants, weights, before)
    own = tuple(state for form, state in zip(forms, after, strict=True) if not form.joins)
    return tuple(_outputs(forms, xs.shape[1], traces)), tuple(_sums(forms, traces)), own


@partial(_images.defjvp, symbolic_zeros=True)
def _(forms, primals, tangents):
    xs, constants, weights, before = primals
    num_steps = xs.shape[1]
    traces, currents, after = _forward(forms, *primals)
    spikes = [
        trace if form.neuron.spiking else jnp.zeros((len(xs), 0), jnp.uint32)
        for form, trace in zip(forms, traces, strict=True)
    ]
    d_xs = jnp.zeros((0,), jnp.float32) if isinstance(tangents[0], SymbolicZero) else tangents[0]
    d_weights, d_before = jax.tree.map(
        lambda d: jnp.zeros(d.shape, jnp.float32) if isinstance(d, SymbolicZero) else d,
        tangents[2:],
        is_leaf=lambda leaf: isinstance(leaf, SymbolicZero),
    )
    residuals = [xs, *flat_list(zip(constants, weights, before, spikes, currents, strict=True))]
    d_outputs = tangent_p.bind(
        *residuals, d_xs, *flat_list(zip(d_weights, d_before, strict=True)), forms=forms, num_steps=num_steps
    )
    outputs, sums = tuple(_outputs(forms, num_steps, traces)), tuple(_sums(forms, traces))
    return (outputs, sums, after), (tuple(d_outputs[::2]), jax.tree.map(jnp.zeros_like, sums), tuple(d_outputs[1::2]))


def _forward(forms, xs, constants, weights, before):
    found = forward_p.bind(
        xs, *flat_list(zip(constants, weights, before, strict=True)), forms=forms, num_steps=xs.shape[1]
    )
    return found[::3], found[1::3], tuple(found[2::3])


def _outputs(forms, num_steps, traces) -> list[Float[Array, "B T ..."]]:
    return [
        _unpacked(form, num_steps, trace) if form.neuron.spiking else trace.reshape(*trace.shape[:2], *form.given)
        for form, trace in zip(forms, traces, strict=True)
        if not form.joins
    ]


def _sums(forms, traces) -> list[Float[Array, "B ..."]]:
    """Over time; spikes are counted in words."""
    return [
        jnp.sum(jax.lax.population_count(trace) if form.neuron.spiking else trace, axis=1)
        .astype(jnp.float32)
        .reshape(len(trace), *form.given)
        for form, trace in zip(forms, traces, strict=True)
        if not form.joins
    ]


def _unpacked(form, num_steps, words):
    place = np.arange(32, dtype=np.uint32).reshape(1, 1, 32, 1)
    bits = words[:, :, None] >> place & np.uint32(1)
    return bits.reshape(len(words), 32 * words.shape[1], *form.given)[:, :num_steps].astype(jnp.float32)


# ------------------------------------------------------------------------------------------- the primitives' shapes

FORWARD, BACKWARD = 4, 8  # arguments of each layer


def _sizes(args, forms, num_steps):
    """Of each layer the avals of its trace, its currents and its state."""
    batch = args[0].shape[0]
    for form in forms:
        if form.joins:
            yield from [jax.ShapeDtypeStruct((batch, 0), jnp.float32)] * 3
            continue
        words = jax.ShapeDtypeStruct((batch, -(-num_steps // 32), form.size), jnp.uint32)
        output = jax.ShapeDtypeStruct((batch, num_steps, form.size), jnp.float32)
        height, width, channels = form.given
        kept = (batch, height, num_steps, width * channels) if form.keeps_currents else (batch, 0)
        yield words if form.neuron.spiking else output
        yield jax.ShapeDtypeStruct(kept, jnp.float32)
        yield jax.ShapeDtypeStruct((batch, len(form.states), form.size), jnp.float32)


def _attributes(forms, num_steps) -> dict[str, Any]:
    ints, floats = [], []
    for form in forms:
        (height, width, channels), (out_height, out_width, units) = form.arriving, form.given
        spiking, late_reset, reset_flows, (shape, *numbers) = form.neuron
        states = sum(1 << n for n, name in enumerate(LoweredState._fields) if name in form.states)
        ints += [channels, height, width, form.window, *form.kernel, form.stride, form.padding]
        ints += [
            units,
            out_height,
            out_width,
            states,
            spiking,
            late_reset,
            reset_flows,
            shape,
            form.source + 1,
            form.joins,
        ]
        floats += numbers
    return {
        "num_steps": np.int64(num_steps),
        "ints": np.array(ints, np.int64),
        "floats": np.array(floats, np.float32),
    }


def _call_forward(*args, forms, num_steps):
    call = jax.ffi.ffi_call("snnlearn_images_forward", list(_sizes(args, forms, num_steps)))
    return call(*args, **_attributes(forms, num_steps))


def _gradients(args, forms, num_steps):
    """The avals of the gradients by the input, if it is wanted, and by weight, bias and state of each layer."""
    return [args[-1], *(args[1 + BACKWARD * n + which] for n in range(len(forms)) for which in (1, 2, 3))]


def _call_backward(*args, forms, num_steps):
    results = [jax.ShapeDtypeStruct(a.shape, jnp.float32) for a in _gradients(args, forms, num_steps)]
    call = jax.ffi.ffi_call("snnlearn_images_backward", results)
    return call(*args[:-1], **_attributes(forms, num_steps))


def _tangent(*args, forms, num_steps):
    """The derivative in forward mode, by JAX: that of the equation."""
    count = len(forms)
    xs, args = args[0], args[1:]
    layers = [args[6 * n : 6 * n + 4] for n in range(count)]
    d_xs, tangents = args[6 * count], args[6 * count + 1 :]
    d_layers = tuple(tuple(tangents[3 * n : 3 * n + 3]) for n in range(count))
    d_xs = jnp.zeros_like(xs) if d_xs.size == 0 else d_xs

    def function(xs, layers_):
        return tuple(_reference(forms, xs, [layer[0] for layer in layers], layers_))

    _, d_outputs = jax.jvp(function, (xs, tuple(tuple(layer[1:]) for layer in layers)), (d_xs, d_layers))
    return list(d_outputs)


def _tangent_sizes(args, forms, num_steps):
    batch = args[0].shape[0]
    for form in forms:
        yield jax.ShapeDtypeStruct((batch, num_steps, *form.given), jnp.float32)
        yield jax.ShapeDtypeStruct((batch, len(form.states), form.size), jnp.float32)


def _reference(forms, xs, constants, layers) -> list[Array]:
    """Output and state of each layer."""
    results = []
    for form, rows, layer in zip(forms, constants, layers, strict=True):
        xs, after = _reference_layer(form, rows, xs, *layer)
        results += [xs, after]
    return results


def _reference_layer(form, rows, xs, weight, bias, before) -> tuple[Array, Array]:
    batch, num_steps = xs.shape[:2]
    height, width, channels = (form.arriving[0] // form.window, form.arriving[1] // form.window, form.arriving[2])
    with jax.numpy_rank_promotion("allow"):
        x = xs.reshape(batch * num_steps, *form.arriving)[:, : height * form.window, : width * form.window]
        x = x.reshape(batch * num_steps, height, form.window, width, form.window, channels).mean((2, 4))
        currents = bias + jax.lax.conv_general_dilated(
            x,
            weight.reshape(*form.kernel, channels, -1),
            (form.stride, form.stride),
            [(form.padding, form.padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        constants = Constants(*jnp.broadcast_to(jnp.swapaxes(rows, 0, 1), (rows.shape[1], *_rows(form))))
        named = dict(
            zip(form.states, jnp.moveaxis(before.reshape(batch, len(form.states), *_rows(form)), 1, 0), strict=True)
        )

        def advance(state, current):
            output, state = step(form.neuron, constants, current, state)
            return state, output

        nothing = jnp.zeros((batch, *_rows(form)))
        state = LoweredState(**{name: named.get(name, nothing) for name in LoweredState._fields})
        state, outputs = jax.lax.scan(
            advance, state, jnp.swapaxes(currents.reshape(batch, num_steps, *_rows(form)), 0, 1)
        )
    after = jnp.stack([getattr(state, name) for name in form.states], axis=1)
    return jnp.swapaxes(outputs, 0, 1).reshape(batch, num_steps, *form.given), after.reshape(before.shape)


def _rows(form: Form) -> tuple[int, int]:
    height, width, channels = form.given
    return height, width * channels


# -------------------------------------------------------------------------------------------------- the primitives

forward_p = new_primitive(
    "snnlearn_images_forward", _call_forward, lambda args, forms, steps: _sizes(args, forms, steps)
)
tangent_p = new_primitive("snnlearn_images_tangent", _tangent, _tangent_sizes)
backward_p = new_primitive("snnlearn_images_backward", _call_backward, _gradients)


def _transpose(cotangents, *args, forms, num_steps):
    count = len(forms)
    residuals, linear = args[: 1 + 6 * count], args[1 + 6 * count :]
    xs, layers = residuals[0], residuals[1:]

    def given(cotangent, shape):
        return jnp.zeros((0,), jnp.float32) if isinstance(cotangent, ad.Zero) else cotangent.reshape(shape)

    arguments = [xs]
    for n, form in enumerate(forms):
        by_output = given(cotangents[2 * n], (*xs.shape[:2], form.size))
        by_state = given(cotangents[2 * n + 1], (len(xs), len(form.states), form.size))
        arguments += [*layers[6 * n : 6 * n + 6], by_output, by_state]
    by_input = ad.is_undefined_primal(linear[0]) and linear[0].aval.size
    wanted = xs if by_input else jnp.zeros((0,), jnp.float32)
    gradients = backward_p.bind(*arguments, wanted, forms=forms, num_steps=num_steps)
    return [None] * len(residuals) + [
        gradient if ad.is_undefined_primal(argument) else None
        for argument, gradient in zip(linear, gradients, strict=True)
    ]


ad.primitive_transposes[tangent_p] = _transpose

batch_by(forward_p, lambda forms: [False, *([True] * 3 + [False]) * len(forms)])
batch_by(
    tangent_p,
    lambda forms: [False, *([True] * 3 + [False] * 3) * len(forms), False, *([True] * 2 + [False]) * len(forms)],
)
batch_by(backward_p, None)
