"""ARFF, the tables of Weka and OpenML: named columns, each of numbers or of declared words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.classes import is_number, shown
from snnlearn.data.files import read_text
from snnlearn.data.formats.table import Table, column_of, is_missing, samples
from snnlearn.data.found import Asked, Found

_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S+)\s+(.+)""", re.IGNORECASE)
_CELL = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,'"]*)\s*(,|$)""")
_NUMBERS = ("numeric", "real", "integer")


def read_arff(path: Path, asked: Asked) -> Found:
    """Read a table; by default the label's column is the last with declared words.

    Source: Witten, Frank, Hall and Pal 2016, Data Mining, 4th edition, for the format (sparse rows, dates and relations
    are refused).
    """
    lines = [line.strip() for line in read_text(path, "an ARFF file").splitlines()]
    lines = [line for line in lines if line and not line.startswith("%")]
    start = next((i for i, line in enumerate(lines) if line.lower() == "@data"), None)
    if start is None:
        raise SnnlearnError(f"{path} has no line @data, so it is not an ARFF file; give one written by Weka or OpenML")
    names, categories = _attributes(lines[:start], path)
    rows = _rows(lines[start + 1 :], names, path)
    columns = []
    for name, cells in zip(names, zip(*rows, strict=True), strict=True):
        if name not in categories:
            column = column_of(list(cells))
            if column.dtype == object:
                row = next(i for i, cell in enumerate(cells) if not is_missing(cell) and not is_number(cell))
                raise SnnlearnError(f"{path}: {name} is {cells[row]!r} in row {row + 1}; expected a number")
            columns.append(column)
            continue
        words = np.array([None if cell == "?" else cell for cell in cells], object)
        if unknown := sorted({word for word in words if word is not None} - set(categories[name])):
            raise SnnlearnError(f"{path}: {name} is {shown(unknown)}; it declares {shown(categories[name])}")
        columns.append(words)
    if asked.form is None and asked.label is None and categories:
        asked = replace(asked, label=next(name for name in reversed(names) if name in categories))
    return samples(Table(names, columns, categories), asked, str(path))


def _attributes(lines: list[str], path: Path) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The columns' names, and the declared words of those that have some."""
    names, categories = [], {}
    for line in lines:
        if line.lower().startswith(("@relation", "@end")):
            continue
        match = _ATTRIBUTE.fullmatch(line)
        if match is None:
            raise SnnlearnError(f"{path} has the line {line[:60]!r} before @data; expected @attribute NAME TYPE")
        name, kind = _plain(match[1]), match[2].strip()
        word = kind.split()[0].lower()
        if word == "relational":
            raise SnnlearnError(
                f"{path} has a relational attribute, {name}, as series of several channels have; give the .ts file of "
                "the same data, which the UEA archive has as well"
            )
        if kind.startswith("{") and kind.endswith("}"):
            categories[name] = tuple(_cells(kind[1:-1], path))
        elif word not in _NUMBERS:
            raise SnnlearnError(f"{path}: {name} is of type {kind[:40]}; expected numeric or a list of words in braces")
        names.append(name)
    if len(set(names)) < len(names) or not names:
        raise SnnlearnError(
            f"{path} has {len(names)} attributes of {len(set(names))} names; give each a different name"
        )
    return names, categories


def _rows(lines: list[str], names: list[str], path: Path) -> list[list[str]]:
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("{"):
            raise SnnlearnError(f"{path} has sparse rows, {{number value, …}}, which are not read; save it dense")
        row = _cells(line, path)
        if len(row) != len(names):
            raise SnnlearnError(f"{path} has {len(row)} values in row {number} and {len(names)} attributes; correct it")
        rows.append(row)
    if not rows:
        raise SnnlearnError(f"{path} has no rows after @data; expected one for each sample")
    return rows


def _cells(line: str, path: Path) -> list[str]:
    """Cells between commas, in single or double quotes or none."""
    cells, place = [], 0
    while True:
        match = _CELL.match(line, place)
        if match is None:
            raise SnnlearnError(
                f"{path} has {line[place : place + 60]!r}; close its quotes, and put commas between cells"
            )
        cells.append(_plain(match[1].strip()))
        if not match[2]:
            return cells
        place = match.end()


def _plain(name: str) -> str:
    if name[:1] in ("'", '"'):
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name
