"""What a conversion does to the errors of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlearn.report.conversion import AbstractOutcome, close_from
from snnlearn.report.figures import BLUE, GREY
from snnlearn.report.value import Figure, Headline, Note, Panels, Row, Section, Table
from snnlearn.report.words import digits_of, estimate, gap, percent
from snnlearn.risk import clopper_pearson, compare_hypotheses

_CLOSE = 0.005
"""Half a percentage point."""


@dataclass(frozen=True, kw_only=True)
class Errors(AbstractOutcome):
    """Wrong decisions.

    Args:
        steps: Numbers of steps after which the output is read, ascending; the last is the network's.
        validation_errors: Errors on the validation sample at each of them.
        validation_size: Its size.
        artificial_validation_errors: The source's errors on it.
        wrong: Whether the spiking network errs on each test sample, at each number of steps, ``[steps, m]``.
        artificial_wrong: Whether the source does, ``[m]``.
    """

    steps: Sequence[int]
    validation_errors: Sequence[int]
    validation_size: int
    artificial_validation_errors: int
    wrong: np.ndarray
    artificial_wrong: np.ndarray

    @property
    def enough(self) -> int | None:
        """See the base; close is within half a point."""
        most = self.artificial_validation_errors + _CLOSE * self.validation_size
        return close_from(self.steps, [errors <= most for errors in self.validation_errors])

    def headline(self) -> Headline:
        """See the base."""
        m, digits = self.wrong.shape[1], digits_of(self.wrong.shape[1])
        errors = int(self.wrong[-1].sum())
        risk = estimate(errors / m, clopper_pearson(errors, m), digits)
        return Headline(
            percent(errors / m, digits),
            "test error",
            f"After {self.steps[-1]} steps the spiking network errs on {risk} of {m:,} test samples, the artificial "
            f"one on {percent(float(self.artificial_wrong.mean()), digits)}.",
        )

    def rows(self) -> list[Row]:
        """See the base."""
        m, digits = self.wrong.shape[1], digits_of(self.wrong.shape[1])
        spiking, artificial = (int(wrong.sum()) for wrong in (self.wrong[-1], self.artificial_wrong))
        compared = compare_hypotheses(self.wrong[-1], self.artificial_wrong)
        return [
            Row(
                "Test error, spiking",
                estimate(spiking / m, clopper_pearson(spiking, m), digits),
                f"risk R: {spiking:,} of {m:,} wrong; exact 95\xa0% Clopper–Pearson",
            ),
            Row(
                "Test error, artificial",
                estimate(artificial / m, clopper_pearson(artificial, m), digits),
                f"the source: {artificial:,} of {m:,} wrong",
            ),
            Row(
                "Spiking − artificial",
                gap(compared.difference, compared.interval, digits),
                f"on the same samples: p = {compared.p_value:.2g} (McNemar)",
            ),
            Row(
                "Steps for half a point",
                "–" if self.enough is None else str(self.enough),
                "from which on validation accuracy stays within 0.5 points of the source's, of those tried",
            ),
        ]

    def course(self) -> Section:
        """See the base."""
        m, digits = self.wrong.shape[1], digits_of(self.wrong.shape[1])
        counts = self.wrong.sum(axis=1)
        intervals = [clopper_pearson(int(errors), m) for errors in counts]
        rows = [
            (
                str(steps),
                percent(1 - validation / self.validation_size, digits),
                percent(1 - errors / m, digits),
                f"{100 - 100 * interval.high:.{digits}f} to {100 - 100 * interval.low:.{digits}f}",
            )
            for steps, validation, errors, interval in zip(
                self.steps, self.validation_errors, counts, intervals, strict=True
            )
        ]

        def draw(figure: Any) -> None:
            ax = figure.subplots()
            band = ([100 * (1 - interval[end]) for interval in intervals] for end in (1, 0))
            ax.fill_between(self.steps, *band, color=BLUE, alpha=0.2)
            ax.plot(self.steps, 100 * (1 - counts / m), "o-", color=BLUE, markersize=4, label="spiking")
            ax.axhline(100 * (1 - self.artificial_wrong.mean()), color=GREY, linestyle="--", label="artificial")
            ax.set(xlabel="steps", ylabel="test accuracy (%)", xscale="log")
            ax.set_xticks(self.steps, [str(steps) for steps in self.steps])
            ax.minorticks_off()
            ax.legend(fontsize=8)

        figure = Figure("Accuracy against the number of steps", (4.6, 2.9), draw)
        header = ("steps", "validation accuracy", "test accuracy", "95 % interval")
        return Section("Accuracy against time", [Note(READ), Panels([figure]), Table(header, rows, details=1)])

    def numbers(self) -> dict[str, Any]:
        """See the base."""
        return {
            "task": "classification",
            "steps": list(self.steps),
            "test_size": self.wrong.shape[1],
            "test_errors": self.wrong.sum(axis=1),
            "artificial_test_errors": int(self.artificial_wrong.sum()),
            "validation_size": self.validation_size,
            "validation_errors": list(self.validation_errors),
            "artificial_validation_errors": self.artificial_validation_errors,
            "steps_for_half_a_point": self.enough,
        }


READ = (
    "The output read after so many steps, of the network converted for the last of them. Validation chooses; the test "
    "sample only tells."
)
