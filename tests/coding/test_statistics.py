"""Each code with noise: counts and intervals of independent coins, within 4 standard errors of the closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.coding import (
    AbstractEncoder,
    CosineTuning,
    Framewise,
    PoissonRate,
    Population,
    Rate,
    Rescaled,
    TunedPopulation,
)

STEPS, UNITS = 400, 2000
DT = 2e-3
poisson = PoissonRate(STEPS, max_rate=300, dt=DT)
cosine = TunedPopulation(Rate(STEPS, 200, DT), CosineTuning(np.arange(4) * np.pi / 2, max_rate=200, base_rate=120))

# A code, a value, and the chance of a spike in a step of each of its neurons, by the code's definition.
CASES: list[tuple[AbstractEncoder, float, list[float]]] = [
    (Rate(STEPS, max_rate=300, dt=DT), 0.4, [0.24]),
    (poisson, 0.7, [1 - np.exp(-0.42)]),
    (Rescaled(poisson, -10, 10), 4.0, [1 - np.exp(-0.42)]),
    (Framewise(Rate(STEPS // 4, max_rate=300, dt=DT), num_frames=4), 0.4, [0.24]),
    (
        Population(Rate(STEPS, max_rate=400, dt=DT), num_neurons=4),
        0.5,
        [0.8 * np.exp(-((0.5 - c) ** 2) * 4.5) for c in (-0.25, 0.25, 0.75, 1.25)],  # σ = ½ / 1.5
    ),
    (cosine, 0.3, [DT * (120 + 80 * np.cos(0.3 - angle)) for angle in np.arange(4) * np.pi / 2]),
]
IDS = ["rate", "poisson", "rescaled", "framewise", "population", "cosine"]


@pytest.mark.parametrize(("code", "x", "chances"), CASES, ids=IDS)
def test_counts_and_intervals_are_those_of_independent_coins(code, x, chances):
    shape = (4, UNITS) if isinstance(code, Framewise) else (UNITS,)
    spikes = np.asarray(jax.jit(lambda x: code(x, key=jax.random.key(3)))(jnp.full(shape, x)))
    for p, trains in zip(chances, np.moveaxis(spikes.reshape(STEPS, UNITS, -1), -1, 0), strict=True):
        counts = trains.sum(axis=0, dtype=np.float64)
        variance = STEPS * p * (1 - p)
        of_mean = np.sqrt(variance / UNITS)
        of_variance = np.sqrt((variance * (1 + 3 * (STEPS - 2) * p * (1 - p)) - variance**2) / UNITS)
        assert abs(counts.mean() - STEPS * p) < 4 * of_mean
        assert abs(counts.var() - variance) < 4 * of_variance
        fano = counts.var() / counts.mean()
        assert abs(fano - (1 - p)) < 4 * (of_variance / (STEPS * p) + (1 - p) * of_mean / (STEPS * p))

        intervals = intervals_of(trains)
        assert abs(intervals.mean() - 1 / p) < 4 * np.sqrt((1 - p) / p**2 / intervals.size)
        for k in (1, 2, 5):  # P(interval > k) = (1 − p)ᵏ
            share = (1 - p) ** k
            assert abs((intervals > k).mean() - share) < 4 * np.sqrt(share * (1 - share) / intervals.size)


def intervals_of(trains: np.ndarray) -> np.ndarray:
    """From each spike of the first half to the next one: the end of the window cuts none off that is likely at all."""
    unit, step = np.nonzero(trains.T)
    started = (np.diff(unit) == 0) & (step[:-1] < len(trains) // 2)
    return np.diff(step)[started].astype(np.float64)
