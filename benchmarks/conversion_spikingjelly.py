"""The networks of `conversion.py` converted by SpikingJelly's recipes, with the interpreter of its environment.

    benchmarks/.venv-peers/bin/python benchmarks/conversion_spikingjelly.py --out benchmarks/results/conversion

Needs the files that `conversion.py` leaves in the folder: the samples, and the artificial networks, whose accuracy must
be the same here. The results have the same form. Recipes measure 5,000 training samples, in batches of 100, as
SpikingJelly's own example does. `--first` keeps only the first test samples, whose number the results tell.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from spikingjelly.activation_based import ann2snn, functional, neuron
from torch import nn

STEPS = (4, 8, 16, 32, 64, 128)
BATCH, CALIBRATING = 100, 5000
RECIPES = {
    "99.9 %": lambda batches: ann2snn.RateCodingRecipe(batches, mode="99.9%"),
    "local threshold balancing": lambda batches: ann2snn.LocalThresholdBalancingRecipe(batches),
    "99.9 % of each channel, half charged": lambda batches: ann2snn.RateCodingRecipe(
        batches, mode="99.9%", channel_wise=True, half_threshold=True
    ),
    "maximum": lambda batches: ann2snn.RateCodingRecipe(batches, mode="max"),
    "half of the maximum": lambda batches: ann2snn.RateCodingRecipe(batches, mode=1 / 2),
}


class Residual(nn.Module):
    """As `residual` of `conversion.py`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first, self.second = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.pool = nn.AvgPool2d(2)
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)]
        )
        self.readout = nn.Sequential(
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32 * 49, 256), nn.ReLU(), nn.Linear(256, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of a batch of images."""
        x = self.pool(self.stem(self.convolutions[0](x)))
        return self.readout(self.second(self.convolutions[2](self.first(self.convolutions[1](x))) + x))


def plain() -> nn.Module:
    """As `plain` of `conversion.py`."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 49, 256), nn.ReLU(), nn.Linear(256, 10)),
    )


NETWORKS = {"plain": plain, "residual": Residual}


def network(name: str, file: Path) -> nn.Module:
    """With the weights of a model file: those of the layers in their order, as both list them."""
    made = NETWORKS[name]()
    with np.load(file) as model:
        arrays = {key: model[key] for key in sorted(model) if key.endswith((".weight", ".bias"))}  # layer by layer
    weights = [a for key, a in arrays.items() if key.endswith(".weight")]
    biases = [a.ravel() for key, a in arrays.items() if key.endswith(".bias")]
    layers = [m for m in made.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        for layer, weight, bias in zip(layers, weights, biases, strict=True):
            assert layer.weight.shape == weight.shape
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return made.eval()


class Batches:
    """Images in batches, again and again."""

    def __init__(self, x: torch.Tensor):
        self.x = x

    def __iter__(self) -> Iterator[torch.Tensor]:
        yield from self.x.split(BATCH)


def converted(artificial: nn.Module, recipe: str, calibrating: torch.Tensor) -> nn.Module:
    """The spiking network."""
    return ann2snn.Converter(recipe=RECIPES[recipe](Batches(calibrating)), device="cpu").convert(
        copy.deepcopy(artificial)
    )


@torch.no_grad()
def errors_over_time(spiking: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: tuple[int, ...]) -> dict[int, int]:
    """How many decisions are wrong after some numbers of steps."""
    wrong = dict.fromkeys(steps, 0)
    for images, labels in zip(x.split(BATCH), y.split(BATCH), strict=True):
        functional.reset_net(spiking)
        total: Any = 0
        for step in range(1, max(steps) + 1):
            total = total + spiking(images)
            if step in wrong:
                wrong[step] += int((total.argmax(dim=1) != labels).sum())
    return wrong


@torch.no_grad()
def only_spikes(spiking: nn.Module, x: torch.Tensor) -> bool:
    """Whether all that the neurons send is 0 and 1, and some of it 1."""
    values: set[float] = set()
    units = [m for m in spiking.modules() if isinstance(m, neuron.BaseNode)]
    hooks = [m.register_forward_hook(lambda *call: values.update(call[2].unique().tolist())) for m in units]
    functional.reset_net(spiking)
    for _ in range(8):
        spiking(x)
    for hook in hooks:
        hook.remove()
    return len(units) > 0 and values == {0.0, 1.0}


def samples(out: Path, first: int | None = None) -> dict[str, torch.Tensor]:
    """Those that `conversion.py` left."""
    with np.load(out / "task.npz") as file:
        train, test = file["train_x"][:CALIBRATING, None], file["test_x"][:first, None]
        labels = file["test_y"][:first].astype(np.int64)
    images = {"train_x": train / np.float32(255), "test_x": test / np.float32(255)}
    return {**{part: torch.from_numpy(x) for part, x in images.items()}, "test_y": torch.from_numpy(labels)}


def main(out: Path, networks: list[str], first: int | None, steps: list[int], recipes: list[str]) -> None:
    """Every recipe whose result is not there yet."""
    task = samples(out, first)
    for name in networks:
        artificial = network(name, out / f"{name} Rectifier.npz")
        with torch.no_grad():
            found = torch.cat([artificial(x) for x in task["test_x"].split(BATCH)]).argmax(dim=1)
        errors, ours = int((found != task["test_y"]).sum()), json.loads((out / f"{name} Rectifier.json").read_text())
        print(f"{name}: {errors} errors of the artificial network here, {ours['errors']} of {ours['n']} there")
        if ours["n"] == len(found) and abs(errors - ours["errors"]) > 2:  # a tie may round to the other side
            raise SystemExit("the networks differ")
        for recipe in recipes:
            file = out / f"{name} SpikingJelly {recipe} {max(steps)}.json"
            if file.exists():
                continue
            start = time.perf_counter()
            spiking = converted(artificial, recipe, task["train_x"])
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            wrong = errors_over_time(spiking, task["test_x"], task["test_y"], tuple(steps))
            n = len(found)
            result = {
                "method": f"SpikingJelly 2.0.0, {recipe}",
                "artificial_errors": errors,
                "binary": only_spikes(spiking, task["test_x"][:BATCH]),
                "conversion_seconds": seconds,
                "inference_seconds": time.perf_counter() - start,
                "steps": {str(s): {"errors": e, "n": n, "accuracy": 1 - e / n} for s, e in wrong.items()},
            }
            file.write_text(json.dumps(result, indent=1) + "\n")
            print(file.name, result, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--first", type=int)
    parser.add_argument("--recipes", nargs="+", choices=tuple(RECIPES), default=list(RECIPES))
    parser.add_argument("--steps", nargs="+", type=int, default=list(STEPS))
    main(**vars(parser.parse_args()))
