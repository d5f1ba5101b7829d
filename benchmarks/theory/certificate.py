"""PAC-Bayes certificates of spiking networks: on digits, and whether they hold in 100 repetitions of a small task.

python benchmarks/theory/certificate.py
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import optax

import snnlearn as sl
from snnlearn.data import Dataset, Sample

# The default surrogate when the results were made.
NEURON = sl.neurons.LIF(surrogate=sl.neurons.Atan())


def digits(seed: int) -> dict:
    """Half of the training sample makes the prior, the other half certifies; the test sample is used once."""
    data = sl.data.digits(seed=seed)
    order = np.random.default_rng(seed).permutation(len(data.train.y))
    first, second = (Sample(data.train.x[i], data.train.y[i]) for i in np.array_split(order, 2))
    encoder = sl.coding.Current(num_steps=20)
    task = Dataset("digits", first, data.validation, data.test, 10, "values", low=data.low, high=data.high)
    network = sl.network.feedforward((64, 64, 10), neuron=NEURON, key=jax.random.key(0))
    algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(5e-3), epochs=40)
    learned = sl.fit(algorithm, encoder, network, task, key=jax.random.key(seed))
    prior = sl.risk.prior_around(learned.network, first, data.validation, relative_std=0.05)
    posterior = sl.risk.MinimisedBound(optimizer=optax.adam(1e-3))(prior, encoder, second, key=jax.random.key(seed))
    found = sl.risk.certify(posterior, prior, encoder, learned.decoder, second, key=jax.random.key(seed))
    test = sl.risk.gibbs_risk(posterior, encoder, learned.decoder, data.test, key=jax.random.key(seed + 100))
    print(f"digits, seed {seed}: {found}; test {test}", flush=True)
    return found._asdict() | {"test_risk": test.value, "test_interval": test.interval[:2], "seed": seed}


def repetitions(count: int = 100) -> list[dict]:
    """Two Gaussians, half of 800 samples for the prior: the certificate against the risk on 20,000 new samples."""
    task = sl.data.GaussianPair(2.0, 2)
    encoder = sl.coding.Rescaled(sl.coding.Current(num_steps=8), -5.0, 5.0)
    held_back = task.draw(20_000, seed=10**6)
    learner = sl.algorithms.GradientDescent(optimizer=optax.adam(3e-2), epochs=10, batch_size=40)
    bounded = sl.risk.MinimisedBound(optimizer=optax.adam(3e-3), epochs=5, batch_size=40)
    network = sl.network.feedforward((2, 12, 2), neuron=NEURON, use_bias=True, key=jax.random.key(0))
    found = []
    for seed in range(count):
        key = jax.random.key(seed)
        first, validation, second = (task.draw(m, seed=3 * seed + i) for i, m in enumerate((400, 100, 400)))
        data = Dataset("two Gaussians", first, validation, validation, 2, "values", low=-5.0, high=5.0)
        learned = sl.fit(learner, encoder, network, data, key=key)
        prior = sl.risk.prior_around(learned.network, first, validation, relative_std=0.1)
        posterior = bounded(prior, encoder, second, key=key)
        bound = sl.risk.certify(posterior, prior, encoder, learned.decoder, second, draws=20, key=key).bound
        risk = sl.risk.gibbs_risk(posterior, encoder, learned.decoder, held_back, key=key).value
        found.append({"bound": bound, "risk": risk})
    return found


if __name__ == "__main__":
    path = Path(__file__).parent / "results" / "certificate.json"
    small = repetitions()
    held = sum(one["risk"] <= one["bound"] for one in small)
    means = {name: float(np.mean([one[name] for one in small])) for name in ("bound", "risk")}
    print(f"small task: the certificate holds in {held} of {len(small)} repetitions; means {means}", flush=True)
    of_digits = [digits(seed) for seed in range(5)]
    path.write_text(json.dumps({"digits": of_digits, "small": small, "held": held, "means": means}, indent=1) + "\n")
