"""Why large networks do not overfit: what gradient descent prefers, and what wide random networks become."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from snnlearn import risk

RNG = np.random.default_rng(0)


def test_descent_from_zero_finds_the_solution_of_least_norm():
    x, y = RNG.normal(size=(8, 20)), RNG.normal(size=8)
    w, rate = np.zeros(20), 1 / np.linalg.norm(x, 2) ** 2
    for _ in range(5_000):
        w -= rate * x.T @ (x @ w - y)
    np.testing.assert_allclose(w, np.linalg.pinv(x) @ y, rtol=1e-10, atol=1e-12)
    other = w + 0.1 * (np.eye(20) - np.linalg.pinv(x) @ x) @ RNG.normal(size=20)
    np.testing.assert_allclose(x @ other, y, atol=1e-9)  # others fit as well, and are longer
    assert np.linalg.norm(other) > np.linalg.norm(w)


def test_training_errors_decay_as_the_gradient_flow_says():
    """The flow of least squares on features is that of their kernel."""
    features, y = RNG.normal(size=(6, 40)) / np.sqrt(40), RNG.normal(size=6)
    w, rate, steps = np.zeros(40), 1e-4, 30_000
    for _ in range(steps):
        w -= rate * features.T @ (features @ w - y) / len(y)
    expected = risk.gradient_flow(features @ features.T, np.zeros(6), y, rate * steps)
    np.testing.assert_allclose(features @ w, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected - y).max() > 0.05  # and not yet at its end


def test_logistic_descent_turns_to_the_largest_margin():
    """At the rate 1 / ln t (Soudry et al. 2018): the angle, times ln t, stays bounded while both change."""
    x = RNG.normal(size=(12, 2)) + np.array([2.5, 1.0])  # all of one sign: y x
    x = x[x @ np.array([2.5, 1.0]) > 0.5]
    constraints = {"type": "ineq", "fun": lambda w: x @ w - 1}
    best = minimize(lambda w: w @ w, np.ones(2), constraints=constraints).x
    w, angles, times = np.zeros(2), [], (10**2, 10**3, 10**4, 10**5)
    for step in range(1, times[-1] + 1):
        w += 0.5 * x.T @ (1 / (1 + np.exp(np.minimum(x @ w, 500)))) / len(x)
        if step in times:
            angles.append(float(np.arccos(min(1.0, w @ best / np.linalg.norm(w) / np.linalg.norm(best)))))
    assert np.all(np.diff(angles) < 0) and angles[-1] < 0.1
    scaled = np.array(angles) * np.log(times)
    assert scaled.max() / scaled.min() < 3


@pytest.mark.parametrize("cosine", [0.3, -0.5])
def test_random_relu_networks_near_the_kernels_as_one_over_the_root_of_width(cosine):
    x, y = np.array([1.0, 0.0]), np.array([cosine, np.sqrt(1 - cosine**2)])
    zero, one = (float(k) for k in risk.arc_cosine_kernels(cosine))
    error = {}
    for width in (100, 10_000):
        w = RNG.normal(size=(200, width, 2))
        a, b = w @ x, w @ y
        found = 2 * np.mean(np.maximum(a, 0) * np.maximum(b, 0), axis=1), 2 * np.mean((a > 0) & (b > 0), axis=1)
        error[width] = [float(np.sqrt(np.mean((f - k) ** 2))) for f, k in zip(found, (one, zero), strict=True)]
        assert abs(found[0].mean() - one) < 4 * found[0].std() / np.sqrt(200)
    np.testing.assert_allclose(np.divide(error[100], error[10_000]), 10.0, rtol=0.25)
