"""IDX: arrays of the kind of MNIST's, a file of samples and a file of labels, for training and for test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.files import is_idx_name
from snnlearn.data.found import Asked, Found
from snnlearn.data.images import read_idx, scale_pixels

_TESTS = ("t10k", "test")
_SAMPLES, _LABELS = ("images", "image", "data", "samples"), ("labels", "label")


def takes(path: Path) -> bool:
    """Whether a path is IDX by its name, or a folder of such files."""
    return is_idx_name(path.name) or (path.is_dir() and any(is_idx_name(one.name) for one in path.iterdir()))


def read_pair(path: Path, asked: Asked) -> Found:
    """Read a file of samples with the file of labels beside it; bytes 0 … 255 become 0 … 1, others stay.

    A folder has one such pair, or two, one of them with `t10k` or `test` in the names.
    """
    if path.is_dir():
        return _folder(path, asked)
    labels = _labels_of(path)
    if labels is None or not labels.is_file():
        if asked.form is None:
            name = path.name if labels is None else labels.name
            raise SnnlearnError(f"{path} has no labels beside it, {name}; give the file of samples, or add them")
        return _samples(path, None)
    return _samples(path, labels)


def _folder(folder: Path, asked: Asked) -> Found:
    files = sorted(path for path in folder.iterdir() if is_idx_name(path.name))
    samples = [path for path in files if _labels_of(path) is not None]
    tests = [path for path in samples if any(word in path.name.lower() for word in _TESTS)]
    trains = [path for path in samples if path not in tests]
    if len(trains) != 1 or len(tests) > 1:
        raise SnnlearnError(
            f"{folder} has {len(trains)} IDX files of samples for training and {len(tests)} for test; expected one, "
            "and at most one that is named t10k or test"
        )
    found = read_pair(trains[0], asked)
    return replace(found, test=read_pair(tests[0], asked)) if tests else found


def _labels_of(path: Path) -> Path | None:
    """The label file of a file of samples, which may be missing; None if the file does not hold samples."""
    for word in _SAMPLES:
        if word in path.name:
            axes = path.name.find("idx")
            stem = path.name if axes < 0 else f"{path.name[:axes]}idx1{path.name[axes + 4 :]}"
            for label in _LABELS:
                named = path.with_name(stem.replace(word, label))
                options = (named, named.with_name(named.name.removesuffix(".gz")), named.with_name(named.name + ".gz"))
                if (found := next((one for one in options if one.is_file()), None)) is not None:
                    return found
            return path.with_name(stem.replace(word, _LABELS[0]))
    return None


def _samples(path: Path, labels: Path | None) -> Found:
    x = read_idx(path)
    if x.ndim < 2:
        raise SnnlearnError(f"{path} holds {x.dtype} of shape {x.shape}; expected samples of at least one axis")
    of_bytes = x.dtype == np.uint8
    if labels is None:
        return Found(scale_pixels(x) if of_bytes else x, None)
    y = read_idx(labels)
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise SnnlearnError(f"{labels} holds {y.dtype} of shape {y.shape}; expected whole numbers, one for each sample")
    if len(x) != len(y):
        raise SnnlearnError(f"{path} holds {len(x)} samples and {labels} {len(y)} labels; expected equally many")
    return Found(scale_pixels(x) if of_bytes else x, y, limits=(0.0, 1.0) if of_bytes else None)
