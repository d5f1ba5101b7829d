"""Several learning rules side by side."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator
from rich.console import Console

from snnlearn.report.figures import CYCLE, GREY, STYLE, new_figure, scale_to, shorten
from snnlearn.report.page import Numbers, Page, Section, Table, draw, write_page
from snnlearn.report.paired import Pair, pair_section
from snnlearn.report.statement import Row, percent, quantity
from snnlearn.report.terminal import print_table


@dataclass(frozen=True)
class Contender:
    """What became of one rule.

    Args:
        rule: Its name.
        loss: The loss it minimised.
        learning_rate: The step size chosen on validation data.
        test_errors: Wrong decisions on the test sample, `[K]` seeds.
        test_size: Samples in it.
        risk: Mean test error over the seeds.
        interval: Its 95 % interval: over the seeds or, with one seed, of the proportion.
        empirical_risk: Mean training error.
        curves: Validation error after each epoch, `[K, epochs]`.
        seconds_per_epoch: All seeds together, without compilation.
        memory: Working memory of one batch's gradient, bytes.
        firing_rate: Mean of the hidden units, Hz.
        synops: Synaptic operations of one inference.
        macs: Its multiply-accumulates, where what arrives at a synapse is no spike.
        silent: Share of hidden units that never spike.
    """

    rule: str
    loss: str
    learning_rate: float
    test_errors: np.ndarray
    test_size: int
    risk: float
    interval: tuple[float, float]
    empirical_risk: float
    curves: np.ndarray
    seconds_per_epoch: float
    memory: int
    firing_rate: float
    synops: float
    macs: float
    silent: float

    def numbers(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(self).items()
        }


_PAIRED = (
    "Over {over}: the first's test error less the second's, with its 95 % interval and a p-value that is corrected for "
    "the number of pairs (Holm). Blue where it is below 0.05."
)
HEADER = ("rule", "test error, %", "train", "step", "s/epoch", "MB", "Hz", "synops", "MACs")


def _row(one: Contender) -> tuple[str, ...]:
    low, high = one.interval
    return (
        one.rule,
        f"{100 * one.risk:.1f} ({100 * max(low, 0.0):.1f}–{100 * high:.1f})",
        f"{100 * one.empirical_risk:.1f}",
        f"{one.learning_rate:g}",
        f"{one.seconds_per_epoch:.2f}",
        f"{one.memory / 1e6:.1f}",
        f"{one.firing_rate:.3g}",
        quantity(one.synops),
        quantity(one.macs),
    )


def print_comparison(contenders: Sequence[Contender], console: Console) -> None:
    """Print a table, the smallest test error first.

    Args:
        contenders: The rules.
        console: Where to print.
    """
    print_table(Table(HEADER, [_row(one) for one in sorted(contenders, key=lambda one: one.risk)]), console)


@matplotlib.rc_context(STYLE)
def write_comparison(
    contenders: Sequence[Contender],
    path: str | os.PathLike[str],
    *,
    title: str,
    setting: Sequence[Row],
    pairs: Sequence[Pair] = (),
    left_out: Mapping[str, str] | None = None,
) -> Path:
    """Write a self-contained page: risks with intervals, learning curves and what each rule costs.

    Args:
        contenders: The rules.
        path: Where it goes; an older file there is replaced whole.
        title: Heading of the page.
        setting: What they were trained on, and how.
        pairs: Comparisons of each with each; none if they were not asked for.
        left_out: Rules that have no result, and why: refused, or diverged.

    Returns:
        The path.
    """
    order = sorted(contenders, key=lambda one: one.risk)
    seeds, size = len(order[0].test_errors), order[0].test_size
    figure, axes = new_figure(5.2, 0.7 + 0.32 * len(order))
    ax = axes[0, 0]
    for row, one in enumerate(order):
        color = CYCLE[row % len(CYCLE)]
        ax.plot(100 * np.array(one.interval), [row, row], color=color, linewidth=2)
        ax.plot(100 * one.test_errors / one.test_size, np.full(seeds, row), ".", color=GREY, markersize=4)
        ax.plot(100 * one.risk, row, "o", color=color)
    ax.set(yticks=range(len(order)), yticklabels=[shorten(one.rule, 24) for one in order], xlabel="test error (%)")
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    risks = draw(figure, "Test error of each rule")
    figure, axes = new_figure(6.6, 3.4)
    ax = axes[0, 0]
    for row, one in enumerate(order):
        style = "-" if row < len(CYCLE) else "--"
        epochs = np.arange(1, one.curves.shape[1] + 1)
        ax.plot(
            epochs, 100 * one.curves.mean(axis=0), style, color=CYCLE[row % len(CYCLE)], label=shorten(one.rule, 24)
        )
    ax.set(xlabel="epoch", ylabel="validation error (%)")
    scale_to(ax, [100 * one.curves.mean(axis=0) for one in order])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    curves = draw(figure, "Validation error after each epoch")
    note = f"{seeds} random seeds, test sample of {size:,}. "
    note += "Dots: seeds. Bars: 95 % interval of the mean. " if seeds > 1 else "Bars: exact 95 % interval. "
    note += "The step size of each rule was chosen by validation errors; the test sample was used once for each rule."
    costs = Table((*HEADER, "loss", "silent units"), [(*_row(o), o.loss, percent(o.silent)) for o in order])
    explained = (
        "s/epoch: all seeds side by side. MB: working memory of one batch's gradient, as compiled. Hz: mean rate of "
        "hidden units. Synops: additions of one inference, one for each synapse that a spike reaches; MACs: its "
        "products with what is no spike. Step: the step size chosen. All rules start from the same weights and see the "
        "same data in the same order, where their network is the same."
    )
    page = Page(
        kicker="comparison",
        title=title,
        sections=[
            Section(title="Risk", figures=[risks, curves], width=480, note=note),
            *([pair_section(pairs, _PAIRED.format(over="seeds" if seeds > 1 else "samples"))] if pairs else []),
            Section(title="Numbers", tables=[costs], note=explained),
            *(
                [Section(title="Without a result", tables=[Table(("rule", "why"), list(left_out.items()))])]
                if left_out
                else []
            ),
            Section(title="On what", numbers=[Numbers(setting)]),
        ],
    )
    return write_page(page, path)
