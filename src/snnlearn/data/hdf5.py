"""Spike events in HDF5 files, in the layout of the Spiking Heidelberg Digits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int32, Num, Shaped, UInt8

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.base import Dataset, Sample, check, count_classes, hold_out, split
from snnlearn.data.binning import check_some, check_window, losses, step_of, unit_of, window

if TYPE_CHECKING:
    import h5py

# Samples read at a time: the events of a large file need ten times the memory of their bins.
_CHUNK = 256


def events(
    path_train: str | os.PathLike[str],
    path_test: str | os.PathLike[str] | None = None,
    *,
    num_steps: int | None = None,
    duration: float | None = None,
    dt: float | None = None,
    num_units: int | None = None,
    time_unit: float | None = None,
    validation: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Spike events in HDF5 files, binned in time: x[t, n] = 1 if unit n spikes in [t·dt, (t + 1)·dt).

    The layout is that of the Spiking Heidelberg Digits: `spikes/times` (s, or ticks as whole numbers) and
    `spikes/units`, one array each for every sample, and `labels`. A time written as k·dt is in step k, however the
    file's type rounds it.

    By default all events are kept: the steps reach just beyond the last event. Events that a shorter duration drops,
    and events that share a bin with another event of the same unit, are counted in the data set's `notes`.

    Args:
        path_train: The training file, or a folder that holds `shd_train.h5` and `shd_test.h5`.
        path_test: The test file; without it, a fraction `test` of the training file is cut off.
        num_steps: Number of time steps T, 1 or more; by default duration / dt, or 100.
        duration: Length of a sample in s, above 0; by default that of the recordings.
        dt: Time step in s, above 0; by default duration / num_steps, of the recordings' own duration rounded up to
            two digits. Not together with both others.
        num_units: Number of units N; by default one more than the greatest unit in the files.
        time_unit: The length of one tick of the times, s; by default from their type and range.
        validation: Fraction of the training file for validation, in (0, 1).
        test: Fraction of the training file for test, in (0, 1); unused if there is a test file.
        seed: Seed of the cut.

    Returns:
        The data set, x `[m, T, N]` of kind "spikes".

    Raises:
        SnnlearnError: A file is missing, damaged or has another layout, or no event is within the duration.

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
    >>> d = events(file, num_steps=10, duration=1.0)
    >>> d.shape, d.dt, np.argwhere(d.test.x[0]).tolist()
    ((10, 4), 0.1, [[1, 0], [9, 3]])
    """
    check_window(num_steps, duration, dt, num_units)
    path, name = Path(path_train), Path(path_train).stem
    if path.is_dir():
        path, path_test = path / "shd_train.h5", path / "shd_test.h5" if path_test is None else path_test
    paths = [path] if path_test is None else [path, Path(path_test)]
    if num_units is None:
        num_units = max(greatest_unit(p) for p in paths) + 1
    latest = max((latest_time(p) for p in paths), key=float)
    windowed = duration is not None or (num_steps is not None and dt is not None)
    unit, assumed = (
        (1.0, ())
        if windowed and latest.dtype.kind == "f" and time_unit is None
        else unit_of(latest, time_unit, str(path))
    )
    num_steps, dt = window(latest, unit, num_steps, duration, dt)
    recorded = [read_events(p, num_steps=num_steps, dt=dt, num_units=num_units, time_unit=unit) for p in paths]
    samples = [one.labelled(p) for one, p in zip(recorded, paths, strict=True)]
    num_classes = count_classes(samples[0].y, str(path))
    if path_test is None:
        parts = split(samples[0], validation=validation, test=test, seed=seed)
    else:
        parts = (*hold_out(samples[0], validation=validation, seed=seed), samples[1])
    return Dataset(
        name, *parts, num_classes, "spikes", dt=dt, notes=(*assumed, *losses(one.counts for one in recorded))
    )


class Recorded(NamedTuple):
    """Recordings in bins.

    Args:
        x: 1 where a unit spikes, `[m, T, N]`.
        y: Class labels, `[m]`; None if the file has none.
        num_events: Events in the file.
        late: Of these, events after the last step.
        together: Of these, events in a bin with an earlier event.
    """

    x: UInt8[np.ndarray, "m T N"]
    y: Int32[np.ndarray, " m"] | None
    num_events: int
    late: int
    together: int

    def labelled(self, path: str | os.PathLike[str]) -> Sample:
        """The sample.

        Raises:
            SnnlearnError: The file, `path`, has no labels.
        """
        if self.y is None:
            raise SnnlearnError(f"{path} has no labels; give a file with integers in labels, one for each sample")
        return Sample(self.x, self.y)

    @property
    def counts(self) -> tuple[int, int, int]:
        """The number of events, of late ones, and of those in a bin with another."""
        return self.num_events, self.late, self.together

    @property
    def notes(self) -> tuple[str, ...]:
        """The losses of binning, in sentences."""
        return losses([self.counts])


