"""The terminal's tables and rasters."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fake_run import fake_run
from rich.cells import cell_len
from rich.console import Console

from snnlearn.report import Report, print_report, run_report, terminal_raster
from snnlearn.report.value import Section, Table


def print_table(table: Table, console: Console) -> None:
    print_report(Report(kind="", title="", sections=[Section("", [table])]), console)


def printed(summary, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(run_report(summary), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\xa0", " ")


def test_summary_says_every_headline_number():
    text = printed(fake_run())
    for number in ("2.8 % (1.3 to 5.0 %)", "3.2 % (2.5 to 3.9 %)", "0.09 %", "89.8 %", "9,610", "41,234", "947 k"):
        assert number in text
    assert "warning: 9.4 % of the units" in text
    assert text.index("true risk lies between") < text.index("Parameters")


@pytest.mark.parametrize(
    ("why_plain", "by"),
    [("a reason", "plain JAX"), (None, "event kernels")],
)
def test_summary_says_what_computed(why_plain, by):
    (line,) = [line for line in printed(fake_run(why_plain=why_plain)).splitlines() if "Computed" in line]
    assert by in line


def test_summary_prints_brackets_as_they_are_and_fits_a_narrow_terminal():
    text = printed(fake_run(title="[bold]digits[/bold]", warnings=("[red]x",), seeds=1), width=60)
    assert "[bold]digits[/bold]" in text and "[red]x" in text
    assert max(map(cell_len, text.splitlines())) <= 60


@pytest.mark.parametrize("width", [1, 20, 80, 200])
def test_a_table_is_whole_at_any_width(width):
    """Side by side where there is room, else line by line; nothing is cut off."""
    rows = [
        ("a name of 24 characters!", "+1.000", "0.32", "a sentence that may be broken into lines"),
        ("猫", "–", "", ""),
    ]
    console = Console(file=io.StringIO(), width=width)
    print_table(Table(("rule", "cosine", "MB", "holds"), rows), console)
    printed = console.file.getvalue()
    assert "…" not in printed and all(cell in printed for row in rows for cell in row[:3])
    assert ("cosine: +1.000" in printed) == (width < 80)


def test_details_and_rows_are_left_out_where_there_is_no_room():
    rows = [("bptt", "1.5", "a loss of 20 letters", "0 %"), ("eprop", "0.5", "another", "1 %")]
    table = Table(("rule", "MB", "loss", "silent"), rows, details=2, most=1)
    for width, loss in ((80, True), (30, False)):
        console = Console(file=io.StringIO(), width=width)
        print_table(table, console)
        text = console.file.getvalue()
        assert ("a loss of 20 letters" in text) == loss and "1.5" in text and "eprop" not in text
        assert "1 more stand in the report." in text.replace("\n", " ")


def dots(text: str) -> np.ndarray:
    """Read the dots of braille text back, by the numbering of the dots in its standard: 1 2 3 7 left, 4 5 6 8 right."""
    lines = text.split("\n")
    result = np.zeros((4 * len(lines), 2 * len(lines[0])), dtype=bool)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            for number in range(1, 9):
                if ord(character) - 0x2800 >> (number - 1) & 1:
                    x, y = {7: (0, 3), 8: (1, 3)}.get(number, ((number - 1) // 3, (number - 1) % 3))
                    result[4 * row + y, 2 * column + x] = True
    return result


def test_raster_is_exact_where_every_spike_has_a_dot():
    spikes = np.random.default_rng(0).random((20, 12)) < 0.3
    assert (dots(terminal_raster(spikes, width=10, height=3).plain) == spikes.T).all()


def test_raster_loses_no_spike_when_it_shrinks():
    spikes = np.zeros((1000, 100))
    spikes[993, 57], spikes[0, 0] = 1, -1
    picture = dots(terminal_raster(spikes, width=5, height=2).plain)
    assert picture.shape == (8, 10)
    assert [tuple(dot) for dot in np.argwhere(picture)] == [(0, 0), (57 * 8 // 100, 9)]


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (100, 64)])
def test_raster_keeps_to_its_size(shape):
    lines = terminal_raster(np.ones(shape), width=30, height=6).plain.split("\n")
    assert len(lines) == min(6, -(-shape[1] // 4)) and {len(line) for line in lines} == {min(30, -(-shape[0] // 2))}


@pytest.mark.parametrize("width", range(20, 100, 7))
def test_no_cell_of_a_table_is_cut_whatever_the_width(width):
    header = ("rule", "test error, %", "train", "step", "s/epoch", "MB", "Hz", "synops", "MACs")
    rows = [("weight-perturbation", "61.6 (56.3–66.6)", "61.9", "0.3", "0.10", "0.4", "17.3", "55", "2,048")]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_table(Table(header, rows), console)
    shown = console.file.getvalue()
    assert all(cell in shown for cell in (*header, *rows[0])), shown
