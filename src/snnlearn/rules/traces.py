"""The traces of a layer's parameters, for a batch side by side, and the gradient they make with a learning signal.

Biases and a neuron's arrays have one trace for each unit. Weights have one for each synapse and sample or, where
eligibility is a product of a pre- and a postsynaptic factor, one for each input and sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.losses import Kernel
from snnlearn.network import Dense, Layer
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.neurons import AbstractNeuron
from snnlearn.rules.eligibility import carrier, membrane_response, presynaptic, rest_response, step_trace
from snnlearn.rules.local import Local


class LayerPlan(NamedTuple):
    """How a rule treats a layer.

    Args:
        kernel: the filter of its eligibility traces.
        factored: whether its weights' traces are kept as products of pre- and postsynaptic factors.
    """

    kernel: Kernel
    factored: bool


class UnitTraces(NamedTuple):
    r"""The traces of P parameters of which each unit has its own: biases, then the neuron's arrays.

    Args:
        trace: $\epsilon$ of each, `[P, S, B, *units]`.
        filtered: the filtered $e$, `[P, F, B, *units]`.
        gradient: the gradient of this block, `[P, *units]`.
    """

    trace: Float[Array, "P S B *units"]
    filtered: Float[Array, "P F B *units"]
    gradient: Float[Array, "P *units"]


class SynapticTraces(NamedTuple):
    r"""The traces of weights in general.

    Args:
        trace: $\epsilon$, `[S, B, out, in]`.
        filtered: the filtered $e$, `[F, B, out, in]`.
        gradient: the gradient of this block, `[out, in]`.
    """

    trace: Float[Array, "S B out in"]
    filtered: Float[Array, "F B out in"]
    gradient: Float[Array, "out in"]


class FactoredTraces(NamedTuple):
    """The traces of weights onto neurons with a linear membrane.

    Args:
        membrane: of a neuron that receives the presynaptic activity alone; each array is `[B, *in]`.
        filtered: the filtered $e$, `[F, B, out, in]`; None if there is no filter.
    """

    membrane: Any
    filtered: Float[Array, "F B out in"] | None


WeightTraces = FactoredTraces | SynapticTraces


class LayerTraces(NamedTuple):
    """A layer's traces: of its input weights, its recurrent weights and its units' own parameters."""

    synapses: WeightTraces
    recurrent: WeightTraces | None
    units: UnitTraces


class Factors(NamedTuple):
    """What a block of K steps leaves of factored traces: the gradient is a sum of their products.

    Args:
        post: how the output follows the membrane, `[K, B, *units]`.
        signal: the learning signal, `[K, B, *units]`.
        pre: the membrane that each presynaptic activity alone would cause, `[K, B, *in]`; of the input, and of the
            recurrent synapses, if there are any.
    """

    post: Float[Array, "K B *units"]
    signal: Float[Array, "K B *units"]
    pre: tuple[Float[Array, "K B ..."], ...]


def check_synapses(rule: str, plan: LayerPlan, layer: Layer) -> None:
    """Refuse synapses whose traces a rule cannot keep.

    Raises:
        SnnlearnError: with the rule that can.
    """
    for synapses in _synapses(layer):
        if isinstance(carrier(synapses), Dense) or (plan.factored and not len(plan.kernel.poles)):
            continue
        if jax.tree.leaves(eqx.filter(synapses, eqx.is_inexact_array)):
            raise SnnlearnError(
                f"{rule} keeps a trace for each synapse, and {type(carrier(synapses)).__name__} shares its "
                "weights among many; use OTTT with LIF neurons, or BPTT"
            )


def at_rest(plan: LayerPlan, layer: Layer, batch_size: int) -> LayerTraces:
    """The traces before the first step."""
    state_size = len(jax.tree.leaves(eqx.filter(layer.neuron.initial_state(layer.shape), eqx.is_inexact_array)))
    filters = len(plan.kernel.poles)

    def of(synapses: AbstractSynapses) -> WeightTraces:
        weight = getattr(carrier(synapses), "weight", jnp.zeros((*layer.shape, 0)))
        if not plan.factored:
            shape = (batch_size, *weight.shape)
            return SynapticTraces(
                jnp.zeros((state_size, *shape)), jnp.zeros((filters, *shape)), jnp.zeros(weight.shape)
            )
        if not filters:
            return FactoredTraces(rest_response(layer.neuron, (batch_size, *synapses.in_shape)), None)
        pre = (batch_size, *carrier(synapses).in_shape)
        return FactoredTraces(rest_response(layer.neuron, pre), jnp.zeros((filters, batch_size, *weight.shape)))

    parameters = len(_biases(layer)) + len(jax.tree.leaves(eqx.filter(layer.neuron, eqx.is_inexact_array)))
    units = UnitTraces(
        jnp.zeros((parameters, state_size, batch_size, *layer.shape)),
        jnp.zeros((parameters, filters, batch_size, *layer.shape)),
        jnp.zeros((parameters, *layer.shape)),
    )
    return LayerTraces(of(layer.synapses), None if layer.recurrent is None else of(layer.recurrent), units)


def step(
    plan: LayerPlan,
    layer: Layer,
    traces: LayerTraces,
    local: Local,
    inputs: tuple[Float[Array, "B ..."], Float[Array, "B ..."] | None],
    signal: Float[Array, "B *units"],
) -> tuple[LayerTraces, Factors | None]:
    """One step.

    Args:
        plan: how the layer is treated.
        layer: the layer.
        traces: the traces after the last step.
        local: the neurons' derivatives in this step.
        inputs: of the input and of the recurrent synapses.
        signal: the learning signal.
    """
    units = _step_units(plan.kernel, traces.units, local, len(_biases(layer)), signal)
    weights = [w for w in (traces.synapses, traces.recurrent) if w is not None]
    pres = [x for x in inputs if x is not None]
    if plan.factored:
        pairs = [
            _step_factored(layer.neuron, s, w, x)  # pyright: ignore[reportArgumentType]
            for s, w, x in zip(_synapses(layer), weights, pres, strict=True)
        ]
        new = [w for w, _, _ in pairs]
        factors = Factors(local.output_current / pairs[0][2], signal, tuple(pre for _, pre, _ in pairs))
    else:
        new = [
            _step_synaptic(plan.kernel, w, local, jax.vmap(lambda x, s=s: presynaptic(s, x))(x), signal)  # pyright: ignore
            for s, w, x in zip(_synapses(layer), weights, pres, strict=True)
        ]
        factors = None
    return LayerTraces(new[0], new[1] if len(new) > 1 else None, units), factors


def close(plan: LayerPlan, layer: Layer, traces: LayerTraces, factors: Factors | None) -> tuple[LayerTraces, Layer]:
    """The gradient of a block's steps, and the traces for the next block."""
    weights = [w for w in (traces.synapses, traces.recurrent) if w is not None]
    closed = []
    for index, (synapses, weight_traces) in enumerate(zip(_synapses(layer), weights, strict=True)):
        if isinstance(weight_traces, SynapticTraces):
            part = with_weight(synapses, weight_traces.gradient)
            closed.append((weight_traces._replace(gradient=jnp.zeros_like(weight_traces.gradient)), part))
        else:
            assert factors is not None
            one = factors.post, factors.signal, factors.pre[index]
            if weight_traces.filtered is None:
                closed.append((weight_traces, _product(plan.kernel.direct, synapses, *one)))
            else:
                filtered, gradient = contract(plan.kernel, weight_traces.filtered, *one)
                closed.append((weight_traces._replace(filtered=filtered), with_weight(synapses, gradient)))
    new = [w for w, _ in closed]
    units = traces.units._replace(gradient=jnp.zeros_like(traces.units.gradient))
    gradient = _layer(layer, [part for _, part in closed], traces.units.gradient)
    return LayerTraces(new[0], new[1] if len(new) > 1 else None, units), gradient


