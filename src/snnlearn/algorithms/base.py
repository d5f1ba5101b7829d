"""The base of algorithms: maps from data to a hypothesis."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._component import Component
from snnlearn.coding import AbstractEncoder
from snnlearn.data import Dataset, LearningData
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network


class AbstractAlgorithm(Component):
    r"""An algorithm $\mathcal A:\bigcup_m\mathcal Z^m\to\mathcal F$, where encoder and network span $\mathcal F$."""

    @abstractmethod
    def __call__(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, key: PRNGKeyArray
    ) -> Hypothesis:
        """Learn from the training sample, and select by the validation sample.

        Args:
            encoder: from one `x` to the network's input over time.
            network: the network to train.
            data: the two samples; the test sample is not among them.
            key: random key of everything random in the training.
        """


@checked
def fit(
    algorithm: AbstractAlgorithm, encoder: AbstractEncoder, network: Network, data: Dataset, *, key: PRNGKeyArray
) -> Hypothesis:
    """Learn a hypothesis from data: `algorithm(encoder, network, data.learning, key=key)`.

    Args:
        algorithm: how to learn.
        encoder: from one `x` to the network's input over time.
        network: the network to train.
        data: the data; the algorithm gets all but the test sample.
        key: random key of everything random in the training.

    Raises:
        SnnlearnError: if an argument is of another kind, or they do not fit together.

    >>> import jax, optax, snnlearn as sl
    >>> data = sl.data.yin_yang(num_train=100, num_validation=50, num_test=50)
    >>> network = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
    >>> algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(1e-2), epochs=2, batch_size=20)
    >>> hypothesis = sl.fit(algorithm, sl.coding.Current(num_steps=10), network, data, key=jax.random.key(1))
    >>> sl.risk.risk(hypothesis, data.test).n
    50
    """
    return algorithm(encoder, network, data.learning, key=key)
