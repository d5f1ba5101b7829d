"""Poisson and regular rates, phase, burst, rank order, delta codes, frames and ranges against their equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    Burst,
    Current,
    Delta,
    Framewise,
    InversePhase,
    Latency,
    LinearLatency,
    Phase,
    PoissonRate,
    RankOrder,
    Rate,
    RegularRate,
    Rescaled,
    SendOnDelta,
    delta_events,
    learn_range,
    ranks,
    send_on_delta_events,
    spike_at,
)

KEY = jax.random.key(11)
UNIT = st.lists(st.floats(0, 1, width=32, allow_subnormal=False), min_size=8, max_size=8).map(
    lambda v: np.array(v, np.float32)
)
FEW = settings(deadline=None, max_examples=40)


# Poisson


@pytest.mark.parametrize(("x", "max_rate", "dt"), [(0.5, 3000.0, 1e-3), (1.0, 100.0, 2e-3)])
def test_poisson_spikes_where_the_process_has_an_event(x, max_rate, dt):
    """p = 1 − e^{−r dt}, so the log of the fraction of silent steps gives back the rate; Fano factor 1 − p."""
    num_steps, units = 100, 4000
    spikes = np.asarray(PoissonRate(num_steps, max_rate, dt)(jnp.full(units, x), key=KEY), np.float64)
    p = 1 - np.exp(-x * max_rate * dt)
    error = 4 * np.sqrt(p * (1 - p) / spikes.size)
    assert abs(spikes.mean() - p) < error
    assert abs(-np.log(1 - spikes.mean()) / dt - x * max_rate) < error / (1 - p) / dt * 1.05
    counts = spikes.sum(0)
    assert abs(counts.var() / counts.mean() - (1 - p)) < 4 * (1 - p) * np.sqrt(2 / units) + 4 * error


def test_poisson_is_the_rate_code_to_first_order():
    """They differ by (r dt)² / 2 to leading order."""
    x = jnp.array([0.01, 0.1])
    gap = Rate(5).probability(x) - PoissonRate(5).probability(x)
    np.testing.assert_allclose(gap, (0.2 * np.array([0.01, 0.1])) ** 2 / 2, rtol=0.02)


# Regular


@FEW
@given(UNIT, st.floats(0, 0.99))
def test_regular_counts_are_exact_and_evenly_spaced(x, phase):
    num_steps, max_rate = 97, 700.0
    spikes = np.asarray(_regular(jnp.array(x), jnp.float32(phase)))
    p = x.astype(np.float64) * 0.7
    for i in range(len(x)):
        count = phase + num_steps * p[i]
        if abs(count - round(count)) > 1e-3:  # single precision decides the others
            assert spikes[:, i].sum() == np.floor(count)
        intervals = np.diff(np.flatnonzero(spikes[:, i]))
        assert intervals.size == 0 or intervals.max() - intervals.min() <= 1
    assert (np.diff(spikes[:, np.argsort(x)].sum(0)) >= 0).all(), max_rate  # more for more


@jax.jit
def _regular(x, phase):
    code = RegularRate(97, max_rate=700)
    object.__setattr__(code, "phase", phase)  # traced, so that all examples share one program
    return code(x)


def test_regular_is_an_integrator_with_reset_by_subtraction():
    p, v, expected = 0.3125, 0.25, []
    for _ in range(40):
        v += p
        expected.append(float(v >= 1))
        v -= expected[-1]
    spikes = RegularRate(40, max_rate=625, phase=0.25)(jnp.array(0.5))
    np.testing.assert_array_equal(spikes, expected)
    assert RegularRate(1000, max_rate=100)(jnp.array(1.0)).sum() == 100


@pytest.mark.parametrize(("num_steps", "max_rate"), [(200, 1000), (400, 500)])
def test_regular_rates_of_whole_counts(num_steps, max_rate):
    """k of n spikes for x = k/n, also where the nearest float is below it, as 53 of 100 and 1 of 49 are."""
    n = num_steps * max_rate // 1000
    spikes = RegularRate(num_steps, max_rate=max_rate, phase=0.0)(jnp.arange(n + 1, dtype=jnp.float32) / n)
    np.testing.assert_array_equal(spikes.sum(0), np.arange(n + 1))
    assert set(np.unique(spikes)) == {0.0, 1.0}


# Phase


def test_phase_is_the_binary_expansion():
    """All grey levels k/256, exactly, by Python's own binary numbers; a second cycle repeats the first."""
    spikes = np.asarray(Phase(num_steps=19)(jnp.arange(256.0) / 256.0))
    expected = np.array([[int(digit) for digit in f"{k:08b}"] for k in range(256)]).T
    np.testing.assert_array_equal(spikes, np.concatenate([expected, expected, expected[:3]]))
    np.testing.assert_array_equal(Phase(num_steps=8)(jnp.arange(256.0) / 255.0), spikes[:8])  # bits of a pixel


