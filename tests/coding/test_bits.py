"""Bits of a value in its spikes, against enumeration and closed forms."""

from __future__ import annotations

from collections import Counter
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    Burst,
    Delta,
    Framewise,
    Latency,
    LinearLatency,
    LogLikelihood,
    Phase,
    PoissonRate,
    Population,
    RankOrder,
    Rate,
    RegularRate,
    Rescaled,
    bits_per_value,
    gaussian_activations,
    mutual_information_estimate,
)

GREY = np.arange(256) / 255


def entropy(keys) -> float:
    """Of what is seen once for each level, bits."""
    return float(stats.entropy(list(Counter(keys).values()), base=2))


@pytest.mark.parametrize("num_phases", [1, 3, 8])
def test_phases_are_digits(num_phases):
    assert bits_per_value(Phase(num_steps=2 * num_phases, num_phases=num_phases)) == pytest.approx(num_phases)


def test_codes_without_noise_carry_the_values_that_they_tell_apart():
    step = [None if x <= 0.3 else round(10 * (1 - x)) for x in GREY]
    assert bits_per_value(LinearLatency(11, threshold=0.3)) == pytest.approx(entropy(step))
    time = [None if x <= 0.2 else round(20 * np.log(x / (x - 0.2))) for x in GREY]
    assert bits_per_value(Latency(30)) == pytest.approx(entropy(t if t is None or t < 30 else None for t in time))
    burst = [(min(int(np.ceil(2 * x)), 2), x > 0.5 and int(np.ceil(9 - 6 * x))) for x in GREY]
    code = Burst(num_steps=20, max_spikes=2, min_interval=3, max_interval=9)
    assert bits_per_value(code) == pytest.approx(entropy(burst), abs=0.02)
    assert bits_per_value(RegularRate(1, max_rate=1000)) == pytest.approx(entropy(GREY >= 0.5))


@pytest.mark.parametrize(
    ("code", "chance"), [(Rate(1, 700), 0.7 * GREY), (PoissonRate(1, 700), 1 - np.exp(-0.7 * GREY))]
)
def test_one_coin(code, chance):
    """H(mean p) − mean H(p)."""
    binary = lambda p: stats.entropy(np.array([p, 1 - p]), base=2)  # noqa: E731
    assert bits_per_value(code) == pytest.approx(binary(chance.mean()) - binary(chance).mean(), rel=1e-4)


def test_a_population_of_coins_is_estimated():
    """Three neurons, one step: 8 patterns can be summed over."""
    code = Population(Rate(1, max_rate=1000), num_neurons=3, low=-1, high=1)
    x = jnp.linspace(-1, 1, 256)
    p = np.asarray(gaussian_activations(x, code.centres, code.sigma), np.float64)
    patterns = np.array(list(product((0, 1), repeat=3)))
    channel = np.where(patterns[None] == 1, p[:, None], 1 - p[:, None]).prod(axis=-1)
    exact = stats.entropy(channel.mean(axis=0), base=2) - stats.entropy(channel, axis=1, base=2).mean()
    assert bits_per_value(code) == pytest.approx(exact, abs=0.04)
    assert bits_per_value(Population(LinearLatency(200))) > 7.9


@pytest.mark.parametrize(("num_steps", "threshold"), [(4, 0.0), (2, 0.0), (4, 0.4), (2, 0.4)])
def test_rank_order_by_drawing(num_steps, threshold):
    """Patterns of 3 independent values, counted; the entropy of counts is too small by (patterns − 1) / 2M nats."""
    x = jax.random.uniform(jax.random.key(0), (20_000, 3))
    code = RankOrder(num_steps, threshold=threshold)
    spikes = np.asarray(jax.jit(jax.vmap(lambda x: code(x)))(x))
    counts = np.unique(spikes.reshape(len(x), -1), axis=0, return_counts=True)[1]
    seen = stats.entropy(counts, base=2) + (len(counts) - 1) / (2 * len(x) * np.log(2))
    assert bits_per_value(code, (3,)) == pytest.approx(seen / 3, abs=0.01)


def test_codes_around_codes():
    assert bits_per_value(Rescaled(Phase(3, 3), -1, 5)) == pytest.approx(3)
    assert bits_per_value(Framewise(RankOrder(2), 5), (5, 2)) == pytest.approx(0.5)  # log₂ 2! of two values


@pytest.mark.parametrize(("p", "q"), [(0.1, 0.6), (0.5, 0.5)])
def test_the_estimate_is_that_of_one_coin(p, q):
    """Both classes, each outcome as often as it comes: the mean of the estimate is exact."""
    readout = LogLikelihood.bernoulli(jnp.array([[p], [q]]))
    scores = jnp.stack([readout(jnp.array([[spike]])) for spike in (1.0, 0.0)])
    times = np.round(1000 * np.array([p + q, 2 - p - q])).astype(int)
    bits, error = mutual_information_estimate(jnp.repeat(scores, jnp.array(times), axis=0))
    marginal = [(p + q) / 2, 1 - (p + q) / 2]
    exact = stats.entropy(marginal, base=2) - np.mean([stats.entropy([r, 1 - r], base=2) for r in (p, q)])
    assert bits == pytest.approx(exact, abs=1e-5)
    assert error == 0 if p == q else 0 < error < 0.02


def test_a_code_of_changes_has_no_such_number():
    with pytest.raises(SnnlearnError, match="Delta: its bits per value are unknown"):
        bits_per_value(Delta(5))
