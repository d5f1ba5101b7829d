"""aihwkit 1.1: dense layers with noisy weights, trained and measured as `circuits_peers.py` does it with snnlearn.

    python aihwkit_noise.py TASK RESULT

The nearest model is the weight modifier `ADD_NORMAL` of the tile in torch, relative to the largest weight; converters
are perfect and biases digital. The tile is noisy in training mode only, and draws noise in each forward pass, so
networks stay in this mode, and one pass over the whole test sample is one chip.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs import (
    IOParameters,
    TorchInferenceRPUConfig,
    WeightModifierParameter,
    WeightModifierType,
)


def network(sizes: list[int], sigma: float) -> torch.nn.Sequential:
    """A rectifier network on noisy tiles."""
    kind = WeightModifierType.ADD_NORMAL if sigma else WeightModifierType.NONE
    config = TorchInferenceRPUConfig(
        forward=IOParameters(is_perfect=True),
        modifier=WeightModifierParameter(type=kind, std_dev=sigma, rel_to_actual_wmax=True),
    )
    parts: list[torch.nn.Module] = []
    for inputs, units in itertools.pairwise(sizes):
        parts += [AnalogLinear(inputs, units, bias=True, rpu_config=config), torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).train()


def layers(made: torch.nn.Sequential) -> list[AnalogLinear]:
    """Its tiles."""
    return [part for part in made if isinstance(part, AnalogLinear)]


def with_weights(made: torch.nn.Sequential, weights: list[tuple]) -> torch.nn.Sequential:
    """The network with these weights and biases."""
    for layer, (weight, bias) in zip(layers(made), weights, strict=True):
        layer.set_weights(torch.as_tensor(weight), torch.as_tensor(bias))
    return made


def trained(made: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor, task: dict, seed: int) -> float:
    """Train it; the seconds of processors that this took."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(made.parameters(), lr=task["learning_rate"])
    size = task["batch_size"]
    start = time.process_time()
    for _ in range(task["epochs"]):
        order = torch.randperm(len(y))
        for first in range(0, len(y) - size + 1, size):
            chosen = order[first : first + size]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(made(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return time.process_time() - start


@torch.no_grad()
def errors(made: torch.nn.Sequential, x: torch.Tensor, y: torch.Tensor, chips: int, seed: int) -> list[float]:
    """The test error of each chip."""
    torch.manual_seed(1000 + seed)
    return [float((made(x).argmax(dim=1) != y).float().mean()) for _ in range(chips)]


def main(task_file: Path, result: Path) -> None:
    """All seeds and deviations."""
    torch.set_num_threads(1)
    arrays = dict(np.load(task_file))
    task = json.loads(str(arrays.pop("task")))
    x, x_test = (torch.as_tensor(arrays[k]) for k in ("x", "x_test"))
    y, y_test = (torch.as_tensor(arrays[k]).long() for k in ("y", "y_test"))
    sizes, found = task["sizes"], {"version": version("aihwkit"), "seconds": [], "errors": {}}

    def run(seed: int, sigma: float) -> list[tuple]:
        starts = [(arrays[f"weight {seed} {n}"], np.zeros(units, np.float32)) for n, units in enumerate(sizes[1:])]
        made = with_weights(network(sizes, sigma), starts)
        found["seconds"].append(trained(made, x, y, task, seed))
        return [layer.get_weights() for layer in layers(made)]

    for seed in range(task["seeds"]):
        plain = run(seed, 0.0)
        aware = {sigma: run(seed, sigma) for sigma in task["deviations"]}
        cells = {"ideal": (plain, 0.0, 1)}
        cells |= {f"plain {s}": (plain, s, task["chips"]) for s in task["deviations"]}
        cells |= {f"aware {s}": (weights, s, task["chips"]) for s, weights in aware.items()}
        for cell, (weights, sigma, chips) in cells.items():
            measured = errors(with_weights(network(sizes, sigma), weights), x_test, y_test, chips, seed)
            found["errors"].setdefault(cell, []).append(measured)
    result.write_text(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
