"""What the options leave open, chosen by the kind and the size of the data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

import jax
import numpy as np

from snnlearn.algorithms import usual_learning_rate
from snnlearn.algorithms.divergence import Diverged
from snnlearn.cli import build, interrupts
from snnlearn.cli.options import Train
from snnlearn.data import Dataset

T = TypeVar("T", bound=Train)

_UPDATES = {"classification": 800, "regression": 1600, "multi-label": 800}
_STEPS = 20
_STEPS_OF_VALUES = 50
_STRONG = 0.5
"""Weight decay of noisy values, of which a network could learn each by heart."""
_EPOCHS = (10, 100)
_BATCH = 64


def chosen(options: T, task: Dataset) -> tuple[T, tuple[str, ...]]:
    """The options with all that the data decide, and what was chosen and why, in clauses.

    Args:
        options: what the user gave.
        task: the data.
    """
    because: list[str] = []
    if task.num_classes is None and options.task is None:
        options = replace(options, task=task.task)
    if options.sequence is not None or task.target_steps > 1:
        options = replace(options, series=True)
        because.append("--series, frame by frame, as targets or pixels have their steps")
    if task.target_steps > 1 and options.readout is None:
        options = replace(options, readout="last-steps")
        because.append(f"--readout last-steps, the {task.target_steps} that have targets")
    if task.structure == "series" and not options.series and build.of_sequences(options):
        options = replace(options, series=True)
        because.append(f"--series, frame by frame, for {options.neuron}")
    if task.structure == "series" and options.encode is None and not options.series:
        options, why = _presented(options, task)
        because.append(why)
    if task.kind == "values" and options.scale is None:
        scale = scale_of(options, task)
        options = replace(options, scale=scale)
        because.append(f"--scale {scale}, as the data are {_PLURALS[task.structure]}")
    if options.series and options.num_steps is None and options.encode in (None, "current"):
        steps = 1 if build.artificial(options) else math.ceil(_STEPS / task.shape[0])
        options = replace(options, num_steps=steps)
        because.append(f"--num-steps {steps} of each frame")
    whole = task.kind == "values" and not options.series and not build.artificial(options)
    if task.task == "regression" and options.num_steps is None and whole:
        options = replace(options, num_steps=_STEPS_OF_VALUES)
        because.append(f"--num-steps {_STEPS_OF_VALUES}, as values are predicted")
    size, batch = len(task.train.y), options.batch_size
    if batch is None:
        # At least eight gradients an epoch.
        batch = min(_BATCH, max(8, 2 ** int(math.log2(max(1, size // 8)))), size)
        options = replace(options, batch_size=batch)
        because.append(f"--batch-size {batch}")
    if options.epochs is None:
        gradients = max(1, size // batch)
        epochs = min(max(math.ceil(_UPDATES[task.task] / gradients), _EPOCHS[0]), _EPOCHS[1])
        options = replace(options, epochs=epochs)
        because.append(f"--epochs {epochs} of {gradients:,} gradients")
    if options.learning_rate is None:
        epochs, batch = options.counts()
        relative = epochs * max(1, size // batch) / _UPDATES[task.task]
        rate = float(f"{usual_learning_rate(math.ceil(_UPDATES['classification'] * relative)):.1g}")
        options = replace(options, learning_rate=rate)
        because.append(f"--learning-rate {rate:g}")
    if task.task == "regression" and options.optimizer is None:
        options, why = _regularised(options, task)
        because.append(why)
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
        steady = replace(candidate, optimizer=candidate.optimizer or "adam")
        one, _ = chosen(steady, task)
        found.append(_tried(replace(one, epochs=max(5, one.counts()[0] // 4), seeds=1), task))
    best = candidates[min(range(2), key=lambda i: found[i])]
    if task.task == "regression":
        (_, whole), (_, frames) = found
        against = f"relative squared error of validation {frames:.3g} by frames and {whole:.3g} as a whole"
    else:
        whole, frames = (f"{errors / task.validation.y.size:.0%}" for errors, _ in found)
        against = f"validation error {frames} by frames and {whole} as a whole"
    how = "--series, frame by frame," if best.series else "--encode current, the whole series at once,"
    return best, f"{how} by two short trainings ({against})"


def _regularised(options: T, task: Dataset) -> tuple[T, str]:
    """How strongly weights decay: what suits noisy values spoils exact ones, and the other way round."""
    plain = replace(options, optimizer="adam", bias=True)
    strong = replace(options, optimizer="adamw", weight_decay=_STRONG, bias=True)
    without, decayed = (_tried(replace(one, seeds=1), task)[1] for one in (plain, strong))
    best, name = (strong, f"--optimizer adamw --weight-decay {_STRONG} --bias") if decayed < without else (plain, "")
    against = f"relative squared error of validation {decayed:.3g} with weight decay and {without:.3g} without"
    return best, f"{name or '--optimizer adam --bias'}, by two trainings ({against})"


def _tried(options: Train, task: Dataset) -> tuple[float, float]:
    """Errors and loss on the validation sample, of the epoch that a training keeps."""
    try:
        training = build.experiment(options, task).run(lambda _: interrupts.check())
    except Diverged:  # which the training proper says, if it is chosen nevertheless
        return task.validation.y.size, math.inf
    errors, loss = jax.tree.map(lambda leaf: np.asarray(leaf)[0].item(), (training.best_errors, training.best_loss))
    return float(errors), loss
