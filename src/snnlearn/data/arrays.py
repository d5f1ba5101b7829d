"""Your own arrays: data sets in `.npz` files, and values to predict from."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from snnlearn._errors import SnnlearnError
from snnlearn.data.base import Dataset, Sample, check, check_narrowing
from snnlearn.data.classes import is_number
from snnlearn.data.files import is_idx_name
from snnlearn.data.formats.numpy import array_of, ending, load_arrays
from snnlearn.data.found import Found
from snnlearn.data.images import read_idx, scale_pixels
from snnlearn.data.loading import load

_IMAGES = (".png", ".jpg", ".jpeg")


def npz(path: str | os.PathLike[str], *, validation: float = 0.1, test: float = 0.2, seed: int = 0) -> Dataset:
    """Your own data set, in a NumPy `.npz` file.

    Its arrays: `x` `[m, ...]`, real numbers; `y` `[m]`, class labels, integers or words; optionally a test
    part `x_test`, `y_test`, which then is the test part; and for spikes `dt`, the time step in s, with x `[m, T, N]`,
    uint8 or bool, only 0 and 1.

    Args:
        path: The file.
        validation: Fraction for validation, in (0, 1).
        test: Fraction for test, in (0, 1); unused if the file has a test part.
        seed: Seed of the cut.

    Returns:
        The data set; `low` and `high` are the training part's least and greatest value.

    Raises:
        SnnlearnError: The file is damaged, lacks x or y, or these do not match.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "mine.npz")
    >>> np.savez(file, x=np.linspace(-1, 1, 20)[:, None], y=np.arange(20) // 10)
    >>> d = npz(file)
    >>> d.name, d.kind, d.num_classes, d.train.x.shape
    ('mine', 'values', 2, (14, 1))
    """
    return load(path, validation=validation, test=test, seed=seed)


def read_labelled(path: str | os.PathLike[str]) -> Sample:
    """Read a sample that is not to be split, to evaluate on.

    Args:
        path: A NumPy `.npz` file with `x` `[m, ...]` and `y` `[m]`, integer class labels.

    Raises:
        SnnlearnError: The file is not such a sample.
    """
    arrays = load_arrays(path)
    if not isinstance(arrays, dict):
        raise SnnlearnError(f"{path} is a single array; give a .npz file, as numpy.savez(path, x=x, y=y) writes it")
    sample = _pair(arrays, "x", "y", path)
    check_narrowing(sample.x, str(path))
    return sample


def read_values(path: str | os.PathLike[str]) -> Float32[np.ndarray, " m *shape"]:
    """Read inputs without labels, to predict from.

    Args:
        path: An image (`.png`, `.jpg`: one input, grey as the mean of its colours, in [0, 1]), an array `[m, ...]`
            (`.npy`, or `x` in a `.npz`: values as they are), or IDX images (gzipped or not: bytes as [0, 1]).

    Returns:
        The inputs, `[m, *shape]`.

    Raises:
        SnnlearnError: The file is missing, damaged or of an unknown kind, or holds what is not finite.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "inputs.npy")
    >>> np.save(file, np.zeros((3, 8, 8)))
    >>> read_values(file).shape
    (3, 8, 8)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give an image, a .npy, a .npz or an IDX file")
    if suffix in _IMAGES:
        x = _read_image(path)
    elif suffix in (".npy", ".npz"):
        content = load_arrays(path)
        x = array_of(content, "x", path) if isinstance(content, dict) else content
        x = ending(Found(x, None), content.get("lengths") if isinstance(content, dict) else None, str(path)).x
    elif is_idx_name(path.name):
        x = read_idx(path)
        x = scale_pixels(x) if x.dtype == np.uint8 else x
    else:
        raise SnnlearnError(f"{path} has an unknown suffix; give a .png, .jpg, .npy, .npz or IDX file")
    check(Sample(x, np.zeros(x.shape[:1], np.int32)), str(path))
    check_narrowing(x, str(path))
    return x.astype(np.float32, copy=False)


def read_series(path: str | os.PathLike[str]) -> Float32[np.ndarray, " m T N"]:
    r"""Read signals over time, to encode.

    Args:
        path: An array (`.npy`, or `x` in a `.npz`), `[T]`, `[T, N]` or `[m, T, N]`: m signals of N channels; or a table
            of one signal (`.csv`), a line for each time and a column for each channel, with or without a header.

    Returns:
        The signals, `[m, T, N]`, values as they are.

    Raises:
        SnnlearnError: The file is missing, damaged or of an unknown kind, or holds what is not finite.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "signal.csv")
    >>> _ = file.write_text("left,right\n0.0,1.0\n0.5,0.5\n")
    >>> read_series(file).tolist()
    [[[0.0, 1.0], [0.5, 0.5]]]
    """
    path = Path(path)
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give a .npy, .npz or .csv file")
    if path.suffix == ".csv":
        x = _read_table(path)
    elif path.suffix in (".npy", ".npz"):
        content = load_arrays(path)
        x = array_of(content, "x", path) if isinstance(content, dict) else content
    else:
        raise SnnlearnError(f"{path} has an unknown suffix for a signal; give a .npy, .npz or .csv file")
    if x.ndim not in (1, 2, 3):
        raise SnnlearnError(f"{path} has shape {x.shape}; give a signal [T] or [T, N], or several, [m, T, N]")
    x = x[None, :, None] if x.ndim == 1 else x[None] if x.ndim == 2 else x
    ending(Found(x, None), None, str(path))  # all have the same window
    check(Sample(x, np.zeros(x.shape[:1], np.int32)), str(path))
    check_narrowing(x, str(path))
    return x.astype(np.float32, copy=False)


def _read_table(path: Path) -> np.ndarray:
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()  # a byte-order mark is no cell
    rows = [line.split(",") for line in lines if line.strip()]
    try:
        return np.array([[float(cell) for cell in row] for row in (rows[1:] if _is_header(rows) else rows)])
    except ValueError as error:
        raise SnnlearnError(
            f"{path} is not a table of numbers ({error}); give as many numbers in each line, separated by commas"
        ) from error


def _is_header(rows: list[list[str]]) -> bool:
    """Whether no cell of the first line is a number; otherwise it is a line of data with a bad cell."""
    return bool(rows) and not any(map(is_number, rows[0]))


def _read_image(path: Path) -> Float32[np.ndarray, "1 height width"]:
    from matplotlib.image import imread  # a slow import that only images need

    try:
        with warnings.catch_warnings(action="error"):
            pixels = imread(path)
    except Exception as error:  # Pillow calls a damaged PNG a SyntaxError, and one that claims to be huge a bomb
        raise SnnlearnError(f"{path} cannot be read as an image ({error}); save it again as PNG") from error
    # Matplotlib scales PNG to [0, 1] and leaves the bytes of other kinds.
    values = scale_pixels(pixels) if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    if values.ndim == 3:
        values = values[..., :3].mean(axis=-1)  # a fourth channel is opacity
    return values[None]


def _pair(arrays: dict[str, np.ndarray], x: str, y: str, path: str | os.PathLike[str]) -> Sample:
    found = ending(Found(array_of(arrays, x, path), None), arrays.get(x.replace("x", "lengths")), str(path))
    sample = Sample(found.x, array_of(arrays, y, path))
    check(sample, f"{path} ({x}, {y})")
    return sample
