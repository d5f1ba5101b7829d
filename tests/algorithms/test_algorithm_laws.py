"""Every algorithm obeys the laws, and what breaks one is found; none gets a test sample."""

from __future__ import annotations

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import snnlearn as sl
from snnlearn import algorithms
from snnlearn.algorithms import AbstractAlgorithm, GradientDescent, check_algorithm
from snnlearn.coding import Current, MeanMembrane

KEY = jax.random.key(0)
DATA = sl.data.yin_yang(num_train=12, num_validation=6, num_test=6)
ENCODER = Current(num_steps=3)
NETWORK = sl.network.feedforward((4, 3, 3), key=KEY)
ALL = {"GradientDescent": GradientDescent(epochs=1, batch_size=6)}


class Untrained(AbstractAlgorithm):
    """The network as it is."""

    def __call__(self, encoder, network, data, *, key):
        return sl.Hypothesis(encoder, network, MeanMembrane())


class AsksForTest(Untrained):
    def __call__(self, encoder, network, data, *, key):
        return super().__call__(encoder, network, data.test, key=key)


class NoHypothesis(Untrained):
    def __call__(self, encoder, network, data, *, key):
        return network


class Touches(Untrained):
    def __call__(self, encoder, network, data, *, key):
        data.validation.x[0] *= 0.5
        return super().__call__(encoder, network, data, key=key)


class FewClasses(Untrained):
    def __call__(self, encoder, network, data, *, key):
        return sl.Hypothesis(encoder, sl.network.feedforward((4, 3, 2), key=key), MeanMembrane())


class Infinite(Untrained):
    def __call__(self, encoder, network, data, *, key):
        network = eqx.tree_at(lambda n: n.layers[-1].synapses.weight, network, replace_fn=lambda w: w * jnp.inf)
        return super().__call__(encoder, network, data, key=key)


class Remembers(Untrained):
    """What it learned before is where it begins."""

    before: list

    def __call__(self, encoder, network, data, *, key):
        self.before.append(key)
        network = jax.tree.map(lambda leaf: leaf * len(self.before) if eqx.is_array(leaf) else leaf, network)
        return super().__call__(encoder, network, data, key=key)


def check(algorithm):
    check_algorithm(algorithm, ENCODER, NETWORK, DATA.learning, key=KEY)


@pytest.mark.parametrize("algorithm", ALL.values(), ids=ALL)
def test_an_algorithm_conforms(algorithm):
    check(algorithm)


def test_all_that_are_exported_are_checked():
    kinds = [kind for kind in vars(algorithms).values() if inspect.isclass(kind)]
    concrete = {k.__name__ for k in kinds if issubclass(k, AbstractAlgorithm) and not inspect.isabstract(k)}
    assert concrete == {*ALL, "Tuned"}, "which test_search.py checks, of a search that is at hand there"


@pytest.mark.parametrize(
    ("algorithm", "law"),
    [
        (AsksForTest(), "AsksForTest asks for the test sample"),
        (NoHypothesis(), "NoHypothesis gave Network, which is no Hypothesis"),
        (Touches(), "Touches changed what it was given"),
        (FewClasses(), "FewClasses gave a hypothesis with 2 scores for 3 classes"),
        (Infinite(), "Infinite gave a hypothesis whose scores are not finite"),
        (Remembers([]), "Remembers gave two hypotheses for one key"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractAlgorithm) else "",
)
def test_what_breaks_a_law_is_found(algorithm, law):
    check(Untrained())
    with pytest.raises(AssertionError, match=law):
        check(algorithm)


class Looks(Untrained):
    """Keeps what it was given."""

    seen: list

    def __call__(self, encoder, network, data, *, key):
        self.seen.append(data)
        return super().__call__(encoder, network, data, key=key)


def test_an_algorithm_is_given_no_test_sample():
    """Neither by `fit` nor where an algorithm stands for a map from samples; and gradient descent takes none."""
    looks = Looks([])
    sl.fit(looks, ENCODER, NETWORK, DATA, key=KEY)
    sl.risk.from_algorithm(looks, ENCODER, NETWORK, validation=0.3, key=KEY)(DATA.train)
    for data in looks.seen:
        parts = [value for value in vars(data).values() if isinstance(value, sl.data.Sample)]
        assert parts == [data.train, data.validation] and not hasattr(data, "test")
    assert looks.seen[0].train is DATA.train and looks.seen[0].validation is DATA.validation
    with pytest.raises(sl.SnnlearnError, match=r"data is a Dataset; give .*data.yin_yang\(\).learning"):
        ALL["GradientDescent"].start(ENCODER, NETWORK, DATA, keys=KEY[None])
