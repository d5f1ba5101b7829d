"""Networks that the compiled kernels can run, and running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import Constant, value
from snnlearn.coding.packed import PackedSpikes
from snnlearn.kernels import why_plain
from snnlearn.kernels.chain import Constants, Form, Shape, State, Weights, run
from snnlearn.kernels.products import unless_finite
from snnlearn.network.graph import in_chain
from snnlearn.network.layer import Layer, LayerState
from snnlearn.network.synapses import Dense
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, NextStep, NoReset, Subtract, ToValue
from snnlearn.neurons.adaptive import ALIFState
from snnlearn.neurons.base import Firing
from snnlearn.neurons.current_based import CubaLIFState
from snnlearn.neurons.leaky_integrate_and_fire import LIFState
from snnlearn.neurons.leaky_integrator import LIState
from snnlearn.neurons.surrogates import (
    AbstractSurrogate,
    Atan,
    Boxcar,
    FastSigmoid,
    Scaled,
    StraightThrough,
    Triangle,
)


def why_not_compiled(layers: tuple[Layer, ...]) -> str | None:
    """Why these layers run as plain JAX on packed spikes, as a clause; None if the compiled kernels run them."""
    if (reason := why_plain()) is not None:
        return reason
    if (reason := in_chain(layers)) is not None:
        return reason
    for number, layer in enumerate(layers, start=1):
        if (fault := _fault(layer, last=number == len(layers))) is not None:
            return f"layer {number} {fault}"
    return None


def run_compiled(
    layers: tuple[Layer, ...], xs: PackedSpikes, states: tuple[LayerState, ...]
) -> tuple[tuple[Float[Array, "T units"], ...], tuple[LayerState, ...]]:
    """What the layers put out and their states after the last step; `why_not_compiled` must be None."""
    parts = [_Part.of(layer, state) for layer, state in zip(layers, states, strict=True)]
    words = xs.words.reshape(len(xs.words), -1)
    outputs, after = run(
        tuple(part.form for part in parts),
        xs.num_steps,
        words,
        [part.constants for part in parts],
        [part.weights for part in parts],
        [part.state for part in parts],
    )
    return tuple(outputs), tuple(map(_layer_state, layers, after))


def _fault(layer: Layer, *, last: bool) -> str | None:
    # Of each part the very class: what a subclass changes the kernels do not know.
    neuron: Any = layer.neuron
    for synapses in (layer.synapses, layer.recurrent):
        if synapses is not None and type(synapses) is not Dense:
            return f"has {type(synapses).__name__} synapses, not Dense"
        if synapses is not None and synapses.weight.dtype != jnp.float32:
            return f"has weights of type {synapses.weight.dtype}, not float32"
    if type(neuron) is LI:
        parameters = (neuron.tau_mem, neuron.v_leak, neuron.resistance)
        if not last or layer.recurrent is not None:
            return "is a leaky integrator that spikes do not follow from" if not last else "is a recurrent LI"
    elif (extra := {LIF: (), CubaLIF: ("tau_syn",), ALIF: ("tau_adapt", "beta")}.get(type(neuron))) is not None:
        parameters = tuple(getattr(neuron, name) for name in ("tau_mem", "v_th", "v_leak", "resistance", *extra))
        reset = neuron.reset.reset if type(neuron.reset) is NextStep else neuron.reset
        if type(reset) not in (Subtract, ToValue, NoReset):
            return f"is reset by {type(reset).__name__}"
        if isinstance(reset, ToValue):
            parameters += (neuron.v_leak if reset.v_reset is None else reset.v_reset,)
        if neuron.refractory is not None:
            return "has a refractory period"
        if _shape(neuron.surrogate) is None:
            return f"has the surrogate {type(neuron.surrogate).__name__}"
    else:
        return f"is {type(neuron).__name__}"
    if not all(isinstance(parameter, float | Constant) for parameter in parameters):
        return "has trained neuron parameters"
    return None


def _shape(surrogate: AbstractSurrogate) -> tuple[Shape, float, float] | None:
    """Shape, height and slope of a surrogate's pseudo-derivative, if the kernels know it."""
    if type(surrogate) is Scaled:
        found = _shape(surrogate.surrogate)
        return None if found is None else (found[0], surrogate.scale * found[1], found[2])
    known = _SHAPES.get(type(surrogate))
    return None if known is None else known(surrogate)


