r"""The gradient of a block of time steps at once, from learning signals and the traces of weights.

The trace of a weight and its filters are a few numbers that follow a linear system, driven by the presynaptic activity
$x_i$. Its coefficients depend only on the postsynaptic unit, and so do the adjoints of that system, which run backwards
through the block and give the derivative with respect to each step's input. Synapses are therefore visited once per
block, by matrix products, and not in each step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.kernels.products import Activity, outer
from snnlearn.losses import Kernel
from snnlearn.neurons import AbstractNeuron
from snnlearn.rules.eligibility import membrane_adjoint
from snnlearn.rules.local import Local, sum_of_products


def contract(
    kernel: Kernel,
    local: Local,
    signal: Float[Array, "K B out"],
    neuron: AbstractNeuron | None,
    pres: Sequence[tuple[Activity, Any]],
    traces: Sequence[Float[Array, "B Q _ out"]],
) -> list[tuple[Float[Array, "B Q in out"], Float[Array, "in out"]]]:
    r"""A block's part of $\sum_tL^t_j\,(h*e_{ji})^t$, and the traces after it, for several weights of the same units.

    Args:
        kernel: the filter $h$, of F exponentials.
        local: the units' derivatives in each step, with a leading axis K; S numbers of their state matter.
        signal: the learning signal $L$.
        neuron: whose linear membrane filters the presynaptic activity before the units' derivatives apply, or None.
        pres: for each weight matrix the presynaptic activity, and the trace of that membrane before the block.
        traces: the traces before the block, for each synapse Q = S + F numbers: $\epsilon$, then the filtered $e$.

    Returns:
        for each weight matrix, its traces after the block and its gradient.
    """
    size, (batch_size, units) = traces[0].shape[1], signal.shape[1:]
    # Apart, since nobody may want to know the traces after the last block.
    to_loss = _adjoint(kernel, local, neuron, signal, jnp.zeros((size, batch_size, units)))
    shape = (batch_size, units) if local.state_current.shape[1] else (1, 1)  # of what differs between units
    ends = jnp.broadcast_to(jnp.eye(size)[:, :, None, None], (size, size, *shape))
    *to_pre, to_trace = jax.vmap(
        lambda end: _adjoint(kernel, local, neuron, jnp.zeros((len(signal), *shape), signal.dtype), end)
    )(ends)
    to_end = *to_pre, jnp.broadcast_to(to_trace, (size, size, batch_size, units))

    def of(pre: Activity, membrane: Any, trace: Array) -> tuple[Array, Array]:
        of_inputs, of_membrane, of_trace = to_loss
        gradient = outer(pre, of_inputs)
        for error, value in zip(jax.tree.leaves(of_membrane), jax.tree.leaves(membrane), strict=True):
            gradient = gradient + value.T @ error

        # Samples in turn, so that a sample's synapses are visited once, while they are in the cache.
        def sample(gradient, each):
            x, membrane, trace, worth, (to_pre, to_membrane, to_trace) = each
            gradient = gradient + sum_of_products(worth[:, None], trace)
            kept = sum_of_products(to_trace.swapaxes(0, 1)[:, :, None], trace[:, None])
            one = jax.tree.map(lambda a: a[:, None], x)
            kept = kept + jnp.stack([outer(one, errors[:, None]) for errors in to_pre])
            for error, value in zip(jax.tree.leaves(to_membrane), jax.tree.leaves(membrane), strict=True):
                kept = kept + value[None, :, None] * error[:, None]
            return gradient, kept

        by_sample = jax.tree.map(lambda a: jnp.moveaxis(a, -2, 0), (of_trace, to_end))
        samples = jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), pre)
        gradient, kept = jax.lax.scan(sample, gradient, (samples, membrane, trace, *by_sample))
        return kept, gradient

    return [of(*pre, trace) for pre, trace in zip(pres, traces, strict=True)]


def _adjoint(
    kernel: Kernel, local: Local, neuron: AbstractNeuron | None, signal: Float[Array, "K #B #out"], end: Array
) -> tuple[Float[Array, "K B out"], Any, Float[Array, "Q #B #out"]]:
    """Derivatives of the loss with respect to each step's input, and the membrane and traces before the block."""
    of_inputs, of_trace = adjoint(kernel, local, signal, end)
    if neuron is None:
        return of_inputs, None, of_trace
    return *membrane_adjoint(neuron, of_inputs), of_trace


def adjoint(
    kernel: Kernel, local: Local, signal: Float[Array, "K #B #out"], end: Float[Array, "Q #B #out"]
) -> tuple[Float[Array, "K B out"], Float[Array, "Q #B #out"]]:
    r"""The derivative of $\sum_tL^t(h*e)^t$, plus `end` times the traces after the block, of a single synapse.

    Where the traces are the filter alone, this has no sight of units, so signal and end may be the same for all.

    Returns:
        by the presynaptic activity of each step, and by the traces before the block.
    """
    size = local.state_current.shape[1]
    if not size:
        e, before = kernel.system().adjoint(signal, end)
        with jax.numpy_rank_promotion("allow"):
            return e * local.output_current, before
    poles, gains = (factor[:, None, None] for factor in (kernel.poles, kernel.gains))

    def back(after, step):
        (state, filtered), (local, signal) = after, step
        filtered = filtered + gains * signal[None]
        e = kernel.direct * signal + sum_of_products(jnp.ones_like(filtered), filtered)
        x = sum_of_products(state, local.state_current) + e * local.output_current
        state = sum_of_products(state[:, None], local.state_state) + e[None] * local.output_state
        return (state, poles * filtered), x

    before, x = jax.lax.scan(back, (end[:size], end[size:]), (local, signal), reverse=True)
    return x, jnp.concatenate(before)
