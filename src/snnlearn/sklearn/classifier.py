"""A spiking network as a classifier."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets

from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample, WeightedSample
from snnlearn.losses import AbstractLoss
from snnlearn.rules import AbstractRule
from snnlearn.sklearn.base import AbstractSpikingEstimator


class SpikingClassifier(ClassifierMixin, AbstractSpikingEstimator):
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingClassifier:
        """Learn from a sample.

        Args:
            X: samples, `[m, *shape]`.
            y: their classes, `[m]`, of any type.
            sample_weight: how many times each counts, `[m]`, ≥ 0; None is once.
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
        """
        first = _check_partial_fit_first_call(self, classes)
        X, y = self._validated(X, y, reset=first)
        check_classification_targets(y)
        if not np.all(known := np.isin(y, self.classes_)):
            raise SnnlearnError(f"SpikingClassifier: y has {y[~known][0]!r}, which is none of the classes at first")
        weights = self._weights(sample_weight, X)
        counts = weights > 0
        labels = np.searchsorted(self.classes_, y[counts]).astype(np.int32)
        self._go_on(X[counts], labels, weights[counts], len(self.classes_))
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

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return y

    def _usual_loss(self, rule: AbstractRule, outputs: int, dt: float) -> AbstractLoss:
        usual = {"num_classes": outputs, "dt": dt, "decoder": rule.usual_decoder()}
        takes = {field.name for field in dataclasses.fields(rule.usual_loss) if field.init}
        if rule.usual_loss.decides_by is not None:
            takes -= {"decoder"}
        return rule.usual_loss(**{name: value for name, value in usual.items() if name in takes})
