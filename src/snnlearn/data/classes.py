"""From the labels in a file, numbers or words, to classes 0 … C − 1 and their names."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int32, Shaped

from snnlearn._errors import SnnlearnError

_MOST_SHOWN = 10


def whole_numbers(labels: Shaped[np.ndarray, "*shape"]) -> Shaped[np.ndarray, "*shape"]:
    """Labels as integers if they are whole numbers of any type, else unchanged.

    >>> whole_numbers(np.array([1.0, 2.0])).dtype, whole_numbers(np.array(["a"])).dtype.kind
    (dtype('int64'), 'U')
    """
    if labels.dtype.kind == "b":
        return labels.astype(np.int64)
    if labels.dtype.kind == "f" and bool(np.all(np.isfinite(labels) & (labels == np.floor(labels)))):
        return labels.astype(np.int64)
    return labels


def names_of(
    labels: Shaped[np.ndarray, " m"], declared: tuple[str, ...], where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the classes of these labels, and notes about them.

    Numbers from 0 without gaps need no names. Other numbers, and words, are names: in the order that the file declares,
    or else sorted, as numbers if all are.

    >>> names_of(np.array([0, 1, 1]), (), "it")[0], names_of(np.array(["b", "a"]), (), "it")[0]
    ((), ('a', 'b'))
    >>> names_of(np.array([-1, 1]), (), "it")
    (('-1', '1'), ('Its class labels are -1, 1; they are numbered from 0 in this order.',))
    """
    if labels.dtype.kind not in "iuU" or labels.ndim != 1:
        raise SnnlearnError(
            f"{where} has labels of type {labels.dtype} and shape {labels.shape}; expected integers or words, one for "
            "each sample"
        )
    present = np.unique(labels)
    notes: tuple[str, ...] = ()
    if labels.dtype.kind in "iu":
        if declared:
            _check_declared(present, declared, where)
            names = tuple(declared[i] for i in present)
        elif np.array_equal(present, np.arange(present.size)):
            names = ()
        else:
            names = tuple(map(str, present.tolist()))
            notes = (f"Its class labels are {shown(names)}; they are numbered from 0 in this order.",)
    else:
        found = sorted(present.tolist(), key=_as_number_or_word)
        names = tuple(name for name in declared if name in set(found)) if declared else tuple(found)
    if absent := [name for name in declared if name not in names]:
        notes = (f"No sample is of class {shown(absent)}, which the file declares.",)
    if present.size < 2:
        raise SnnlearnError(f"{where} has only class {present[0]}; expected at least two classes")
    if present.size > max(20, len(labels) // 2):
        raise SnnlearnError(
            f"{where} has {present.size} different labels in {len(labels)} samples, which are unlikely to be classes; "
            "name the label's column, or convert these values to classes"
        )
    return names, notes


def _check_declared(present: np.ndarray, declared: tuple[str, ...], where: str) -> None:
    if present[0] < 0 or present[-1] >= len(declared):
        raise SnnlearnError(f"{where} has labels from {present[0]} to {present[-1]}, and names {len(declared)} classes")


def numbered(
    labels: Shaped[np.ndarray, " m"], names: tuple[str, ...], declared: tuple[str, ...], where: str
) -> Int32[np.ndarray, " m"]:
    """The number of each label's class.

    Args:
        labels: Integers or words.
        names: The classes' names; empty if they are numbers from 0.
        declared: Names that this file declares for integer labels.
        where: What has these labels, for messages.

    Raises:
        SnnlearnError: A label is none of these classes.

    >>> numbered(np.array([7, 2]), ("2", "7"), (), "it").tolist()
    [1, 0]
    """
    integers = labels.dtype.kind in "iu"
    if integers and not names:
        return labels.astype(np.int32)
    if integers and declared:
        _check_declared(np.sort(labels), declared, where)
        labels, integers = np.array(declared)[labels], False
    if integers and not all(map(is_number, names)) and 0 <= labels.min() and labels.max() < len(names):
        return labels.astype(np.int32)  # numbers of classes that have names
    different, inverse = np.unique(labels, return_inverse=True)
    place = {name: number for number, name in enumerate(names)}
    texts = list(map(str, different.tolist()))
    if unknown := [text for text in texts if text not in place]:
        raise SnnlearnError(f"{where} has the class {shown(unknown)}, which was not in training: {shown(names)}")
    return np.array([place[text] for text in texts], np.int32)[inverse]


def shown(names: tuple[str, ...] | list[str]) -> str:
    """Some names, in words.

    >>> shown(tuple("abcdefghijklm"))
    'a, b, c, d, e, f, g, h, i, j and 3 more'
    """
    rest = len(names) - _MOST_SHOWN
    listed = ", ".join(names[:_MOST_SHOWN])
    return f"{listed} and {rest} more" if rest > 0 else listed


def is_number(text: str) -> bool:
    """Whether a text is a number.

    >>> is_number("1e3"), is_number("one")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def _as_number_or_word(text: str) -> tuple[int, float, str]:
    return (0, float(text), text) if is_number(text) else (1, 0.0, text)
