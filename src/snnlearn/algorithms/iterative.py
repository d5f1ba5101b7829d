"""Algorithms that run in epochs, several trainings side by side, which can be stopped and resumed."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, final

import equinox as eqx
import jax
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, Real

from snnlearn.algorithms.base import AbstractAlgorithm
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network


@final
class Training(eqx.Module):
    """A training between two epochs: all that is needed to continue, for K seeds along each array's first axis.

    Args:
        network: the network as trained so far.
        optimizer_state: the optimiser's.
        key: random key of each seed.
        epoch: epochs done.
        best_network: the network with the fewest validation errors so far.
        best_errors: its validation errors, whole numbers unless the sample has weights.
        best_loss: its validation loss, which decides between equal errors.
        best_epoch: the epoch after which it was found, from 1.
    """

    network: Network
    optimizer_state: optax.OptState
    key: Key[Array, "*K"]
    epoch: Int[Array, "*K"]
    best_network: Network
    best_errors: Real[Array, "*K"]
    best_loss: Float[Array, "*K"]
    best_epoch: Int[Array, "*K"]


class Metrics(NamedTuple):
    """How an epoch went, for K random seeds.

    Args:
        training_loss: mean over the epoch's batches, each before its update.
        gradient_norm: Euclidean norm of the gradient of all parameters, mean over the epoch's updates.
        validation_loss: mean loss after the epoch.
        validation_error: share of wrong decisions after the epoch, in [0, 1]; 0 where nothing is decided.
    """

    training_loss: Float[Array, "*K"]
    gradient_norm: Float[Array, "*K"]
    validation_loss: Float[Array, "*K"]
    validation_error: Float[Array, "*K"]


class Epoch(NamedTuple):
    """A finished epoch.

    Args:
        number: from 1.
        training: the training after it.
        metrics: how it went.
        seconds: its duration for all seeds together; the first epoch also compiles.
    """

    number: int
    training: Training
    metrics: Metrics
    seconds: float


class AbstractIterativeAlgorithm(AbstractAlgorithm):
    """An algorithm that runs K trainings side by side in epochs, between which it may be stopped."""

    epochs: eqx.AbstractVar[int]

    @abstractmethod
    def start(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, keys: Key[Array, " K"]
    ) -> Training:
        """A training before its first epoch.

        Args:
            encoder: from one `x` to the network's input over time.
            network: the networks' structure.
            data: the training and the validation sample.
            keys: a random key for each training, `[K]`.
        """

    @abstractmethod
    def epoch(self, encoder: AbstractEncoder, training: Training, data: LearningData) -> tuple[Training, Metrics]:
        """Train for one epoch.

        Args:
            encoder: as at the start.
            training: the training so far.
            data: as at the start.

        Returns:
            the training after the epoch, and how it went.
        """

    @abstractmethod
    def hypotheses(self, encoder: AbstractEncoder, training: Training) -> list[Hypothesis]:
        """The hypotheses chosen so far, one for each seed.

        Args:
            encoder: as at the start.
            training: the training so far.
        """

    def go_on(self, encoder: AbstractEncoder, training: Training, data: LearningData) -> Iterator[Epoch]:
        """The remaining epochs, one after the other.

        Args:
            encoder: as at the start.
            training: the training so far.
            data: as at the start.
        """
        for number in range(int(training.epoch[0]) + 1, self.epochs + 1):
            start = time.perf_counter()
            training, metrics = jax.block_until_ready(self.epoch(encoder, training, data))
            yield Epoch(number, training, metrics, time.perf_counter() - start)

    def __call__(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, key: PRNGKeyArray
    ) -> Hypothesis:
        """See the base."""
        training = self.start(encoder, network, data, keys=key[None])
        for epoch in self.go_on(encoder, training, data):
            training = epoch.training
        return self.hypotheses(encoder, training)[0]
