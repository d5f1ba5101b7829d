"""Comparisons in pairs, as a page and in the terminal."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from rich.console import Console

from snnlearn.report.figures import BLUE, GREY, STYLE, new_figure, shorten
from snnlearn.report.page import Headline, Page, Section, Table, draw, write_page
from snnlearn.report.statement import percent, points
from snnlearn.report.terminal import print_table
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


HEADER = ("first", "second", "difference of test errors, points (95 %)", "pairs", "p", "p (Holm)")


def compare_all(errors: Mapping[str, np.ndarray], compare: Callable[[Any, Any], Comparison]) -> list[Pair]:
    """Compare each with each, and correct for their number.

    Args:
        errors: What there is of each to compare, by name.
        compare: `compare_hypotheses` or `compare_algorithms`.
    """
    found = [Pair(a, b, compare(errors[a], errors[b]), 1.0) for a, b in itertools.combinations(errors, 2)]
    corrected = holm([one.comparison.p_value for one in found]) if found else []
    return [one._replace(p_value=float(p)) for one, p in zip(found, corrected, strict=True)]


def out_of_reach(comparisons: Sequence[Comparison], level: float = 0.05) -> str:
    """That no difference could be significant, however large, and what would do; empty if one could.

    >>> from snnlearn.risk import compare_algorithms
    >>> out_of_reach([compare_algorithms([0.2, 0.3, 0.4], [0.1, 0.1, 0.1])])
    'No difference can be significant here: 3 pairs that differ give p = 0.25 at the least. It takes 6 of them ...'
    """
    if not comparisons:
        return ""
    best, number = max(comparisons, key=lambda one: one.differing), len(comparisons)
    if number * best.least_p <= level:
        return ""
    least = f"{best.differing} pairs that differ give p = {best.least_p:.2g} at the least"
    if number > 1:
        least += f", {min(1.0, number * best.least_p):.2g} when corrected for {number} comparisons"
    needed = math.ceil(1 + math.log2(number / level))
    return f"No difference can be significant here: {least}. It takes {needed} of them to reach {level:g}."


def pair_rows(pairs: Sequence[Pair]) -> list[tuple[str, ...]]:
    """The lines of their table."""
    rows = []
    for one in pairs:
        change = points(one.comparison.difference, one.comparison.interval)
        p_values = f"{one.comparison.p_value:.2g}", f"{one.p_value:.2g}"
        rows.append((one.first, one.second, change, str(one.comparison.n), *p_values))
    return rows


def print_pairs(pairs: Sequence[Pair], console: Console) -> None:
    """Print the table."""
    print_table(Table(HEADER, pair_rows(pairs)), console)
    if sentence := out_of_reach([one.comparison for one in pairs]):
        console.print(sentence)


def pair_section(pairs: Sequence[Pair], note: str, *, title: str = "In pairs") -> Section:
    """The differences with their intervals, and the table."""
    figure, axes = new_figure(5.6, 0.8 + 0.3 * len(pairs))
    ax = axes[0, 0]
    for row, one in enumerate(pairs):
        color = BLUE if one.p_value < 0.05 else GREY
        ax.plot(100 * np.array(one.comparison.interval[:2]), [row, row], color=color, linewidth=2)
        ax.plot(100 * one.comparison.difference, row, "o", color=color)
    ax.axvline(0, color=GREY, linewidth=0.9)
    ax.set(
        yticks=range(len(pairs)), yticklabels=[f"{shorten(one.first, 20)} − {shorten(one.second, 20)}" for one in pairs]
    )
    ax.set_xlabel("difference of test errors (percentage points)")
    ax.invert_yaxis()
    drawn, reach = draw(figure, f"{title}: differences"), out_of_reach([one.comparison for one in pairs])
    return Section(
        title=title, figures=[drawn], width=560, tables=[Table(HEADER, pair_rows(pairs))], note=note, text=reach
    )


@matplotlib.rc_context(STYLE)
def write_paired(
    risks: Mapping[str, Risk],
    sections: Mapping[str, tuple[str, Sequence[Pair]]],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Write a self-contained page.

    Args:
        risks: Of each, by name.
        sections: By title, what was compared: a note on how, and the pairs; the first says which model is best.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.

    Returns:
        The path.
    """
    best = min(risks, key=lambda name: risks[name].value)
    clear = [one for one in next(iter(sections.values()))[1] if one.p_value < 0.05]
    found = (
        " ".join(
            f"{better} errs less than {worse} (p = {p:.2g})."
            for better, worse, p in (
                (o.first, o.second, o.p_value) if o.comparison.difference < 0 else (o.second, o.first, o.p_value)
                for o in clear
            )
        )
        or out_of_reach([one.comparison for one in next(iter(sections.values()))[1]])
        or "No difference is beyond chance."
    )
    rows = [
        (name, percent(r.value, 2), percent(r.interval.low, 2), percent(r.interval.high, 2), f"{r.errors} of {r.n}")
        for name, r in risks.items()
    ]
    alone = Section(
        title="Each alone",
        tables=[Table(("run", "test error", "low", "high", "errors"), rows)],
        note="Exact 95 % intervals of each alone. Two that overlap may still differ clearly: compare in pairs.",
    )
    page = Page(
        kicker="comparison in pairs",
        title=title,
        headline=Headline(percent(risks[best].value, 1), f"fewest errors: {best}", found),
        sections=[*(pair_section(pairs, text, title=name) for name, (text, pairs) in sections.items()), alone],
    )
    return write_page(page, path)