@pytest.mark.parametrize("digits", [9, 13, 14, 18, 23])
def test_each_digit_of_a_long_phase_code(digits):
    """½ and other single digits, the smallest and the largest level, and some between, there and back."""
    levels = np.array([*2 ** np.arange(digits), 2**digits - 1, 0, *np.random.default_rng(0).integers(0, 2**digits, 64)])
    spikes = np.asarray(Phase(digits, num_phases=digits)(jnp.array(levels / 2.0**digits, jnp.float32)))
    expected = np.array([[int(digit) for digit in f"{level:0{digits}b}"] for level in levels]).T
    np.testing.assert_array_equal(spikes, expected)
    np.testing.assert_array_equal(InversePhase(digits)(jnp.array(spikes)), levels / 2.0**digits)


@FEW
@given(UNIT)
def test_phase_is_decoded_within_one_digit(x):
    weight = 2.0 ** -(1 + np.arange(5.0))
    error = x - weight @ np.asarray(_phase(x))
    assert (error >= 0).all() and (error <= 2.0**-5).all()


_phase = jax.jit(lambda x: Phase(num_steps=5, num_phases=5)(x))


# Burst


def test_a_share_of_the_most_spikes_is_that_many():
    """k/N sends k spikes though ⌈N x⌉ of its nearest float is k + 1 in 1 of 20 cases; the same with intervals."""
    for most in (21,):
        k = np.arange(most + 1)
        spikes = Burst(most * 2 + 3, max_spikes=most, max_interval=2)(jnp.array(k / most, jnp.float32))
        np.testing.assert_array_equal(spikes.sum(0), k)
    for span in (37,):
        k = np.arange(1, span + 1)
        spikes = np.asarray(Burst(span + 3, 1 + span // 2, 1, 1 + span)(jnp.array(k / span, jnp.float32)))
        fired = spikes.sum(0) > 1
        np.testing.assert_array_equal(spikes[1:].argmax(0)[fired] + 1, (1 + span - k)[fired])


@FEW
@given(UNIT)
def test_burst_has_the_count_and_interval_of_guo(x):
    """⌈N x⌉ spikes, ⌈t_max − x (t_max − t_min)⌉ apart, as far as they fit, by a loop in the same precision."""
    spikes = np.asarray(_burst(x))
    for i, value in enumerate(x):
        count = int(np.ceil(np.float32(4) * value))
        interval = int(np.ceil(np.float32(9) - value * np.float32(6)))
        times = [k * interval for k in range(count) if k * interval < 20]
        np.testing.assert_array_equal(np.flatnonzero(spikes[:, i]), times)
    assert (np.diff(spikes[:, np.argsort(x)].sum(0)) >= 0).all()


_burst = jax.jit(lambda x: Burst(num_steps=20, max_spikes=4, min_interval=3, max_interval=9)(x))


def test_burst_of_the_paper():
    """N = 5, t_min = 2, t_max = T."""
    spikes = Burst(num_steps=20)(jnp.array([0.0, 0.1, 0.5, 1.0]))
    times = [np.flatnonzero(unit).tolist() for unit in np.asarray(spikes).T]
    assert times == [[], [0], [0, 11], [0, 2, 4, 6, 8]]


# Rank order


@FEW
@given(UNIT)
def test_rank_order_is_the_order(x):
    """One spike per step, the values in descending order; an increasing map changes nothing."""
    spikes = np.asarray(_rank_order(x))
    order = np.argsort(-x, kind="stable")
    expected = np.zeros((8, 8))
    for step, unit in enumerate(order):
        expected[step, unit] = x[unit] > 0
    np.testing.assert_array_equal(spikes, expected)


_rank_order = jax.jit(lambda x: RankOrder(num_steps=8)(x))


def test_rank_order_ignores_contrast_and_keeps_the_first_of_a_short_window():
    x = jnp.array([[0.3, 0.9], [0.1, 0.5]])
    np.testing.assert_array_equal(ranks(x), [[2, 0], [3, 1]])
    code = RankOrder(num_steps=2)
    np.testing.assert_array_equal(code(x).sum(0), [[0, 1], [0, 1]])
    np.testing.assert_array_equal(code(x), code(x**3))
    assert RankOrder(num_steps=4, threshold=0.4)(x).sum() == 2


# Delta


def test_delta_has_the_values_of_snntorch():
    x = jnp.array([1.0, 2.0, 2.9, 3.0, 3.9])
    assert delta_events(x, 1.0).tolist() == [1, 1, 0, 0, 0]
    assert delta_events(x, 1.0, initial=None).tolist() == [0, 1, 0, 0, 0]  # its padding
    assert delta_events(jnp.array([1.0, 2.0, 0.0, 2.0, 2.9]), 1.0).tolist() == [1, 1, -1, 1, 0]  # its off_spike
    code = Delta(num_steps=5, threshold=1.0)
    np.testing.assert_array_equal(code(x), np.array([[1, 1, 0, 0, 0], [0] * 5]).T)
    assert code.out_shape((5, 3)) == (3, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-0.25, 0.25), min_size=30, max_size=30), st.floats(-2, 2))
