"""Drawing functions that all reports share: each puts one thing on Matplotlib axes; `dt` is the time step in s.

They use the object interface only (`matplotlib.figure.Figure`), so nothing is registered, shown or left open; call
them within ``matplotlib.rc_context(STYLE)``, as a page does. Colours are middle tones, and everything neutral is
drawn in `INK`, which a page replaces by its text colour, so the same figure is readable on white and on black. Unit
0 is at the top, like the first row of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from snnlearn.report.statement import RiskStatement
from snnlearn.report.summary import Example, LayerSummary

INK = "#1b1c1d"
BLUE, ORANGE, RED, GREEN, VIOLET, GREY = "#3a86d8", "#e08a1e", "#d9483b", "#2a9d72", "#9a6dd7", "#8a8f98"
CYCLE = (BLUE, ORANGE, GREEN, VIOLET, RED)
CURRENT = LinearSegmentedColormap.from_list("current", [(*to_rgb(ORANGE), 0.0), (*to_rgb(ORANGE), 1.0)])

# Above this many spikes a raster becomes a picture inside the SVG: smaller, and a browser draws it faster.
VECTOR_SPIKES = 4000

STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.parse_math": False,  # a class may be called "$"
    "path.simplify": False,
}


def scale_to(ax: Axes, values: Any) -> None:
    """Make the vertical axis logarithmic, with plain numbers, if values span more than a factor of 10 and none is 0.

    Otherwise it is linear, and starts at 0 if no value is below.
    """
    low, high = np.nanmin(values), np.nanmax(values)
    if not 0 < 10 * low < high:
        if low >= 0:
            ax.set_ylim(0, None if high > 0 else 1)
        return
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def draw_raster(ax: Axes, spikes: Num[np.ndarray, "T N"], dt: float, *, color: str = BLUE) -> None:
    """Draw each spike, 1 or -1, as a tick at its time and unit; negative spikes in red."""
    num_steps, units = spikes.shape
    half = max(0.4, 0.012 * units)  # a tick must stay visible among very many units
    width = float(np.clip(160 / num_steps, 0.5, 1.4))  # and ticks of neighbouring steps apart
    for sign, tick_color in ((1, color), (-1, RED)):
        step, unit = np.nonzero(np.sign(spikes) == sign)
        time = _milliseconds(step + 0.5, dt)
        gap = np.full(step.size, np.nan)
        ax.plot(
            np.column_stack([time, time, gap]).ravel(),
            np.column_stack([unit - half, unit + half, gap]).ravel(),
            color=tick_color,
            linewidth=width,
            solid_capstyle="butt",
            rasterized=step.size > VECTOR_SPIKES,
        )
    _unit_axes(ax, num_steps, units, dt)


def draw_current(ax: Axes, current: Num[np.ndarray, "T N"], dt: float) -> None:
    """Draw currents as a heat map, from transparent at the lowest value to full colour at the highest."""
    num_steps, units = current.shape
    extent = (0.0, float(_milliseconds(num_steps, dt)), units - 0.5, -0.5)
    low = min(0.0, float(current.min()))
    ax.imshow(current.T, aspect="auto", extent=extent, interpolation="nearest", cmap=CURRENT, vmin=low)
    _unit_axes(ax, num_steps, units, dt)


def draw_traces(
    ax: Axes, values: Num[np.ndarray, "T N"], dt: float, *, bold: Sequence[tuple[int, str, str]] = ()
) -> None:
    """Draw one line over time per unit, such as membrane potentials.

    Args:
        ax: Where to draw.
        values: Of each unit in each step.
        dt: Time step in s.
        bold: ``(unit, colour, label)`` of the lines that matter; if given, all others are thin and grey.
    """
    time = _milliseconds(np.arange(len(values)) + 0.5, dt)
    for unit, trace in enumerate(values.T):
        ax.plot(time, trace, linewidth=0.9, color=GREY if bold else CYCLE[unit % len(CYCLE)], alpha=0.6 if bold else 1)
    for unit, color, label in bold:
        ax.plot(time, values[:, unit], linewidth=1.8, color=color, label=label)
    ax.set_xlim(0, _milliseconds(len(values), dt))
    ax.margins(y=0.08)


def draw_curves(ax: Axes, curves: dict[str, np.ndarray], selected: int | None = None, *, scale: float = 1.0) -> None:
    """Draw learning curves: a line for the mean over seeds and a band from the lowest to the highest seed.

    The band is the range, not an interval of the mean: it needs no assumption, and it is honest for few seeds. The
    axis is logarithmic if the values span more than a factor of 10 and none is 0.

    Args:
        ax: Where to draw.
        curves: By name, each ``[K, epochs]``; nan where a seed had stopped.
        selected: Index of the epoch to mark, from 0.
        scale: Factor on all values, such as 100 for percent.
    """
    for color, (name, curve) in zip(CYCLE, curves.items(), strict=False):
        values = np.ma.masked_invalid(scale * np.asarray(curve, dtype=float))
        epoch = np.arange(1, values.shape[1] + 1)
        marker = "o" if values.shape[1] == 1 else ""
        ax.plot(epoch, values.mean(axis=0), color=color, linewidth=1.6, marker=marker, label=name)
        if len(values) > 1:
            ax.fill_between(epoch, values.min(axis=0), values.max(axis=0), color=color, alpha=0.22, linewidth=0)
    if selected is not None:
        ax.axvline(selected + 1, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0, label="epoch kept")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_xlabel("epoch")
    ax.margins(x=0.02)
    scale_to(ax, scale * np.array(list(curves.values())))  # on a linear axis the first epochs would hide what follows
    ax.legend(loc="best")


def draw_confusion(ax: Axes, counts: Num[np.ndarray, "C C"], class_names: Sequence[str]) -> None:
    """Draw a confusion matrix, rows are the truth: right answers in blue, errors in red on a separate scale."""
    classes = len(counts)
    fraction = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(classes, dtype=bool)
    worst = max(fraction[~right].max(initial=0.0), 1e-9)
    cells = np.empty((classes, classes, 4))
    cells[right] = np.column_stack([np.tile(to_rgb(BLUE), (classes, 1)), 0.65 * fraction[right]])
    cells[~right, :3] = to_rgb(RED)
    cells[~right, 3] = 0.65 * np.sqrt(fraction[~right] / worst)
    ax.imshow(cells, interpolation="nearest", aspect="equal")
    if classes <= 20:
        size = min(8.5, 75 / classes)
        for row, column in zip(*np.nonzero(counts), strict=True):
            ax.text(column, row, f"{counts[row, column]:.0f}", ha="center", va="center", fontsize=size)
    long = max(map(len, class_names), default=0) > 3
    every = range(0, classes, 1 + (classes - 1) // 40)
    size = min(8.5, 150 / classes)
    names = [shorten(class_names[i]) for i in every]
    ax.set_xticks(list(every), names, rotation=90 if long else 0, fontsize=size)
    ax.set_yticks(list(every), names, fontsize=size)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    edges = np.arange(classes + 1) - 0.5
    ax.hlines(edges, -0.5, classes - 0.5, color=GREY, linewidth=0.3)
    ax.vlines(edges, -0.5, classes - 0.5, color=GREY, linewidth=0.3)
    ax.set(xlabel="answer of the network", ylabel="truth")


def draw_rates(ax: Axes, layer: LayerSummary) -> None:
    """Draw the histogram of a spiking layer's firing rates, with the silent units as a separate red bar."""
    rate = np.asarray(layer.firing_rate, dtype=float)
    active, silent = rate[rate > 0], int((rate == 0).sum())
    top = float(active.max(initial=0.0)) or 1.0
    counts, edges = np.histogram(active, bins=24, range=(0.0, top))
    width = edges[1]
    ax.bar(edges[:-1], counts, width=0.92 * width, align="edge", color=BLUE, alpha=0.85)
    if silent:
        ax.bar_label(ax.bar(-3 * width, silent, width=0.92 * width, color=RED), color=RED, padding=2)
        below = {"xytext": (0, -4), "textcoords": "offset points", "ha": "center", "va": "top"}
        ax.annotate("silent", (-3 * width, 0), color=RED, **below)
        ax.xaxis.set_major_locator(FixedLocator(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, top)))
        ax.set_xlim(-4.5 * width, 1.04 * top)
    if active.size:
        ax.axvline(rate.mean(), color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    ax.set_title(f"mean {rate.mean():.3g} Hz (dashed)", loc="right", fontweight="normal", fontsize=8.5)
    ax.set_ylim(0, 1.15 * max(counts.max(initial=0), silent, 1))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set(xlabel="firing rate (Hz)", ylabel="units")


def draw_delays(ax: Axes, layer: LayerSummary, dt: float) -> None:
    """Draw the histogram of a layer's delays, step by step, and dashed what it would be if all were equally frequent.

    A bar is around each whole number of steps; the first and the last are half as wide, as delays end there.
    """
    steps, most = np.asarray(layer.delays) / dt, max(1, round(layer.longest_delay / dt))
    edges = np.clip(np.arange(most + 2) - 0.5, 0, most)
    counts, _ = np.histogram(np.clip(steps, 0, most), edges)
    ax.bar(1e3 * dt * edges[:-1], counts, width=0.92e3 * dt * np.diff(edges), align="edge", color=BLUE, alpha=0.85)
    ax.stairs(len(steps) * np.diff(edges) / most, 1e3 * dt * edges, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    ax.set_title(f"mean {1e3 * layer.delays.mean():.3g} ms", loc="right", fontweight="normal", fontsize=8.5)
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.set(xlabel="delay (ms)", ylabel="synapses")


def draw_risk(ax: Axes, statement: RiskStatement, chance: float) -> None:
    """Draw the statement of risk on one axis: training error, test error and the seeds, with intervals, and chance."""
    interval, seeds, risks = statement.risk_interval, statement.seed_interval, 100 * statement.seed_risks
    rows = {2: "training", 1: "test, saved model"} | ({0: f"test, {len(risks)} seeds"} if len(risks) > 1 else {})
    ax.plot(100 * statement.empirical_risk, 2, "D", color=ORANGE, markersize=6, clip_on=False)
    ax.hlines(1, 100 * interval.low, 100 * interval.high, color=BLUE, linewidth=6, alpha=0.35)
    ax.plot(100 * statement.risk, 1, "o", color=BLUE, markersize=8, clip_on=False)
    if len(risks) > 1:
        ax.hlines(0, 100 * seeds.low, 100 * seeds.high, color=GREEN, linewidth=6, alpha=0.35)
        ax.plot(risks, np.zeros(len(risks)), "|", color=GREY, markersize=12)
        ax.plot(100 * statement.seed_mean, 0, "o", color=GREEN, markersize=6, clip_on=False)
    top = min(1.0, 1.25 * np.nanmax([interval.high, seeds.high, statement.empirical_risk, *statement.seed_risks]))
    if chance <= 2 * top:
        top = min(1.0, max(top, 1.1 * chance))
        ax.axvline(100 * chance, color=RED, linewidth=1.2, linestyle=(0, (4, 3)))
        place, word = (chance / top, 1), "chance"
    else:
        place, word = (1, 1), f"chance {100 * chance:.0f} % →"
    ax.annotate(word, place, xycoords="axes fraction", color=RED, ha="right", va="bottom")
    ax.set_yticks(list(rows), list(rows.values()))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GREY, alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.set(xlim=(0, 100 * top), ylim=(min(rows) - 0.6, 2.6), xlabel="error (%)")


def draw_intervals(ax: Axes, rows: Sequence[tuple[str, float, Sequence[float], str]], xlabel: str) -> None:
    """Draw estimates below one another, each with its interval, as percentages.

    Args:
        ax: Where to draw.
        rows: Of each its name, the estimate, the interval's ends, both as fractions, and a colour.
        xlabel: What is estimated.
    """
    for row, (_, value, interval, color) in enumerate(rows):
        ax.plot(100 * np.array(interval[:2]), [row, row], color=color, linewidth=2)
        ax.plot(100 * value, row, "o", color=color)
    ax.set(yticks=range(len(rows)), yticklabels=[name for name, *_ in rows], xlabel=xlabel)
    ax.invert_yaxis()


def draw_lines(ax: Axes, lines: Sequence[tuple[str, Any, Any]], *, marker: str = "", **legend: Any) -> None:
    """Draw a line for each name; when colours repeat, lines are dashed.

    Args:
        ax: Where to draw.
        lines: Name, x and y of each.
        marker: Of each point.
        legend: Options of the legend, by default to the right of the axes.
    """
    for row, (name, x, y) in enumerate(lines):
        style = marker + ("-", "--", ":")[row // len(CYCLE) % 3]
        ax.plot(x, y, style, color=CYCLE[row % len(CYCLE)], markersize=4, label=shorten(name, 24))
    ax.legend(**({"fontsize": 7, "loc": "center left", "bbox_to_anchor": (1.0, 0.5)} | legend))


def draw_example(figure: Figure, example: Example, dt: float, class_names: Sequence[str] = ()) -> None:
    """Draw one sample on its way through the network: the image, then every layer and its membranes, top to bottom.

    If the classes of the output units are given, the lines of answer and truth are highlighted.
    """
    names = [name for name, _, _ in example.layers]
    panels = [(name, values, is_spikes) for name, values, is_spikes in example.layers]
    for name, v in example.membranes:
        after = max((i for i, panel in enumerate(panels) if panel[0] == name), default=len(panels) - 1)
        panels.insert(after + 1, (f"{name}: membranes of {v.shape[1]} units" if name in names else name, v, False))
    heights = _heights(example)
    column = list(figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0])
    verdict = "" if example.predicted == example.label else f", taken for {shorten(example.predicted, 14)}"
    figure.suptitle(
        f"{shorten(example.label, 14)}{verdict}", color=RED if verdict else INK, fontweight="bold", fontsize=11
    )
    if example.image is not None:
        ax = column.pop(0)
        ax.imshow(example.image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_axis_off()
    for position, (ax, (name, values, is_spikes)) in enumerate(zip(column, panels, strict=True)):
        if is_spikes:
            draw_raster(ax, values, dt)
            name = f"{shorten(name, 40)} · {np.count_nonzero(values):,} spikes"
        elif values.shape[1] == len(class_names):
            draw_traces(ax, values, dt, bold=_answer(example, class_names))
            ax.legend(loc="best", fontsize=7.5, handlelength=1.2)
        elif values.shape[1] > len(CYCLE):
            draw_current(ax, values, dt)
        else:
            draw_traces(ax, values, dt)
        ax.set_title(shorten(name, 60), fontsize=8.5, fontweight="normal")
        ax.yaxis.set_major_locator(MaxNLocator(3, integer=is_spikes))
        if position < len(panels) - 1:
            ax.tick_params(labelbottom=False)
    column[-1].set_xlabel("time (ms)")


def example_size(example: Example) -> tuple[float, float]:
    """Width and height of its figure, inches."""
    return 3.9, 1.25 * sum(_heights(example)) + 0.3


def _heights(example: Example) -> list[float]:
    return [1.5] * (example.image is not None) + [1.0] * (len(example.layers) + len(example.membranes))


def _answer(example: Example, class_names: Sequence[str]) -> list[tuple[int, str, str]]:
    """Find the output units of the answer and of the truth, with a colour for each."""
    lines = [(example.predicted, BLUE, "answer")]
    if example.label != example.predicted:
        lines.append((example.label, ORANGE, "truth"))
    return [
        (class_names.index(name), color, f"{role} {shorten(name)}")
        for name, color, role in lines
        if name in class_names
    ]


def _unit_axes(ax: Axes, num_steps: int, units: int, dt: float) -> None:
    ax.set(xlim=(0, _milliseconds(num_steps, dt)), ylim=(units - 0.5, -0.5), ylabel="unit")
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))


def _milliseconds(steps, dt: float):
    return 1e3 * dt * steps


def shorten(name: str, length: int = 10) -> str:
    """A name short enough to draw; pages have the whole name in a table.

    >>> shorten("a rather long name", 12)
    'a rather lo…'
    """
    name = name.encode("utf-8", "replace").decode()  # file names may contain bytes that are not text
    return name if len(name) <= length else f"{name[: length - 1]}…"
