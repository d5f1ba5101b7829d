"""Events as structured arrays with the names t, x, y and p, as the tonic library has them."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.formats.cameras import Camera, Recording, Recordings, binned, pixels
from snnlearn.data.formats.class_folders import holds
from snnlearn.data.formats.numpy import ending, load_arrays
from snnlearn.data.found import Asked, Found

_MOST_LOOKED_AT = 3
_TIMES, _LABELS = ("t", "timestamp", "timestamps", "ts"), ("labels", "label", "y", "targets")


def recording_of(events: np.ndarray, where: str) -> Recording:
    """A structured array as a recording: pixels if it has rows `y`, else units `x`, with polarity if it has one.

    Raises:
        SnnlearnError: It lacks times or columns, or they are of no number type.

    >>> events = np.array([(2, 0, 1000, 1)], [("x", int), ("y", int), ("t", int), ("p", int)])
    >>> recording_of(events, "it")
    Recording(t=array([1000]), place=array([[1, 0, 2]]))
    """
    names = events.dtype.names or ()
    time = next((name for name in _TIMES if name in names), None)
    if events.ndim != 1 or time is None or "x" not in names:
        raise SnnlearnError(
            f"{where} is an array of {', '.join(names) or events.dtype} and shape {events.shape}; expected events, [n] "
            "of t, x and, for pixels, y and p"
        )
    for name in (time, *(name for name in ("x", "y", "p") if name in names)):
        if events[name].dtype.kind not in ("iuf" if name == time else "iub"):
            raise SnnlearnError(
                f"{where} has {name} of type {events[name].dtype}; expected numbers, which must be whole except for "
                "times"
            )
    t, x = events[time], events["x"]
    if "y" in names:
        p = events["p"] if "p" in names else np.zeros(len(events), int)
        return pixels(t, x, events["y"], p, where)
    if "p" in names and np.unique(events["p"]).size > 1:
        return pixels(t, x, np.zeros(len(events), int), events["p"], where)
    return Recording(t, x.astype(np.int64)[:, None])


def takes(path: Path) -> bool:
    """Whether a path is a folder of `.npy` files, or a NumPy file of which the first array has named fields."""
    if path.is_dir():
        return holds(path, (".npy",))
    return path.suffix.lower() in (".npy", ".npz") and path.is_file() and _has_fields(path)


def _has_fields(path: Path) -> bool:
    """By the headers only; damage is reported when the file is read."""
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return b"'descr': [" in file.read(128)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist()[:_MOST_LOOKED_AT]:
                with archive.open(name) as file:
                    if b"'descr': [" in file.read(128):
                        return True
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error, ValueError):
        pass
    return False


def read_npy(path: Path) -> Recording:
    """Read one recording."""
    content = load_arrays(path)
    if isinstance(content, dict):
        raise SnnlearnError(f"{path} holds several arrays; expected one of events")
    return recording_of(content, str(path))


def read_npz(path: Path, asked: Asked) -> Found:
    """Read a folder of recordings, or a file with an array each, in the order of their names' numbers, and labels."""
    if path.is_dir():
        return NPY.found(path, asked)
    arrays = load_arrays(path)
    if not isinstance(arrays, dict):
        return from_recordings([recording_of(arrays, str(path))], None, asked, str(path))
    labels = next((arrays[name] for name in _LABELS if name in arrays and arrays[name].dtype.names is None), None)
    names = sorted((name for name in arrays if arrays[name].dtype.names), key=_by_number)
    recordings = [recording_of(arrays[name], f"{path} ({name})") for name in names]
    return ending(from_recordings(recordings, labels, asked, str(path)), arrays.get("lengths"), str(path))


def from_recordings(recordings: Sequence[Recording], labels: np.ndarray | None, asked: Asked, where: str) -> Found:
    """Recordings in memory, binned."""
    if labels is not None and len(labels) != len(recordings):
        raise SnnlearnError(f"{where} has {len(recordings)} recordings and {len(labels)} labels; expected equally many")
    return binned({"train": Recordings(recordings, lambda recording: recording)}, {"train": labels}, asked, where)


def _by_number(name: str) -> tuple[int, str]:
    numbers = re.findall(r"\d+", name)
    return (int(numbers[-1]) if numbers else -1, name)


NPY = Camera(".npy", read_npy)
