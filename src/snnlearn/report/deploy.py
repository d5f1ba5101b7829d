"""The report of a network on many chips: its risk, the yield, and what each effect costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlearn.circuits import Account, ChipRisk, Sensitivity
from snnlearn.report.figures import BLUE, GREY, ORANGE, shorten
from snnlearn.report.value import Code, Figure, Headline, Note, Numbers, Panels, Paragraph, Report, Row, Section, Table
from snnlearn.report.words import digits_of, estimate, percent, points, quantity
from snnlearn.risk import Interval, clopper_pearson


@dataclass(frozen=True, kw_only=True)
class DeploySummary:
    """A network on many chips of a kind, in numbers.

    Args:
        title: Of the report.
        chip: The kind's name.
        chip_source: Where its figures come from.
        sample: What data the errors were counted on.
        designed: Whether the network as designed errs on each sample, ``[m]``.
        risk: Errors on each chip.
        most: The error that a good chip may have.
        confidence: Of the intervals.
        sensitivities: What each effect costs.
        sensitive_chips: On how many of the chips that was measured.
        duration: Of an inference in the network's time, s.
        decided: After which time the decision about each sample stays what it is, s, ``[m]``; None if the decoder does
            not say how it decides before the end.
        account: The energy of an inference, as far as it is known.
        reproduce: The command.
    """

    title: str
    chip: str
    chip_source: str
    sample: str
    designed: np.ndarray
    risk: ChipRisk
    most: float
    confidence: float
    sensitivities: Sequence[Sensitivity]
    sensitive_chips: int
    duration: float
    decided: np.ndarray | None
    account: Account
    reproduce: str

    @property
    def name(self) -> str:
        """Of its files: letters, digits and dashes."""
        return "deploy-" + (re.sub(r"[^a-z0-9]+", "-", self.chip.lower()).strip("-") or "chip")


def deploy_report(summary: DeploySummary) -> Report:
    """Report what becomes of a network on chips.

    Args:
        summary: Its numbers.
    """
    chips, m = summary.risk.wrong.shape
    share, interval = summary.risk.chip_yield(summary.most, confidence=summary.confidence)
    sections = [
        Section("Risk", [Numbers(_numbers(summary), f"On {chips:,} chips and {m:,} samples"), _figures(summary)]),
        Section("What costs most", _sensitivity(summary)),
        Section("Energy of an inference", _energy(summary.account)),
        Section("Where the figures come from", [Paragraph(summary.chip_source or "They were given by hand.")]),
        Section("How to reproduce", [Code(summary.reproduce)], detail=True),
    ]
    return Report(
        kind="deployment",
        title=summary.title,
        headline=Headline(
            percent(share, 1),
            "yield",
            f"Of {chips:,} chips, {percent(share, 1)} err on at most {percent(summary.most, digits_of(m))} of the "
            f"samples; of all chips of this kind it is {percent(interval.low, 1)} to {percent(interval.high, 1)} with "
            f"{percent(summary.confidence, 0)} confidence.",
        ),
        sections=sections,
        warnings=_warnings(summary),
        numbers={summary.name: _json(summary)},
    )


def _warnings(summary: DeploySummary) -> list[str]:
    found = []
    if summary.risk.wrong.shape[0] < 60:
        found.append(
            f"There are {summary.risk.wrong.shape[0]} chips: too few to bound the worst twentieth of all; give --chips "
            "200."
        )
    if len(summary.sensitivities) == 0:
        found.append(f"{summary.chip} has no effects, so that every chip is the network as designed.")
    return found


def _numbers(summary: DeploySummary) -> list[Row]:
    m = summary.risk.wrong.shape[1]
    digits = digits_of(m)
    wrong = int(summary.designed.sum())
    lost = summary.risk.errors - wrong / m
    worst, bounds = summary.risk.quantile(0.95, confidence=summary.confidence)
    share, sure = summary.risk.chip_yield(summary.most, confidence=summary.confidence)
    confidence = percent(summary.confidence, 0)
    return [
        Row(
            "Error as designed",
            estimate(wrong / m, clopper_pearson(wrong, m, confidence=summary.confidence), digits),
            f"without a chip: {wrong:,} of {m:,} wrong, {summary.sample}",
        ),
        Row(
            "Risk of a chip",
            estimate(summary.risk.mean, summary.risk.interval(confidence=summary.confidence), digits),
            f"mean over chips; the {confidence} interval is for new chips and new samples",
        ),
        Row(
            "Lost on the chip", f"{100 * lost.mean():+.{digits}f} points".replace("-", "−"), "risk of a chip − designed"
        ),
        Row(
            "Spread of chips",
            f"{100 * summary.risk.errors.std(ddof=1):.{digits}f} points",
            "standard deviation of the error between chips, on the same samples",
        ),
        Row(
            "Worst twentieth",
            estimate(worst, bounds, digits),
            f"95\xa0% of chips err no more than this; {confidence} interval",
        ),
        Row(
            "Yield",
            estimate(share, sure, 1),
            f"chips with an error of at most {percent(summary.most, digits)}; exact {confidence} interval over chips",
        ),
        Row("Time of an inference", _ms(summary.duration), "steps times the time step, in the network's time"),
        *_latency(summary),
    ]


def _latency(summary: DeploySummary) -> list[Row]:
    if summary.decided is None:
        return []
    median, late = np.quantile(summary.decided, [0.5, 0.95], method="inverted_cdf")
    return [
        Row(
            "Latency",
            _ms(late),
            f"after it, decisions about 95\xa0% of samples do not change any more; about half of them: {_ms(median)}",
        )
    ]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.4g} ms"


def _figures(summary: DeploySummary) -> Panels:
    return Panels(
        [
            Figure(
                "histogram of the error of chips",
                (5.0, 3.0),
                lambda figure: _draw_histogram(figure, summary),
                "The error of each chip on the same samples.",
            ),
            Figure(
                "yield against the error that is allowed",
                (5.0, 3.0),
                lambda figure: _draw_yield(figure, summary),
                "The share of chips that err on at most so many samples, with a band that the true curve leaves in no "
                f"more than {percent(1 - summary.confidence, 0)} of repetitions (Dvoretzky–Kiefer–Wolfowitz).",
            ),
        ]
    )


def _sensitivity(summary: DeploySummary) -> list[Any]:
    if not summary.sensitivities:
        return [Paragraph("Nothing: the chip has no effects.")]
    ordered = sorted(summary.sensitivities, key=lambda one: -one.cost)
    table = Table(
        ("effect", "costs (points)", "error without it"),
        [
            (one.label, points(one.cost, one.interval), percent(one.left, digits_of(summary.risk.wrong.shape[1])))
            for one in ordered
        ],
        f"Errors with all effects minus errors without this one, on {summary.sensitive_chips} chips",
    )
    return [
        Note(
            "One effect at a time is switched off, and all other draws stay the same: the same chips, without it. "
            "Costs need not add up, as one effect may hide another."
        ),
        table,
        Panels(
            [
                Figure(
                    "what each effect costs",
                    (6.5, 0.6 + 0.35 * len(ordered)),
                    lambda figure: _draw_costs(figure, ordered),
                    width=700,
                )
            ]
        ),
    ]


def _energy(account: Account) -> list[Any]:
    known = [term for term in account.terms if term.figure is not None]
    if not known:
        return [Paragraph("Nobody has published what this chip needs for any of the things that the network does.")]
    rows = [
        (
            term.name.replace("_", " "),
            f"{term.times:.4g} s" if term.name == "power" else quantity(term.times),
            "–" if term.figure is None else f"{term.figure.value:.3g} {'W' if term.name == 'power' else 'J'}",
            "–" if term.energy is None else f"{term.energy:.3g} J",
            "not published" if term.figure is None else term.figure.source,
        )
        for term in account.terms
    ]
    if account.missing:
        names = ", ".join(name.replace("_", " ") for name in account.missing)
        told = (
            f"There is no total, as there is no figure for {names}. What is known adds up to "
            f"{account.lower_bound:.3g} J, which is a lower bound."
        )
    else:
        told = f"An inference takes {account.total:.3g} J."
    return [Paragraph(told), Table(("", "how often", "each", "energy", "source"), rows, details=1)]


def _draw_histogram(figure: Any, summary: DeploySummary) -> None:
    ax = figure.subplots()
    errors, designed = 100 * summary.risk.errors, 100 * summary.designed.mean()
    # Errors are whole numbers of samples: bins as wide as some of these.
    step = 100 / summary.risk.wrong.shape[1]
    width = step * max(1, round((np.ptp(errors) / step + 1) / 25))
    low = errors.min() - step / 2
    ax.hist(errors, bins=low + width * np.arange(int(np.ptp(errors) / width) + 3), color=BLUE, alpha=0.75)
    ax.axvline(designed, color=GREY, linewidth=1.2, label="as designed")
    ax.axvline(100 * summary.most, color=ORANGE, linewidth=1.2, linestyle="--", label="good up to here")
    ax.set(xlabel="error (%)", ylabel="chips")
    ax.legend(fontsize=7.5)


def _draw_yield(figure: Any, summary: DeploySummary) -> None:
    ax = figure.subplots()
    errors = np.sort(summary.risk.errors)
    share = np.arange(1, len(errors) + 1) / len(errors)
    band = np.sqrt(np.log(2 / (1 - summary.confidence)) / (2 * len(errors)))
    low, high = np.clip(share - band, 0, 1), np.clip(share + band, 0, 1)
    ax.fill_between(100 * errors, 100 * low, 100 * high, step="post", color=BLUE, alpha=0.2, linewidth=0)
    ax.step(100 * errors, 100 * share, where="post", color=BLUE)
    ax.axvline(100 * summary.most, color=ORANGE, linewidth=1.2, linestyle="--")
    ax.set(xlabel="error that is allowed (%)", ylabel="yield (%)", ylim=(0, 102))


def _draw_costs(figure: Any, ordered: Sequence[Sensitivity]) -> None:
    ax = figure.subplots()
    for row, one in enumerate(ordered):
        ax.plot(100 * np.array(one.interval[:2]), [row, row], color=BLUE, linewidth=2)
        ax.plot(100 * one.cost, row, "o", color=BLUE)
    ax.axvline(0, color=GREY, linewidth=0.9)
    ax.set(yticks=range(len(ordered)), yticklabels=[shorten(one.label, 34) for one in ordered], xlabel="costs (points)")
    ax.invert_yaxis()


def _json(summary: DeploySummary) -> dict[str, Any]:
    def of(value: float, interval: Interval) -> dict[str, Any]:
        return {"value": value, "interval": interval[:2]}

    return {
        "chip": summary.chip,
        "sample": summary.sample,
        "confidence": summary.confidence,
        "designed_error": float(summary.designed.mean()),
        "risk": of(summary.risk.mean, summary.risk.interval(confidence=summary.confidence)),
        "errors": summary.risk.errors,
        "worst_twentieth": of(*summary.risk.quantile(0.95, confidence=summary.confidence)),
        "yield": {"most": summary.most} | of(*summary.risk.chip_yield(summary.most, confidence=summary.confidence)),
        "sensitivities": [
            {"effect": one.label, "error_without": one.left} | of(one.cost, one.interval)
            for one in summary.sensitivities
        ],
        "sensitivity_chips": summary.sensitive_chips,
        "inference_seconds": summary.duration,
        "decision_seconds": summary.decided,
        "energy": {
            "terms": [
                {
                    "name": term.name,
                    "times": term.times,
                    "each": term.figure and term.figure.value,
                    "joule": term.energy,
                }
                for term in summary.account.terms
            ],
            "missing": summary.account.missing,
            "lower_bound": summary.account.lower_bound,
        },
    }
