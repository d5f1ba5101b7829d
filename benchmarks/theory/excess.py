"""Excess risk of a spiking network against the size of its training sample, where the Bayes risk is known.

python benchmarks/theory/excess.py

On each distribution: does the Bayes-optimal function attain R*; is the excess risk of a trained spiking network at
least 0 and falling with m; what is it made of at m = 200. Ten samples of each size; stopped, it goes on where it was.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import jax
import numpy as np
import optax

import snnlearn as sl
from snnlearn import data, risk

SIZES = (50, 200, 800, 3200)
SAMPLES = 10
BATCH = 20
LEARNING_RATE = 3e-2
RESULTS = Path(__file__).parent / "results" / "excess.json"

RATES = np.stack([np.linspace(20, 80, 12), np.linspace(80, 20, 12)])
RAMPS = np.linspace(10, 60, 20)[:, None] * np.ones((1, 8))

# With the range that the inputs are encoded from.
TASKS = {
    "two Gaussians": (data.GaussianPair(1.0, 2), -4.0, 4.0),
    "Gaussian XOR": (data.GaussianXor(1.5), -4.0, 4.0),
    "two widths": (data.GaussianScales(1.0, 3.0), -6.0, 6.0),
    "overlapping uniforms": (data.OverlappingUniforms(0.3), 0.0, 2.0),
    "flipped labels": (data.FlippedConcept(0.1), 0.0, 1.0),
    "yin-yang": (data.YinYang(), 0.0, 1.0),
    "Poisson counts": (data.PoissonCounts(5.0, 10.0), 0.0, 20.0),
    "binomial counts": (data.BinomialCounts(100, 0.05, 0.1), 0.0, 20.0),
    "spike trains, rates": (data.SpikeTrains(RATES, num_steps=20), 0.0, 1.0),
    "spike trains, times": (data.SpikeTrains(np.stack([RAMPS, RAMPS[::-1]]), num_steps=20), 0.0, 1.0),
}


def learner(task, low, high, m):
    """From a sample of m to a spiking network, by gradient descent with about 800 updates, or 10 passes."""
    if task.kind == "spikes":
        encoder = sl.coding.Spikes(num_steps=20)
    else:
        code = sl.coding.Population(sl.coding.LinearLatency(num_steps=12, threshold=0.1), 8)
        encoder = sl.coding.Rescaled(code, low, high)
    size = int(np.prod(encoder.out_shape(task.draw(1).x.shape[1:])))
    # Where both classes have the same spikes but at other times, a unit must remember: a count by itself tells nothing.
    timed = size == 8 and task.kind == "spikes"
    network = sl.network.feedforward(
        (size, 24, task.num_classes),
        neuron=sl.neurons.LIF(surrogate=sl.neurons.Atan()),
        recurrent=timed,
        use_bias=timed,
        key=jax.random.key(0),
    )
    epochs = max(10, 800 * BATCH // m)
    algorithm = sl.algorithms.GradientDescent(optimizer=optax.adam(LEARNING_RATE), epochs=epochs, batch_size=BATCH)
    return lambda key: risk.from_algorithm(algorithm, encoder, network, key=key)


def measure(task, low, high):
    draw = task.draw(100_000, seed=10**6)
    errors = int(np.sum(task.bayes_optimal(draw.x) != draw.y))
    interval = risk.clopper_pearson(errors, len(draw.y), confidence=0.99)
    by_size, learned = {}, task.bayes_optimal
    for m in SIZES:
        learn, excess = learner(task, low, high, m), []
        for seed in range(SAMPLES):
            decide = learn(jax.random.key(seed))(task.draw(m, seed=seed))
            excess.append(risk.excess_risk(decide, task, m=20_000, seed=10**5)[0])
            if m == 200 and seed == 0:
                learned = decide
        by_size[m] = {"excess": excess, "mean": float(np.mean(excess)), "interval": risk.t_interval(excess)[:2]}
    # The same network on the same sample, given ten times the updates and no early stopping by choice of sample; and on
    # 20,000 samples, which stands in for the best of the class.
    sample = task.draw(200, seed=0)
    minimiser = learner(task, low, high, 20)(jax.random.key(0))(sample)
    best = learner(task, low, high, 20_000)(jax.random.key(0))(task.draw(20_000, seed=10**4))
    parts = risk.decompose(learned, minimiser, best, sample, task, seed=10**5)
    return {
        "bayes_risk": task.bayes_risk,
        "bayes_optimal_error": errors / len(draw.y),
        "bayes_optimal_interval_99": interval[:2],
        "attained": bool(interval.low <= task.bayes_risk <= interval.high or task.bayes_risk == errors == 0),
        "by_size": by_size,
        "decomposition": parts._asdict(),
        "sum_less_excess": parts.a + parts.b + parts.c + parts.d - parts.excess,
    }


if __name__ == "__main__":
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, (task, low, high) in TASKS.items():
        if name in found:
            continue
        start = time.time()
        found[name] = measure(task, low, high)
        means = ", ".join(f"{one['mean']:.4f}" for one in found[name]["by_size"].values())
        print(
            f"{name}: R* {found[name]['bayes_risk']:.4f}, excess {means}, {time.time() - start:.0f} s; sum − excess "
            f"{found[name]['sum_less_excess']:.0e}",
            flush=True,
        )
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
