"""SuperSpike as published (Zenke & Ganguli 2018): `python benchmarks/reproductions/superspike.py`.

Current-based neurons with the paper's parameters, in millivolts, the online rule, and RMaxProp, four updates a trial.

- `neuron`: one neuron learns a train of five spikes from 100 frozen Poisson inputs.
- `xor`: a neuron is to answer two of four pairs of patterns by a spike, and the other two by silence, an exclusive or.
  One layer cannot; with 32 hidden units it can.
- `raster`: 200 frozen Poisson inputs, 256 hidden units, 200 outputs, a raster of 1.89 s, by symmetric, random and
  uniform feedback.

Not the paper's: time steps of 0.5 ms and not 0.1 ms; each trial starts from rest; a drawing with as many spikes takes
the place of its target raster, a photograph. Twenty minutes on two free cores. Writes
`benchmarks/results/superspike.json` and `docs/images/superspike.svg`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn.algorithms import rmaxprop
from snnlearn.losses import AlphaVanRossum
from snnlearn.network import Network, feedforward, unroll
from snnlearn.neurons import CubaLIF, FastSigmoid, Refractory, ToValue
from snnlearn.rules import AbstractFeedback, RandomFeedback, SuperSpike, Symmetric, UniformFeedback
from snnlearn.rules.online import time_first

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "superspike.json"
FIGURE = ROOT / "docs" / "images" / "superspike.svg"

DT = 0.5e-3
UPDATES = 4  # in each trial
START, LARGEST = 50.0, 100.0  # mV: standard deviation of all of a unit's initial weights together; largest weight
LOSS = AlphaVanRossum(tau_rise=5e-3, tau_decay=10e-3, dt=DT)
NEURON = CubaLIF(
    tau_mem=10e-3,
    tau_syn=5e-3,
    v_th=10.0,  # mV above rest
    reset=ToValue(0.0),
    refractory=Refractory(5e-3),
    surrogate=FastSigmoid(slope=1.0),  # 1/mV
    dt=DT,
)
FEEDBACKS: dict[str, AbstractFeedback] = {
    "symmetric": Symmetric(),
    "random": RandomFeedback(jax.random.key(7)),
    "uniform": UniformFeedback(),
}


def steps(seconds: float) -> int:
    return round(seconds / DT)


def poisson(rng: np.random.Generator, num_steps: int, size: int, rate: float) -> np.ndarray:
    return (rng.random((num_steps, size)) < rate * DT).astype(np.float32)


def network(sizes: tuple[int, ...], seed: int) -> Network:
    """Normal weights of variance START² / inputs."""
    drawn = feedforward(sizes, neuron=NEURON, readout=NEURON, key=jax.random.key(seed))
    return jax.tree.map(lambda leaf: START * leaf if eqx.is_inexact_array(leaf) else leaf, drawn)


def train(
    feedback: AbstractFeedback,
    start: Network,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    trials: int,
    learning_rate: float,
) -> tuple[list[float], Network]:
    """The van Rossum error of each trial, and the network; weights change within a trial."""
    rule, duration = SuperSpike(feedback), inputs.shape[1] * DT
    optimizer = rmaxprop(learning_rate, decay=math.exp(-duration / UPDATES / 30))
    inputs, targets = jnp.asarray(inputs), jnp.asarray(targets)
    xs, moments = jax.tree.map(lambda a: a.reshape(UPDATES, -1, *a.shape[1:]), time_first(rule, LOSS, inputs, targets))

    @eqx.filter_jit
    def trial(network, state):
        parameters, constants = eqx.partition(network, eqx.is_inexact_array)

        def update(carry, part):
            parameters, state, memory = carry
            network = eqx.combine(parameters, constants)
            memory, error, gradient = rule.advance(network, LOSS, memory, *part)
            change, state = optimizer.update(gradient, state)
            parameters = jax.tree.map(lambda w, c: jnp.clip(w + c, -LARGEST, LARGEST), parameters, change)
            return (parameters, state, memory), error

        memory = rule.start(network, LOSS, len(inputs), key=jax.random.key(0))
        (parameters, state, _), errors = jax.lax.scan(update, (parameters, state, memory), (xs, moments))
        return eqx.combine(parameters, constants), state, jnp.sum(errors)

    learner, errors = start, []
    state = optimizer.init(eqx.filter(start, eqx.is_inexact_array))
    for _ in range(trials):
        learner, state, error = trial(learner, state)
        errors.append(float(error))
    return errors, learner


@eqx.filter_jit
def spikes(network: Network, inputs: jax.Array) -> jax.Array:
    return jax.vmap(lambda xs: unroll(network, xs)[0].outputs[-1])(inputs)


def distance(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The van Rossum error of each sample."""
    return np.asarray(jax.vmap(lambda o, t: LOSS((o,), t))(jnp.asarray(outputs), jnp.asarray(targets)))


