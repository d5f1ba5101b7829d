"""What the reports of a training share, whatever was learned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from snnlearn.report.figures import draw_curves, draw_delays, draw_example, draw_rates, example_size, shorten
from snnlearn.report.summary import LayerSummary, TrainingSummary
from snnlearn.report.value import Block, Code, Figure, Folded, Note, Panels, Paragraph, Row, Section, Table
from snnlearn.report.words import duration, number, percent, quantity
from snnlearn.risk import Comparison


def network_rows(summary: TrainingSummary) -> list[Row]:
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


def reset_rows(summary: TrainingSummary) -> list[Row]:
    """What a network trained without reset loses with it, if it was trained so."""
    if (found := summary.with_reset) is None:
        return []
    note = f"the saved model was trained without reset, and most hardware resets: here by {found.reset}, same weights"
    return _changed(summary, "with resets", found.risk, found.comparison, note)


def rounding_rows(summary: TrainingSummary) -> list[Row]:
    """What a network with delays between time steps loses if they are whole."""
    if (found := summary.with_rounded_delays) is None:
        return []
    steps = f"whole steps of {1e3 * summary.dt:g} ms"
    note = f"delays rounded to {steps}, as hardware has them, same weights"
    if found.comparison is None:
        note = f"the saved model, whose delays are {steps} already"
    return _changed(summary, "with rounded delays", found.risk, found.comparison, note)


def _changed(summary: TrainingSummary, how: str, risk: float, comparison: Comparison | None, note: str) -> list[Row]:
    """The risk of the saved model with something else in it, and the difference to the risk as it is."""
    share = "validation error" in summary.curves
    label = f"{'Test error' if share else 'Relative squared error'} {how}"
    rows = [Row(label, percent(risk) if share else f"{risk:.3g}", note)]
    if comparison is not None:
        low, high, confidence = comparison.interval
        digits, scale, unit = (1, 100, " points") if share else (3, 1, "")
        change, *ends = (number(scale * one, digits) for one in (comparison.difference, low, high))
        how_sure = f"{percent(confidence, 0)} paired bootstrap, p = {comparison.p_value:.2g} (sign flips)"
        rows.append(Row(f"Change {how}", f"{change}{unit} ({ends[0]} to {ends[1]})", how_sure))
    return rows


def training_rows(summary: TrainingSummary) -> list[Row]:
    """The cost of the training."""
    seeds = "one seed" if summary.num_seeds == 1 else f"all {summary.num_seeds} seeds"
    kernels = "event kernels", "work only where there are spikes, compiled from C++"
    return [
        Row("Training time", duration(summary.wall_time), f"wall clock, {seeds}"),
        Row("Throughput", f"{quantity(summary.samples_per_second)} samples/s", f"training samples, {seeds}"),
        Row("Computed by", *(("plain JAX", summary.why_plain) if summary.why_plain else kernels)),
    ]


def curves(summary: TrainingSummary) -> list[Block]:
    """The learning curves."""
    kept = int(summary.selected_epoch[summary.selected_seed])

    def draw(figure: Any, title: str, curves: dict[str, np.ndarray], scale: float) -> None:
        ax = figure.subplots()
        draw_curves(ax, curves, kept, scale=scale)
        ax.set_title(title)

    drawn = []
    for title, ending, scale in (("Loss", "loss", 1.0), ("Error (%)", "error", 100.0), ("Gradient norm", "norm", 1.0)):
        if own := {name: curve for name, curve in summary.curves.items() if name.endswith(ending)}:
            what = partial(draw, title=title, curves=own, scale=scale)
            drawn.append(Figure(f"Learning curves: {title}", (4.6, 2.9), what))
    seeds = f"Line: mean over {summary.num_seeds} seeds. Band: from the lowest to the highest seed."
    note = f"{seeds if summary.num_seeds > 1 else 'One seed.'} Dashed: the epoch that the saved model kept."
    return [Note(note), Panels(drawn)]


def activity(summary: TrainingSummary) -> list[Block]:
    """How the layers fire."""

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


def delays(summary: TrainingSummary) -> list[Section]:
    """The delays of each layer that has any."""

    def draw(figure: Any, layer: LayerSummary) -> None:
        ax = figure.subplots()
        draw_delays(ax, layer, summary.dt)
        ax.set_title(shorten(layer.name, 30))

    late = [(number, layer) for number, layer in enumerate(summary.layers, start=1) if layer.delays.size]
    drawn = [
        Figure(f"Delays of layer {number}: {layer.name}", (4.6, 2.5), partial(draw, layer=layer))
        for number, layer in late
    ]
    note = "How late spikes from the layer before arrive, of each synapse of the saved model. Training began with any "
    note += "delay up to the longest equally often (dashed)."
    return [Section("Delays", [Note(note), Panels(drawn)], detail=True)] if drawn else []


def _rate(layer: LayerSummary) -> str:
    return f"{np.mean(layer.firing_rate):.3g} Hz"


def examples(summary: TrainingSummary, class_names: tuple[str, ...] = ()) -> list[Block]:
    """Samples on their way through the network; the output units' classes, if these are given, are highlighted."""
    drawn = [
        Figure(
            f"Example {number}: {example.label}",
            example_size(example),
            partial(draw_example, example=example, dt=summary.dt, class_names=class_names),
        )
        for number, example in enumerate(summary.examples, start=1)
    ]
    note = "One column per sample: the input on top, then layer by layer the spikes and some membrane potentials."
    return [Note(note), Panels(drawn, width=300)]


def how_to_reproduce(summary: TrainingSummary) -> list[Block]:
    """Command, configuration and environment."""
    settings = "\n".join(f"{name} = {value!r}" for name, value in flatten(summary.config))
    return [
        Note("The same configuration in the same environment repeats this run."),
        *([Code(summary.reproduce)] if summary.reproduce else []),
        *(Paragraph(note) for note in summary.notes),
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


def share_silent(summary: TrainingSummary) -> float:
    """The share of hidden units that never spike."""
    hidden = [layer for layer in summary.layers[:-1] if layer.spiking]
    return float(sum(layer.silent * layer.units for layer in hidden) / max(1, sum(layer.units for layer in hidden)))


def training_numbers(summary: TrainingSummary) -> dict[str, Any]:
    """A summary's numbers whatever was learned, without those only for pictures."""
    same = ("title", "test_size", "train_size", "selected_seed", "parameters", "synops", "macs", "dense", "dense_macs")
    same += ("wall_time", "samples_per_second", "warnings", "notes", "environment")
    return {
        **{name: getattr(summary, name) for name in same},
        **{name: found for name in ("with_reset", "with_rounded_delays") if (found := getattr(summary, name))},
        "test_left_out": summary.left_out,
        "test_all_seen": summary.all_seen,
        "silent": share_silent(summary),
        "firing_rates": {layer.name: float(np.mean(layer.firing_rate)) for layer in summary.layers if layer.spiking},
    }
