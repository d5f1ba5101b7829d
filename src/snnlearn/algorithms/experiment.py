"""An experiment: everything that determines a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, final

from jaxtyping import Array, Key

from snnlearn._arguments import check_fields
from snnlearn.algorithms.iterative import AbstractIterativeAlgorithm, Epoch, Training
from snnlearn.coding import AbstractEncoder
from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network

A = TypeVar("A", bound=AbstractIterativeAlgorithm)


@final
@dataclass(frozen=True, eq=False)
class Experiment(Generic[A]):
    """Data, encoder, network, algorithm and random keys: everything that determines a training.

    The algorithm gets the training and the validation sample; the test sample stays here, for the risk.

    Args:
        data: the task.
        encoder: from one `x` to the network's input over time.
        network: the networks' structure; the algorithm draws their weights.
        algorithm: how to learn.
        keys: a random key for each of K trainings, which run side by side, `[K]`.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> import jax, snnlearn as sl
    >>> data = sl.data.yin_yang(num_train=100, num_validation=50, num_test=50)
    >>> network = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
    >>> algorithm = sl.algorithms.GradientDescent(epochs=2, batch_size=20)
    >>> keys = jax.random.split(jax.random.key(1), 2)
    >>> experiment = sl.Experiment(data, sl.coding.Current(num_steps=10), network, algorithm, keys)
    >>> for epoch in experiment.epochs():
    ...     print(epoch.number, epoch.metrics.validation_error.shape)
    1 (2,)
    2 (2,)
    >>> [sl.risk.risk(f, data.test).n for f in experiment.hypotheses(epoch.training)]
    [50, 50]
    """

    data: Dataset
    encoder: AbstractEncoder
    network: Network
    algorithm: A
    keys: Key[Array, " K"]

    def __post_init__(self) -> None:
        check_fields(self, "data", "encoder", "network", "algorithm", "keys")

    def start(self) -> Training:
        """A training before its first epoch.

        Raises:
            SnnlearnError: if encoder, network, data and algorithm do not fit together.
        """
        return self.algorithm.start(self.encoder, self.network, self.data.learning, keys=self.keys)

    def epochs(self, training: Training | None = None) -> Iterator[Epoch]:
        """Train, and yield each epoch when it is finished.

        Args:
            training: where to continue; None starts.

        Raises:
            Diverged: if the loss, the gradient or a parameter is no longer finite.
        """
        return self.algorithm.go_on(self.encoder, self.start() if training is None else training, self.data.learning)

    def run(self, after_epoch: Callable[[Epoch], object] = lambda _: None) -> Training:
        """Train to the last epoch.

        Args:
            after_epoch: called with each finished epoch.

        Raises:
            Diverged: as `epochs`.
        """
        training = self.start()
        for epoch in self.epochs(training):
            training = epoch.training
            after_epoch(epoch)
        return training

    def hypotheses(self, training: Training) -> list[Hypothesis]:
        """The hypotheses of a training so far: one for each key, selected by the validation sample.

        Args:
            training: of this experiment.
        """
        return self.algorithm.hypotheses(self.encoder, training)
