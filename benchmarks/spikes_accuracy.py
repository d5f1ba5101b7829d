"""Accuracy against spikes spent, for rate, latency and population codes.

    python benchmarks/spikes_accuracy.py

Trains the same small network (128 LIF neurons) on the digits and on Fashion-MNIST behind each code at several settings,
several seeds side by side. Learning rate and epoch are chosen by the validation sample; the test sample is used once
for each point. Of Fashion-MNIST it takes 10 000 training images, and averages each image over 2 × 2 pixels. Writes
`results/spikes_accuracy.json`, point by point, so that a run that was stopped goes on where it was, and the figure
`docs/images/spikes_accuracy.svg`. It takes 28 minutes of processor time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

import snnlearn as sl
from snnlearn._files import write_atomically
from snnlearn.coding import AbstractEncoder, Latency, LinearLatency, Population, Rate
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, encode, predict
from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, STYLE

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "spikes_accuracy.json"
FIGURE = HERE.parent / "docs" / "images" / "spikes_accuracy.svg"
NUM_STEPS = 20
LEARNING_RATES = (3e-2, 1e-1, 3e-1)
BATCH_SIZE = 64


class Task(NamedTuple):
    """A data set, how long to train on it, and at which of the settings."""

    data: Callable[[], Dataset]
    epochs: int
    seeds: int
    settings: slice = slice(None)


def small_fashion_mnist() -> Dataset:
    """10 000 training images, all of the test images; 14 × 14 pixels."""
    full = sl.data.fashion_mnist()

    def shrink(sample: Sample, size: int | None = None) -> Sample:
        x, y = sample.x[:size], sample.y[:size]
        return Sample(x.reshape(len(x), 14, 2, 14, 2).mean(axis=(2, 4)), y)

    parts = {"train": shrink(full.train, 10_000), "validation": shrink(full.validation), "test": shrink(full.test)}
    return dataclasses.replace(full, name="Fashion-MNIST, 14 × 14", **parts)


TASKS = {
    "digits": Task(sl.data.digits, epochs=30, seeds=5),
    "fashion-mnist": Task(small_fashion_mnist, epochs=4, seeds=3, settings=slice(1, None, 2)),
}


def rate(max_rate: float, num_steps: int = NUM_STEPS) -> AbstractEncoder:
    return Rate(num_steps, max_rate=max_rate)


def latency(threshold: float) -> AbstractEncoder:
    return Latency(NUM_STEPS, tau=10e-3, threshold=threshold)


def population(threshold: float, num_neurons: int = 8) -> AbstractEncoder:
    return Population(LinearLatency(NUM_STEPS, threshold=threshold), num_neurons)


CODES: dict[str, tuple[Callable[..., AbstractEncoder], list[dict[str, float]]]] = {
    "rate": (rate, [{"max_rate": hz} for hz in (5, 15, 50, 150, 500, 1000)] + [{"max_rate": 50, "num_steps": 60}]),
    "latency": (latency, [{"threshold": level} for level in (0.84, 0.75, 0.6, 0.4, 0.2, 0.05)]),
    "population": (
        population,
        [{"threshold": level} for level in (0.98, 0.9, 0.6, 0.1)]
        + [{"threshold": 0.1, "num_neurons": n} for n in (3, 5)],
    ),
}


def train(encoder: AbstractEncoder, data: Dataset, task: Task) -> tuple[np.ndarray, list[Hypothesis], np.ndarray]:
    """Train at all learning rates and from all seeds, side by side: rate after rate, the seeds of each.

    Returns:
        Validation errors of the epochs that were chosen, the hypotheses, and these epochs.
    """
    inputs = int(np.prod(encoder.out_shape(data.shape)))
    network = sl.network.feedforward(
        (inputs, 128, data.num_classes),
        neuron=sl.neurons.LIF(tau_mem=10e-3, surrogate=sl.neurons.Atan()),
        key=jax.random.key(0),
    )
    cosine = optax.cosine_decay_schedule(1.0, task.epochs * (len(data.train.y) // BATCH_SIZE))
    algorithm = sl.algorithms.GradientDescent(
        loss=sl.losses.CrossEntropy(),
        rule=sl.rules.BPTT(),
        optimizer=optax.chain(optax.adam(cosine), optax.inject_hyperparams(optax.scale)(step_size=1.0)),
        epochs=task.epochs,
        batch_size=BATCH_SIZE,
    )
    keys = jnp.tile(jax.random.split(jax.random.key(1), task.seeds), len(LEARNING_RATES))
    experiment = sl.Experiment(data, encoder, network, algorithm, keys)
    # The step size is part of the optimiser's state, so that one program serves all learning rates.
    training = eqx.tree_at(
        lambda t: t.optimizer_state[1].hyperparams["step_size"],
        experiment.start(),
        jnp.repeat(jnp.array(LEARNING_RATES), task.seeds),
    )
    for epoch in experiment.epochs(training):
        training = epoch.training
    errors = np.asarray(training.best_errors) / len(data.validation.y)
    return errors, experiment.hypotheses(training), np.asarray(training.best_epoch)


@eqx.filter_jit
def spikes_per_image(f: Hypothesis, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of the input, and of the hidden layer."""
    inputs = encode(f.encoder, images, key=jax.random.key(2))
    hidden = sl.network.diagnose(f.network, inputs)[0]
    assert hidden is not None
    return inputs.sum() / len(images), hidden.firing_rate.sum() * f.encoder.num_steps * f.encoder.dt


