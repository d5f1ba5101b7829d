"""Spike-train distances against closed forms, published examples, brute force and the axioms of a metric."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    DoubleExponential,
    Exponential,
    NearestTemplate,
    isi_distance,
    spike_distance,
    van_rossum_distance,
    victor_purpura_distance,
)
from snnlearn.losses import VanRossum

van_rossum = eqx.filter_jit(van_rossum_distance)
trains = st.lists(st.integers(0, 100), max_size=5, unique=True).map(lambda steps: np.sort(np.array(steps, float)) / 100)


# van Rossum


@pytest.mark.parametrize("tau", [10e-3, 4e-3])
@pytest.mark.parametrize("shift", [1e-3, 25e-3])
def test_van_rossum_single_exponential(tau, shift, x64):
    """½ for a missing spike, 1 − exp(−Δ/τ) for a displaced one; trains add up when far apart."""
    kernel = Exponential(tau)
    one, moved = jnp.array([0.5]), jnp.array([0.5 + shift])
    np.testing.assert_allclose(van_rossum(one, one[:0], kernel), 0.5)
    np.testing.assert_allclose(van_rossum(one, moved, kernel), 1 - np.exp(-shift / tau))
    both = van_rossum(jnp.array([0.5, 9.0]), jnp.array([0.5 + shift, jnp.inf]), kernel)
    np.testing.assert_allclose(both, 1.5 - np.exp(-shift / tau))


@pytest.mark.parametrize(("shift", "loss"), [(5e-3, 5.160604), (20e-3, 24.921503)])
def test_van_rossum_double_exponential_has_the_values_of_superspike(shift, loss, x64):
    """The loss is half the squared distance; 16.6667 for a missing spike, which is half of 1 / (2 (a + b))."""
    kernel = DoubleExponential(tau_decay=10e-3, tau_rise=5e-3)
    one = jnp.array([0.1])
    np.testing.assert_allclose(0.5 * van_rossum(one, one + shift, kernel), loss, rtol=1e-6)
    np.testing.assert_allclose(0.5 * van_rossum(one, one[:0], kernel), 16.666667, rtol=1e-6)


@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        (Exponential(7e-3), lambda t: np.exp(-t / 7e-3) / np.sqrt(7e-3)),
        (DoubleExponential(12e-3, 3e-3), lambda t: (np.exp(-t / 12e-3) - np.exp(-t / 3e-3)) / 9e-3),
    ],
    ids=["single", "double"],
)
def test_van_rossum_is_the_integral_of_the_squared_difference_of_traces(kernel, shape, x64):
    t = np.arange(0, 0.4, 1e-5)
    first, second = np.array([0.02, 0.05, 0.052]), np.array([0.03, 0.06])
    trace = sum(np.where(t >= s, shape(np.maximum(t - s, 0)), 0) for s in first)
    trace -= sum(np.where(t >= s, shape(np.maximum(t - s, 0)), 0) for s in second)
    measured = van_rossum(jnp.array(first), jnp.array(second), kernel)
    np.testing.assert_allclose(measured, np.sum(trace**2) * 1e-5, rtol=3e-3)


def test_van_rossum_gradient_pulls_a_spike_to_its_target(x64):
    """∂(1 − exp(−Δ/τ))/∂t = exp(−Δ/τ)/τ, also where trains are padded with inf."""
    slope = jax.jit(jax.grad(lambda t: van_rossum_distance(t, jnp.array([0.1, jnp.inf]))))(jnp.array([0.105, jnp.inf]))
    np.testing.assert_allclose(slope, [np.exp(-0.5) / 10e-3, 0])


def test_nearest_template_is_the_distance_of_its_spike_times(x64):
    spikes = np.asarray(jax.random.bernoulli(jax.random.key(1), 0.1, (4, 60, 3)), float)
    decoder = NearestTemplate(jnp.array(spikes[1:]), Exponential(6e-3), dt=2e-3)
    times = jnp.where(spikes > 0, 2e-3 * np.arange(60)[:, None], jnp.inf)
    distance = jax.jit(jax.vmap(lambda a, b: van_rossum_distance(a, b, Exponential(6e-3)), in_axes=1))
    expected = [-distance(times[0], template).sum() for template in times[1:]]
    np.testing.assert_allclose(decoder(jnp.array(spikes[0])), expected, rtol=1e-10)


def test_nearest_template_agrees_with_the_loss():
    """The loss integrates to the end of the window, the decoder to infinity; silence at the end makes them equal."""
    spikes = jnp.pad(
        jax.random.bernoulli(jax.random.key(1), 0.2, (2, 40, 3)).astype(jnp.float32), ((0, 0), (0, 80), (0, 0))
    )
    score = NearestTemplate(spikes[1:], Exponential(8e-3))(spikes[0])
    np.testing.assert_allclose(-score[0], VanRossum(tau=8e-3)((spikes[0],), spikes[1]), rtol=1e-4)


def test_nearest_template_recognises_jittered_templates():
    rng = np.random.default_rng(0)
    templates = (rng.random((4, 100, 10)) < 0.03).astype(np.float32)
    decide = jax.jit(lambda output: NearestTemplate(jnp.array(templates))(output).argmax())
    for k in range(4):
        jittered = np.zeros((100, 10), np.float32)
        step, unit = np.nonzero(templates[k])
        jittered[np.clip(step + rng.integers(-2, 3, step.shape), 0, 99), unit] = 1
        assert decide(jnp.array(jittered)) == k


# Victor–Purpura


def alignments(first, second, cost):
    """The cheapest of all ways to match some spikes in order, and to remove and add the others."""
    best = len(first) + len(second)
    for k in range(1, min(len(first), len(second)) + 1):
        for a, b in itertools.product(itertools.combinations(first, k), itertools.combinations(second, k)):
            moved = cost * np.abs(np.subtract(a, b)).sum()
            best = min(best, len(first) + len(second) - 2 * k + moved)
    return best


@settings(deadline=None, max_examples=60)
@given(trains, trains, st.sampled_from([0.0, 1.5, 10.0, 60.0, 1000.0]))
def test_victor_purpura_is_the_cheapest_alignment(first, second, cost):
    np.testing.assert_allclose(
        victor_purpura_distance(first, second, cost), alignments(first, second, cost), atol=1e-12
    )


@settings(deadline=None, max_examples=60)
@given(trains, trains, trains, st.sampled_from([3.0, 30.0]))
def test_victor_purpura_and_the_root_of_van_rossum_are_metrics(a, b, c, cost):
    def root(x, y):  # padded, so that it compiles once
        x, y = (np.pad(train, (0, 6 - len(train)), constant_values=np.inf) for train in (x, y))
        return float(jnp.sqrt(ROSSUM(jnp.array(x, jnp.float32), jnp.array(y, jnp.float32))))

    for distance in (lambda x, y: victor_purpura_distance(x, y, cost), root):
        assert distance(a, a) == pytest.approx(0, abs=1e-3)
        assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-3)
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-3
        assert distance(a, b) > 0 or (len(a) == len(b) and (a == b).all())


ROSSUM = jax.jit(lambda x, y: van_rossum_distance(x, y, Exponential(50e-3)))


def test_van_rossum_is_never_negative():
    """Of equal trains in another order, rounding has either sign; its root, and a score, are to be numbers."""
    times = jnp.array(np.random.default_rng(0).uniform(0, 0.2, (64, 8)), jnp.float32)
    squares = jax.jit(jax.vmap(lambda t: van_rossum_distance(t, t[::-1], DoubleExponential())))(times)
    assert (squares >= 0).all() and (squares < 1e-3).all()
    spikes = jax.random.bernoulli(jax.random.key(0), 0.3, (64, 50, 1)).astype(jnp.float32)
    mean = spikes / 3 + spikes / 3 + spikes / 3 - 1e-7  # off by rounding alone
    assert (jax.jit(jax.vmap(lambda s, m: NearestTemplate(m[None])(s)))(spikes, mean) <= 0).all()


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_van_rossum_of_what_is_no_time_is_nan_and_not_silence(wrong):
    one, broken = jnp.array([0.1]), jnp.array([0.1, wrong])
    assert jnp.isnan(van_rossum_distance(one, broken)) and jnp.isnan(van_rossum_distance(broken, one))
    assert van_rossum_distance(one, jnp.array([jnp.inf, 0.1])) == 0


# ISI and SPIKE distance

UNIT = (0.0, 1.0)


def test_the_worked_examples_of_pyspike():
    """Its pen-and-paper profiles, integrated; for SPIKE with S = 0 where auxiliary spikes coincide."""
    a, b = np.array([0.2, 0.4, 0.6, 0.7]), np.array([0.3, 0.45, 0.8, 0.9, 0.95])
    np.testing.assert_allclose(isi_distance(a, b, UNIT), 0.4375)
    np.testing.assert_allclose(spike_distance(a, b, UNIT), 0.327349844353424)
    c, d = np.array([0.2, 0.4, 0.6]), np.array([0.1, 0.4, 0.5, 0.6])
    np.testing.assert_allclose(isi_distance(c, d, UNIT), 0.25)
    one, none = np.array([0.4]), np.array([])
    np.testing.assert_allclose(isi_distance(none, one, UNIT), 0.6 * 0.4 + 0.4 * 0.6)
    np.testing.assert_allclose(spike_distance(none, one, UNIT), 0.4 * 0.4 / 1.4**2 + 0.6 * 0.4 / 1.6**2)


def by_definition(first, second, window, moments=20_001):
    """Both profiles moment by moment, straight from the definitions, averaged."""
    start, end = window
    full = [np.unique([start, *train, end]) for train in (first, second)]
    t = np.linspace(start, end, moments)[:-1] + (end - start) / (moments - 1) / 2
    after = [np.array([train[train > moment].min() for moment in t]) for train in full]
    before = [np.array([train[train <= moment].max() for moment in t]) for train in full]
    nu = [f - p for f, p in zip(after, before, strict=True)]

    def gap(spikes, others):
        return np.array([np.abs(others - spike).min() for spike in spikes])

    s = [
        (gap(before[n], full[1 - n]) * (after[n] - t) + gap(after[n], full[1 - n]) * (t - before[n])) / nu[n]
        for n in (0, 1)
    ]
    isi = np.abs(nu[0] - nu[1]) / np.maximum(nu[0], nu[1])
    return isi.mean(), ((s[0] * nu[1] + s[1] * nu[0]) / (2 * ((nu[0] + nu[1]) / 2) ** 2)).mean()


@pytest.mark.parametrize("seed", range(3))
def test_isi_and_spike_distance_by_definition(seed):
    rng = np.random.default_rng(seed)
    first, second = (np.sort(rng.uniform(-1, 3, n)) for n in (6, 9))
    isi, spike = by_definition(first, second, (-1.0, 3.0), 4001)
    np.testing.assert_allclose(isi_distance(first, second, (-1.0, 3.0)), isi, atol=2e-3)
    np.testing.assert_allclose(spike_distance(first, second, (-1.0, 3.0)), spike, atol=2e-3)


@settings(deadline=None, max_examples=50)
@given(trains, trains, st.floats(0.1, 1e3), st.floats(-10, 10))
def test_isi_and_spike_distance_have_no_scale(a, b, scale, shift):
    """0 for equal trains, symmetric, at most 1, and blind to the unit and the origin of time."""
    window = (shift, shift + scale)
    for distance in (isi_distance, spike_distance):
        assert distance(a, a, UNIT) == 0
        assert 0 <= distance(a, b, UNIT) <= 1 + 1e-12
        assert distance(a, b, UNIT) == pytest.approx(distance(b, a, UNIT), abs=1e-12)
        inside = [np.clip(shift + scale * train, window[0], window[1]) for train in (a, b)]
        assert distance(inside[0], inside[1], window) == pytest.approx(distance(a, b, UNIT), abs=1e-6)


def test_spike_distance_grows_with_jitter_where_the_rates_are_equal():
    """ISI distance sees rates, SPIKE distance sees timing: a constant shift within long regular trains."""
    regular = np.arange(0.05, 10, 0.1)
    found = [spike_distance(regular, regular + shift, (0.0, 10.0)) for shift in (0.01, 0.02, 0.04)]
    np.testing.assert_allclose(found, [0.1, 0.2, 0.4], rtol=0.05)
    assert isi_distance(regular, regular + 0.04, (0.0, 10.0)) < 0.02


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(tau=0), "tau is 0.0"),
        (
            lambda: DoubleExponential(tau_decay=3e-3, tau_rise=5e-3),
            "tau_rise is 0.005 s, not below tau_decay = 0.003 s",
        ),
        (lambda: NearestTemplate(jnp.zeros((2, 5, 1)), dt=0), "dt is 0.0"),
        (lambda: NearestTemplate(jnp.zeros((2, 5, 1)))(jnp.zeros((6, 1))), "give both the same"),
        (lambda: victor_purpura_distance(np.array([1.0]), np.array([2.0]), cost=-1.0), "cost is -1.0"),
        (lambda: victor_purpura_distance(np.array([2.0, 1.0]), np.array([2.0]), cost=1.0), "sort them"),
        (lambda: isi_distance(np.array([0.5]), np.array([np.nan]), UNIT), "not finite and ascending"),
        (lambda: spike_distance(np.array([1.5]), np.array([0.5]), UNIT), "outside the window"),
        (lambda: spike_distance(np.array([0.5]), np.array([0.5]), (1.0, 1.0)), "give a finite start < end"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
