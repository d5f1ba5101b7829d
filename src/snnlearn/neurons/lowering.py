"""The equation that the kernels compute, and how a component states that its equation is a case of it.

In each step, with `i` the synaptic current, `v` the membrane and `a` the adaptation:

    i ← current_decay i + current_gain input
    v ← v_leak + decay (v − v_leak) + gain i
    a spike where v > v_th + beta a
    v ← reset_keep v + reset_add where it resets
    a ← adapt_decay a + adapt_gain spike

Constants that a neuron leaves out are those of a neuron without that part. `step` is the definition, against which
`check_neuron` checks a neuron's statement; the kernels are a second implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Shape(IntEnum):
    """The pseudo-derivatives that the kernels know, as functions of s = slope · |x|."""

    FAST_SIGMOID = 0
    ATAN = 1
    TRIANGLE = 2
    BOXCAR = 3
    STRAIGHT_THROUGH = 4


class LoweredSurrogate(NamedTuple):
    """A pseudo-derivative: `height` times a function of `slope · |x|`, x being the distance from the threshold."""

    shape: Shape
    height: float
    slope: float


class LoweredReset(NamedTuple):
    """A reset `v ← keep v + add`.

    Args:
        keep: the factor of the membrane.
        add: what it adds.
        flows: whether a gradient passes through the spikes that reset.
        late: whether a spike resets in the next step.
    """

    keep: Any
    add: Any
    flows: bool = False
    late: bool = False


class Constants(NamedTuple):
    """The constants of the equation above: each a number, or one for each unit."""

    current_decay: Any = 0.0
    current_gain: Any = 1.0
    decay: Any = 0.0
    gain: Any = 1.0
    v_leak: Any = 0.0
    v_th: Any = 0.0
    reset_keep: Any = 1.0
    reset_add: Any = 0.0
    beta: Any = 0.0
    adapt_decay: Any = 0.0
    adapt_gain: Any = 0.0


class Equation(NamedTuple):
    """What is fixed about the equation, whatever the constants.

    Args:
        spiking: or else the output is the membrane.
        late_reset: whether a spike resets in the next step.
        reset_flows: whether a gradient passes through the spikes that reset.
        surrogate: the pseudo-derivative of a spike.
    """

    spiking: bool = False
    late_reset: bool = False
    reset_flows: bool = False
    surrogate: LoweredSurrogate = LoweredSurrogate(Shape.STRAIGHT_THROUGH, 1.0, 0.0)


class Lowered(NamedTuple):
    """A neuron as the kernels take it.

    Args:
        constants: of the equation.
        equation: the rest of its description.
        has_current: whether the input passes through a synaptic current.
        output: what becomes of the equation's output `[*units]` in each step, outside the kernels; None: nothing.
    """

    constants: Constants
    equation: Equation = Equation()
    has_current: bool = False
    output: Callable[[Array], Array] | None = None

    def outputs(self, equations: Float[Array, "T *units"]) -> Float[Array, "T *units"]:
        """The neuron's outputs, given those of the equation."""
        return equations if self.output is None else jax.vmap(self.output)(equations)


class LoweredState(NamedTuple):
    """The equation's state between two steps, each `[*units]`; 0 where a neuron has none."""

    i: Any = 0.0
    v: Any = 0.0
    a: Any = 0.0
    spikes: Any = 0.0


def step(
    equation: Equation, c: Constants, current: Float[Array, "*units"], state: LoweredState
) -> tuple[Float[Array, "*units"], LoweredState]:
    """One step of the equation: output and next state."""
    i = c.current_decay * state.i + c.current_gain * current
    v = c.v_leak + c.decay * (state.v - c.v_leak) + c.gain * i
    if not equation.spiking:
        return v, state._replace(i=i, v=v)

    def reset(v, spikes):
        spikes = spikes if equation.reset_flows else jax.lax.stop_gradient(spikes)
        return v + spikes * ((c.reset_keep - 1) * v + c.reset_add)

    if equation.late_reset:
        v = reset(v, state.spikes)
    spikes = _spike(equation.surrogate, v - c.v_th - c.beta * state.a)
    if not equation.late_reset:
        v = reset(v, spikes)
    return spikes, LoweredState(i, v, c.adapt_decay * state.a + c.adapt_gain * spikes, spikes)


def _spike(surrogate: LoweredSurrogate, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    smooth = jax.lax.stop_gradient(pseudo_derivative(surrogate, x)) * x
    return smooth - jax.lax.stop_gradient(smooth) + (x > 0).astype(x.dtype)


def pseudo_derivative(surrogate: LoweredSurrogate, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The substitute for the derivative of a spike with respect to the membrane's distance x from the threshold."""
    s = surrogate.slope * jnp.abs(x)
    shape = {
        Shape.FAST_SIGMOID: lambda: 1 / jnp.square(1 + s),
        Shape.ATAN: lambda: 1 / (1 + s * s),
        Shape.TRIANGLE: lambda: jnp.maximum(1 - s, 0),
        Shape.BOXCAR: lambda: (s <= 1).astype(x.dtype),
        Shape.STRAIGHT_THROUGH: lambda: jnp.ones_like(x),
    }[surrogate.shape]()
    return surrogate.height * shape
