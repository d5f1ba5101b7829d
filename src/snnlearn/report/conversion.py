"""The report of a conversion: the risk before and after, and the error of each layer with its causes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlearn.conversion import LayerError
from snnlearn.report.value import Block, Code, Headline, Note, Numbers, Paragraph, Report, Row, Section, Table
from snnlearn.report.words import percent, quantity


class AbstractOutcome(ABC):
    """What the spiking and the artificial network are worth, after several numbers of steps."""

    @property
    @abstractmethod
    def enough(self) -> int | None:
        """The steps from which on the validation error stays close to the source's; None if never."""

    @abstractmethod
    def headline(self) -> Headline:
        """The risk of the spiking network."""

    @abstractmethod
    def rows(self) -> list[Row]:
        """The risks of both networks, and their difference."""

    @abstractmethod
    def course(self) -> Section:
        """The error against the number of steps."""

    @abstractmethod
    def numbers(self) -> dict[str, Any]:
        """The same for programs."""


def close_from(steps: Sequence[int], close: Sequence[bool]) -> int | None:
    """The number of steps from which on all are close to the source.

    >>> close_from([1, 2, 4], [True, False, True])
    4
    """
    return next((steps[n] for n in range(len(steps)) if all(close[n:])), None)


@dataclass(frozen=True, kw_only=True)
class ConversionSummary:
    """A conversion in numbers.

    Args:
        title: Of the report.
        method: The method, in words.
        notes: On reading the source.
        warnings: Layers that will not spike, and the like.
        outcome: The risk before and after.
        layers: The error of each layer on the validation sample.
        code: Of the input.
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
    outcome: AbstractOutcome
    layers: Sequence[LayerError]
    code: str
    coding_error: float
    scales: dict[str, float]
    synops: float
    macs: float
    source_macs: float
    check: tuple[float, str] | None = None
    reproduce: str = ""

    @property
    def broken(self) -> LayerError | None:
        """The first layer whose rates tell less than half of its activations; None if all tell more."""
        return next((layer for layer in self.layers if layer.breaks), None)


def conversion_report(summary: ConversionSummary) -> Report:
    """Report a conversion.

    Args:
        summary: Its numbers.
    """
    return Report(
        kind="conversion report",
        title=summary.title,
        headline=summary.outcome.headline(),
        sections=[
            Section(
                "Numbers",
                [
                    Numbers(summary.outcome.rows(), "Risk"),
                    Numbers(_cost(summary), "Cost"),
                    Numbers(_before(summary), "Before any layer"),
                ],
            ),
            summary.outcome.course(),
            Section("Layers", _layers(summary)),
            *([Section("How to reproduce", [Code(summary.reproduce)], detail=True)] if summary.reproduce else []),
        ],
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


def _cost(summary: ConversionSummary) -> list[Row]:
    total = summary.synops + summary.macs
    return [
        Row("SynOps", quantity(summary.synops), "per inference: an addition for each synapse that a spike reaches"),
        Row("MACs", quantity(summary.macs), "per inference: products with values that are not spikes"),
        Row(
            "Operations",
            quantity(total),
            f"{total / max(summary.source_macs, 1):.3g} × the {quantity(summary.source_macs)} MACs of the source",
        ),
    ]


def _before(summary: ConversionSummary) -> list[Row]:
    """How well the input is told, and the source was read."""
    rows = [
        Row(
            "Input coding error",
            percent(summary.coding_error, 2),
            f"of the mean over time of the {summary.code} code, relative to the input",
        )
    ]
    if summary.check is not None:
        difference, software = summary.check
        note = f"largest relative difference from {software}, all layers"
        rows.append(Row("Reading the source", f"{difference:.1e}", note))
    return rows


def _layers(summary: ConversionSummary) -> list[Block]:
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
    said = (f"Scales were chosen by {summary.method}.", *summary.notes)
    return [Note(note), table, scales, *(Paragraph(text) for text in said)]


def _json(summary: ConversionSummary) -> dict[str, Any]:
    return {
        "kind": "conversion",
        "title": summary.title,
        "method": summary.method,
        **summary.outcome.numbers(),
        "first_broken_layer": None if summary.broken is None else summary.broken.name,
        "code": summary.code,
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
