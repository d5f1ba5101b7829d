"""Which samples a run was trained, selected and tested on, even if its data file changes.

`seen.npz` in the run's folder has a digest and the label of each sample of each part, in order, so that the split can
be recovered if the file was sorted or extended, and training samples are recognised in any other file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt64

from snnlearn._errors import SnnlearnError
from snnlearn.cli import build
from snnlearn.cli.run_folder import RunFolder
from snnlearn.data import Dataset, Sample
from snnlearn.data.base import digests, take
from snnlearn.data.found import Form
from snnlearn.model_file import read_arrays, write_arrays

_PARTS = ("train", "validation", "test")


class Seen(NamedTuple):
    """The samples of a run.

    Args:
        x: the digests of the x of each part.
        y: the labels of each part, or what is to be predicted.
        limits: the least and greatest value of the training part, by which the code rescales.
        left_out: the number of test samples left out because they equal seen ones.
        form: how the data were read, so that other files are read the same way.
    """

    x: dict[str, UInt64[np.ndarray, " m"]]
    y: dict[str, np.ndarray]
    limits: tuple[Any, Any]
    left_out: int
    form: Form

    def roles(self, sample: Sample) -> tuple[Bool[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
        """Whether each sample equals one of training, and one of validation."""
        found = digests(sample.x)
        return np.isin(found, self.x["train"]), np.isin(found, self.x["validation"])


def remember(folder: RunFolder, data: Dataset) -> None:
    """Write `seen.npz`."""
    samples = {part: getattr(data, part) for part in _PARTS}
    arrays = {f"{part}.x": digests(sample.x) for part, sample in samples.items()}
    arrays |= {f"{part}.y": sample.y for part, sample in samples.items()}
    arrays |= {"limits": np.array([data.low, data.high]), "left_out": np.array(data.left_out)}
    arrays["form"] = np.frombuffer(data.form.to_json().encode(), np.uint8)
    write_arrays(folder.path / "seen.npz", arrays)


def recall(folder: RunFolder) -> Seen:
    """Read `seen.npz`.

    Raises:
        SnnlearnError: if it is missing or damaged.
    """
    path = folder.path / "seen.npz"
    again = f"train again with --config {folder.path / 'config.toml'}"
    if not path.is_file():
        raise SnnlearnError(f"{folder.path} has no seen.npz, which lists the samples that the run has seen; {again}")
    arrays = read_arrays(path)
    try:
        (low, high), left_out = arrays["limits"], int(arrays["left_out"])
        low, high = (float(limit) if limit.ndim == 0 else limit for limit in (low, high))
        form = Form.from_json(arrays["form"].tobytes().decode()) if "form" in arrays else Form()
        x, y = ({part: arrays[f"{part}.{of}"] for part in _PARTS} for of in "xy")
        if any(x[part].shape != y[part].shape[:1] or x[part].dtype != np.uint64 for part in _PARTS):
            raise ValueError
    except (KeyError, ValueError, TypeError) as error:
        raise SnnlearnError(f"{path} is damaged; restore it, or {again}") from error
    return Seen(x, y, (low, high), left_out, form)


def data_of(folder: RunFolder) -> Dataset:
    """The data of a run in its original parts, wherever its samples now are in the file.

    Raises:
        SnnlearnError: if some are no longer in it.
    """
    options, seen = folder.options(), recall(folder)
    found = build.everything(options)
    samples = [getattr(found, part) for part in _PARTS]
    everything = Sample(*(np.concatenate([sample[of] for sample in samples]) for of in (0, 1)))
    places: dict[tuple[int, Any], list[int]] = defaultdict(list)
    for index, key in enumerate(_keys(digests(everything.x), everything.y)):
        places[key].append(index)
    parts = {}
    for part in _PARTS:
        keys = _keys(seen.x[part], seen.y[part])
        indices = [places[key].pop(0) for key in keys if places[key]]
        if missing := len(keys) - len(indices):
            raise SnnlearnError(
                f"{options.data} is not what {folder.path} was trained on: {missing} of its {len(keys)} {part} samples "
                "are no longer in it; restore the file, or train again"
            )
        parts[part] = take(everything, np.array(indices))
    low, high = seen.limits
    return replace(replace(found, **parts, low=low, high=high).unseen(), left_out=seen.left_out)


def _keys(x: UInt64[np.ndarray, " m"], y: np.ndarray) -> list[tuple[int, Any]]:
    """What tells samples apart: the digest of x, and y."""
    labels = y.tolist() if y.ndim == 1 else map(tuple, y.tolist())
    return list(zip(x.tolist(), labels, strict=True))


def judged(sample: Sample, seen: Seen) -> tuple[Sample, str | None, str]:
    """The part of a sample that estimates the risk.

    Returns:
        the samples that the network was neither trained nor selected on, or all of them if there is no other; in words
        what these are if all were seen, else None; and how many were left out, in words.
    """
    trained, selected = seen.roles(sample)
    known = trained | selected
    if known.all():
        count, role = (trained.sum(), "training") if trained.any() else (selected.sum(), "validation")
        return sample, f"{count} of these {len(known)} samples are {role} data", ""
    if not known.any():
        return sample, None, ""
    note = f"; {known.sum()} more of it are training or validation data, and are left out"
    return take(sample, np.flatnonzero(~known)), None, note
