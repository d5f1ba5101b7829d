"""A layer's neurons over all time steps as one Pallas kernel, forward and backward.

A program has `samples` of the batch and `chunks` of `units`, and keeps their states in registers from step to step. All
arrays come in whole tiles, `[batch, …, width]`, so that nothing is masked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array

from snnlearn.kernels.chain import Constants, Form, State, pseudo_derivative

LANES = 128
"""Units of a program, one in each thread, where a layer is not connected to itself."""
SAMPLES, CHUNK = 16, 64
"""Samples of a program, and units of a chunk, where it is: the sides of its matrix products."""
WARP, MOST_WARPS = 32, 8


class Tile(NamedTuple):
    """What a program has.

    Args:
        samples: of the batch.
        units: of a chunk, a power of two.
        chunks: of the program.
        programs: side by side, for all units of the layer.
    """

    samples: int
    units: int
    chunks: int
    programs: int

    @staticmethod
    def of(form: Form) -> Tile:
        """The tile of a layer; one that is connected to itself has all units in one program."""
        units = max(WARP, 1 << (form.units - 1).bit_length())
        if form.recurrent:
            units = min(units, CHUNK)
            return Tile(SAMPLES, units, -(-form.units // units), 1)
        units = min(units, LANES)
        return Tile(1, units, 1, -(-form.units // units))

    @property
    def width(self) -> int:
        """Units of the layer, in whole tiles."""
        return self.units * self.chunks * self.programs

    @property
    def parts(self) -> list[Any]:
        """Where a program's chunks are."""
        return [pl.ds(n * self.units, self.units) for n in range(self.chunks)]


