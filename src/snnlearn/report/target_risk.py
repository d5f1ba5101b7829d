"""What is known about one trained network that predicts values, or decides about labels."""

from __future__ import annotations

import numpy as np

from snnlearn.report.value import Headline, Note, Report, Section, Table
from snnlearn.report.words import digits_of, estimate, number, percent
from snnlearn.risk import Interval, ValueRisk, hoeffding, label_risk, value_risk

_UNBOUNDED = (
    "Intervals by the bootstrap (BCa): approximate, for large samples of independent z. None holds for every number of "
    "samples, since nothing bounds the loss: Hoeffding's and Bernstein's intervals do not apply."
)
_OF_LABELS = (
    "Of the Hamming error, the bootstrap's interval (BCa) is approximate, and Hoeffding's holds for every number of "
    "samples, as the share of wrong decisions about a sample lies in [0, 1]. The others are exact (Clopper–Pearson)."
)


def value_risk_report(
    predicted: np.ndarray,
    truth: np.ndarray,
    fitted: np.ndarray,
    *,
    names: tuple[str, ...],
    title: str,
    source: str,
    seen: str | None,
    confidence: float,
) -> Report:
    """Report the risk of predictions of D values.

    Args:
        predicted: Predictions on the sample, ``[n, D]``.
        truth: The values there, ``[n, D]``.
        fitted: Mean squared errors on the training sample, ``[D]``.
        names: Of the values.
        title: Of the report.
        source: Where the sample comes from, in words.
        seen: What of it was seen in training, in words; None if nothing was.
        confidence: Of the intervals.
    """
    columns = zip(predicted.T.astype(float), truth.T.astype(float), strict=True)
    found = [value_risk(*pair, confidence=confidence) for pair in columns]
    rows = [
        (name, _of(one.rmse, one.rmse_interval), _of(one.mae, one.mae_interval), _r2(one), f"{np.sqrt(own):.4g}")
        for name, one, own in zip(names, found, fitted, strict=True)
    ]
    header = ("value", "root mean square error", "mean absolute error", "R²", "the same in training")
    first = found[0]
    what = f"of {names[0]}, root mean square" if len(found) > 1 else "root mean square error"
    return Report(
        kind="risk",
        title=title,
        headline=Headline(f"{first.rmse:.4g}", what, _said(f"{first}", source, seen)),
        sections=[Section("Risk", [Note(_UNBOUNDED), Table(header, rows)])],
        numbers={
            "risk": {
                "task": "regression",
                "source": source,
                "seen": seen,
                "confidence": confidence,
                "n": first.n,
                "values": {name: _numbers(one) for name, one in zip(names, found, strict=True)},
                "training_mse": dict(zip(names, np.asarray(fitted).tolist(), strict=True)),
            }
        },
    )


def label_risk_report(
    decided: np.ndarray,
    truth: np.ndarray,
    fitted: float,
    *,
    names: tuple[str, ...],
    title: str,
    source: str,
    seen: str | None,
    confidence: float,
) -> Report:
    """Report the risk of decisions about L labels; arguments as of `value_risk_report`.

    Args:
        decided: 1 where a label is decided to hold, ``[n, L]``.
        truth: 1 where it does, ``[n, L]``.
        fitted: Hamming error on the training sample.
        names: Of the labels.
        title: Of the report.
        source: Where the sample comes from, in words.
        seen: What of it was seen in training, in words; None if nothing was.
        confidence: Of the intervals.
    """
    found, digits = label_risk(decided, truth, confidence=confidence), digits_of(truth.size)
    sure = hoeffding(np.mean(decided != truth, axis=1), confidence=confidence)
    rows = [
        ("Hamming error, bootstrap", estimate(found.hamming, found.hamming_interval, digits)),
        ("Hamming error, Hoeffding", estimate(found.hamming, sure, digits)),
        ("any label wrong", estimate(found.subset.value, found.subset.interval, digits)),
        *((name, estimate(one.value, one.interval, digits)) for name, one in zip(names, found.labels, strict=True)),
        ("Hamming error in training", percent(fitted, digits)),
    ]
    return Report(
        kind="risk",
        title=title,
        headline=Headline(percent(found.hamming, digits), "Hamming error", _said(str(found), source, seen)),
        sections=[Section("Risk", [Note(_OF_LABELS), Table(("error", "with interval"), rows)])],
        numbers={
            "risk": {
                "task": "multi-label",
                "source": source,
                "seen": seen,
                "confidence": confidence,
                "n": found.n,
                "hamming_error": found.hamming,
                "hamming_intervals": {"bootstrap (BCa)": found.hamming_interval[:2], "Hoeffding": sure[:2]},
                "subset_error": found.subset.value,
                "subset_interval": found.subset.interval[:2],
                "labels": {name: [one.value, *one.interval[:2]] for name, one in zip(names, found.labels, strict=True)},
                "training_hamming_error": fitted,
            }
        },
    )


def _said(found: str, source: str, seen: str | None) -> str:
    doubt = f" But {seen}, so this is no estimate of how the network does on other data." if seen else ""
    return f"On {source}: {found}.{doubt}"


def _of(value: float, interval: Interval) -> str:
    return f"{value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _r2(one: ValueRisk) -> str:
    low, high, _ = one.r2_interval
    return f"{number(one.r2, 3)} ({number(low, 3)} to {number(high, 3)})"


def _numbers(one: ValueRisk) -> dict[str, object]:
    return {
        "mse": one.mse,
        "mse_interval": one.mse_interval[:2],
        "mae": one.mae,
        "mae_interval": one.mae_interval[:2],
        "r2": one.r2,
        "r2_interval": one.r2_interval[:2],
    }
