"""What the options leave open, chosen by the kind and the size of the data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import jax
import numpy as np

from snnlearn.algorithms import usual_learning_rate
from snnlearn.algorithms.gradient_descent import Diverged
from snnlearn.cli import build, interrupts
from snnlearn.cli.options import Train
from snnlearn.data import Dataset

T = TypeVar("T", bound=Train)

_UPDATES = 800
_STEPS = 20
_EPOCHS = (10, 100)
_BATCH = 64


def chosen(options: T, task: Dataset) -> tuple[T, tuple[str, ...]]:
    """The options with all that the data decide, and what was chosen and why, in clauses.

    Args:
        options: what the user gave.
        task: the data.
    """
    because: list[str] = []
    if task.structure == "series" and options.encode is None and not options.series:
        options, why = _presented(options, task)
        because.append(why)
    if task.kind == "values" and options.scale is None:
        scale = scale_of(options, task)
        options = replace(options, scale=scale)
        because.append(f"--scale {scale}, as the data are {_PLURALS[task.structure]}")
    if options.series and options.num_steps is None and options.encode in (None, "current"):
        steps = math.ceil(_STEPS / task.shape[0])
        options = replace(options, num_steps=steps)
        because.append(f"--num-steps {steps} of each frame")
    size, batch = len(task.train.y), options.batch_size
    if batch is None:
        # At least eight gradients an epoch.
        batch = min(_BATCH, max(8, 2 ** int(math.log2(max(1, size // 8)))), size)
        options = replace(options, batch_size=batch)
        because.append(f"--batch-size {batch}")
    if options.epochs is None:
        gradients = max(1, size // batch)
        epochs = min(max(math.ceil(_UPDATES / gradients), _EPOCHS[0]), _EPOCHS[1])
        options = replace(options, epochs=epochs)
        because.append(f"--epochs {epochs} of {gradients:,} gradients")
    if options.learning_rate is None:
        epochs, batch = options.counts()
        rate = float(f"{usual_learning_rate(epochs * max(1, size // batch)):.1g}")
        options = replace(options, learning_rate=rate)
        because.append(f"--learning-rate {rate:g}")
    return options, tuple(because)


_PLURALS = {"table": "a table", "series": "time series", "image": "images", "events": "events"}


def scale_of(options: Train, task: Dataset) -> str:
    """Features of a table, and channels of a series, have units of their own; pixels of an image share theirs."""
    of_one_unit = task.structure == "image" and not options.series
    if build.code_of(options, task).range:
        return "all" if of_one_unit else "range"
    return "centred" if of_one_unit else "standard"


def _presented(options: T, task: Dataset) -> tuple[T, str]:
    """Whether a series is given frame by frame or as a whole, by two short trainings."""
    candidates = [replace(options, encode="current", series=series) for series in (False, True)]
    found = []
    for candidate in candidates:
        one, _ = chosen(candidate, task)
        short = replace(one, epochs=max(5, one.counts()[0] // 4), seeds=1)
        experiment = build.experiment(short, task)
        try:
            training = experiment.run(lambda _: interrupts.check())
            best = jax.tree.map(lambda leaf: np.asarray(leaf)[0].item(), (training.best_errors, training.best_loss))
        except Diverged:  # which the training proper says, if it is chosen nevertheless
            best = (len(task.validation.y), math.inf)
        found.append((best, candidate))
    whole, frames = (f"{errors / len(task.validation.y):.0%}" for (errors, _), _ in found)
    _, best = min(found, key=lambda one: one[0])
    how = "--series, frame by frame," if best.series else "--encode current, the whole series at once,"
    against = f"validation error {frames} by frames and {whole} as a whole"
    return best, f"{how} by two short trainings ({against})"
