"""Arrays in `.npz` and `.npy` files."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.base import is_spikes
from snnlearn.data.classes import whole_numbers
from snnlearn.data.ends import about_lengths, lengths_of, with_lengths
from snnlearn.data.found import Asked, Form, Found


def read_npz(path: Path, asked: Asked) -> Found:
    """Read `x` and, if it is there, `y`, and the test part `x_test`, `y_test`; with `dt`, x is spikes.

    `lengths` and `lengths_test` say after how many steps each sample ends.
    """
    arrays = load_arrays(path)
    if not isinstance(arrays, dict):
        if asked.form is None:
            raise SnnlearnError(f"{path} is a single array; give a .npz file, as numpy.savez(path, x=x, y=y) writes it")
        return ending(Found(arrays, None), None, str(path))
    of_spikes = "dt" in arrays
    form = Form(dt=_time_step(arrays["dt"], path)) if of_spikes else Form()
    found = [_part(arrays, "x", "y", path, form, labelled=asked.form is None)]
    if {"x_test", "y_test"} & arrays.keys() and asked.form is None:
        found.append(_part(arrays, "x_test", "y_test", path, form, labelled=True))
    names = tuple(map(str, arrays["class_names"].tolist())) if "class_names" in arrays else ()
    train, test = found[0], found[1] if len(found) > 1 else None
    return replace(train, class_names=names, test=test)


def _part(arrays: dict[str, np.ndarray], x: str, y: str, path: Path, form: Form, *, labelled: bool) -> Found:
    values = array_of(arrays, x, path)
    labels = whole_numbers(array_of(arrays, y, path)) if labelled or y in arrays else None
    if form.dt is not None and values.dtype.kind in "buif" and not is_spikes(values):
        raise SnnlearnError(
            f"{path} has dt, but its x is {values.dtype} of shape {values.shape} and not spikes; "
            "leave dt out, or give x as uint8 [samples, steps, units] with only 0 and 1"
        )
    return ending(Found(values, labels, form=form), arrays.get(x.replace("x", "lengths")), str(path))


def ending(found: Found, lengths: Any, where: str) -> Found:
    """What was found, as series of which each ends after its own number of steps; as it is without lengths.

    Raises:
        SnnlearnError: These are no lengths of it.
    """
    if lengths is None:
        if (found.x.dtype.kind == "f" or found.form.dt is not None) and lengths_of(found.x) is not None:
            raise SnnlearnError(
                f"{where} has values that are NaN, or no spikes, in the last steps of a sample; remove them, or say by "
                "lengths where samples end"
            )
        return found
    try:
        x = with_lengths(found.x, lengths)
    except SnnlearnError as error:
        raise SnnlearnError(f"{where}: {error}") from None
    if found.form.dt is not None:
        return replace(found, x=x)
    return replace(found, x=x, own_range=1, notes=about_lengths(np.asarray(lengths), x.shape[1]))


def load_arrays(path: str | os.PathLike[str]) -> np.ndarray | dict[str, np.ndarray]:
    """The array in a `.npy`, or the named arrays in a `.npz`; never unpickles, as a pickle can run any code."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # such as a pipe, whose end would be waited for
            raise SnnlearnError(f"{path} cannot be read (it is not a file); give a NumPy file")
        with open(path, "rb") as file:
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    check_memory(
                        sum(member.file_size for member in archive.infolist()), str(path), "give fewer samples"
                    )
            file.seek(0)
            content = np.load(file, allow_pickle=False)
            content = dict(content) if isinstance(content, np.lib.npyio.NpzFile) else content
    except SnnlearnError:
        raise
    except OSError as error:
        raise SnnlearnError(f"{path} cannot be read ({error.strerror or error}); give a NumPy file") from error
    except Exception as error:  # NumPy raises whatever its parts do: of a header alone eight kinds are known
        raise SnnlearnError(
            f"{path} is damaged, is not a NumPy file, or holds Python objects; save plain arrays of numbers"
        ) from error
    for array in content.values() if isinstance(content, dict) else (content,):
        if not isinstance(array, np.ndarray):
            raise SnnlearnError(f"{path} contains something other than arrays; save it again with numpy.savez")
    return content


def array_of(arrays: dict[str, np.ndarray], key: str, path: str | os.PathLike[str]) -> np.ndarray:
    """The array of this name."""
    if key not in arrays:
        raise SnnlearnError(f"{path} lacks the array {key}; it has {', '.join(sorted(arrays)) or 'none'}")
    return arrays[key]


def _time_step(dt: np.ndarray, path: Path) -> float:
    if dt.size != 1 or dt.dtype.kind not in "uif":
        raise SnnlearnError(f"{path} has dt of type {dt.dtype} and shape {dt.shape}; expected one time in s")
    return float(dt.item())