def accumulated(layer: Layer, traces: LayerTraces, signal: Float[Array, "B *units"]) -> Layer:
    """The gradient for a signal that is the same at all times, from the last filter, if that forgets nothing."""
    parts = []
    for synapses, weights in zip(_synapses(layer), (traces.synapses, traces.recurrent), strict=False):
        assert weights is not None and weights.filtered is not None
        parts.append(with_weight(synapses, jnp.einsum("bo,boi->oi", signal, weights.filtered[-1])))
    return _layer(layer, parts, jnp.sum(signal[None] * traces.units.filtered[:, -1], axis=1))


def _synapses(layer: Layer) -> list[AbstractSynapses]:
    return [layer.synapses] + ([] if layer.recurrent is None else [layer.recurrent])


def _biases(layer: Layer) -> list[Array]:
    return [b for s in _synapses(layer) if (b := getattr(carrier(s), "bias", None)) is not None]


def _step_units(
    kernel: Kernel, traces: UnitTraces, local: Local, num_biases: int, signal: Float[Array, "B *units"]
) -> UnitTraces:
    def with_biases(of_current: Array, of_parameters: Array) -> Array:
        """A bias acts as the current does."""
        return jnp.concatenate([jnp.repeat(of_current[None], num_biases, axis=0), of_parameters])

    state = with_biases(local.state_current, local.state_parameters)
    output = with_biases(local.output_current, local.output_parameters)
    e, trace = jax.vmap(step_trace, in_axes=(None, 0, 0, 0))(local, traces.trace, state, output)
    credit, filtered = jax.vmap(kernel.step)(e, traces.filtered)
    return UnitTraces(trace, filtered, traces.gradient + jnp.sum(signal[None] * credit, axis=1))


def _step_synaptic(
    kernel: Kernel, traces: SynapticTraces, local: Local, x: Float[Array, "B in"], signal: Float[Array, "B out"]
) -> SynapticTraces:
    each = jax.tree.map(lambda d: d[..., None], local)  # the same for all of a unit's synapses
    e, trace = step_trace(each, traces.trace, each.state_current * x[None, :, None], each.output_current * x[:, None])
    credit, filtered = kernel.step(e, traces.filtered)
    return SynapticTraces(trace, filtered, traces.gradient + jnp.einsum("bo,boi->oi", signal, credit))


