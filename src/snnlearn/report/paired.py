"""The report of comparisons in pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from snnlearn.report.figures import BLUE, GREY, draw_intervals, shorten
from snnlearn.report.value import Figure, Headline, Note, Panels, Paragraph, Report, Section, Table
from snnlearn.report.words import percent, points
from snnlearn.risk import Comparison, Risk, holm


class Pair(NamedTuple):
    """A comparison of two.

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

    def cells(self) -> tuple[str, ...]:
        """The cells of a table."""
        found = self.comparison
        p_values = f"{found.p_value:.2g}", f"{self.p_value:.2g}"
        return self.first, self.second, points(found.difference, found.interval), str(found.n), *p_values

    def numbers(self) -> dict[str, Any]:
        """The report's numbers, for JSON."""
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


_HEADER = ("first", "second", "difference of test errors, points (95 %)", "pairs", "p", "p (Holm)")


def compare_all(errors: Mapping[str, np.ndarray], compare: Callable[[Any, Any], Comparison]) -> list[Pair]:
    """Compare all pairs, and correct for their number.

    Args:
        errors: The errors of each, by name.
        compare: `compare_hypotheses` or `compare_algorithms`.
    """
    return corrected(
        Pair(first, second, compare(errors[first], errors[second]), 1.0)
        for first, second in itertools.combinations(errors, 2)
    )


def corrected(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs with p-values corrected for their number."""
    found = list(pairs)
    p_values = holm([one.comparison.p_value for one in found]) if found else []
    return [one._replace(p_value=float(p)) for one, p in zip(found, p_values, strict=True)]


def out_of_reach(comparisons: Sequence[Comparison], level: float = 0.05) -> str:
    """A note if no difference could be significant, however large, and what would help; else empty.

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


def pair_section(pairs: Sequence[Pair], how: Note | Paragraph, *, title: str = "In pairs") -> Section:
    """The differences with their intervals, and the table."""
    drawn = Figure(f"{title}: differences", (5.6, 0.8 + 0.3 * len(pairs)), partial(_draw, pairs=pairs))
    reach = out_of_reach([one.comparison for one in pairs])
    found = [Paragraph(reach)] if reach else []
    return Section(title, [how, Panels([drawn], width=560), *found, Table(_HEADER, [one.cells() for one in pairs])])


def _draw(figure: Any, pairs: Sequence[Pair]) -> None:
    ax = figure.subplots()
    rows = []
    for one in pairs:
        name = f"{shorten(one.first, 20)} − {shorten(one.second, 20)}"
        color = BLUE if one.p_value < 0.05 else GREY
        rows.append((name, one.comparison.difference, one.comparison.interval, color))
    draw_intervals(ax, rows, "difference of test errors (percentage points)")
    ax.axvline(0, color=GREY, linewidth=0.9)


def paired_report(
    risks: Mapping[str, Risk], models: Sequence[Pair], trainings: Sequence[Pair], *, title: str
) -> Report:
    """Report which models err less than others, and which trainings are better.

    Args:
        risks: Of each model, by name.
        models: The models, compared on the same samples.
        trainings: The trainings, compared over seeds; empty if that is impossible.
        title: Of the report.
    """
    best = min(risks, key=lambda name: risks[name].value)
    better = [(o.first, o.second, o.p_value) for o in models if o.p_value < 0.05 and o.comparison.difference < 0]
    better += [(o.second, o.first, o.p_value) for o in models if o.p_value < 0.05 and o.comparison.difference >= 0]
    found = " ".join(f"{first} errs less than {second} (p = {p:.2g})." for first, second, p in better)
    found = found or out_of_reach([one.comparison for one in models]) or "No difference is beyond chance."
    rows = [
        (name, *(percent(one, 2) for one in (r.value, r.interval.low, r.interval.high)), f"{r.errors} of {r.n}")
        for name, r in risks.items()
    ]
    alone = "Exact 95 % intervals of each alone. Two that overlap may still differ clearly: compare in pairs."
    return Report(
        kind="comparison in pairs",
        title=title,
        headline=Headline(percent(risks[best].value, 1), f"fewest errors: {best}", found),
        sections=[
            pair_section(models, Paragraph(_SAMPLES), title="Models"),
            *([pair_section(trainings, Paragraph(_SEEDS), title="Trainings")] if trainings else []),
            Section("Each alone", [Note(alone), Table(("run", "test error", "low", "high", "errors"), rows)]),
        ],
        numbers={
            "paired": {
                "runs": {name: one._asdict() for name, one in risks.items()},
                "samples": [pair.numbers() for pair in models],
                "seeds": [pair.numbers() for pair in trainings],
            }
        },
    )


_SAMPLES = (
    "The saved models on the same test samples: McNemar's exact test, and a paired bootstrap of the difference. "
    "Corrected for the number of pairs (Holm)."
)
_SEEDS = (
    "The trainings, seed against seed: sign-flip test and t interval over seeds, on one test sample; this says which "
    "training is better, not which model. Corrected for the number of pairs (Holm)."
)
