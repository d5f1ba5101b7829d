"""The report of several rules' gradients, compared with the gradients that they estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from snnlearn.network import GradientFlow
from snnlearn.report.figures import draw_lines, scale_to
from snnlearn.report.flow import doubts
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


@dataclass(frozen=True)
class Flow:
    """How much of an error of the last step reaches earlier states.

    Args:
        found: Norms of each layer at each lag, means over samples.
        time_constants: Of each layer's neurons, s, by name.
        exponent: The largest Lyapunov exponent, 1/s.
        samples: How many it was measured on.
    """

    found: GradientFlow
    time_constants: tuple[dict[str, float], ...]
    exponent: float
    samples: int


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


def gradients_report(
    measured: Sequence[Measured], *, title: str, setting: Sequence[Row], flow: Flow | None = None
) -> Report:
    """Report how close each rule's gradient is to the one it estimates, and its cost.

    Args:
        measured: The rules.
        title: Of the report.
        setting: What they were measured on.
        flow: How an error flows back through time, if that was measured.
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
            *([] if flow is None else [_flow(flow)]),
            Section("Alignment", [Note(_BIAS), Panels([alignment], width=640), Table(_HEADER, rows)], detail=True),
            Section(
                "Cost of one gradient", [Note(_MEMORY), Panels([growth], width=640), Table(header, costs)], detail=True
            ),
            Section("On what", [Numbers(setting)], detail=True),
        ],
        warnings=() if flow is None else _doubts(flow),
        numbers={"gradients": measured} | ({} if flow is None else {"flow": _flow_numbers(flow)}),
    )


def _flow(flow: Flow) -> Section:
    norms, half_lives = flow.found.norms, flow.found.half_lives
    rows = [
        (
            f"layer {number}",
            _time(half_lives[number - 1]),
            ", ".join(f"{name} {_time(tau)}" for name, tau in flow.time_constants[number - 1].items()) or "–",
            f"{norms[number - 1, 0]:.2g}",
            f"{norms[number - 1, -1]:.2g}",
        )
        for number in range(1, len(norms) + 1)
    ]
    exponent = f"{flow.exponent:+.3g}".replace("-", "−")
    growth = (
        f"The largest Lyapunov exponent of the gradient is {exponent} per second: along its direction, errors "
        f"{'grow' if flow.exponent > 0 else 'shrink'} by a factor of e every {_time(1 / abs(flow.exponent))}."
        if math.isfinite(flow.exponent) and flow.exponent
        else "The largest Lyapunov exponent of the gradient is 0."
        if flow.exponent == 0
        else "No error reaches an earlier state, so the gradient has no Lyapunov exponent."
    )
    last = norms.shape[1]
    return Section(
        "Flow through time",
        [
            Note(
                "A random error of length 1 at the output of the last step is sent back through time, with the "
                "surrogate derivatives of training. Norm: of the error that arrives at all state variables of a layer, "
                f"root mean square over {flow.samples} samples. Half-life: from a line through its logarithm over the "
                "later half of the lags; a leaky membrane alone would have tau · ln 2."
            ),
            Table(("", "half-life", "time constants", "norm, 1 step back", f"{last} steps back"), rows),
            Paragraph(growth),
            Panels(
                [
                    Figure("norm of the error against lag", (5.0, 3.2), partial(_draw_flow, flow=flow)),
                    Figure(
                        "norm of the error for each layer and lag",
                        (5.0, 1.0 + 0.5 * len(norms)),
                        partial(_draw_flow_map, flow=flow),
                    ),
                ]
            ),
        ],
    )


def _doubts(flow: Flow) -> tuple[str, ...]:
    names = [f"Layer {number}" for number in range(1, len(flow.found.norms) + 1)]
    return tuple(doubts(flow.found, names, flow.time_constants))


def _flow_numbers(flow: Flow) -> dict[str, Any]:
    return {
        "norms": flow.found.norms,
        "half_lives": flow.found.half_lives,
        "time_constants": flow.time_constants,
        "largest_lyapunov_exponent": flow.exponent,
        "samples": flow.samples,
    }


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    return "does not fall" if math.isinf(seconds) else f"{1e3 * seconds:.3g}\xa0ms"


def _draw_flow(figure: Any, flow: Flow) -> None:
    ax, norms = figure.subplots(), flow.found.norms
    lags = 1e3 * flow.found.dt * np.arange(1, norms.shape[1] + 1)
    logarithms = np.log10(np.where(norms > 0, norms, np.nan))
    draw_lines(ax, [(f"layer {number}", lags, one) for number, one in enumerate(logarithms, start=1)], loc="best")
    ax.set(xlabel="time before the last step (ms)", ylabel="log₁₀ of the norm")


def _draw_flow_map(figure: Any, flow: Flow) -> None:
    ax, norms = figure.subplots(), flow.found.norms
    with np.errstate(divide="ignore"):
        logarithms = np.log10(norms)
    low = max(logarithms[np.isfinite(logarithms)].min(initial=0.0), -12.0)
    last = 1e3 * flow.found.dt * norms.shape[1]
    shown = ax.imshow(
        np.maximum(logarithms, low), aspect="auto", extent=(0, last, len(norms) + 0.5, 0.5), interpolation="nearest"
    )
    figure.colorbar(shown, ax=ax, label="log₁₀ of the norm")
    ax.set(xlabel="time before the last step (ms)", ylabel="layer", yticks=range(1, len(norms) + 1))


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
