"""Comparisons in pairs, as a page and in the terminal."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from snnlearn.report.figures import BLUE, GREY, STYLE, new_figure
from snnlearn.report.page import heading, inline_svg, page, panels, section, table, write_whole
from snnlearn.report.statement import percent
from snnlearn.risk import Comparison, Risk, holm


class Pair(NamedTuple):
    """Two that were compared.

    Args:
        first: The first's name.
        second: The second's.
        comparison: Of their risks, the first's less the second's.
        p_value: Corrected for the number of pairs (Holm).
    """

    first: str
    second: str
    comparison: Comparison
    p_value: float

    def numbers(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        found = self.comparison
        return {
            "first": self.first,
            "second": self.second,
            "difference": found.difference,
            "interval": list(found.interval[:2]),
            "n": found.n,
            "p_value": found.p_value,
            "p_value_holm": self.p_value,
        }


HEADER = ("first", "second", "difference of test errors (95 %)", "pairs", "p", "p (Holm)")


def compare_all(errors: Mapping[str, np.ndarray], compare: Callable[[Any, Any], Comparison]) -> list[Pair]:
    """Compare each with each, and correct for their number.

    Args:
        errors: What there is of each to compare, by name.
        compare: `compare_hypotheses` or `compare_algorithms`.
    """
    found = [Pair(a, b, compare(errors[a], errors[b]), 1.0) for a, b in itertools.combinations(errors, 2)]
    corrected = holm([one.comparison.p_value for one in found]) if found else []
    return [one._replace(p_value=float(p)) for one, p in zip(found, corrected, strict=True)]


def pair_rows(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """The lines of their table."""
    rows = []
    for one in pairs:
        low, high, _ = one.comparison.interval
        change = f"{100 * one.comparison.difference:+.2f} % ({100 * low:+.2f} to {100 * high:+.2f})".replace("-", "−")
        p_values = f"{one.comparison.p_value:.2g}", f"{one.p_value:.2g}"
        rows.append((one.first, one.second, change, str(one.comparison.n), *p_values))
    return rows


def print_pairs(pairs: Sequence[Pair], console: Console) -> None:
    """Print the table."""
    shown = Table(*HEADER, box=box.SIMPLE, pad_edge=False)
    for row in pair_rows(pairs):
        shown.add_row(*map(Text, row))
    console.print(shown)


def pair_section(pairs: Sequence[Pair], note: str) -> str:
    """The differences with their intervals, and the table."""
    figure, axes = new_figure(5.6, 0.8 + 0.3 * len(pairs))
    ax = axes[0, 0]
    for row, one in enumerate(pairs):
        color = BLUE if one.p_value < 0.05 else GREY
        ax.plot(100 * np.array(one.comparison.interval[:2]), [row, row], color=color, linewidth=2)
        ax.plot(100 * one.comparison.difference, row, "o", color=color)
    ax.axvline(0, color=GREY, linewidth=0.9)
    ax.set(yticks=range(len(pairs)), yticklabels=[f"{one.first} − {one.second}" for one in pairs])
    ax.set_xlabel("difference of test errors (%)")
    ax.invert_yaxis()
    drawn = panels([inline_svg(figure, f"Differences: {note[:40]}")], width=560)
    return section("In pairs", drawn, table("", HEADER, pair_rows(pairs)), note=note)


@matplotlib.rc_context(STYLE)
def write_paired(
    risks: Mapping[str, Risk], sections: Mapping[str, Sequence[Pair]], path: str | os.PathLike[str], *, title: str
) -> Path:
    """Write a self-contained page.

    Args:
        risks: Of each, by name.
        sections: What was compared how: a note on each, and its pairs.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.

    Returns:
        The path.
    """
    best = min(risks, key=lambda name: risks[name].value)
    clear = [one for one in next(iter(sections.values())) if one.p_value < 0.05]
    found = (
        "; ".join(
            f"{better} errs less than {worse} (p = {p:.2g})"
            for better, worse, p in (
                (o.first, o.second, o.p_value) if o.comparison.difference < 0 else (o.second, o.first, o.p_value)
                for o in clear
            )
        )
        or "No difference is beyond chance"
    )
    rows = [
        (name, percent(r.value, 2), percent(r.interval.low, 2), percent(r.interval.high, 2), f"{r.errors} of {r.n}")
        for name, r in risks.items()
    ]
    alone = table("", ("run", "test error", "low", "high", "errors"), rows)
    note = "Exact 95 % intervals of each alone. Two that overlap may still differ clearly: compare in pairs."
    body = [heading("comparison in pairs", title, percent(risks[best].value, 1), f"fewest errors: {best}", f"{found}.")]
    body += [pair_section(pairs, text) for text, pairs in sections.items()]
    return write_whole(page(title, [*body, section("Each alone", alone, note=note)]), path)
