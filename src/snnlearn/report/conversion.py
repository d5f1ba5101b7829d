"""The report of a conversion: the risk before and after, and the error of each layer with its causes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlearn.conversion import LayerError
from snnlearn.report.figures import BLUE, GREY
from snnlearn.report.value import Code, Figure, Headline, Note, Numbers, Panels, Paragraph, Report, Row, Section, Table
from snnlearn.report.words import digits_of, estimate, gap, percent, quantity
from snnlearn.risk import clopper_pearson, compare_hypotheses

_CLOSE = 0.005
"""Half a percentage point."""


@dataclass(frozen=True, kw_only=True)
class ConversionSummary:
    """A conversion in numbers.

    Args:
        title: Of the report.
        method: The method, in words.
        notes: On reading the source.
        warnings: Layers that will not spike, and the like.
        steps: Numbers of steps after which the output is read, ascending; the last is the network's.
        validation_errors: Errors on the validation sample at each of them.
        validation_size: Its size.
        artificial_validation_errors: The source's errors on it.
        wrong: Whether the spiking network errs on each test sample, at each number of steps, ``[steps, m]``.
        artificial_wrong: Whether the source does, ``[m]``.
        layers: The error of each layer on the validation sample.
        coding_error: Root mean square difference of the code's mean from the input, relative to the input.
        scales: What a spike per step stands for, by the name of the population.
        synops: Synaptic operations of an inference.
        macs: Its multiply-accumulates.
        source_macs: Multiply-accumulates of the source.
        check: The largest relative difference of the network's activations from those that the source's own software
            computes, and the name of that software; None if there is no other.
        reproduce: The command.
    """

    title: str
    method: str
    notes: Sequence[str]
    warnings: Sequence[str]
    steps: Sequence[int]
    validation_errors: Sequence[int]
    validation_size: int
    artificial_validation_errors: int
    wrong: np.ndarray
    artificial_wrong: np.ndarray
    layers: Sequence[LayerError]
    coding_error: float
    scales: dict[str, float]
    synops: float
    macs: float
    source_macs: float
    check: tuple[float, str] | None = None
    reproduce: str = ""

    @property
    def enough(self) -> int | None:
        """The steps from which on validation accuracy stays within half a point of the source's; None if never."""
        most = self.artificial_validation_errors + _CLOSE * self.validation_size
        close = [errors <= most for errors in self.validation_errors]
        first = next((n for n in range(len(close)) if all(close[n:])), None)
        return None if first is None else self.steps[first]

    @property
    def broken(self) -> LayerError | None:
        """The first layer whose rates tell less than half of its activations; None if all tell more."""
        return next((layer for layer in self.layers if layer.breaks), None)


def conversion_report(summary: ConversionSummary) -> Report:
    """Report a conversion.

    Args:
        summary: Its numbers.
    """
    m, digits = summary.wrong.shape[1], digits_of(summary.wrong.shape[1])
    errors = int(summary.wrong[-1].sum())
    risk = estimate(errors / m, clopper_pearson(errors, m), digits)
    sections = [
        Section("Numbers", [Numbers(_numbers(summary), "Risk and cost")]),
        Section("Accuracy against time", _over_time(summary)),
        Section("Layers", _layers(summary)),
        *([Section("How to reproduce", [Code(summary.reproduce)], detail=True)] if summary.reproduce else []),
    ]
    return Report(
        kind="conversion report",
        title=summary.title,
        headline=Headline(
            percent(errors / m, digits),
            "test error",
            f"After {summary.steps[-1]} steps the spiking network errs on {risk} of {m:,} test samples, the artificial "
            f"one on {percent(float(summary.artificial_wrong.mean()), digits)}.",
        ),
        sections=sections,
        warnings=(*summary.warnings, *_broken(summary)),
        numbers={"conversion": _json(summary)},
    )


def _broken(summary: ConversionSummary) -> list[str]:
    layer = summary.broken
    if layer is None:
        return []
    what = {
        "inherited": "errors of earlier layers: give more steps, so that these are smaller",
        "clipping": "clipping: its scale is too small; choose a larger percentile",
        "quantisation": "too few spikes: give more steps, a smaller percentile, or a charge of 0.5",
        "unevenness": "the moments of its input's spikes: give more steps, or calibrate",
    }[layer.cause]
    told = "nothing" if not layer.explained > 0 else f"{layer.explained:.0%}"
    return [
        f"{layer.name} is the first layer that breaks: its rates tell {told} of its activations (correlation "
        f"{layer.correlation:.2f}), mainly by {what}."
    ]


