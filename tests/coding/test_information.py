"""What codes carry: closed forms, entropies computed another way, and simulated readouts that must not do better."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy, poisson
from sklearn.linear_model import LogisticRegression

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    CosineTuning,
    GaussianTuning,
    InversePhase,
    InverseRate,
    LogLikelihood,
    Phase,
    Rate,
    bayes_error,
    bayes_error_estimate,
    binomial_channel,
    cramer_rao_bound,
    fisher_information,
    gaussian_fisher_information,
    grid,
    mutual_information,
    pattern_information,
    poisson_channel,
    reconstruction_costs,
)

# Fisher information

fisher = eqx.filter_jit(fisher_information)
gaussian_fisher = eqx.filter_jit(gaussian_fisher_information)


@pytest.mark.parametrize("s", [0.13, -0.4])
def test_dense_gaussian_array(s, x64):
    """T A √(2π) / (σ Δ) = 125.3314 for A = 50 Hz, T = 0.5 s, σ = 1, Δ = 0.5; standard deviation 0.0893244."""
    tuning = GaussianTuning(centres=jnp.arange(-10, 10.5, 0.5), sigma=1.0, max_rate=50.0)
    information = fisher(tuning, jnp.array(s), duration=0.5)
    np.testing.assert_allclose(information, 125.3314, rtol=1e-6)
    np.testing.assert_allclose(information, 0.5 * 50 * np.sqrt(2 * np.pi) / 0.5, rtol=1e-13)
    np.testing.assert_allclose(jnp.sqrt(cramer_rao_bound(information)), 0.0893244, rtol=1e-6)


@pytest.mark.parametrize(("sigma", "base"), [(0.7, 0.0), (1.3, 5.0)])
def test_fisher_information_is_the_variance_of_the_score(sigma, base, x64):
    """The definition, summed over all counts of each neuron: E[(∂ ln P(n | s) / ∂s)²], by finite differences."""
    tuning = GaussianTuning(centres=jnp.linspace(-2, 2, 6), sigma=sigma, max_rate=30.0, base_rate=base)
    s, h, duration = 0.3, 1e-5, 0.2
    low, here, high = (np.asarray(tuning(jnp.array(x))) * duration for x in (s - h, s, s + h))
    n = np.arange(60)
    score = (poisson.logpmf(n, high[:, None]) - poisson.logpmf(n, low[:, None])) / (2 * h)
    expected = (poisson.pmf(n, here[:, None]) * score**2).sum()
    np.testing.assert_allclose(fisher(tuning, jnp.array(s), duration), expected, rtol=1e-5)


def test_cosine_array(x64):
    """T N / (2π) ∫ f'² / f, the same for each direction."""
    tuning = CosineTuning(angles=jnp.linspace(0, 2 * jnp.pi, 40, endpoint=False), max_rate=70.0, base_rate=40.0)
    phi = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    expected = 0.3 * 40 * np.mean((30 * np.sin(phi)) ** 2 / (40 + 30 * np.cos(phi)))
    for s in (0.0, 1.1):
        np.testing.assert_allclose(fisher(tuning, jnp.array(s), duration=0.3), expected, rtol=1e-8)


