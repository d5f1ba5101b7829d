"""Algorithms as functions, classes of few-bit networks, and power laws."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn import data, risk
from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample

# --- algorithms


def test_an_estimator_is_an_algorithm_and_is_fitted_afresh():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    task, estimator = data.GaussianPair(1.5, 4), LinearDiscriminantAnalysis()
    learn = risk.from_estimator(estimator)
    values = [risk.excess_risk(learn(task.draw(m, seed=m)), task, m=20_000, seed=9)[0] for m in (30, 3000)]
    assert values[1] < 0.003 < values[0]  # the Bayes-optimal function is linear
    assert not hasattr(estimator, "coef_")
    assert learn(Sample(np.eye(2), np.array([1, 1])))(np.eye(2)).tolist() == [1, 1]


def test_minimisation_over_a_finite_class_is_exact():
    task = data.GaussianScales(1.0, 3.0)
    thresholds = np.linspace(0, 4, 41)
    hypotheses = [lambda x, t=t: (np.abs(x[:, 0]) > t).astype(int) for t in thresholds]
    sample = task.draw(5000, seed=1)
    found = risk.minimise_empirical_risk(hypotheses)(sample)
    errors = [np.mean((np.abs(sample.x[:, 0]) > t) != sample.y) for t in thresholds]
    assert np.mean(found(sample.x) != sample.y) == min(errors)
    assert abs(thresholds[np.argmin(errors)] - task.threshold) < 0.3


def test_a_training_is_an_algorithm():
    task = data.GaussianPair(2.5, 2)
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=8), -5.0, 5.0)
    network = sl.network.feedforward((2, 12, 2), use_bias=True, key=jax.random.key(0))
    algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(3e-2), epochs=25, batch_size=20)
    learn = risk.from_algorithm(algorithm, encoder, network, key=jax.random.key(1))
    assert risk.excess_risk(learn(task.draw(300)), task, m=5000, seed=3)[0] < 0.1


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: risk.from_estimator(3), "int has no fit"),
        (lambda: risk.minimise_empirical_risk([]), "hypotheses is empty"),
        (lambda: risk.full_batch_descent(sl.coding.Current(4), _network(), steps=0, key=jax.random.key(0)), "steps"),
        (lambda: risk.quantise(_network(), 0), "bits is 0"),
        (lambda: risk.occam_bound(0.1, -1.0, 10), "log_size is -1"),
        (lambda: risk.occam_bound(0.1, 1.0, 10, delta=1.0), "delta is 1"),
        (lambda: risk.occam_bound(1.5, 1.0, 10), "q is 1.5"),
        (lambda: risk.fit_power_law([10, 10], np.ones((1, 2))), "two different"),
        (lambda: risk.fit_power_law([10, 20], np.zeros((1, 2))), "above 0"),
    ],
)
def test_refused(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()


def _network(*sizes):
    return sl.network.feedforward(sizes or (3, 5, 2), key=jax.random.key(0))


# --- few bits


@pytest.mark.parametrize("bits", [1, 2, 5, 12])
def test_rounded_weights_are_on_a_grid_of_2_to_the_b_values(bits):
    network = _network(40, 60, 2)
    rounded = risk.quantise(network, bits)
    for before, after in zip(network.layers, rounded.layers, strict=True):
        w, q = np.asarray(before.synapses.weight, float), np.asarray(after.synapses.weight, float)
        values = np.unique(q)
        step = np.diff(values).min()
        assert math.log2(step) == round(math.log2(step)) and values.size <= 2**bits
        if bits > 1:
            assert np.allclose(values / step, np.round(values / step))
            assert -(2 ** (bits - 1)) <= (values / step).min() and (values / step).max() <= 2 ** (bits - 1) - 1
        else:
            assert set(values) == {-step / 2, step / 2} and np.all((q < 0) == (w < 0))
        assert np.linalg.norm(q - w) < {1: 0.8, 2: 0.6, 5: 0.08, 12: 1e-3}[bits] * np.linalg.norm(w)


def test_occam_bound_is_below_hoeffding_and_is_the_binomial_exponent():
    log_size, m = math.log(1e6), 5000
    for empirical in (0.0, 0.05, 0.4):
        bound = risk.occam_bound(empirical, log_size, m)
        assert bound < empirical + math.sqrt((log_size + math.log(1 / 0.05)) / (2 * m))
        assert m * risk.bernoulli_kl(empirical, bound) == pytest.approx(log_size - math.log(0.05), rel=1e-9)


def test_a_class_of_few_bits_on_much_data_has_a_bound_that_says_something_and_holds():
    task = data.GaussianPair(2.0, 2)
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=6), -5.0, 5.0)
    # By hand: one input drives one output up, the other down; nothing was learned from the sample.
    network = sl.network.feedforward((2, 2), key=jax.random.key(0))
    weight = jnp.array([[-0.6, -0.5], [0.55, 0.65]])
    network = eqx.tree_at(lambda n: n.layers[0].synapses.weight, network, weight)
    hypothesis = sl.Hypothesis(encoder, network, sl.coding.MeanMembrane())
    found = risk.quantised_bound(hypothesis, task.draw(4000), 3, delta=0.1)
    assert found.log_size == pytest.approx((4 * 3 + 6) * math.log(2))
    assert found.bound == pytest.approx(risk.occam_bound(found.empirical_risk, found.log_size, 4000, delta=0.1))
    rounded = sl.Hypothesis(encoder, risk.quantise(network, 3), sl.coding.MeanMembrane())
    assert found.empirical_risk < found.bound < found.empirical_risk + 0.06
    assert risk.risk(rounded, task.draw(20_000, seed=5)).value < found.bound


# --- power laws


def test_power_law_of_exact_points_and_its_interval():
    m = np.array([50, 100, 400, 1600])
    exact = risk.fit_power_law(m, np.stack([0.8 * m**-0.4, 0.2 * m**-0.6]))
    assert exact.exponent == pytest.approx(0.5) and exact.scale == pytest.approx(0.4)
    assert exact.interval.low == pytest.approx(0.5 - 12.706204736 * 0.1, rel=1e-6)  # t with one degree of freedom
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        noisy = 2.0 * m**-0.35 * np.exp(0.1 * rng.standard_normal((5, 4)))
        low, high, _ = risk.fit_power_law(m, noisy).interval
        held += low <= 0.35 <= high
    assert held / 300 == pytest.approx(0.95, abs=0.04)
