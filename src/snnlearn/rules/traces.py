"""The traces of a layer's parameters, for a batch, and the gradient from them and a learning signal.

Biases and neurons' arrays have a trace for each unit. Weights have one for each synapse and sample; if eligibility is a
product of a pre- and a postsynaptic factor, one for each input, and only the filter for each synapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split, trained_part
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.kernels.products import Activity, numbers, once, outer
from snnlearn.losses import Kernel
from snnlearn.network import Layer
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.rules.contraction import contract
from snnlearn.rules.eligibility import (
    membrane_adjoint,
    membrane_filter,
    membrane_sequence,
    rest_response,
    step_trace,
)
from snnlearn.rules.local import Local, linearise_rest

Arrived = Float[Array, "K B ..."] | PackedSpikes | HeldValues
"""What reached synapses in each step of a block, for a batch; packed where it is known to be spikes."""


class LayerPlan(NamedTuple):
    """How a rule treats a layer.

    Args:
        kernel: the filter of its eligibility traces.
        factored: whether its weights' traces are kept as products of pre- and postsynaptic factors.
    """

    kernel: Kernel
    factored: bool


class UnitTraces(NamedTuple):
    r"""The traces of P parameters of each unit: biases, then the neuron's arrays.

    Args:
        trace: $\epsilon$ of each, `[P, S, B, *units]`.
        filtered: the filtered $e$, `[P, F, B, *units]`.
        gradient: the gradient of this block, `[P, *units]`.
    """

    trace: Float[Array, "P S B *units"]
    filtered: Float[Array, "P F B *units"]
    gradient: Float[Array, "P *units"]


class WeightTraces(NamedTuple):
    r"""The traces of weights.

    Args:
        membrane: the state of a neuron that receives only the presynaptic activity, each array `[B, *in]`; None unless
            the plan is factored.
        synaptic: for each synapse, $\epsilon$ unless the plan is factored, then the filtered $e$; None if empty.
    """

    membrane: Any
    synaptic: Float[Array, "B Q in out"] | None


class LayerTraces(NamedTuple):
    """A layer's traces: those of each connection's weights, and of its units' parameters."""

    weights: tuple[WeightTraces, ...]
    units: UnitTraces


class Block(NamedTuple):
    """What the weights' traces need from each step when the block is closed, then with a leading axis K.

    Args:
        local: the derivatives by the presynaptic activity or, in a factored plan, by its membrane.
        signal: the learning signal, `[B, *units]`.
    """

    local: Local
    signal: Float[Array, "B *units"]


def check_layer(rule: str, plan: LayerPlan, layer: Layer) -> None:
    """Refuse a layer whose traces a rule cannot keep.

    Raises:
        SnnlearnError: with the rule that can.
    """
    if len(layer.neuron.ports) > 1:
        raise SnnlearnError(
            f"{rule} follows the effect of one current, and {type(layer.neuron).__name__} takes "
            f"{len(layer.neuron.ports)} ({', '.join(layer.neuron.ports)}); use RTRL or BPTT"
        )
    for synapses in _synapses(layer):
        if not synapses.steady:
            raise SnnlearnError(
                f"{rule} follows what a weight does to currents of the same step, which in {type(synapses).__name__} "
                "synapses depends on their state; use RTRL or BPTT"
            )
        if synapses.carrier.pairs or (plan.factored and not len(plan.kernel.poles)):
            continue
        if jax.tree.leaves(trained_part(synapses)):
            raise SnnlearnError(
                f"{rule} keeps a trace for each synapse, as Dense has one weight for each, which nothing says of "
                f"{type(synapses.carrier).__name__}; use OTTT with LIF neurons, or BPTT"
            )


def at_rest(plan: LayerPlan, layer: Layer, batch_size: int) -> LayerTraces:
    """The traces before the first step."""
    state_size = len(jax.tree.leaves(eqx.filter(layer.neuron.initial_state(layer.shape), eqx.is_inexact_array)))
    filters = len(plan.kernel.poles)

    def of(synapses: AbstractSynapses) -> WeightTraces:
        numbers = filters if plan.factored else state_size + filters
        if not numbers:
            return WeightTraces(rest_response(layer.neuron, (batch_size, *synapses.in_shape)), None)
        weight = getattr(synapses.carrier, "weight", jnp.zeros((*layer.shape, 0))).T
        pre = (batch_size, *synapses.carrier.in_shape)
        membrane = rest_response(layer.neuron, pre) if plan.factored else None
        return WeightTraces(membrane, jnp.zeros((batch_size, numbers, *weight.shape)))

    of_neuron = linearise_rest(layer.neuron, layer.shape)[:, :, None]
    of_biases = jnp.zeros((len(_biases(layer)), *of_neuron.shape[1:]))
    start = jnp.concatenate([of_biases, of_neuron])
    parameters = len(start)
    units = UnitTraces(
        jnp.broadcast_to(start, (parameters, state_size, batch_size, *layer.shape)),
        jnp.zeros((parameters, filters, batch_size, *layer.shape)),
        jnp.zeros((parameters, *layer.shape)),
    )
    return LayerTraces(tuple(map(of, _synapses(layer))), units)


