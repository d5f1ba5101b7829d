"""A run as a folder that can be killed at any moment and gone on with.

- `run.json`: the folder's format, and the version that wrote it
- `config.toml`: every option
- `metrics.jsonl`: a line for each epoch
- `checkpoints/`: the training after some of the epochs (Orbax)
- `model.npz`, `summary.json`, `report.html`: at the end

Each file is written whole or not at all, but for `metrics.jsonl`, whose lines past the last checkpoint are dropped
when a run goes on.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from snnlearn import __version__
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Metrics, Training
from snnlearn.cli.config import read_config, write_config
from snnlearn.cli.options import Train
from snnlearn.model_file import write_atomically
from snnlearn.report.measure import History

FORMAT = 1
# A checkpoint costs some tens of milliseconds, so that a run of quick epochs does without one for each.
_SECONDS_BETWEEN_CHECKPOINTS = 5.0


class RunFolder:
    """A run's folder; make one by `create` or `open`."""

    def __init__(self, path: Path):
        self.path = path
        self._manager = None
        self._last_checkpoint = time.monotonic()

    @classmethod
    def create(cls, path: Path | None, options: Train) -> RunFolder:
        """Make the folder of a new run.

        Args:
            path: the folder, which must not exist or be empty; None finds a new one below `runs`.
            options: the run's.

        Raises:
            SnnlearnError: if the folder is in use or cannot be made.
        """
        if path is None:
            name = Path(options.data).stem
            candidates = (Path("runs") / (name if n == 1 else f"{name}-{n}") for n in range(1, 1_000_000))
            path = next(candidate for candidate in candidates if not candidate.exists())
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise SnnlearnError(f"--out: {path} exists already; give another folder, or go on with --resume {path}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_atomically(path / "config.toml", write_config(options).encode())
            # Last, since it makes the folder a run.
            identity = {"format": FORMAT, "snnlearn": __version__}
            write_atomically(path / "run.json", json.dumps(identity, indent=1).encode())
        except OSError as error:
            raise SnnlearnError(f"--out: {path} cannot be written ({error.strerror}); give another folder") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open an existing run's folder.

        Raises:
            SnnlearnError: if it is none, or of another format.
        """
        if not path.is_dir():
            raise SnnlearnError(f"{path} is not a folder; give a run's folder, such as runs/digits")
        try:
            identity = json.loads((path / "run.json").read_text(encoding="utf-8"))
            found = identity["format"], identity["snnlearn"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SnnlearnError(f"{path} is not a run's folder: its run.json is missing or damaged") from error
        if found[0] != FORMAT:
            raise SnnlearnError(
                f"{path} is of format {found[0]}, written by snnlearn {found[1]}; snnlearn {__version__} reads format "
                f"{FORMAT}: use that version, or train again with --config {path / 'config.toml'}"
            )
        return cls(path)

    def options(self) -> Train:
        """The run's options."""
        return read_config(self.path / "config.toml")

    def add_metrics(self, epoch: int, metrics: Metrics, seconds: float) -> None:
        """Append one epoch's line."""
        line = {"epoch": epoch, "seconds": seconds}
        line |= {name: np.asarray(values).tolist() for name, values in metrics._asdict().items()}
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The lines written so far, but for one that a kill has cut."""
        lines = []
        file = self.path / "metrics.jsonl"
        for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
        return lines

    def history(self, best_epoch: np.ndarray) -> tuple[History, float]:
        """How the training went, and its seconds."""
        lines = self.metrics()
        curves = (np.array([line[name] for line in lines]).T for name in Metrics._fields)
        return History(*curves, best_epoch=best_epoch), sum(line["seconds"] for line in lines)

    def checkpoint(self, training: Training, *, last: bool) -> None:
        """Save the training, if it is the last epoch or the last checkpoint is some seconds ago."""
        if not last and time.monotonic() - self._last_checkpoint < _SECONDS_BETWEEN_CHECKPOINTS:
            return
        import orbax.checkpoint as ocp

        self._checkpoints().save(int(training.epoch[0]), args=ocp.args.StandardSave(_arrays(training)))
        self._last_checkpoint = time.monotonic()

    def restore(self, fresh: Training) -> Training:
        """The training of the newest checkpoint, or the fresh one; later metrics are dropped.

        Args:
            fresh: the same training before its first epoch.

        Raises:
            SnnlearnError: if the checkpoint does not fit the configuration, or is damaged.
        """
        import orbax.checkpoint as ocp

        step = self._checkpoints().latest_step()
        kept = [line for line in self.metrics() if step is not None and line["epoch"] <= step]
        write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept).encode())
        if step is None:
            return fresh
        expected = _arrays(fresh)
        try:
            found = self._checkpoints().restore(step, args=ocp.args.StandardRestore(expected))
        except (ValueError, KeyError, OSError) as error:
            raise SnnlearnError(
                f"{self.path / 'checkpoints' / str(step)} is damaged or does not fit config.toml; delete that folder to "
                "go on from an earlier one"
            ) from error
        return _with_arrays(fresh, found)

    def close(self) -> None:
        """Wait until the checkpoints are written."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None

    def _checkpoints(self):
        if self._manager is None:
            import orbax.checkpoint as ocp

            logging.getLogger("absl").setLevel(logging.ERROR)
            options = ocp.CheckpointManagerOptions(max_to_keep=2)
            self._manager = ocp.CheckpointManager((self.path / "checkpoints").absolute(), options=options)
        return self._manager


def _is_key(leaf: Any) -> bool:
    return eqx.is_array(leaf) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _arrays(training: Training) -> dict[str, Any]:
    """The arrays by their place in the training, random keys as their bits."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(training, eqx.is_array))
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): jax.random.key_data(leaf) if _is_key(leaf) else leaf
        for path, leaf in leaves
    }


def _with_arrays(training: Training, arrays: dict[str, Any]) -> Training:
    def put(path, leaf):
        if not eqx.is_array(leaf):
            return leaf
        found = arrays[jax.tree_util.keystr(path, simple=True, separator=".")]
        return jax.random.wrap_key_data(found) if _is_key(leaf) else found

    return jax.tree_util.tree_map_with_path(put, training)