def call(
    kernel: Callable[..., None],
    form: Form,
    num_steps: int,
    tile: Tile,
    inputs: dict[str, Array],
    outputs: dict[str, Any],
    *,
    in_place: dict[str, str],
    interpret: bool,
) -> dict[str, Array]:
    """Run a kernel, which takes references by name.

    Args:
        kernel: `forward` or `backward`.
        form: the layer.
        num_steps: T.
        tile: of a program.
        inputs: arrays `[batch, …, width]`, `rows` and, of a recurrent layer, `loop`.
        outputs: their shapes.
        in_place: which input is overwritten by which output.
        interpret: whether Pallas's interpreter stands in for a GPU.

    Returns:
        the outputs.
    """
    names = [*inputs, *outputs]

    def body(*references):
        kernel(form, num_steps, tile, interpret=interpret, **dict(zip(names, references, strict=True)))

    def block(name: str, shape: tuple[int, ...]) -> pl.BlockSpec:
        width = tile.units * tile.chunks
        if name in ("rows", "loop"):
            return pl.BlockSpec((shape[0], width), lambda sample, unit: (0, unit))
        return pl.BlockSpec((tile.samples, shape[1], width), lambda sample, unit: (sample, 0, unit))

    order = {name: n for n, name in enumerate(inputs)}
    (batch,) = {x.shape[0] for name, x in inputs.items() if name not in ("rows", "loop")}
    results = pl.pallas_call(
        body,
        name=f"snnlearn_{kernel.__name__}",
        grid=(batch // tile.samples, tile.programs),
        in_specs=[block(name, x.shape) for name, x in inputs.items()],
        out_specs=[block(name, x.shape) for name, x in outputs.items()],
        out_shape=[jax.ShapeDtypeStruct(x.shape, x.dtype) for x in outputs.values()],
        input_output_aliases={order[i]: list(outputs).index(o) for i, o in in_place.items()},
        interpret=interpret,
        # Products are in place where they are needed: a pipeline of several stages would only fill the shared memory.
        compiler_params=triton.CompilerParams(
            num_warps=min(MOST_WARPS, tile.samples * tile.units // WARP), num_stages=1
        ),
    )(*inputs.values())
    return dict(zip(outputs, results, strict=True))


def step(
    c: Constants, form: Form, state: State, current: Array, spikes: Array | None = None
) -> tuple[State, Array, Array]:
    """A step.

    Args:
        c: the constants.
        form: the layer.
        state: before.
        current: input.
        spikes: those of this step where they are known; None are those of the equation.

    Returns:
        the state after, the distance from the threshold, and by how much a reset would have moved the membrane.
    """
    i = c.current_decay * state.i + c.current_gain * current
    v = c.v_leak + c.decay * (state.v - c.v_leak) + c.gain * i
    if not form.spiking:
        return state._replace(i=i, v=v), v, v
    jump = c.reset_keep * v + c.reset_add - v

    def reset(spikes, v):
        return jnp.where(spikes > 0, c.reset_keep * v + c.reset_add, v)

    if form.late_reset:
        v = reset(state.spikes, v)
    distance = v - (c.v_th + c.beta * state.a)
    if spikes is None:
        spikes = jnp.astype(distance > 0, jnp.float32)
    if not form.late_reset:
        v = reset(spikes, v)
    return State(i, v, c.adapt_decay * state.a + c.adapt_gain * spikes, spikes), distance, jump


def step_back(
    c: Constants, form: Form, by: State, by_output: Array, distance: Array | None, resetting: Array, jump: Array | None
) -> tuple[State, Array]:
    """A step backward.

    Args:
        c: the constants.
        form: the layer.
        by: the gradient by the state after the step.
        by_output: the gradient by the output.
        distance: of the membrane from the threshold; None where there is none.
        resetting: the spikes that reset in this step.
        jump: by how much a reset would have moved the membrane; None where no gradient passes.

    Returns:
        the gradients by the state before, as far as the loop has no part in it, and by the current.
    """
    by_v, by_a, by_earlier = by.v, by.a, jnp.zeros_like(by.v)
    if distance is not None:
        by_spikes = by_output + by.spikes + c.adapt_gain * by.a
        keep = jnp.where(resetting > 0, c.reset_keep, 1.0)
        if not form.late_reset:
            by_spikes = by_spikes if jump is None else by_spikes + by_v * jump
            by_v = by_v * keep
        by_distance = by_spikes * pseudo_derivative(form, distance)
        by_v = by_v + by_distance
        if form.late_reset:
            by_earlier = by_earlier if jump is None else by_v * jump
            by_v = by_v * keep
        by_a = c.adapt_decay * by.a - c.beta * by_distance
    else:
        by_v, by_earlier = by_v + by_output, by.spikes
    by_i = by.i + c.gain * by_v
    return State(c.current_decay * by_i, c.decay * by_v, by_a, by_earlier), c.current_gain * by_i


def forward(form, num_steps, tile, *, interpret, currents, rows, before, trace, after, loop=None):
    """From currents `[batch, T, width]` to spikes `[batch, words, width]`, or to membranes in the currents' place."""
    del interpret
    parts = tile.parts
    constants = _constants(rows, parts)
    incoming = currents if form.spiking else trace

    def word(w, states):
        def bit(n, carry):
            states, words = carry
            t = 32 * w + n
            through = _products([state.spikes for state in states], loop, parts)
            currents = [incoming[:, t, part] + more for part, more in zip(parts, through, strict=True)]
            states = [step(c, form, *x)[0] for c, *x in zip(constants, states, currents, strict=True)]
            if form.spiking:
                bits = [state.spikes.astype(jnp.uint32) << n.astype(jnp.uint32) for state in states]
                words = [word | more for word, more in zip(words, bits, strict=True)]
            else:
                for part, state in zip(parts, states, strict=True):
                    trace[:, t, part] = state.v
            return states, words

        zeros = [jnp.zeros((tile.samples, tile.units), jnp.uint32) for _ in parts]
        states, words = jax.lax.fori_loop(0, jnp.minimum(32, num_steps - 32 * w), bit, (states, zeros))
        if form.spiking:
            for part, word in zip(parts, words, strict=True):
                trace[:, w, part] = word
        return states

    states = jax.lax.fori_loop(0, -(-num_steps // 32), word, _read_states(before, parts))
    _write_states(after, parts, states)


def backward(
    form,
    num_steps,
    tile,
    *,
    interpret,
    rows,
    before,
    by_output,
    by_after,
    error,
    by_before,
    currents=None,
    spikes: Any = None,
    jump=None,
    loop=None,
):
    """From gradients by output and state after to those by current, in the currents' place, and by state before."""
    del currents  # which is `error`, until it is overwritten
    parts = tile.parts
    constants = _constants(rows, parts)
    start = _read_states(before, parts)

    def spikes_at(t, part):
        return (spikes[:, t >> 5, part] >> (t & 31).astype(jnp.uint32) & 1).astype(jnp.float32)

    def again(t, states):
        results = []
        for c, state, part in zip(constants, states, parts, strict=True):
            state, distance, by_how_much = step(c, form, state, error[:, t, part], spikes_at(t, part))
            error[:, t, part] = distance
            if jump is not None:
                jump[:, t, part] = by_how_much
            results.append(state)
        return results

    if form.spiking:
        jax.lax.fori_loop(0, num_steps, again, start)
        if not interpret:
            triton.debug_barrier()  # another thread may read what one has written

    def resetting(t, part, state):
        if not form.spiking:
            return state.spikes
        if not form.late_reset:
            return spikes_at(t, part)
        return jnp.where(t > 0, spikes_at(jnp.maximum(t - 1, 0), part), state.spikes)

    def back(n, by):
        t = num_steps - 1 - n
        results, errors = [], []
        for c, by_state, state, part in zip(constants, by, start, parts, strict=True):
            by_state, by_current = step_back(
                c,
                form,
                by_state,
                by_output[:, t, part],
                error[:, t, part] if form.spiking else None,
                resetting(t, part, state),
                None if jump is None else jump[:, t, part],
            )
            error[:, t, part] = by_current
            results.append(by_state)
            errors.append(by_current)
        through = _products(errors, loop, parts)
        return [by._replace(spikes=by.spikes + more) for by, more in zip(results, through, strict=True)]

    _write_states(by_before, parts, jax.lax.fori_loop(0, num_steps, back, _read_states(by_after, parts)))


def _constants(rows, parts) -> list[Constants]:
    return [Constants(*(rows[pl.ds(n, 1), part] for n in range(len(Constants._fields)))) for part in parts]


def _read_states(states, parts) -> list[State]:
    return [State(*(states[:, n, part] for n in range(len(State._fields)))) for part in parts]


def _write_states(out, parts, states) -> None:
    for part, state in zip(parts, states, strict=True):
        for n, x in enumerate(state):
            out[:, n, part] = x


def _products(xs: list[Array], matrix, parts) -> list[Array]:
    """Of each chunk `xs @ matrix`; zeros where there is no matrix."""
    if matrix is None:
        return [jnp.zeros_like(x) for x in xs]
    product = partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
    return [
        sum((product(x, matrix[source, target]) for x, source in zip(xs, parts, strict=True)), jnp.zeros_like(xs[0]))
        for target in parts
    ]
