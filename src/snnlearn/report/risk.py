"""The report of what is known about the risk of one trained network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from snnlearn.report.figures import BLUE, GREEN, GREY, ORANGE, draw_intervals, shorten
from snnlearn.report.value import Figure, Headline, Note, Panels, Report, Section, Table
from snnlearn.report.words import percent
from snnlearn.risk import Interval, Reliability


@dataclass(frozen=True)
class Estimate:
    """An interval for the risk, and its assumptions."""

    name: str
    interval: Interval
    validity: str


@dataclass(frozen=True)
class Bound:
    """An upper bound on the risk, and of what.

    Args:
        name: Such as ``"finite class, 4 bits"``.
        value: The bound; 1 or more is vacuous.
        empirical_risk: On the training sample, of the network that it is about, if that is not the trained one.
        validity: What it bounds, and its assumptions.
    """

    name: str
    value: float
    empirical_risk: float | None
    validity: str


@dataclass(frozen=True)
class Calibration:
    """How well probabilities are calibrated.

    Args:
        name: Of the probabilities.
        temperature: The divisor of the scores.
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
class KnownRisk:
    """The result of `snnlearn risk`.

    Args:
        title: The run.
        source: What data the errors were counted on.
        seen: Which of them the network was trained or selected on, in words; None if none, as a risk requires.
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
        """The name of the share of errors: a risk only on data that the network does not depend on."""
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
        interval = self.estimates[0].interval
        assert self.gap is not None
        times = "once" if self.errors == 1 else f"{self.errors:,} times"
        return (
            f"On {self.n:,} samples that it has never seen, the network errs {times}. With "
            f"{percent(interval.confidence, 0)} confidence its risk is between {percent(interval.low, 2)} and "
            f"{percent(interval.high, 2)}, and exceeds its training error of {percent(self.empirical_risk, 2)} by "
            f"{100 * self.gap.low:.2f} to {100 * self.gap.high:.2f} percentage points."
        )


_CALIBRATION = (
    "Does a stated probability hold? Decisions in bins by how sure the network is (softmax of its scores); on "
    "the diagonal it is as often right as it says. ECE is the mean distance from it, weighted by decisions, and "
    "is above 0 by about √(15/n) even for a perfect network. The temperature was fitted on validation data; it "
    "changes no decision."
)


def risk_report(known: KnownRisk) -> Report:
    """Report the risk, the calibration of probabilities, and bounds.

    Args:
        known: What is known.
    """
    estimates = [
        (one.name, percent(one.interval.low, 2), percent(one.interval.high, 2), one.validity) for one in known.estimates
    ]
    counted = f"Counted on {known.source}. Choose nothing by these numbers, or they are no risk any more."
    size = 5.8, 0.9 + 0.3 * len(estimates)
    intervals = Panels([Figure("Intervals of the risk", size, partial(_draw_intervals, known=known))], width=560)
    diagrams = [
        Figure(f"Reliability diagram, {one.name}", (4.0, 3.9), partial(_draw_reliability, one=one))
        for one in known.calibrations
    ]
    calibrations = [
        (
            *(one.name, f"{one.temperature:.3g}", percent(one.reliability.ece, 2)),
            *(percent(one.reliability.mce, 1), f"{one.brier:.4f}", f"{one.nll:.4f}"),
        )
        for one in known.calibrations
    ]
    bounded = (
        f"Each holds with {percent(known.confidence, 0)} confidence; the few-bit ones together. A finite class "
        "needs no test data: a b-bit chip with W synapses can be set in 2^(Wb) ways, and the bound pays for their "
        "number, so it is vacuous unless training samples outnumber the bits. snnlearn certify trains a network whose "
        "bound is not."
    )
    bounds = [
        (
            *(one.name, percent(one.value, 2) if one.value < 0.9999 else "vacuous"),
            *("" if one.empirical_risk is None else percent(one.empirical_risk, 2), one.validity),
        )
        for one in known.bounds
    ]
    risk = [Note(counted), intervals, Table(("interval of the risk", "low", "high", "holds"), estimates)]
    probabilities = Table(("probabilities", "T", "ECE", "MCE", "Brier", "NLL"), calibrations)
    below = Table(("bound of the risk", "below", "training error", "speaks of"), bounds)
    return Report(
        kind="risk",
        title=known.title,
        headline=Headline(percent(known.value, 2 if known.n >= 1000 else 1), known.label, known.sentence()),
        sections=[
            *([Section("Risk", risk)] if estimates else []),
            Section("Calibration", [Note(_CALIBRATION), Panels(diagrams), probabilities]),
            Section("Bounds", [Note(bounded), below]),
        ],
        numbers={"risk": _numbers(known)},
    )


def _numbers(known: KnownRisk) -> dict[str, Any]:
    return {
        **{name: getattr(known, name) for name in ("label", "value", "errors", "n", "source", "seen", "confidence")},
        "intervals": {one.name: one.interval[:2] for one in known.estimates},
        "empirical_risk": known.empirical_risk,
        "train_size": known.train_size,
        "generalization_gap": known.value - known.empirical_risk if known.gap else None,
        "gap_interval": known.gap[:2] if known.gap else None,
        "chance": known.chance,
        "calibration": [
            {
                **{name: getattr(one, name) for name in ("name", "temperature", "brier", "nll")},
                **{name: getattr(one.reliability, name) for name in ("ece", "mce")},
            }
            for one in known.calibrations
        ],
        "bounds": known.bounds,
    }


def _draw_intervals(figure: Any, known: KnownRisk) -> None:
    ax = figure.subplots()
    rows = [
        (shorten(one.name, 24), known.value, one.interval, GREY if row else BLUE)
        for row, one in enumerate(known.estimates)
    ]
    draw_intervals(ax, rows, f"error (%), intervals of {percent(known.confidence, 0)}")
    ax.axvline(100 * known.empirical_risk, color=ORANGE, linewidth=1.2, label="training error")
    ax.set_xlim(left=0)
    ax.legend(fontsize=7.5, loc="upper right")


def _draw_reliability(figure: Any, one: Calibration) -> None:
    ax, below = figure.subplots(2, height_ratios=[3, 1])
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