def _numbers(summary: ConversionSummary) -> list[Row]:
    m, digits = summary.wrong.shape[1], digits_of(summary.wrong.shape[1])
    spiking, artificial = (int(wrong.sum()) for wrong in (summary.wrong[-1], summary.artificial_wrong))
    compared = compare_hypotheses(summary.wrong[-1], summary.artificial_wrong)
    enough = summary.enough
    total = summary.synops + summary.macs
    rows = [
        Row(
            "Test error, spiking",
            estimate(spiking / m, clopper_pearson(spiking, m), digits),
            f"risk R: {spiking:,} of {m:,} wrong; exact 95\xa0% Clopper–Pearson",
        ),
        Row(
            "Test error, artificial",
            estimate(artificial / m, clopper_pearson(artificial, m), digits),
            f"the source: {artificial:,} of {m:,} wrong",
        ),
        Row(
            "Spiking − artificial",
            gap(compared.difference, compared.interval, digits),
            f"on the same samples: p = {compared.p_value:.2g} (McNemar)",
        ),
        Row(
            "Steps for half a point",
            "–" if enough is None else str(enough),
            "from which on validation accuracy stays within 0.5 points of the source's, of those tried",
        ),
        Row("Method", summary.method, "chooses what a spike in each step stands for"),
        Row(
            "Input coding error",
            percent(summary.coding_error, 2),
            "of the mean of the code over time, relative to the input; the conversion's own errors are below",
        ),
        Row("SynOps", quantity(summary.synops), "per inference: an addition for each synapse that a spike reaches"),
        Row("MACs", quantity(summary.macs), "per inference: products with values that are not spikes"),
        Row(
            "Operations",
            quantity(total),
            f"{total / max(summary.source_macs, 1):.3g} × the {quantity(summary.source_macs)} MACs of the source",
        ),
    ]
    if summary.check is not None:
        difference, software = summary.check
        rows.append(
            Row("Reading the source", f"{difference:.1e}", f"largest relative difference from {software}, all layers")
        )
    return rows


def _over_time(summary: ConversionSummary) -> list[Any]:
    m, digits = summary.wrong.shape[1], digits_of(summary.wrong.shape[1])
    counts = summary.wrong.sum(axis=1)
    rows = [
        (
            str(steps),
            percent(1 - validation / summary.validation_size, digits),
            percent(1 - errors / m, digits),
            f"{100 - 100 * interval.high:.{digits}f} to {100 - 100 * interval.low:.{digits}f}",
        )
        for steps, validation, errors in zip(summary.steps, summary.validation_errors, counts, strict=True)
        for interval in [clopper_pearson(int(errors), m)]
    ]

    def draw(figure: Any) -> None:
        ax = figure.subplots()
        intervals = [clopper_pearson(int(errors), m) for errors in counts]
        ax.fill_between(
            summary.steps, *([100 * (1 - i[end]) for i in intervals] for end in (1, 0)), color=BLUE, alpha=0.2
        )
        ax.plot(summary.steps, 100 * (1 - counts / m), "o-", color=BLUE, markersize=4, label="spiking")
        ax.axhline(100 * (1 - summary.artificial_wrong.mean()), color=GREY, linestyle="--", label="artificial")
        ax.set(xlabel="steps", ylabel="test accuracy (%)", xscale="log")
        ax.set_xticks(summary.steps, [str(steps) for steps in summary.steps])
        ax.minorticks_off()
        ax.legend(fontsize=8)

    note = (
        "The output read after so many steps, of the network converted for the last of them. Validation chooses; the "
        "test sample only tells."
    )
    figure = Figure("Accuracy against the number of steps", (4.6, 2.9), draw)
    header = ("steps", "validation accuracy", "test accuracy", "95 % interval")
    return [Note(note), Panels([figure]), Table(header, rows, details=1)]


def _layers(summary: ConversionSummary) -> list[Any]:
    note = (
        "Rates, decoded, against the source's activations on validation samples. Errors are root mean squares relative "
        "to the activations': inherited from earlier layers, clipped at one spike per step, of whole numbers of "
        "spikes, and by the uneven moments of the input's spikes. No error can exceed the bound, relative to the same."
    )
    rows = []
    for layer in summary.layers:
        relative = [percent(part / layer.size, 1) if layer.size else "–" for part in layer[3:8]]
        bound = "–" if layer.bound is None or not layer.size else f"{layer.bound / layer.size:.2g}"
        largest = f"{layer.largest / layer.size:.2g}" if layer.size else "–"
        rows.append(
            (
                layer.name,
                "–" if np.isnan(layer.correlation) else f"{layer.correlation:.4f}",
                *relative,
                largest,
                bound,
                percent(layer.never, 1),
                percent(layer.silent, 1),
            )
        )
    header = (
        "layer",
        "correlation",
        "error",
        "inherited",
        "clipping",
        "quantisation",
        "unevenness",
        "largest",
        "bound",
    )
    table = Table((*header, "always 0", "silent"), rows, details=4)
    scales = Table(
        ("population", "activation of one spike per step"), [(name, f"{s:.4g}") for name, s in summary.scales.items()]
    )
    return [Note(note), table, scales, *(Paragraph(text) for text in summary.notes)]


def _json(summary: ConversionSummary) -> dict[str, Any]:
    m = summary.wrong.shape[1]
    return {
        "kind": "conversion",
        "title": summary.title,
        "method": summary.method,
        "steps": list(summary.steps),
        "test_size": m,
        "test_errors": summary.wrong.sum(axis=1),
        "artificial_test_errors": int(summary.artificial_wrong.sum()),
        "validation_size": summary.validation_size,
        "validation_errors": list(summary.validation_errors),
        "artificial_validation_errors": summary.artificial_validation_errors,
        "steps_for_half_a_point": summary.enough,
        "first_broken_layer": None if summary.broken is None else summary.broken.name,
        "coding_error": summary.coding_error,
        "layers": [layer._asdict() for layer in summary.layers],
        "scales": summary.scales,
        "synops": summary.synops,
        "macs": summary.macs,
        "source_macs": summary.source_macs,
        "reading_error": None if summary.check is None else summary.check[0],
        "warnings": [*summary.warnings, *_broken(summary)],
        "notes": list(summary.notes),
    }