def test_send_on_delta_is_followed_within_the_threshold(changes, start):
    """Changes of up to θ in a step, from where the reference starts: the receiver is never further off than θ."""
    x = np.float32(start) + np.cumsum(changes).astype(np.float32) - np.float32(changes[0])
    spikes = np.asarray(_send_on_delta(x[:, None]), np.float64)[:, 0]
    followed = x[0] + 0.25 * np.cumsum(spikes[:, 0] - spikes[:, 1])
    assert abs(x - followed).max() <= 0.25 + 1e-5


_send_on_delta = jax.jit(lambda x: SendOnDelta(num_steps=30, threshold=0.25, initial=None)(x))


@pytest.mark.parametrize("code", [Delta, SendOnDelta])
@pytest.mark.parametrize(
    ("n", "dtype"), [(10, np.float32), (97, np.float32), (1000, np.float32), (10, np.float16), (97, np.float16)]
)
def test_a_change_of_exactly_the_threshold_is_sent(code, n, dtype):
    """A signal k/n at θ = 1/n rises in every step, and falls in every step backwards; at 1.1 θ none of them counts."""
    x = jnp.array(np.arange(n + 1) / n, dtype)
    send = code(n + 1, threshold=1 / n, initial=None)
    assert send(x)[1:, 0].all() and send(x[::-1])[1:, 1].all()
    assert send(x)[:, 1].sum() == 0 and send(x)[0].sum() == 0
    if dtype == np.float32:
        few = code(n + 1, threshold=1.001 / n, initial=None)(x)
        assert few[..., 0].sum() == (0 if code is Delta else n - 1 - n // 1002)


def test_slow_change_is_lost_to_delta_and_sent_on_delta():
    ramp = jnp.arange(1.0, 41.0) / 8
    assert not Delta(num_steps=40, threshold=0.5)(ramp).any()
    assert SendOnDelta(num_steps=40, threshold=0.5)(ramp).sum() == 10  # 5 / 0.5


def test_send_on_delta_catches_up_one_threshold_per_step_from_the_initial_level():
    events = send_on_delta_events(jnp.array([2.0, 2.0, 2.0, 2.0]), 0.5, initial=0.5)
    assert events.tolist() == [1, 1, 1, 0]
    assert send_on_delta_events(jnp.array([2.0, 1.0]), 0.5, initial=None).tolist() == [0, -1]


# Derivatives


def test_rates_have_the_derivative_of_the_expected_spike():
    for code, expected in [
        (Rate(7, max_rate=300, dt=2e-3), 7 * 0.6),
        (RegularRate(7, max_rate=300, dt=2e-3), 7 * 0.6),
        (PoissonRate(7, max_rate=300, dt=2e-3), 7 * 0.6 * np.exp(-0.6 * 0.5)),
    ]:
        slope = jax.jit(jax.grad(lambda x, code=code: code(x, key=KEY).sum()))
        np.testing.assert_allclose([slope(0.5), slope(1.5)], [expected, 0], rtol=1e-5)  # clipped: none


def test_latencies_have_the_derivative_of_the_mean_time():
    """Σ_t t S_t moves as the time does, and no spike appears or vanishes, for times inside the window."""
    steps = jnp.arange(40.0)
    for code, derivative in [
        (Latency(num_steps=40, tau=12e-3, threshold=0.3), lambda x: -12 * 0.3 / (x * (x - 0.3))),
        (LinearLatency(num_steps=40, threshold=0.1), lambda x: -39.0),
    ]:
        mass, mean = jax.jit(jax.jacfwd(lambda x, c=code: jnp.stack([c(x).sum(), jnp.dot(steps, c(x))])))(0.7123)
        np.testing.assert_allclose([mass, mean], [0, derivative(0.7123)], rtol=1e-4, atol=1e-4)
        gradient = jax.jit(jax.grad(lambda x, c=code: jnp.dot(steps, c(x))))
        np.testing.assert_allclose(gradient(0.7123), mean, rtol=1e-4)
        assert gradient(0.05) == 0  # never fires


def test_a_spike_moves_from_the_step_before_its_time_to_the_step_after():
    moved = jax.jacfwd(lambda t: spike_at(t, 5, dt=0.5))(jnp.array(0.9))  # 1.8 steps
    np.testing.assert_allclose(moved, [0, -2, 2, 0, 0])


# Frames and ranges


def test_frames_follow_one_another():
    signal = jnp.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    code = Framewise(Rate(num_steps=4, max_rate=1000), num_frames=3)
    np.testing.assert_array_equal(code(signal, key=KEY), np.repeat(signal, 4, axis=0))
    assert (code.num_steps, code.dt, code.out_shape((3, 2))) == (12, 1e-3, (2,))
    half = code(0.5 * jnp.ones((3, 500)), key=KEY).reshape(3, 4, 500)
    assert (half[0] != half[1]).any()  # each frame has coins of its own


def test_a_range_is_learned_per_feature_channel_or_for_all():
    x = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    for axis, low, high in [(0, x[0], x[1]), ((0, 1), [0, 1, 2, 3], [20, 21, 22, 23]), (None, 0, 23)]:
        learned = learn_range(x, axis=axis)
        np.testing.assert_array_equal(learned[0], low)
        np.testing.assert_array_equal(learned[1], high)
        mapped = jax.vmap(lambda v, r=learned: Rescaled(Current(1), *r)(v, key=KEY)[0])(jnp.float32(x))
        expected = (x - np.array(low)) / (np.array(high) - np.array(low))
        np.testing.assert_allclose(mapped, expected, rtol=1e-6)


def test_a_constant_feature_is_silent_and_nan_stays_nan():
    code = Rescaled(Current(2), *learn_range(np.array([[3.0, 0.0], [3.0, 2.0]])))
    np.testing.assert_array_equal(code(jnp.array([7.0, 1.0]), key=KEY), [[0, 0.5]] * 2)
    assert jnp.isnan(code(jnp.array([jnp.nan, jnp.nan]), key=KEY)).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonRate(0), "num_steps is 0"),
        (lambda: PoissonRate(5, max_rate=0), "max_rate is 0.0"),
        (lambda: RegularRate(5, max_rate=1200), "RegularRate: .*more than one spike per step"),
        (lambda: RegularRate(5, phase=1.0), "phase is 1.0"),
        (lambda: Phase(5, num_phases=0), "num_phases is 0"),
        (lambda: Phase(5, num_phases=24), "at most 23"),
        (lambda: Burst(5), "take 9 steps, but the window has 5"),
        (lambda: Burst(50, min_interval=0), "min_interval is 0"),
        (lambda: Burst(50, min_interval=4, max_interval=3), "max_interval is 3; give a whole number, at least 4"),
        (lambda: RankOrder(5, threshold=1.0), "threshold is 1.0"),
        (lambda: Delta(5, threshold=0), "threshold is 0.0"),
        (lambda: Delta(5)(jnp.zeros((4, 2))), "Delta: a sample has shape .*expected 5 steps first"),
        (lambda: SendOnDelta(5, threshold=-1), "threshold is -1.0"),
        (lambda: SendOnDelta(5)(jnp.zeros(6)), "SendOnDelta: .*expected 5 steps first"),
        (lambda: Framewise(Rate(5), num_frames=0), "num_frames is 0"),
        (lambda: Framewise(Rate(5), num_frames=3)(jnp.zeros(4), key=KEY), "expected 3 frames first"),
        (lambda: Rescaled(Rate(5), np.zeros(2), np.array([1.0, -1.0])), "give finite low ≤ high for each feature"),
        (lambda: Rescaled(Rate(5), np.zeros(2), np.array([1.0, np.nan])), "give finite low ≤ high for each feature"),
        (lambda: Rescaled(Rate(5), np.zeros(2), np.ones(3)), "give both the same"),
        (lambda: Rescaled(Rate(5), np.zeros(2), np.ones(2))(jnp.zeros(3), key=KEY), "learn it on samples like this"),
        (lambda: learn_range(np.zeros((0, 3))), "empty"),
        (lambda: learn_range(np.array([[1.0, np.nan]])), "NaN"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
