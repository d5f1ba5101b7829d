"""Which surrogate derivative trains recurrent networks: `python benchmarks/surrogates.py`, ten minutes on two cores.

For each surrogate, number of steps and network: the error on the validation sample, which alone decides, and by how
much the norm of the gradient grows. Trains on `randman`, spikes whose classes differ in timing alone. Writes
`benchmarks/results/surrogates.json`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax
import numpy as np

import snnlearn as sl
from snnlearn.algorithms import GradientDescent
from snnlearn.neurons import LI, LIF, Atan, Boxcar, FastSigmoid, Gaussian, Sigmoid, Triangle

OUT = Path(__file__).resolve().parent / "results" / "surrogates.json"
SURROGATES = {
    "atan": Atan(),
    "fast-sigmoid": FastSigmoid(),
    "sigmoid": Sigmoid(),
    "gaussian": Gaussian(),
    "triangle": Triangle(),
    "boxcar": Boxcar(),
    "triangle, height 1": Triangle(height=1.0),
    "boxcar, height 0.3": Boxcar(height=0.3),
}


def measure(surrogate, num_steps: int, width: int, recurrent: bool, seeds: int, epochs: int) -> dict:
    data = sl.data.randman(num_classes=5, num_steps=num_steps, samples_per_class=160, validation=0.3)
    neuron = LIF(tau_mem=10e-3, surrogate=surrogate)
    network = sl.network.feedforward(
        (20, width, 5), neuron=neuron, readout=LI(10e-3), recurrent=recurrent, key=jax.random.key(0)
    )
    algorithm = GradientDescent(loss=sl.losses.CrossEntropy(sl.coding.MaxMembrane()), epochs=epochs, batch_size=40)
    encoder = sl.coding.Spikes(num_steps=num_steps)
    norms = []
    try:
        experiment = sl.Experiment(data, encoder, network, algorithm, jax.random.split(jax.random.key(1), seeds))
        training = experiment.run(lambda epoch: norms.append(np.asarray(epoch.metrics.gradient_norm)))
        errors = (np.asarray(training.best_errors) / len(data.validation.y)).tolist()
    except sl.SnnlearnError:
        errors = None  # it diverged
    growth = float(np.max(norms) / np.median(norms[0])) if norms else None
    return {"num_steps": num_steps, "width": width, "recurrent": recurrent, "errors": errors, "growth": growth}


def main() -> None:
    """Measure all, write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    found = []
    for num_steps in options.steps:
        for width in options.widths:
            for recurrent in (False, True):
                for name, surrogate in SURROGATES.items():
                    row = measure(surrogate, num_steps, width, recurrent, options.seeds, options.epochs)
                    found.append({"surrogate": name} | row)
                    error = "diverged" if row["errors"] is None else f"{np.mean(row['errors']):6.1%}"
                    print(
                        f"{name:20} T {num_steps:4} units {width:4} recurrent {recurrent!s:5} {error}",
                        row["growth"],
                        flush=True,
                    )
                    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
