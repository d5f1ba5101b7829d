"""A report in a terminal: the headline, the tables and the findings, without figures and details."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich import box
from rich import table as rich_table
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.panel import Panel
from rich.text import Text

from snnlearn.report.value import Code, Folded, Note, Numbers, Panels, Paragraph, Report, Table

_WORDS = 24  # a cell of more characters is a sentence, which may be broken
_ENDLESS = 10_000  # wider than any table


def print_report(report: Report, console: Console) -> None:
    """Print a report: the headline first, then every table and finding, then the warnings.

    Args:
        report: The report.
        console: Where to print.
    """
    title = Text(report.title, style="bold")  # Text, not markup: a name may hold brackets
    if report.headline:
        found = Text.assemble((f"{report.headline.number} {report.headline.unit}\n", "bold"), report.headline.sentence)
        console.print(Panel(found, title=title, title_align="left"))
    else:
        console.print(title)
    for section in report.sections:
        shown = [] if section.detail else [one for block in section.blocks for one in lines(block, console)]
        if shown:
            console.print("", Text(section.title, style="bold"), sep="\n")
        for one in shown:
            console.print(one, soft_wrap=isinstance(one, Text) and one.no_wrap)
    for warning in report.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), warning))


@functools.singledispatch
def lines(block: Any, console: Console) -> Iterator[RenderableType]:
    """The printed form of a block."""
    raise TypeError(block)


@lines.register(Panels | Note | Code | Folded)
def _(block: Any, console: Console) -> Iterator[RenderableType]:
    yield from ()


@lines.register
def _(block: Paragraph, console: Console) -> Iterator[RenderableType]:
    yield Text(block.text)


@lines.register
def _(block: Numbers, console: Console) -> Iterator[RenderableType]:
    table = rich_table.Table(box=box.SIMPLE, show_header=False, pad_edge=False, show_edge=False, expand=True)
    table.add_column(width=24)  # the same in all tables of a report
    table.add_column(style="bold", no_wrap=True, min_width=24)
    table.add_column(style="dim", ratio=1)
    for row in block.rows:
        table.add_row(*map(Text, row))
    yield table


@lines.register
def _(block: Table, console: Console) -> Iterator[RenderableType]:
    """If the terminal is too narrow for the table, each row becomes several lines, one per column."""
    rows, width = block.rows[: block.most], len(block.header)
    for count in (width, width - block.details):
        if _fits(table := _table(block, rows, count), console):
            yield table
            break
    else:
        for row in rows:
            yield from (Text(f"{name}: {cell}", no_wrap=True) for name, cell in zip(block.header, row, strict=True))
            yield Text()
    if more := len(block.rows) - len(rows):
        yield Text(f"{more} more stand in the report.")


def _table(block: Table, rows: Any, count: int) -> rich_table.Table:
    """Its first columns."""
    shown = rich_table.Table(title=block.caption or None, box=box.SIMPLE, pad_edge=False, padding=0)
    for number, (name, *cells) in enumerate(list(zip(block.header, *rows, strict=True))[:count]):
        widest = max(map(cell_len, (name, *cells)))
        whole, side = widest <= _WORDS, "right" if block.right(number) else "left"
        width = widest if whole else None
        shown.add_column(Text(name), no_wrap=whole, min_width=width, overflow="fold", justify=side)
    for row in rows:
        shown.add_row(*map(Text, row[:count]))
    return shown


def _fits(table: rich_table.Table, console: Console) -> bool:
    return Measurement.get(console, console.options.update(max_width=_ENDLESS), table).minimum <= console.width


def terminal_raster(spikes: np.ndarray, *, width: int = 72, height: int = 16) -> Text:
    """Draw a raster in braille characters, two steps and four units to a character; unit 0 is at the top.

    A dot is set if any of the steps and units that fall on it has a spike, so no spike is ever lost; if there are fewer
    steps or units than dots, each has its own dot and the drawing is smaller.

    Args:
        spikes: ``[T, N]``; every value but 0 is a spike.
        width: Most characters per line, at least 1.
        height: Most lines, at least 1.

    Returns:
        Text for a Rich console.

    >>> print(terminal_raster(np.eye(8), width=4, height=2))
    ⠑⢄⠀⠀
    ⠀⠀⠑⢄
    """
    step, unit = np.nonzero(spikes)
    columns, rows = min(2 * width, spikes.shape[0]), min(4 * height, spikes.shape[1])
    dots = np.zeros((-(-rows // 4) * 4, -(-columns // 2) * 2), dtype=int)
    dots[unit * rows // spikes.shape[1], step * columns // spikes.shape[0]] = 1
    # Bits of a braille character by dot row and column, as Unicode numbers them.
    bits = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
    cells = dots.reshape(dots.shape[0] // 4, 4, dots.shape[1] // 2, 2)
    codes = 0x2800 + np.einsum("ydxc,dc->yx", cells, bits)
    return Text("\n".join("".join(map(chr, line)) for line in codes.tolist()), no_wrap=True)
