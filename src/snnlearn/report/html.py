"""The report of a training run as one web page that opens offline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from html import escape
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
from snnlearn.report.page import inline_svg, number_table, page, panels, section, table, write_whole
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
    body = [_head(summary), _numbers(summary), _curves(summary), _confusion(summary), _layers(summary)]
    body += [_examples(summary), _reproduce(summary)]
    return write_whole(page(summary.title, body), path)


def _head(summary: RunSummary) -> str:
    """Say the risk first, and what casts doubt on it right after."""
    figure, axes = new_figure(4.9, 1.6)
    draw_risk(axes[0, 0], state_risk(summary), summary.chance)
    figure_html = inline_svg(figure, "Training error, test error with its interval, and the seeds on one axis")
    warnings = "".join(f"<li>{escape(warning)}</li>" for warning in summary.warnings)
    error = percent(state_risk(summary).risk, 1 if summary.test_size < 1000 else 2)
    return (
        f'<header>\n<p class="kicker">snnlearn · training report</p>\n<h1>{escape(summary.title)}</h1>\n'
        f'<div class="hero"><div><p class="big">{escape(error)}</p><p class="unit">test error</p></div>\n'
        f"<p>{escape(headline(summary))}</p></div>\n<figure>{figure_html}</figure>\n"
        + (f'<aside class="warnings"><h2>Warnings</h2><ul>{warnings}</ul></aside>\n' if warnings else "")
        + "</header>"
    )


def _numbers(summary: RunSummary) -> str:
    tables = (("Risk", risk_rows), ("Network", network_rows), ("Training", training_rows))
    return section("Numbers", *(number_table(caption, rows(summary)) for caption, rows in tables))


def _curves(summary: RunSummary) -> str:
    losses = {name: curve for name, curve in summary.curves.items() if name.endswith("loss")}
    errors = {name: curve for name, curve in summary.curves.items() if name not in losses}
    kept = int(summary.selected_epoch[summary.selected_seed])
    drawn = []
    for title, curves, scale in (("Loss", losses, 1.0), ("Error (%)", errors, 100.0)):
        if curves:
            figure, axes = new_figure(4.6, 2.9)
            draw_curves(axes[0, 0], curves, kept, scale=scale)
            axes[0, 0].set_title(title)
            drawn.append(inline_svg(figure, f"Learning curves: {title}"))
    if summary.num_seeds > 1:
        note = f"Line: mean over {summary.num_seeds} seeds. Band: from the lowest to the highest seed."
    else:
        note = "One seed."
    return section("Learning curves", panels(drawn), note=f"{note} Dashed: the epoch that the saved model kept.")


def _confusion(summary: RunSummary) -> str:
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
    hardest = table("Classes with most errors", ("class", "wrong", "of", "error"), rows) if rows else ""
    return section(
        "Confusion on the test set",
        panels([inline_svg(figure, "Confusion matrix")], hardest),
        note="Counts of the saved model. Blue: right. Red: wrong, on a scale of its own so that few errors show.",
    )


def _layers(summary: RunSummary) -> str:
    drawn = []
    for position, layer in enumerate(summary.layers):
        if layer.spiking:
            figure, axes = new_figure(4.6, 2.5)
            draw_rates(axes[0, 0], layer)
            axes[0, 0].set_title(layer.name)
            drawn.append(inline_svg(figure, f"Firing rates of layer {position}: {layer.name}"))
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
    return section("Activity", panels(drawn, table("Layers", header, rows)), note=note)


def _examples(summary: RunSummary) -> str:
    if not summary.examples:
        return ""
    drawn = [
        inline_svg(example_figure(example, summary.dt, summary.class_names), f"Example {number}: {example.label}")
        for number, example in enumerate(summary.examples, start=1)
    ]
    note = "One column per sample: the input on top, then layer by layer the spikes and some membrane potentials."
    return section("Examples", panels(drawn, width=300), note=note)


def _reproduce(summary: RunSummary) -> str:
    command = f"<pre>{escape(summary.reproduce)}</pre>" if summary.reproduce else ""
    lines = "\n".join(f"{name} = {value!r}" for name, value in flatten(summary.config))
    versions = table("", ("", "version"), summary.environment.items())
    return section(
        "How to reproduce",
        command,
        f"<details><summary>Configuration</summary><pre>{escape(lines)}</pre></details>",
        f"<details><summary>Environment</summary>{versions}</details>",
        note="The same configuration in the same environment repeats this run.",
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