def step(
    plan: LayerPlan,
    layer: Layer,
    traces: LayerTraces,
    local: Local,
    signal: Float[Array, "B *units"],
) -> tuple[LayerTraces, Block]:
    """One step.

    Args:
        plan: how the layer is treated.
        layer: the layer.
        traces: the traces after the last step.
        local: the neurons' derivatives in this step.
        signal: the learning signal.
    """
    units = _step_units(plan.kernel, traces.units, local, len(_biases(layer)), signal)
    if plan.factored:
        local = _of_membrane(local, membrane_filter(layer.neuron).direct)
    return traces._replace(units=units), Block(local, signal)


def all_steps(
    plan: LayerPlan,
    layer: Layer,
    traces: LayerTraces,
    local: Local,
    signal: Float[Array, "K B *units"],
    pres: Sequence[Arrived],
) -> tuple[LayerTraces, Layer]:
    """The traces after K steps, and their gradient.

    Args:
        plan: how the layer is treated.
        layer: the layer.
        traces: the traces before.
        local: the neurons' derivatives in each step.
        signal: the learning signal in each step.
        pres: the input of each connection.
    """
    if len(traces.units.gradient):
        traces, block = jax.lax.scan(lambda traces, now: step(plan, layer, traces, *now), traces, (local, signal))
    else:  # each step for itself
        block = jax.vmap(lambda local, signal: step(plan, layer, traces, local, signal)[1])(local, signal)
    return close(plan, layer, traces, block, pres)


def close(
    plan: LayerPlan, layer: Layer, traces: LayerTraces, block: Block, pres: Sequence[Arrived]
) -> tuple[LayerTraces, Layer]:
    """The gradient of a block's steps, and the traces for the next block.

    Args:
        plan: how the layer is treated.
        layer: the layer.
        traces: the weights' traces before the block, the units' after it.
        block: the records of its steps.
        pres: the input of each connection.
    """
    weights = traces.weights
    filtering = layer.neuron if plan.factored else None
    if weights[0].synaptic is not None:
        activity = [_before_weights(*each) for each in zip(_synapses(layer), pres, strict=True)]
        carried = [(x, each.membrane) for x, each in zip(activity, weights, strict=True)]
        synaptic = [each.synaptic for each in weights if each.synaptic is not None]
        closed = contract(plan.kernel, block.local, block.signal, filtering, carried, synaptic)
        weights = tuple(each._replace(synaptic=new) for each, (new, _) in zip(weights, closed, strict=True))
        parts = [with_weight(s, gradient.T) for s, (_, gradient) in zip(_synapses(layer), closed, strict=True)]
    else:
        activity = [_in_shape(numbers(x), s.in_shape) for s, x in zip(_synapses(layer), pres, strict=True)]
        worth = plan.kernel.direct * block.signal * block.local.output_current
        of_inputs, of_membrane = membrane_adjoint(layer.neuron, worth)
        parts = []
        for s, pre, each in zip(_synapses(layer), pres, weights, strict=True):
            earlier = [
                _product(s, w[None], m[None])
                for w, m in zip(*map(jax.tree.leaves, (of_membrane, each.membrane)), strict=True)
            ]
            parts.append(jax.tree.map(lambda *g: sum(g[1:], g[0]), _product(s, of_inputs, pre), *earlier))
    if plan.factored:
        after = [
            membrane_sequence(layer.neuron, numbers(x), w.membrane)[1] for x, w in zip(activity, weights, strict=True)
        ]
        weights = tuple(each._replace(membrane=trace) for each, trace in zip(weights, after, strict=True))
    units = traces.units._replace(gradient=jnp.zeros_like(traces.units.gradient))
    return LayerTraces(weights, units), _layer(layer, parts, traces.units.gradient)


def _in_shape(xs: Any, shape: tuple[int, ...]) -> Any:
    """The input in the shape that synapses take, packed or not."""
    return jax.tree.map(lambda a: a.reshape(*a.shape[:2], *shape), xs)


