"""Accuracy against the number of steps, for all methods of conversion, on Fashion-MNIST.

    python benchmarks/conversion.py --out benchmarks/results/conversion

Trains a convolutional and a residual network of rectifiers; from there, for QCFS, the same of quantised rectifiers,
whose ceilings are at first a percentile of the activations. The epoch with the fewest validation errors counts.
Converts each by every method, and reads the spiking network after each number of steps, on the whole test sample. Each
result is written when it is there, and one that is there is not computed again, so that the script may be killed and
started again. `--train`, `--test` and `--epochs` make it small. Methods that are made for a number of steps are
converted for each.

`conversion_spikingjelly.py` converts the same networks by SpikingJelly's recipes, from the files that are left here;
what it finds is drawn, too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.figure import Figure

import snnlearn as sl
from snnlearn import conversion
from snnlearn.algorithms import GradientDescent, Optimizer
from snnlearn.coding import Current
from snnlearn.conversion.hypothesis import artificial_inputs
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import AsGiven, AveragePool2d, Chain, Connection, Conv2d, Dense, Layer, Network
from snnlearn.neurons import Identity, QuantisedRectifier, Rectifier
from snnlearn.report.figures import GREY, STYLE
from snnlearn.risk import clopper_pearson

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "conversion.svg"
STEPS = (4, 8, 16, 32, 64, 128)
CALIBRATING = 1024
RATE = 0.03
LEVELS = {"plain": 8, "residual": 4}
"""Of quantised rectifiers. Of 4 and 8, 8 has fewer validation errors after 8 and 32 steps of the plain network."""
FINE, FINE_EPOCHS = 0.01, 3
"""The step size with which they are trained on, and for how long."""


def plain(key: jax.Array) -> Network:
    """Two convolutions, each before a pool, and a dense layer."""
    keys = jax.random.split(key, 4)
    second = Conv2d((32, 14, 14), 64, 3, padding=1, use_bias=True, key=keys[1])
    return Network(
        (
            Layer(Conv2d((1, 28, 28), 32, 3, padding=1, use_bias=True, key=keys[0]), Rectifier(), name="conv1"),
            Layer(Chain(AveragePool2d((32, 28, 28), 2), second), Rectifier(), name="conv2"),
            Layer(
                Chain(AveragePool2d((64, 14, 14), 2), Dense(64 * 49, 256, use_bias=True, key=keys[2])),
                Rectifier(),
                name="dense",
            ),
            Layer(Dense(256, 10, use_bias=True, key=keys[3]), Identity(), name="output"),
        )
    )


def residual(key: jax.Array) -> Network:
    """A convolution and a pool, a block of two with a path around them, and a dense layer."""
    keys = jax.random.split(key, 5)
    pool, shape = AveragePool2d((32, 28, 28), 2), (32, 14, 14)
    block = [Conv2d(shape, 32, 3, padding=1, use_bias=True, key=keys[n]) for n in (2, 3)]
    return Network(
        (
            Layer(Conv2d((1, 28, 28), 32, 3, padding=1, use_bias=True, key=keys[0]), Rectifier(), name="stem"),
            Layer(Chain(pool, block[0]), Rectifier(), name="inner"),
            Layer([block[1], Connection(pool, "stem")], Rectifier(), name="sum"),
            Layer(
                Chain(AveragePool2d(shape, 2), Dense(32 * 49, 256, use_bias=True, key=keys[1])),
                Rectifier(),
                name="dense",
            ),
            Layer(Dense(256, 10, use_bias=True, key=keys[4]), Identity(), name="output"),
        )
    )


NETWORKS = {"plain": plain, "residual": residual}
EPOCHS = {"plain": 6, "residual": 5}
"""Of the rectifiers that the committed results are of."""
METHODS = {
    "maximum": conversion.MaximumNormalisation(),
    "percentile 99.9": conversion.PercentileNormalisation(99.9),
    "percentile by the bound": conversion.PercentileNormalisation(charge=0.5),
    "threshold balancing": conversion.ThresholdBalancing(),
    "weight-norm bound": conversion.WeightNormBound(),
    "calibration": conversion.Calibration(conversion.PercentileNormalisation(99.9, charge=0.5)),
    "QCFS": conversion.QCFS(),
}
FOR_EACH = ("percentile by the bound", "calibration")
"""Made for a number of steps."""


def data(train: int | None, test: int | None) -> Dataset:
    """Fashion-MNIST, or the first samples of each part."""
    whole = sl.data.fashion_mnist()
    parts = {"train": train, "validation": train and train // 5, "test": test}
    return dataclasses.replace(
        whole, **{name: Sample(*(a[:n] for a in getattr(whole, name))) for name, n in parts.items()}
    )


def share(path: Path, task: Dataset) -> None:
    """The samples, for tools that have other environments."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        images = {f"{part}_x": np.uint8(np.round(255 * getattr(task, part).x)) for part in ("train", "test")}
        np.savez(path, **images, test_y=task.test.y)


