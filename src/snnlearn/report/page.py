"""A web page in one file: its style, its figures as inline SVG, written whole or not at all."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from snnlearn.report.figures import INK, STYLE
from snnlearn.report.statement import Row


def inline_svg(figure: Figure, label: str) -> str:
    """Turn a figure into an SVG element that takes the page's text colour, font and width.

    Args:
        figure: The figure; its `INK` becomes the colour of the surrounding text.
        label: What it shows, for those who cannot see it; different for each figure of a page.

    Returns:
        The element, without any reference to another file.
    """
    buffer = io.StringIO()
    options: dict[Any, Any] = STYLE | {"svg.fonttype": "none", "svg.hashsalt": label}
    with matplotlib.rc_context(options), warnings.catch_warnings():
        # The reader's browser has the glyphs that Matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    svg = buffer.getvalue()
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box is not None
    drawing = svg[svg.index(">", svg.index("<svg")) + 1 :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<style type="text/css">.*?</style>', "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # the same in every figure, and an id must be unique
    drawing = drawing.replace(INK, "currentColor")
    return f'<svg role="img" aria-label="{escape(label)}" {view_box[0]}>{drawing}'


def page(title: str, body: Iterable[str]) -> str:
    """Put the parts of a page together.

    Args:
        title: Plain text of the window's title.
        body: HTML of the parts, top to bottom.

    Returns:
        A whole HTML document.
    """
    style = files("snnlearn.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(kicker: str, title: str, number: str, unit: str, sentence: str, *figures: str) -> str:
    """Begin a page: what it is, the number that it is about, and a sentence that says it.

    Args:
        kicker: The kind of page.
        title: Its title.
        number: The number, large.
        unit: What the number is.
        sentence: What it means.
        figures: Figures right below.
    """
    drawn = "".join(f"<figure>{svg}</figure>\n" for svg in figures)
    return (
        f'<header>\n<p class="kicker">snnlearn · {escape(kicker)}</p>\n<h1>{escape(title)}</h1>\n'
        f'<div class="hero"><div><p class="big">{escape(number)}</p><p class="unit">{escape(unit)}</p></div>\n'
        f"<p>{escape(sentence)}</p></div>\n{drawn}</header>"
    )


def section(title: str, *content: str, note: str = "") -> str:
    """Write a section: a heading, a plain-text note on how to read it, and its content."""
    lead = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section>\n<h2>{escape(title)}</h2>\n{lead}\n" + "\n".join(content) + "\n</section>"


def panels(svgs: Iterable[str], last: str = "", *, width: int = 400) -> str:
    """Lay figures, and a last piece of HTML, side by side: as many as the window has room for at ``width`` pixels."""
    figures = "\n".join(f"<figure>{svg}</figure>" for svg in svgs)
    return f'<div class="panels" style="--width: {width}px">\n{figures}\n{last}\n</div>'


def number_table(caption: str, rows: Iterable[Row]) -> str:
    """Write a table of numbers with what to know about each."""
    lines = "\n".join(
        f'<tr><th scope="row">{escape(row.label)}</th><td class="value">{escape(row.value)}</td>'
        f'<td class="remark">{escape(row.note)}</td></tr>'
        for row in rows
    )
    return f'<table class="numbers"><caption>{escape(caption)}</caption>\n{lines}\n</table>'


def table(caption: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a plain table; the first column names the row."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = []
    for first, *rest in rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        lines.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table class="plain">{title}<tr>{head}</tr>\n' + "\n".join(lines) + "\n</table></div>"


def write_whole(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a file so that a reader sees the old one or the new one, never a part.

    Args:
        text: Its content.
        path: Where it goes; folders that lack are made.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
