"""A network's decisions about files, on the screen and in a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from rich.table import Table

from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically, write_json
from snnlearn.model_file import write_arrays

KINDS = (".csv", ".json", ".npz")


class Predictions(NamedTuple):
    """Decisions about m samples.

    Args:
        files: the file of each.
        samples: which sample of it each is.
        classes: the decisions.
        scores: of each class.
        names: of the classes.
    """

    files: list[str]
    samples: list[int]
    classes: Int[np.ndarray, " m"]
    scores: Float[np.ndarray, "m classes"]
    names: list[str]

    def table(self) -> Table:
        """A table for the terminal."""
        table = Table("file", "sample", "class", "score")
        for file, sample, decided, scores in zip(self.files, self.samples, self.classes, self.scores, strict=True):
            table.add_row(file, str(sample), self.names[decided], f"{scores[decided]:.3g}")
        return table

    def write(self, path: Path) -> None:
        """Write them, with the scores of all classes, in the format of the file's suffix."""
        named = [self.names[decided] for decided in self.classes]
        if path.suffix == ".npz":
            arrays = {"sample": np.array(self.samples), "y": self.classes, "scores": self.scores}
            write_arrays(path, arrays | {"files": np.array(self.files), "class_names": np.array(self.names)})
            return
        rows = zip(self.files, self.samples, named, self.scores.tolist(), strict=True)
        if path.suffix == ".json":
            keys = ("file", "sample", "class", "scores")
            content = [dict(zip(keys, (*row, dict(zip(self.names, s, strict=True))), strict=True)) for *row, s in rows]
            write_json(path, content)
            return
        text = io.StringIO()
        lines = csv.writer(text)
        lines.writerow(["file", "sample", "class", *(f"score of {name}" for name in self.names)])
        lines.writerows([*row, *scores] for *row, scores in rows)
        write_atomically(path, text.getvalue().encode("utf-8", "replace"))


class TargetPredictions(NamedTuple):
    """What is said about m samples where there are no classes: values, or which labels hold.

    Args:
        files: the file of each.
        samples: which sample of it each is.
        values: the predictions `[m, D]`, or the scores of labels, above 0 where one is decided to hold.
        names: of the values, or labels.
        labels: whether they are labels.
    """

    files: list[str]
    samples: list[int]
    values: Float[np.ndarray, "m D"]
    names: list[str]
    labels: bool

    def table(self) -> Table:
        """A table for the terminal."""
        if self.labels:
            table = Table("file", "sample", "labels")
            for file, sample, own in zip(self.files, self.samples, self.values > 0, strict=True):
                held = [name for name, holds in zip(self.names, own, strict=True) if holds]
                table.add_row(file, str(sample), ", ".join(held) or "–")
            return table
        table = Table("file", "sample", *self.names)
        for file, sample, own in zip(self.files, self.samples, self.values, strict=True):
            table.add_row(file, str(sample), *(f"{value:.5g}" for value in own))
        return table

    def write(self, path: Path) -> None:
        """Write them in the format of the file's suffix; of labels the probabilities, above a half where one holds."""
        shown = 1 / (1 + np.exp(-self.values.astype(float))) if self.labels else self.values
        if path.suffix == ".npz":
            arrays = {"sample": np.array(self.samples), "files": np.array(self.files), "names": np.array(self.names)}
            y = {"y": (self.values > 0).astype(np.int32), "probabilities": shown} if self.labels else {"y": shown}
            write_arrays(path, arrays | y)
            return
        rows = list(zip(self.files, self.samples, shown.tolist(), strict=True))
        if path.suffix == ".json":
            what = "probabilities" if self.labels else "values"
            content = [{"file": f, "sample": s, what: dict(zip(self.names, own, strict=True))} for f, s, own in rows]
            write_json(path, content)
            return
        text = io.StringIO()
        lines = csv.writer(text)
        lines.writerow(["file", "sample", *(f"probability of {name}" if self.labels else name for name in self.names)])
        lines.writerows([file, sample, *own] for file, sample, own in rows)
        write_atomically(path, text.getvalue().encode("utf-8", "replace"))


def check_kind(path: Path) -> None:
    """Refuse a file of another kind."""
    if path.suffix not in KINDS:
        raise SnnlearnError(f"--out is {path}; give a path that ends in {', '.join(KINDS)}")
