"""No free lunch by enumeration, double descent and excess risk against closed forms."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import data, risk
from snnlearn._errors import SnnlearnError

K, N = 4, 2


def nearest(points, labels):
    return labels[np.argmin(np.abs(np.arange(K)[:, None] - points), axis=1)]


def contrary(points, labels):
    out = 1 - nearest(points, labels)
    out[points] = labels
    return out


def constant(points, labels):
    return np.zeros(K, int)


def majority(points, labels):
    return np.full(K, int(labels.mean() > 0.5))


def tree(points, labels):
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=0).fit(points[:, None], labels).predict(np.arange(K)[:, None])


def spiking():
    """A spiking network with one input for each point, trained by BPTT on what it sees."""
    network = sl.network.feedforward((K, 8, 2), key=jax.random.key(0))
    network = jax.tree.map(lambda leaf: 3 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    inputs = jnp.repeat(4 * jnp.eye(K)[:, None], 6, axis=1)
    rule, loss = sl.rules.BPTT(), sl.losses.CrossEntropy()

    @eqx.filter_jit
    def learn(points, labels):
        def step(network, _):
            _, gradient = rule(network, loss, inputs[points], labels, key=jax.random.key(0))
            return eqx.apply_updates(network, jax.tree.map(lambda g: -0.3 * g, gradient)), None

        parameters, constants = eqx.partition(network, eqx.is_inexact_array)
        step_ = lambda p, _: (eqx.filter(step(eqx.combine(p, constants), None)[0], eqx.is_inexact_array), None)  # noqa: E731
        parameters, _ = jax.lax.scan(step_, parameters, length=40)
        trained = eqx.combine(parameters, constants)
        return jnp.argmax(jax.vmap(lambda x: loss.decoder(trained(x)[0]))(inputs), axis=1)  # pyright: ignore[reportOptionalCall]

    return lambda points, labels: np.asarray(learn(jnp.asarray(points), jnp.asarray(labels)))


LEARNERS = {"nearest": nearest, "contrary": contrary, "constant": constant, "majority": majority, "tree": tree}


@pytest.mark.parametrize("name", [*LEARNERS, "spiking"])
def test_no_learner_has_a_free_lunch(name):
    found = risk.no_free_lunch(spiking() if name == "spiking" else LEARNERS[name], K, N)
    assert found.off_training_set == pytest.approx(0.5, abs=1e-12)
    assert found.risk == pytest.approx(risk.no_free_lunch_risk(K, N) + found.seen, abs=1e-12)
    assert found.of_task.max() >= risk.no_free_lunch_risk(K, N)
    if name in ("nearest", "contrary", "tree"):  # these remember what they saw
        assert found.seen == 0 and found.risk == pytest.approx(0.28125, abs=1e-12)


def test_with_a_prior_on_tasks_learners_differ():
    tasks = risk.labelings(K)
    smooth = np.array([0.1 ** np.sum(task[1:] != task[:-1]) for task in tasks])
    prior = smooth / smooth.sum()
    good, bad = (risk.no_free_lunch(f, K, N, prior=prior) for f in (nearest, contrary))
    assert good.off_training_set < 0.2 < 0.8 < bad.off_training_set


def test_closed_forms_of_no_free_lunch():
    values = [risk.no_free_lunch_risk(*kn) for kn in ((4, 2), (10, 5), (100, 50), (20, 10))]
    assert values == pytest.approx([0.28125, 0.295245, 0.302503, 0.299368], abs=6e-7)


@pytest.mark.parametrize("p", [10, 20, 60, 100])
def test_double_descent_simulation_meets_the_closed_form(p):
    expected = risk.least_squares_risk(p, 40, kept=p / 100, dropped=1 - p / 100, noise=0.5)
    mean, error = risk.simulate_least_squares(p, 40, np.full(100, 0.1), 0.5, repetitions=2000 if p < 100 else 800)
    assert abs(mean - expected) < 3 * error
    assert math.isinf(risk.least_squares_risk(40, 40, kept=0.4, dropped=0.6, noise=0.5))


def test_excess_risk_of_thresholds_is_the_closed_form():
    from scipy import stats

    task = data.GaussianPair(1.0)
    shifted = lambda x: (x[:, 0] > 0.7).astype(int)  # noqa: E731
    exact = 0.5 * (stats.norm.sf(1.7) + stats.norm.cdf(-0.3)) - task.bayes_risk
    value, interval = risk.excess_risk(shifted, task, m=100_000)
    assert value == pytest.approx(exact, abs=0.002) and interval.low < exact < interval.high


def test_decomposition_sums_exactly():
    task = data.GaussianXor(1.5)
    sample = task.draw(60, seed=3)
    thresholds = np.linspace(-2, 2, 21)
    rules = [lambda x, a=a, i=i: (x[:, i] > a).astype(int) for a in thresholds for i in (0, 1)]
    minimiser = min(rules, key=lambda f: np.mean(f(sample.x) != sample.y))
    best = min(rules, key=lambda f: risk.excess_risk(f, task, m=4000)[0])
    found = risk.decompose(rules[0], minimiser, best, sample, task, seed=9)
    assert found.a + found.b + found.c + found.d == pytest.approx(found.excess, abs=1e-14)
    parts = found.optimisation + found.estimation + found.approximation
    assert parts == pytest.approx(found.excess, abs=1e-14)
    assert found.d > 0.2 and found.a_interval.low <= found.a <= found.a_interval.high


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: risk.labelings(13), "k is 13"),
        (lambda: risk.no_free_lunch(constant, 4, 0), "n 0"),
        (lambda: risk.no_free_lunch(constant, 4, 2, prior=np.ones(16)), "probabilities"),
        (lambda: risk.no_free_lunch_risk(0, 1), "k is 0"),
        (lambda: risk.least_squares_risk(-1, 4, kept=1.0, dropped=0.0, noise=0.0), "p -1"),
    ],
)
def test_theory_refuses(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()
