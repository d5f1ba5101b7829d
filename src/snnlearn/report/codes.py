"""One input in several codes, side by side, and their reconstructions: a picture for a lecture, and a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import MaxNLocator

from snnlearn._errors import SnnlearnError
from snnlearn.report import value
from snnlearn.report.figures import BLUE, GREY, INK, STYLE, draw_current, draw_raster, draw_traces, shorten

_CHANNELS_AS_LINES = 3


@dataclass(frozen=True, kw_only=True)
class CodeSummary:
    """An input in one code, and its reconstruction.

    Args:
        name: Of the code.
        spikes: ``[T, N]``, 0 or 1, or -1 for the other of two kinds of spike; other values are drawn as currents.
        dt: Time step in s.
        reconstruction: The decoder's estimate, in the shape of the input; None if there is no decoder.
        bits: Information that the spikes carry, in bits per value; None if it is not known.
        bits_at_most: Whether `bits` is an upper bound.
        caption: A sentence on the code, for the page.

    Raises:
        SnnlearnError: if spikes is not one sample.
    """

    name: str
    spikes: np.ndarray
    dt: float
    reconstruction: np.ndarray | None = None
    bits: float | None = None
    bits_at_most: bool = False
    caption: str = ""

    def __post_init__(self) -> None:
        if self.spikes.ndim != 2:
            raise SnnlearnError(f"code {self.name!r} has shape {self.spikes.shape}; give one sample [T, N]")

    @property
    def is_spikes(self) -> bool:
        """Whether the code sends spikes, not currents."""
        return bool(np.isin(self.spikes, (-1, 0, 1)).all())

    @property
    def num_spikes(self) -> int:
        """How many there are."""
        return int(np.count_nonzero(self.spikes))

    def errors(self, x: np.ndarray) -> tuple[float, float] | None:
        """Root mean square and largest deviation of the reconstruction, in the unit of the input; None without one."""
        if self.reconstruction is None:
            return None
        deviation = np.abs(np.asarray(self.reconstruction, float) - x)
        return float(np.sqrt((deviation**2).mean())), float(deviation.max())


@matplotlib.rc_context(STYLE)
def codes_figure(x: np.ndarray, codes: Sequence[CodeSummary], *, frame: float | None = None) -> Figure:
    """Draw one input and, for each code, its spikes beside the reconstruction, for a slide.

    Unit 0 is at the top, so the rows of an image are beside the units that encode them.

    Args:
        x: An image ``[H, W]`` or a vector ``[N]``, or a signal ``[F, N]`` of F frames.
        codes: What each code makes of it.
        frame: How long a frame of a signal lasts, s; None for an image or a vector.

    Returns:
        A figure; with 5 to 12 codes, of the shape of a slide.

    Raises:
        SnnlearnError: If there is no code, or an array has the wrong number of axes.

    >>> codes = [CodeSummary(name="rate", spikes=np.eye(9), dt=1e-3, reconstruction=np.eye(3))]
    >>> [ax.get_title(loc="left") for ax in codes_figure(np.eye(3), codes).axes]
    ['input', 'rate', 'read back']
    """
    _check(x, codes, frame)
    columns = min(3, math.ceil(len(codes) / 3) if len(codes) > 4 else math.ceil(len(codes) / 2))
    rows = math.ceil(len(codes) / columns)
    figure = Figure(figsize=(2.4 + 3.9 * columns, max(2.6, 2.35 * rows)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[2.4, 3.9 * columns])[0]
    if frame and rows > 1:  # the signal as high as those that are read back
        above, below = left.subplots(2, 1, height_ratios=[1, rows - 1])
        below.set_axis_off()
    else:
        above = left.subplots()
    _draw_input(above, x, frame)
    cells = np.reshape(right.subfigures(rows, columns, squeeze=False), -1)
    for cell, code in zip(cells, codes, strict=False):
        _draw_code(cell, code, x, frame)
    return figure


_SPENDS = (
    "Errors are those of the reconstruction, in the unit of the values drawn. Bits per value are the mutual "
    "information of a value and its spikes, for values drawn evenly from 256 levels, which have 8 bits: how much "
    "the spikes hold, of which a decoder may read less. A rank order holds what the order of independent "
    "values tells. With ≤: the entropy of an event, from the frequencies seen here, which no code of these events "
    "can exceed."
)


def codes_report(
    x: np.ndarray,
    codes: Sequence[CodeSummary],
    *,
    frame: float | None = None,
    title: str = "One input, several codes",
    note: str = "",
) -> value.Report:
    """Show one input in each code, with a table of their costs and information.

    Args:
        x: An image ``[H, W]`` or a vector ``[N]``, or a signal ``[F, N]`` of F frames.
        codes: What each code makes of it.
        frame: How long a frame of a signal lasts, s; None for an image or a vector.
        title: Of the report.
        note: What to know about the input.

    Raises:
        SnnlearnError: If there is no code, or an array has the wrong number of axes.
    """
    _check(x, codes, frame)
    size, width = ((5.2, 2.4), 520) if frame else ((2.6, 2.4), 260)
    shown = value.Figure("The input", size, lambda figure: _draw_input(figure.subplots(), x, frame), width=width)
    drawn = [
        value.Figure(
            f"Spikes of the code {code.name}, and what is read back from them",
            (5.2, 2.5),
            partial(_draw_code, code=code, x=x, frame=frame),
            code.caption,
        )
        for code in codes
    ]
    header = ("code", "units", "spikes", "mean rate", "last spike", "rms error", "largest error", "bits per value")
    table = value.Table(header, [(code.name, *_numbers(code, x)) for code in codes])
    return value.Report(
        kind="codes",
        title=title,
        sections=[
            value.Section("The input", [*([value.Note(note)] if note else []), value.Panels([shown])]),
            value.Section("Spikes, and what is read back", [value.Panels(drawn)]),
            value.Section("What each code spends and carries", [value.Note(_SPENDS), table]),
        ],
    )


def _check(x: np.ndarray, codes: Sequence[CodeSummary], frame: float | None) -> None:
    if not codes:
        raise SnnlearnError("codes is empty; give at least one code")
    if x.ndim not in ((2,) if frame else (1, 2)):
        raise SnnlearnError(f"x has shape {x.shape}; give an image [H, W], a vector [N], or a signal [F, N] with frame")


def _draw_input(ax: Axes, x: np.ndarray, frame: float | None) -> None:
    if frame:
        _draw_signal(ax, x, frame)
        ax.set(xlabel="time (ms)", ylabel="value" if x.shape[1] <= _CHANNELS_AS_LINES else "channel")
    elif x.ndim == 2:
        _draw_image(ax, x, x)
    else:
        ax.barh(np.arange(len(x)), x, height=0.8, color=GREY)
        ax.set(ylim=(len(x) - 0.5, -0.5), xlabel="value", ylabel="component")
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.set_title("input", pad=16)


def _draw_code(figure: FigureBase, code: CodeSummary, x: np.ndarray, frame: float | None) -> None:
    raster, read = figure.subplots(1, 2, width_ratios=[2.1, 1])
    if code.is_spikes:
        draw_raster(raster, code.spikes, code.dt)
    else:
        draw_current(raster, code.spikes, code.dt)
    raster.set_title(shorten(code.name, 30), pad=16)
    raster.set_xlabel("time (ms)")
    _remark(raster, ", ".join(filter(None, [_spending(code), _carrying(code)])))
    errors = code.errors(x)
    if code.reconstruction is None or errors is None:
        read.set_axis_off()
        return
    _draw_reconstruction(read, x, code.reconstruction, frame)
    read.set_anchor("N")  # an image keeps its shape: at the top, beside its title's neighbour
    read.set_title("read back", pad=16, fontweight="normal")
    _remark(read, f"rms error {errors[0]:.2g}")


def _draw_reconstruction(ax: Axes, x: np.ndarray, read: np.ndarray, frame: float | None) -> None:
    if frame and x.shape[1] <= _CHANNELS_AS_LINES:
        draw_traces(ax, x, frame)
        for line in ax.lines:
            line.set(color=GREY, alpha=0.7)
        draw_traces(ax, read, frame)
    elif frame:
        _draw_signal(ax, read, frame)
    elif x.ndim == 2:
        _draw_image(ax, read, x)
    else:
        ax.barh(np.arange(len(x)), x, height=0.8, color=GREY, alpha=0.5)
        ax.plot(read, np.arange(len(x)), "|", color=BLUE, markersize=6, markeredgewidth=1.6)
        ax.set(ylim=(len(x) - 0.5, -0.5), yticks=[])
    if frame:
        ax.set_xlabel("time (ms)")


def _draw_image(ax: Axes, image: np.ndarray, x: np.ndarray) -> None:
    ax.imshow(image, cmap="gray", interpolation="nearest", vmin=min(0.0, x.min()), vmax=max(1.0, x.max()))
    ax.set_axis_off()


def _draw_signal(ax: Axes, x: np.ndarray, frame: float) -> None:
    if x.shape[1] <= _CHANNELS_AS_LINES:
        draw_traces(ax, x, frame)
    else:
        draw_current(ax, x, frame)


def _remark(ax: Axes, text: str) -> None:
    ax.annotate(text, (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", color=INK)


def _spending(code: CodeSummary) -> str:
    if not code.is_spikes:
        return f"current {code.spikes.min():.2g} to {code.spikes.max():.2g}"
    return f"{code.num_spikes:,} spikes" if code.num_spikes != 1 else "1 spike"


def _carrying(code: CodeSummary) -> str:
    return "" if code.bits is None else f"{_bits(code)} bits per value"


def _bits(code: CodeSummary) -> str:
    return "–" if code.bits is None else f"{'≤ ' if code.bits_at_most else ''}{code.bits:.2g}"


def _numbers(code: CodeSummary, x: np.ndarray) -> tuple[str, ...]:
    num_steps, units = code.spikes.shape
    step, _ = np.nonzero(code.spikes)
    spent = ("–", "–", "–")
    if code.is_spikes:
        last = f"{1e3 * code.dt * step.max():.4g} ms" if step.size else "–"
        spent = (f"{step.size:,}", f"{step.size / (units * num_steps * code.dt):.3g} Hz", last)
    errors = code.errors(x)
    return (f"{units:,}", *spent, *(f"{e:.2g}" for e in errors or ()), *(() if errors else ("–", "–")), _bits(code))
