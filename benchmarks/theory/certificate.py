"""PAC-Bayes certificates of spiking networks: on digits, and whether they hold in 100 repetitions of a small task.

python benchmarks/theory/certificate.py
"""

from __future__ import annotations

import json
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax

import snnlearn as sl
from snnlearn.data import Dataset, Sample


def digits(seed: int) -> dict:
    """Half of the training sample makes the prior, the other half certifies; the test sample is used once."""
    data = sl.data.digits(seed=seed)
    order = np.random.default_rng(seed).permutation(len(data.train.y))
    first, second = (Sample(data.train.x[i], data.train.y[i]) for i in np.array_split(order, 2))
    encoder = sl.coding.Current(num_steps=20)
    task = Dataset("digits", first, data.validation, data.test, 10, "values", low=data.low, high=data.high)
    network = sl.network.feedforward((64, 64, 10), key=jax.random.key(0))
    algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(5e-3), epochs=40)
    learned = sl.fit(algorithm, encoder, network, task, key=jax.random.key(seed))
    prior = sl.risk.prior_around(learned.network, first, data.validation, relative_std=0.05)
    posterior = sl.risk.MinimisedBound(optimizer=optax.adam(1e-3))(prior, encoder, second, key=jax.random.key(seed))
    found = sl.risk.certify(posterior, prior, encoder, learned.decoder, second, key=jax.random.key(seed))
    test = sl.risk.gibbs_risk(posterior, encoder, learned.decoder, data.test, key=jax.random.key(seed + 100))
    print(f"digits, seed {seed}: {found}; test {test}", flush=True)
    return found._asdict() | {"test_risk": test.value, "test_interval": test.interval[:2], "seed": seed}


def repetitions(count: int = 100) -> list[dict]:
    """Two Gaussians with an untrained prior: the certificate against the risk on 20,000 new samples."""
    task = sl.data.GaussianPair(2.0, 2)
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=8), -5.0, 5.0)
    decoder = sl.coding.MeanMembrane()
    held_back = task.draw(20_000, seed=10**6)
    algorithm = sl.risk.MinimisedBound(optimizer=optax.adam(1e-2), epochs=10)
    found = []
    for seed in range(count):
        network = sl.network.feedforward((2, 12, 2), use_bias=True, key=jax.random.key(seed))
        # At first too weak to spike.
        network = jax.tree.map(lambda leaf: 4 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
        prior, sample = sl.risk.prior_around(network, relative_std=0.5), task.draw(1000, seed=seed)
        posterior = algorithm(prior, encoder, sample, key=jax.random.key(seed))
        bound = sl.risk.certify(posterior, prior, encoder, decoder, sample, draws=5, key=jax.random.key(seed)).bound
        risk = sl.risk.gibbs_risk(posterior, encoder, decoder, held_back, key=jax.random.key(seed)).value
        found.append({"bound": bound, "risk": risk})
    return found


if __name__ == "__main__":
    of_digits = [digits(seed) for seed in range(5)]
    small = repetitions()
    held = sum(one["risk"] <= one["bound"] for one in small)
    print(f"small task: the certificate holds in {held} of {len(small)} repetitions")
    path = Path(__file__).parent / "results" / "certificate.json"
    path.write_text(json.dumps({"digits": of_digits, "small": small, "held": held}, indent=1) + "\n")
