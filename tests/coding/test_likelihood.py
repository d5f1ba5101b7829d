"""Population decoders against closed forms, the Cramér–Rao bound, and the frequencies that a posterior promises."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    CentreOfMass,
    CosineTuning,
    GaussianTuning,
    InverseRate,
    LeastSquares,
    LogLikelihood,
    MaximumLikelihood,
    Population,
    PopulationVector,
    PosteriorMean,
    Rate,
    VonMisesTuning,
    cramer_rao_bound,
    fisher_information,
    grid,
    inverse_of,
    poisson_log_likelihood,
)

# The case of the golden values: A = 50 Hz, T = 0.5 s (one step of that length), σ = 1, Δ = 0.5.
DENSE = GaussianTuning(centres=jnp.arange(-8, 8.5, 0.5), sigma=1.0, max_rate=50.0)
WINDOW = 0.5

decode = eqx.filter_jit(lambda decoder, spikes: decoder(spikes))


def poisson_counts(tuning, stimuli, duration, seed=0):
    """Counts of the population in each trial, `[1, trials, n]`: one step."""
    rates = jax.vmap(tuning)(jnp.broadcast_to(jnp.asarray(stimuli, jnp.float32), np.shape(stimuli)))
    return jnp.array(np.random.default_rng(seed).poisson(duration * np.asarray(rates))[None], jnp.float32)


def test_log_likelihood_is_that_of_independent_poisson_counts():
    tuning = GaussianTuning(centres=jnp.linspace(-1, 1, 4), sigma=0.5, max_rate=30.0, base_rate=2.0)
    counts = np.array([0.0, 3.0, 7.0, 1.0])
    found, expected = (
        [
            float(poisson_log_likelihood(tuning, jnp.array(counts, jnp.float32), jnp.array(s), 0.3)),
            stats.poisson.logpmf(counts, 0.3 * np.asarray(tuning(jnp.array(s)))).sum(),
        ]
        for s in (0.2, -0.9)
    )
    np.testing.assert_allclose(found[0] - expected[0], found[1] - expected[1], rtol=1e-5)


@pytest.mark.parametrize("s", [0.2])
def test_maximum_likelihood_attains_the_cramer_rao_bound(s):
    """0.0893244 within 5 %, without bias."""
    trials = 6000
    decoder = MaximumLikelihood(DENSE, jnp.linspace(-2, 2, 9), dt=WINDOW)
    estimates = np.asarray(decode(decoder, poisson_counts(DENSE, np.full(trials, s), WINDOW)), np.float64)
    bound = float(cramer_rao_bound(fisher_information(DENSE, jnp.array(s), WINDOW)))
    np.testing.assert_allclose(np.sqrt(bound), 0.0893244, rtol=1e-5)
    assert abs(estimates.mean() - s) < 4 * np.sqrt(bound / trials)
    np.testing.assert_allclose(estimates.std(), np.sqrt(bound), rtol=0.05)


CIRCLE = jnp.linspace(0, 2 * jnp.pi, 16, endpoint=False)
WIDE = GaussianTuning(centres=jnp.arange(-25, 25.5, 0.5), sigma=1.0, max_rate=50.0)


@pytest.mark.parametrize(
    ("tuning", "s", "within"),
    [
        (WIDE, 0.2, 0.06),  # centres 25 σ away: a rate of 10⁻¹³⁴ Hz
        (lambda s: WIDE(s), 0.2, 0.06),  # and curves that are nobody's class
        (VonMisesTuning(CIRCLE, concentration=25.0, max_rate=80.0), 0.3, 0.06),
        (CosineTuning(CIRCLE, max_rate=60.0, base_rate=0.0), 0.3, 0.13),
        (CosineTuning(CIRCLE, max_rate=60.0, base_rate=10.0), 0.3, 0.13),
    ],
    ids=["gaussian", "function", "von mises", "cosine", "cosine with a base"],
)
def test_rates_of_nothing_do_not_keep_the_estimate_on_the_candidates(tuning, s, within):
    """The bound, as before, where some rates are 0, or too small for their square."""
    trials, candidates = 2500, jnp.linspace(-jnp.pi, jnp.pi, 64)
    estimates = np.asarray(
        decode(
            MaximumLikelihood(tuning, candidates, dt=WINDOW),
            poisson_counts(lambda s: jnp.asarray(tuning(s)), np.full(trials, s), WINDOW),
        ),
        np.float64,
    )
    bound = float(cramer_rao_bound(fisher_information(tuning, jnp.array(s), WINDOW)))
    np.testing.assert_allclose(np.mean((estimates - s) ** 2), bound, rtol=within)
    assert np.isin(estimates.astype(np.float32), np.asarray(candidates)).mean() < 0.02


def test_the_inverse_of_a_population_of_rates_attains_the_bound():
    """Spikes are coins of p = f dt ≤ 0.2 here, which vary by 1 − p less than a Poisson count does."""
    code, s = Population(Rate(400, 200.0), 16), 0.37
    spikes = jax.jit(jax.vmap(lambda key: code(jnp.array(s), key=key), out_axes=1))(
        jax.random.split(jax.random.key(0), 800)
    )
    inverse = inverse_of(code)
    error = np.asarray(decode(inverse, spikes), np.float64) - s
    tuning = GaussianTuning(code.centres, code.sigma, max_rate=200.0)
    bound = float(cramer_rao_bound(fisher_information(tuning, jnp.array(s), 0.4)))
    assert 0.8 * bound < np.mean(error**2) < 1.05 * bound


def test_maximum_likelihood_of_a_dense_array_is_the_centre_of_mass():
    counts = poisson_counts(DENSE, np.linspace(-1.5, 1.5, 40), WINDOW, seed=1).reshape(1, 8, 5, -1)
    decoder = MaximumLikelihood(DENSE, jnp.linspace(-3, 3, 13), dt=WINDOW)
    np.testing.assert_allclose(decode(decoder, counts), CentreOfMass(DENSE.preferred)(counts), atol=2e-3)


@pytest.mark.parametrize("candidates", [np.linspace(-2.5, 2.5, 15)])
def test_newton_steps_find_the_peak_of_a_fine_search(candidates):
    """Uneven curves with a base rate: no closed form, so all of 20 001 values are tried."""
    centres = jnp.array([-2.2, -1.0, -0.7, 0.4, 1.5, 2.3])
    tuning = GaussianTuning(centres=centres, sigma=0.9, max_rate=40.0, base_rate=3.0)
    counts = poisson_counts(tuning, np.linspace(-2, 2, 30), 0.7, seed=2)
    found = decode(MaximumLikelihood(tuning, jnp.array(candidates, jnp.float32), dt=0.7), counts)
    fine = np.linspace(-2.5, 2.5, 20_001)
    rates = 3 + 37 * np.exp(-0.5 * ((fine[:, None] - np.asarray(centres)) / 0.9) ** 2)
    expected = fine[(np.asarray(counts[0]) @ np.log(rates).T - 0.7 * rates.sum(axis=1)).argmax(axis=1)]
    np.testing.assert_allclose(found, expected, atol=2e-3)
    rough = decode(MaximumLikelihood(tuning, jnp.array(candidates, jnp.float32), num_newton=0, dt=0.7), counts)
    assert np.isin(np.asarray(rough), candidates.astype(np.float32)).all()


def test_two_dimensions():
    """Each coordinate has the variance Δ² / (2π T A)."""
    axis = jnp.arange(-4, 5, 1.0)
    tuning = GaussianTuning(centres=grid(axis, axis), sigma=1.0, max_rate=60.0)
    near = jnp.arange(-2, 3, 1.0)
    decoder = MaximumLikelihood(tuning, grid(near, near), dt=WINDOW)
    estimates = np.asarray(decode(decoder, poisson_counts(tuning, np.tile([0.2, -0.4], (1500, 1)), WINDOW)))
    assert estimates.shape == (1500, 2)
    bound = 1 / (2 * np.pi * WINDOW * 60)
    np.testing.assert_allclose(np.cov(estimates.T), bound * np.eye(2), atol=0.12 * bound)
    np.testing.assert_allclose(estimates.mean(axis=0), [0.2, -0.4], atol=4 * np.sqrt(bound / 1500))


def test_estimates_stay_within_the_candidates():
    counts = jnp.zeros((1, 1, 33)).at[0, 0, 30].set(20.0)  # all say 7
    assert decode(MaximumLikelihood(DENSE, jnp.linspace(-2, 2, 9), dt=WINDOW), counts) == 2.0


# Population vector


@pytest.mark.parametrize("s", [0.7, -2.5])
def test_population_vector_is_unbiased(s):
    """E P = ½ N T (r_max − r₀) (cos s, sin s), component by component within 4 standard errors."""
    angles = jnp.linspace(0, 2 * jnp.pi, 12, endpoint=False)
    tuning = CosineTuning(angles=angles, max_rate=70.0, base_rate=40.0)
    trials, dt = 20_000, 0.2
    decoder = PopulationVector(angles, base_rate=40.0, dt=dt)
    counts = poisson_counts(tuning, np.full(trials, s), dt)
    vectors = np.asarray(decoder.vector(counts), np.float64)
    expected = 0.5 * 12 * dt * 30 * np.array([np.cos(s), np.sin(s)])
    assert (np.abs(vectors.mean(axis=0) - expected) < 4 * vectors.std(axis=0) / np.sqrt(trials)).all()
    error = np.angle(np.exp(1j * (np.asarray(decoder(counts)) - s)))
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(trials)
    # Noise-free counts give the angle itself, and uneven directions need the base rate.
    np.testing.assert_allclose(decoder(dt * tuning(jnp.array(s))[None]), s, rtol=1e-5)


def test_population_vector_of_uneven_directions_needs_the_base_rate():
    """P is then A (cos s, sin s), A = Σ u uᵀ; two orthogonal pairs of which one is doubled tilt it by a known angle."""
    angles = jnp.array([0.0, 0.0, jnp.pi / 2, jnp.pi, jnp.pi, -jnp.pi / 2])
    counts = 0.2 * CosineTuning(angles=angles, max_rate=70.0, base_rate=40.0)(jnp.array(0.6))[None]
    expected = np.arctan2(np.sin(0.6), 2 * np.cos(0.6))
    np.testing.assert_allclose(PopulationVector(angles, base_rate=40.0, dt=0.2)(counts), expected, rtol=1e-5)
    one_sided = PopulationVector(jnp.array([0.0, 1.0]), base_rate=5.0, dt=0.1)
    np.testing.assert_allclose(one_sided(jnp.array([[0.5, 1.5]])), 1.0, rtol=1e-6)  # the first fired at its base rate


def test_centre_of_mass_in_two_dimensions_and_of_silence():
    centres = jnp.array([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]])
    spikes = jnp.array([[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]], [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]])
    np.testing.assert_allclose(CentreOfMass(centres)(spikes), [[1.0, 1.0], [2 / 3, 4 / 3]], rtol=1e-6)


# Bayes


def gaussian_prior(mean, std):
    return lambda s: -0.5 * ((s - mean) / std) ** 2


@pytest.mark.parametrize(("prior_mean", "std"), [(0.3, 0.4), (-0.5, 0.15)])
def test_posterior_of_a_gaussian_prior_has_its_closed_form(prior_mean, std):
    """Variance (1/σ_p² + N/σ²)⁻¹, mean that times (μ/σ_p² + Σ n_i s_i / σ²); the interval is that of a Gaussian."""
    counts = poisson_counts(DENSE, np.linspace(-0.8, 0.8, 12), 0.1, seed=4)
    decoder = PosteriorMean(DENSE, jnp.linspace(-3, 3, 1201), gaussian_prior(prior_mean, std), dt=0.1)
    n = np.asarray(counts[0], np.float64)
    variance = 1 / (1 / std**2 + n.sum(axis=1))
    centre = variance * (prior_mean / std**2 + n @ np.asarray(DENSE.preferred))
    mean, spread, *intervals = jax.jit(
        lambda x: (decoder(x), decoder.variance(x), decoder.interval(x, 0.5), decoder.interval(x, 0.9))
    )(counts)
    np.testing.assert_allclose(mean, centre, atol=2e-4)
    np.testing.assert_allclose(spread, variance, rtol=2e-3)
    for interval, level in zip(intervals, (0.5, 0.9), strict=True):
        half = stats.norm.isf(0.5 * (1 - level)) * np.sqrt(variance)
        np.testing.assert_allclose(interval, [centre - half, centre + half], atol=2e-3)


@pytest.mark.parametrize("prior", ["gaussian", "uniform"])
def test_posterior_is_calibrated(prior):
    """Stimuli drawn from the prior lie in the interval as often as it says, within 2 %; no other estimate errs less."""
    rng, trials = np.random.default_rng(6), 6000
    tuning = GaussianTuning(centres=jnp.linspace(-4, 4, 17), sigma=0.8, max_rate=30.0, base_rate=1.0)
    s = rng.normal(0.2, 0.5, trials) if prior == "gaussian" else rng.uniform(-1, 1.4, trials)
    span = jnp.linspace(-2.3, 2.7, 301) if prior == "gaussian" else jnp.linspace(-1, 1.4, 301)
    decoder = PosteriorMean(tuning, span, gaussian_prior(0.2, 0.5) if prior == "gaussian" else None, dt=0.1)
    counts = poisson_counts(tuning, s, 0.1, seed=7)

    @jax.jit
    def bayes(counts):
        return decoder(counts), decoder.variance(counts), decoder.interval(counts, 0.5), decoder.interval(counts, 0.9)

    mean, variance, *intervals = jax.tree.map(np.asarray, bayes(counts))
    for (low, high), level in zip(intervals, (0.5, 0.9), strict=True):
        assert abs(((low <= s) & (s <= high)).mean() - level) < 0.02
    error = (mean - s) ** 2
    assert abs(error.mean() - variance.mean()) < 4 * error.std() / np.sqrt(trials)
    likely = np.asarray(decode(MaximumLikelihood(tuning, span[::10], dt=0.1), counts))
    assert error.mean() < ((likely - s) ** 2).mean()


# The linear log-likelihood readout


def test_poisson_readout_is_the_log_likelihood_of_the_counts_in_each_step():
    rng = np.random.default_rng(8)
    rates, prior = rng.uniform(5, 80, (3, 12, 4)), np.array([0.2, 0.5, 0.3])
    counts = rng.poisson(rates[1] * 0.02)
    expected = np.log(prior) + stats.poisson.logpmf(counts, rates * 0.02).sum(axis=(1, 2))
    readout = LogLikelihood.poisson(jnp.array(rates), jnp.array(prior), dt=0.02)
    scores = np.asarray(decode(readout, jnp.array(counts, jnp.float32)))
    np.testing.assert_allclose(np.diff(scores), np.diff(expected), rtol=1e-4)
    # Without an axis of time: the same as rates that happen to be constant.
    constant = jnp.array(rates[:, :1])
    every_step = decode(LogLikelihood.poisson(jnp.tile(constant, (1, 12, 1)), dt=0.02), jnp.array(counts, jnp.float32))
    once = decode(LogLikelihood.poisson(constant[:, 0], dt=0.02), jnp.array(counts, jnp.float32))
    np.testing.assert_allclose(once, every_step, rtol=1e-4)


def test_bernoulli_readout_is_the_log_likelihood_of_the_spikes():
    rng = np.random.default_rng(9)
    chance = rng.uniform(0.02, 0.6, (3, 12, 4))
    spikes = rng.random((12, 4)) < chance[0]
    expected = stats.bernoulli.logpmf(spikes, chance).sum(axis=(1, 2)) - np.log(3)
    scores = decode(LogLikelihood.bernoulli(jnp.array(chance, jnp.float32)), jnp.array(spikes, jnp.float32))
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_spike_of_a_silent_unit_excludes_a_class():
    readout = LogLikelihood.poisson(jnp.array([[0.0, 20.0], [1.0, 1.0]]))
    spikes = jnp.zeros((100, 2)).at[3, 0].set(1.0).at[:8, 1].set(1.0)
    assert decode(readout, spikes).argmax() == 1
    assert decode(readout, spikes.at[3, 0].set(0.0)).argmax() == 0
    certain = LogLikelihood.bernoulli(jnp.array([[0.0, 1.0], [0.5, 0.5]]))
    assert jnp.isfinite(decode(readout, spikes)).all() and jnp.isfinite(decode(certain, spikes)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaximumLikelihood(DENSE, jnp.array([1.0])), "got 1 candidate values"),
        (lambda: MaximumLikelihood(DENSE, jnp.arange(3.0), num_newton=-1), "num_newton is -1"),
        (lambda: MaximumLikelihood(DENSE, jnp.arange(3.0), dt=0), "dt is 0.0"),
        (lambda: LeastSquares(InverseRate(), DENSE, jnp.arange(1.0)), "got 1 candidate values"),
        (lambda: PosteriorMean(DENSE, jnp.arange(1.0)), "got 1 candidate values"),
        (lambda: PosteriorMean(DENSE, jnp.arange(3.0)).interval(jnp.zeros((2, 33)), level=1.0), "level is 1.0"),
        (lambda: LogLikelihood.poisson(jnp.ones((2, 5, 1)))(jnp.zeros((6, 1))), "give both the same"),
        (lambda: PopulationVector(jnp.arange(3.0), base_rate=-1), "base_rate is -1.0"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
