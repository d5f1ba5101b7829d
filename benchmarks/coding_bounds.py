"""How close decoders come to what a code allows: `python benchmarks/coding_bounds.py`, a minute on two cores.

Maximum likelihood against the Cramér–Rao bound, bias of the population vector, coverage of posterior intervals, error
of the Bayes readout and of trained ones against the Bayes error. Writes `benchmarks/results/coding_bounds.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import LogisticRegression

from snnlearn.coding import (
    CentreOfMass,
    CosineTuning,
    GaussianTuning,
    LogLikelihood,
    MaximumLikelihood,
    PopulationVector,
    PosteriorMean,
    bayes_error,
    bayes_error_estimate,
    binomial_channel,
    cramer_rao_bound,
    fisher_information,
    poisson_channel,
)

OUT = Path(__file__).resolve().parent / "results" / "coding_bounds.json"
CHUNK = 5_000


def decode(decoder, counts: np.ndarray) -> np.ndarray:
    """Decode spike counts `[trials, n]`, a chunk at a time."""
    run = eqx.filter_jit(lambda chunk: decoder(chunk[None]))
    chunks = np.split(counts.astype(np.float32), range(CHUNK, len(counts), CHUNK))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *[jax.tree.map(np.asarray, run(c)) for c in chunks])


def rates_at(tuning, s: np.ndarray) -> np.ndarray:
    return np.asarray(jax.vmap(tuning)(jnp.array(s, jnp.float32)), np.float64)


def cramer_rao(rng, trials: int) -> list[dict]:
    """A = 50 Hz, σ = 1, Δ = 0.5 in windows of different length; 0.5 s is the case of the textbook value."""
    tuning = GaussianTuning(centres=jnp.arange(-8, 8.5, 0.5), sigma=1.0, max_rate=50.0)
    rows = []
    for duration in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0):
        s = rng.uniform(-0.5, 0.5, trials)
        counts = rng.poisson(duration * rates_at(tuning, s))
        bound = float(np.sqrt(cramer_rao_bound(fisher_information(tuning, jnp.array(0.0), duration))))
        row: dict = {"window_s": duration, "mean_spikes": float(counts.sum(axis=1).mean()), "bound_std": bound}
        decoders = {
            "maximum_likelihood": MaximumLikelihood(tuning, jnp.linspace(-2, 2, 9), dt=duration),
            "centre_of_mass": CentreOfMass(tuning.preferred),
        }
        for name, decoder in decoders.items():
            error = decode(decoder, counts) - s
            row[name] = {
                "bias": float(error.mean()),
                "bias_standard_error": float(error.std() / np.sqrt(trials)),
                "std": float(error.std()),
                "std_over_bound": float(error.std() / bound),
            }
        rows.append(row)
    return rows


def population_vector(rng, trials: int) -> list[dict]:
    """Evenly spread cosine tuning: the error of the angle, in standard errors, and the bound of the population."""
    angles = jnp.linspace(0, 2 * jnp.pi, 16, endpoint=False)
    tuning = CosineTuning(angles=angles, max_rate=80.0, base_rate=40.0)
    rows = []
    for s in (-2.0, 0.0, 0.6, 3.0):
        counts = rng.poisson(0.25 * rates_at(tuning, np.full(trials, s)))
        estimates = decode(PopulationVector(angles, base_rate=40.0, dt=0.25), counts)
        error = np.angle(np.exp(1j * (estimates - s)))
        bound = float(np.sqrt(cramer_rao_bound(fisher_information(tuning, jnp.array(s), 0.25))))
        rows.append(
            {
                "angle": s,
                "bias": float(error.mean()),
                "bias_in_standard_errors": float(error.mean() / error.std() * np.sqrt(trials)),
                "std": float(error.std()),
                "bound_std": bound,
            }
        )
    return rows


def calibration(rng, trials: int) -> list[dict]:
    """How often the stimulus lies in its posterior interval, for stimuli drawn from the prior."""
    tuning = GaussianTuning(centres=jnp.linspace(-4, 4, 17), sigma=0.8, max_rate=30.0, base_rate=1.0)
    priors = {
        "gaussian": (
            rng.normal(0.2, 0.5, trials),
            jnp.linspace(-2.5, 2.9, 401),
            lambda s: -0.5 * ((s - 0.2) / 0.5) ** 2,
        ),
        "uniform": (rng.uniform(-1, 1.4, trials), jnp.linspace(-1, 1.4, 401), None),
    }
    rows = []
    for prior, (s, grid, log_prior) in priors.items():
        for duration in (0.05, 0.2):
            bayes = PosteriorMean(tuning, grid, log_prior, dt=duration)
            counts = rng.poisson(duration * rates_at(tuning, s))
            mean, variance = decode(lambda x, bayes=bayes: (bayes(x), bayes.variance(x)), counts)
            coverage = {}
            for level in (0.5, 0.8, 0.9, 0.95, 0.99):
                low, high = decode(lambda x, bayes=bayes, level=level: bayes.interval(x, level), counts)
                coverage[str(level)] = float(((low <= s) & (s <= high)).mean())
            rows.append(
                {
                    "prior": prior,
                    "window_s": duration,
                    "coverage": coverage,
                    "worst_deviation": max(abs(float(level) - found) for level, found in coverage.items()),
                    "mean_squared_error": float(((mean - s) ** 2).mean()),
                    "mean_posterior_variance": float(variance.mean()),
                }
            )
    return rows


def classify(name: str, readout, spikes: np.ndarray, labels: np.ndarray, exact: float | None) -> dict:
    """Errors of the Bayes readout and of a logistic regression trained on the first half, both on the second half."""
    half = len(labels) // 2
    run = jax.jit(jax.vmap(readout))
    chunks = np.split(spikes.astype(np.float32), range(CHUNK, len(spikes), CHUNK))
    scores = np.concatenate([run(chunk) for chunk in chunks])
    estimate, estimate_error = bayes_error_estimate(jnp.array(scores))
    features = spikes.reshape(len(spikes), -1)
    trained = LogisticRegression(max_iter=1000).fit(features[:half], labels[:half])
    wrong = {"readout": scores.argmax(axis=1) != labels, "trained": trained.predict(features) != labels}
    gap = wrong["trained"][half:].astype(float) - wrong["readout"][half:]
    bound = estimate if exact is None else exact
    return {
        "code": name,
        "bayes_error": bound,
        "bayes_error_estimate": estimate,
        "bayes_error_estimate_standard_error": estimate_error,
        "readout_error": float(wrong["readout"].mean()),
        "standard_error": float(np.sqrt(bound * (1 - bound) / len(labels))),
        "trained_error": float(wrong["trained"][half:].mean()),
        "trained_minus_readout": float(gap.mean()),
        "trained_minus_readout_standard_error": float(gap.std() / np.sqrt(half)),
    }


def bayes_errors(rng, trials: int) -> list[dict]:
    """Poisson counts, Bernoulli trains, and trains whose classes differ only in when they fire."""
    rows = []
    labels = rng.integers(0, 2, trials)
    for means in ((5.0, 10.0), (2.0, 8.0)):
        counts = rng.poisson(np.array(means)[labels])[:, None, None]
        readout = LogLikelihood.poisson(jnp.array(means)[:, None], dt=1.0)
        exact = bayes_error(poisson_channel(np.array(means)))
        rows.append(classify(f"Poisson counts {means[0]:g} or {means[1]:g}", readout, counts, labels, exact))

    few = labels[: trials // 4]
    chance = np.array([0.05, 0.10])
    spikes = rng.random((len(few), 100, 1)) < chance[few][:, None, None]
    exact = bayes_error(binomial_channel(100, chance))
    readout = LogLikelihood.bernoulli(jnp.array(chance, jnp.float32)[:, None])
    rows.append(classify("Bernoulli trains of 100 steps, 0.05 or 0.10", readout, spikes, few, exact))

    phase = np.arange(20)[:, None] / 3 + np.arange(3)
    rates = np.stack([0.15 + 0.1 * np.sin(phase), 0.15 + 0.1 * np.cos(phase)])
    spikes = rng.random((len(few), 20, 3)) < rates[few]
    readout = LogLikelihood.bernoulli(jnp.array(rates, jnp.float32))
    rows.append(classify("trains that differ in time only", readout, spikes, few, None))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    results = {
        "trials": options.trials,
        "cramer_rao": cramer_rao(rng, options.trials),
        "population_vector": population_vector(rng, options.trials),
        "calibration": calibration(rng, options.trials // 4),
        "bayes_error": bayes_errors(rng, options.trials),
    }
    results["seconds"] = round(time.perf_counter() - start)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")

    for row in results["cramer_rao"]:
        ratio, spikes = row["maximum_likelihood"]["std_over_bound"], row["mean_spikes"]
        print(f"{row['window_s']:5.2f} s, {spikes:6.1f} spikes: maximum likelihood has {ratio:.3f} × the bound")
    for row in results["population_vector"]:
        print(f"population vector at {row['angle']:+.1f}: bias {row['bias_in_standard_errors']:+.1f} standard errors")
    for row in results["calibration"]:
        print(f"{row['prior']} prior, {row['window_s']} s: coverage off by at most {row['worst_deviation']:.4f}")
    for row in results["bayes_error"]:
        print(
            f"{row['code']}: Bayes {row['bayes_error']:.4f}, readout {row['readout_error']:.4f} "
            f"± {row['standard_error']:.4f}, trained one worse by {row['trained_minus_readout']:+.4f} "
            f"± {row['trained_minus_readout_standard_error']:.4f}"
        )


if __name__ == "__main__":
    main()
