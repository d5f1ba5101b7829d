"""Capacity by norms and by fitting random signs; kernels of wide networks."""

from __future__ import annotations

import math

import equinox as eqx
import jax
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import risk
from snnlearn._errors import SnnlearnError

RNG = np.random.default_rng(0)


def test_rademacher_by_fitting_is_exact_where_the_minimiser_is():
    x = np.linspace(0.0, 1.0, 8)[:, None]
    cuts = np.arange(-0.5, 9) / 7 - 1e-9
    rules = [lambda x, c=c, s=s: ((x[:, 0] > c) == s).astype(int) for c in cuts for s in (True, False)]
    fitted, error = risk.rademacher_of_learner(risk.minimise_empirical_risk(rules), x, draws=256)
    outputs = np.array([2.0 * rule(x) - 1 for rule in rules])
    assert fitted == pytest.approx(risk.rademacher_of_class(outputs)[0], abs=1e-12) and error == 0.0


def test_a_spiking_network_fits_random_signs_of_orthogonal_samples():
    x = np.eye(12, dtype=np.float32)
    network = sl.network.feedforward((12, 64, 2), key=jax.random.key(0))
    network = jax.tree.map(lambda leaf: 3 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=12), 0.0, 0.25)
    learn = risk.full_batch_descent(encoder, network, steps=100, learning_rate=1.0, key=jax.random.key(0))
    mean, error = risk.rademacher_of_learner(learn, x, draws=6)
    constant = risk.rademacher_of_learner(risk.minimise_empirical_risk([lambda x: np.zeros(len(x), int)]), x, draws=6)
    assert 0.8 < mean <= 1 and 0 <= error < 0.1 and abs(constant[0]) < 0.5


def test_norm_complexity_bounds_what_random_networks_reach():
    x = RNG.standard_normal((30, 5))
    weights = [RNG.standard_normal((16, 5)), RNG.standard_normal((1, 16))]
    bound = risk.norm_complexity(weights, x)
    # For one layer the complexity is known: Λ/m E‖Σ σ x‖, below the bound by no more than the depth's factor.
    single = [weights[0][:1]]
    exact = risk.rademacher_of_linear(x, float(np.linalg.norm(single[0])))[0]
    assert exact < risk.norm_complexity(single, x) < 2.4 * exact
    norms = [np.linalg.norm(w) for w in weights]
    best = []
    for sign in RNG.choice([-1.0, 1.0], (20, 30)):
        candidates = []
        for _ in range(50):
            first, second = (
                n * (w := RNG.standard_normal(v.shape)) / np.linalg.norm(w) for n, v in zip(norms, weights, strict=True)
            )
            candidates.append(sign @ (np.maximum(x @ first.T, 0) @ second.T)[:, 0] / 30)
        best.append(max(candidates))
    assert 0 < np.mean(best) < bound
    assert bound == pytest.approx(math.sqrt(np.sum(x**2)) / 30 * (math.sqrt(4 * math.log(2)) + 1) * norms[0] * norms[1])


def test_spectral_complexity():
    weights = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([[0.6, 0.8]])]
    by_hand = 4.0 * 1.0 * ((7 / 4) ** (2 / 3) + 1.0) ** 1.5
    assert risk.spectral_complexity(weights) == pytest.approx(by_hand)
    assert risk.spectral_complexity(weights, weights) == 0.0
    assert risk.spectral_complexity([2 * weights[0], weights[1]]) == pytest.approx(2 * by_hand)


def test_margin_bound_of_several_classes_and_transfer():
    scores = np.array([[3.0, 1.0, 0.0], [0.0, 0.2, 0.1], [1.0, 0.0, 2.0]])
    labels = np.array([0, 1, 0])
    assert [risk.margin_error(scores, labels, r) for r in (0.0, 0.15, 2.5)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    expected = 0.2 + 4 * 3 / 0.5 * 0.001 + math.sqrt(math.log(10) / 400)
    assert risk.margin_bound(0.2, 0.001, 200, margin=0.5, classes=3, delta=0.1) == pytest.approx(expected)
    # One-sided: 7 disagreements in 100 are as few in 1 of 10 cases where the bound is the truth.
    from scipy import stats

    extra = risk.transferred_bound(0.3, 7, 100, delta=0.1) - 0.3
    assert stats.binom.cdf(7, 100, extra) == pytest.approx(0.1, abs=1e-9)


def test_kernels_are_what_wide_networks_have():
    x, y = RNG.standard_normal((2, 3))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    w = RNG.standard_normal((400_000, 3))
    a, b = w @ x, w @ y
    zero, one = risk.arc_cosine_kernels(float(x @ y))
    assert 2 * np.mean((a > 0) & (b > 0)) == pytest.approx(float(zero), abs=0.01)
    assert 2 * np.mean(np.maximum(a, 0) * np.maximum(b, 0)) == pytest.approx(float(one), abs=0.01)
    u = float(x @ y)
    theta = risk.tangent_kernel(3 * x[None], y[None])[0, 0]
    assert theta == pytest.approx(float(one) + u * float(zero))
    second = risk.arc_cosine_kernels(float(one))
    deep = risk.tangent_kernel(x[None], y[None], depth=2)[0, 0]
    assert deep == pytest.approx(theta * float(second[0]) + float(second[1]))


def test_gradient_flow_is_the_limit_of_small_steps():
    a = RNG.standard_normal((4, 4))
    kernel, start, target = a @ a.T, RNG.standard_normal(4), RNG.standard_normal(4)
    f = start.copy()
    for _ in range(20_000):
        f -= 1e-4 * kernel @ (f - target) / 4
    assert risk.gradient_flow(kernel, start, target, 2.0) == pytest.approx(f, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: risk.rademacher_of_learner(lambda s: lambda x: x, np.zeros((0, 2))), "shape"),
        (lambda: risk.rademacher_of_learner(lambda s: lambda x: x, np.eye(3), draws=1), "draws is 1"),
        (lambda: risk.norm_complexity([], np.eye(2)), "shapes"),
        (lambda: risk.spectral_complexity([np.eye(2)], [np.eye(3)]), "differ in shape"),
        (lambda: risk.margin_bound(0.1, 0.1, 10, margin=0.0), "margin 0"),
        (lambda: risk.transferred_bound(0.1, 1, 10, delta=0.7), "delta is 0.7"),
        (lambda: risk.arc_cosine_kernels(1.5), "cosines"),
        (lambda: risk.tangent_kernel(np.eye(2), np.zeros((1, 2))), "length 0"),
        (lambda: risk.tangent_kernel(np.eye(2), np.eye(2), depth=0), "depth is 0"),
        (lambda: risk.gradient_flow(np.eye(2), np.zeros(2), np.zeros(2), -1.0), "time"),
    ],
)
def test_refused(call, names):
    with pytest.raises(SnnlearnError, match=names):
        call()
