"""The laws that every algorithm obeys; use them to check your own.

>>> import snnlearn as sl
>>> data = sl.data.yin_yang(num_train=40, num_validation=20, num_test=20).learning
>>> network = sl.network.feedforward((4, 3, 3), key=jax.random.key(0))
>>> algorithm = sl.algorithms.GradientDescent(epochs=1, batch_size=20)
>>> check_algorithm(algorithm, sl.coding.Current(num_steps=5), network, data, key=jax.random.key(1))
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from snnlearn.algorithms.base import AbstractAlgorithm
from snnlearn.algorithms.devices import is_key
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData
from snnlearn.hypothesis import Hypothesis, scores
from snnlearn.network import Network


def check_algorithm(
    algorithm: AbstractAlgorithm, encoder: AbstractEncoder, network: Network, data: LearningData, *, key: PRNGKeyArray
) -> None:
    """Check an algorithm's laws on an encoder, a network and data.

    It returns a hypothesis with a finite score for each class of each sample; the same key gives the same hypothesis,
    whatever was learned in between; encoder, network and data are not changed; and it does not ask for the test sample.

    Args:
        algorithm: the algorithm.
        encoder: from one `x` to the network's input over time.
        network: the network to train.
        data: the training and the validation sample; small ones will do, as the algorithm runs three times.
        key: random key of the first run.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(algorithm).__name__
    given = (encoder, network, data.train, data.validation)
    before = _arrays(given)

    def learn(key: PRNGKeyArray) -> Any:
        try:
            return algorithm(encoder, network, data, key=key)
        except AttributeError as error:
            if error.obj is data and error.name == "test":
                raise AssertionError(f"{name} asks for the test sample, which is for the risk alone") from error
            raise

    found = learn(key)
    _demand(isinstance(found, Hypothesis), f"{name} gave {type(found).__name__}, which is no Hypothesis")
    _demand(_same(_arrays(given), before), f"{name} changed what it was given: encoder, network or data")
    scored = scores(found, data.validation.x)
    _demand(
        scored.shape == (len(data.validation.y), data.num_outputs),
        f"{name} gave a hypothesis with {scored.shape[-1]} scores for {data.num_outputs} "
        f"{'values' if data.num_classes is None else 'classes'}",
    )
    _demand(bool(np.isfinite(scored).all()), f"{name} gave a hypothesis whose scores are not finite")
    learn(jax.random.fold_in(key, 1))
    again = learn(key)
    alike = jax.tree.structure(again) == jax.tree.structure(found)
    _demand(alike and _same(_arrays(again), _arrays(found)), f"{name} gave two hypotheses for one key")


def _arrays(tree: Any) -> list[np.ndarray]:
    """Copies of all arrays, random keys as their bits."""
    arrays = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_array_like(leaf)]
    return [np.array(jax.random.key_data(leaf) if is_key(leaf) else leaf) for leaf in arrays]


def _same(actual: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(actual) == len(expected) and all(map(np.array_equal, actual, expected))


def _demand(law: bool, sentence: str) -> None:
    """`assert`, but not switched off by `python -O`."""
    if not law:
        raise AssertionError(sentence)