def _before_weights(synapses: AbstractSynapses, xs: Arrived) -> Activity:
    """The input of the synapses with the weights; spikes stay packed if nothing precedes these, held values held."""
    if synapses.pairs and isinstance(xs, PackedSpikes):
        return _in_shape(xs, synapses.in_shape)
    xs = xs if isinstance(xs, HeldValues) else numbers(xs)
    return jax.tree.map(jax.vmap(jax.vmap(lambda x: synapses.before(x))), xs)


def accumulated(layer: Layer, traces: LayerTraces, signal: Float[Array, "B *units"]) -> Layer:
    """The gradient for a constant signal, from the last filter, if that does not decay."""
    sums = [each.synaptic[:, -1] for each in traces.weights if each.synaptic is not None]
    gradients = [jnp.einsum("bo,bio->oi", signal, each) for each in sums]
    parts = [with_weight(*each) for each in zip(_synapses(layer), gradients, strict=True)]
    return _layer(layer, parts, jnp.sum(signal[None] * traces.units.filtered[:, -1], axis=1))


def _synapses(layer: Layer) -> list[AbstractSynapses]:
    return [connection.synapses for connection in layer.connections]


def _biases(layer: Layer) -> list[Array]:
    return [b for s in _synapses(layer) if (b := getattr(s.carrier, "bias", None)) is not None]


def _step_units(
    kernel: Kernel, traces: UnitTraces, local: Local, num_biases: int, signal: Float[Array, "B *units"]
) -> UnitTraces:
    def with_biases(of_current: Array, of_parameters: Array) -> Array:
        """A bias acts like the current."""
        return jnp.concatenate([jnp.repeat(of_current[None], num_biases, axis=0), of_parameters])

    state = with_biases(local.state_current, local.state_parameters)
    output = with_biases(local.output_current, local.output_parameters)
    e, trace = jax.vmap(step_trace, in_axes=(None, 0, 0, 0))(local, traces.trace, state, output)
    credit, filtered = jax.vmap(kernel.step)(e, traces.filtered)
    return UnitTraces(trace, filtered, traces.gradient + jnp.sum(signal[None] * credit, axis=1))


def _of_membrane(local: Local, gain: Float[Array, ""]) -> Local:
    """The derivatives by the presynaptic membrane, which holds all memory; an input of 1 adds `gain` to it."""
    return local._replace(
        state_state=local.state_state[:0, :0],
        state_current=local.state_current[:0],
        output_state=local.output_state[:0],
        output_current=local.output_current / gain,
    )


def _product(synapses: AbstractSynapses, worth: Float[Array, "K B *units"], pre: Arrived) -> AbstractSynapses:
    """The gradient without a filter, for any synapses: the derivative of their (linear) map by their weights."""
    if synapses.pairs and isinstance(pre, PackedSpikes):
        return with_weight(synapses, outer(_before_weights(synapses, pre), worth).T)
    weights, constants = split(synapses)
    pre, worth = once(pre, worth)
    xs = _in_shape(numbers(pre), synapses.in_shape)
    _, pull = jax.vjp(lambda weights: jax.vmap(jax.vmap(eqx.combine(weights, constants)))(xs), weights)
    return pull(worth)[0]


def with_weight(synapses: AbstractSynapses, gradient: Float[Array, "..."]) -> AbstractSynapses:
    """A gradient with the synapses' structure: this one for the weights, 0 for all else."""
    zero = jax.tree.map(jnp.zeros_like, trained_part(synapses))
    if not hasattr(synapses.carrier, "weight"):
        return zero
    return eqx.tree_at(lambda s: s.carrier.weight, zero, gradient)  # pyright: ignore


def _layer(layer: Layer, parts: list[AbstractSynapses], of_units: Float[Array, "P *units"]) -> Layer:
    """A gradient with the layer's structure, from those of its synapses and its units."""
    zero = jax.tree.map(jnp.zeros_like, trained_part(layer))
    rest = list(of_units)
    for index, part in enumerate(parts):
        if (bias := getattr(part.carrier, "bias", None)) is not None:
            parts[index] = eqx.tree_at(lambda s: s.carrier.bias, part, _summed_to(rest.pop(0), bias.shape))  # pyright: ignore
    leaves, structure = jax.tree.flatten(zero.neuron)
    neuron = jax.tree.unflatten(structure, [_summed_to(g, leaf.shape) for g, leaf in zip(rest, leaves, strict=True)])
    return layer.with_parts(parts, neuron, zero.feedback)


def _summed_to(gradient: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """The sum over the units that share a parameter of this shape."""
    gradient = jnp.sum(gradient, axis=tuple(range(gradient.ndim - len(shape))))
    return jnp.sum(gradient, axis=tuple(a for a, n in enumerate(shape) if n == 1), keepdims=True)