_SHAPES: dict[type, Callable[[Any], tuple[Shape, float, float]]] = {
    FastSigmoid: lambda s: (Shape.FAST_SIGMOID, 1.0, s.slope),
    Atan: lambda s: (Shape.ATAN, s.alpha / 2, jnp.pi / 2 * s.alpha),
    Triangle: lambda s: (Shape.TRIANGLE, s.height, 1 / s.width),
    Boxcar: lambda s: (Shape.BOXCAR, s.height, 2 / s.width),
    StraightThrough: lambda s: (Shape.STRAIGHT_THROUGH, 1.0, 0.0),
}


class _Part(NamedTuple):
    """A layer as the kernels take it."""

    form: Form
    constants: Constants
    weights: Weights
    state: State

    @staticmethod
    def of(layer: Layer, state: LayerState) -> _Part:
        neuron: Any = layer.neuron
        synapses, recurrent = layer.synapses, layer.recurrent
        assert isinstance(synapses, Dense) and (recurrent is None or isinstance(recurrent, Dense))
        units = synapses.out_shape[0]
        biases = [s.bias for s in (synapses, recurrent) if s is not None and s.bias is not None]
        matrices = [s.weight for s in (synapses, recurrent) if s is not None]
        weights = Weights(
            synapses.weight,
            sum(biases, start=sum(map(unless_finite, matrices), start=jnp.zeros(units))),  # pyright: ignore
            jnp.zeros((0,)) if recurrent is None else recurrent.weight,
        )
        decay, gain = neuron.discretisation(neuron.dt, value(neuron.tau_mem))
        v_leak = value(neuron.v_leak)
        constants = Constants(decay=decay, gain=gain * value(neuron.resistance), v_leak=v_leak)
        zero = jnp.zeros(units)
        inner: Any = state.neuron
        if isinstance(neuron, LI):
            form = Form(synapses.in_shape[0], units, False, False, False, False, Shape.STRAIGHT_THROUGH, 1.0, 0.0)
            return _Part(form, constants, weights, State(zero, inner.v, zero, zero))

        late = isinstance(neuron.reset, NextStep)
        reset = neuron.reset.reset if late else neuron.reset
        keep, add = {
            Subtract: lambda: (1.0, v_leak - value(neuron.v_th)),
            ToValue: lambda: (0.0, reset.target(v_leak)),
            NoReset: lambda: (1.0, 0.0),
        }[type(reset)]()
        constants = constants._replace(v_th=value(neuron.v_th), reset_keep=keep, reset_add=add)
        if isinstance(neuron, CubaLIF):
            decay, gain = neuron.synapse(neuron.dt, value(neuron.tau_syn))
            constants = constants._replace(current_decay=decay, current_gain=gain)
        if isinstance(neuron, ALIF):
            decay, gain = neuron.adaptation(neuron.dt, value(neuron.tau_adapt))
            constants = constants._replace(beta=value(neuron.beta), adapt_decay=decay, adapt_gain=gain)
        shape = _shape(neuron.surrogate)
        assert shape is not None
        flows = not reset.block_gradient and not isinstance(reset, NoReset)
        form = Form(synapses.in_shape[0], units, True, recurrent is not None, late, flows, *shape)
        *_, line = state.lines
        last = line[0] if line is not None else inner.firing.spikes
        return _Part(
            form,
            constants,
            weights,
            State(
                getattr(inner, "i", zero),
                inner.v,
                getattr(inner, "a", zero),
                zero if last is None else last,
            ),
        )


def _layer_state(layer: Layer, after: State) -> LayerState:
    neuron: Any = layer.neuron
    if isinstance(neuron, LI):
        return LayerState(LIState(after.v), (None,))
    firing = Firing(after.spikes if isinstance(neuron.reset, NextStep) else None, None)
    if isinstance(neuron, CubaLIF):
        inner: Any = CubaLIFState(after.i, after.v, firing)
    elif isinstance(neuron, ALIF):
        inner = ALIFState(after.v, after.a, firing)
    else:
        inner = LIFState(after.v, firing)
    return LayerState(inner, (None,) if layer.recurrent is None else (None, after.spikes[None]))
