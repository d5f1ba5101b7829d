"""No free lunch as a page: the same average for all, and what a prior on tasks changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from snnlearn.report.figures import BLUE, CYCLE, GREY, ORANGE, STYLE, new_figure, shorten
from snnlearn.report.page import Headline, Page, Section, Table, draw, write_page


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
        risk_smooth: Mean risk where smooth tasks are likelier.
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


HEADER = ("algorithm", "unseen", "risk", "seen", "− closed form", "worst", "smooth")


def row(one: Averaged) -> tuple[str, ...]:
    """A line of the table."""
    return (
        one.name,
        f"{one.off_training_set:.6f}",
        f"{one.risk:.6f}",
        f"{one.seen:.6f}",
        f"{one.difference:.1e}",
        f"{one.worst:.4f}",
        f"{one.risk_smooth:.4f}",
    )


@matplotlib.rc_context(STYLE)
def write_no_free_lunch(
    found: Sequence[Averaged], path: str | os.PathLike[str], *, points: int, samples: int, smoothness: float
) -> Path:
    """Write a self-contained page.

    Args:
        found: The algorithms.
        path: Where it goes; an older file there is replaced whole.
        points: k of the domain.
        samples: n that an algorithm sees.
        smoothness: Factor by which a task is less likely for each change between neighbours.

    Returns:
        The path.
    """
    closed = 0.5 * (1 - 1 / points) ** samples
    figure, axes = new_figure(5.2, 0.9 + 0.36 * len(found))
    ax, rows = axes[0, 0], np.arange(len(found))
    ax.barh(rows - 0.19, [one.off_training_set for one in found], 0.36, color=GREY, label="all tasks alike")
    ax.barh(
        rows + 0.19, [one.off_training_set_smooth for one in found], 0.36, color=BLUE, label="smooth tasks likelier"
    )
    ax.axvline(0.5, color=ORANGE, linewidth=1)
    ax.set(
        yticks=rows,
        yticklabels=[shorten(one.name, 24) for one in found],
        xlabel="error on points not seen",
        xlim=(0, 1),
    )
    ax.invert_yaxis()
    ax.legend(loc="lower right", fontsize=7)
    off = draw(figure, "Error on unseen points, over all tasks and over smooth ones")
    figure, axes = new_figure(5.2, 0.9 + 0.36 * len(found))
    ax = axes[0, 0]
    for index, one in enumerate(found):
        style = "-" if index < len(CYCLE) else "--"
        ax.plot(
            np.sort(one.of_task), style, color=CYCLE[index % len(CYCLE)], linewidth=1.3, label=shorten(one.name, 24)
        )
    ax.axhline(closed, color=GREY, linewidth=0.9, linestyle=":")
    ax.set(xlabel="task, from the algorithm's best to its worst", ylabel="expected risk", ylim=(0, None))
    ax.legend(fontsize=6.5)
    tasks = draw(figure, "Expected risk on each task")
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
    explained = (
        "Unseen: error on points that were not seen. Risk: mean over all tasks. Seen: the part of it made on points "
        "seen, 0 for who remembers. − closed form: what is left of the risk after both, numerically 0. Worst: expected "
        "risk on the worst task; the Bayes risk is 0 on each. Smooth: mean risk where smooth tasks are likelier."
    )
    page = Page(
        kicker="no free lunch",
        title="No free lunch, counted",
        headline=Headline("½", "error off the training set", sentence),
        sections=[
            Section(title="Off the training set", figures=[off, tasks], width=480, note=note),
            Section(title="Numbers", tables=[Table(HEADER, [row(one) for one in found])], note=explained),
        ],
    )
    return write_page(page, path)
