"""The report of several rules' gradients, compared with the gradients that they estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.ticker import MaxNLocator

from snnlearn.report.figures import draw_lines, scale_to
from snnlearn.report.value import Figure, Note, Numbers, Panels, Paragraph, Report, Row, Section, Table


@dataclass(frozen=True)
class Alignment:
    """One layer's gradient, or all layers' together, against the reference.

    Args:
        name: Which layer.
        cosine: Of the angle between one draw and the reference, mean over draws.
        norm_ratio: Length of one draw over the reference's.
        bias: |mean − reference| / |reference|.
        bias_error: Its expected value, from the variances of both, if there is no bias.
        variance: E|draw − mean|² / |reference|².
    """

    name: str
    cosine: float
    norm_ratio: float
    bias: float
    bias_error: float
    variance: float

    def cells(self) -> tuple[str, ...]:
        """The cells of a table."""
        if math.isnan(self.cosine):
            return (self.name, *["no gradient"] * 2, "–", "–")
        bias = f"{self.bias:.2g}" + (f" ± {self.bias_error:.2g}" if self.variance else "")
        return (self.name, f"{self.cosine:+.3f}", f"{self.norm_ratio:.3g}", bias, f"{self.variance:.3g}")


@dataclass(frozen=True)
class Measured:
    """The measurements of one rule.

    Args:
        rule: Its name.
        reference: The rule whose gradient it is compared with.
        layers: All layers together, then each.
        seconds: Of one gradient, median.
        num_steps: Time steps T of the sequence.
        memory: Working memory, bytes, of sequences of several lengths, T first.
        lengths: Their lengths, time steps.
    """

    rule: str
    reference: str
    layers: tuple[Alignment, ...]
    seconds: float
    num_steps: int
    memory: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def microseconds(self) -> float:
        """Of one time step."""
        return 1e6 * self.seconds / self.num_steps


_HEADER = ("rule", "reference", "layer", "cosine", "norm ratio", "bias", "variance")
_BIAS = (
    "Bias: |mean of draws − reference| / |reference|, ± what it would be by chance alone. Variance: of one draw. "
    "Perturbation rules and Xie & Seung's are compared with the gradient of the loss expected under their noise or "
    "the network's, estimated from four times as many other draws, whose error is part of the ±. "
    "EventProp differentiates the loss of a network in continuous time and stands for itself: its row shows costs."
)
_MEMORY = (
    "Memory: what the compiled program of one batch's gradient needs besides what goes in and out, of inputs as "
    "training has them (packed where the kernels do the work), for longer and longer sequences. Online rules take "
    "blocks of up to 128 steps: until then theirs grows."
)
_SHORT = ("rule", "cosine", "norm", "bias", "variance", "µs/step", "MB")
_READ = (
    "Norm: |gradient| / |reference|. Bias: |mean − reference| / |reference| ± what it would be by chance. "
    "µs: of a time step of the batch. MB: working memory, of these steps and of more. The report has each layer."
)


def gradients_report(measured: Sequence[Measured], *, title: str, setting: Sequence[Row]) -> Report:
    """Report how close each rule's gradient is to the one it estimates, and its cost.

    Args:
        measured: The rules.
        title: Of the report.
        setting: What they were measured on.
    """
    lengths = measured[0].lengths
    alignment = Figure(
        "Cosine between each rule's gradient and its reference, layer by layer",
        (6.6, 3.2),
        partial(_draw_alignment, measured=measured),
    )
    growth = Figure(
        "Working memory of each rule's gradient against the length of the sequence",
        (6.6, 3.2),
        partial(_draw_memory, measured=measured),
    )
    rows = [(one.rule, one.reference, *layer.cells()) for one in measured for layer in one.layers]
    header = ("rule", "time", "per time step", *(f"memory, T = {length}" for length in lengths))
    costs = [
        (
            one.rule,
            f"{1e3 * one.seconds:.1f} ms",
            f"{one.microseconds:.3g} µs",
            *(f"{b / 1e6:.2f} MB" for b in one.memory),
        )
        for one in measured
    ]
    short = [
        (
            *(one.rule, *one.layers[0].cells()[1:], f"{one.microseconds:.3g}"),
            *(f"{one.memory[i] / 1e6:.3g}" for i in (0, -1)),
        )
        for one in measured
    ]
    return Report(
        kind="gradient laboratory",
        title=title,
        sections=[
            Section("All layers together", [Table((*_SHORT, f"at {lengths[-1]}"), short), Paragraph(_READ)]),
            Section("Alignment", [Note(_BIAS), Panels([alignment], width=640), Table(_HEADER, rows)], detail=True),
            Section(
                "Cost of one gradient", [Note(_MEMORY), Panels([growth], width=640), Table(header, costs)], detail=True
            ),
            Section("On what", [Numbers(setting)], detail=True),
        ],
        numbers={"gradients": measured},
    )


def _draw_alignment(figure: Any, measured: Sequence[Measured]) -> None:
    ax, lines = figure.subplots(), []
    for one in measured:
        points = [layer for layer in one.layers[1:] if not math.isnan(layer.cosine)]
        lines.append((one.rule, [int(layer.name.split()[-1]) for layer in points], [layer.cosine for layer in points]))
    draw_lines(ax, lines, marker="o")
    ax.set(xlabel="layer", ylabel="cosine to the reference")
    ax.set_ylim(min(ax.get_ylim()[0], -0.1), 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_memory(figure: Any, measured: Sequence[Measured]) -> None:
    ax, memory = figure.subplots(), [[b / 1e6 for b in one.memory] for one in measured]
    draw_lines(ax, [(one.rule, one.lengths, its) for one, its in zip(measured, memory, strict=True)], marker="o")
    ax.set(xscale="log", xlabel="time steps", ylabel="working memory (MB)")
    ax.set_xticks(measured[0].lengths, [str(length) for length in measured[0].lengths])
    ax.minorticks_off()
    scale_to(ax, memory)
