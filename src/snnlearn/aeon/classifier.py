"""A spiking network as a classifier of aeon."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from aeon.classification.base import BaseClassifier  # pyright: ignore[reportMissingImports]
from scipy.special import softmax
from sklearn.utils import check_random_state

from snnlearn.aeon.series import frames_serve_better, learned, samples
from snnlearn.hypothesis import scores


class SpikingSeriesClassifier(BaseClassifier):
    """A spiking network that classifies time series, of equal or different lengths and any number of channels.

    A series is given frame by frame, each channel scaled by its mean and standard deviation; or as a whole, all of it
    as the input of each of 20 steps, each value scaled by its own. Series of different lengths end when they end:
    nothing is filled in. Other parameters are those of [`SpikingClassifier`][snnlearn.sklearn.SpikingClassifier].

    Args:
        layers: units of each hidden layer; a number is one layer.
        neuron: the hidden layers' neurons; None is `LIF()`.
        by_frames: whether a series is given frame by frame; None lets short trainings decide on a quarter that is held
            out, if all series are of one length.
        rule: the learning rule; None is `BPTT()`.
        loss: the loss of one sample; None is the rule's usual one.
        optimizer: an `Optimizer`, or one of Optax; None is `Optimizer()`.
        epochs: passes over the training sample, ≥ 1; a small sample is repeated until it fills 16 batches.
        batch_size: samples of one gradient, ≥ 1.
        random_state: seed of weights, order and held out samples; a number, a `RandomState` or None.

    Attributes:
        hypothesis_: encoder, network and decoder, for `snnlearn.save` and the rest of the library.

    Raises:
        SnnlearnError: from `fit`, for a parameter of another kind or out of range.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(i % 2, 1.0, (2, 10 + i % 5)) for i in range(40)]
    >>> model = SpikingSeriesClassifier(16, epochs=5, random_state=0).fit(series, np.arange(40) % 2)
    >>> model.score(series, np.arange(40) % 2) > 0.9
    True
    """

    _tags: ClassVar = {
        "X_inner_type": ["np-list", "numpy3D"],
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "algorithm_type": "deeplearning",
    }

    def __init__(
        self,
        layers: Any = (128,),
        *,
        neuron: Any = None,
        by_frames: bool | None = None,
        rule: Any = None,
        loss: Any = None,
        optimizer: Any = None,
        epochs: int = 40,
        batch_size: int = 32,
        random_state: Any = None,
    ):
        self.layers = layers
        self.neuron = neuron
        self.by_frames = by_frames
        self.rule = rule
        self.loss = loss
        self.optimizer = optimizer
        self.epochs = epochs
        self.batch_size = batch_size
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: np.ndarray) -> SpikingSeriesClassifier:
        xs, labels = samples(X), np.searchsorted(self.classes_, y)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        names = ("layers", "neuron", "rule", "loss", "optimizer", "epochs", "batch_size")
        parameters = {name: getattr(self, name) for name in names} | {"random_state": seed}
        by_frames = self.by_frames
        if by_frames is None:
            by_frames = frames_serve_better(xs, labels, parameters=parameters, seed=seed)
        self.num_frames_ = xs.shape[1]
        self.hypothesis_ = learned(xs, labels, by_frames=by_frames, parameters=parameters)
        return self

    def _predict(self, X: Any) -> np.ndarray:
        return self.classes_[np.argmax(self._predict_proba(X), axis=1)]

    def _predict_proba(self, X: Any) -> np.ndarray:
        xs = samples([one[:, : self.num_frames_] for one in X], self.num_frames_)
        return softmax(np.asarray(scores(self.hypothesis_, xs), np.float64), axis=1)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"layers": (8,), "epochs": 2, "batch_size": 8}
