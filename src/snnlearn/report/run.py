"""The report of a training run."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnlearn.report.figures import draw_confusion, draw_risk
from snnlearn.report.statement import state_risk
from snnlearn.report.summary import RunSummary
from snnlearn.report.training import (
    activity,
    curves,
    delays,
    examples,
    how_to_reproduce,
    network_rows,
    reset_rows,
    rounding_rows,
    training_numbers,
    training_rows,
)
from snnlearn.report.value import (
    Block,
    Figure,
    Headline,
    Note,
    Numbers,
    Panels,
    Report,
    Row,
    Section,
    Table,
)
from snnlearn.report.words import digits_of, ends, estimate, gap, percent
from snnlearn.risk import balanced_error
from snnlearn.risk.intervals import clopper_pearson


def run_report(summary: RunSummary) -> Report:
    """Report the result of a training run: the risk first, then details.

    Args:
        summary: The run.
    """
    risks, digits = state_risk(summary), digits_of(summary.test_size)
    label = "Training error, test error with its interval, and the seeds on one axis"
    tables = {
        "Risk": [*_risk(summary), *reset_rows(summary), *rounding_rows(summary)],
        "Network": network_rows(summary),
        "Training": training_rows(summary),
    }
    sections = [
        Section("Numbers", [Numbers(rows, caption) for caption, rows in tables.items()]),
        Section("Learning curves", curves(summary)),
        Section("Confusion on the test set", _confusion(summary), detail=True),
        Section("Activity", activity(summary), detail=True),
        *delays(summary),
        *([Section("Examples", examples(summary, summary.class_names))] if summary.examples else []),
        Section("How to reproduce", how_to_reproduce(summary), detail=True),
    ]
    return Report(
        kind="training report",
        title=summary.title,
        headline=Headline(percent(risks.risk, digits), "test error", _sentence(summary)),
        figure=Figure(label, (4.9, 1.6), lambda figure: draw_risk(figure.subplots(), risks, summary.chance), width=680),
        warnings=summary.warnings,
        sections=sections,
        numbers={"summary": _numbers(summary)},
    )


def _sentence(summary: RunSummary) -> str:
    """The risk of the saved model."""
    s, errors, digits = state_risk(summary), summary.test_errors[summary.selected_seed], digits_of(summary.test_size)
    if summary.all_seen:
        return (
            f"The network errs on {percent(s.risk, digits)} of the {summary.test_size:,} test samples ({errors:,} "
            "wrong), but each of them equals one that it was trained or selected on: this is no estimate of its risk."
        )
    left_out = f" ({summary.left_out:,} more equal some that it was trained or selected on, and are left out)"
    return (
        f"On {summary.test_size:,} samples it has never seen{left_out if summary.left_out else ''}, the network errs "
        f"on {percent(s.risk, digits)} ({errors:,} wrong). Its true risk lies between "
        f"{ends(s.risk_interval, digits, ' and ')} with {percent(s.risk_interval.confidence, 0)} confidence."
    )


def _risk(summary: RunSummary) -> list[Row]:
    s, chosen, digits = state_risk(summary), summary.selected_seed, digits_of(summary.test_size)
    level = percent(s.risk_interval.confidence, 0)
    seeds = percent(s.seed_mean, digits), "one seed: the spread over seeds is unknown"
    if summary.num_seeds > 1:
        how = f"mean of {summary.num_seeds} seeds; {level} t-interval over seeds, same test set"
        seeds = estimate(s.seed_mean, s.seed_interval, digits), how
    wrong = f"{summary.test_errors[chosen]:,} of {summary.test_size:,} wrong"
    fitted = f"{summary.train_errors[chosen]:,} of {summary.train_size:,} wrong"
    rows = [
        Row(
            "Test error, saved model",
            estimate(s.risk, s.risk_interval, digits),
            f"risk R: {wrong}; exact {level} Clopper–Pearson",
        ),
        Row("Test error, over seeds", *seeds),
        Row(
            "Training error",
            percent(s.empirical_risk, digits_of(summary.train_size)),
            f"empirical risk R̂ of the saved model: {fitted}",
        ),
        Row(
            "Generalisation gap",
            gap(s.generalization_gap, s.gap_interval, digits),
            f"R − R̂ in percentage points; the {level} interval of R, shifted by R̂",
        ),
        Row("Chance", percent(summary.chance, 1), "error of always guessing the most frequent class"),
        *_balanced(summary, digits),
    ]
    for found in summary.baselines:
        interval = clopper_pearson(found.errors, summary.test_size)
        against = (
            f"wrong on {found.only_network:,} samples that the baseline has right, right on {found.only_baseline:,} "
            f"that it has wrong: p = {found.comparison.p_value:.2g} (McNemar)"
        )
        name, _, how = found.name.partition(", ")
        rows += [
            Row(
                f"{name[:1].upper()}{name[1:]}",
                estimate(found.errors / summary.test_size, interval, digits),
                f"baseline, {how}: {found.errors:,} of {summary.test_size:,} wrong",
            ),
            Row(f"Saved model − {name}", gap(found.comparison.difference, found.comparison.interval, digits), against),
        ]
    return rows


_UNEVEN = 3
"""How many times more samples the largest class has than the smallest where the balanced error is reported."""


def _balanced(summary: RunSummary, digits: int) -> list[Row]:
    """The mean of the classes' errors, where frequent classes would hide the rare ones' errors."""
    counts = summary.confusion.sum(axis=1)
    if counts.max() < _UNEVEN * max(1, counts.min()):
        return []
    of_each = {"Balanced error": counts - np.diagonal(summary.confusion)}
    of_each |= {f"Balanced error, {one.name.partition(',')[0]}": one.class_errors for one in summary.baselines}
    times = f"the largest class has {counts.max():,} test samples and the smallest {counts.min():,}"
    notes = [f"mean of the classes' errors, as {times}; chance has {percent(1 - 1 / len(counts), 1)}; approximate "]
    notes[0] += "interval, from Wilson's of the classes"
    notes += ["the same of the baseline"] * len(summary.baselines)
    return [
        Row(name, estimate(*balanced_error(np.asarray(wrong), counts), digits), note)
        for (name, wrong), note in zip(of_each.items(), notes, strict=True)
    ]


def _confusion(summary: RunSummary) -> list[Block]:
    counts, names = summary.confusion.sum(axis=1), summary.class_names
    wrong = counts - np.diagonal(summary.confusion)
    order = np.argsort(-wrong / np.maximum(counts, 1), kind="stable")[:10]
    rows = [(names[i], f"{wrong[i]:,}", f"{counts[i]:,}", percent(wrong[i] / counts[i])) for i in order if wrong[i]]
    hardest = Table(("class", "wrong", "of", "error"), rows, "Classes with most errors") if rows else None
    drawn = Figure(
        "Confusion matrix", (4.8, 4.6), lambda figure: draw_confusion(figure.subplots(), summary.confusion, names)
    )
    note = "Counts of the saved model. Blue: right. Red: wrong, on a scale of its own so that few errors show."
    return [Note(note), Panels([drawn], beside=hardest)]


def _numbers(summary: RunSummary) -> dict[str, Any]:
    """The summary's numbers, without those only for pictures."""
    s = state_risk(summary)
    counts = summary.confusion.sum(axis=1)
    same = ("test_errors", "train_errors", "chance", "baselines")
    return {
        **training_numbers(summary),
        **{name: getattr(summary, name) for name in same},
        "balanced_error": balanced_error(counts - np.diagonal(summary.confusion), counts)[0],
        "risk": s.risk,
        "risk_interval": s.risk_interval[:2],
        "empirical_risk": s.empirical_risk,
        "generalization_gap": s.generalization_gap,
        "gap_interval": s.gap_interval[:2],
        "seed_mean": s.seed_mean,
        "seed_interval": s.seed_interval[:2] if summary.num_seeds > 1 else None,
    }
