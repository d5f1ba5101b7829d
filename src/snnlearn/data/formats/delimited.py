"""Tables as text: a line for each sample, cells with commas, semicolons, tabs, bars or spaces between them."""

from __future__ import annotations

import csv
import io
import warnings
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.classes import is_number
from snnlearn.data.files import read_text
from snnlearn.data.formats.table import Table, column_of, is_missing, samples
from snnlearn.data.found import Asked, Found

SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data")
_DELIMITERS = "\t;|,"
_MOST_SNIFFED = 200
_TIMES_TEXT = 12  # the memory that cells take, in that of the text


def read_delimited(path: Path, asked: Asked) -> Found:
    """Read a table: a CSV file as spreadsheets, pandas or the UCI repository write it, or a .tsv of the UCR archive."""
    text = read_text(path, "a table")
    delimiter = _delimiter(text)
    first = _rows(text, delimiter, path, most=_MOST_SNIFFED)
    form = asked.form
    header = (
        is_header(first) if form is None or not form.names else any(cell.strip() in form.names for cell in first[0])
    )
    names = [cell.strip() for cell in first[0]] if header else [f"column {i + 1}" for i in range(len(first[0]))]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise SnnlearnError(f"{path} has two columns named {double!r}; give each a different name")
    if header and len(first) == 1:
        raise SnnlearnError(f"{path} has a line of names and no rows; expected a line for each sample")
    columns = _numbers(text, delimiter, int(header), len(names))
    if columns is None:
        check_memory(_TIMES_TEXT * len(text), str(path), "write it as Parquet, or as numbers alone")
        columns = _columns(_rows(text, delimiter, path)[header:], delimiter)
    if asked.form is None and asked.label is None and _is_of_ucr(path) and not header:
        asked = Asked(label=1, group=asked.group)
    found = samples(Table(names, columns, {}, named=bool(header)), asked, str(path))
    if _is_of_ucr(path):  # a series of one channel, not features with ranges of their own
        return replace(found, x=found.x[:, :, None])
    return found


def is_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns.

    It does if none of its cells is a number, and a column below holds numbers, or no cell is repeated in its column; or
    if its words are above columns of numbers, and its numbers count the columns or are fewer than the words.

    >>> is_header([["a", "b"], ["1", "x"]]), is_header([["1", "x"], ["2", "y"]])
    (True, False)
    >>> is_header([["0", "1", "label"], ["3", "4", "0"]]), is_header([["x", "y"], ["y", "y"]])
    (True, False)
    """
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    below = [column_of(list(column)) for column in zip(*rest, strict=True)] if rest else []
    of_numbers = [column.dtype != object for column in below]
    numbers = [is_number(cell) for cell in first]
    if not any(numbers):
        if not rest:
            return not any(map(is_missing, first))
        again = [cell in {row[i].strip() for row in rest} for i, cell in enumerate(first)]
        return any(of for of, cell in zip(of_numbers, first, strict=True) if not is_missing(cell)) or not any(again)
    words = [i for i, is_number in enumerate(numbers) if not is_number and not is_missing(first[i])]
    counting = any(
        all(first[i] == str(i + start) for i, is_number in enumerate(numbers) if is_number) for start in (-1, 0, 1)
    )
    over_numbers = bool(rest) and all(of_numbers[i] for i in words)
    return over_numbers and (len(words) > sum(numbers) or (counting and (bool(words) or is_missing(first[0]))))


def _numbers(text: str, delimiter: str, skipped: int, width: int) -> list[np.ndarray] | None:
    """The columns, if all cells are numbers: a hundred times faster than cell by cell. None if they are not."""
    try:
        with warnings.catch_warnings(action="error"):
            found = np.loadtxt(
                io.StringIO(text),
                delimiter=None if delimiter == " " else delimiter,
                skiprows=skipped,
                comments=None,
                quotechar='"',
                ndmin=2,
            )
    except (ValueError, UserWarning):
        return None
    return list(found.T) if found.shape[1] == width and len(found) else None


def _columns(rows: list[list[str]], delimiter: str) -> list[np.ndarray]:
    return [column_of(list(column), decimal_comma=delimiter != ",") for column in zip(*rows, strict=True)]


def _rows(text: str, delimiter: str, path: Path, most: int | None = None) -> list[list[str]]:
    """The rows, or the first of them, that are not empty; all of the same number of cells."""
    try:
        if delimiter == " ":
            rows = [line.split() for line in islice(io.StringIO(text), most)]
        else:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
            rows = list(islice(lines, most))
    except csv.Error as error:
        raise SnnlearnError(f"{path} is not a table ({error}); close its quotes, or save it again as CSV") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise SnnlearnError(f"{path} is empty; expected a line for each sample")
    if all(not row[-1].strip() for row in rows):  # each line ends with a delimiter
        rows = [row[:-1] for row in rows]
    if len(rows[0]) < 2:
        raise SnnlearnError(
            f"{path} has one cell in its first line, {rows[0][0][:40] if rows[0] else ''!r}; expected several, with "
            "commas, semicolons, tabs or spaces between them"
        )
    if len({len(row) for row in rows}) > 1:
        first = next(i for i, row in enumerate(rows) if len(row) != len(rows[0]))
        raise SnnlearnError(
            f"{path} has {len(rows[0])} cells in its first line and {len(rows[first])} in line {first + 1}, not "
            f"counting empty lines, separated by {_spelt(delimiter)}; give the same number in each, and quote cells "
            "that contain it"
        )
    return rows


def _delimiter(text: str) -> str:
    """The delimiter that splits the first lines into equally many cells; commas last, as they may be decimal."""
    lines = [line for line in text.splitlines()[:_MOST_SNIFFED] if line.strip()]
    widths = {delimiter: [len(row) for row in _split(lines, delimiter) if row] for delimiter in _DELIMITERS}
    for delimiter, found in widths.items():
        if found and len(set(found)) == 1 and found[0] > 1:
            return delimiter
    if len({len(line.split()) for line in lines}) == 1 and len(lines[0].split()) > 1:
        return " "
    return max(_DELIMITERS, key=lambda delimiter: (widths[delimiter] or [0])[0])


def _split(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error:
        return []


def _spelt(delimiter: str) -> str:
    return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}[delimiter]


def _is_of_ucr(path: Path) -> bool:
    """Whether a file is of the UCR archive, whose labels come first."""
    return path.suffix in (".tsv", ".txt") and path.stem.endswith(("_TRAIN", "_TEST"))
