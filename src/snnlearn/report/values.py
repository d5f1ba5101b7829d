"""The report of a training that learned to predict real values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.report.figures import BLUE, GREY, INK, ORANGE, RED, shorten
from snnlearn.report.measure import History, example, in_common
from snnlearn.report.summary import TrainingSummary
from snnlearn.report.training import (
    activity,
    curves,
    delays,
    examples,
    how_to_reproduce,
    network_rows,
    reset_rows,
    rounding_rows,
    training_numbers,
    training_rows,
)
from snnlearn.report.value import Block, Figure, Headline, Note, Numbers, Panels, Report, Row, Section, Table
from snnlearn.report.value_baseline import ValueBaseline, advice
from snnlearn.report.words import number, percent
from snnlearn.risk import Interval, ValueRisk, bootstrap, relative_errors, t_interval, value_risk

_MOST_DRAWN = 4
_MOST_POINTS = 2000


@dataclass(frozen=True, kw_only=True)
class ValueSummary(TrainingSummary):
    """One training run that learned to predict D values.

    Losses are relative squared errors: squared errors in units of the training values' standard deviation, mean over
    the D values. So 1 is about what the mean of the training values costs.

    Args:
        target_names: The D values.
        predicted: Of the saved model on the test sample, in the values' own units, ``[n, D]``.
        truth: The values there, ``[n, D]``.
        scale: Their standard deviations in the training sample, ``[D]``.
        test_losses: Mean loss of each seed on the test sample, ``[K]``.
        train_losses: Mean loss of each seed on the training sample, ``[K]``.
        baselines: What plain methods make of the same data; none if that was not asked for.
    """

    target_names: tuple[str, ...]
    predicted: np.ndarray
    truth: np.ndarray
    scale: np.ndarray
    test_losses: np.ndarray
    train_losses: np.ndarray
    baselines: tuple[ValueBaseline, ...] = ()

    @property
    def losses(self) -> np.ndarray:
        """Of the saved model on each test sample, ``[n]``."""
        return relative_errors(self.predicted, self.truth, self.scale)


def summarise_values(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    history: History,
    *,
    title: str,
    config: dict[str, object],
    why_plain: str | None,
    reproduce: str = "",
    baselines: Callable[[Dataset, np.ndarray], tuple[ValueBaseline, ...]] | None = None,
) -> ValueSummary:
    """Measure hypotheses that predict values, one for each random seed; the test sample is used here, once.

    Args:
        hypotheses: one for each seed.
        data: what they were trained on.
        history: how the training went.
        title: what the run is called.
        config: the run's options.
        why_plain: why the training ran as plain JAX; None if it ran by kernels.
        reproduce: a command that repeats the run.
        baselines: puts other methods beside the chosen hypothesis, given its loss of each test sample.
    """
    scale, truth = data.train.y.astype(float).std(axis=0), data.test.y.astype(float)
    predicted = [predict(one, data.test.x).astype(float) for one in hypotheses]

    def losses_of(hypothesis: Hypothesis) -> np.ndarray:
        return relative_errors(predict(hypothesis, data.test.x), truth, scale)

    losses = [relative_errors(one, truth, scale) for one in predicted]
    common = in_common(hypotheses, data, history, losses_of, said=())
    chosen = common["selected_seed"]
    others = () if baselines is None else baselines(data, losses[chosen])
    common["warnings"] = (*advice(others), *common["warnings"])
    worst = int(np.argmax(losses[chosen]))
    shown = [*[i for i in range(min(3, len(truth))) if i != worst][:2], worst]
    return ValueSummary(
        **common,
        title=title,
        target_names=data.output_names,
        predicted=predicted[chosen],
        truth=truth,
        scale=scale,
        test_losses=np.array([float(one.mean()) for one in losses]),
        train_losses=np.array(
            [float(relative_errors(predict(h, data.train.x), data.train.y, scale).mean()) for h in hypotheses]
        ),
        examples=tuple(
            example(hypotheses[chosen], data, i, *2 * [f"{predicted[chosen][i, 0]:.3g} for {truth[i, 0]:.3g}"])
            for i in shown
        ),
        config=config,
        why_plain=why_plain,
        reproduce=reproduce,
        baselines=others,
    )


def value_report(summary: ValueSummary) -> Report:
    """Report the result of a training that predicts values: the error first, then details.

    Args:
        summary: The run.
    """
    risks = [value_risk(*pair) for pair in zip(summary.predicted.T, summary.truth.T, strict=True)]
    several = len(risks) > 1
    nrmse = float(np.sqrt(summary.losses.mean()))
    shown = (f"{nrmse:.3g}", "relative error") if several else (f"{risks[0].rmse:.4g}", "root mean square error")
    tables = {
        "Risk": [*_rows(summary, risks), *reset_rows(summary), *rounding_rows(summary)],
        "Network": network_rows(summary),
        "Training": training_rows(summary),
    }
    return Report(
        kind="training report",
        title=summary.title,
        headline=Headline(*shown, _sentence(summary, risks)),
        figure=Figure(
            "Predictions against the truth", (4.9, 3.4), lambda figure: _draw_scatter(figure, summary, 0), width=560
        ),
        warnings=summary.warnings,
        sections=[
            Section("Numbers", [Numbers(rows, caption) for caption, rows in tables.items()]),
            *([Section("Each value", [_each(summary, risks)])] if several else []),
            Section("Predictions and residuals", _residuals(summary), detail=True),
            Section("Learning curves", curves(summary)),
            Section("Activity", activity(summary), detail=True),
            *delays(summary),
            Section("Examples", examples(summary)),
            Section("How to reproduce", how_to_reproduce(summary), detail=True),
        ],
        numbers={"summary": _numbers(summary, risks)},
    )


def _sentence(summary: ValueSummary, risks: list[ValueRisk]) -> str:
    left_out = f" ({summary.left_out:,} more equal some that it was trained or selected on, and are left out)"
    where = f"On {summary.test_size:,} samples it has never seen{left_out if summary.left_out else ''}"
    if summary.all_seen:
        where = (
            f"On the {summary.test_size:,} test samples, each of which equals one that it was trained or selected on, "
            "so that this is no estimate of its risk"
        )
    if len(risks) > 1:
        low, high, confidence = _of_losses(summary)
        return (
            f"{where}, the network's predictions are off by {np.sqrt(summary.losses.mean()):.3g} of the values' "
            f"standard deviations, root mean square over {len(risks)} values ({np.sqrt(low):.3g} to "
            f"{np.sqrt(high):.3g}, {percent(confidence, 0)} bootstrap interval)."
        )
    (one,) = risks
    low, high, confidence = one.rmse_interval
    return (
        f"{where}, the network's predictions of {summary.target_names[0]} are off by {one.rmse:.4g}, root mean square "
        f"({low:.4g} to {high:.4g}, {percent(confidence, 0)} bootstrap interval), where the values' own standard "
        f"deviation is {summary.truth.std():.4g}: R² {number(one.r2, 3)}."
    )


def _of_losses(summary: ValueSummary) -> Interval:
    if summary.test_size < 2:
        return Interval(np.nan, np.nan, 0.95)
    return bootstrap(summary.losses, resamples=1999)


def _rows(summary: ValueSummary, risks: list[ValueRisk]) -> list[Row]:
    boot = "95\xa0% bootstrap interval (BCa), approximate"
    rows = []
    if len(risks) == 1:
        (one,) = risks
        rows += [
            Row("Root mean square error, saved model", with_interval(one.rmse, one.rmse_interval), f"test; {boot}"),
            Row("Mean squared error", with_interval(one.mse, one.mse_interval), "the risk with the squared error"),
            Row("Mean absolute error", with_interval(one.mae, one.mae_interval), "the risk with the absolute error"),
            Row("R²", with_interval(one.r2, one.r2_interval, 3), "explained share of the test values' variance"),
        ]
    nrmse = np.sqrt(summary.losses.mean())
    low, high, _ = _of_losses(summary)
    rows += [
        Row(
            "Relative error",
            f"{nrmse:.3g} ({np.sqrt(low):.3g} to {np.sqrt(high):.3g})",
            "root mean square, in standard deviations of the training values",
        ),
        Row(
            "Relative squared error",
            f"{summary.losses.mean():.3g} ({low:.3g} to {high:.3g})",
            f"its square, the loss of the training; {boot}",
        ),
    ]
    seeds = f"{summary.test_losses[0]:.3g}", "one seed: the spread over seeds is unknown"
    if summary.num_seeds > 1:
        over = t_interval(summary.test_losses)
        note = f"mean of {summary.num_seeds} seeds; 95\xa0% t-interval over seeds, same test set"
        seeds = f"{summary.test_losses.mean():.3g} ({over.low:.3g} to {over.high:.3g})", note
    rows += [
        Row("Relative squared error, over seeds", *seeds),
        Row(
            "Relative squared error, training",
            f"{summary.train_losses[summary.selected_seed]:.3g}",
            "empirical risk of the saved model",
        ),
    ]
    return [*rows, *baseline_rows(summary.baselines, "Saved model")]


def baseline_rows(baselines: Sequence[ValueBaseline], what: str) -> list[Row]:
    """What plain methods make of the same data, and the difference.

    Args:
        baselines: These.
        what: What was put beside them, in words.
    """
    rows = []
    for found in baselines:
        name, _, how = found.name.partition(", ")
        difference, interval = found.comparison.difference, found.comparison.interval
        rows += [
            Row(f"{name[:1].upper()}{name[1:]}", f"{found.loss:.3g}", f"baseline{how and f', {how}'}: the same error"),
            Row(
                f"{what} − {name}",
                f"{difference:+.3g} ({interval.low:+.3g} to {interval.high:+.3g})".replace("-", "−"),
                f"paired over test samples: p = {found.comparison.p_value:.2g} (sign flips)",
            ),
        ]
    return rows


def with_interval(value: float, interval: Interval, digits: int | None = None) -> str:
    """Write a number and its interval."""

    def write(x: float) -> str:
        return f"{x:.4g}".replace("-", "−") if digits is None else number(x, digits)

    return f"{write(value)} ({write(interval.low)} to {write(interval.high)})"


def _each(summary: ValueSummary, risks: list[ValueRisk]) -> Table:
    header = ("value", "RMSE", "mean absolute error", "R²")
    rows = [
        (
            name,
            with_interval(one.rmse, one.rmse_interval),
            with_interval(one.mae, one.mae_interval),
            with_interval(one.r2, one.r2_interval, 3),
        )
        for name, one in zip(summary.target_names, risks, strict=True)
    ]
    return Table(header, rows, "In the values' own units, with 95\xa0% bootstrap intervals", most=12)


def _residuals(summary: ValueSummary) -> list[Block]:
    note = (
        "Left: each point is a test sample; on the diagonal it would be predicted exactly. Right: what is left over, "
    )
    note += "which should lie around 0 evenly; the histogram is of all test samples."
    figures = []
    for target in range(min(_MOST_DRAWN, len(summary.target_names))):
        name = shorten(summary.target_names[target], 30)
        figures += [
            Figure(f"Predictions of {name}", (4.2, 3.4), lambda figure, t=target: _draw_scatter(figure, summary, t)),
            Figure(f"Residuals of {name}", (4.2, 3.4), lambda figure, t=target: _draw_residuals(figure, summary, t)),
        ]
    return [Note(note), Panels(figures)]


def _some(n: int) -> np.ndarray:
    return (
        np.arange(n) if n <= _MOST_POINTS else np.sort(np.random.default_rng(0).choice(n, _MOST_POINTS, replace=False))
    )


def _draw_scatter(figure: Any, summary: ValueSummary, target: int) -> None:
    ax, at = figure.subplots(), _some(summary.test_size)
    truth, predicted = summary.truth[at, target], summary.predicted[at, target]
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    ax.plot(ends, ends, color=GREY, linewidth=0.9)
    ax.plot(truth, predicted, "o", color=BLUE, alpha=0.5, markersize=3, markeredgewidth=0, rasterized=at.size > 500)
    ax.set(xlabel="truth", ylabel="prediction")
    ax.set_title(shorten(summary.target_names[target], 40))


def _draw_residuals(figure: Any, summary: ValueSummary, target: int) -> None:
    ax, side = figure.subplots(1, 2, width_ratios=[3, 1], sharey=True)
    at = _some(summary.test_size)
    residual = summary.predicted[:, target] - summary.truth[:, target]
    ax.axhline(0, color=GREY, linewidth=0.9)
    ax.plot(
        summary.predicted[at, target],
        residual[at],
        "o",
        color=ORANGE,
        alpha=0.5,
        markersize=3,
        markeredgewidth=0,
        rasterized=at.size > 500,
    )
    ax.set(xlabel="prediction", ylabel="prediction − truth")
    side.hist(residual, bins=24, orientation="horizontal", color=ORANGE, alpha=0.85)
    side.axhline(residual.mean(), color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
    side.axhline(0, color=RED, linewidth=0.6)
    side.set(xlabel="samples")


def _numbers(summary: ValueSummary, risks: list[ValueRisk]) -> dict[str, Any]:
    return {
        **training_numbers(summary),
        "task": "regression",
        "targets": {
            name: {
                "mse": one.mse,
                "mse_interval": one.mse_interval[:2],
                "rmse": one.rmse,
                "mae": one.mae,
                "mae_interval": one.mae_interval[:2],
                "r2": one.r2,
                "r2_interval": one.r2_interval[:2],
                "standard_deviation": float(scale),
            }
            for name, one, scale in zip(summary.target_names, risks, summary.scale, strict=True)
        },
        "relative_squared_error": float(summary.losses.mean()),
        "relative_squared_error_interval": _of_losses(summary)[:2],
        "test_losses": summary.test_losses,
        "train_losses": summary.train_losses,
        "baselines": summary.baselines,
    }
