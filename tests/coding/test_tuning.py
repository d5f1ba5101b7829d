"""Tuning curves against their equations, and populations that fire at them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    CosineTuning,
    GaussianTuning,
    LinearLatency,
    PoissonRate,
    Rate,
    TunedPopulation,
    VonMisesTuning,
    grid,
)

ANGLES = np.linspace(0, 2 * np.pi, 6, endpoint=False)


def test_gaussian_is_a_bell_on_a_base():
    f = GaussianTuning(jnp.array([-1.0, 0.5, 2.0]), sigma=0.7, max_rate=40, base_rate=5)
    expected = 5 + 35 * np.exp(-((0.3 - np.array([-1.0, 0.5, 2.0])) ** 2) / (2 * 0.7**2))
    np.testing.assert_allclose(f(jnp.array(0.3)), expected, rtol=1e-5)
    assert (f.num_neurons, f.stimulus_shape) == (3, ())


def test_gaussian_over_a_plane_is_the_product_of_its_axes():
    centres = grid(jnp.array([0.0, 1.0]), jnp.array([0.0, 2.0, 4.0]))
    f = GaussianTuning(centres, sigma=1.3, max_rate=30)
    s = np.array([0.4, 2.5])
    bells = [np.exp(-((s[0] - a) ** 2 + (s[1] - b) ** 2) / (2 * 1.3**2)) for a in (0, 1) for b in (0, 2, 4)]
    np.testing.assert_allclose(f(jnp.float32(s)), 30 * np.array(bells), rtol=1e-5)
    assert (f.num_neurons, f.stimulus_shape) == (6, (2,))


def test_cosine_is_cut_at_zero():
    s = np.linspace(-3, 3, 7)
    for base in (32.0, 10.0):
        f = jax.vmap(CosineTuning(ANGLES, max_rate=60, base_rate=base))(jnp.float32(s))
        expected = np.maximum(0, base + (60 - base) * np.cos(s[:, None] - ANGLES))
        np.testing.assert_allclose(f, expected, atol=1e-4)
        assert (expected == 0).any() == (base == 10.0)


def test_von_mises_is_a_gaussian_when_sharp():
    s, sharp = np.array([0.0, 0.05]), 400.0
    f = jax.vmap(VonMisesTuning(ANGLES, concentration=sharp, max_rate=70, base_rate=4))(jnp.float32(s))
    expected = 4 + 66 * np.exp(sharp * (np.cos(s[:, None] - ANGLES) - 1))
    np.testing.assert_allclose(f, expected, rtol=1e-4)
    np.testing.assert_allclose(f[1, 0], 4 + 66 * np.exp(-sharp * 0.05**2 / 2), rtol=1e-3)


def test_fisher_information_of_the_dense_array(x64):
    """T Σ f'² / f = T A √(2π) / (σ Δ): 125.3314, anywhere within the array, by differentiating the curves."""
    f = GaussianTuning(np.arange(-10, 10.25, 0.5), sigma=1.0, max_rate=50)
    for s in (0.0, 0.13, -1.4):
        slope = jax.jacfwd(f)(jnp.array(s))
        np.testing.assert_allclose(0.5 * (slope**2 / f(jnp.array(s))).sum(), 125.3314, rtol=1e-6)


@pytest.mark.parametrize("code", [Rate, PoissonRate])
def test_a_population_fires_at_its_tuning_curves(code):
    """Mean and variance of the counts of each neuron, in 4 standard errors."""
    tuning = CosineTuning(ANGLES, max_rate=150, base_rate=70)
    population = TunedPopulation(code(100, max_rate=150, dt=2e-3), tuning)
    trials = 2000
    counts = np.asarray(population(jnp.full(trials, 0.8), key=jax.random.key(2)).sum(0), np.float64)
    p = np.asarray(tuning(jnp.array(0.8)), np.float64) * 2e-3
    p = p if code is Rate else 1 - np.exp(-p)
    assert (abs(counts.mean(0) - 100 * p) <= 4 * np.sqrt(100 * p * (1 - p) / trials)).all()
    variance = 100 * p * (1 - p)
    assert (abs(counts.var(0) - variance) <= 4 * np.sqrt((2 * variance**2 + variance) / trials)).all()


def test_the_best_tuned_fire_first():
    tuning = GaussianTuning(jnp.array([0.0, 1.0, 2.0, 9.0]), sigma=1.0)
    spikes = TunedPopulation(LinearLatency(21, threshold=0.1), tuning)(jnp.array([1.2]), key=jax.random.key(0))
    activation = np.exp(-0.5 * (1.2 - np.array([0.0, 1.0, 2.0])) ** 2)
    assert spikes.shape == (21, 1, 4)
    np.testing.assert_array_equal(spikes[:, 0].argmax(0)[:3], np.round(20 * (1 - activation)))
    np.testing.assert_array_equal(spikes[:, 0].sum(0), [1, 1, 1, 0])


def test_vectors_lie_along_the_last_axis():
    tuning = GaussianTuning(grid(jnp.arange(2.0), jnp.arange(3.0)), sigma=0.2, max_rate=1000)
    code = TunedPopulation(Rate(5, max_rate=1000), tuning)
    assert code.out_shape((4, 2)) == (4, 6)
    spikes = code(jnp.array([[0.0, 2.0], [1.0, 1.0]]), key=jax.random.key(0))
    np.testing.assert_array_equal(spikes.sum(0).argmax(-1), [2, 4])
    with pytest.raises(SnnlearnError, match=r"take stimuli of shape \(2,\)"):
        code.out_shape((4, 3))
    with pytest.raises(SnnlearnError, match=r"take stimuli of shape \(2,\)"):
        code.out_shape(())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianTuning(jnp.zeros(3), sigma=0), "sigma is 0.0"),
        (lambda: GaussianTuning(jnp.zeros(3), sigma=1, max_rate=5, base_rate=5), "0 ≤ base_rate < max_rate"),
        (lambda: GaussianTuning(jnp.zeros((1, 2, 3)), sigma=1), r"give \[n\] or \[n, D\]"),
        (lambda: CosineTuning(jnp.zeros(3), base_rate=-1), "base_rate is -1.0 Hz"),
        (lambda: CosineTuning(np.zeros((3, 2))), "one for each neuron"),
        (lambda: VonMisesTuning(jnp.zeros(3), concentration=-2), "concentration is -2.0"),
        (lambda: TunedPopulation(Rate(5, max_rate=90), CosineTuning(jnp.zeros(3))), "give both the same"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
