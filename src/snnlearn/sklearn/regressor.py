"""A spiking network as a regressor."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import Tags

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Optimizer, adamw
from snnlearn.data import LearningData, Sample, WeightedSample
from snnlearn.losses import AbstractLoss, ValueMeanSquaredError
from snnlearn.rules import AbstractRule
from snnlearn.sklearn.base import AbstractSpikingEstimator
from snnlearn.sklearn.samples import mean_and_deviation


class SpikingRegressor(RegressorMixin, AbstractSpikingEstimator):
    r"""A spiking network that learns one or several real values by gradient descent.

    The mean membrane of each readout unit predicts one value, standardised by its mean and standard deviation in the
    training sample. All else is as of `SpikingClassifier`; the epoch with the least loss is kept. Values are often
    noisy, so that the usual weight decay is strong; less of it suits samples with little noise.

    Args:
        layers: units of each hidden layer; a number is one layer.
        neuron: the hidden layers' neurons; None is `LIF()`.
        network: a network in place of `layers` and `neuron`, with an output for each value; its weights are drawn.
        encoder: the code of one sample; None is `Current(num_steps=20)`.
        rescale: the scaling of the features, as of `SpikingClassifier`.
        rule: the learning rule; None is `BPTT()`.
        loss: the loss of one sample and its standardised values `[D]`; None is `ValueMeanSquaredError()`.
        optimizer: an `Optimizer`, or one of Optax; None is `Optimizer(adamw, arguments={"weight_decay": 0.2})`.
        epochs: passes over the training sample, ≥ 1.
        batch_size: samples of one gradient, ≥ 1.
        validation_fraction: share of the sample that is held out to choose the epoch, in (0, 1), or None.
        patience: epochs without a better one after which the training stops, ≥ 1; None goes through all.
        random_state: seed of weights, order, noise and held out samples; a number, a `RandomState` or None.

    Attributes:
        hypothesis_: encoder, network and decoder; its scores are the standardised prediction.
        target_mean_: mean of each value, `[D]`.
        target_scale_: standard deviation of each value, `[D]`.
        n_iter_: epochs done.
        loss_curve_: mean training loss of each.
        n_features_in_: size of a sample's first axis.
        feature_names_in_: names of the features, where all are strings.

    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> model = SpikingRegressor((32,), epochs=20, random_state=0).fit(x, x[:, 0] ** 2)
    >>> model.score(x, x[:, 0] ** 2) > 0.9
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingRegressor:
        """Learn from a sample.

        Args:
            X: samples, `[m, *shape]`.
            y: the value of each, `[m]`, or several, `[m, D]`.
            sample_weight: how many times each counts, `[m]`, ≥ 0; None is once.

        Raises:
            SnnlearnError: for a parameter of another kind or out of range.
            ValueError: from scikit-learn, on NaN, infinite or empty data, or another number of features than at first.
        """
        X, y, weights = self._checked(X, y, sample_weight, reset=True)
        self._fit(X, y, weights, y.shape[1])
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingRegressor:
        """Pass once over further samples, with steps of constant size.

        The first call learns the scale of features and values. After `fit` it goes on from what was found.

        Args:
            X: samples, `[m, *shape]`.
            y: the value of each, `[m]`, or several, `[m, D]`.
            sample_weight: how many times each counts, `[m]`, ≥ 0; None is once.

        Raises:
            SnnlearnError: for a parameter of another kind or out of range, or another number of values than at first.
            ValueError: from scikit-learn, on NaN, infinite or empty data, or another number of features than at first.
        """
        first = not hasattr(self, "hypothesis_")
        X, y, weights = self._checked(X, y, sample_weight, reset=first)
        self._go_on(X, y, weights, y.shape[1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The values, `[m]` or `[m, D]`, as in `fit`.

        Args:
            X: samples, `[m, *shape]`.
        """
        scores = self._scores(X)
        values = self.target_mean_ + self.target_scale_ * scores.astype(np.float64)
        return values[:, 0] if self._one_value else values

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        X, y = self._validated(X, y, reset=reset, multi_output=True, y_numeric=True)
        if reset:
            self._one_value = y.ndim == 1
        weights = self._weights(sample_weight, X)
        counts, values = weights > 0, y.reshape(len(y), -1).astype(np.float64)
        if not reset and values.shape[1] != len(self.target_mean_):
            raise SnnlearnError(
                f"SpikingRegressor: y has {values.shape[1]} values for each sample; it had {len(self.target_mean_)} "
                "at first"
            )
        return X[counts], values[counts], weights[counts]

    def _usual_loss(self, rule: AbstractRule, outputs: int, dt: float) -> AbstractLoss:
        return ValueMeanSquaredError()

    def _usual_optimizer(self) -> Optimizer:
        return Optimizer(adamw, arguments={"weight_decay": 0.2})

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return np.zeros(len(y), np.int32)

    def _learned(self, sample: WeightedSample, *, first: bool) -> WeightedSample:
        if first:
            self.target_mean_, self.target_scale_ = mean_and_deviation(sample.y, sample.weights)
        scale = np.where(self.target_scale_ > 0, self.target_scale_, 1.0)
        return sample._replace(y=((sample.y - self.target_mean_) / scale).astype(np.float32))

    def _data(self, train: Sample | WeightedSample, validation: Sample | WeightedSample) -> LearningData:
        return LearningData("X", train, validation, None)
