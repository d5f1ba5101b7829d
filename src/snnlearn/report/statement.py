"""The statement of risk: what is known about a trained network, and its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnlearn.report.summary import RunSummary
from snnlearn.risk.intervals import Interval, clopper_pearson, t_interval


@dataclass(frozen=True)
class RiskStatement:
    """What is known about the risk R of the saved model, and of its training.

    Args:
        risk: Test error of the saved model.
        risk_interval: Exact Clopper–Pearson interval of it.
        empirical_risk: Training error R̂ of the saved model; a count, known exactly.
        seed_risks: Test error of each seed, ``[K]``.
        seed_mean: Their mean.
        seed_interval: Student's t interval of the mean within [0, 1]; nan for one seed.
    """

    risk: float
    risk_interval: Interval
    empirical_risk: float
    seed_risks: np.ndarray
    seed_mean: float
    seed_interval: Interval

    @property
    def generalization_gap(self) -> float:
        """R − R̂."""
        return self.risk - self.empirical_risk

    @property
    def gap_interval(self) -> Interval:
        """That of R, shifted by R̂."""
        return self.risk_interval.shift(-self.empirical_risk)


def state_risk(summary: RunSummary, *, confidence: float = 0.95) -> RiskStatement:
    """Compute the statement of risk from the error counts of a run.

    Args:
        summary: The run.
        confidence: Coverage of all intervals, in (0, 1).

    Returns:
        The statement; errors are fractions in [0, 1].
    """
    errors, chosen = int(summary.test_errors[summary.selected_seed]), summary.selected_seed
    seed_risks = summary.test_errors / summary.test_size
    return RiskStatement(
        risk=errors / summary.test_size,
        risk_interval=clopper_pearson(errors, summary.test_size, confidence=confidence),
        empirical_risk=float(summary.train_errors[chosen] / summary.train_size),
        seed_risks=seed_risks,
        seed_mean=float(seed_risks.mean()),
        seed_interval=t_interval(seed_risks, confidence=confidence).clip(0.0, 1.0),
    )
