"""Spike events in HDF5 files, in the layout of the Spiking Heidelberg Digits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample, check, count_classes, hold_out, split

if TYPE_CHECKING:
    import h5py

# Samples read at a time: the events of a large file need ten times the memory of their bins.
_CHUNK = 256
# In steps: a time written as k · dt belongs to step k, whichever way its last digit was rounded.
_ROUNDING = 1e-3


def events(
    path_train: str | os.PathLike[str],
    path_test: str | os.PathLike[str] | None = None,
    *,
    num_steps: int = 100,
    duration: float = 1.0,
    num_units: int | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Spike events in HDF5 files, binned in time: x[t, n] = 1 if unit n spikes in [t·dt, (t + 1)·dt).

    The layout is that of the Spiking Heidelberg Digits: `spikes/times` (s) and `spikes/units`, one array each for
    every sample, and `labels`. A bin holds 0 or 1 however many events fall in it. Events at or after `duration` are
    dropped.

    Args:
        path_train: The training file, or a folder that holds `shd_train.h5` and `shd_test.h5`.
        path_test: The test file; without it, a fraction `test` of the training file is cut off.
        num_steps: Number of time steps T, 1 or more.
        duration: Length of a sample in s, above 0; dt = duration / num_steps.
        num_units: Number of units N; by default one more than the greatest unit in the files.
        validation: Fraction of the training file for validation, in (0, 1).
        test: Fraction of the training file for test, in (0, 1); unused if there is a test file.
        seed: Seed of the cut.

    Returns:
        The data set, x `[m, T, N]` of kind "spikes".

    Raises:
        SnnlearnError: A file is missing, damaged or has another layout.

    Source: Cramer, Stradmann, Schemmel and Zenke 2022, doi:10.1109/TNNLS.2020.3044364. It has no validation set: one
    is cut from its training set here, so that nothing is chosen on its test set.

    >>> import h5py, tempfile
    >>> file = Path(tempfile.mkdtemp(), "two.h5")
    >>> with h5py.File(file, "w") as f:
    ...     f["labels"] = np.arange(8) % 2
    ...     times = f.create_dataset("spikes/times", 8, h5py.vlen_dtype(np.float32))
    ...     units = f.create_dataset("spikes/units", 8, h5py.vlen_dtype(np.int32))
    ...     for i in range(8):
    ...         times[i], units[i] = [0.1, 0.9], [0, 3]
    >>> d = events(file, num_steps=10)
    >>> d.shape, d.dt, np.argwhere(d.test.x[0]).tolist()
    ((10, 4), 0.1, [[1, 0], [9, 3]])
    """
    if num_steps < 1:
        raise SnnlearnError(f"num_steps is {num_steps}; give a number of time steps from 1")
    if not 0 < duration < np.inf:
        raise SnnlearnError(f"duration is {duration} s; give a time above 0")
    if num_units is not None and num_units < 1:
        raise SnnlearnError(f"num_units is {num_units}; give a number of units from 1")
    path, name = Path(path_train), Path(path_train).stem
    if path.is_dir():
        path, path_test = path / "shd_train.h5", path / "shd_test.h5" if path_test is None else path_test
    paths = [path] if path_test is None else [path, Path(path_test)]
    if num_units is None:
        num_units = max(_greatest_unit(p) for p in paths) + 1
    samples = [_read(p, num_steps, duration, num_units) for p in paths]
    num_classes = count_classes(samples[0].y, str(path))
    if path_test is None:
        train, held_out, tested = split(samples[0], validation=validation, test=test, seed=seed)
    else:
        train, held_out = hold_out(samples[0], validation=validation, seed=seed)
        tested = samples[1]
    return Dataset(name, train, held_out, tested, num_classes, "spikes", dt=duration / num_steps)


