r"""The risk of predictions of real values, $R(f)=E\,\mathcal L(f(X),Y)$ with losses that nothing bounds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample, overlap
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.risk.intervals import Interval, bootstrap

_RESAMPLES = 1999


class ValueRisk(NamedTuple):
    """How far predictions of one value are off, in its unit, on a sample that the hypothesis does not depend on.

    The intervals are bootstrap intervals (BCa): approximate, for large samples of independent z. An exact one, as of an
    error count, does not exist, since a loss that nothing bounds may be huge where no sample has been.

    Args:
        mse: mean squared error.
        mse_interval: of the risk with the squared error.
        mae: mean absolute error.
        mae_interval: of the risk with the absolute error.
        r2: the share of the sample's variance that is explained, 1 − MSE / variance; nan if all values are equal.
        r2_interval: of it.
        n: predictions.
    """

    mse: float
    mse_interval: Interval
    mae: float
    mae_interval: Interval
    r2: float
    r2_interval: Interval
    n: int

    @property
    def rmse(self) -> float:
        """Root mean square error."""
        return math.sqrt(self.mse)

    @property
    def rmse_interval(self) -> Interval:
        """The roots of the ends of that of the mean squared error."""
        low, high, confidence = self.mse_interval
        return Interval(math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0)), confidence)

    def __str__(self) -> str:
        low, high, confidence = self.rmse_interval
        return (
            f"root mean square error {self.rmse:.4g}, {confidence:.0%} bootstrap interval [{low:.4g}, {high:.4g}]; "
            f"mean absolute error {self.mae:.4g}; R² {self.r2:.3f} ({self.n} samples)"
        )


@checked
def value_risk(
    predicted: Float[np.ndarray, " n"], truth: Float[np.ndarray, " n"], *, confidence: float = 0.95, seed: int = 0
) -> ValueRisk:
    r"""The risk of predictions of one value: $\frac1n\sum_i(\hat y_i-y_i)^2$, its absolute kin, and $R^2$.

    Args:
        predicted: predictions, `[n]`, on data that neither trained nor selected what predicts.
        truth: the values, `[n]`.
        confidence: of the intervals, in (0, 1).
        seed: random seed of the resampling.

    Raises:
        SnnlearnError: if there are none, their numbers differ, or one is not finite.

    >>> found = value_risk(np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> round(found.mse, 4), round(found.mae, 4), round(found.r2, 4)
    (0.3333, 0.3333, 0.5)
    """
    predicted, truth = np.asarray(predicted, float), np.asarray(truth, float)
    if predicted.ndim != 1 or predicted.shape != truth.shape or predicted.size == 0:
        raise SnnlearnError(
            f"value_risk: predictions {predicted.shape} and values {truth.shape}; give two lists of the same length ≥ 1"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(truth).all()):
        raise SnnlearnError("value_risk: a prediction or a value is NaN or infinite; correct or drop it")
    squares, sizes = np.square(predicted - truth), np.abs(predicted - truth)
    unknown = Interval(math.nan, math.nan, confidence)
    several = predicted.size > 1
    of_mean = {"confidence": confidence, "resamples": _RESAMPLES, "seed": seed}
    variance = float(truth.var())
    return ValueRisk(
        mse=float(squares.mean()),
        mse_interval=bootstrap(squares, **of_mean) if several else unknown,
        mae=float(sizes.mean()),
        mae_interval=bootstrap(sizes, **of_mean) if several else unknown,
        r2=1 - float(squares.mean()) / variance if variance > 0 else math.nan,
        r2_interval=_of_r2(squares, truth, confidence, seed) if variance > 0 and several else unknown,
        n=predicted.size,
    )


def _of_r2(squares: np.ndarray, truth: np.ndarray, confidence: float, seed: int) -> Interval:
    def statistic(squares: np.ndarray, truth: np.ndarray, axis: int) -> Any:
        variance = truth.var(axis=axis)
        return 1 - squares.mean(axis=axis) / np.where(variance > 0, variance, np.inf)

    if np.all(squares == 0):
        return Interval(1.0, 1.0, confidence)
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (squares, truth),
            statistic,
            paired=True,
            vectorized=True,
            confidence_level=confidence,
            n_resamples=_RESAMPLES,
            batch=max(1, 10**6 // truth.size),
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return Interval(float(found.low), float(found.high), confidence)


@checked
def value_risks(
    hypothesis: Hypothesis,
    sample: Sample,
    *,
    seen: tuple[Sample, ...] = (),
    confidence: float = 0.95,
) -> tuple[ValueRisk, ...]:
    """Estimate the risk of a hypothesis that predicts real values, for each of them.

    Args:
        hypothesis: the hypothesis.
        sample: data that neither trained nor selected it, y `[n, D]`; use it once.
        seen: what did train or select it, such as `(data.train, data.validation)`, to have that checked.
        confidence: of the intervals, in (0, 1).

    Raises:
        SnnlearnError: if some of the sample was seen, or the hypothesis predicts other values.
    """
    for part in seen:
        if known := overlap(sample, part):
            raise SnnlearnError(
                f"value_risks: {known} of the {len(sample.y)} samples trained or selected the hypothesis; errors on "
                "them are the empirical risk; give other data"
            )
    if hypothesis.decoder.task != "regression":
        raise SnnlearnError(
            f"value_risks: the hypothesis's task is {hypothesis.decoder.task}; give one that predicts values, whose "
            "decoder is InUnits(...)"
        )
    predicted = predict(hypothesis, sample.x)
    if predicted.shape != sample.y.shape:
        raise SnnlearnError(
            f"value_risks: y has shape {sample.y.shape} and the predictions {predicted.shape}; give y for each of them"
        )
    columns = zip(predicted.T.astype(float), np.asarray(sample.y, float).T, strict=True)
    return tuple(value_risk(*pair, confidence=confidence) for pair in columns)


@checked
def relative_errors(predicted: np.ndarray, truth: np.ndarray, scale: np.ndarray) -> np.ndarray:
    r"""The loss of each sample over all its values, $\frac1D\sum_d((\hat y_d-y_d)/\sigma_d)^2$, as of the training.

    Args:
        predicted: predictions, `[n, D]`.
        truth: the values, `[n, D]`.
        scale: $\sigma$, their standard deviations in the training sample, `[D]`.

    Returns:
        the losses, `[n]`.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> relative_errors(np.array([[1.0, 10.0]]), np.array([[0.0, 30.0]]), np.array([1.0, 10.0])).tolist()
    [2.5]
    """
    return np.mean(np.square((predicted.astype(float) - truth) / scale), axis=1)
