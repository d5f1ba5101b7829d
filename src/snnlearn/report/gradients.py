"""How the gradients of several rules compare with what they stand for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.ticker import MaxNLocator

from snnlearn.report.figures import CYCLE, STYLE, new_figure
from snnlearn.report.page import inline_svg, page, panels, section, table, write_whole


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
        memory: Working memory, bytes.
        memory_4t: The same for four times as many time steps.
    """

    rule: str
    reference: str
    layers: tuple[Alignment, ...]
    seconds: float
    num_steps: int
    memory: int
    memory_4t: int


@matplotlib.rc_context(STYLE)
def write_gradients(measured: Sequence[Measured], path: str | os.PathLike[str], *, title: str) -> Path:
    """Write a self-contained page.

    Args:
        measured: The rules.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.

    Returns:
        The path.
    """
    figure, axes = new_figure(5.4, 3.2)
    ax = axes[0, 0]
    for row, one in enumerate(measured):
        points = [layer for layer in one.layers[1:] if not math.isnan(layer.cosine)]
        layers = [int(layer.name.split()[-1]) for layer in points]
        ax.plot(layers, [layer.cosine for layer in points], "o-", color=CYCLE[row % len(CYCLE)], label=one.rule)
    ax.set(xlabel="layer", ylabel="cosine to the reference", ylim=(-0.1, 1.05))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7)
    drawn = [inline_svg(figure, "Cosine between each rule's gradient and its reference, layer by layer")]
    header = ("rule", "reference", "layer", "cosine", "norm ratio", "bias", "variance")
    rows = [(one.rule, one.reference, *layer.cells()) for one in measured for layer in one.layers]
    costs = [
        (
            one.rule,
            f"{1e3 * one.seconds:.1f} ms",
            f"{1e6 * one.seconds / one.num_steps:.3g} µs",
            f"{one.memory / 1e6:.2f} MB",
            f"{one.memory_4t / 1e6:.2f} MB",
        )
        for one in measured
    ]
    note = (
        "Bias: |mean of draws − reference| / |reference|, ± what it would be by chance alone. Variance: of one draw. "
    )
    note += (
        "Perturbation rules and Xie & Seung's are compared with the gradient of the loss expected under their noise or "
        "the network's, estimated from four times as many other draws, whose error is part of the ±. "
        "EventProp differentiates the loss of a network in continuous time and stands for itself: its row shows costs."
    )
    body = [
        f'<header>\n<p class="kicker">snnlearn · gradient laboratory</p>\n<h1>{title}</h1>\n</header>',
        section("Alignment", panels(drawn, width=520), table("", header, rows), note=note),
        section(
            "Cost of one gradient", table("", ("rule", "time", "per time step", "memory at T", "memory at 4T"), costs)
        ),
    ]
    return write_whole(page(title, body), path)
