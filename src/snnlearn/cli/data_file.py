"""The command `snnlearn data`: the contents of a data file, before training on it."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
from rich.table import Table
from rich.text import Text

from snnlearn._errors import SnnlearnError
from snnlearn._files import replacing
from snnlearn.cli import build
from snnlearn.cli.choices import DATA
from snnlearn.cli.commands import console_of
from snnlearn.cli.options import Data, Train
from snnlearn.data import Dataset, overlap
from snnlearn.data.ends import filled, own_steps
from snnlearn.data.formats import format_of

_MOST_ROWS = 12


def data(options: Data) -> int:
    """Print the contents of a file and how to train on it; draw them if a folder is given."""
    options.check()
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise SnnlearnError(f"--out: {options.out} is not a folder; give the path of one")
    task = build.everything(_as_training(options))
    console = console_of()
    for table in (_parts(task), _classes(task) if task.num_classes else _targets(task), _features(task)):
        console.print(table)
    for sentence in (*_said(task, options.file), *task.notes):
        console.print(Text(sentence), soft_wrap=True)
    if options.out is not None:
        console.print(Text(f"Picture: {_draw(task, options.out)}"), soft_wrap=True)
    console.print(Text(f"To train: {training_command(options, task)}"), soft_wrap=True)
    return 0


def _as_training(options: Data) -> Train:
    shared = {
        name: getattr(options, name) for name in ("label", "task", "group", "time_unit", "num_steps", "dt", "allow")
    }
    cut = {name: getattr(options, name) for name in ("validation", "test", "split_seed", "data_folder")}
    return Train(data=options.file, **shared, **cut)


def training_command(options: Data, task: Dataset) -> str:
    """The command that trains on these data, with all options about them.

    Args:
        options: of this command.
        task: the data.
    """
    words = ["snnlearn", "train", "--data", options.file]
    for name in ("label", "task", "group", "time_unit", "data_folder", "num_steps", "dt"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    for name in ("validation", "test", "split_seed"):
        if getattr(options, name) != getattr(Data(), name):
            words += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
    return shlex.join(words)


def _parts(task: Dataset) -> Table:
    table = Table(task.name, "samples", "shape of x", "equal to one of training or validation")
    for name in ("train", "validation", "test"):
        sample = getattr(task, name)
        again = str(int(task.seen(sample.x).sum())) if name == "test" else "–"
        if name == "validation":
            again = f"{overlap(sample, task.train)} (of training)"
        table.add_row(name, f"{len(sample.y):,}", " × ".join(map(str, task.shape)), again)
    return table


def _classes(task: Dataset) -> Table:
    names = task.output_names
    table = Table("class", "train", "validation", "test", "share of all")
    counts = np.stack([np.bincount(getattr(task, part).y, minlength=len(names)) for part in _PARTS], axis=1)
    for name, own in list(zip(names, counts, strict=True))[:_MOST_ROWS]:
        table.add_row(name, *(f"{count:,}" for count in own), f"{own.sum() / counts.sum():.1%}")
    if len(names) > _MOST_ROWS:
        rest = counts[_MOST_ROWS:].sum(axis=0)
        share = f"{rest.sum() / counts.sum():.1%}"
        table.add_row(f"{len(names) - _MOST_ROWS} more", *(f"{count:,}" for count in rest), share)
    return table


def _targets(task: Dataset) -> Table:
    """The range of each value in the training part, or the share of samples in which a label holds."""
    y = task.train.y
    names = list(zip(task.output_names, y.T, strict=True))
    if task.task == "multi-label":
        table = Table("label", "holds in training", "share")
        for name, own in names[:_MOST_ROWS]:
            table.add_row(name, f"{own.sum():,}", f"{own.mean():.1%}")
    else:
        table = Table("to be predicted", "least", "mean", "greatest", "standard deviation", "different")
        for name, own in names[:_MOST_ROWS]:
            numbers = (own.min(), own.mean(dtype=np.float64), own.max(), own.std(dtype=np.float64))
            table.add_row(name, *(f"{number:.4g}" for number in numbers), f"{np.unique(own).size:,}")
    if len(names) > _MOST_ROWS:
        table.add_row(f"{len(names) - _MOST_ROWS} more", *[""] * (len(table.columns) - 1))
    return table


_PARTS = ("train", "validation", "test")


def _features(task: Dataset) -> Table:
    """The range of each feature, or channel, in the training part; or how often units spike."""
    x = task.train.x
    if task.kind == "spikes":
        steps, x = own_steps(x).sum(), filled(x, 0)
        rates = x.sum(axis=(0, 1), dtype=np.int64) / (steps * task.dt)
        table = Table("spikes", "least", "median", "greatest", "units that never spike")
        silent = f"{int((rates == 0).sum()):,} of {rates.size:,}"
        table.add_row("of a unit, Hz", *(f"{q:.3g}" for q in np.quantile(rates, (0, 0.5, 1))), silent)
        counts = x.sum(axis=(1, 2), dtype=np.int64)
        table.add_row("of a sample", *(f"{q:,.0f}" for q in np.quantile(counts, (0, 0.5, 1))), "")
        return table
    table = Table("feature", "least", "mean", "greatest", "different")
    names, values = _named(task, x)
    values = [own[~np.isnan(own)] for own in values]  # what comes after a series's end
    for name, own in list(zip(names, values, strict=True))[:_MOST_ROWS]:
        numbers = (f"{number:.4g}" for number in (own.min(), own.mean(dtype=np.float64), own.max()))
        table.add_row(name, *numbers, f"{np.unique(own).size:,}")
    if len(names) > _MOST_ROWS:
        table.add_row(f"{len(names) - _MOST_ROWS} more", "", "", "", "")
    return table


def _named(task: Dataset, x: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    columns = [feature for column in task.form.columns for feature in column.features]
    if len(columns) == x.shape[-1] and x.ndim == 2:
        return columns, list(x.T)
    if task.structure == "series":
        return [f"channel {i}" for i in range(x.shape[-1])], list(np.moveaxis(x, -1, 0))
    if x.ndim == 2:
        return [f"feature {i}" for i in range(x.shape[-1])], list(x.T)
    return ["all values"], [x.ravel()]


def _said(task: Dataset, file: str) -> list[str]:
    """What no table has."""
    kind = None if file in DATA.choices else format_of(Path(file))
    said = [] if kind is None else [f"{file} is of the format: {kind.name}."]
    if task.structure == "series":
        said.append(
            f"A sample is a series of {task.shape[0]} values of {task.shape[1]} channels; --series encodes it frame by "
            "frame."
        )
    if task.kind == "spikes":
        said.append(
            f"Spikes in {task.shape[0]} time steps of {1e3 * task.dt:g} ms, {task.shape[0] * task.dt:.4g} s in all, of "
            f"{task.shape[1]:,} units" + (f" ({' × '.join(map(str, task.form.grid))})." if task.form.grid[1:] else ".")
        )
    if task.ends:
        lengths = np.concatenate([own_steps(getattr(task, part).x) for part in _PARTS])
        low, middle, high = np.quantile(lengths, (0, 0.5, 1)).astype(int)
        what = "steps" if task.kind == "spikes" else "values"
        said.append(f"Samples end after {low} to {high} {what}, half of them after at most {middle}.")
    if seen := int(task.seen(task.test.x).sum()):
        said.append(
            f"{seen} of {len(task.test.y)} test samples equal one of training or validation; a training leaves them "
            "out."
        )
    return said


def _draw(task: Dataset, folder: Path) -> Path:
    """A sample of each of a few classes, and how many samples each class has."""
    from matplotlib.figure import Figure

    names, y = task.output_names, task.train.y
    shown = [int(np.argmax(y == c)) for c in range(min(task.num_outputs, 5))] if task.num_classes else range(4)
    shown = [index for index in shown if index < len(y)]
    figure = Figure(figsize=(3 * (len(shown) + 1), 3), layout="constrained")
    axes = figure.subplots(1, len(shown) + 1)
    for ax, index in zip(axes, shown, strict=False):
        x = task.train.x[index]
        said = ", ".join(f"{value:.4g}" for value in y[index].tolist()) if y.ndim > 1 else names[y[index]]
        ax.set_title(said[:30], parse_math=False)
        if task.kind == "spikes":
            step, unit = np.nonzero(x == 1)
            ax.plot(1e3 * task.dt * step, unit, "|", markersize=2)
            ax.set(xlabel="ms", ylabel="unit")
        elif x.ndim == 1 or task.structure == "series":
            ax.plot(x)
        else:
            picture = np.moveaxis(x, 0, -1) if x.ndim == 3 and len(x) == 3 else x.reshape(-1, x.shape[-1])
            low, high = np.min(task.low), np.max(task.high)
            ax.imshow(np.clip((picture - low) / (high - low), 0, 1), cmap="gray")
    everything = np.concatenate([getattr(task, part).y for part in _PARTS])
    if task.task == "regression":
        axes[-1].hist(everything[:, 0], bins=24)
        axes[-1].set(xlabel=names[0], ylabel="samples")
    else:
        counts = everything.sum(axis=0) if everything.ndim > 1 else np.bincount(everything, minlength=len(names))
        axes[-1].barh(np.arange(len(names)), counts)
        axes[-1].set(yticks=[], xlabel="samples", ylabel="label" if everything.ndim > 1 else "class")
    path = folder / "data.png"
    with replacing(path) as new:
        figure.savefig(new, format="png")
    return path
