"""The chain of layers on a GPU: of each layer, matrix products by XLA, and one kernel over all time steps.

Spikes go through memory as bits and through products as numbers, since a GPU multiplies densely faster than it gathers.
On the way back membranes are computed again, from the bits: currents, distances from the threshold and errors are one
array `[batch, T, units]`, overwritten in place. What small arrays lack of whole tiles is filled with zeros before the
products, so that large ones come in whole tiles and the kernels need no masks.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from snnlearn.kernels import fused_kernels
from snnlearn.kernels.chain import PER_LAYER, Constants, Form, State, _padded, _sizes, _unpacked, reference_layer
from snnlearn.kernels.fused_kernels import Tile

MOST_LOOPED = 512
"""Units whose states a program can hold; wider recurrent layers run as plain JAX."""


def forward(*args: Array, forms: tuple[Form, ...], num_steps: int, interpret: bool = False) -> list[Array]:
    """What `forward_p` of `chain` gives: of each layer its trace and its state after the last step.

    Args:
        args: the input's words, and of each layer rows, weight, bias, loop and the state before.
        forms: the layers.
        num_steps: T.
        interpret: whether Pallas's interpreter stands in for a GPU.
    """
    words, results = args[0], []
    for n, (form, (kept, _, _)) in enumerate(zip(forms, _sizes(forms, num_steps, words), strict=True)):
        layer = _Layer(form, num_steps, words, *args[1 + PER_LAYER * n : 1 + PER_LAYER * (n + 1)])
        words, after = _forward_plain(layer) if _is_too_wide(form) else _forward(layer, interpret)
        # The other bits that a trace may have are zero here: `backward` computes pseudo-derivatives from membranes.
        results += [_filled(words, *kept.shape), after]
    return results


def backward(*args: Array, forms: tuple[Form, ...], num_steps: int, interpret: bool = False) -> list[Array]:
    """What `backward_p` of `chain` gives: of each layer the gradients by weight, bias, loop and the state before.

    Args:
        args: the input's words, and of each layer rows, weight, bias, loop, the state before, the spikes, and the
            gradients by output and by state after, empty where they are zero.
        forms: the layers.
        num_steps: T.
        interpret: whether Pallas's interpreter stands in for a GPU.
    """
    batch = len(args[0])
    parts = [args[1 + 8 * n : 1 + 8 * (n + 1)] for n in range(len(forms))]
    inputs = [args[0], *(part[5] for part in parts[:-1])]
    from_above, results = jnp.zeros(()), []
    for form, words, (*own, spikes, by_output, by_after) in reversed(list(zip(forms, inputs, parts, strict=True))):
        layer = _Layer(form, num_steps, words, *own)
        by_output = from_above + (by_output if by_output.size else jnp.zeros((batch, num_steps, form.units)))
        by_after = by_after if by_after.size else jnp.zeros((batch, len(State._fields), form.units))
        gradients, from_above = (
            _backward_plain(layer, by_output, by_after)
            if _is_too_wide(form)
            else _backward(layer, spikes, by_output, by_after, interpret)
        )
        results = [*gradients, *results]
    return results


class _Layer(NamedTuple):
    """A layer and what goes into it."""

    form: Form
    num_steps: int
    words: UInt32[Array, "B W inputs"]
    rows: Float[Array, "11 units"]
    weight: Float[Array, "units inputs"]
    bias: Float[Array, " units"]
    loop: Float[Array, "..."]
    before: Float[Array, "B 4 units"]

    def input(self) -> Float[Array, "B T inputs"]:
        """The input's spikes as numbers."""
        return _unpacked(self.words, self.num_steps, self.form.inputs)

    def currents(self) -> Float[Array, "B T units"]:
        """What the input sends."""
        return _product(self.input(), self.weight.T) + self.bias[None, None]

    def in_tiles(self, tile: Tile) -> _Layer:
        """The layer, larger by samples and units that do nothing."""
        batch = -(-len(self.words) // tile.samples) * tile.samples
        return self._replace(
            words=_filled(self.words, batch, *self.words.shape[1:]),
            rows=_filled(self.rows, len(Constants._fields), tile.width),
            weight=_filled(self.weight, tile.width, self.form.inputs),
            bias=_filled(self.bias, tile.width),
            loop=_filled(self.loop, tile.width, tile.width) if self.form.recurrent else self.loop,
            before=_filled(self.before, batch, len(State._fields), tile.width),
        )


def _forward(own: _Layer, interpret: bool) -> list[Array]:
    form, batch, tile = own.form, len(own.words), Tile.of(own.form)
    layer = own.in_tiles(tile)
    currents = layer.currents()
    bits = jax.ShapeDtypeStruct((len(currents), -(-own.num_steps // 32), tile.width), jnp.uint32)
    results = fused_kernels.call(
        fused_kernels.forward,
        form,
        own.num_steps,
        tile,
        {"currents": currents, "rows": layer.rows, "before": layer.before, **_loop(layer, layer.loop.T)},
        {"trace": bits if form.spiking else currents, "after": layer.before},
        in_place={} if form.spiking else {"currents": "trace"},
        interpret=interpret,
    )
    units = _padded(form.units) if form.spiking else form.units
    return [results["trace"][:batch, :, :units], results["after"][:batch, :, : form.units]]


def _backward(
    own: _Layer, spikes: Array, by_output: Array, by_after: Array, interpret: bool
) -> tuple[list[Array], Float[Array, "B T inputs"]]:
    form, batch, tile = own.form, len(own.words), Tile.of(own.form)
    layer = own.in_tiles(tile)

    def whole(x: Array) -> Array:
        return _filled(x, len(layer.words), x.shape[1], tile.width)

    inputs = {"rows": layer.rows, "before": layer.before, "by_output": whole(by_output), "by_after": whole(by_after)}
    outputs, earlier = {"error": inputs["by_output"], "by_before": layer.before}, None
    if form.spiking:
        inputs["spikes"] = whole(spikes)
        inputs["currents"] = layer.currents()
        if form.recurrent:
            known = _unpacked(inputs["spikes"], own.num_steps, tile.width)
            earlier = jnp.concatenate([layer.before[:, State._fields.index("spikes")][:, None], known[:, :-1]], axis=1)
            inputs["currents"] += _product(earlier, layer.loop.T)
        if form.reset_flows:
            outputs["jump"] = inputs["currents"]
    results = fused_kernels.call(
        fused_kernels.backward,
        form,
        own.num_steps,
        tile,
        inputs | _loop(layer, layer.loop),
        outputs,
        in_place={"currents": "error"} if form.spiking else {},
        interpret=interpret,
    )
    error = results["error"]
    units = slice(form.units)
    gradients = [
        _sum_of_products(error, layer.input())[units],
        jnp.sum(error, axis=(0, 1))[units],
        jnp.zeros_like(own.loop) if earlier is None else _sum_of_products(error, earlier)[units, units],
        results["by_before"][:batch, :, units],
    ]
    return gradients, _product(error[:batch], layer.weight)


def _loop(layer: _Layer, matrix: Array) -> dict[str, Array]:
    return {"loop": matrix} if layer.form.recurrent else {}


def _is_too_wide(form: Form) -> bool:
    return form.recurrent and form.units > MOST_LOOPED


def _forward_plain(layer: _Layer) -> list[Array]:
    output, after = reference_layer(layer.form, layer.rows, layer.input(), *layer[4:])
    return [_packed(output) if layer.form.spiking else output, after]


def _backward_plain(layer: _Layer, by_output: Array, by_after: Array) -> tuple[list[Array], Array]:
    _, back = jax.vjp(partial(reference_layer, layer.form, layer.rows), layer.input(), *layer[4:])
    from_above, *gradients = back((by_output, by_after))
    return gradients, from_above


def _packed(spikes: Float[Array, "B T units"]) -> UInt32[Array, "B W padded"]:
    batch, num_steps, units = spikes.shape
    words = -(-num_steps // 32)
    bits = _filled(spikes.astype(jnp.uint32), batch, 32 * words, _padded(units)).reshape(batch, words, 32, -1)
    return jnp.sum(bits << jnp.arange(32, dtype=jnp.uint32).reshape(1, 1, 32, 1), axis=2, dtype=jnp.uint32)


def _filled(x: Array, *shape: int) -> Array:
    """An array of this shape, zero where `x` ends."""
    return jnp.pad(x, [(0, size - n) for n, size in zip(x.shape, shape, strict=True)])


def _product(x: Array, matrix: Array) -> Array:
    return jnp.matmul(x, matrix, precision=jax.lax.Precision.HIGHEST)  # not the 19 bits that a GPU's fastest has


def _sum_of_products(error: Array, x: Array) -> Array:
    return jnp.einsum("btn,bti->ni", error, x, precision=jax.lax.Precision.HIGHEST)
