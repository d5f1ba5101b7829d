"""What plain methods predict from the same data, chosen on the validation sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snnlearn.data import Dataset
from snnlearn.report.baseline import features, not_too_many
from snnlearn.risk import Comparison, compare_losses, relative_errors

_STRENGTHS = tuple(10.0**k for k in range(4, -5, -1))
_NEIGHBOURS = (20, 10, 5, 3, 1)


@dataclass(frozen=True)
class ValueBaseline:
    """A method to compare a network's predictions with.

    Args:
        name: What it is, and how it was chosen.
        loss: Its mean relative squared error on the test sample.
        comparison: The network's loss less the baseline's, on the same test samples.
    """

    name: str
    loss: float
    comparison: Comparison


def value_baselines(data: Dataset, losses: np.ndarray) -> tuple[ValueBaseline, ...]:
    """Fit plain methods to the training sample, and put a network beside.

    The mean of the training values; of a series with as many channels as values, persistence, which predicts its last
    value; scikit-learn's ridge regression and nearest neighbours, on standardised features, with the penalty and the
    number of neighbours of the least validation loss. A large training sample is cut to 10,000 for these. The test
    sample is used once by each.

    Args:
        data: The data.
        losses: The network's loss of each test sample, `[n]`.
    """
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth, scale = data.test.y.astype(float), data.train.y.astype(float).std(axis=0)
    predicted = {"mean of the training values": np.broadcast_to(data.train.y.mean(axis=0, dtype=float), truth.shape)}
    if data.structure == "series" and data.shape[-1] == truth.shape[1]:
        predicted["persistence, the last value of the series"] = data.test.x[:, -1].astype(float)
    validation, test = features(data, data.validation), features(data, data.test)
    cut, note = not_too_many(features(data, data.train))
    families = {
        "ridge regression, penalty {:g} by validation": {a: Ridge(alpha=a, solver="svd") for a in _STRENGTHS},
        "nearest neighbours, {:g} by validation": {
            k: KNeighborsRegressor(k, weights="distance") for k in _NEIGHBOURS if k <= len(cut.y)
        },
    }
    for name, estimators in families.items():
        tried = []
        for number, estimator in estimators.items():
            fitted = make_pipeline(StandardScaler(), estimator).fit(cut.x, cut.y)
            found = np.asarray(fitted.predict(validation.x), float).reshape(validation.y.shape)
            tried.append((relative_errors(found, validation.y.astype(float), scale).mean(), number, fitted))
        _, number, fitted = min(tried, key=lambda one: one[0])
        predicted[name.format(number) + note] = np.asarray(fitted.predict(test.x), float).reshape(truth.shape)
    its = {name: relative_errors(one, truth, scale) for name, one in predicted.items()}
    return tuple(ValueBaseline(name, float(own.mean()), _compared(losses, own)) for name, own in its.items())


def _compared(losses: np.ndarray, its: np.ndarray) -> Comparison:
    return compare_losses(losses, its, resamples=1999)


def advice(found: tuple[ValueBaseline, ...]) -> list[str]:
    """What to say where the network loses against a baseline, as far as the test sample tells."""
    better = [one.name.partition(",")[0] for one in found if one.comparison.interval.low > 0]
    if not better:
        return []
    return [
        f"The network predicts worse than {' and '.join(better)} on the same samples: try more hidden units or steps "
        "(--layers 512, --num-steps 100), another weight decay (--optimizer adamw --weight-decay 0.1), another code "
        "(--encode population), or more epochs; choose by the validation loss."
    ]
