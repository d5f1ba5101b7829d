r"""A block of time steps at once: what its learning signals make of the traces of weights.

The trace of a weight and its filters are a few numbers that follow a linear system, driven by the presynaptic activity
$x_i$. Its coefficients are the postsynaptic unit's alone. So are the adjoints of that system, which go back through the
block and say what each step's input is worth: synapses are visited once a block, by matrix products, and not in each
step.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.losses import Kernel
from snnlearn.rules.local import Local, sum_of_products


def contract(
    kernel: Kernel,
    local: Local,
    signal: Float[Array, "K B out"],
    pres: tuple[Float[Array, "K B _"], ...],
    traces: tuple[Float[Array, "B Q out _"], ...],
) -> list[tuple[Float[Array, "B Q out in"], Float[Array, "out in"]]]:
    r"""A block's part of $\sum_tL^t_j\,(h*e_{ji})^t$, and the traces after it, for several weights onto the same units.

    Args:
        kernel: the filter $h$, of F exponentials.
        local: the units' derivatives in each step, with a leading axis K; S numbers of their state matter.
        signal: the learning signal $L$.
        pres: the presynaptic activity of each weight matrix.
        traces: theirs before the block, of each synapse Q = S + F numbers: $\epsilon$, then the filtered $e$.

    Returns:
        for each weight matrix, its traces after the block and its gradient.
    """
    size, (batch_size, units) = traces[0].shape[1], signal.shape[1:]
    # The learning signals first, then each of the Q numbers after the block.
    signals = jnp.concatenate([signal[None], jnp.zeros((size, *signal.shape))])
    ends = jnp.broadcast_to(jnp.eye(size + 1, size, -1)[:, :, None, None], (size + 1, size, batch_size, units))
    by_pre, by_trace = jax.vmap(lambda signal, end: adjoint(kernel, local, signal, end))(signals, ends)

    by_sample = tuple(jnp.moveaxis(each, -2, 0) for each in (by_pre[1:], by_trace[1:], by_trace[0]))

    def of(pre, trace):
        # Samples in turn, so that a sample's synapses are visited once, while they are in the cache.
        def sample(gradient, each):
            pre, trace, to_pre, to_trace, worth = each
            kept = sum_of_products(to_trace.swapaxes(0, 1)[..., None], trace[:, None])
            gradient = gradient + sum_of_products(worth[..., None], trace)
            return gradient, kept + jnp.einsum("qko,ki->qoi", to_pre, pre)

        gradient = by_pre[0].reshape(-1, units).T @ pre.reshape(-1, pre.shape[-1])
        gradient, kept = jax.lax.scan(sample, gradient, (jnp.moveaxis(pre, 1, 0), trace, *by_sample))
        return kept, gradient

    return [of(pre, trace) for pre, trace in zip(pres, traces, strict=True)]


def adjoint(
    kernel: Kernel, local: Local, signal: Float[Array, "K B out"], end: Float[Array, "Q B out"]
) -> tuple[Float[Array, "K B out"], Float[Array, "Q B out"]]:
    r"""The derivative of $\sum_tL^t(h*e)^t$, plus `end` times the traces after the block, of a single synapse.

    Returns:
        by the presynaptic activity of each step, and by the traces before the block.
    """
    size = local.state_current.shape[1]
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
