"""Pattern generation by e-prop (Bellec et al. 2020): `python benchmarks/reproductions/eprop_pattern_generation.py`.

A recurrent network of 100 LIF units learns to say a sum of four sines over a second, from frozen input spikes. Its
first losses are compared with published reference values, weight by weight the same problem; then it is trained for
2,000 iterations by e-prop with symmetric, random and adaptive feedback, and by BPTT. Five minutes on two free cores.
Writes `benchmarks/results/eprop_pattern_generation.json` and `docs/images/eprop_pattern_generation.svg`.

The exact gradient of this network explodes through the recurrent spikes, to a norm of 5e26 against 8e2 of e-prop's, so
that with the same learning rate BPTT diverges at once. Its gradient is therefore clipped, each weight matrix to a root
mean square of 5, about what e-prop's has at first; e-prop's is used as it is.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from snnlearn.losses import MeanSquaredError, RateBand
from snnlearn.network import Dense, Layer, Network, unroll
from snnlearn.neurons import LI, LIF, NextStep, Subtract, Triangle
from snnlearn.rules import BPTT, AbstractRule, EProp, StoredFeedback, Symmetric

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "eprop_pattern_generation.json"
FIGURE = ROOT / "docs" / "images" / "eprop_pattern_generation.svg"

N, T, V_TH = 100, 1000, 0.03
RATE, RATE_WEIGHT = 10.0, 300.0
LEARNING_RATE, DECAY, CLIP = 1e-4, 1e-2, 5.0

# ½ Σ_t (y − ŷ)² before each of the first five updates with random feedback: NEST's reference values.
REFERENCE = (101.964356999041, 103.466731126205, 103.340607074771, 103.680244037686, 104.412775748752)

ERROR = 0.5 * T * MeanSquaredError()
# ½ c Σ_j (f_j − f*)² with f in spikes a step: the band is a mean over units of squared Hz.
LOSS = ERROR + 0.5 * RATE_WEIGHT * N * 1e-6 * RateBand(RATE, RATE)

RULES: dict[str, AbstractRule] = {
    "symmetric": EProp(Symmetric()),
    "random": EProp(StoredFeedback()),
    "adaptive": EProp(StoredFeedback(learns=True)),
    "BPTT": BPTT(),
}


def problem(seed: int = 1) -> tuple[Network, jax.Array, jax.Array]:
    """The network, its input `[T, N]` and its target `[T, 1]`, drawn in the order of the reference."""
    rng = np.random.RandomState(seed)

    def weights(rows: int, columns: int, scale: float = 10.0) -> np.ndarray:
        return (rng.randn(rows, columns).T / scale).astype(np.float32).astype(float)

    w_in, w_rec, w_out, feedback = weights(N, N), weights(N, N), weights(N, 1), weights(N, 1).T
    np.fill_diagonal(w_rec, 0.0)
    spikes = (rng.rand(T, N) < 0.05).astype(float)
    spikes[0] = 0.0
    amplitudes, phases = rng.uniform(0.5, 2.0, 4), rng.uniform(0.0, 2 * np.pi, 4)
    periods = np.array([1000, 500, 333, 200])
    sines = [
        a * np.sin(np.linspace(phase, phase + 2 * np.pi * (T // period), T))
        for a, phase, period in zip(amplitudes, phases, periods, strict=True)
    ]
    target = np.sum(sines, axis=0)
    target -= target[0]
    target /= np.abs(target).max()

    neuron = LIF(tau_mem=30e-3, v_th=V_TH, reset=NextStep(Subtract()), surrogate=Triangle(0.3 / V_TH, V_TH))
    network = Network(
        (
            Layer(dense(w_in), neuron, recurrent=dense(w_rec), feedback=jnp.asarray(feedback)),
            Layer(dense(w_out), LI(tau_mem=30e-3)),
        )
    )
    return network, jnp.asarray(spikes), jnp.asarray(target)[:, None]


def dense(weight: np.ndarray) -> Dense:
    """Synapses with given weights `[out, in]`."""
    synapses = Dense(*weight.shape[::-1], key=jax.random.key(0))
    return eqx.tree_at(lambda s: s.weight, synapses, jnp.asarray(weight))


def optimizer(name: str) -> optax.GradientTransformation:
    """Gradient descent that leaves out synapses of a unit onto itself; adaptive feedback and readout both decay."""

    def update(gradient: Network, network: Network | None = None) -> Network:
        assert network is not None
        step = jax.tree.map(lambda g: -LEARNING_RATE * g, gradient)
        step = eqx.tree_at(recurrent, step, recurrent(step) * (1 - jnp.eye(N)))
        if name == "adaptive":
            decayed = jax.tree.map(
                lambda s, w: s - DECAY * w, feedback_and_readout(step), feedback_and_readout(network)
            )
            step = eqx.tree_at(feedback_and_readout, step, decayed)
        return step

    descent = optax.stateless(update)
    return optax.chain(optax.clip_by_block_rms(CLIP), descent) if name == "BPTT" else descent


def recurrent(network: Network) -> jax.Array:
    return network.layers[0].recurrent.weight  # pyright: ignore


def feedback_and_readout(network: Network) -> tuple[jax.Array, jax.Array]:
    return network.layers[0].feedback, network.layers[1].synapses.weight  # pyright: ignore


def train(name: str, iterations: int) -> tuple[np.ndarray, Network]:
    """The error before each update, and the trained network."""
    network, xs, target = problem()
    descent = optimizer(name)
    state = descent.init(eqx.filter(network, eqx.is_inexact_array))  # pyright: ignore

    @eqx.filter_jit
    def iterate(network, state):
        _, gradient = RULES[name](network, LOSS, xs[None], target[None], key=jax.random.key(0))
        updates, state = descent.update(gradient, state, network)
        error = ERROR(unroll(network, xs)[0].outputs, target)
        return eqx.apply_updates(network, updates), state, error

    errors = []
    for _ in range(iterations):
        network, state, error = iterate(network, state)
        errors.append(float(error))
    return np.array(errors), network


def figure(curves: dict[str, np.ndarray], outputs: dict[str, np.ndarray], target: np.ndarray) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.fonttype"] = "none"
    plt.rcParams["svg.hashsalt"] = "snnlearn"
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, errors in curves.items():
        every = slice(None, None, 5)
        left.semilogy(np.arange(1, len(errors) + 1)[every], errors[every], lw=1, label=name)
        right.plot(np.arange(T), outputs[name], lw=1)
    right.plot(np.arange(T), target, "k--", lw=1, label="target")
    left.set(xlabel="iteration", ylabel="½ Σ (y − ŷ)²")
    right.set(xlabel="time (ms)", ylabel="readout after training")
    left.legend(frameon=False)
    right.legend(frameon=False)
    fig.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2_000)
    options = parser.parse_args()
    curves, outputs, seconds = {}, {}, {}
    for name in RULES:
        start = time.perf_counter()
        errors, network = train(name, options.iterations)
        _, xs, _ = problem()
        curves[name], outputs[name] = errors, np.asarray(network(xs)[0])[:, 0]
        seconds[name] = round(time.perf_counter() - start)
        print(f"{name}: {errors[0]:.3f} → {errors[-1]:.3f}, least {errors.min():.3f}, {seconds[name]} s")
    first = curves["random"][: len(REFERENCE)]
    deviation = float(np.abs(first / np.array(REFERENCE)[: len(first)] - 1).max())
    print("first errors with random feedback:", *(f"{error:.12f}" for error in first))
    print(f"largest relative deviation from the reference: {deviation:.1e}")
    if options.iterations < 2_000:
        return
    results = {
        "reference": REFERENCE,
        "first_errors_random": first.tolist(),
        "largest_relative_deviation": deviation,
        "iterations": options.iterations,
        "final_error": {name: float(errors[-1]) for name, errors in curves.items()},
        "least_error": {name: float(errors.min()) for name, errors in curves.items()},
        "error_every_10": {name: [round(float(e), 4) for e in errors[::10]] for name, errors in curves.items()},
        "seconds": seconds,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    figure(curves, outputs, np.asarray(problem()[2])[:, 0])


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