def read_events(
    path: str | os.PathLike[str], *, num_steps: int, dt: float, num_units: int, time_unit: float = 1.0
) -> Recorded:
    """Read recordings without splitting them, in the bins of a trained network.

    Args:
        path: An HDF5 file in the layout of [`events`][snnlearn.data.events]; it may lack labels.
        num_steps: Number of time steps T.
        dt: Time step, s.
        num_units: Number of units N.
        time_unit: The length of one tick of the times, s.

    Raises:
        SnnlearnError: The file is missing, damaged, has another layout, or no event is within the steps.

    >>> import tempfile
    >>> from snnlearn.data import write_events
    >>> file = write_events(Path(tempfile.mkdtemp(), "one.h5"), [np.eye(3)], [0])
    >>> read_events(file, num_steps=2, dt=1e-3, num_units=3)._replace(x=None)
    Recorded(x=None, y=array([0], dtype=int32), num_events=3, late=1, together=0)
    """
    path = Path(path)
    with _open(path) as (times, units, labels):
        m = len(times)
        check_memory(m * num_steps * num_units, f"{path}, {m} × {num_steps} steps × {num_units} units,", "give fewer")
        x: UInt8[np.ndarray, "m T N"] = np.zeros((m, num_steps, num_units), np.uint8)
        num_events = late = 0
        latest = 0.0
        for start in range(0, m, _CHUNK):
            t, n = times[start : start + _CHUNK], units[start : start + _CHUNK]
            sizes = [len(of_one) for of_one in t]
            if sizes != [len(of_one) for of_one in n]:
                raise SnnlearnError(
                    f"{path} has samples with different numbers of times and units; expected equally many"
                )
            sample = np.repeat(np.arange(start, start + len(t)), sizes)
            t, n = np.concatenate(t), np.concatenate(n)
            _check_times(t, path)
            if n.size and not (n.min() >= 0 and n.max() < num_units):
                raise SnnlearnError(f"{path} has units from {n.min()} to {n.max()}; expected 0 to {num_units - 1}")
            step = step_of(t, dt / time_unit)
            kept = step < num_steps
            x[sample[kept], step[kept].astype(np.intp), n[kept]] = 1
            num_events, late = num_events + t.size, late + int(np.sum(~kept))
            latest = max(latest, float(t.max(initial=0)))
        if labels is not None:
            check(Sample(x, labels), str(path))
        check_some(str(path), num_events, late, num_steps, dt, latest * time_unit)
        y = None if labels is None else labels.astype(np.int32)
        return Recorded(x, y, num_events, late, num_events - late - int(x.sum(dtype=np.int64)))


def latest_time(path: Path) -> Shaped[np.ndarray, ""]:
    """The greatest time, in the file's type."""
    with _open(path) as (times, _, _):
        latest = None
        for start in range(0, len(times), _CHUNK):
            t = np.concatenate(times[start : start + _CHUNK])
            _check_times(t, path)
            newest = np.asarray(t.max(initial=0))
            latest = newest if latest is None else max(latest, newest, key=float)
        return np.zeros(()) if latest is None else latest


def _check_times(t: Num[np.ndarray, " n"], path: Path) -> None:
    if t.size and not (t.min() >= 0 and t.max() < np.inf):  # NaN is neither
        raise SnnlearnError(f"{path} has spike times that are negative or not finite; expected times in s")


def class_names_of(path: Path) -> tuple[str, ...]:
    """The names of the classes, which the Spiking Heidelberg Digits have under `extra/keys`; empty if it has none."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            keys = file.get("extra/keys") if _is_inside(file, "extra/keys") else None
            if isinstance(keys, h5py.Dataset) and keys.ndim == 1 and h5py.check_string_dtype(keys.dtype) is not None:
                return tuple(map(str, keys.asstr(errors="replace")[:]))
    except (OSError, RuntimeError, KeyError):
        pass  # Whoever reads its events says what is damaged.
    return ()


def greatest_unit(path: Path) -> int:
    """The greatest number of a unit."""
    with _open(path) as (_, units, _):
        chunks = (np.concatenate(units[i : i + _CHUNK]) for i in range(0, len(units), _CHUNK))
        greatest = max((int(n.max()) for n in chunks if n.size), default=None)
    if greatest is None:
        raise SnnlearnError(f"{path} has no events; expected spikes/times and spikes/units with some")
    return greatest


@contextmanager
def _open(path: Path) -> Iterator[tuple[h5py.Dataset, h5py.Dataset, np.ndarray | None]]:
    """Times, units and, if it has any, labels in the file; damage found while reading is refused."""
    import h5py  # a slow import that only these files need

    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give an HDF5 file of spike events, or a folder with shd_train.h5")
    try:
        with h5py.File(path, "r") as file:
            times = _dataset(file, "spikes/times", "numbers", ragged=True)
            units = _dataset(file, "spikes/units", "integers", ragged=True)
            labels = _dataset(file, "labels", "integers", ragged=False) if "labels" in file else None
            found = len(times) if labels is None else len(labels)
            if not 0 < found == len(times) == len(units):
                raise SnnlearnError(
                    f"{path} has {len(times)} samples of times, {len(units)} of units and {found} labels; "
                    "expected as many of each, and at least one"
                )
            yield times, units, None if labels is None else labels[:]
    except (OSError, RuntimeError, KeyError) as error:
        raise SnnlearnError(f"{path} is damaged or not HDF5 ({error}); fetch it again") from error


def _dataset(file: h5py.File, key: str, numbers: str, *, ragged: bool) -> h5py.Dataset:
    """The "numbers" or "integers" under this key: one for each sample or, if ragged, an array for each."""
    import h5py

    found = file.get(key) if _is_inside(file, key) else None
    if isinstance(found, h5py.Dataset) and found.ndim == 1 and not (found.external or found.is_virtual):
        dtype = h5py.check_vlen_dtype(found.dtype) if ragged else found.dtype
        if isinstance(dtype, np.dtype) and dtype.kind in {"numbers": "fui", "integers": "ui"}[numbers]:
            return found
    expected = f"{'ragged ' if ragged else ''}{numbers}"
    raise SnnlearnError(f"{file.filename} is HDF5 of another layout; expected {expected} in {key}, one for each sample")


def _is_inside(file: h5py.File, key: str) -> bool:
    """Whether it is in this file: a link could open anything, such as a pipe."""
    import h5py

    parts = [key[: end.start()] for end in re.finditer("/|$", key)]
    return all(isinstance(file.get(part, getlink=True), h5py.HardLink) for part in parts)
