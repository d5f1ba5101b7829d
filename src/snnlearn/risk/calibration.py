"""Calibration: calibration error, proper scores, and the temperature that corrects probabilities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Shaped

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError


class Reliability(NamedTuple):
    """A reliability diagram: decisions sorted into bins by their confidence.

    Args:
        confidence: mean stated probability of each bin's decisions, `[bins]`; nan for an empty bin.
        accuracy: the share of them that is right, `[bins]`; nan for an empty bin.
        counts: how many they are, `[bins]`.
        edges: of the bins, `[bins + 1]`.
    """

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    counts: Integer[np.ndarray, " bins"]
    edges: Float[np.ndarray, " edges"]

    @property
    def ece(self) -> float:
        r"""Expected calibration error $\sum_b \frac{n_b}{n}\,|\mathrm{acc}_b - \mathrm{conf}_b|$."""
        return float(np.nansum(self.counts * np.abs(self.accuracy - self.confidence)) / self.counts.sum())

    @property
    def mce(self) -> float:
        r"""Maximum calibration error $\max_b |\mathrm{acc}_b - \mathrm{conf}_b|$, over bins that are not empty."""
        return float(np.nanmax(np.abs(self.accuracy - self.confidence)))


@checked
def reliability(
    probabilities: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " n"], *, bins: int = 15
) -> Reliability:
    """Sort decisions into bins of equal width by the probability of the class decided for.

    A bin is $(e_b, e_{b+1}]$, the first also holds 0.

    Args:
        probabilities: of each class, rows sum to 1, `[m, C]`.
        labels: the true classes, `[m]`.
        bins: how many, ≥ 1.

    Raises:
        SnnlearnError: for an empty sample, numbers outside [0, 1], rows that do not sum to 1, or labels that are none.

    Source: C. Guo et al., ICML 2017, arXiv:1706.04599.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> round(reliability(p, np.array([0, 1, 1])).ece, 6)  # |1 − .9|, |0 − .8| and |1 − .7|, each once in three
    0.4
    """
    check_probabilities(probabilities, labels)
    if bins < 1:
        raise SnnlearnError(f"reliability: bins is {bins}; give at least 1")
    confidence = probabilities.max(axis=1)
    best = probabilities == confidence[:, None]
    right = best[np.arange(len(labels)), labels] / best.sum(axis=1)  # of equal ones, chance decides
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    divisor = np.where(count > 0, count, 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(count > 0, np.bincount(place, values, minlength=bins) / divisor, np.nan)

    return Reliability(mean(confidence), mean(right.astype(float)), count, edges)


@checked
def expected_calibration_error(
    probabilities: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " n"], *, bins: int = 15
) -> float:
    """The `ece` of the [`reliability`][snnlearn.risk.reliability] diagram, which has the arguments.

    It is biased upwards by about √(bins/m): a perfectly calibrated hypothesis does not reach 0 on a finite sample.

    Raises:
        SnnlearnError: as [`reliability`][snnlearn.risk.reliability] does.
    """
    return reliability(probabilities, labels, bins=bins).ece


@checked
def brier_score(probabilities: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " n"]) -> float:
    r"""$\frac1m\sum_i \lVert p^i - \mathrm{onehot}(y^i)\rVert^2$, from 0 to 2; least where $p$ is the truth.

    (With two classes it is twice the scalar form $(p - y)^2$.)

    Args:
        probabilities: of each class, rows sum to 1, `[m, C]`.
        labels: the true classes, `[m]`.

    Raises:
        SnnlearnError: as [`reliability`][snnlearn.risk.reliability] does.

    >>> round(brier_score(np.array([[0.9, 0.1]]), np.array([1])), 6)
    1.62
    """
    check_probabilities(probabilities, labels)
    return float(np.mean(np.sum((probabilities - np.eye(probabilities.shape[1])[labels]) ** 2, axis=1)))


@checked
def negative_log_likelihood(probabilities: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " n"]) -> float:
    r"""$-\frac1m\sum_i \ln p^i_{y^i}$, in nats; infinite if what was held impossible happened.

    Args:
        probabilities: of each class, rows sum to 1, `[m, C]`.
        labels: the true classes, `[m]`.

    Raises:
        SnnlearnError: as [`reliability`][snnlearn.risk.reliability] does.

    >>> round(negative_log_likelihood(np.array([[0.5, 0.5]]), np.array([1])), 6)
    0.693147
    """
    check_probabilities(probabilities, labels)
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(probabilities[np.arange(len(labels)), labels])))


@checked
def softmax(scores: Float[np.ndarray, "m C"], temperature: float = 1.0) -> Float[np.ndarray, "m C"]:
    r"""$p_k \propto e^{s_k/T}$, in double precision.

    Args:
        scores: `[m, C]`.
        temperature: $T$ > 0; above 1 makes less sure.

    Raises:
        SnnlearnError: if temperature is not above 0.

    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(6).tolist()
    [[0.25, 0.75]]
    """
    if not temperature > 0:
        raise SnnlearnError(f"softmax: temperature is {temperature}; give a number above 0")
    scaled = np.asarray(scores, dtype=float) / temperature
    exponential = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


@checked
def fit_temperature(scores: Float[np.ndarray, "m C"], labels: Integer[np.ndarray, " n"]) -> float:
    r"""The temperature $T = \arg\min_T \mathrm{NLL}(\mathrm{softmax}(s/T))$, to fit on validation data.

    It changes no decision, only how sure it is said to be. The NLL is convex in 1/T; T is sought in [1/1000, 1000].

    Args:
        scores: `[m, C]`, finite.
        labels: the true classes, `[m]`.

    Raises:
        SnnlearnError: for an empty sample, scores that are not finite, or labels that are not classes.

    Source: C. Guo et al., ICML 2017, arXiv:1706.04599.

    >>> scores = np.repeat([[0.0, 2 * np.log(3.0)]], 4, axis=0)  # says 0.9, is right in 3 of 4
    >>> round(fit_temperature(scores, np.array([1, 1, 1, 0])), 4)
    2.0
    """
    from scipy import optimize, special

    scores = np.asarray(scores, dtype=float)
    _check_shape(scores, labels, "scores")
    if not np.all(np.isfinite(scores)):
        raise SnnlearnError("fit_temperature: scores holds NaN or infinite values; remove them")
    rows = np.arange(len(labels))

    def slope(log_temperature: float) -> float:
        """Of the NLL in 1/T; negative while surer would be better."""
        p = special.softmax(scores / np.exp(log_temperature), axis=1)
        return float(np.mean(np.sum(p * scores, axis=1) - scores[rows, labels]))

    low, high = np.log(1e-3), np.log(1e3)
    if slope(low) <= 0:
        return 1e-3
    if slope(high) >= 0:
        return 1e3
    root: Any = optimize.brentq(slope, low, high, xtol=1e-12)
    return float(np.exp(root))


def check_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> None:
    """Refuse what are no probabilities of classes, or labels that are none of them."""
    _check_shape(probabilities, labels, "probabilities")
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise SnnlearnError(
            f"probabilities goes from {probabilities.min()} to {probabilities.max()}; give numbers in [0, 1], such as "
            "softmax(scores)"
        )
    sums = probabilities.sum(axis=1)
    if not np.allclose(sums, 1, atol=1e-4):
        raise SnnlearnError(f"probabilities has a row that sums to {sums[np.argmax(np.abs(sums - 1))]}; expected 1")


def _check_shape(values: Shaped[np.ndarray, "..."], labels: Shaped[np.ndarray, "..."], name: str) -> None:
    if values.ndim != 2 or labels.shape != values.shape[:1] or values.size == 0:
        raise SnnlearnError(
            f"{name} has shape {values.shape} and labels {labels.shape}; give [m, C] and [m] of at least one sample"
        )
    if not (labels.min() >= 0 and labels.max() < values.shape[1]):
        raise SnnlearnError(f"labels goes from {labels.min()} to {labels.max()}; expected 0 to {values.shape[1] - 1}")
