"""Whether one default step size serves any data and code: `python benchmarks/step_size.py`, ten minutes on two cores.

Ten data sets, each by four codes, at the default step, a third and three times of it, and at Optax's Adam with a fixed
step of 0.01, by the error on the validation sample; no sample is used for anything else. Writes
`benchmarks/results/step_size.json`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import jax
import numpy as np
import optax
from sklearn import datasets
from sklearn.model_selection import train_test_split

import snnlearn as sl
from snnlearn import coding
from snnlearn.algorithms import GradientDescent, Optimizer
from snnlearn.algorithms.optimizers import LEARNING_RATE
from snnlearn.data import Dataset, Sample

OUT = Path(__file__).resolve().parent / "results" / "step_size.json"
CODES = {
    "current": coding.Current(num_steps=20),
    "rate": coding.Rate(num_steps=20, max_rate=500.0),
    "latency": coding.Latency(num_steps=20),
    "population": coding.Population(coding.LinearLatency(20), 8),
}
STEPS = {
    f"{factor:.3g} of the default": Optimizer(learning_rate=factor * LEARNING_RATE) for factor in (1 / 3, 1.0, 3.0)
}


def split(name: str, x: np.ndarray, y: np.ndarray) -> Dataset:
    """Each feature in [0, 1] by the range of the training sample."""
    x, held_x, y, held_y = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    low, span = x.min(axis=0), np.maximum(np.ptp(x, axis=0), 1e-12)
    train, held = (
        Sample(np.clip((part - low) / span, 0, 1).astype(np.float32), labels.astype(np.int32))
        for part, labels in ((x, y), (held_x, held_y))
    )
    return Dataset(name, train, held, held, int(y.max()) + 1, "values", low=0.0, high=1.0)


def tasks() -> list[Dataset]:
    """Tables, images and synthetic sets."""
    loaded = {
        "iris": datasets.load_iris(return_X_y=True),
        "wine": datasets.load_wine(return_X_y=True),
        "breast cancer": datasets.load_breast_cancer(return_X_y=True),
        "digits": datasets.load_digits(return_X_y=True),
        "moons": datasets.make_moons(400, noise=0.15, random_state=0),
        "circles": datasets.make_circles(400, noise=0.1, factor=0.5, random_state=0),
        "clusters": datasets.make_classification(600, 30, n_informative=8, n_classes=4, random_state=0),
        "blobs": datasets.make_blobs(400, 6, centers=6, cluster_std=4.0, random_state=0),
        "quantiles": datasets.make_gaussian_quantiles(n_samples=500, n_features=5, n_classes=3, random_state=0),
    }
    found = [split(name, *pair) for name, pair in loaded.items()]
    return [*found, sl.data.yin_yang(num_train=600, num_validation=300, num_test=50)]


def errors(optimizer, encoder, data: Dataset, seeds: int, epochs: int) -> list[float] | None:
    """Of each seed's kept epoch on the validation sample; None if it diverged."""
    sizes = math.prod(encoder.out_shape(data.shape)), 64, data.num_classes
    network = sl.network.feedforward(sizes, key=jax.random.key(0))
    algorithm = GradientDescent(optimizer=optimizer, epochs=epochs, batch_size=32)
    try:
        training = sl.Experiment(data, encoder, network, algorithm, jax.random.split(jax.random.key(1), seeds)).run()
    except sl.SnnlearnError:
        return None
    return (np.asarray(training.best_errors) / len(data.validation.y)).tolist()


def main() -> None:
    """Measure all, write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    found = []
    for data in tasks():
        for code, encoder in CODES.items():
            fixed = {"Adam, fixed 0.01": optax.adam(0.01)}
            row = {n: errors(o, encoder, data, options.seeds, options.epochs) for n, o in (STEPS | fixed).items()}
            found.append({"data": data.name, "code": code, "errors": row})
            means = "  ".join("diverged" if e is None else f"{np.mean(e):6.1%}" for e in row.values())
            print(f"{data.name:15} {code:10} {means}", flush=True)
            OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
