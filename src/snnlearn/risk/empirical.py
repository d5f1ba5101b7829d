r"""Risk $R(f)=P(f(X)\ne Y)$, estimated on data that chose nothing, and empirical risk on the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample, overlap
from snnlearn.data.base import check
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.risk.intervals import Interval, clopper_pearson


class Risk(NamedTuple):
    """The probability of misclassification, estimated on a sample that the hypothesis does not depend on.

    Args:
        value: the share of wrong decisions.
        interval: an exact confidence interval (Clopper–Pearson) of the risk.
        errors: wrong decisions.
        n: decisions.
    """

    value: float
    interval: Interval
    errors: int
    n: int

    def __str__(self) -> str:
        low, high, confidence = self.interval
        return (
            f"risk {self.value:.2%}, {confidence:.0%} interval [{low:.2%}, {high:.2%}] "
            f"({self.errors} errors of {self.n})"
        )


def _errors(hypothesis: Hypothesis, sample: Sample, key: PRNGKeyArray | None) -> int:
    check(Sample(np.asarray(sample.x), np.asarray(sample.y)), "risk: the sample")
    classes = hypothesis.network.out_shape[0]
    if np.max(sample.y) >= classes:
        raise SnnlearnError(
            f"risk: the sample has the label {np.max(sample.y)}; the hypothesis decides between 0 and {classes - 1}"
        )
    return int(np.sum(predict(hypothesis, sample.x, key=key) != np.asarray(sample.y)))


@checked
def risk_of_errors(errors: int, n: int, *, confidence: float = 0.95) -> Risk:
    """The risk, given the number of wrong decisions among n on independent data.

    Raises:
        SnnlearnError: for an argument outside its range.

    >>> print(risk_of_errors(613, 10_000))
    risk 6.13%, 95% interval [5.67%, 6.62%] (613 errors of 10000)
    """
    interval = clopper_pearson(errors, n, confidence=confidence)  # refuses n = 0
    return Risk(errors / n, interval, errors, n)


@checked
def risk(
    hypothesis: Hypothesis,
    sample: Sample,
    *,
    seen: Sequence[Sample] = (),
    confidence: float = 0.95,
    key: PRNGKeyArray | None = None,
) -> Risk:
    """Estimate the risk of a hypothesis with the 0–1 loss.

    Args:
        hypothesis: the hypothesis.
        sample: data that neither trained nor selected it; use it once.
        seen: what did train or select it, such as `(data.train, data.validation)`, to have that checked.
        confidence: of the interval, in (0, 1).
        key: random key of the encoder, see `predict`.

    Raises:
        SnnlearnError: if some of the sample was seen.
    """
    for part in seen:
        if known := overlap(sample, part):
            raise SnnlearnError(
                f"risk: {known} of the {len(sample.y)} samples trained or selected the hypothesis; "
                "errors on them are the empirical risk, use empirical_risk or give other data"
            )
    return risk_of_errors(_errors(hypothesis, sample, key), len(sample.y), confidence=confidence)


@checked
def empirical_risk(hypothesis: Hypothesis, sample: Sample, *, key: PRNGKeyArray | None = None) -> float:
    r"""The empirical risk $\hat R_s(f)=\frac1m\sum_i 1\{f(x^i)\ne y^i\}$ on the data that was learned from.

    Args:
        hypothesis: the hypothesis.
        sample: the training sample.
        key: random key of the encoder, see `predict`.

    Raises:
        SnnlearnError: for an empty or damaged sample.
    """
    return _errors(hypothesis, sample, key) / len(sample.y)


@checked
def generalization_gap(risk: Risk, empirical_risk: float) -> tuple[float, Interval]:
    r"""$R(f_s)-\hat R_s(f_s)$ with its interval.

    The empirical risk of a given hypothesis on given data is a known number, so the risk's interval, shifted by it, is
    exact for the gap.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> gap, interval = generalization_gap(risk_of_errors(50, 100), 0.1)
    >>> round(gap, 6), round(interval.low, 6), round(interval.high, 6)
    (0.4, 0.298321, 0.501679)
    """
    return risk.value - empirical_risk, risk.interval.shift(-empirical_risk)


@checked
def chance_level(train: Sample, test: Sample) -> float:
    """The test error of always deciding for the class that is most frequent in training.

    Raises:
        SnnlearnError: if a sample is empty.
    """
    if len(train.y) == 0 or len(test.y) == 0:
        raise SnnlearnError("chance_level: a sample is empty; give at least one label in each")
    return float(np.mean(np.asarray(test.y) != np.bincount(train.y).argmax()))