def measure(encoder: AbstractEncoder, data: Dataset, task: Task) -> dict:
    """One point: choose the learning rate, then use the test sample once."""
    start = time.perf_counter()
    errors, trained, epochs = train(encoder, data, task)
    by_rate = errors.reshape(len(LEARNING_RATES), task.seeds).mean(axis=1)
    best = int(by_rate.argmin())
    chosen = slice(best * task.seeds, (best + 1) * task.seeds)
    hypotheses = trained[chosen]
    wrong = [int((predict(f, data.test.x) != data.test.y).sum()) for f in hypotheses]
    accuracy = 1 - np.array(wrong) / len(data.test.y)
    low, high, confidence = sl.risk.t_interval(accuracy)
    spent = np.array([spikes_per_image(f, jnp.asarray(data.validation.x[:500])) for f in hypotheses])
    return {
        "accuracy": float(accuracy.mean()),
        "interval_of_the_mean": [low, high, confidence],
        "test_errors": wrong,
        "test_size": len(data.test.y),
        "input_spikes": float(spent[:, 0].mean()),
        "hidden_spikes": float(spent[:, 1].mean()),
        "learning_rate": LEARNING_RATES[best],
        "validation_error": {f"{rate:g}": float(error) for rate, error in zip(LEARNING_RATES, by_rate, strict=True)},
        "epochs_chosen": epochs[chosen].tolist(),
        "seconds": round(time.perf_counter() - start, 1),
    }


def run(names: list[str], out: Path, figure: Path, quick: bool) -> None:
    points = json.loads(out.read_text())["points"] if out.exists() else []
    done = {(p["data"], p["code"], json.dumps(p["setting"])) for p in points}
    for name in names:
        task = TASKS[name]._replace(epochs=1, seeds=2) if quick else TASKS[name]
        data = task.data()
        for code, (make, settings) in CODES.items():
            for setting in settings[task.settings]:
                if (name, code, json.dumps(setting)) in done:
                    continue
                point = {"data": name, "code": code, "setting": setting, **measure(make(**setting), data, task)}
                points.append(point)
                result = {"num_steps": NUM_STEPS, "learning_rates": LEARNING_RATES, "points": points}
                result["tasks"] = {name: {"epochs": t.epochs, "seeds": t.seeds} for name, t in TASKS.items()}
                out.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())
                print(
                    f"{name} {code} {setting}: {point['input_spikes']:.1f} spikes, accuracy {point['accuracy']:.2%}, "
                    f"{point['seconds']} s",
                    flush=True,
                )
    draw(points, figure)


@matplotlib.rc_context(STYLE)
def draw(points: list[dict], path: Path) -> None:
    names = [name for name in TASKS if any(p["data"] == name for p in points)]
    figure = Figure(figsize=(4.6 * len(names), 3.4), layout="constrained")
    axes = figure.subplots(1, len(names), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        for color, marker, code in zip((BLUE, ORANGE, GREEN), "os^", CODES, strict=True):
            mine = [p for p in points if (p["data"], p["code"]) == (name, code)]
            mine.sort(key=lambda p: p["input_spikes"])
            spikes = np.array([p["input_spikes"] for p in mine])
            accuracy = 100 * np.array([p["accuracy"] for p in mine])
            ends = 100 * np.array([p["interval_of_the_mean"][:2] for p in mine]).reshape(-1, 2).T
            ax.errorbar(
                spikes, accuracy, abs(ends - accuracy), color=color, marker=marker, markersize=4, linewidth=1.4,
                elinewidth=1.0, capsize=2, label=code,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
        title = {"digits": "digits, 8 × 8", "fashion-mnist": "Fashion-MNIST, 14 × 14"}[name]
        ax.set(title=title, xlabel="input spikes per image", ylabel="test accuracy (%)")
        ax.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=160)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--quick", action="store_true", help="one epoch, two seeds: does it run at all?")
    options = parser.parse_args()
    run(options.data, options.out, options.figure, options.quick)
