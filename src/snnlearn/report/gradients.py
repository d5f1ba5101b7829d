"""How the gradients of several rules compare with what they stand for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.ticker import MaxNLocator

from snnlearn.report.figures import CYCLE, STYLE, new_figure, scale_to, shorten
from snnlearn.report.page import Numbers, Page, Section, Table, draw, write_page
from snnlearn.report.statement import Row


@dataclass(frozen=True)
class Alignment:
    """One layer's gradient, or all layers' together, against the reference.

    Args:
        name: Which layer.
        cosine: Of the angle between one draw and the reference, mean over draws.
        norm_ratio: Length of one draw over the reference's.
        bias: |mean − reference| / |reference|.
        bias_error: What that is expected to be, from both sides' variances alone, if there is no bias.
        variance: E|draw − mean|² / |reference|².
    """

    name: str
    cosine: float
    norm_ratio: float
    bias: float
    bias_error: float
    variance: float

    def cells(self) -> tuple[str, ...]:
        """As a table has it."""
        if math.isnan(self.cosine):
            return (self.name, *["no gradient"] * 2, "–", "–")
        bias = f"{self.bias:.2g}" + (f" ± {self.bias_error:.2g}" if self.variance else "")
        return (self.name, f"{self.cosine:+.3f}", f"{self.norm_ratio:.3g}", bias, f"{self.variance:.3g}")


@dataclass(frozen=True)
class Measured:
    """What was measured of one rule.

    Args:
        rule: Its name.
        reference: The rule whose gradient it is compared with.
        layers: All layers together, then each.
        seconds: Of one gradient, median.
        num_steps: Time steps T of the sequence that it is of.
        memory: Working memory, bytes, of sequences of several lengths, T first.
        lengths: These, time steps.
    """

    rule: str
    reference: str
    layers: tuple[Alignment, ...]
    seconds: float
    num_steps: int
    memory: tuple[int, ...]
    lengths: tuple[int, ...]


def _look(row: int) -> dict[str, Any]:
    """Colours come round again, dashed."""
    return {"color": CYCLE[row % len(CYCLE)], "linestyle": ("-", "--", ":")[row // len(CYCLE) % 3], "markersize": 4}


@matplotlib.rc_context(STYLE)
def write_gradients(
    measured: Sequence[Measured], path: str | os.PathLike[str], *, title: str, setting: Sequence[Row]
) -> Path:
    """Write a self-contained page.

    Args:
        measured: The rules.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.
        setting: What they were measured on.

    Returns:
        The path.
    """
    alignment, axes = new_figure(6.6, 3.2)
    ax = axes[0, 0]
    for row, one in enumerate(measured):
        points = [layer for layer in one.layers[1:] if not math.isnan(layer.cosine)]
        layers = [int(layer.name.split()[-1]) for layer in points]
        ax.plot(layers, [layer.cosine for layer in points], marker="o", label=shorten(one.rule, 24), **_look(row))
    ax.set(xlabel="layer", ylabel="cosine to the reference")
    low, _ = ax.get_ylim()
    ax.set_ylim(min(low, -0.1), 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    growth, axes = new_figure(6.6, 3.2)
    ax = axes[0, 0]
    for row, one in enumerate(measured):
        ax.semilogx(one.lengths, [b / 1e6 for b in one.memory], marker="o", label=shorten(one.rule, 24), **_look(row))
    ax.set(xlabel="time steps", ylabel="working memory (MB)")
    ax.set_xticks(measured[0].lengths, [str(length) for length in measured[0].lengths])
    ax.minorticks_off()
    scale_to(ax, [[b / 1e6 for b in one.memory] for one in measured])
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    drawn = [draw(alignment, "Cosine between each rule's gradient and its reference, layer by layer")]
    grown = [draw(growth, "Working memory of each rule's gradient against the length of the sequence")]
    header = ("rule", "reference", "layer", "cosine", "norm ratio", "bias", "variance")
    rows = [(one.rule, one.reference, *layer.cells()) for one in measured for layer in one.layers]
    costs = [
        (
            one.rule,
            f"{1e3 * one.seconds:.1f} ms",
            f"{1e6 * one.seconds / one.num_steps:.3g} µs",
            *(f"{memory / 1e6:.2f} MB" for memory in one.memory),
        )
        for one in measured
    ]
    cost_header = ("rule", "time", "per time step", *(f"memory, T = {length}" for length in measured[0].lengths))
    note = (
        "Bias: |mean of draws − reference| / |reference|, ± what it would be by chance alone. Variance: of one draw. "
    )
    note += (
        "Perturbation rules and Xie & Seung's are compared with the gradient of the loss expected under their noise or "
        "the network's, estimated from four times as many other draws, whose error is part of the ±. "
        "EventProp differentiates the loss of a network in continuous time and stands for itself: its row shows costs."
    )
    page = Page(
        kicker="gradient laboratory",
        title=title,
        sections=[
            Section(title="Alignment", figures=drawn, width=640, tables=[Table(header, rows)], note=note),
            Section(
                title="Cost of one gradient",
                figures=grown,
                width=640,
                tables=[Table(cost_header, costs)],
                note="Memory: what the compiled program of one batch's gradient needs besides what goes in and out, of "
                "inputs as training has them (packed where the kernels do the work), for longer and longer sequences. "
                "Online rules take blocks of up to 128 steps: until then theirs grows.",
            ),
            Section(title="On what", numbers=[Numbers(setting)]),
        ],
    )
    return write_page(page, path)
