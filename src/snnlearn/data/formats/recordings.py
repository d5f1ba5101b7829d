"""Events in HDF5 files, as the Spiking Heidelberg Digits and Commands have them."""

from __future__ import annotations

from pathlib import Path

from snnlearn._errors import SnnlearnError
from snnlearn.data.binning import check_window, losses, unit_of, window
from snnlearn.data.found import Asked, Form, Found
from snnlearn.data.hdf5 import class_names_of, greatest_unit, latest_time, read_events

_PARTS = {"train": ("train",), "validation": ("valid", "validation", "val"), "test": ("test",)}
_SUFFIXES = (".h5", ".hdf5")


def is_folder(path: Path) -> bool:
    """Whether a folder has a training file in HDF5, such as `shd_train.h5`."""
    return path.is_dir() and "train" in _files(path)


def read_hdf5(path: Path, asked: Asked) -> Found:
    """Read recordings, binned: a file, or a folder with a training and a test file, and perhaps one for validation."""
    paths = {"train": path}
    if path.is_dir():
        paths = _files(path)
        if "test" not in paths:
            raise SnnlearnError(f"{path} holds {paths['train'].name} and no test file; give it, or one file of all")
    form, (num_steps, dt), assumed = _window(list(paths.values()), asked, path)
    recorded = {
        part: read_events(one, num_steps=num_steps, dt=dt, num_units=form.grid[0], time_unit=form.time_unit or 1.0)
        for part, one in paths.items()
    }
    names = class_names_of(paths["train"])
    found = {part: Found(one.x, one.y, class_names=names, form=form) for part, one in recorded.items()}
    return Found(
        found["train"].x,
        found["train"].labels,
        class_names=names,
        form=form,
        validation=found.get("validation"),
        test=found.get("test"),
        notes=(*assumed, *losses(one.counts for one in recorded.values())),
    )


def _window(paths: list[Path], asked: Asked, where: Path) -> tuple[Form, tuple[int, float], tuple[str, ...]]:
    if (form := asked.form) is not None and form.shape and form.dt is not None:
        return form, (form.shape[0], form.dt), ()
    check_window(asked.num_steps, None, asked.dt)
    latest = max((latest_time(one) for one in paths), key=float)
    unit, notes = unit_of(latest, asked.time_unit, str(where))
    num_steps, dt = window(latest, unit, asked.num_steps, None, asked.dt)
    num_units = max(greatest_unit(one) for one in paths) + 1
    return Form(grid=(num_units,), time_unit=unit, dt=dt), (num_steps, dt), notes


def _files(folder: Path) -> dict[str, Path]:
    """The file of each part, by the end of its name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and path.is_file():
            for part, ends in _PARTS.items():
                if path.stem.lower().endswith(ends):
                    found[part] = path
    return found
