"""Decoders by hand, and first-spike scores against the polynomial whose gradient they promise."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    AbstractDecoder,
    FilteredRate,
    FirstSpike,
    LastMembrane,
    MaxMembrane,
    MeanMembrane,
    SpikeCount,
)
from snnlearn.coding.conformance import check_decoder

DECODERS = [
    MeanMembrane(),
    MaxMembrane(),
    LastMembrane(),
    SpikeCount(),
    FirstSpike(),
    FirstSpike(scale=2e-3, dt=4e-3),
    FilteredRate(),
    FilteredRate(tau=6e-3, dt=2e-3),
]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_conforms(decoder):
    check_decoder(decoder)


class Wrong(AbstractDecoder):
    """Breaks one law, named by `law`."""

    law: str

    def __call__(self, output):
        match self.law:
            case "3 classes":
                return output.sum(axis=1)
            case "float32":
                return output.sum(axis=0).astype(jnp.float16)
            case "not finite":
                return 1 / output.sum(axis=0)
            case "under jit":
                return output.sum(axis=0) + float(isinstance(output, Tracer))
            case "its place":
                return output.sum(axis=0) * jnp.array([1.0, 2.0, 1.0], jnp.float32)
            case "silent unit":
                return -output.sum(axis=0)
            case "gradient":
                return jnp.sqrt(jnp.abs(output)).sum(axis=0)
        return output.sum(axis=0)


@pytest.mark.parametrize(
    "law", ["3 classes", "float32", "not finite", "under jit", "its place", "silent unit", "gradient"]
)
def test_conformance_names_the_broken_law(law):
    check_decoder(Wrong("none"))
    with pytest.raises(AssertionError, match=law):
        check_decoder(Wrong(law))


def test_membrane_and_count_scores():
    output = jnp.array([[1.0, -1.0], [4.0, -5.0], [-2.0, 0.0]])
    np.testing.assert_array_equal(MeanMembrane()(output), [1.0, -2.0])
    np.testing.assert_array_equal(MaxMembrane()(output), [4.0, 0.0])
    np.testing.assert_array_equal(LastMembrane()(output), [-2.0, 0.0])
    np.testing.assert_array_equal(SpikeCount()(output), [3.0, -6.0])


@pytest.mark.parametrize(("tau", "dt"), [(20e-3, 1e-3), (6e-3, 2e-3)])
def test_filtered_rate_is_the_last_state_of_an_exponential_filter(tau, dt):
    """Step by step; and for coins its mean is the rate, its variance `p (1 − p) (1 − κ) / (1 + κ) / dt²`."""
    spikes = np.random.default_rng(0).random((400, 2000)) < 0.2
    rate, kappa = np.zeros(2000), np.exp(-dt / tau)
    for step in spikes:
        rate = kappa * rate + (1 - kappa) * step / dt
    decoded = np.asarray(FilteredRate(tau, dt)(jnp.array(spikes, jnp.float32)))
    np.testing.assert_allclose(decoded, rate, rtol=1e-4, atol=1e-4)
    variance = 0.16 / dt**2 * (1 - kappa) / (1 + kappa)
    assert abs(decoded.mean() - 0.2 / dt) < 4 * np.sqrt(variance / 2000)
    np.testing.assert_allclose(decoded.var(), variance, rtol=0.15)


# First spike: all 2⁶ spike trains of 6 steps, one per class

TRAINS = np.array(list(itertools.product([0.0, 1.0], repeat=6))).T


def first_steps(trains):
    """Steps before the first spike, counted; T if there is none."""
    return np.where(trains.any(axis=0), trains.argmax(axis=0), len(trains)).astype(float)


def exact_slopes(trains):
    """What a spike in step k, added or removed, changes: the derivative of a polynomial linear in each spike."""
    slopes = []
    for k in range(len(trains)):
        fired, quiet = trains.copy(), trains.copy()
        fired[k], quiet[k] = 1, 0
        slopes.append(first_steps(fired) - first_steps(quiet))
    return np.array(slopes)


@pytest.mark.parametrize(("scale", "dt"), [(5e-3, 1e-3), (2e-3, 4e-3)])
def test_first_spike_score_is_its_time(scale, dt):
    np.testing.assert_allclose(FirstSpike(scale, dt)(jnp.array(TRAINS)), -first_steps(TRAINS) * dt / scale, rtol=1e-6)


@pytest.mark.parametrize(("scale", "dt"), [(5e-3, 1e-3), (2e-3, 4e-3)])
def test_first_spike_gradient_is_what_one_spike_changes(scale, dt):
    decoder, trains = FirstSpike(scale, dt), jnp.array(TRAINS)
    slopes = -exact_slopes(TRAINS) * dt / scale
    reverse = jax.jit(jax.grad(lambda s: decoder(s).sum()))(trains)
    np.testing.assert_allclose(reverse, slopes, rtol=1e-6)

    one_class = jax.jit(jax.vmap(jax.jacfwd(lambda s: decoder(s[:, None])[0]), in_axes=1, out_axes=1))
    np.testing.assert_allclose(one_class(trains), slopes, rtol=1e-6)

    direction = jax.random.normal(jax.random.key(0), trains.shape)
    _, tangent = jax.jit(lambda s, d: jax.jvp(decoder, (s,), (d,)))(trains, direction)
    np.testing.assert_allclose(tangent, (slopes * np.asarray(direction)).sum(axis=0), rtol=1e-4, atol=1e-5)


def test_first_spike_gradient_tells_a_silent_unit_to_fire_and_early_most():
    gradient = np.asarray(jax.grad(lambda s: FirstSpike(scale=1e-3)(s)[0])(jnp.zeros((5, 1))))[:, 0]
    np.testing.assert_allclose(gradient, [5, 4, 3, 2, 1])


def test_first_spike_between_spikes_is_the_expected_time_of_coins():
    """Away from 0 and 1 it is the expectation over independent spikes with those probabilities."""
    p = np.array([0.2, 0.7, 0.1, 0.4, 0.9, 0.3])
    chance = np.where(TRAINS == 1, p[:, None], 1 - p[:, None]).prod(axis=0)
    expected = (chance * first_steps(TRAINS)).sum()
    np.testing.assert_allclose(FirstSpike(scale=1e-3)(jnp.array(p)[:, None]), [-expected], rtol=1e-5)


@pytest.mark.parametrize(("fields", "message"), [({"scale": 0}, "scale is 0.0"), ({"dt": -1e-3}, "dt is -0.001")])
def test_misuse_says_what_to_do(fields, message):
    with pytest.raises(SnnlearnError, match=message):
        FirstSpike(**fields)


@pytest.mark.parametrize(("fields", "message"), [({"tau": 0}, "tau is 0.0"), ({"dt": 0.1}, "longer than tau")])
def test_misuse_of_the_filtered_rate(fields, message):
    with pytest.raises(SnnlearnError, match=message):
        FilteredRate(**fields)
