"""A spiking network as a classifier."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Optimizer
from snnlearn.data import LearningData, Sample, WeightedSample
from snnlearn.losses import AbstractLoss
from snnlearn.rules import AbstractRule
from snnlearn.sklearn.base import AbstractSpikingEstimator


class SpikingClassifier(ClassifierMixin, AbstractSpikingEstimator):
    r"""A spiking network that learns classes by gradient descent.

    It minimises $\sum_i w_i\,\mathcal L(f, z^i)/\sum_i w_i$ over the distinct $z^i$, whose weights are the sums of
    their rows': an integer weight is as many rows, weight 0 is none, and the order of rows is nothing, bit for bit. A
    small sample is repeated within an epoch until it fills 16 batches. The training sample chooses the epoch; with
    `validation_fraction` a part that is held out does, stratified by class, if each class has two samples or more. Each
    parameter is a value of this library, and None is what is usual.

    Args:
        layers: units of each hidden layer; a number is one layer.
        neuron: the hidden layers' neurons; None is `LIF()`.
        network: a network in place of `layers` and `neuron`, with an output for each class; its weights are drawn.
        encoder: the code of one sample; None is `Current(num_steps=20)`.
        rescale: a scaling of the features, such as `QuantileScaling()`, learned in `fit` from the distinct samples.
            True is what the code takes: `StandardScaling()` where it is any value, `RangeScaling()` where it is [0, 1],
            and none for spikes and codes of another range. False is none.
        rule: the learning rule; None is `BPTT()`.
        loss: the loss of one sample, whose decoder decides; None is the rule's usual one.
        optimizer: an `Optimizer`, or one of Optax; None is `Optimizer()`.
        epochs: passes over the training sample, ≥ 1.
        batch_size: samples of one gradient, ≥ 1.
        validation_fraction: share of the sample that is held out to choose the epoch, in (0, 1), or None.
        patience: epochs without a better one after which the training stops, ≥ 1; None goes through all.
        random_state: seed of weights, order, noise and held out samples; a number, a `RandomState` or None.

    Attributes:
        classes_: the classes, in order.
        hypothesis_: encoder, network and decoder, for `snnlearn.save`, `snnlearn.risk` and the rest of the library.
        n_iter_: epochs done.
        loss_curve_: mean training loss of each.
        n_features_in_: size of a sample's first axis.
        feature_names_in_: names of the features, where all are strings.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> model = SpikingClassifier((16,), epochs=10, random_state=0).fit(x[::2], y[::2])
    >>> model.score(x[1::2], y[1::2]) > 0.85
    True
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingClassifier:
        """Learn from a sample.

        Args:
            X: samples, `[m, *shape]`.
            y: their classes, `[m]`, of any type.
            sample_weight: how many times each counts, `[m]`, ≥ 0; None is once.

        Raises:
            SnnlearnError: for a parameter of another kind or out of range, or only one class.
            ValueError: from scikit-learn, on NaN, infinite or empty data, or another number of features than at first.
        """
        X, y = self._validated(X, y, reset=True)
        check_classification_targets(y)
        weights = self._weights(sample_weight, X)
        counts = weights > 0
        self.classes_, labels = np.unique(y[counts], return_inverse=True)
        if len(self.classes_) < 2:
            raise SnnlearnError("SpikingClassifier: y has only one class; give samples of two classes or more")
        self._fit(X[counts], labels.astype(np.int32), weights[counts], len(self.classes_))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SpikingClassifier:
        """Pass once over further samples, with steps of constant size.

        The first call learns the features' ranges. After `fit` it goes on from what was found.

        Args:
            X: samples, `[m, *shape]`.
            y: their classes, `[m]`.
            classes: all classes that there will be, at the first call.
            sample_weight: how many times each counts, `[m]`, ≥ 0; None is once.

        Raises:
            SnnlearnError: for a parameter of another kind or out of range, or a class that was not among them at first.
            ValueError: from scikit-learn, on NaN, infinite or empty data, or another number of features than at first.
        """
        _check_partial_fit_first_call(self, classes)
        X, y = self._validated(X, y, reset=not hasattr(self, "hypothesis_"))
        check_classification_targets(y)
        if not np.all(known := np.isin(y, self.classes_)):
            raise SnnlearnError(f"SpikingClassifier: y has {y[~known][0]!r}, which is none of the classes at first")
        weights = self._weights(sample_weight, X)
        counts = weights > 0
        labels = np.searchsorted(self.classes_, y[counts]).astype(np.int32)
        # A class that is missing here is there with a sample of no weight, as the algorithm wants all.
        missing = np.setdiff1d(np.arange(len(self.classes_)), labels).astype(np.int32)
        X, weights = X[counts], np.concatenate([weights[counts], np.zeros(len(missing))])
        X = np.concatenate([X, np.repeat(X[:1], len(missing), axis=0)])
        self._go_on(X, np.concatenate([labels, missing]), weights, len(self.classes_))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The class of the largest score, `[m]`.

        Args:
            X: samples, `[m, *shape]`.
        """
        best = np.argmax(self._scores(X), axis=1)
        return self.classes_[best]

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores, `[m, C]`; of two classes the second's less the first's, `[m]`.

        Args:
            X: samples, `[m, *shape]`.
        """
        scores = self._scores(X).astype(np.float64)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """The softmax of the scores, `[m, C]`, which is what the cross-entropy makes a probability.

        Args:
            X: samples, `[m, *shape]`.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`.

        Args:
            X: samples, `[m, *shape]`.
        """
        return log_softmax(self._scores(X).astype(np.float64), axis=1)

    def _usual_optimizer(self) -> Optimizer:
        return Optimizer()

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return y

    def _learned(self, sample: WeightedSample, *, first: bool) -> WeightedSample:
        return sample

    def _data(self, train: Sample | WeightedSample, validation: Sample | WeightedSample) -> LearningData:
        return LearningData("X", train, validation, len(self.classes_))

    def _usual_loss(self, rule: AbstractRule, outputs: int, dt: float) -> AbstractLoss:
        usual = {"num_classes": outputs, "dt": dt, "decoder": rule.usual_decoder()}
        takes = {field.name for field in dataclasses.fields(rule.usual_loss) if field.init}
        if rule.usual_loss.decides_by is not None:
            takes -= {"decoder"}
        return rule.usual_loss(**{name: value for name, value in usual.items() if name in takes})
