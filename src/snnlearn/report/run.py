"""The report of a training run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from snnlearn.report.figures import (
    draw_confusion,
    draw_curves,
    draw_example,
    draw_rates,
    draw_risk,
    example_size,
    shorten,
)
from snnlearn.report.statement import state_risk
from snnlearn.report.summary import LayerSummary, RunSummary
from snnlearn.report.value import (
    Block,
    Code,
    Figure,
    Folded,
    Headline,
    Note,
    Numbers,
    Panels,
    Report,
    Row,
    Section,
    Table,
)
from snnlearn.report.words import digits_of, duration, ends, estimate, gap, percent, quantity
from snnlearn.risk.intervals import clopper_pearson


def run_report(summary: RunSummary) -> Report:
    """Report the result of a training run: the risk first, then details.

    Args:
        summary: The run.
    """
    risks, digits = state_risk(summary), digits_of(summary.test_size)
    label = "Training error, test error with its interval, and the seeds on one axis"
    tables = {"Risk": _risk(summary), "Network": _network(summary), "Training": _training(summary)}
    sections = [
        Section("Numbers", [Numbers(rows, caption) for caption, rows in tables.items()]),
        Section("Learning curves", _curves(summary)),
        Section("Confusion on the test set", _confusion(summary), detail=True),
        Section("Activity", _activity(summary), detail=True),
        *([Section("Examples", _examples(summary))] if summary.examples else []),
        Section("How to reproduce", _reproduce(summary), detail=True),
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


def _network(summary: RunSummary) -> list[Row]:
    """The network: parameters, firing rates, operations."""
    dense, total = f"the dense network {summary.dense}", summary.synops + summary.macs
    ratio = f"{total / summary.dense_macs:.3g} ×" if summary.dense_macs > 0 else "–"
    held = "per inference: products with values that are not spikes; a held current is multiplied once"
    return [
        Row("Parameters", f"{summary.parameters:,}", "trained numbers of one network"),
        *(
            Row(
                f"Firing rate, {layer.name}",
                _rate(layer),
                f"mean over {layer.units:,} units; {percent(layer.silent, 0)} silent, "
                f"{percent(layer.saturated, 0)} saturated",
            )
            for layer in summary.layers
            if layer.spiking
        ),
        Row("SynOps", quantity(summary.synops), "per inference: an addition for each synapse that a spike reaches"),
        *([Row("MACs", quantity(summary.macs), held)] if summary.macs else []),
        Row("Operations", quantity(total), f"{ratio} the {quantity(summary.dense_macs)} MACs of {dense}, run once"),
        Row(
            "MACs, dense, every step",
            quantity(summary.dense_macs * summary.num_steps),
            f"{dense}, run in each of {summary.num_steps} steps",
        ),
    ]


def _training(summary: RunSummary) -> list[Row]:
    """The cost of the training."""
    seeds = "one seed" if summary.num_seeds == 1 else f"all {summary.num_seeds} seeds"
    kernels = "event kernels", "work only where there are spikes, compiled from C++"
    return [
        Row("Training time", duration(summary.wall_time), f"wall clock, {seeds}"),
        Row("Throughput", f"{quantity(summary.samples_per_second)} samples/s", f"training samples, {seeds}"),
        Row("Computed by", *(("plain JAX", summary.why_plain) if summary.why_plain else kernels)),
    ]


def _curves(summary: RunSummary) -> list[Block]:
    kept = int(summary.selected_epoch[summary.selected_seed])

    def draw(figure: Any, title: str, curves: dict[str, np.ndarray], scale: float) -> None:
        ax = figure.subplots()
        draw_curves(ax, curves, kept, scale=scale)
        ax.set_title(title)

    drawn = []
    for title, ending, scale in (("Loss", "loss", 1.0), ("Error (%)", "error", 100.0), ("Gradient norm", "norm", 1.0)):
        if curves := {name: curve for name, curve in summary.curves.items() if name.endswith(ending)}:
            what = partial(draw, title=title, curves=curves, scale=scale)
            drawn.append(Figure(f"Learning curves: {title}", (4.6, 2.9), what))
    seeds = f"Line: mean over {summary.num_seeds} seeds. Band: from the lowest to the highest seed."
    note = f"{seeds if summary.num_seeds > 1 else 'One seed.'} Dashed: the epoch that the saved model kept."
    return [Note(note), Panels(drawn)]


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


def _activity(summary: RunSummary) -> list[Block]:
    def draw(figure: Any, layer: LayerSummary) -> None:
        ax = figure.subplots()
        draw_rates(ax, layer)
        ax.set_title(shorten(layer.name, 30))

    drawn, rows = [], []
    for position, layer in enumerate(summary.layers):
        cells = ["–"] * 4
        if layer.spiking:
            label = f"Firing rates of layer {position}: {layer.name}"
            drawn.append(Figure(label, (4.6, 2.5), partial(draw, layer=layer)))
            cells = [_rate(layer), percent(layer.silent), percent(layer.saturated), f"{layer.surrogate_mass:.3f}"]
        rows.append((layer.name, f"{layer.units:,}", *cells))
    header = ("layer", "units", "mean rate", "silent", "saturated", "surrogate mass")
    note = "Mean rate of each unit on probe data. A silent unit never spikes; surrogate mass is the mean "
    note += "pseudo-derivative relative to its peak: near 0, no gradient passes the layer."
    return [Note(note), *([Panels(drawn)] if drawn else []), Table(header, rows)]


def _rate(layer: LayerSummary) -> str:
    return f"{np.mean(layer.firing_rate):.3g} Hz"


def _examples(summary: RunSummary) -> list[Block]:
    drawn = [
        Figure(
            f"Example {number}: {example.label}",
            example_size(example),
            partial(draw_example, example=example, dt=summary.dt, class_names=summary.class_names),
        )
        for number, example in enumerate(summary.examples, start=1)
    ]
    note = "One column per sample: the input on top, then layer by layer the spikes and some membrane potentials."
    return [Note(note), Panels(drawn, width=300)]


def _reproduce(summary: RunSummary) -> list[Block]:
    settings = "\n".join(f"{name} = {value!r}" for name, value in flatten(summary.config))
    return [
        Note("The same configuration in the same environment repeats this run."),
        *([Code(summary.reproduce)] if summary.reproduce else []),
        Folded("Configuration", Code(settings)),
        Folded("Environment", Table(("", "version"), list(summary.environment.items()))),
    ]


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


def _silent(summary: RunSummary) -> float:
    """The share of hidden units that never spike."""
    hidden = [layer for layer in summary.layers[:-1] if layer.spiking]
    return float(sum(layer.silent * layer.units for layer in hidden) / max(1, sum(layer.units for layer in hidden)))


def _numbers(summary: RunSummary) -> dict[str, Any]:
    """The summary's numbers, without those only for pictures."""
    s = state_risk(summary)
    same = (
        *("title", "test_errors", "test_size", "train_errors", "train_size", "chance", "baselines", "selected_seed"),
        *("parameters", "synops", "macs", "dense", "dense_macs", "wall_time", "samples_per_second", "warnings"),
        "environment",
    )
    return {
        **{name: getattr(summary, name) for name in same},
        "risk": s.risk,
        "risk_interval": s.risk_interval[:2],
        "empirical_risk": s.empirical_risk,
        "generalization_gap": s.generalization_gap,
        "gap_interval": s.gap_interval[:2],
        "seed_mean": s.seed_mean,
        "seed_interval": s.seed_interval[:2] if summary.num_seeds > 1 else None,
        "test_left_out": summary.left_out,
        "test_all_seen": summary.all_seen,
        "silent": _silent(summary),
        "firing_rates": {layer.name: float(np.mean(layer.firing_rate)) for layer in summary.layers if layer.spiking},
    }
