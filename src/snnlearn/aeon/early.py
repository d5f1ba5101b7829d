"""A spiking network as an early classifier of aeon."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from aeon.classification.early_classification.base import BaseEarlyClassifier  # pyright: ignore[reportMissingImports]
from jaxtyping import Float, Int
from scipy.special import softmax
from scipy.stats import hmean
from sklearn.utils import check_random_state

from snnlearn._errors import SnnlearnError
from snnlearn.aeon.series import learned, samples, scores_by_frame
from snnlearn.losses import StepwiseCrossEntropy


class SpikingEarlyClassifier(BaseEarlyClassifier):
    r"""A spiking network that decides on a time series before it ends.

    One network reads the series frame by frame and is trained to be right in each step. After frame $t$ the
    probabilities are the softmax of its scores so far. It decides when one class has had a probability of at least
    `probability_threshold` in `consecutive_predictions` frames, one after the other, and stays with it; at the length
    of the longest series in training it decides in any case. So a decision depends on the series so far alone, and
    `update_predict` gives what `predict` gives for the longer series.

    Args:
        layers: units of each hidden layer; a number is one layer.
        neuron: the hidden layers' neurons; None is `LIF()`.
        probability_threshold: in (0, 1].
        consecutive_predictions: ≥ 1.
        rule: the learning rule; None is `BPTT()`.
        optimizer: an `Optimizer`, or one of Optax; None is `Optimizer()`.
        epochs: passes over the training sample, ≥ 1; a small sample is repeated until it fills 16 batches.
        batch_size: samples of one gradient, ≥ 1.
        random_state: seed of weights and order; a number, a `RandomState` or None.

    Attributes:
        hypothesis_: encoder, network and decoder, for `snnlearn.save` and the rest of the library.
        state_info: of each case of the last call the frames so far, the frame of its decision (0 if there is none), its
            class by number and its length, `[m, 4]`.

    Raises:
        SnnlearnError: from `fit`, for a parameter of another kind or out of range; from `update_predict`, for more
            cases than there were without a decision.

    >>> rng = np.random.default_rng(0)
    >>> series = rng.normal(0.0, 1.0, (40, 1, 30)) + (np.arange(40) % 2)[:, None, None]
    >>> model = SpikingEarlyClassifier(16, epochs=5, random_state=0).fit(series, np.arange(40) % 2)
    >>> classes, decided = model.predict(series[:, :, :15])
    >>> (classes == np.arange(40) % 2)[decided].mean() > 0.9
    np.True_
    """

    _tags: ClassVar = {
        "X_inner_type": ["np-list", "numpy3D"],
        "capability:multivariate": True,
        "capability:unequal_length": True,
    }

    def __init__(
        self,
        layers: Any = (128,),
        *,
        neuron: Any = None,
        probability_threshold: float = 0.85,
        consecutive_predictions: int = 1,
        rule: Any = None,
        optimizer: Any = None,
        epochs: int = 40,
        batch_size: int = 32,
        random_state: Any = None,
    ):
        self.layers = layers
        self.neuron = neuron
        self.probability_threshold = probability_threshold
        self.consecutive_predictions = consecutive_predictions
        self.rule = rule
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> SpikingEarlyClassifier:
        if not 0 < self.probability_threshold <= 1:
            raise SnnlearnError(
                f"SpikingEarlyClassifier: probability_threshold is {self.probability_threshold}; give a number above "
                "0, at most 1"
            )
        if self.consecutive_predictions < 1:
            raise SnnlearnError(
                f"SpikingEarlyClassifier: consecutive_predictions is {self.consecutive_predictions}; give 1 or more"
            )
        self.classes_ = np.unique(y)
        self.n_classes_ = len(self.classes_)
        xs, names = samples(X), ("layers", "neuron", "rule", "optimizer", "epochs", "batch_size")
        parameters = {name: getattr(self, name) for name in names}
        parameters["random_state"] = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        parameters["loss"] = StepwiseCrossEntropy()
        self.num_frames_ = xs.shape[1]
        labels = np.searchsorted(self.classes_, y)
        self.hypothesis_ = learned(xs, labels, by_frames=True, parameters=parameters)
        return self

    def _predict(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        state, _ = self._decided(X)
        self.state_info = state
        return self.classes_[state[:, 2]], state[:, 1] > 0

    def _update_predict(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        self._check_update(X)
        return self._predict(X)

    def _predict_proba(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        state, probabilities = self._decided(X)
        self.state_info = state
        at = np.where(state[:, 1] > 0, state[:, 1], state[:, 0]) - 1
        return probabilities[np.arange(len(state)), at], state[:, 1] > 0

    def _update_predict_proba(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        self._check_update(X)
        return self._predict_proba(X)

    def _score(self, X: Any, y: np.ndarray) -> tuple[float, float, float]:
        """The harmonic mean of accuracy and of what is saved, accuracy, and the mean share of the series read."""
        classes, _ = self._predict(X)
        accuracy = float(np.mean(classes == y))
        state = self.state_info
        earliness = float(np.mean(np.where(state[:, 1] > 0, state[:, 1], state[:, 0]) / state[:, 3]))
        return float(hmean([accuracy, 1 - earliness])), accuracy, earliness

    def _check_update(self, X: Any) -> None:
        undecided = int(np.sum(self.state_info[:, 1] == 0))
        if len(X) > undecided:
            raise SnnlearnError(
                f"SpikingEarlyClassifier: {len(X)} cases to update, of which only {undecided} had no decision; leave "
                "out the others, or call reset_state_info"
            )

    def _decided(self, X: Any) -> tuple[Int[np.ndarray, "m 4"], Float[np.ndarray, "m T C"]]:
        lengths = np.minimum([one.shape[1] for one in X], self.num_frames_)
        xs = samples([one[:, : self.num_frames_] for one in X], self.num_frames_)
        probabilities = softmax(scores_by_frame(self.hypothesis_, xs).astype(np.float64), axis=2)
        frame, best = np.arange(1, self.num_frames_ + 1), np.argmax(probabilities, axis=2)
        same = (probabilities.max(axis=2) >= self.probability_threshold).astype(int)
        for t in range(1, self.num_frames_):
            same[:, t] *= 1 + np.where(best[:, t] == best[:, t - 1], same[:, t - 1], 0)
        sure = ((same >= self.consecutive_predictions) | (frame == self.num_frames_)) & (frame <= lengths[:, None])
        when = np.where(sure.any(axis=1), np.argmax(sure, axis=1) + 1, 0)
        classes = best[np.arange(len(xs)), np.where(when > 0, when, lengths) - 1]
        return np.stack([lengths, when, classes, np.full(len(xs), self.num_frames_)], axis=1), probabilities

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"layers": (8,), "epochs": 2, "batch_size": 8}