def _read(path: Path, num_steps: int, duration: float, num_units: int) -> Sample:
    with _open(path) as (times, units, labels):
        x: UInt8[np.ndarray, "m T N"] = np.zeros((len(labels), num_steps, num_units), np.uint8)
        for start in range(0, len(labels), _CHUNK):
            t, n = times[start : start + _CHUNK], units[start : start + _CHUNK]
            sizes = [len(of_one) for of_one in t]
            if sizes != [len(of_one) for of_one in n]:
                raise SnnlearnError(f"{path} has samples with more times than units or fewer; expected as many")
            sample = np.repeat(np.arange(start, start + len(t)), sizes)
            t, n = np.concatenate(t).astype(np.float64), np.concatenate(n)
            if t.size and not (t.min() >= 0 and t.max() < np.inf):
                raise SnnlearnError(f"{path} has spike times that are negative or not finite; expected times in s")
            if n.size and not (n.min() >= 0 and n.max() < num_units):
                raise SnnlearnError(f"{path} has units from {n.min()} to {n.max()}; expected 0 to {num_units - 1}")
            kept = t < duration
            step = np.floor(t[kept] * (num_steps / duration) + _ROUNDING).astype(np.intp)
            x[sample[kept], np.minimum(step, num_steps - 1), n[kept]] = 1
        check(Sample(x, labels), str(path))
        return Sample(x, labels.astype(np.int32))


def _greatest_unit(path: Path) -> int:
    with _open(path) as (_, units, labels):
        chunks = (np.concatenate(units[i : i + _CHUNK]) for i in range(0, len(labels), _CHUNK))
        greatest = max((int(n.max()) for n in chunks if n.size), default=None)
    if greatest is None:
        raise SnnlearnError(f"{path} has no events; expected spikes/times and spikes/units with some")
    return greatest


@contextmanager
def _open(path: Path) -> Iterator[tuple[h5py.Dataset, h5py.Dataset, np.ndarray]]:
    """Times, units and labels in the file; whatever HDF5 finds damaged while they are read is an SnnlearnError."""
    import h5py  # a slow import that only these files need

    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give an HDF5 file of spike events, or a folder with shd_train.h5")
    try:
        with h5py.File(path, "r") as file:
            times = _dataset(file, "spikes/times", "floats", ragged=True)
            units = _dataset(file, "spikes/units", "integers", ragged=True)
            labels = _dataset(file, "labels", "integers", ragged=False)
            if not 0 < len(labels) == len(times) == len(units):
                raise SnnlearnError(
                    f"{path} has {len(times)} samples of times, {len(units)} of units and {len(labels)} labels; "
                    "expected as many of each, and at least one"
                )
            yield times, units, labels[:]
    except (OSError, RuntimeError, KeyError) as error:
        raise SnnlearnError(f"{path} is damaged or not HDF5 ({error}); fetch it again") from error


def _dataset(file: h5py.File, key: str, numbers: str, *, ragged: bool) -> h5py.Dataset:
    """The numbers, "floats" or "integers", under this key: one for each sample or, if ragged, an array for each."""
    import h5py

    found = file.get(key) if _is_inside(file, key) else None
    if isinstance(found, h5py.Dataset) and found.ndim == 1 and not (found.external or found.is_virtual):
        dtype = h5py.check_vlen_dtype(found.dtype) if ragged else found.dtype
        if isinstance(dtype, np.dtype) and dtype.kind in {"floats": "f", "integers": "ui"}[numbers]:
            return found
    expected = f"{'ragged ' if ragged else ''}{numbers}"
    raise SnnlearnError(f"{file.filename} is HDF5 of another layout; expected {expected} in {key}, one for each sample")


def _is_inside(file: h5py.File, key: str) -> bool:
    """Whether it is in this file: a link to another would open whatever that is, such as a pipe."""
    import h5py

    parts = [key[: end.start()] for end in re.finditer("/|$", key)]
    return all(isinstance(file.get(part, getlink=True), h5py.HardLink) for part in parts)
