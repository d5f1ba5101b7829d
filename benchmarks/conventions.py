"""What other libraries' neurons do, for tests/test_docs_conventions.py: `python conventions.py INPUTS.npz OUTPUTS.npz`.

Runs in the peers' environment. INPUTS holds an input `[T, N]` under the name of each neuron of docs/conventions.md,
and `weights` `[T, N]`; OUTPUTS gets, for each neuron whose library is installed, `[2, T, N]`: its spikes, and the
derivative of their weighted sum with respect to the input.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable

import numpy as np

PEERS: dict[str, tuple[str, Callable]] = {}


def of(library: str, name: str):
    """Register a function `(x, weights) → (spikes, derivative)` as a neuron of the page."""

    def register(function: Callable) -> Callable:
        PEERS[name] = (library, function)
        return function

    return register


def by_torch(run: Callable) -> Callable:
    """From `run(x) → spikes` in torch."""

    def evaluate(x: np.ndarray, weights: np.ndarray):
        import torch

        torch.set_default_dtype(torch.float64)
        inputs = torch.tensor(x, requires_grad=True)
        spikes = run(inputs)
        (spikes * torch.tensor(weights)).sum().backward()
        return spikes.detach().numpy(), inputs.grad.numpy()

    return evaluate


def by_jax(run: Callable) -> Callable:
    """From `run(x) → spikes` in JAX."""

    def evaluate(x: np.ndarray, weights: np.ndarray):
        import jax

        jax.config.update("jax_enable_x64", True)
        spikes, pull_back = jax.vjp(run, jax.numpy.asarray(x))
        return spikes, pull_back(jax.numpy.asarray(weights).astype(spikes.dtype))[0]

    return evaluate


def scanned(step: Callable, state, x):
    """The spikes of `step(x, state) → (spikes, state)`, in torch."""
    import torch

    spikes = []
    for now in x:
        z, state = step(now, state)
        spikes.append(z)
    return torch.stack(spikes)


@of("norse", "Norse lif_feed_forward_step")
@by_torch
def norse_feed_forward(x):
    from norse.torch.functional.lif import LIFFeedForwardState, LIFParameters, lif_feed_forward_step

    zero, p = 0 * x[0].detach(), LIFParameters()
    return scanned(lambda now, s: lif_feed_forward_step(now, s, p=p), LIFFeedForwardState(v=zero, i=zero), x)


def identity_and_none(x):
    """Weights that hand the input on, and recurrent ones that hand nothing on."""
    import torch

    return torch.eye(x.shape[1]), torch.zeros(x.shape[1], x.shape[1])


@of("norse", "Norse lif_step")
@by_torch
def norse_recurrent(x):
    from norse.torch.functional.lif import LIFParameters, LIFState, lif_step

    zero = 0 * x[:1].detach()
    state, weights = LIFState(z=zero, v=zero, i=zero), identity_and_none(x)
    return scanned(lambda now, s: lif_step(now, s, *weights, p=LIFParameters()), state, x[:, None])[:, 0]


@of("norse", "Norse lsnn_step(tau_adapt=20 ms, beta=0.5)")
@by_torch
def norse_adaptive(x):
    import torch
    from norse.torch.functional.lsnn import LSNNParameters, LSNNState, lsnn_step

    zero, p = 0 * x[:1].detach(), LSNNParameters(tau_adapt_inv=torch.tensor(1 / 20e-3), beta=torch.tensor(0.5))
    state, weights = LSNNState(z=zero, v=zero, i=zero, b=zero + 1), identity_and_none(x)
    return scanned(lambda now, s: lsnn_step(now, s, *weights, p=p), state, x[:, None])[:, 0]


def snntorch(x, **options):
    import snntorch

    neuron = snntorch.Leaky(beta=0.9, **options)
    return scanned(neuron, 0 * x[0].detach(), x)


@of("snntorch", "snnTorch Leaky(beta=0.9)")
@by_torch
def snntorch_subtract(x):
    return snntorch(x)


@of("snntorch", "snnTorch Leaky(beta=0.9, reset_mechanism='zero')")
@by_torch
def snntorch_zero(x):
    return snntorch(x, reset_mechanism="zero")


def spikingjelly(x, **options):
    from spikingjelly.activation_based.neuron import LIFNode

    neuron = LIFNode(tau=2.0, **options)
    return scanned(lambda now, _: (neuron(now), None), None, x)


@of("spikingjelly", "SpikingJelly LIFNode(tau=2.0)")
@by_torch
def spikingjelly_decayed(x):
    return spikingjelly(x)


@of("spikingjelly", "SpikingJelly LIFNode(tau=2.0, decay_input=False)")
@by_torch
def spikingjelly_undecayed(x):
    return spikingjelly(x, decay_input=False)


@of("sinabs", "sinabs LIF(tau_mem=10.0, spike_fn=SingleSpike)")
@by_torch
def sinabs(x):
    import torch
    from sinabs.activation import SingleSpike
    from sinabs.layers import LIF

    def atan(v_mem, spike_threshold):  # sinabs' own surrogate is an exponential; the page's neuron has this one
        return 1 / (1 + (torch.pi * (v_mem - spike_threshold)) ** 2)

    return LIF(tau_mem=10.0, spike_fn=SingleSpike, surrogate_grad_fn=atan)(x[None])[0]


@of("spyx", "Spyx LIF(beta=0.9)")
@by_jax
def spyx(x):
    import jax
    from flax import nnx
    from spyx.nn import LIF

    neuron = LIF((x.shape[1],), beta=0.9, rngs=nnx.Rngs(0))
    return jax.lax.scan(lambda v, now: neuron(now, v)[::-1], 0 * x[0], x)[1]


@of("jaxsnn", "jaxsnn lif_step")
@by_jax
def jaxsnn(x):
    import dataclasses

    import jax
    from jaxsnn.discrete.functional.lif import LIFParameters, LIFState, lif_step
    from jaxsnn.discrete.functional.threshold import superspike

    fields = {f.name: f.default for f in dataclasses.fields(LIFParameters)}
    return jax.lax.scan(
        lambda s, now: lif_step({"x": now}, s, None, superspike, **fields), LIFState(0 * x[0], 0 * x[0]), x
    )[1]


def main(inputs: str, outputs: str) -> None:
    """Evaluate what is installed."""
    given = np.load(inputs)
    np.savez(
        outputs,
        **{
            name: np.stack([np.asarray(part, float) for part in run(given[name], given["weights"])])
            for name, (library, run) in PEERS.items()
            if importlib.util.find_spec(library)
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
