r"""Eligibility traces: $e^t=\partial z^t/\partial\theta$ along a unit's own dynamics, not through other units.

There are two equivalent forms. The general one follows each parameter, for any neuron. If a neuron's membrane is linear
and the same in all units, the trace of a weight is a product of a factor from past presynaptic activity and one from
the present postsynaptic state, and only the former has to be kept.
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.kernels.filters import LinearFilter
from snnlearn.network import Layer, Network
from snnlearn.neurons import AbstractNeuron
from snnlearn.rules.local import Local, linearise, sum_of_products


def step_trace(
    local: Local, trace: Float[Array, "S *units"], state: Float[Array, "S *units"], output: Float[Array, "*units"]
) -> tuple[Float[Array, "*units"], Float[Array, "S *units"]]:
    r"""One step of $\epsilon^t=D^t\epsilon^{t-1}+\partial s^t/\partial\theta$, and $e^t$.

    Args:
        local: the neuron's derivatives, with as many axes after the units' as the trace has.
        trace: $\epsilon^{t-1}$.
        state: the direct effect of the parameter on the state in this step.
        output: its direct effect on the output.

    Returns:
        $e^t$ and $\epsilon^t$.
    """
    e = sum_of_products(local.output_state, trace) + output
    return e, sum_of_products(jnp.swapaxes(local.state_state, 0, 1), trace[:, None]) + state


def membrane_filter(neuron: AbstractNeuron) -> LinearFilter:
    """The linear membrane that an input drives: a filter, if it is the same in all units."""
    free = neuron.free()
    reals, others = eqx.partition(free.initial_state((1,)), eqx.is_inexact_array)
    zeros, structure = jax.tree.flatten(jax.tree.map(jnp.zeros_like, reals))

    def step(x, *trace):
        _, after = free(x, eqx.combine(jax.tree.unflatten(structure, trace), others))
        return after.v, jax.tree.leaves(eqx.filter(after, eqx.is_inexact_array))

    one, nothing, size = jnp.ones(1), jnp.zeros(1), len(zeros)
    _, linear = jax.linearize(step, nothing, *zeros)
    direct, gain_in = linear(one, *zeros)
    alone = [linear(nothing, *(one if q == r else z for r, z in enumerate(zeros))) for q in range(size)]
    return LinearFilter(
        matrix=jnp.reshape(jnp.asarray([after for _, after in alone]), (size, size)).T,
        gain_in=jnp.reshape(jnp.asarray(gain_in), size),
        gain_out=jnp.reshape(jnp.asarray([v for v, _ in alone]), size),
        direct=direct[0],
    )


def membrane_sequence(neuron: AbstractNeuron, xs: Float[Array, "K *n"], trace: Any) -> tuple[Float[Array, "K *n"], Any]:
    """The linear membrane that inputs drive, in each step, and its trace after them.

    Args:
        neuron: the neuron.
        xs: the inputs.
        trace: the membrane's state without its constant part, as `rest_response` or an earlier call gave it.
    """
    leaves, structure = jax.tree.flatten(trace)
    vs, after = membrane_filter(neuron)(xs, _stacked(leaves, xs))
    return vs, jax.tree.unflatten(structure, list(after))


def membrane_adjoint(neuron: AbstractNeuron, worth: Float[Array, "K *n"]) -> tuple[Float[Array, "K *n"], Any]:
    """The adjoint: derivatives by each step's input and the trace before, given those by the membrane.

    The membrane of a synapse is linear and the same for all, so it can be moved to the other side of the synapse: on
    the postsynaptic side, backwards in time, it leaves the presynaptic activity unchanged, which is spikes.
    """
    leaves, structure = jax.tree.flatten(rest_response(neuron, worth.shape[1:]))
    of_inputs, before = membrane_filter(neuron).adjoint(worth, _stacked(leaves, worth))
    return of_inputs, jax.tree.unflatten(structure, list(before))


def _stacked(leaves: list[Array], xs: Float[Array, "K *n"]) -> Float[Array, "S *n"]:
    return jnp.stack(leaves) if leaves else jnp.zeros((0, *xs.shape[1:]), xs.dtype)


def rest_response(neuron: AbstractNeuron, shape: tuple[int, ...]) -> Any:
    """The trace of a membrane without input so far."""
    state = neuron.free().initial_state(shape)
    return jax.tree.map(jnp.zeros_like, eqx.filter(state, eqx.is_inexact_array))


def eligibility_traces(layer: Layer, xs: Float[Array, "T ..."]) -> tuple[Array, Array, Array | None]:
    """Every eligibility trace of a layer's weights, for study; rules do not keep them all.

    Args:
        layer: a layer with dense synapses.
        xs: its input, `[T, *in_shape]`.

    Returns:
        output `[T, units]`; traces of the input weights `[T, units, in]`, and of the recurrent ones `[T, units, units]`
        or None.

    >>> from snnlearn.network import Dense
    >>> from snnlearn.neurons import LIF
    >>> layer = Layer(Dense(4, 3, key=jax.random.key(0)), LIF())
    >>> eligibility_traces(layer, jnp.ones((10, 4)))[1].shape
    (10, 3, 4)
    """

    def traced(trace, local, x):
        spread = jax.tree.map(lambda d: d[..., None], local)
        return step_trace(spread, trace, spread.state_current * x[None, None], spread.output_current * x[None])

    alone = Network((layer,))

    def step(carry, x):
        states, traces = carry
        found = []

        def fire(number, current, state):
            output, after, local = linearise(layer.neuron, current, state)
            found.append(local)
            return output, after

        arriving = [x if line is None else line[0] for line in states[0].lines]
        pre = [c.synapses.before(each) for c, each in zip(layer.connections, arriving, strict=True)]
        (output,), states = alone.run_step(x, states, fire)
        pairs = [traced(trace, found[0], p) for trace, p in zip(traces, pre, strict=True)]
        return (states, [trace for _, trace in pairs]), (output, [e for e, _ in pairs])

    states = alone.initial_state()
    sizes = [math.prod(connection.synapses.carrier.in_shape) for connection in layer.connections]
    count = len(jax.tree.leaves(eqx.filter(states[0].neuron, eqx.is_inexact_array)))
    traces = [jnp.zeros((count, *layer.shape, size)) for size in sizes]
    _, (outputs, es) = jax.lax.scan(step, (states, traces), xs)
    return outputs, es[0], es[1] if len(es) > 1 else None