def _step_factored(
    neuron: AbstractNeuron, synapses: AbstractSynapses, traces: FactoredTraces, x: Float[Array, "B ..."]
) -> tuple[FactoredTraces, Float[Array, "B ..."], Float[Array, ""]]:
    """The traces, the presynaptic membrane, and how much of it an input of 1 is in its own step."""
    if traces.filtered is None:
        x = jnp.reshape(x, (len(x), *synapses.in_shape))
    else:
        x = jax.vmap(lambda x: presynaptic(synapses, x))(x)
    v, gain, membrane = membrane_response(neuron, x, traces.membrane)
    return traces._replace(membrane=membrane), v, gain.ravel()[0]


def contract(
    kernel: Kernel,
    filtered: Float[Array, "F B out in"],
    post: Float[Array, "K B out"],
    signal: Float[Array, "K B out"],
    pre: Float[Array, "K B in"],
) -> tuple[Float[Array, "F B out in"], Float[Array, "out in"]]:
    r"""A block's part of $\sum_t L^t(h*e)^t$ for $e^t_{ji}=\psi^t_j\bar x^t_i$, without $e$ for each step.

    Within the block the filter is moved to the learning signal, $\sum_s\psi^s\bar x^s\sum_{t\ge s}h_{t-s}L^t$; what
    came before acts through its filtered trace, which is brought to the block's end.

    Returns:
        the filtered trace, and the part of the gradient.
    """
    steps = jnp.arange(len(post))
    powers = kernel.poles[:, None] ** steps[None].astype(kernel.poles.dtype)  # p^k, [F, K]
    lag = steps[:, None] - steps[None]  # t − s
    response = jnp.sum((kernel.gains[:, None] * powers)[:, jnp.maximum(lag, 0)], axis=0)
    response = jnp.where(lag >= 0, response, 0.0) + jnp.where(lag == 0, kernel.direct, 0.0)
    due = jnp.einsum("ts,tbo->sbo", response, signal)
    gradient = jnp.einsum("sbo,sbi->oi", post * due, pre)
    carried = jnp.einsum("ft,tbo->fbo", kernel.gains[:, None] * kernel.poles[:, None] * powers, signal)
    gradient = gradient + jnp.einsum("fbo,fboi->oi", carried, filtered)
    entered = jnp.einsum("fs,sbo,sbi->fboi", powers[:, ::-1], post, pre, optimize=[(0, 1), (0, 1)])
    return jnp.reshape(kernel.poles ** len(post), (-1, 1, 1, 1)) * filtered + entered, gradient


def _product(direct: float, synapses: AbstractSynapses, post: Array, signal: Array, pre: Array) -> AbstractSynapses:
    """The same without a filter, for any synapses: they are linear, so each is asked what its weights had to do."""
    weights, constants = eqx.partition(synapses, eqx.is_inexact_array)
    _, pull = jax.vjp(lambda weights: jax.vmap(jax.vmap(eqx.combine(weights, constants)))(pre), weights)
    return pull(direct * post * signal)[0]


def with_weight(synapses: AbstractSynapses, gradient: Float[Array, "..."]) -> AbstractSynapses:
    """A gradient of the synapses' structure with this one of their weights, 0 for all else."""
    zero = jax.tree.map(jnp.zeros_like, eqx.filter(synapses, eqx.is_inexact_array))
    if not hasattr(carrier(synapses), "weight"):
        return zero
    return eqx.tree_at(lambda s: carrier(s).weight, zero, gradient)  # pyright: ignore


def _layer(layer: Layer, parts: list[AbstractSynapses], of_units: Float[Array, "P *units"]) -> Layer:
    """A gradient of the layer's structure from its synapses' and its units'."""
    zero = jax.tree.map(jnp.zeros_like, eqx.filter(layer, eqx.is_inexact_array))
    rest = list(of_units)
    for index, part in enumerate(parts):
        if (bias := getattr(carrier(part), "bias", None)) is not None:
            parts[index] = eqx.tree_at(lambda s: carrier(s).bias, part, _summed_to(rest.pop(0), bias.shape))  # pyright: ignore
    leaves, structure = jax.tree.flatten(zero.neuron)
    neuron = jax.tree.unflatten(structure, [_summed_to(g, leaf.shape) for g, leaf in zip(rest, leaves, strict=True)])
    return Layer(parts[0], neuron, parts[1] if len(parts) > 1 else None, zero.feedback)


def _summed_to(gradient: Float[Array, "..."], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Over the units that share a parameter of this shape."""
    gradient = jnp.sum(gradient, axis=tuple(range(gradient.ndim - len(shape))))
    return jnp.sum(gradient, axis=tuple(a for a, n in enumerate(shape) if n == 1), keepdims=True)
