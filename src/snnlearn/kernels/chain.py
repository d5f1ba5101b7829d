"""A chain of dense layers over a whole sequence, driven by packed spikes or currents, as one call forward and one back.

Three primitives: `forward`, its derivative `tangent`, which is linear, and `backward`, the transpose of that. Each
works on a batch, and `vmap` makes the batch larger, so a network that is written for one sample calls the
kernel once for the whole batch, and gets the sum of the weight gradients. Between forward and backward only spikes are
kept, a bit for each neuron and step: membranes are recomputed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad
from jaxtyping import Array, Float, Int, UInt32

from snnlearn.kernels.primitives import batch_by, flat_list, new_primitive
from snnlearn.neurons.lowering import Constants, Equation, LoweredState, Shape, step

BLOCK = 16  # units are padded to a multiple of this


class Form(NamedTuple):
    """What is fixed about a layer.

    Args:
        inputs: how many.
        units: how many.
        recurrent: whether its spikes are its own input one step later.
        neuron: the units' equation.
        frames: F, of currents that each sample has of its own, each held for T / F steps; 0 if all have the same bias.
    """

    inputs: int
    units: int
    recurrent: bool
    neuron: Equation
    frames: int = 0

    @property
    def keeps_active(self) -> bool:
        """Whether bits of where the pseudo-derivative is not zero, which determine it, follow the spikes."""
        neuron = self.neuron
        return neuron.spiking and neuron.surrogate.shape == Shape.BOXCAR and not neuron.reset_flows


class Weights(NamedTuple):
    """What a layer receives besides spikes, and by which weights these act.

    Args:
        weight: of its inputs.
        bias: `[units]`, or what comes from outside, `[F, units]`.
        loop: `[units, units]`, empty without recurrence.
    """

    weight: Float[Array, "units inputs"]
    bias: Float[Array, "..."]
    loop: Float[Array, "..."]


def run(
    forms: tuple[Form, ...],
    num_steps: int,
    words: UInt32[Array, "W inputs"],
    constants: Sequence[Constants],
    weights: Sequence[Weights],
    states: Sequence[LoweredState],
) -> tuple[list[Float[Array, "T units"]], list[LoweredState]]:
    """Run a chain of layers, of which only the last may not spike.

    Args:
        forms: the layers.
        num_steps: T.
        words: the input's spikes, step t being bit t mod 32 of word ⌊t / 32⌋; of no inputs where currents are all.
        constants: of each layer.
        weights: of each layer.
        states: of each layer before the first step.

    Returns:
        the output of each layer, and its state after the last step.
    """
    before = [_rows(form, state)[None] for form, state in zip(forms, states, strict=True)]
    rows = [_padded_units(form, _rows(form, c)) for form, c in zip(forms, constants, strict=True)]
    weights = [w._replace(bias=w.bias[None]) if form.frames else w for form, w in zip(forms, weights, strict=True)]
    outputs, after = _chain(forms, num_steps, words[None], tuple(rows), tuple(weights), tuple(before))
    return [output[0] for output in outputs], [LoweredState(*state[0]) for state in after]


def advance(
    forms: tuple[Form, ...],
    num_steps: int,
    steps: Int[Array, ""],
    words: UInt32[Array, "W inputs"],
    constants: Sequence[Constants],
    weights: Sequence[Weights],
    states: Sequence[LoweredState],
) -> tuple[Float[Array, "T units"], list[LoweredState]]:
    """Run the first of T steps alone, in the same way whatever their number; without a derivative.

    Each step's sums are added in the same order, so results do not depend on how a stream is cut, to the bit.

    Args:
        forms: as of `run`; frames, where there are any, are T.
        num_steps: T.
        steps: how many, from 1 to T.
        words: as of `run`.
        constants: as of `run`.
        weights: as of `run`.
        states: as of `run`.

    Returns:
        the output of the last layer, in whose steps that were not run there may be anything, and the states.
    """
    args = [words[None]]
    for form, c, w, state in zip(forms, constants, weights, states, strict=True):
        bias = w.bias[None] if form.frames else w.bias
        args += [_padded_units(form, _rows(form, c)), w.weight, bias, w.loop, _rows(form, state)[None]]
    results = [aval for trace, _, state in _sizes(forms, num_steps, args[0]) for aval in (trace, state)]
    call = jax.ffi.ffi_call("snnlearn_stream", results)
    flat = call(steps[None], *_padded_biases(forms, args, PER_LAYER), **_attributes(forms, num_steps))
    output = _outputs(forms[-1:], num_steps, flat[-2:-1])[0][0]
    return output, [LoweredState(*state[0]) for state in flat[1::2]]


def record(
    forms: tuple[Form, ...],
    num_steps: int,
    words: UInt32[Array, "B W inputs"],
    constants: Sequence[Constants],
    weights: Sequence[Weights],
    states: Sequence[LoweredState],
    kept: Sequence[Sequence[str]],
) -> tuple[list[Array], list[LoweredState], list[tuple[Float[Array, "T B units"], dict[str, Array]]]]:
    """Run a chain of layers for a batch, and record what each step begins with; without a derivative.

    Args:
        forms: as of `run`.
        num_steps: T.
        words: as of `run`, of each sample.
        constants: as of `run`.
        weights: as of `run`; frames of each sample, `[B, F, units]`.
        states: as of `run`, of each sample.
        kept: which parts of each layer's state are recorded.

    Returns:
        the layers' outputs, of spikes the words `[B, W, units]`, or else `[B, T, units]`; their states after the last
        step; and each layer's current and state at the beginning of each step, `[T, B, units]`.
    """
    args, rows = [words], [[n for n, name in enumerate(LoweredState._fields) if name in names] for names in kept]
    for form, c, w, state in zip(forms, constants, weights, states, strict=True):
        before = jnp.stack(
            [jnp.broadcast_to(jnp.asarray(part, jnp.float32), (len(words), form.units)) for part in state], 1
        )
        args += [_padded_units(form, _rows(form, c)), w.weight, w.bias, w.loop, before]
    results = []
    for form, (trace, _, state), which in zip(forms, _sizes(forms, num_steps, words), rows, strict=True):
        shape = num_steps, len(words), 1 + len(which), _padded(form.units)
        results += [trace, state, jax.ShapeDtypeStruct(shape, jnp.float32)]
    bits = np.array([sum(1 << n for n in which) for which in rows], np.int64)
    call = jax.ffi.ffi_call("snnlearn_record", results, vmap_method="sequential")
    flat = call(*_padded_biases(forms, args, PER_LAYER), **_attributes(forms, num_steps), rows=bits)
    outputs, records = [], []
    for form, trace, found, which in zip(forms, flat[::3], flat[2::3], rows, strict=True):
        outputs.append(trace[:, : -(-num_steps // 32), : form.units] if form.neuron.spiking else trace)
        current, *parts = (found[:, :, n, : form.units] for n in range(found.shape[2]))
        records.append((current, {LoweredState._fields[n]: part for n, part in zip(which, parts, strict=True)}))
    return outputs, [LoweredState(*jnp.swapaxes(state, 0, 1)) for state in flat[1::3]], records


def _padded(units: int) -> int:
    return -(-units // BLOCK) * BLOCK


def _rows(form: Form, values: Constants | LoweredState) -> Float[Array, "rows units"]:
    """Each value for each unit."""
    return jnp.stack([jnp.broadcast_to(jnp.asarray(value, jnp.float32), (form.units,)) for value in values])


def _padded_units(form: Form, rows: Float[Array, "*n units"]) -> Float[Array, "*n padded"]:
    """Padding has no effect, as all of its constants are 0."""
    return jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, _padded(form.units) - form.units)])


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _chain(forms, num_steps, words, rows, weights, before):
    traces, after = _forward(forms, num_steps, words, rows, weights, before)
    return tuple(_outputs(forms, num_steps, traces)), after


@_chain.defjvp
def _(forms, num_steps, primals, tangents):
    words, rows, weights, before = primals
    _, _, d_weights, d_before = tangents
    traces, after = _forward(forms, num_steps, words, rows, weights, before)
    # Spikes are not differentiated, and membranes are not needed.
    spikes = [
        trace if form.neuron.spiking else jnp.zeros((len(words), 0), jnp.uint32) for form, trace in _each(forms, traces)
    ]
    residuals = [words, *flat_list(zip(rows, weights, before, spikes, strict=True))]
    d_outputs = tangent_p.bind(
        *residuals, *flat_list(zip(d_weights, d_before, strict=True)), forms=forms, num_steps=num_steps
    )
    primal = tuple(_outputs(forms, num_steps, traces)), after
    return primal, (tuple(d_outputs[::2]), tuple(d_outputs[1::2]))


def _each(forms, things):
    return zip(forms, things, strict=True)


def _forward(forms, num_steps, words, rows, weights, before):
    flat = forward_p.bind(words, *flat_list(zip(rows, weights, before, strict=True)), forms=forms, num_steps=num_steps)
    return flat[::2], tuple(flat[1::2])


def _outputs(forms, num_steps, traces) -> list[Float[Array, "B T units"]]:
    return [
        _unpacked(trace, num_steps, form.units) if form.neuron.spiking else trace
        for form, trace in _each(forms, traces)
    ]


def _unpacked(words: UInt32[Array, "B W padded"], num_steps: int, units: int) -> Float[Array, "B T units"]:
    place = np.arange(32, dtype=np.uint32).reshape(1, 1, 32, 1)
    bits = words[:, : -(-num_steps // 32), None, :units] >> place & np.uint32(1)
    return bits.reshape(len(words), 32 * bits.shape[1], units)[:, :num_steps].astype(jnp.float32)


# ------------------------------------------------------------------------------------------- the primitives' shapes

PER_LAYER = 5  # rows, weight, bias, loop, before


def _sizes(forms, num_steps, words):
    """Of each layer the avals of its trace, its output and its state."""
    batch = words.shape[0]
    num_words = -(-num_steps // 32)
    for form in forms:
        output = jax.ShapeDtypeStruct((batch, num_steps, form.units), jnp.float32)
        kept = num_words * (2 if form.keeps_active else 1)
        packed = jax.ShapeDtypeStruct((batch, kept, _padded(form.units)), jnp.uint32)
        state = jax.ShapeDtypeStruct((batch, len(LoweredState._fields), form.units), jnp.float32)
        yield (packed if form.neuron.spiking else output), output, state


def _attributes(forms, num_steps) -> dict[str, Any]:
    ints, floats = [], []
    for inputs, units, recurrent, (spiking, late_reset, reset_flows, (shape, *numbers)), frames in forms:
        ints += [inputs, units, spiking, recurrent, late_reset, reset_flows, shape, frames]
        floats += numbers
    return {
        "num_steps": np.int64(num_steps),
        "ints": np.array(ints, np.int64),
        "floats": np.array(floats, np.float32),
    }


def _padded_biases(forms, args, per_layer: int) -> list[Array]:
    args = list(args)
    for n, form in enumerate(forms):
        at = 1 + n * per_layer + 2
        args[at] = args[at] if form.frames else _padded_units(form, args[at])
    return args


def _call_forward(*args, forms, num_steps):
    results = [aval for trace, _, state in _sizes(forms, num_steps, args[0]) for aval in (trace, state)]
    call = jax.ffi.ffi_call("snnlearn_forward", results)
    return call(*_padded_biases(forms, args, PER_LAYER), **_attributes(forms, num_steps))


def _call_backward(*args, forms, num_steps):
    results = []
    for n, (form, (_, _, state)) in enumerate(zip(forms, _sizes(forms, num_steps, args[0]), strict=True)):
        bias, loop = (args[1 + n * 8 + which].shape for which in (2, 3))
        shapes = (form.units, form.inputs), bias, loop
        results += [*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes), state]
    call = jax.ffi.ffi_call("snnlearn_backward", results)
    return call(*_padded_biases(forms, args, 8), **_attributes(forms, num_steps))


def _tangent(*args, forms, num_steps):
    """The derivative in forward mode, by JAX: that of the equation."""
    words, args = args[0], args[1:]
    count = len(forms)
    residuals, tangents = args[: 6 * count], args[6 * count :]
    rows = [residuals[6 * n] for n in range(count)]
    weights = [residuals[6 * n + 1 : 6 * n + 5] for n in range(count)]
    d_weights = [tangents[4 * n : 4 * n + 4] for n in range(count)]
    function = partial(_reference, forms, num_steps, words, rows)
    _, d_outputs = jax.jvp(lambda *w: tuple(function(w)), tuple(map(tuple, weights)), tuple(map(tuple, d_weights)))
    return list(d_outputs)


def _reference(forms, num_steps, words, rows, weights) -> list[Array]:
    """Output and state of each layer."""
    results = []
    x = _unpacked(words, num_steps, words.shape[-1])
    for form, row, layer in zip(forms, rows, weights, strict=True):
        x, after = _reference_layer(form, row, x, *layer)
        results += [x, after]
    return results


def _reference_layer(form, row, x, weight, bias, loop, before) -> tuple[Array, Array]:
    """Output and state of a layer, from its input as numbers, `[B, T, inputs]`."""
    constants = Constants(*row[:, : form.units])

    def advance(state, current):
        current = current + state.spikes @ loop.T if form.recurrent else current
        output, state = step(form.neuron, constants, current, state)
        return state, output

    bias = jnp.repeat(bias, x.shape[1] // form.frames, axis=1) if form.frames else bias
    with jax.numpy_rank_promotion("allow"):
        currents = jnp.swapaxes(x @ weight.T + bias, 0, 1)
        after, outputs = jax.lax.scan(advance, LoweredState(*jnp.swapaxes(before, 0, 1)), currents)
    return jnp.swapaxes(outputs, 0, 1), jnp.stack(after, axis=1)


# -------------------------------------------------------------------------------------------------- the primitives


forward_p = new_primitive(
    "snnlearn_forward",
    _call_forward,
    lambda args, forms, num_steps: [
        aval for trace, _, state in _sizes(forms, num_steps, args[0]) for aval in (trace, state)
    ],
)
tangent_p = new_primitive(
    "snnlearn_tangent",
    _tangent,
    lambda args, forms, num_steps: [
        aval for _, output, state in _sizes(forms, num_steps, args[0]) for aval in (output, state)
    ],
)
backward_p = new_primitive(
    "snnlearn_backward",
    _call_backward,
    lambda args, forms, num_steps: [args[1 + 8 * n + which] for n in range(len(forms)) for which in (1, 2, 3, 4)],
)


def _transpose(cotangents, *args, forms, num_steps):
    count = len(forms)
    words, residuals, linear = args[0], args[1 : 1 + 6 * count], args[1 + 6 * count :]

    def given(cotangent):
        return jnp.zeros((0,), jnp.float32) if isinstance(cotangent, ad.Zero) else cotangent

    arguments = [words]
    for n in range(count):
        arguments += [*residuals[6 * n : 6 * n + 6], given(cotangents[2 * n]), given(cotangents[2 * n + 1])]
    gradients = backward_p.bind(*arguments, forms=forms, num_steps=num_steps)
    return [None] * len(args[: 1 + 6 * count]) + [
        gradient if ad.is_undefined_primal(argument) else None
        for argument, gradient in zip(linear, gradients, strict=True)
    ]


ad.primitive_transposes[tangent_p] = _transpose


def _learned(forms):
    """Of each layer's weight, bias, loop and state, whether all samples share it."""
    return [[True, not form.frames, True, False] for form in forms]


def _flags(*parts):
    return [False, *(share for part in parts for each in part for share in each)]


batch_by(forward_p, lambda forms: _flags([[True, *each] for each in _learned(forms)]))
batch_by(tangent_p, lambda forms: _flags([[True, *each, False] for each in _learned(forms)], _learned(forms)))
batch_by(backward_p, None)
