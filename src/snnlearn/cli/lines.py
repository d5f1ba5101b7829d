"""Lines of numbers from a stream: read as they come, a few at a time, in constant memory."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snnlearn._errors import SnnlearnError

_AT_ONCE, _LONGEST = 1 << 16, 1 << 24  # bytes


class Rows(NamedTuple):
    """Some lines of a stream, one after the other.

    Args:
        numbers: the numbers of each, `[n, columns]`.
        targets: the other columns, as text, if the last ones are not read as numbers; else empty.
        lines: the number of each line in its source, from 1.
    """

    numbers: np.ndarray
    targets: list[list[str]]
    lines: list[int]


def lines_of(path: Path | None, most: int, text_columns: int) -> Iterator[Rows | SnnlearnError]:
    """The lines of a source; at the end, whatever is wrong with the first one that is no line of numbers.

    Args:
        path: the file; None or - is the standard input.
        most: how many lines come at once, at most.
        text_columns: how many of the last columns are kept as text.
    """
    if path is not None and path.suffix == ".npy":
        yield from _rows_of_array(path, most, text_columns)
    elif path is None or str(path) == "-":
        yield from _rows_of_text(sys.stdin.buffer.read1, most, text_columns)  # pyright: ignore[reportAttributeAccessIssue]
    else:
        with path.open("rb") as file:
            yield from _rows_of_text(file.read1, most, text_columns)


def _rows_of_array(path: Path, most: int, text_columns: int) -> Iterator[Rows | SnnlearnError]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SnnlearnError(
            f"{path} is not an array that NumPy wrote; give one saved by numpy.save, or text"
        ) from error
    if array.ndim not in (1, 2) or array.dtype.kind not in "bfiu":
        raise SnnlearnError(f"{path} holds {array.dtype}{list(array.shape)}; give numbers, [lines, columns]")
    array = array.reshape(len(array), -1)
    if array.shape[1] <= text_columns:
        yield SnnlearnError(f"line 1 has {array.shape[1]} numbers, and the last {text_columns} are targets; give more")
        return
    cut = array.shape[1] - text_columns
    for first in range(0, len(array), most):
        rows = np.asarray(array[first : first + most])
        targets = [[f"{value:.17g}" for value in row] for row in rows[:, cut:].tolist()] if text_columns else []
        yield Rows(rows[:, :cut].astype(float), targets, list(range(first + 1, first + 1 + len(rows))))


def _rows_of_text(read: Callable[[int], bytes], most: int, text_columns: int) -> Iterator[Rows | SnnlearnError]:
    number, width, rest, ended, first = 0, None, b"", False, True
    while not ended:
        new = read(_AT_ONCE)
        ended = not new
        if b"\0" in new:
            yield SnnlearnError("this is no text; give lines of numbers, or an array (.npy)")
            return
        *whole, rest = (rest + new).split(b"\n")
        if ended and rest:
            whole, rest = [*whole, rest], b""
        if len(rest) > _LONGEST:
            yield SnnlearnError(f"line {number + 1} is longer than {_LONGEST:,} bytes; end each line of numbers")
            return
        numbers: list[list[float]] = []
        targets: list[list[str]] = []
        lines: list[int] = []
        for line in whole:
            number += 1
            fields = _fields(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
            if fields is None:
                continue
            header, first = first and not any(map(_is_number, fields)), False
            if header:
                continue
            if width is None:
                width = len(fields)
            fault = _fault(fields, number, width, text_columns)
            if fault is None:
                cut = len(fields) - text_columns
                try:
                    numbers.append([*map(float, fields[:cut])])
                except ValueError:
                    wrong = next(n for n, field in enumerate(fields) if not _is_number(field))
                    fault = f"line {number}: {_quoted(fields[wrong])} in column {wrong + 1} is no number; give one"
            if fault is not None:
                if lines:
                    yield Rows(np.array(numbers, float), targets, lines)
                yield SnnlearnError(fault)
                return
            targets += [fields[len(fields) - text_columns :]] if text_columns else []
            lines.append(number)
            if len(lines) == most:
                yield Rows(np.array(numbers, float), targets, lines)
                numbers, targets, lines = [], [], []
        if lines:
            yield Rows(np.array(numbers, float), targets, lines)


def _fields(line: bytes) -> list[str] | None:
    """The fields of a line; None if there are none."""
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return None
    for separator in (",", ";", "\t"):
        if separator in text:
            return [field.strip() for field in text.split(separator)]
    return text.split()


def _fault(fields: list[str], number: int, width: int, text_columns: int) -> str | None:
    if len(fields) <= text_columns:
        what = f"the last {text_columns} are" if text_columns > 1 else "the last is"
        return f"line {number} has {_columns(fields)}, of which {what} to be predicted; give the inputs before"
    if len(fields) != width:
        return f"line {number} has {_columns(fields)}, and those before have {width}; give as many in each line"
    return None


def _columns(fields: list[str]) -> str:
    return f"{len(fields)} column{'s' * (len(fields) != 1)}"


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _quoted(field: str) -> str:
    return repr(field if len(field) < 40 else field[:40] + "…")
