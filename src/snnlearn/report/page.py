"""A report is a value, `Page`; one template makes a web page in one file of it, written whole or not at all."""

from __future__ import annotations

import functools
import io
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from snnlearn._files import write_atomically
from snnlearn.report.figures import INK, STYLE
from snnlearn.report.statement import Row


@dataclass(frozen=True)
class Drawing:
    """A figure as SVG that takes the page's text colour, font and width.

    Args:
        label: What it shows, for those who cannot see it; different for each drawing of a page.
        view_box: Its size.
        drawing: What is in the SVG element, without any reference to another file.
        caption: What to read below it.
        width: Most pixels; None for as many as there is room for.
    """

    label: str
    view_box: str
    drawing: Markup
    caption: str = ""
    width: int | None = None


@dataclass(frozen=True)
class Table:
    """A plain table; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Numbers:
    """A table of numbers with what to know about each."""

    rows: Sequence[Row]
    caption: str = ""


@dataclass(frozen=True)
class Headline:
    """The number that a page is about, large, what it is, and a sentence that says what it means."""

    number: str
    unit: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page; what it has is shown in this order.

    Args:
        title: Its heading.
        note: How to read it.
        figures: Side by side, as many as the window has room for.
        width: Fewest pixels of each.
        beside: A small table beside the figures.
        text: A sentence.
        code: What to type.
        numbers: Tables of numbers.
        tables: Tables.
        details: Text as it is, or tables, to unfold, by title.
    """

    title: str
    note: str = ""
    figures: Sequence[Drawing] = ()
    width: int = 400
    beside: Table | None = None
    text: str = ""
    code: str = ""
    numbers: Sequence[Numbers] = ()
    tables: Sequence[Table] = ()
    details: Mapping[str, str | Table] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report.

    Args:
        kicker: The kind of page.
        title: Its title.
        sections: Top to bottom.
        headline: What it is about; None if that is no single number.
        figure: Right below.
        warnings: What casts doubt on it, one sentence each.
    """

    kicker: str
    title: str
    sections: Sequence[Section]
    headline: Headline | None = None
    figure: Drawing | None = None
    warnings: Sequence[str] = ()


def draw(figure: Figure, label: str, caption: str = "", width: int | None = None) -> Drawing:
    """Draw a figure; its `INK` becomes the colour of the surrounding text.

    Args:
        figure: The figure.
        label: As a `Drawing` has them, these three.
        caption: See there.
        width: See there.
    """
    buffer = io.StringIO()
    options: dict[Any, Any] = STYLE | {"svg.fonttype": "none", "svg.hashsalt": ascii(label)}
    with matplotlib.rc_context(options), warnings.catch_warnings():
        # The reader's browser has the glyphs that Matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    svg = buffer.getvalue()
    view_box = re.search(r'viewBox="([^"]*)"', svg)
    assert view_box is not None
    drawing = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<style type="text/css">.*?</style>', "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # the same in every figure, and an id must be unique
    return Drawing(label, view_box[1], Markup(drawing.replace(INK, "currentColor")), caption, width)


@functools.cache
def _template() -> jinja2.Template:
    text = files("snnlearn.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def write_page(page: Page, path: str | os.PathLike[str]) -> Path:
    """Write a page that opens offline.

    Args:
        page: The page.
        path: Where it goes; an older file there is replaced whole.

    Returns:
        The path.
    """
    style = files("snnlearn.report").joinpath("style.css").read_text(encoding="utf-8")
    path = Path(path)
    text = _template().render(page=page, style=Markup(style)).lstrip()
    write_atomically(path, text.encode("utf-8", "replace"))  # the name of a file may hold what is no text
    return path