@pytest.mark.parametrize(("sigma", "rate"), [(1.0, 20.0), (1.6, 35.0)])
def test_two_dimensions(sigma, rate, x64):
    """A matrix, 2π T A / Δ² on the diagonal whatever σ is: σ^(D − 2)."""
    axis = jnp.arange(-8, 9, 1.0)
    tuning = GaussianTuning(centres=grid(axis, axis), sigma=sigma, max_rate=rate)
    information = fisher(tuning, jnp.array([0.2, -0.3]), duration=0.4)
    np.testing.assert_allclose(information, np.eye(2) * 2 * np.pi * 0.4 * rate, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(cramer_rao_bound(information) @ information, np.eye(2), atol=1e-9)


def test_a_neuron_that_cannot_fire_tells_nothing(x64):
    assert fisher(lambda s: jnp.stack([s, 0 * s]), jnp.array(4.0), duration=2.0) == 2 / 4


def test_gaussian_noise(x64):
    """Constant covariance: f'ᵀ Q⁻¹ f'; scaled with s: + ½ n (Q'/Q)²; and in two dimensions, by hand."""
    noise = jnp.array([[2.0, 0.6], [0.6, 1.0]])
    slopes = np.array([3.0, -1.0])
    response = lambda s: jnp.array(slopes) * s  # noqa: E731
    expected = slopes @ np.linalg.inv(np.asarray(noise)) @ slopes
    s = jnp.array(1.5)
    np.testing.assert_allclose(gaussian_fisher(response, lambda s: noise, s), expected)
    scaled = gaussian_fisher(response, lambda s: s**2 * noise, s)
    np.testing.assert_allclose(scaled, expected / 1.5**2 + 0.5 * 2 * (2 / 1.5) ** 2)
    matrix = jnp.array([[1.0, 2.0], [0.5, -1.0]])
    both = gaussian_fisher(lambda s: matrix @ s, lambda s: noise, jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(both, matrix.T @ jnp.linalg.inv(noise) @ matrix, rtol=1e-12)


# Mutual information


def test_mutual_information_is_the_entropy_that_knowing_the_stimulus_removes():
    means, prior = np.array([0.5, 3.0, 8.0, 20.0]), np.array([0.4, 0.3, 0.2, 0.1])
    counts = np.arange(200)
    conditional = poisson.pmf(counts, means[:, None])
    expected = entropy(prior @ conditional, base=2) - prior @ [entropy(row, base=2) for row in conditional]
    np.testing.assert_allclose(mutual_information(poisson_channel(means), prior), expected, rtol=1e-10)


@pytest.mark.parametrize(("mean", "on"), [(0.7, 0.5), (2.0, 0.2)])
def test_silence_or_spikes_is_a_z_channel(mean, on):
    """Any spike tells that the stimulus is on: H(spike) − P(on) H(e^−λ)."""
    missed = np.exp(-mean)
    expected = entropy([on * (1 - missed), 1 - on * (1 - missed)], base=2) - on * entropy([missed, 1 - missed], base=2)
    found = mutual_information(poisson_channel(np.array([0.0, mean])), np.array([1 - on, on]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_one_noisy_coin_is_a_binary_symmetric_channel():
    found = mutual_information(binomial_channel(1, np.array([0.11, 0.89])))
    np.testing.assert_allclose(found, 1 - entropy([0.11, 0.89], base=2))


def test_channels_are_probabilities():
    for channel in (
        poisson_channel(np.array([0.0, 0.3, 40.0]), tail=1e-6),
        binomial_channel(30, np.array([0.0, 0.4, 1])),
    ):
        np.testing.assert_allclose(channel.sum(axis=1), 1, rtol=1e-12)
    mean = poisson_channel(np.array([40.0])) @ np.arange(poisson_channel(np.array([40.0])).shape[1])
    np.testing.assert_allclose(mean, 40)


def test_a_deterministic_code_carries_its_distinct_patterns():
    values = jnp.linspace(0, 1, 1024, endpoint=False)
    for digits in (1, 3, 5):
        spikes = jax.vmap(Phase(num_steps=digits, num_phases=digits))(values)
        assert pattern_information(spikes) == digits
    assert pattern_information(np.zeros((8, 3))) == 0


# Bayes error


@pytest.mark.parametrize(("means", "error"), [((5, 10), 0.176796), ((2, 8), 0.0761427)])
def test_bayes_error_of_poisson_counts(means, error):
    np.testing.assert_allclose(bayes_error(poisson_channel(np.array(means, float))), error, rtol=3e-6)


def test_bayes_error_of_binomial_counts():
    np.testing.assert_allclose(bayes_error(binomial_channel(100, np.array([0.05, 0.10]))), 0.167006, rtol=3e-6)


def test_bayes_error_uses_the_prior():
    channel = np.array([[0.9, 0.1], [0.4, 0.6]])
    np.testing.assert_allclose(bayes_error(channel, np.array([0.8, 0.2])), 0.08 + 0.08)


def against_the_bound(readout, spikes, labels, bound):
    """The readout attains the bound within 4 standard errors, and a trained one is not better than the readout."""
    half = len(labels) // 2
    scores = np.asarray(jax.jit(jax.vmap(readout))(jnp.array(spikes, jnp.float32)))
    wrong = scores.argmax(axis=1) != labels
    assert abs(wrong.mean() - bound) < 4 * np.sqrt(bound * (1 - bound) / len(labels))

    features = spikes.reshape(len(spikes), -1)
    trained = LogisticRegression(max_iter=300).fit(features[:half], labels[:half])
    trained_wrong = trained.predict(features[half:]) != labels[half:]
    worse = trained_wrong.astype(float) - wrong[half:]
    assert worse.mean() > -4 * max(worse.std(), 1e-3) / np.sqrt(half)
    assert trained_wrong.mean() < bound + 0.05  # it did learn
    return scores


@pytest.mark.parametrize(("means", "error"), [((5.0, 10.0), 0.176796), ((2.0, 8.0), 0.0761427)])
def test_the_poisson_readout_attains_the_bayes_error(means, error):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 40_000)
    counts = rng.poisson(np.array(means)[labels])[:, None, None].astype(float)
    readout = LogLikelihood.poisson(jnp.array(means)[:, None] / 0.25, dt=0.25)  # one step of 250 ms
    scores = against_the_bound(readout, counts, labels, error)
    estimate, standard_error = bayes_error_estimate(jnp.array(scores))
    assert abs(estimate - error) < 4 * standard_error < 0.006


def test_the_bernoulli_readout_attains_the_bayes_error():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 10_000)
    spikes = (rng.random((10_000, 100, 1)) < np.array([0.05, 0.10])[labels][:, None, None]).astype(float)
    readout = LogLikelihood.bernoulli(jnp.array([[0.05], [0.10]]))
    scores = np.asarray(jax.jit(jax.vmap(readout))(jnp.array(spikes, jnp.float32)))
    wrong = (scores.argmax(axis=1) != labels).mean()
    assert abs(wrong - 0.167006) < 4 * np.sqrt(0.167 * 0.833 / 10_000)


def test_inhomogeneous_trains():
    """Rates that differ only in time: counts know little, the linear readout attains the Bayes error."""
    rng = np.random.default_rng(5)
    t = np.arange(20)[:, None]
    chance = np.stack([0.15 + 0.1 * np.sin(t / 3 + shift + np.arange(3)) for shift in (0, np.pi / 2)])
    labels = rng.integers(0, 2, 20_000)
    spikes = (rng.random((20_000, 20, 3)) < chance[labels]).astype(float)
    readout = LogLikelihood.bernoulli(jnp.array(chance, jnp.float32))
    estimate, _ = bayes_error_estimate(jax.jit(jax.vmap(readout))(jnp.array(spikes, jnp.float32)))
    against_the_bound(readout, spikes, labels, estimate)


# Cost


def test_costs_are_those_of_the_codes():
    """Phase: the sum of the binary digits, error below one digit. Rate: T p spikes, √(p (1 − p) / T) / p_max."""
    values = jnp.linspace(0, 1, 512, endpoint=False).reshape(128, 4)
    codes = {"phase": (Phase(4, num_phases=4), InversePhase(4)), "rate": (Rate(64, 250), InverseRate(250))}
    phase, rate = reconstruction_costs(codes, values, key=jax.random.key(0))
    assert (phase.code, rate.code) == ("phase", "rate")
    np.testing.assert_allclose(phase.spikes, 2.0)
    np.testing.assert_allclose(phase.max_error, 31 / 512, rtol=1e-5)
    np.testing.assert_allclose(phase.rms_error, np.sqrt(np.mean((np.arange(32) / 512) ** 2)), rtol=1e-5)
    p = np.arange(512) / 512 / 4
    np.testing.assert_allclose(rate.spikes, 64 * p.mean(), rtol=0.1)
    np.testing.assert_allclose(rate.rms_error, 4 * np.sqrt(np.mean(p * (1 - p)) / 64), rtol=0.15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: poisson_channel(np.array([1.0, -1.0])), "finite and at least 0"),
        (lambda: binomial_channel(3, np.array([1.5])), r"probabilities in \[0, 1\]"),
        (lambda: mutual_information(np.eye(2) * 0.5), "sum to 1"),
        (lambda: bayes_error(np.eye(2), np.array([0.5, 0.6])), "the prior sums to 1.1"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
