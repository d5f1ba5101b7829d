"""A report is a value: what a page and a terminal show of a result, and what programs read of it.

Every string in it is text, which a renderer escapes; a figure is a function that draws it, which only a page calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

_NUMBER = re.compile(r"[<≤ +−]*\d[\d,.]*(e[+-]\d+)?(\s[^\s\d]+)?|–|")  # with a unit, or not known


@dataclass(frozen=True)
class Paragraph:
    """A finding in words."""

    text: str


@dataclass(frozen=True)
class Note:
    """How to read what is below; for a page."""

    text: str


@dataclass(frozen=True)
class Code:
    """What to type, or text as it is."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the row; a column of numbers is aligned to the right.

    Args:
        header: Names of the columns.
        rows: Their cells.
        caption: What it is of.
        details: How many of the last columns a terminal leaves out that is too narrow for them.
        most: How many of the first rows a terminal shows; None for all.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    details: int = 0
    most: int | None = None

    def right(self, column: int) -> bool:
        """Whether a column is of numbers."""
        return column > 0 and all(_NUMBER.fullmatch(row[column]) for row in self.rows)


class Row(NamedTuple):
    """A number: what it is, its value, and what to know about it."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Numbers:
    """A table of numbers with what to know about each."""

    rows: Sequence[Row]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure, drawn when a page is written.

    Args:
        label: What it shows, for those who cannot see it; different for each figure of a page.
        size: Width and height, inches.
        draw: Draws on an empty Matplotlib figure.
        caption: What to read below it.
        width: Most pixels; None for as many as there is room for.
    """

    label: str
    size: tuple[float, float]
    draw: Callable[[Any], object]
    caption: str = ""
    width: int | None = None


@dataclass(frozen=True)
class Panels:
    """Figures side by side, as many as a window has room for.

    Args:
        figures: These.
        width: Fewest pixels of each.
        beside: A small table beside them.
    """

    figures: Sequence[Figure]
    width: int = 400
    beside: Table | None = None


@dataclass(frozen=True)
class Folded:
    """What a page unfolds when asked to."""

    title: str
    content: Code | Table


Block = Paragraph | Note | Code | Table | Numbers | Panels | Folded


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Args:
        title: Its heading.
        blocks: Top to bottom.
        detail: Whether a terminal leaves it out.
    """

    title: str
    blocks: Sequence[Block]
    detail: bool = False


@dataclass(frozen=True)
class Headline:
    """The number that a report is about, large, what it is, and a sentence that says what it means."""

    number: str
    unit: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a command has found.

    Args:
        kind: Of report.
        title: Its title.
        sections: Top to bottom.
        headline: What it is about; None if that is no single number.
        figure: Right below.
        warnings: What casts doubt on it, one sentence each.
        numbers: What programs read: the content of each JSON file, by its name without ending.
    """

    kind: str
    title: str
    sections: Sequence[Section]
    headline: Headline | None = None
    figure: Figure | None = None
    warnings: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
