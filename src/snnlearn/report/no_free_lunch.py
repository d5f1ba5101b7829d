"""The report of no free lunch: the same average for all, and what a prior on tasks changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from snnlearn.report.figures import BLUE, GREY, ORANGE, draw_lines, shorten
from snnlearn.report.value import Figure, Headline, Note, Panels, Paragraph, Report, Section, Table
from snnlearn.risk import no_free_lunch_risk


@dataclass(frozen=True)
class Averaged:
    """One algorithm, averaged over all tasks and samples.

    Args:
        name: The algorithm's.
        risk: Mean risk over all tasks, uniformly.
        seen: The part of it that is made on points that were seen.
        off_training_set: Mean error on points that were not seen.
        difference: ``risk`` less ``seen`` and the closed form.
        worst: Expected risk on its worst task.
        risk_smooth: Mean risk if smooth tasks are more likely.
        off_training_set_smooth: Mean error off the training set there.
        of_task: Expected risk on each task, ``[2^k]``.
    """

    name: str
    risk: float
    seen: float
    off_training_set: float
    difference: float
    worst: float
    risk_smooth: float
    off_training_set_smooth: float
    of_task: np.ndarray


_HEADER = ("algorithm", "unseen", "risk", "seen", "− closed form", "worst", "smooth")
_COLUMNS = (
    "Unseen: error on points that were not seen. Risk: mean over all tasks. Seen: the part of it made on points "
    "seen, 0 for who remembers. − closed form: what is left of the risk after both, numerically 0. Worst: expected "
    "risk on the worst task; the Bayes risk is 0 on each. Smooth: mean risk where smooth tasks are likelier."
)


def no_free_lunch_report(found: Sequence[Averaged], *, points: int, samples: int, smoothness: float) -> Report:
    """Report that the average is the same for all, and what a prior on tasks changes.

    Args:
        found: The algorithms.
        points: k of the domain.
        samples: n that an algorithm sees.
        smoothness: Factor by which a task is less likely for each change between neighbours.
    """
    closed = no_free_lunch_risk(points, samples)
    sentence = (
        f"On points that were not seen, every algorithm errs on one half: the mean over all {2**points:,} labelings of "
        f"{points} points and all {points**samples:,} samples of {samples} draws, enumerated. So an algorithm that is "
        f"right on what it saw has the risk ½ (1 − 1/k)ⁿ = {closed:.6f}, and no algorithm has less."
    )
    note = (
        "Left: grey is the mean over all tasks, ½ for each algorithm. Blue: a task is "
        f"{smoothness:g} times as likely for each change between neighbouring points, and now algorithms do differ – "
        "what makes one good is what is known about the tasks. Right: what one wins on some tasks it loses on others; "
        "dotted is the closed form."
    )
    size = 5.2, 0.9 + 0.36 * len(found)
    off = Figure(
        "Error on unseen points, over all tasks and over smooth ones", size, partial(_draw_unseen, found=found)
    )
    tasks = Figure("Expected risk on each task", size, partial(_draw_tasks, found=found, closed=closed))
    equal = (
        f"Closed form ½ (1 − 1/k)ⁿ = {closed:.6f} for k = {points}, n = {samples}; largest difference "
        f"{max(abs(one.difference) for one in found):.1e}."
    )
    learners = [{name: value for name, value in vars(one).items() if name != "of_task"} for one in found]
    numbers = {"points": points, "samples": samples, "closed_form": closed, "smoothness": smoothness}
    return Report(
        kind="no free lunch",
        title="No free lunch, counted",
        headline=Headline("½", "error off the training set", sentence),
        sections=[
            Section("Off the training set", [Note(note), Panels([off, tasks], width=480)]),
            Section("Numbers", [Note(_COLUMNS), Table(_HEADER, [_cells(one) for one in found]), Paragraph(equal)]),
        ],
        numbers={"no_free_lunch": numbers | {"learners": learners}},
    )


def _cells(one: Averaged) -> tuple[str, ...]:
    means = (f"{mean:.6f}" for mean in (one.off_training_set, one.risk, one.seen))
    return one.name, *means, f"{one.difference:.1e}", f"{one.worst:.4f}", f"{one.risk_smooth:.4f}"


def _draw_unseen(figure: Any, found: Sequence[Averaged]) -> None:
    ax, rows = figure.subplots(), np.arange(len(found))
    alike, smooth = [one.off_training_set for one in found], [one.off_training_set_smooth for one in found]
    ax.barh(rows - 0.19, alike, 0.36, color=GREY, label="all tasks alike")
    ax.barh(rows + 0.19, smooth, 0.36, color=BLUE, label="smooth tasks likelier")
    ax.axvline(0.5, color=ORANGE, linewidth=1)
    ax.set(yticks=rows, yticklabels=[shorten(one.name, 24) for one in found])
    ax.set(xlabel="error on points not seen", xlim=(0, 1))
    ax.invert_yaxis()
    ax.legend(loc="lower right", fontsize=7)


def _draw_tasks(figure: Any, found: Sequence[Averaged], closed: float) -> None:
    ax = figure.subplots()
    lines = [(one.name, np.arange(len(one.of_task)), np.sort(one.of_task)) for one in found]
    draw_lines(ax, lines, fontsize=6.5, loc="best", bbox_to_anchor=None)
    ax.axhline(closed, color=GREY, linewidth=0.9, linestyle=":")
    ax.set(xlabel="task, from the algorithm's best to its worst", ylabel="expected risk", ylim=(0, None))
