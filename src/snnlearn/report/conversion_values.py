"""What a conversion does to the errors of a network that predicts values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from snnlearn.report.conversion import AbstractOutcome, close_from
from snnlearn.report.conversion_errors import READ
from snnlearn.report.figures import BLUE, GREY
from snnlearn.report.value import Figure, Headline, Note, Panels, Row, Section, Table
from snnlearn.report.value_baseline import ValueBaseline
from snnlearn.report.values import baseline_rows, with_interval
from snnlearn.report.words import number, percent
from snnlearn.risk import ValueRisk, bootstrap, compare_losses, relative_errors, value_risk

_CLOSE = 0.005
"""Half a percent of the values' variance."""


@dataclass(frozen=True, kw_only=True)
class Values(AbstractOutcome):
    """Errors of predicted values; losses are relative squared errors, as in the report of a training.

    Args:
        steps: Numbers of steps after which the output is read, ascending; the last is the network's.
        names: Of the D values.
        scale: Their standard deviations in the training sample, ``[D]``.
        truth: The values of the test sample, ``[m, D]``.
        predicted: The spiking network's predictions of them, at each number of steps, ``[m, steps, D]``.
        artificial: The source's, ``[m, D]``.
        validation_losses: Of the spiking network on the validation sample, at each number of steps.
        artificial_validation_loss: Of the source.
        baselines: What plain methods make of the same data.
    """

    steps: Sequence[int]
    names: tuple[str, ...]
    scale: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    artificial: np.ndarray
    validation_losses: Sequence[float]
    artificial_validation_loss: float
    baselines: tuple[ValueBaseline, ...]

    @property
    def losses(self) -> np.ndarray:
        """Of each test sample, ``[steps, m]``."""
        return np.stack([self._losses(self.predicted[:, n]) for n in range(len(self.steps))])

    @cached_property
    def _risks(self) -> list[tuple[ValueRisk, ValueRisk]]:
        """Of the spiking and the artificial network, for each value."""
        columns = zip(self.predicted[:, -1].T, self.artificial.T, self.truth.T, strict=True)
        return [(value_risk(spiking, truth), value_risk(artificial, truth)) for spiking, artificial, truth in columns]

    def _losses(self, predicted: np.ndarray) -> np.ndarray:
        return relative_errors(predicted, self.truth, self.scale)

    @property
    def enough(self) -> int | None:
        """See the base; close is within half a percent of the variance."""
        most = self.artificial_validation_loss + _CLOSE
        return close_from(self.steps, [loss <= most for loss in self.validation_losses])

    def headline(self) -> Headline:
        """See the base."""
        m = len(self.truth)
        if len(self._risks) > 1:
            spiking, artificial = (
                np.sqrt(self._losses(one).mean()) for one in (self.predicted[:, -1], self.artificial)
            )
            return Headline(
                f"{spiking:.3g}",
                "relative error",
                f"After {self.steps[-1]} steps the spiking network's predictions of {m:,} test samples are off by "
                f"{spiking:.3g} of the values' standard deviations, root mean square, the artificial one's by "
                f"{artificial:.3g}.",
            )
        ((spiking, artificial),) = self._risks
        low, high, confidence = spiking.rmse_interval
        return Headline(
            f"{spiking.rmse:.4g}",
            "root mean square error",
            f"After {self.steps[-1]} steps the spiking network's predictions of {self.names[0]} are off by "
            f"{spiking.rmse:.4g} on {m:,} test samples, root mean square ({low:.4g} to {high:.4g}, "
            f"{percent(confidence, 0)} bootstrap interval), the artificial one's by {artificial.rmse:.4g}.",
        )

    def rows(self) -> list[Row]:
        """See the base."""
        boot = "95\xa0% bootstrap interval (BCa), approximate"
        networks = (("spiking", self.predicted[:, -1]), ("artificial", self.artificial))
        rows = []
        for name, risks in zip(self.names, self._risks, strict=True):
            of = f" of {name}" if len(self.names) > 1 else ""
            for (network, _), one in zip(networks, risks, strict=True):
                note = f"in its own unit; R² {number(one.r2, 3)}"
                rows.append(Row(f"Mean squared error{of}, {network}", with_interval(one.mse, one.mse_interval), note))
        for network, predicted in networks:
            losses = self._losses(predicted)
            note = f"in units of the training values' variance; {boot}"
            rows.append(
                Row(
                    f"Relative squared error, {network}",
                    with_interval(losses.mean(), bootstrap(losses, resamples=1999)),
                    note,
                )
            )
        compared = compare_losses(self._losses(self.predicted[:, -1]), self._losses(self.artificial))
        low, high, _ = compared.interval
        return [
            *rows,
            Row(
                "Spiking − artificial",
                f"{compared.difference:+.3g} ({low:+.3g} to {high:+.3g})".replace("-", "−"),
                f"of the same, paired over test samples: p = {compared.p_value:.2g} (sign flips)",
            ),
            Row(
                "Steps for half a percent",
                "–" if self.enough is None else str(self.enough),
                "from which on the validation error stays within 0.005 of the source's, of those tried",
            ),
            *baseline_rows(self.baselines, "Spiking"),
        ]

    def course(self) -> Section:
        """See the base."""
        losses = self.losses
        intervals = [bootstrap(one, resamples=1999) for one in losses]
        rows = [
            (str(steps), f"{validation:.3g}", f"{test.mean():.3g}", f"{interval.low:.3g} to {interval.high:.3g}")
            for steps, validation, test, interval in zip(
                self.steps, self.validation_losses, losses, intervals, strict=True
            )
        ]

        def draw(figure: Any) -> None:
            from matplotlib.ticker import NullFormatter

            ax = figure.subplots()
            ax.fill_between(self.steps, *([one[end] for one in intervals] for end in (0, 1)), color=BLUE, alpha=0.2)
            ax.plot(self.steps, losses.mean(axis=1), "o-", color=BLUE, markersize=4, label="spiking")
            ax.axhline(self._losses(self.artificial).mean(), color=GREY, linestyle="--", label="artificial")
            ax.set(xlabel="steps", ylabel="relative squared error", xscale="log", yscale="log")
            ax.set_xticks(self.steps, [str(steps) for steps in self.steps])
            ax.xaxis.minorticks_off()
            ax.yaxis.set_major_formatter("{x:g}")
            low, high = ax.get_ylim()
            ax.yaxis.set_minor_formatter("{x:g}" if high < 10 * low else NullFormatter())
            ax.legend(fontsize=8)

        figure = Figure("Error against the number of steps", (4.6, 2.9), draw)
        header = ("steps", "validation error", "test error", "95 % interval")
        note = f"Relative squared errors. {READ}"
        return Section("Error against time", [Note(note), Panels([figure]), Table(header, rows, details=1)])

    def numbers(self) -> dict[str, Any]:
        """See the base."""
        return {
            "task": "regression",
            "steps": list(self.steps),
            "test_size": len(self.truth),
            "targets": list(self.names),
            "mse": [spiking.mse for spiking, _ in self._risks],
            "mse_intervals": [spiking.mse_interval[:2] for spiking, _ in self._risks],
            "artificial_mse": [artificial.mse for _, artificial in self._risks],
            "relative_squared_errors": self.losses.mean(axis=1),
            "artificial_relative_squared_error": float(self._losses(self.artificial).mean()),
            "validation_errors": list(self.validation_losses),
            "artificial_validation_error": self.artificial_validation_loss,
            "steps_for_half_a_percent": self.enough,
            "baselines": self.baselines,
        }
