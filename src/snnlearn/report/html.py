"""A report as one web page that opens offline."""

from __future__ import annotations

import functools
import io
import re
import warnings
from importlib.resources import files
from typing import Any

import matplotlib.figure
from markupsafe import Markup

from snnlearn.report.figures import INK, STYLE
from snnlearn.report.value import Code, Figure, Folded, Headline, Note, Numbers, Panels, Paragraph, Report, Table


def page(report: Report) -> str:
    """The page, with its style and its figures in it."""
    style = files("snnlearn.report").joinpath("style.css").read_text(encoding="utf-8")
    head = element(
        "head",
        Markup('<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", report.title),
        element("style", Markup(style)),
    )
    sections = [
        element("section", element("h2", section.title), *map(markup, section.blocks)) for section in report.sections
    ]
    body = element("body", element("main", _header(report), *sections))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def element(tag: str, *content: str, **attributes: str | None) -> Markup:
    """An HTML element: the one place where text becomes markup, and is escaped.

    Args:
        tag: Its name.
        content: Text, and elements.
        attributes: By name, where `_` is `-`; those that are None are left out.

    >>> element("p", "1 < 2", element("b", "&"), class_='"')
    Markup('<p class="&#34;">1 &lt; 2<b>&amp;</b></p>')
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items() if value is not None}
    opening = Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in given.items())
    line = "\n" if tag in ("html", "head", "body", "main", "header", "section", "table", "figure", "div") else ""
    return Markup("<{0}{1}>{3}{2}{3}</{0}>").format(tag, opening, Markup(line).join(content), line)


def _header(report: Report) -> Markup:
    parts = [element("p", f"snnlearn · {report.kind}", class_="kicker"), element("h1", report.title)]
    if report.headline:
        parts.append(_hero(report.headline))
    if report.figure:
        parts.append(_figure(report.figure))
    if report.warnings:
        sentences = element("ul", *(element("li", warning) for warning in report.warnings))
        parts.append(element("aside", element("h2", "Warnings"), sentences, class_="warnings"))
    return element("header", *parts)


def _hero(headline: Headline) -> Markup:
    number = element("p", headline.number, class_="big"), element("p", headline.unit, class_="unit")
    return element("div", element("div", *number), element("p", headline.sentence), class_="hero")


def _figure(figure: Figure) -> Markup:
    view_box, drawing = svg(figure)
    parts = [element("svg", drawing, role="img", aria_label=figure.label, viewBox=view_box)]
    if figure.caption:
        parts.append(element("figcaption", figure.caption, class_="note"))
    return element("figure", *parts, style=f"max-width: {figure.width}px" if figure.width else None)


def svg(figure: Figure) -> tuple[str, Markup]:
    """Draw a figure: its view box, and the content of the SVG element; its `INK` is the colour of the page's text."""
    buffer = io.StringIO()
    options: dict[Any, Any] = STYLE | {"svg.fonttype": "none", "svg.hashsalt": ascii(figure.label)}
    with matplotlib.rc_context(options), warnings.catch_warnings():
        # The reader's browser has the glyphs that Matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        drawn = matplotlib.figure.Figure(figsize=figure.size, layout="constrained")
        figure.draw(drawn)
        drawn.savefig(buffer, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    text = buffer.getvalue()
    view_box = re.search(r'viewBox="([^"]*)"', text)
    assert view_box is not None
    drawing = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<style type="text/css">.*?</style>', "", drawing, flags=re.DOTALL)
    drawing = re.sub(r'<g id="[^"]*"', "<g", drawing)  # the same in every figure, and an id must be unique
    return view_box[1], Markup(drawing.replace(INK, "currentColor"))  # Matplotlib has escaped its text


@functools.singledispatch
def markup(block: Any) -> Markup:
    """A block of a report."""
    raise TypeError(block)


@markup.register
def _(block: Paragraph) -> Markup:
    return element("p", block.text)


@markup.register
def _(block: Note) -> Markup:
    return element("p", block.text, class_="note")


@markup.register
def _(block: Code) -> Markup:
    return element("pre", block.text)


@markup.register
def _(block: Table) -> Markup:
    side = ["right" if block.right(column) else None for column in range(len(block.header))]
    header = [element("th", name, scope="col", class_=at) for name, at in zip(block.header, side, strict=True)]
    rows = [
        element(
            "tr",
            element("th", name, scope="row"),
            *(element("td", cell, class_=at) for cell, at in zip(cells, side[1:], strict=True)),
        )
        for name, *cells in block.rows
    ]
    return element(
        "div", element("table", *_caption(block), element("tr", *header), *rows, class_="plain"), class_="scroll"
    )


@markup.register
def _(block: Numbers) -> Markup:
    rows = [
        element(
            "tr",
            element("th", row.label, scope="row"),
            element("td", row.value, class_="value"),
            element("td", row.note, class_="remark"),
        )
        for row in block.rows
    ]
    return element("table", *_caption(block), *rows, class_="numbers")


@markup.register
def _(block: Panels) -> Markup:
    beside = [markup(block.beside)] if block.beside else []
    return element("div", *map(_figure, block.figures), *beside, class_="panels", style=f"--width: {block.width}px")


@markup.register
def _(block: Folded) -> Markup:
    return element("details", element("summary", block.title), markup(block.content))


def _caption(table: Table | Numbers) -> list[Markup]:
    return [element("caption", table.caption)] if table.caption else []
