"""The report of several learning rules side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from snnlearn.report.figures import CYCLE, GREY, draw_intervals, draw_lines, scale_to, shorten
from snnlearn.report.paired import Pair, pair_section
from snnlearn.report.value import Figure, Note, Numbers, Panels, Report, Row, Section, Table
from snnlearn.report.words import percent, quantity


@dataclass(frozen=True)
class Contender:
    """The result of one rule.

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
        macs: Its multiply-accumulates, for inputs of synapses that are not spikes.
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
        """The report's numbers, for JSON."""
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()}


_PAIRED = (
    "Over {over}: the first's test error less the second's, with its 95 % interval and a p-value that is corrected for "
    "the number of pairs (Holm). Blue where it is below 0.05."
)
_HEADER = ("rule", "test error, %", "train", "step", "s/epoch", "MB", "Hz", "synops", "MACs", "loss", "silent units")
_COSTS = (
    "s/epoch: all seeds side by side. MB: working memory of one batch's gradient, as compiled. Hz: mean rate of "
    "hidden units. Synops: additions of one inference, one for each synapse that a spike reaches; MACs: its "
    "products with values that are not spikes. Step: the step size chosen. All rules start from the same weights and "
    "see the "
    "same data in the same order, where their network is the same."
)


def comparison_report(
    contenders: Sequence[Contender],
    *,
    title: str,
    setting: Sequence[Row],
    pairs: Sequence[Pair] = (),
    left_out: Mapping[str, str] | None = None,
) -> Report:
    """Compare rules: risks with intervals, learning curves and costs.

    Args:
        contenders: The rules.
        title: Of the report.
        setting: How and on what they were trained.
        pairs: Comparisons of all pairs; none if not requested.
        left_out: Rules without a result, and why: refused, or diverged.
    """
    order = sorted(contenders, key=lambda one: one.risk)
    seeds, size = len(order[0].test_errors), order[0].test_size
    bars = "Dots: seeds. Bars: 95 % interval of the mean." if seeds > 1 else "Bars: exact 95 % interval."
    note = (
        f"{seeds} random seeds, test sample of {size:,}. {bars} The step size of each rule was chosen by validation "
        "errors; the test sample was used once for each rule."
    )
    risks = Figure("Test error of each rule", (5.2, 0.7 + 0.32 * len(order)), partial(_draw_risks, order=order))
    curves = Figure("Validation error after each epoch", (6.6, 3.4), partial(_draw_curves, order=order))
    in_pairs = pair_section(pairs, Note(_PAIRED.format(over="seeds" if seeds > 1 else "samples"))) if pairs else None
    reasons = Table(("rule", "why"), list((left_out or {}).items()))
    sections = [
        Section("Risk", [Note(note), Panels([risks, curves], width=480)]),
        *([in_pairs] if in_pairs else []),
        Section("Numbers", [Note(_COSTS), Table(_HEADER, [_cells(one) for one in order], details=2)]),
        *([Section("Without a result", [reasons], detail=True)] if left_out else []),
        Section("On what", [Numbers(setting)], detail=True),
    ]
    numbers = {"comparison": contenders} | ({"paired": [pair.numbers() for pair in pairs]} if pairs else {})
    return Report(kind="comparison", title=title, sections=sections, numbers=numbers)


def _cells(one: Contender) -> tuple[str, ...]:
    low, high = (100 * max(end, 0.0) for end in one.interval)
    error = f"{100 * one.risk:.1f} ({low:.1f}–{high:.1f})", f"{100 * one.empirical_risk:.1f}"
    costs = f"{one.seconds_per_epoch:.2f}", f"{one.memory / 1e6:.1f}", f"{one.firing_rate:.3g}"
    operations = quantity(one.synops), quantity(one.macs)
    return one.rule, *error, f"{one.learning_rate:g}", *costs, *operations, one.loss, percent(one.silent)


def _draw_risks(figure: Any, order: Sequence[Contender]) -> None:
    ax = figure.subplots()
    for row, one in enumerate(order):
        ax.plot(
            100 * one.test_errors / one.test_size, np.full(len(one.test_errors), row), ".", color=GREY, markersize=4
        )
    rows = [(shorten(o.rule, 24), o.risk, o.interval, CYCLE[row % len(CYCLE)]) for row, o in enumerate(order)]
    draw_intervals(ax, rows, "test error (%)")
    ax.set_xlim(left=0)


def _draw_curves(figure: Any, order: Sequence[Contender]) -> None:
    ax, means = figure.subplots(), [100 * one.curves.mean(axis=0) for one in order]
    draw_lines(ax, [(one.rule, np.arange(1, len(mean) + 1), mean) for one, mean in zip(order, means, strict=True)])
    ax.set(xlabel="epoch", ylabel="validation error (%)")
    scale_to(ax, means)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
