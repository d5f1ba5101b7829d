"""A report is a value: the content of a page and a terminal, and numbers for programs.

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
    """How to read the next blocks; for a page."""

    text: str


@dataclass(frozen=True)
class Code:
    """A command, or verbatim text."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table, whose first column names the row; a column of numbers is aligned to the right.

    Args:
        header: Names of the columns.
        rows: Their cells.
        caption: What it is of.
        details: How many of the last columns a narrow terminal leaves out.
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
    """A number: its name, its value, and a remark."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Numbers:
    """A table of numbers with a remark on each."""

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
    """Content that a page shows on demand."""

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
    """The main number of a report, its name, and a sentence on its meaning."""

    number: str
    unit: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The result of a command.

    Args:
        kind: Of report.
        title: Its title.
        sections: Top to bottom.
        headline: The main number; None if there is none.
        figure: Right below.
        warnings: Reasons for doubt, one sentence each.
        numbers: The content of each JSON file, by its name without suffix.
    """

    kind: str
    title: str
    sections: Sequence[Section]
    headline: Headline | None = None
    figure: Figure | None = None
    warnings: Sequence[str] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
