"""The folder of a run, which can be killed at any moment and resumed.

- `run.json`: the folder's format, the version that wrote it, and digests of the two files that never change:
- `config.toml`: every option
- `seen.npz`: a digest of each sample
- `epochs`: the number of epochs, if the run was extended
- `metrics.jsonl`: a line for each epoch
- `checkpoint.npz`: every array of the training, after the last epoch that was saved
- `model.npz`, `summary.json`, `report.html`: at the end

Each file is written completely or not at all, except `metrics.jsonl`, whose lines after the checkpoint are dropped when
a run is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically
from snnlearn.algorithms import Epoch, Metrics, Training
from snnlearn.algorithms.devices import is_key
from snnlearn.cli.build import own_classes
from snnlearn.cli.config import own_names, read_config, write_config
from snnlearn.cli.folders import RUN
from snnlearn.cli.options import Train
from snnlearn.hypothesis import Hypothesis
from snnlearn.model_file import check_finite, load, read_arrays, write_arrays
from snnlearn.report.measure import History

# A checkpoint waits for the disk, so that a run of quick epochs does without one for each.
_SECONDS_BETWEEN_CHECKPOINTS = 5.0


class RunFolder:
    """A run's folder; make one by `create` or `open`."""

    def __init__(self, path: Path, *, allow: Sequence[str] = ()):
        self.path = path
        self._allow = tuple(allow)
        self._last_checkpoint = time.monotonic()
        self._saved_epoch = 0

    @classmethod
    def create(cls, path: Path, options: Train) -> RunFolder:
        """Make the folder of a new run.

        Args:
            path: the folder, which no other process writes.
            options: the run's.
        """
        write_atomically(path / "config.toml", write_config(options).encode())
        return cls(path, allow=own_names(tuple(vars(options).values())))

    def begin(self) -> None:
        """Mark the folder as a run, whose options and samples do not change."""
        RUN.begin(self.path)

    @classmethod
    def open(cls, path: Path, *, allow: Sequence[str] = ()) -> RunFolder:
        """Open an existing run's folder.

        Args:
            path: the folder.
            allow: the user's classes, as `module:Class`, that its options may name.

        Raises:
            SnnlearnError: if it is none, or of another format.
        """
        RUN.check(path)
        return cls(path, allow=allow)

    def resume_command(self) -> str:
        """The command that resumes the run."""
        return f"snnlearn train --resume {shlex.quote(str(self.path))}"

    def reproduce_command(self) -> str:
        """The command that repeats the training from the start."""
        longer = f" --epochs {self.options().epochs}" if (self.path / "epochs").exists() else ""
        return f"snnlearn train --config {shlex.quote(str(self.path / 'config.toml'))}{longer}"

    def model(self) -> Path:
        """The model's file.

        Raises:
            SnnlearnError: if the training is not finished.
        """
        if not (self.path / "model.npz").exists():
            raise SnnlearnError(f"{self.path} has no model yet; finish its training with {self.resume_command()}")
        return self.path / "model.npz"

    def load(self) -> tuple[Hypothesis, tuple[str, ...]]:
        """The hypothesis of the training, and the names of its classes.

        The model may contain the user's classes that the run's options name and that are allowed.

        Raises:
            SnnlearnError: if the training is not finished, or its model cannot be read.
        """
        return load(self.model(), allow=own_classes(self.options()))

    def options(self) -> Train:
        """The run's options.

        Raises:
            SnnlearnError: if a file that says them is missing or damaged.
        """
        options, longer = read_config(self.path / "config.toml", allow=self._allow), self.path / "epochs"
        if options.scale is None:  # a run from before there was a choice
            options = dataclasses.replace(options, scale="all")
        if not longer.exists():
            return options
        epochs, _ = options.counts()
        text = longer.read_text(encoding="utf-8", errors="replace").strip() if longer.is_file() else ""
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > epochs):
            raise SnnlearnError(
                f"{longer} is not a number above the {epochs} epochs of config.toml; restore it, or remove it"
            )
        return dataclasses.replace(options, epochs=int(text))

    def lengthen(self, epochs: int) -> None:
        """Extend the training: schedules then end with the last of these epochs.

        Args:
            epochs: how many in all.

        Raises:
            SnnlearnError: if these are no more than the run has.
        """
        if epochs <= (now := self.options().counts()[0]):
            raise SnnlearnError(f"--epochs {epochs} is not more than the {now} of {self.path}; give more, or drop it")
        write_atomically(self.path / "epochs", f"{epochs}\n".encode())

    def add_metrics(self, epoch: Epoch) -> None:
        """Append one epoch's line."""
        line = {"epoch": epoch.number, "seconds": epoch.seconds}
        line |= {name: np.asarray(values).tolist() for name, values in epoch.metrics._asdict().items()}
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def metrics(self, seeds: tuple[int, ...] | None = None) -> list[dict[str, Any]]:
        """The lines so far, up to an incomplete or damaged one.

        Args:
            seeds: the shape of each metric, if it is known.
        """
        lines = []
        file = self.path / "metrics.jsonl"
        if file.exists() and not file.is_file():  # such as a pipe, whose end would be waited for
            raise SnnlearnError(f"{file} is not a file; restore it")
        for text in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else ():
            try:
                line = json.loads(text)
                values = [np.array(line[name], float) for name in Metrics._fields]
                if line["epoch"] != len(lines) + 1 or np.isnan([*map(np.sum, values), line["seconds"]]).any():
                    break
                if seeds is not None and any(each.shape != seeds for each in values):
                    break
            except (ValueError, TypeError, KeyError, RecursionError):
                break
            lines.append(line)
        return lines

    def history(self, best_epoch: np.ndarray) -> History:
        """How the training went."""
        lines = self.metrics()
        curves = {name: np.array([line[name] for line in lines]).T for name in (*Metrics._fields, "seconds")}
        return History(**curves, best_epoch=best_epoch)

    def checkpoint(self, training: Training, *, now: bool) -> None:
        """Save the training, unless it already is.

        Args:
            training: the training.
            now: even if the last checkpoint is only seconds old.
        """
        epoch = int(training.epoch[0])
        recent = time.monotonic() - self._last_checkpoint < _SECONDS_BETWEEN_CHECKPOINTS
        if epoch == self._saved_epoch or (recent and not now):
            return
        write_arrays(self.path / "checkpoint.npz", _arrays(training) | {"run": self._identity()})
        self._saved_epoch, self._last_checkpoint = epoch, time.monotonic()

    def _identity(self) -> np.ndarray:
        """An array that identifies the run."""
        return np.frombuffer(RUN.identity(self.path).encode(), np.uint8)

    def last(self, fresh: Training) -> Training:
        """The training of the checkpoint, or the fresh one if there is none.

        Args:
            fresh: the same training before its first epoch.

        Raises:
            SnnlearnError: if the checkpoint is not the run's, or it or the metrics are damaged.
        """
        path, training = self.path / "checkpoint.npz", fresh
        if path.exists():
            found, expected = read_arrays(path), _arrays(fresh) | {"run": self._identity()}
            if _types(found) != _types(expected) or not np.array_equal(found["run"], expected["run"]):
                raise SnnlearnError(
                    f"{path} does not belong to this run; restore the run's own, or remove it to start again"
                )
            check_finite(path, {name: array for name, array in found.items() if name != "best_loss"})
            training = _with_arrays(fresh, found)
        epoch = int(training.epoch[0])
        best = np.asarray(training.best_epoch)
        if np.any(training.epoch != epoch) or epoch < 0 or np.any((best < 0) | (best > epoch)):
            raise SnnlearnError(f"{path} has an impossible number of epochs; restore the run's own, or train again")
        kept = self.metrics(seeds=training.epoch.shape)[:epoch]
        if len(kept) != epoch:
            raise SnnlearnError(
                f"{self.path / 'metrics.jsonl'} has {len(kept)} of the {epoch} epochs of the checkpoint; restore the "
                f"file, or train again with --config {self.path / 'config.toml'}"
            )
        return training

    def restore(self, fresh: Training) -> Training:
        """The training of the checkpoint, or the fresh one if there is none; later metrics are dropped.

        Args:
            fresh: the same training before its first epoch.

        Raises:
            SnnlearnError: as `last`.
        """
        training = self.last(fresh)
        kept = self.metrics(seeds=training.epoch.shape)[: int(training.epoch[0])]
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._saved_epoch = len(kept)
        return training


def _place(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _arrays(training: Training) -> dict[str, np.ndarray]:
    """The arrays by their place in the training, random keys as their bits."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(training, eqx.is_array))
    return {_place(path): np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf) for path, leaf in leaves}


def _with_arrays(training: Training, arrays: dict[str, np.ndarray]) -> Training:
    def put(path, leaf):
        if not eqx.is_array(leaf):
            return leaf
        found = jnp.asarray(arrays[_place(path)])
        return jax.random.wrap_key_data(found) if is_key(leaf) else found

    return jax.tree_util.tree_map_with_path(put, training)


def _types(arrays: dict[str, np.ndarray]) -> dict[str, tuple]:
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}