def kept(path: Path, make: Callable[[], Any]) -> Any:
    """What is in a JSON file, or is made and put there."""
    if not path.exists():
        content = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1) + "\n")
        new.replace(path)
        print(path.name, {k: v for k, v in content.items() if k != "layers"}, flush=True)
    return json.loads(path.read_text())


def quantised(network: Network, inputs: np.ndarray, levels: int) -> Network:
    """The same weights with quantised rectifiers; the ceilings are a percentile of the activations on these inputs."""
    settings = conversion.convert(network, conversion.PercentileNormalisation(99.9), inputs).settings.populations
    neurons = [QuantisedRectifier(levels=levels, ceiling=jnp.array(setting.scale)) for setting in settings]
    hidden = [
        Layer(layer.connections, neuron, name=layer.name)
        for layer, neuron in zip(network.layers[:-1], neurons, strict=True)
    ]
    return Network((*hidden, network.layers[-1]))


def trained(path: Path, network: Network, task: Dataset, seed: int, **how: Any) -> Hypothesis:
    """An artificial hypothesis, from the file if it is there."""
    if not path.exists():
        algorithm = GradientDescent(batch_size=64, **how)
        encoder = sl.coding.Rescaled(Current(num_steps=1), task.low, task.high)
        experiment = sl.Experiment(task, encoder, network, algorithm, jax.random.split(jax.random.key(seed), 1))
        for epoch in experiment.epochs():
            print(path.stem, epoch.number, f"validation error {epoch.metrics.validation_error[0]:.2%}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        sl.save(experiment.hypotheses(epoch.training)[0], path)
    return sl.load(path)[0]


def risk(hypothesis: Hypothesis, sample: Sample) -> dict[str, Any]:
    """Errors on a sample, with an interval of the accuracy."""
    return _accuracy(int(np.sum(sl.predict(hypothesis, sample.x) != sample.y)), len(sample.y))


def _accuracy(errors: int, m: int) -> dict[str, Any]:
    interval = clopper_pearson(errors, m)
    return {"errors": errors, "n": m, "accuracy": 1 - errors / m, "interval": [1 - interval.high, 1 - interval.low]}


def converted(
    hypothesis: Hypothesis, method: conversion.AbstractConversion, task: Dataset, steps: Sequence[int]
) -> dict[str, Any]:
    """Convert for the last of some numbers of steps, and read the output after each."""
    start = time.perf_counter()
    spiking, found = conversion.convert_hypothesis(hypothesis, method, task.train.x[:CALIBRATING], num_steps=steps[-1])
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    scores = conversion.scores_over_time(spiking, task.test.x, tuple(steps))
    inference = time.perf_counter() - start
    layers = conversion.compare_layers(found, artificial_inputs(hypothesis.encoder, task.validation.x[:64]))
    errors = {s: int(np.sum(scores[:, n].argmax(axis=1) != task.test.y)) for n, s in enumerate(steps)}
    return {
        "method": repr(found.method),
        "conversion_seconds": seconds,
        "inference_seconds": inference,
        "steps": {str(s): _accuracy(count, len(task.test.y)) for s, count in errors.items()},
        "layers": [layer._asdict() for layer in layers],
    }


def main(
    out: Path,
    figure: Path,
    train: int | None,
    test: int | None,
    epochs: int | None,
    seed: int,
    networks: Sequence[str],
    methods: Sequence[str],
) -> None:
    """Everything that is not there yet."""
    task = data(train, test)
    share(out / "task.npz", task)
    for name in networks:
        rectifiers = trained(
            out / f"{name} Rectifier.npz",
            NETWORKS[name](jax.random.key(seed)),
            task,
            seed,
            epochs=epochs or EPOCHS[name],
            optimizer=Optimizer(learning_rate=RATE),
        )
        levels = trained(
            out / f"{name} QuantisedRectifier.npz",
            quantised(rectifiers.network, task.train.x[:CALIBRATING], LEVELS[name]),
            task,
            seed,
            epochs=min(FINE_EPOCHS, epochs or FINE_EPOCHS),
            initialisation=AsGiven(),
            optimizer=Optimizer(learning_rate=FINE),
        )
        for unit, artificial in ((Rectifier, rectifiers), (QuantisedRectifier, levels)):
            kind = f"{name} {unit.__name__}"
            kept(out / f"{kind}.json", lambda one=artificial: risk(one, task.test))
            for method in methods:
                if (method == "QCFS") != (unit is QuantisedRectifier):
                    continue
                for steps in [(s,) for s in STEPS] if method in FOR_EACH else [STEPS]:
                    file = out / f"{name} {method} {steps[-1]}.json"
                    kept(file, lambda h=artificial, v=METHODS[method], s=steps: converted(h, v, task, s))
        print(f"{name}:\n{table(out, name)}")
    draw(out, figure, networks)


def points(out: Path, name: str, method: str) -> dict[int, float]:
    """Of a network and a method, the accuracy after each number of steps that is known."""
    found: dict[int, float] = {}
    for file in out.glob(f"{name} {method} *.json"):
        if file.stem.removeprefix(f"{name} {method} ").isdecimal():
            found |= {int(s): one["accuracy"] for s, one in json.loads(file.read_text())["steps"].items()}
    return dict(sorted(found.items()))


def names(out: Path, name: str) -> tuple[list[str], list[str]]:
    """The methods of which a network has results: ours, and SpikingJelly's recipes."""
    peers = {file.stem.removeprefix(f"{name} ").rpartition(" ")[0] for file in out.glob(f"{name} SpikingJelly *.json")}
    return [method for method in METHODS if points(out, name, method)], sorted(peers)


def table(out: Path, name: str) -> str:
    """Test accuracy in per cent, methods by steps."""
    lines = ["| method | " + " | ".join(f"T = {s}" for s in STEPS) + " |", "|---|" + "---|" * len(STEPS)]
    for method in chain(*names(out, name)):
        found = points(out, name, method)
        lines.append(
            f"| {method} | " + " | ".join(f"{100 * found[s]:.2f}" if s in found else "–" for s in STEPS) + " |"
        )
    return "\n".join(lines)


@matplotlib.rc_context(STYLE | {"svg.hashsalt": "snnlearn"})
def draw(out: Path, path: Path, networks: Sequence[str]) -> None:
    """Accuracy against steps, one panel for each network."""
    figure = Figure(figsize=(3.9 * len(networks) + 2.6, 3.6), layout="constrained")
    axes = figure.subplots(1, len(networks), squeeze=False, sharey=True)
    for ax, name in zip(axes[0], networks, strict=True):
        for group, style in zip(names(out, name), ("o-", "s:"), strict=True):
            for number, method in enumerate(group):
                found = points(out, name, method)
                accuracy = [100 * a for a in found.values()]
                color = matplotlib.colormaps["tab10"](number)
                ax.plot([*found], accuracy, style, color=color, markersize=3, linewidth=1.3, label=method)
        for unit, style in ((Rectifier, "--"), (QuantisedRectifier, "-.")):
            accuracy = json.loads((out / f"{name} {unit.__name__}.json").read_text())["accuracy"]
            label = f"artificial, {unit.__name__}"
            ax.axhline(100 * accuracy, color=GREY, linewidth=1, linestyle=style, label=label)
        ax.set(title=f"{name}, Fashion-MNIST", xlabel="steps", xscale="log", xticks=STEPS, xticklabels=STEPS)
        ax.set_ylim(80, 93)
        ax.minorticks_off()
        ax.grid(color=GREY, alpha=0.25, linewidth=0.6)
    axes[0][0].set(ylabel="test accuracy (%)")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right center", fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=160)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    parser.add_argument("--train", type=int)
    parser.add_argument("--test", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=tuple(NETWORKS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    main(**vars(parser.parse_args()))
