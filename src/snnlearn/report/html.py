"""The report of a training run as one web page that opens offline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np

from snnlearn.report.figures import (
    STYLE,
    draw_confusion,
    draw_curves,
    draw_rates,
    draw_risk,
    example_figure,
    new_figure,
)
from snnlearn.report.page import Headline, Numbers, Page, Section, Table, draw, write_page
from snnlearn.report.statement import headline, network_rows, percent, risk_rows, state_risk, training_rows
from snnlearn.report.summary import RunSummary


@matplotlib.rc_context(STYLE)
def write_html(summary: RunSummary, path: str | os.PathLike[str]) -> Path:
    """Write the report of a run as one self-contained HTML file.

    Args:
        summary: The run.
        path: Where it goes; an older file there is replaced whole.

    Returns:
        The path.
    """
    error = percent(state_risk(summary).risk, 1 if summary.test_size < 1000 else 2)
    figure, axes = new_figure(4.9, 1.6)
    draw_risk(axes[0, 0], state_risk(summary), summary.chance)
    page = Page(
        kicker="training report",
        title=summary.title,
        headline=Headline(error, "test error", headline(summary)),
        figure=draw(figure, "Training error, test error with its interval, and the seeds on one axis", width=680),
        warnings=summary.warnings,
        sections=[
            _numbers(summary),
            _curves(summary),
            _confusion(summary),
            _layers(summary),
            *([_examples(summary)] if summary.examples else []),
            _reproduce(summary),
        ],
    )
    return write_page(page, path)


def _numbers(summary: RunSummary) -> Section:
    tables = (("Risk", risk_rows), ("Network", network_rows), ("Training", training_rows))
    return Section(title="Numbers", numbers=[Numbers(rows(summary), caption) for caption, rows in tables])


def _curves(summary: RunSummary) -> Section:
    kept = int(summary.selected_epoch[summary.selected_seed])
    drawn = []
    for title, ending, scale in (("Loss", "loss", 1.0), ("Error (%)", "error", 100.0), ("Gradient norm", "norm", 1.0)):
        if curves := {name: curve for name, curve in summary.curves.items() if name.endswith(ending)}:
            figure, axes = new_figure(4.6, 2.9)
            draw_curves(axes[0, 0], curves, kept, scale=scale)
            axes[0, 0].set_title(title)
            drawn.append(draw(figure, f"Learning curves: {title}"))
    if summary.num_seeds > 1:
        note = f"Line: mean over {summary.num_seeds} seeds. Band: from the lowest to the highest seed."
    else:
        note = "One seed."
    note = f"{note} Dashed: the epoch that the saved model kept."
    return Section(title="Learning curves", figures=drawn, note=note)


def _confusion(summary: RunSummary) -> Section:
    figure, axes = new_figure(4.8, 4.6)
    draw_confusion(axes[0, 0], summary.confusion, summary.class_names)
    counts = summary.confusion.sum(axis=1)
    wrong = counts - np.diagonal(summary.confusion)
    order = np.argsort(-wrong / np.maximum(counts, 1), kind="stable")[:10]
    rows = [
        (summary.class_names[i], f"{wrong[i]:,}", f"{counts[i]:,}", percent(wrong[i] / max(counts[i], 1)))
        for i in order
        if wrong[i]
    ]
    hardest = Table(("class", "wrong", "of", "error"), rows, "Classes with most errors") if rows else None
    return Section(
        title="Confusion on the test set",
        figures=[draw(figure, "Confusion matrix")],
        beside=hardest,
        note="Counts of the saved model. Blue: right. Red: wrong, on a scale of its own so that few errors show.",
    )


def _layers(summary: RunSummary) -> Section:
    drawn = []
    for position, layer in enumerate(summary.layers):
        if layer.spiking:
            figure, axes = new_figure(4.6, 2.5)
            draw_rates(axes[0, 0], layer)
            axes[0, 0].set_title(layer.name)
            drawn.append(draw(figure, f"Firing rates of layer {position}: {layer.name}"))
    rows = [
        (
            layer.name,
            f"{layer.units:,}",
            f"{np.mean(layer.firing_rate):.3g} Hz" if layer.spiking else "–",
            percent(layer.silent) if layer.spiking else "–",
            percent(layer.saturated) if layer.spiking else "–",
            f"{layer.surrogate_mass:.3f}" if layer.spiking else "–",
        )
        for layer in summary.layers
    ]
    header = ("layer", "units", "mean rate", "silent", "saturated", "surrogate mass")
    note = "Mean rate of each unit on probe data. A silent unit never spikes; surrogate mass is the mean "
    note += "pseudo-derivative relative to its peak: near 0, no gradient passes the layer."
    return Section(title="Activity", figures=drawn, tables=[Table(header, rows)], note=note)


def _examples(summary: RunSummary) -> Section:
    drawn = [
        draw(example_figure(example, summary.dt, summary.class_names), f"Example {number}: {example.label}")
        for number, example in enumerate(summary.examples, start=1)
    ]
    note = "One column per sample: the input on top, then layer by layer the spikes and some membrane potentials."
    return Section(title="Examples", figures=drawn, width=300, note=note)


def _reproduce(summary: RunSummary) -> Section:
    lines = "\n".join(f"{name} = {value!r}" for name, value in flatten(summary.config))
    versions = Table(("", "version"), list(summary.environment.items()))
    return Section(
        title="How to reproduce",
        note="The same configuration in the same environment repeats this run.",
        code=summary.reproduce,
        details={"Configuration": lines, "Environment": versions},
    )


def flatten(config: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """List a nested configuration with dotted names.

    >>> dict(flatten({"seed": 0, "layer": {"units": 128}}))
    {'seed': 0, 'layer.units': 128}
    """
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
