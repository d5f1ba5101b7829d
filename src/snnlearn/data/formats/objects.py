"""Data that already are in Python: tables, arrays and tensors, PyTorch's data sets, and recordings of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.ends import about_lengths, rectangular
from snnlearn.data.formats.frames import from_table, is_table
from snnlearn.data.formats.numpy import ending
from snnlearn.data.formats.structured import from_recordings, recording_of
from snnlearn.data.found import Asked, Found


def from_object(source: Any, asked: Asked) -> Found:
    """The content of an object, recognised by its methods, so that no library has to be installed.

    Raises:
        SnnlearnError: It is none of these, or has no labels.
    """
    where = type(source).__name__
    if is_table(source):
        return from_table(source, asked, f"the {where}")
    if isinstance(source, Mapping):
        raise SnnlearnError(f"load got a {where}; give (x, y), or a data frame of it")
    if isinstance(source, (tuple, list)) and len(source) == 2 and not _is_pair_of_one(source):
        return _pair(source[0], source[1], asked)
    if hasattr(source, "__len__") and hasattr(source, "__getitem__") and not hasattr(source, "dtype"):
        return _items(source, asked, where)
    raise SnnlearnError(
        f"load got {where}; give a path, a data frame, (x, y) of arrays, or a data set of pairs of x and y"
    )


def _is_pair_of_one(source: Sequence) -> bool:
    """Whether these are two samples, each a pair, and not x and y."""
    return isinstance(source, list) and all(isinstance(one, (tuple, list)) and len(one) == 2 for one in source)


def _items(source: Any, asked: Asked, where: str) -> Found:
    if not len(source):
        raise SnnlearnError(f"the {where} is empty; expected pairs of x and y")
    items = [source[i] for i in range(len(source))]
    if not all(isinstance(item, (tuple, list)) and len(item) == 2 for item in items):
        raise SnnlearnError(f"the {where} contains something other than pairs; expected x and y for each sample")
    return _pair([x for x, _ in items], [_number(y) for _, y in items], asked)


def _pair(x: Any, y: Any, asked: Asked) -> Found:
    if is_table(x):
        raise SnnlearnError("load got a table and labels; give one table, and name their column by label")
    labels = _array(y, "y")
    if isinstance(x, (list, tuple)):
        items = [_array(one, "x") for one in x]
        if items and items[0].dtype.names:
            recordings = [recording_of(one, f"recording {i}") for i, one in enumerate(items)]
            where = "the list of recordings"
            return ending(from_recordings(recordings, labels, asked, where), asked.lengths, where)
        if shapes := {item.shape for item in items} if len({item.shape for item in items}) > 1 else None:
            return _series(items, shapes, labels, asked)
        return ending(Found(np.stack(items) if items else np.zeros((0, 1)), labels), asked.lengths, "load")
    return ending(Found(_array(x, "x"), labels), asked.lengths, "load")


def _series(items: list[np.ndarray], shapes: set[tuple[int, ...]], labels: np.ndarray, asked: Asked) -> Found:
    """Samples of different shapes, if these are series of the same channels."""
    channels = {shape[1:] for shape in shapes}
    if len(channels) > 1 or channels == {()} or () in shapes or (0, *next(iter(channels))) in shapes:
        raise SnnlearnError(
            f"x has samples of different shapes, {sorted(shapes)[:3]}; give all the same shape, or series as [steps, "
            "channels], each with at least one step"
        )
    if asked.lengths is not None:
        raise SnnlearnError("load got lengths, and a list of series, each of which has its own; give one of both")
    if any(item.dtype.kind not in "buif" for item in items):
        raise SnnlearnError("x has series that are not numbers; give real numbers")
    steps = np.array([len(item) for item in items])
    x = rectangular(items, int(steps.max()))
    return Found(x, labels, own_range=1, notes=about_lengths(steps, x.shape[1]))


def _array(given: Any, name: str) -> np.ndarray:
    """An array, a tensor or a list as an array."""
    if hasattr(given, "detach"):  # a tensor of PyTorch, perhaps on another device
        given = given.detach().cpu()
    try:
        array = np.asarray(given)
    except (ValueError, TypeError) as error:
        raise SnnlearnError(
            f"{name} is not an array ({str(error).rstrip('.')}); give one number or word for each"
        ) from error
    if array.dtype == object and array.ndim == 1 and all(isinstance(value, str) for value in array):
        return array.astype(str)
    return array


def _number(y: Any) -> Any:
    return y.item() if hasattr(y, "item") else y
