"""All that is known about the risk of one trained network, as a page and in the terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from rich.console import Console

from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, STYLE, new_figure, shorten
from snnlearn.report.page import Drawing, Headline, Page, Section, Table, draw, write_page
from snnlearn.report.statement import percent
from snnlearn.report.terminal import print_table
from snnlearn.risk import Interval, Reliability


@dataclass(frozen=True)
class Estimate:
    """An interval of the risk, and when it holds."""

    name: str
    interval: Interval
    validity: str


@dataclass(frozen=True)
class Bound:
    """An upper bound of the risk, and what of.

    Args:
        name: Such as ``"finite class, 4 bits"``.
        value: The bound; 1 or more says nothing.
        empirical_risk: On the training sample, of the network that it speaks of, if it is not the one trained.
        validity: What it is a bound of, and by what.
    """

    name: str
    value: float
    empirical_risk: float | None
    validity: str


@dataclass(frozen=True)
class Calibration:
    """How far stated probabilities hold.

    Args:
        name: Of the probabilities.
        temperature: That the scores were divided by.
        reliability: The diagram.
        brier: Brier score.
        nll: Negative log-likelihood, nats.
    """

    name: str
    temperature: float
    reliability: Reliability
    brier: float
    nll: float


@dataclass(frozen=True)
class RiskReport:
    """What `snnlearn risk` says.

    Args:
        title: The run.
        source: What data the errors were counted on.
        seen: What of it the network was trained or selected by, in words; None if nothing, as a risk needs.
        errors: Wrong decisions on it.
        n: Decisions.
        confidence: Of all intervals and bounds.
        estimates: Intervals of the risk; none on data that was seen.
        empirical_risk: Training error.
        train_size: Training samples.
        chance: Error of always deciding for the most frequent class.
        calibrations: As trained, and with a temperature.
        bounds: Upper bounds of the risk.
    """

    title: str
    source: str
    seen: str | None
    errors: int
    n: int
    confidence: float
    estimates: tuple[Estimate, ...]
    empirical_risk: float
    train_size: int
    chance: float
    calibrations: tuple[Calibration, ...]
    bounds: tuple[Bound, ...]

    @property
    def label(self) -> str:
        """What the share of errors is: a risk only on data that the network does not depend on."""
        if self.seen is None:
            return "risk"
        return f"empirical risk ({'validation' if self.seen.endswith('validation data') else 'training'} data)"

    @property
    def value(self) -> float:
        """The share of errors."""
        return self.errors / self.n

    @property
    def gap(self) -> Interval | None:
        """Exact interval of the risk less the empirical risk."""
        return self.estimates[0].interval.shift(-self.empirical_risk) if self.estimates else None

    def sentence(self) -> str:
        """What is known, in words."""
        if self.seen is not None:
            return (
                f"{self.seen}, so the share of errors, {percent(self.value, 2)} ({self.errors} of {self.n}), is an "
                "empirical risk: it says how well the network fits what it was made from, and nothing of how it does "
                "on other data. Give data that it has never seen."
            )
        low, high, confidence = self.estimates[0].interval
        assert self.gap is not None
        return (
            f"On {self.n:,} samples that it has never seen, the network errs {_times(self.errors)}. With "
            f"{percent(confidence, 0)} confidence its risk is between {percent(low, 2)} and {percent(high, 2)}, and "
            f"exceeds its training error of {percent(self.empirical_risk, 2)} by {100 * self.gap.low:.2f} to "
            f"{100 * self.gap.high:.2f} percentage points."
        )

    def numbers(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            "label": self.label,
            "value": self.value,
            "errors": self.errors,
            "n": self.n,
            "source": self.source,
            "seen": self.seen,
            "confidence": self.confidence,
            "intervals": {one.name: list(one.interval[:2]) for one in self.estimates},
            "empirical_risk": self.empirical_risk,
            "train_size": self.train_size,
            "generalization_gap": self.value - self.empirical_risk if self.gap else None,
            "gap_interval": list(self.gap[:2]) if self.gap else None,
            "chance": self.chance,
            "calibration": [
                {
                    "name": one.name,
                    "temperature": one.temperature,
                    "ece": one.reliability.ece,
                    "mce": one.reliability.mce,
                    "brier": one.brier,
                    "nll": one.nll,
                }
                for one in self.calibrations
            ],
            "bounds": [
                {"name": one.name, "value": one.value, "empirical_risk": one.empirical_risk, "validity": one.validity}
                for one in self.bounds
            ],
        }


ESTIMATES = ("interval of the risk", "low", "high", "holds")
CALIBRATIONS = ("probabilities", "T", "ECE", "MCE", "Brier", "NLL")
BOUNDS = ("bound of the risk", "below", "training error", "speaks of")


def _estimates(report: RiskReport) -> list[tuple[str, ...]]:
    return [
        (one.name, percent(one.interval.low, 2), percent(one.interval.high, 2), one.validity)
        for one in report.estimates
    ]


def _calibrations(report: RiskReport) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            f"{one.temperature:.3g}",
            percent(one.reliability.ece, 2),
            percent(one.reliability.mce, 1),
            f"{one.brier:.4f}",
            f"{one.nll:.4f}",
        )
        for one in report.calibrations
    ]


def _bounds(report: RiskReport) -> list[tuple[str, ...]]:
    return [
        (
            one.name,
            percent(one.value, 2) if one.value < 0.9999 else "vacuous",
            "" if one.empirical_risk is None else percent(one.empirical_risk, 2),
            one.validity,
        )
        for one in report.bounds
    ]


def print_risk(report: RiskReport, console: Console) -> None:
    """Print the report, the risk first."""
    console.print(f"{report.label}: {percent(report.value, 2)}")
    console.print(report.sentence())
    for header, rows in ((ESTIMATES, _estimates), (CALIBRATIONS, _calibrations), (BOUNDS, _bounds)):
        if found := rows(report):
            print_table(Table(header, found), console)


@matplotlib.rc_context(STYLE)
def write_risk(report: RiskReport, path: str | os.PathLike[str]) -> Path:
    """Write the report as a self-contained page.

    Args:
        report: What is known.
        path: Where it goes; an older file there is replaced whole.

    Returns:
        The path.
    """
    number = percent(report.value, 2 if report.n >= 1000 else 1)
    sections = []
    if report.estimates:
        note = f"Counted on {report.source}. Choose nothing by these numbers, or they are no risk any more."
        rows = Table(ESTIMATES, _estimates(report))
        sections.append(Section(title="Risk", figures=[_intervals_figure(report)], width=560, tables=[rows], note=note))
    diagrams = [_reliability_figure(one) for one in report.calibrations]
    note = (
        "Does a stated probability hold? Decisions in bins by how sure the network is (softmax of its scores); on "
        "the diagonal it is as often right as it says. ECE is the mean distance from it, weighted by decisions, and "
        "is above 0 by about √(15/n) even for a perfect network. The temperature was fitted on validation data; it "
        "changes no decision."
    )
    calibrations = Table(CALIBRATIONS, _calibrations(report))
    sections.append(Section(title="Calibration", figures=diagrams, tables=[calibrations], note=note))
    note = (
        f"Each holds with {percent(report.confidence, 0)} confidence; the few-bit ones together. A finite class "
        "needs no test data: a b-bit chip with W synapses can be set in 2^(Wb) ways, and the bound pays for their "
        "number, so it is vacuous unless training samples outnumber the bits. snnlearn certify trains a network whose "
        "bound is not."
    )
    sections.append(Section(title="Bounds", tables=[Table(BOUNDS, _bounds(report))], note=note))
    page = Page(
        kicker="risk",
        title=report.title,
        headline=Headline(number, report.label, report.sentence()),
        sections=sections,
    )
    return write_page(page, path)


def _intervals_figure(report: RiskReport) -> Drawing:
    figure, axes = new_figure(5.8, 0.9 + 0.3 * len(report.estimates))
    ax = axes[0, 0]
    for row, one in enumerate(report.estimates):
        ax.plot(100 * np.array(one.interval[:2]), [row, row], color=BLUE if row == 0 else GREY, linewidth=2.2)
        ax.plot(100 * report.value, row, "o", color=BLUE, markersize=4)
    ax.axvline(100 * report.empirical_risk, color=ORANGE, linewidth=1.2, label="training error")
    ax.set(yticks=range(len(report.estimates)), yticklabels=[shorten(one.name, 24) for one in report.estimates])
    ax.set(xlabel=f"error (%), intervals of {percent(report.confidence, 0)}")
    ax.set_xlim(left=0)
    ax.invert_yaxis()
    ax.legend(fontsize=7.5, loc="upper right")
    return draw(figure, "Intervals of the risk")


def _reliability_figure(one: Calibration) -> Drawing:
    figure, axes = new_figure(4.0, 3.9, rows=(3.0, 1.0))
    ax, below = axes[:, 0]
    diagram = one.reliability
    middle, width = (diagram.edges[1:] + diagram.edges[:-1]) / 2, np.diff(diagram.edges)
    filled = diagram.counts > 0
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.9)
    ax.bar(middle[filled], diagram.accuracy[filled], 0.92 * width[filled], color=BLUE, alpha=0.75)
    ax.plot(diagram.confidence[filled], diagram.accuracy[filled], "o", color=GREEN, markersize=3.5)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    ax.set_title(f"{shorten(one.name, 24)} (T = {one.temperature:.3g})")
    below.bar(middle, diagram.counts, 0.92 * width, color=GREY)
    below.set(xlim=(0, 1), xlabel="stated probability", ylabel="decisions")
    return draw(figure, f"Reliability diagram, {one.name}")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
