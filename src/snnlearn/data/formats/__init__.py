"""The known data formats, one per file: each maps a path to arrays and names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from snnlearn._errors import SnnlearnError
from snnlearn.data.formats import (
    aer,
    arff,
    delimited,
    frames,
    idx,
    nmnist,
    numpy,
    pictures,
    recordings,
    structured,
    timeseries,
)
from snnlearn.data.formats.cameras import Camera
from snnlearn.data.formats.class_folders import holds
from snnlearn.data.found import Asked, Found


class Format(NamedTuple):
    """A format of a file or folder.

    Args:
        name: Its name, for people.
        takes: Whether a path has this format, by its name or, for a folder, its contents.
        read: Reads the path; raises SnnlearnError if it cannot be used.
        of_events: Whether it holds events, which are spikes.
    """

    name: str
    takes: Callable[[Path], bool]
    read: Callable[[Path, Asked], Found]
    of_events: bool = False


def _ends(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.name.lower().removesuffix(".gz").endswith(suffixes) and not path.is_dir()


_KNOWN = (
    "a table (.csv, .tsv, .parquet, .arff), time series (.ts), arrays (.npz), IDX files, events (.h5, or .bin, .aedat, "
    ".aedat4 or .npy in a folder for each class), or images in a folder for each class"
)


def _camera(name: str, camera: Camera) -> Format:
    def takes(path: Path) -> bool:
        return (path.name.lower().endswith(camera.suffix) and not path.is_dir()) or holds(path, (camera.suffix,))

    return Format(name, takes, camera.found, of_events=True)


FORMATS = (
    Format("events as structured arrays (.npz, .npy)", structured.takes, structured.read_npz, of_events=True),
    Format("a table (.csv, .tsv, .txt, .data)", _ends(*delimited.SUFFIXES), delimited.read_delimited),
    Format(
        "a table in Parquet or Feather (.parquet, .feather)", _ends(".parquet", ".pq", ".feather"), frames.read_parquet
    ),
    Format("ARFF (.arff)", _ends(".arff"), arff.read_arff),
    Format("time series (.ts)", _ends(".ts"), timeseries.read_ts),
    Format("NumPy arrays (.npz, .npy)", _ends(".npz", ".npy"), numpy.read_npz),
    Format("IDX (train-images-idx3-ubyte beside its labels, or the folder)", idx.takes, idx.read_pair),
    Format(
        "events (.h5, or a folder with shd_train.h5)",
        lambda path: _ends(".h5", ".hdf5")(path) or recordings.is_folder(path),
        recordings.read_hdf5,
        of_events=True,
    ),
    _camera("N-MNIST (.bin, a folder for each class)", nmnist.NMNIST),
    _camera("AEDAT 2.0 (.aedat, a folder for each class)", aer.AEDAT),
    _camera("AEDAT 4 (.aedat4, a folder for each class)", aer.AEDAT4),
    Format("images (.png, .jpg, …), a folder for each class", pictures.takes, pictures.read_images),
)


def format_of(path: Path) -> Format | None:
    """The format of a path; None if unknown."""
    return next((one for one in FORMATS if one.takes(path)), None)


def holds_events(path: Path) -> bool:
    """Whether a path holds events, by its format."""
    one = format_of(path)
    return one is not None and one.of_events


def read_found(path: Path, asked: Asked) -> Found:
    """The content of a path in any format.

    Raises:
        SnnlearnError: It is of no known format, is damaged, or cannot be used.
    """
    one = format_of(path)
    if one is None:
        what = "is a folder of no known format" if path.is_dir() else "is of no known format"
        raise SnnlearnError(f"{path} {what if path.exists() else 'is not a file'}; give {_KNOWN}")
    return one.read(path, asked)