def one_neuron(trials: int) -> dict:
    rng = np.random.default_rng(1)
    inputs = poisson(rng, steps(0.5), 100, 10.0)[None]
    target = np.zeros((1, steps(0.5), 1), np.float32)
    target[0, [steps(at) for at in (0.08, 0.17, 0.26, 0.35, 0.44)]] = 1
    runs = []
    for seed in range(5):
        errors, learner = train(Symmetric(), network((100, 1), seed), inputs, target, trials=trials, learning_rate=1.0)
        fired = np.flatnonzero(np.asarray(spikes(learner, jnp.asarray(inputs)))[0, :, 0]) * DT
        runs.append({"seed": seed, "error": errors, "spike_times_s": fired.round(4).tolist()})
        print(f"neuron, seed {seed}: {errors[0]:.2f} → {errors[-1]:.3f}, spikes at {fired.round(4)} s", flush=True)
    silent = float(distance(np.zeros_like(target), target)[0])
    return {"target_s": [0.08, 0.17, 0.26, 0.35, 0.44], "error_of_silence": silent, "runs": runs}


def exclusive_or(trials: int) -> dict:
    """Two groups of 50 inputs; in each fires one of two halves, all at 10 ms. Unlike halves: one spike at 20 ms.

    Before its first spike a neuron's membrane is f_a(t) + g_b(t), in sum the same for the two like pairs as for the two
    unlike ones, so that no weights let it spike to the latter and be silent to the former.
    """
    rng = np.random.default_rng(2)
    duration, size = steps(0.06), 50
    halves = [[rng.permutation(size)[: size // 2] for _ in range(2)] for _ in range(2)]
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1)]
    inputs, targets = np.zeros((4, duration, 2 * size), np.float32), np.zeros((4, duration, 1), np.float32)
    for k, (a, b) in enumerate(pairs):
        inputs[k, steps(0.01), np.concatenate([halves[0][a], size + halves[1][b]])] = 1
        targets[k, steps(0.02), 0] = a != b
    runs = []
    for name, sizes, feedback in [
        ("one layer", (2 * size, 1), Symmetric()),
        *((f"32 hidden, {name}", (2 * size, 32, 1), feedback) for name, feedback in FEEDBACKS.items()),
    ]:
        for seed in range(5):
            errors, learner = train(feedback, network(sizes, seed), inputs, targets, trials=trials, learning_rate=0.1)
            fired = np.asarray(spikes(learner, jnp.asarray(inputs))).any(axis=(1, 2))
            right = int((fired == targets.any(axis=(1, 2))).sum())
            runs.append({"network": name, "seed": seed, "error": errors, "right_answers_of_4": right})
            print(f"xor, {name}, seed {seed}: {errors[0]:.2f} → {errors[-1]:.3f}, {right}/4 right", flush=True)
    silent = float(distance(np.zeros_like(targets), targets).mean())
    return {"error_of_silence": silent, "runs": runs}


def drawing() -> np.ndarray:
    """A raster `[T, 200]`: rings, waves and a frame, a pixel each 10 ms and unit, thinned to 1,889 spikes."""
    bins, units = np.meshgrid(np.arange(189), np.arange(200), indexing="ij")
    x, y = bins / 189, units / 200
    ink = np.zeros(x.shape, bool)
    for centre, radius in [((0.25, 0.7), 0.2), ((0.25, 0.7), 0.1), ((0.7, 0.65), 0.25), ((0.7, 0.65), 0.12)]:
        ink |= np.abs(np.hypot(x - centre[0], y - centre[1]) - radius) < 0.006
    for height, amplitude, cycles in [(0.25, 0.06, 3), (0.15, 0.05, 5), (0.35, 0.04, 2)]:
        ink |= np.abs(y - height - amplitude * np.sin(2 * np.pi * cycles * x)) < 0.008
    ink |= (np.minimum(y, 1 - y) < 0.02) & (bins % 2 == 0)
    ink[:3] = False
    rng = np.random.default_rng(3)
    pixels = np.argwhere(ink)
    pixels = rng.permutation(pixels)[:1889]
    raster = np.zeros((steps(1.89), 200), np.float32)
    raster[pixels[:, 0] * steps(10e-3), pixels[:, 1]] = 1
    return raster


def raster(trials: int) -> dict:
    rng = np.random.default_rng(4)
    inputs, target = poisson(rng, steps(1.89), 200, 27.0)[None], drawing()[None]
    runs = []
    for name, feedback in FEEDBACKS.items():
        begun = time.perf_counter()
        errors, learner = train(feedback, network((200, 256, 200), 0), inputs, target, trials=trials, learning_rate=1.0)
        times, units = np.nonzero(np.asarray(spikes(learner, jnp.asarray(inputs)))[0])
        took = round(time.perf_counter() - begun)
        runs.append({"feedback": name, "error": [round(e, 2) for e in errors], "seconds": took})
        runs[-1]["raster"] = {"time_ms": (1e3 * DT * times).tolist(), "unit": units.tolist()}
        print(f"raster, {name}: {errors[0]:.0f} → {errors[-1]:.0f}, {took} s", flush=True)
    silent = float(distance(np.zeros_like(target), target)[0])
    return {"target_spikes": int(target.sum()), "error_of_silence": silent, "runs": runs}


def figure(results: dict) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "snnlearn"
    fig, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for run in results["neuron"]["runs"]:
        axes[0, 0].semilogy(np.maximum(run["error"], 1e-2), lw=1)
    axes[0, 0].set(title="one neuron, 5 seeds", xlabel="trial", ylabel="van Rossum error")
    colours = {"one layer": "k", "32 hidden, symmetric": "C0", "32 hidden, random": "C1", "32 hidden, uniform": "C2"}
    for name, colour in colours.items():
        errors = np.array([run["error"] for run in results["xor"]["runs"] if run["network"] == name])
        axes[0, 1].plot(errors.mean(axis=0), color=colour, lw=1, label=name)
    axes[0, 1].set(title="exclusive or, mean of 5 seeds", xlabel="trial", ylim=(0, None))
    axes[0, 1].legend(frameon=False, fontsize=8)
    silent = results["raster"]["error_of_silence"]
    for run in results["raster"]["runs"]:
        axes[0, 2].plot(
            1.89 * np.arange(len(run["error"])), np.array(run["error"]) / silent, lw=1, label=run["feedback"]
        )
    axes[0, 2].set(title="raster, error / error of silence", xlabel="time (s)", ylim=(0, 2))
    axes[0, 2].legend(frameon=False, fontsize=8)
    times, units = np.nonzero(drawing())
    pictures = {"target": (1e3 * DT * times, units)}
    pictures |= {
        run["feedback"]: (run["raster"]["time_ms"], run["raster"]["unit"]) for run in results["raster"]["runs"]
    }
    for axis, name in zip(axes[1], ("target", "symmetric", "uniform"), strict=True):
        axis.plot(*pictures[name], "k.", ms=0.8, rasterized=True)
        axis.set(title=name, xlabel="time (ms)", ylabel="output unit")
    fig.savefig(FIGURE, metadata={"Date": None}, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", type=float, default=1.0, help="factor on the number of trials")
    parser.add_argument("--only", choices=["neuron", "xor", "raster"])
    options = parser.parse_args()
    trials = {"neuron": 1_000, "xor": 1_000, "raster": 300}
    tasks = {"neuron": one_neuron, "xor": exclusive_or, "raster": raster}
    results = {
        name: task(max(2, int(options.fast * trials[name])))
        for name, task in tasks.items()
        if options.only in (None, name)
    }
    if options.fast == 1.0 and options.only is None:
        RESULTS.write_text(json.dumps(results) + "\n")
        figure(results)


if __name__ == "__main__":
    main()
