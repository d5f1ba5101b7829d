"""How often intervals hold the truth: 10,000 repetitions for each, 95 % promised.

python benchmarks/theory/coverage.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from snnlearn import risk

REPETITIONS = 10_000


def of_counts(interval, p: float, n: int) -> float:
    """By simulation; each of the n + 1 counts needs its interval only once."""
    ends = np.array([interval(k, n)[:2] for k in range(n + 1)])
    errors = np.random.default_rng(0).binomial(n, p, REPETITIONS)
    return float(np.mean((ends[errors, 0] <= p) & (p <= ends[errors, 1])))


def of_values(interval, values: np.ndarray, truth: float) -> float:
    held = [low <= truth <= high for low, high, _ in map(interval, values)]
    return float(np.mean(held))


def main() -> dict:
    rng = np.random.default_rng(1)
    counts = ((0.01, 100), (0.03, 400), (0.2, 60), (0.1, 10_000), (0.3, 2000), (0.5, 10_000))
    found = {
        name: {f"risk {p}, n {n}": of_counts(interval, p, n) for p, n in counts}
        for name, interval in (("clopper_pearson", risk.clopper_pearson), ("wilson", risk.wilson))
    }
    found["t_interval"] = {
        f"normal, {k} seeds": of_values(risk.t_interval, rng.normal(0.1, 0.02, (REPETITIONS, k)), 0.1)
        for k in (3, 5, 20)
    }
    losses = {
        "Bernoulli 0.05, m 300": ((rng.random((REPETITIONS, 300)) < 0.05).astype(float), 0.05),
        "Beta(0.3, 3), m 300": (rng.beta(0.3, 3.0, (REPETITIONS, 300)), 0.3 / 3.3),
    }
    for name, interval in (("hoeffding", risk.hoeffding), ("empirical_bernstein", risk.empirical_bernstein)):
        found[name] = {what: of_values(interval, values, truth) for what, (values, truth) in losses.items()}
    values, truth = losses["Beta(0.3, 3), m 300"]
    found["bootstrap"] = {"Beta(0.3, 3), m 300": of_values(lambda v: risk.bootstrap(v, resamples=999), values, truth)}
    return found


if __name__ == "__main__":
    found = main()
    for name, rows in found.items():
        print(name, rows)
    path = Path(__file__).parent / "results" / "coverage.json"
    path.write_text(json.dumps({"repetitions": REPETITIONS, "promised": 0.95, "coverage": found}, indent=1) + "\n")
