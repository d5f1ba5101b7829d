"""A simple method on the same data: logistic regression, selected on the validation sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnlearn.data import Dataset, Sample
from snnlearn.risk import Comparison, compare_hypotheses, from_estimator

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class Baseline:
    """A method to compare a network with.

    Args:
        name: What it is, and how it was chosen.
        errors: Wrong decisions on the test sample.
        comparison: The network's risk less the baseline's, on the same test samples.
        only_network: Test samples that only the network gets wrong.
        only_baseline: Those that only the baseline does.
    """

    name: str
    errors: int
    comparison: Comparison
    only_network: int
    only_baseline: int


def logistic_regression(data: Dataset, wrong: np.ndarray) -> Baseline:
    """Fit scikit-learn's logistic regression to the training sample, and compare a network with it.

    Features are standardised; for spikes they are the units' spike counts. The regularisation is the strongest of those
    with the fewest validation errors; the test sample is used once.

    Args:
        data: The data.
        wrong: Whether the network errs on each test sample, `[n]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, validation, test = (_features(data, part) for part in (data.train, data.validation, data.test))
    found = []
    for strength in _STRENGTHS:
        estimator = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
        decide = from_estimator(estimator)(train)
        found.append((int(np.sum(decide(validation.x) != validation.y)), strength, decide))
    _, strength, decide = min(found, key=lambda one: one[:2])
    its = decide(test.x) != test.y
    return Baseline(
        name=f"logistic regression, C = {strength:g} by validation",
        errors=int(its.sum()),
        comparison=compare_hypotheses(wrong, its),
        only_network=int(np.sum(wrong & ~its)),
        only_baseline=int(np.sum(its & ~wrong)),
    )


def _features(data: Dataset, part: Sample) -> Sample:
    return Sample(part.x.sum(axis=1) if data.kind == "spikes" else part.x, part.y)
