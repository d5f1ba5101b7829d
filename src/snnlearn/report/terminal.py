"""The report of a training run as tables in a terminal."""

from __future__ import annotations

import numpy as np
from rich import box
from rich import table as rich_table
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.panel import Panel
from rich.text import Text

from snnlearn.report.page import Table
from snnlearn.report.statement import headline, network_rows, risk_rows, training_rows
from snnlearn.report.summary import RunSummary

_WORDS = 24  # a cell of more characters is a sentence, which may be broken
_ENDLESS = 10_000  # wider than any table


def print_summary(summary: RunSummary, console: Console) -> None:
    """Print a run: the statement of risk first, then every headline number, then the warnings.

    Args:
        summary: The run.
        console: Where to print.
    """
    console.print(Panel(Text(headline(summary)), title=Text(summary.title, style="bold"), title_align="left"))
    table = rich_table.Table(box=box.SIMPLE, show_header=False, pad_edge=False, show_edge=False)
    table.add_column(ratio=3)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="dim", ratio=5)
    for rows in (risk_rows(summary), network_rows(summary), training_rows(summary)):
        for row in rows:
            # Text, not markup: a name may hold brackets.
            table.add_row(Text(row.label), Text(row.value), Text(row.note))
        table.add_section()
    console.print(table)
    for warning in summary.warnings:
        console.print(Text.assemble(("warning: ", "bold yellow"), warning))


def print_table(table: Table, console: Console) -> None:
    """Print a table; where the terminal is too narrow for it, each row as lines of its own, name by name.

    Args:
        table: The table.
        console: Where to print.
    """
    shown = rich_table.Table(title=table.caption or None, box=box.SIMPLE, pad_edge=False, padding=0)
    for name, *cells in zip(table.header, *table.rows, strict=True):
        widest = max(map(cell_len, (name, *cells)))
        whole = widest <= _WORDS
        shown.add_column(Text(name), no_wrap=whole, min_width=widest if whole else None, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(Text, row))
    if Measurement.get(console, console.options.update(max_width=_ENDLESS), shown).minimum <= console.width:
        console.print(shown)
        return
    for row in table.rows:
        for name, cell in zip(table.header, row, strict=True):
            console.print(Text(f"{name}: {cell}"), soft_wrap=True)
        console.print()


def terminal_raster(spikes: np.ndarray, *, width: int = 72, height: int = 16) -> Text:
    """Draw a raster in braille characters, two steps and four units to a character; unit 0 is at the top.

    A dot is set if any of the steps and units that fall on it has a spike, so no spike is ever lost; where there
    are fewer steps or units than dots, each has a dot of its own and the drawing is smaller.

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
