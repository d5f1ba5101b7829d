r"""Algorithms $\mathcal A : \bigcup_m\mathcal Z^m\to\mathcal F$ as plain functions, so that theory can be done to any.

An estimator with scikit-learn's interface, a spiking network with any training, and exact minimisation of the empirical
risk over a finite class all become the same: a function from a sample to a function that decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split
from snnlearn.algorithms import AbstractAlgorithm
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData, Sample
from snnlearn.data.base import check, hold_out
from snnlearn.data.ends import lengths_of
from snnlearn.hypothesis import decide, decoded, encode, predict
from snnlearn.losses import AbstractLoss, CrossEntropy
from snnlearn.losses.ends import ended_by
from snnlearn.network import Network
from snnlearn.risk.all_tasks import Learner
from snnlearn.risk.cross_validation import Decide
from snnlearn.rules import BPTT, AbstractRule

Learn = Callable[[Sample], Decide]
"""An algorithm: from a sample to a hypothesis."""


@checked
def from_estimator(estimator: Any) -> Learn:
    """Any classifier with scikit-learn's interface as an algorithm; each sample gets a fresh copy of it.

    Args:
        estimator: has `fit(x, y)` and `predict(x)`; x are flattened to `[m, d]`. Where all labels are equal, that label
            is the decision, since many estimators refuse such a sample.

    Raises:
        SnnlearnError: if the estimator has no `fit` or `predict`.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> decide = from_estimator(KNeighborsClassifier(1))(Sample(np.array([[0.0], [1.0]]), np.array([0, 1])))
    >>> decide(np.array([[0.9], [0.2]])).tolist()
    [1, 0]
    """
    from sklearn.base import clone

    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise SnnlearnError(f"from_estimator: {type(estimator).__name__} has no fit and predict; give an estimator")

    def learn(sample: Sample) -> Decide:
        check(sample, "from_estimator: the sample")
        if np.all(sample.y == sample.y[0]):
            return lambda x: np.full(len(x), sample.y[0])
        fresh: Any = clone(estimator)
        fitted = fresh.fit(sample.x.reshape(len(sample.x), -1), sample.y)
        return lambda x: np.asarray(fitted.predict(x.reshape(len(x), -1)))

    return learn


@checked
def from_algorithm(
    algorithm: AbstractAlgorithm,
    encoder: AbstractEncoder,
    network: Network,
    *,
    validation: float = 0.2,
    key: PRNGKeyArray,
) -> Learn:
    """The training of a spiking network as an algorithm; what it selects by, it takes from the sample that it gets.

    Args:
        algorithm: how to train.
        encoder: from one `x` to the network's input over time.
        network: the network to train; one output for each class.
        validation: share of the sample that selects, in (0, 1).
        key: random key of everything random in the training; the same for each sample.

    Raises:
        SnnlearnError: for an argument of another kind; later, by what is returned, for a sample that cannot be split.
    """

    def learn(sample: Sample) -> Decide:
        train, held_out = hold_out(sample, validation=validation, seed=0)
        data = LearningData("sample", train, held_out, network.out_shape[0])
        hypothesis = algorithm(encoder, network, data, key=key)
        return lambda x: predict(hypothesis, x)

    return learn


@checked
def minimise_empirical_risk(hypotheses: Sequence[Decide]) -> Learn:
    r"""Empirical risk minimisation over a finite class, exactly: $\mathcal A(s)\in\arg\min_{f\in F}\hat R_s(f)$.

    Args:
        hypotheses: the class F; the first among equals is taken.

    Raises:
        SnnlearnError: if there are no hypotheses.

    >>> thresholds = [lambda x, a=a: (x[:, 0] > a).astype(int) for a in (0.0, 1.0, 2.0)]
    >>> sample = Sample(np.array([[0.5], [1.5]]), np.array([0, 1]))
    >>> minimise_empirical_risk(thresholds)(sample) is thresholds[1]
    True
    """
    if not hypotheses:
        raise SnnlearnError("minimise_empirical_risk: hypotheses is empty; give at least one")

    def learn(sample: Sample) -> Decide:
        check(sample, "minimise_empirical_risk: the sample")
        return min(hypotheses, key=lambda f: np.mean(np.asarray(f(sample.x)) != sample.y))

    return learn


@checked
def on_points(learn: Learn, k: int) -> Learner:
    """An algorithm as a learner of [`no_free_lunch`][snnlearn.risk.no_free_lunch]: point j is the j-th unit vector.

    Args:
        learn: the algorithm.
        k: points, ≥ 1.

    Raises:
        SnnlearnError: for an argument of another kind.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> learner = on_points(from_estimator(KNeighborsClassifier(1)), 3)
    >>> learner(np.array([2, 0]), np.array([1, 0]))[[2, 0]].tolist()
    [1, 0]
    """
    points = np.eye(k, dtype=np.float32)
    return lambda seen, labels: np.asarray(learn(Sample(points[seen], labels))(points))


@checked
def full_batch_descent(
    encoder: AbstractEncoder,
    network: Network,
    *,
    rule: AbstractRule = BPTT(),  # noqa: B008
    loss: AbstractLoss = CrossEntropy(),  # noqa: B008
    steps: int = 60,
    learning_rate: float = 0.3,
    key: PRNGKeyArray,
) -> Learn:
    """Gradient descent on all of the sample, from the network as it is, with nothing set aside: for tiny samples.

    Args:
        encoder: from one `x` to the network's input over time.
        network: where the descent starts.
        rule: where the gradient comes from.
        loss: of one sample; its decoder decides.
        steps: of the descent, ≥ 1.
        learning_rate: > 0.
        key: random key of codes and rule.

    Raises:
        SnnlearnError: if a number is out of range or the loss does not decide.
    """
    if steps < 1 or not learning_rate > 0 or loss.decoder is None:
        raise SnnlearnError(
            f"full_batch_descent: steps is {steps}, learning_rate {learning_rate}; give at least 1, a number above 0, "
            "and a loss with a decoder"
        )
    decoder = loss.decoder
    start, constants = split(network)

    @eqx.filter_jit
    def descend(loss, x, y):
        def step(parameters, key):
            encoder_key, rule_key = jax.random.split(key)
            inputs = encode(encoder, x, key=encoder_key)
            _, gradient = rule(eqx.combine(parameters, constants), loss, inputs, y, key=rule_key)
            return jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradient), None

        return jax.lax.scan(step, start, jax.random.split(key, steps))[0]

    @eqx.filter_jit
    def decided(parameters, x):
        trained = eqx.combine(parameters, constants)
        scores = jax.vmap(lambda x, xs: decoded(encoder, decoder, x, trained(xs)[0]))(x, encode(encoder, x, key=key))
        return decide(scores, key=jax.random.fold_in(key, 1))

    def learn(sample: Sample) -> Decide:
        check(sample, "full_batch_descent: the sample")
        x, y = jnp.asarray(sample.x), jnp.asarray(sample.y)
        of_sample, targets = (loss, y) if lengths_of(sample.x) is None else ended_by(encoder, loss, x, y)
        trained = descend(of_sample, x, targets)
        return lambda x: np.asarray(decided(trained, jnp.asarray(x)))

    return learn
