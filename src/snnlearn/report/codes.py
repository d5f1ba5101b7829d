"""One input in several codes, side by side: a picture for a lecture, a page and a terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnlearn._errors import SnnlearnError
from snnlearn.report.figures import GREY, INK, STYLE, draw_current, draw_raster, new_figure
from snnlearn.report.page import inline_svg, page, panels, section, table, write_whole
from snnlearn.report.terminal import terminal_raster

__all__ = ["codes_figure", "terminal_raster", "write_codes_html"]


@matplotlib.rc_context(STYLE)
def codes_figure(x: np.ndarray, codes: Mapping[str, np.ndarray], dt: float) -> Figure:
    """Draw one input and what each code makes of it, side by side, with the number of spikes.

    A code whose values are all -1, 0 or 1 is drawn as spikes, any other as a heat map of currents. Unit 0 is at the
    top, so that the rows of an image lie beside the units that encode them.

    Args:
        x: An image ``[H, W]`` or a vector ``[N]``.
        codes: By name, each ``[T, N]``.
        dt: Time step in s.

    Returns:
        A figure for a slide, 3.4 inches high.

    Raises:
        SnnlearnError: If there is no code, or an array has the wrong number of axes.

    >>> figure = codes_figure(np.eye(3), {"rate": np.eye(9), "current": np.full((9, 9), 0.3)}, dt=1e-3)
    >>> [ax.get_title(loc="left") for ax in figure.axes]
    ['input', 'rate', 'current']
    """
    if not codes:
        raise SnnlearnError("codes is empty; give at least one code, such as {'rate': spikes}")
    figure, axes = new_figure(2.9 * (1 + len(codes)), 3.4, columns=[1.0] * (1 + len(codes)))
    _draw_input(axes[0, 0], x)
    for ax, (name, values) in zip(axes[0, 1:], codes.items(), strict=True):
        _draw_code(ax, name, values, dt)
    for ax in axes[0, 2:]:
        ax.set_ylabel("")
    return figure


@matplotlib.rc_context(STYLE)
def write_codes_html(
    x: np.ndarray,
    codes: Mapping[str, np.ndarray],
    dt: float,
    path: str | os.PathLike[str],
    *,
    title: str = "One input, several codes",
) -> Path:
    """Write a self-contained page that shows one input in each code, with a table of what each code spends.

    Args:
        x: An image ``[H, W]`` or a vector ``[N]``.
        codes: By name, each ``[T, N]``.
        dt: Time step in s.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.

    Returns:
        The path.
    """
    figure, axes = new_figure(3.1, 3.0)
    _draw_input(axes[0, 0], x)
    drawn = [inline_svg(figure, "The input")]
    for name, values in codes.items():
        figure, axes = new_figure(3.1, 3.0)
        _draw_code(axes[0, 0], name, values, dt)
        drawn.append(inline_svg(figure, f"Code: {name}"))
    rows = [(name, *_spending(values, dt)) for name, values in codes.items()]
    header = ("code", "units", "spikes", "mean rate", "units that spike", "first spike", "last spike")
    body = section(title, panels(drawn, width=225), table("What each code spends", header, rows))
    return write_whole(page(title, [body]), path)


def _draw_input(ax: Axes, x: np.ndarray) -> None:
    x = np.asarray(x)
    if x.ndim == 2:
        ax.imshow(x, cmap="gray", interpolation="nearest")
        ax.set_axis_off()
    elif x.ndim == 1:
        ax.barh(np.arange(len(x)), x, height=0.8, color=GREY)
        ax.set(ylim=(len(x) - 0.5, -0.5), xlabel="value", ylabel="component")
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    else:
        raise SnnlearnError(f"x has shape {x.shape}; give an image [H, W] or a vector [N]")
    ax.set_title("input")


def _draw_code(ax: Axes, name: str, values: np.ndarray, dt: float) -> None:
    if values.ndim != 2:
        raise SnnlearnError(f"code {name!r} has shape {values.shape}; give one sample [T, N]")
    if _is_spikes(values):
        draw_raster(ax, values, dt)
        count = np.count_nonzero(values)
        remark = f"{count:,} spikes" if count != 1 else "1 spike"
    else:
        draw_current(ax, values, dt)
        remark = f"current {values.min():.2g} to {values.max():.2g}"
    ax.set_title(name, pad=16)
    ax.annotate(remark, (0, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", color=INK)
    ax.set_xlabel("time (ms)")


def _spending(values: np.ndarray, dt: float) -> tuple[str, ...]:
    num_steps, units = values.shape
    step, unit = np.nonzero(values)
    if not _is_spikes(values):
        return (f"{units:,}", *["–"] * 5)
    if not step.size:
        return (f"{units:,}", "0", "0 Hz", "0", "–", "–")
    return (
        f"{units:,}",
        f"{step.size:,}",
        f"{step.size / (units * num_steps * dt):.3g} Hz",
        f"{np.unique(unit).size:,}",
        f"{1e3 * dt * step.min():.4g} ms",
        f"{1e3 * dt * step.max():.4g} ms",
    )


def _is_spikes(values: np.ndarray) -> bool:
    return bool(np.isin(values, (-1, 0, 1)).all())
