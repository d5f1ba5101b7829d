"""decode(encode(x)) within the theoretical error of each code, over shapes, ranges and lengths."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    AbstractInverse,
    Burst,
    Current,
    Delta,
    Framewise,
    GaussianTuning,
    InverseBurst,
    InverseDelta,
    InverseFramewise,
    InverseLatency,
    InverseLinearLatency,
    InversePhase,
    InversePoissonRate,
    InverseRankOrder,
    InverseRate,
    InverseRegularRate,
    InverseRescaled,
    Latency,
    LeastSquares,
    LinearLatency,
    MaximumLikelihood,
    Phase,
    PoissonRate,
    Population,
    RankOrder,
    Rate,
    RegularRate,
    Rescaled,
    SendOnDelta,
    TunedPopulation,
    VonMisesTuning,
    inverse_of,
)

KEY = jax.random.key(11)
decode = eqx.filter_jit(lambda inverse, spikes: inverse(spikes))
bounds = eqx.filter_jit(lambda inverse, spikes: inverse.interval(spikes))
there_and_back = eqx.filter_jit(lambda code, x: inverse_of(code)(code(x, key=KEY)))
SHAPES = [(6,), (2, 3)]
ROUNDING = 1e-4

# A code, and the largest width of an interval that its resolution allows; None where it depends on the value.
DETERMINISTIC = [
    (Latency(num_steps=40), None),
    (Latency(num_steps=25, tau=12e-3, threshold=0.35, dt=2e-3), None),
    (LinearLatency(num_steps=1, threshold=0.3), 0.7),
    (LinearLatency(num_steps=33), 1 / 32),
    (LinearLatency(num_steps=101, threshold=0.1, dt=2e-3), 0.1),
    (Phase(num_steps=8), 2**-8),
    (Phase(num_steps=13, num_phases=5), 2**-5),
    (Burst(num_steps=30), 1 / 5),
    (Burst(num_steps=12, max_spikes=4, min_interval=2, max_interval=3), 1 / 4),
    (Burst(num_steps=16, max_spikes=3, min_interval=4, max_interval=20), 1.0),
    (Burst(num_steps=12, max_spikes=4, min_interval=3, max_interval=3), 1 / 4),
    (RegularRate(num_steps=50, max_rate=400), 1 / 20),
    (RegularRate(num_steps=20, max_rate=400, phase=0.0, dt=2e-3), 1 / 16),
]
IDS = [f"{type(code).__name__}-{code.num_steps}" for code, _ in DETERMINISTIC]
values = st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6)


def round_trip(encoder):
    """Values, estimates and intervals of one code, compiled once."""
    inverse = inverse_of(encoder)
    assert isinstance(inverse, AbstractInverse)

    @jax.jit
    def run(x):
        spikes = encoder(x, key=KEY)
        return inverse(spikes), *inverse.interval(spikes)

    return lambda x: tuple(np.asarray(part) for part in run(jnp.array(x, jnp.float32)))


ROUND_TRIPS = [round_trip(code) for code, _ in DETERMINISTIC]


@pytest.mark.parametrize(("run", "width"), list(zip(ROUND_TRIPS, (w for _, w in DETERMINISTIC), strict=True)), ids=IDS)
@settings(deadline=None, max_examples=15)
@given(values=values, shape=st.sampled_from(SHAPES))
def test_interval_holds_the_value_and_its_estimate(run, width, values, shape):
    x = np.resize(np.array(values, np.float32), shape)
    estimate, low, high = run(x)
    assert estimate.shape == low.shape == high.shape == shape
    for inside in (x, estimate):
        assert (low - ROUNDING <= inside).all() and (inside <= high + ROUNDING).all()
    if width is not None:
        assert (high - low <= width + ROUNDING).all()


@pytest.mark.parametrize("run", ROUND_TRIPS, ids=IDS)
@settings(deadline=None, max_examples=8)
@given(values=values)
def test_order_is_kept(run, values):
    estimate, low, high = run(np.sort(np.array(values)))
    for part in (estimate, low, high):
        assert (np.diff(part) >= -ROUNDING).all()


@pytest.mark.parametrize("run", ROUND_TRIPS, ids=IDS)
def test_intervals_are_no_wider_than_they_must_be(run):
    """A value in the middle of another's interval has the same spikes, and so the same interval."""
    for x in np.linspace(0, 1, 60).reshape(10, 6):
        _, low, high = run(x)
        for share in (0.02, 0.5, 0.98):
            _, low_again, high_again = run(low + share * (high - low))
            np.testing.assert_allclose(low_again, low, atol=ROUNDING)
            np.testing.assert_allclose(high_again, high, atol=ROUNDING)


def test_latency_by_hand():
    """x = 0.25 spikes in step 32; silence in 33 steps says that x charges to 0.2 after 32.5 ms, if ever."""
    x, low, high = ROUND_TRIPS[0](np.full(6, 0.25))
    at = lambda ms: 0.2 / (1 - np.exp(-ms / 20))  # noqa: E731
    np.testing.assert_allclose([x[0], low[0], high[0]], [at(32), at(32.5), at(31.5)], rtol=1e-5)
    inverse = InverseLatency()
    never = jnp.zeros((33, 1))
    np.testing.assert_allclose(bounds(inverse, never)[1], [at(32.5)], rtol=1e-5)
    np.testing.assert_allclose(decode(inverse, never), [at(32.5) / 2], rtol=1e-5)


def test_phase_returns_grey_levels_exactly():
    grey = jnp.arange(256) / 256
    for num_steps in (8, 21):
        code = Phase(num_steps=num_steps)
        np.testing.assert_array_equal(there_and_back(code, grey), grey)


def test_burst_by_hand():
    """4 spikes at most, 2 to 4 steps apart: which values have these spikes, in a window that cuts some off."""
    inverse = InverseBurst(max_spikes=4, min_interval=2, max_interval=6)
    spikes = np.zeros((7, 4), np.float32)
    spikes[0, 1:] = 1
    spikes[5, 2] = 1  # 5 steps apart, and a third would be out: 1/4 < x by the count, 1/4 ≤ x < 2/4 by the interval
    spikes[[2, 4, 6], 3] = 1  # 2 steps apart: 1 ≤ x
    low, high = bounds(inverse, jnp.array(spikes))
    np.testing.assert_allclose(low, [0, 0, 0.25, 1.0])
    np.testing.assert_allclose(high, [0, 0.25, 0.5, 1.0])
    np.testing.assert_allclose(decode(inverse, jnp.array(spikes)), [0, 0.125, 0.375, 1.0])


@settings(deadline=None, max_examples=20)
@given(values=st.lists(st.floats(2**-6, 1, width=32), min_size=6, max_size=6, unique=True))
def test_rank_order_keeps_the_order_alone(values):
    ranks = np.argsort(np.argsort(-np.array(values)))
    np.testing.assert_allclose(RANK_ORDER(jnp.array(values, jnp.float32)), 0.8**ranks, rtol=1e-5)


RANK_ORDER = jax.jit(lambda x: InverseRankOrder(modulation=0.8)(RankOrder(num_steps=6)(x)))


def test_rank_order_of_ties_and_silence():
    spikes = jnp.array([[0.0, 0, 1, 1, 0], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0]])
    np.testing.assert_allclose(InverseRankOrder(modulation=0.5)(spikes), [0.25, 0.125, 1, 1, 0])


# Stochastic rates


@pytest.mark.parametrize(("x", "max_rate", "dt"), [(0.3, 400.0, 1e-3), (0.9, 150.0, 2e-3)])
def test_rate_is_unbiased_with_the_variance_of_coins(x, max_rate, dt):
    code = Rate(num_steps=100, max_rate=max_rate, dt=dt)
    estimates = np.asarray(inverse_of(code)(code(jnp.full(4000, x), key=KEY)), np.float64)
    p = x * max_rate * dt
    variance = p * (1 - p) / 100 / (max_rate * dt) ** 2
    assert abs(estimates.mean() - x) < 4 * np.sqrt(variance / 4000)
    np.testing.assert_allclose(estimates.var(), variance, rtol=4 * np.sqrt(2 / 4000))


def test_poisson_rate_makes_up_for_hidden_spikes():
    """At 800 Hz every third step hides spikes: the inverse tells them. Variance by the delta method."""
    code = PoissonRate(num_steps=400, max_rate=1600)
    spikes = code(jnp.full(4000, 0.5), key=KEY)
    assert InverseRate(max_rate=1600)(spikes).mean() < 0.36
    estimates = np.asarray(inverse_of(code)(spikes), np.float64)
    p = 1 - np.exp(-0.8)
    variance = p / (1 - p) / 400 / 1.6**2
    bias = p / (1 - p) / 800 / 1.6
    assert abs(estimates.mean() - 0.5 - bias) < 4 * np.sqrt(variance / 4000)
    np.testing.assert_allclose(estimates.var(), variance, rtol=0.1)


@pytest.mark.parametrize("code", [Rate(200, max_rate=900), PoissonRate(200, max_rate=700)], ids=["coins", "poisson"])
@settings(deadline=None, max_examples=10)
@given(values=values, seed=st.integers(0, 2**31 - 1))
def test_rates_are_read_within_the_bound_of_bernstein(code, values, seed):
    """|n/T − p| ≤ √(2 p (1 − p) L / T) + 2 L / 3T, but for a chance of 2 e^(−L), here 2e-13, of each value."""
    x = np.array(values, np.float32)
    read = np.asarray(RATES_BACK[type(code)](jnp.array(x), jax.random.key(seed)), np.float64)
    p = np.asarray(code.probability(jnp.array(x)), np.float64)
    deviation = np.sqrt(2 * p * (1 - p) * 30 / 200) + 2 * 30 / (3 * 200)
    low, high = np.maximum(p - deviation, 0), np.minimum(p + deviation, 1)
    if isinstance(code, Rate):
        low, high = low / 0.9, high / 0.9
    else:  # x = −ln(1 − p) / (r dt), at most 1, as documented
        low, high = (np.minimum(-np.log1p(-np.minimum(q, 1 - 1e-9)) / 0.7, 1) for q in (low, high))
    assert ((low - ROUNDING <= read) & (read <= high + ROUNDING)).all()


RATES_BACK = {
    type(code): jax.jit(lambda x, key, code=code: inverse_of(code)(code(x, key=key)))
    for code in (Rate(200, max_rate=900), PoissonRate(200, max_rate=700))
}


def test_poisson_rate_is_finite_where_every_step_spikes():
    np.testing.assert_array_equal(InversePoissonRate(max_rate=500)(jnp.ones((5, 2))), [1, 1])


# Signals


@settings(deadline=None, max_examples=25)
@given(
    change=st.lists(st.floats(-0.25, 0.25), min_size=30, max_size=30),
    code=st.sampled_from([SendOnDelta(30, threshold=0.25), SendOnDelta(15, threshold=0.25, initial=1.5)]),
)
def test_send_on_delta_is_within_its_threshold(change, code):
    """As long as the signal changes by at most θ in a step."""
    signal = np.cumsum(np.reshape(change, (code.num_steps, -1)), axis=0) + code.initial
    decoded = there_and_back(code, jnp.array(signal, jnp.float32))
    assert np.abs(decoded - signal).max() <= 0.25 + 1e-5


def test_delta_modulation_is_exact_for_whole_steps_and_loses_slow_changes():
    whole = jnp.cumsum(jnp.array([0.5, 0, -0.5, 0.5, 0.5])[:, None] * jnp.ones((5, 2)), axis=0)
    code = Delta(num_steps=5, threshold=0.5)
    np.testing.assert_allclose(there_and_back(code, whole), whole)
    slow = jnp.linspace(0.1, 10, 100)
    code = Delta(num_steps=100, threshold=0.5)
    assert there_and_back(code, slow)[-1] == 0
    np.testing.assert_allclose(InverseDelta(threshold=0.5, initial=2.0)(code(slow)), 2.0)


# Codes around codes


def _back(code, x):
    return inverse_of(code)(code(x, key=KEY))


@jax.jit
def _frames_back(x, low, high):
    """With a range that is traced, so that all examples share one program."""
    return _back(eqx.tree_at(lambda code: (code.low, code.high), OF_FRAMES, (low, high)), x)


OF_FRAMES = Rescaled(Framewise(LinearLatency(num_steps=41), num_frames=4), np.zeros(3), np.ones(3))


@settings(deadline=None, max_examples=20)
@given(
    values=st.lists(st.floats(0, 1), min_size=12, max_size=12),
    low=st.lists(st.floats(-100, 100), min_size=3, max_size=3),
    span=st.lists(st.floats(0.125, 100), min_size=3, max_size=3),
)
def test_ranges_and_frames_within_half_a_step(values, low, span):
    low, span = np.array(low, np.float32), np.array(span, np.float32)
    x = low + span * np.reshape(values, (4, 3)).astype(np.float32)
    read = np.asarray(_frames_back(jnp.array(x), jnp.array(low), jnp.array(low + span)))
    assert (np.abs(read - x) <= span / 80 + 1e-4 * (span + abs(low))).all()


def test_rescaled_and_framewise():
    """Ranges per feature, one of them constant; frames one after the other."""
    low, high = np.array([-2.0, 5.0, 10.0]), np.array([2.0, 5.0, 30.0])
    code = Rescaled(Framewise(LinearLatency(num_steps=41), num_frames=4), low, high)
    x = np.random.default_rng(0).uniform(low, high, (4, 3))
    decoded = np.asarray(there_and_back(code, jnp.array(x, jnp.float32)))
    assert (np.abs(decoded - x) <= (high - low) / 80 + 1e-5).all()
    one = Rescaled(Phase(num_steps=8), low=0, high=256)
    np.testing.assert_array_equal(there_and_back(one, jnp.array([0, 77, 255], jnp.uint8)), [0, 77, 255])


OF_LATENCIES = Population(LinearLatency(num_steps=201, threshold=0.1), num_neurons=6, low=-1, high=3)
OF_REGULAR_RATES = Population(RegularRate(num_steps=400, max_rate=1000), num_neurons=5, low=-1, high=3)
POPULATIONS_BACK = [jax.jit(lambda x, code=code: _back(code, x)) for code in (OF_LATENCIES, OF_REGULAR_RATES)]


@pytest.mark.parametrize("back", POPULATIONS_BACK, ids=["latencies", "regular rates"])
@settings(deadline=None, max_examples=15)
@given(values=st.lists(st.floats(-1, 3, width=32), min_size=4, max_size=4))
def test_populations(back, values):
    """Bohte's receptive fields: a step is 1/200 of an activation, half a spike 1/800, the steepest slope 0.6 / σ."""
    decoded = np.asarray(back(jnp.array(values, jnp.float32).reshape(2, 2)))
    assert decoded.shape == (2, 2)
    assert np.abs(decoded.ravel() - values).max() < 0.01 * OF_LATENCIES.sigma / 0.6


@pytest.mark.parametrize(
    ("tuning", "stimulus", "error"),
    [
        (GaussianTuning(centres=jnp.linspace(-3, 3, 13), sigma=1.0, max_rate=500.0), jnp.array([-1.2, 0.0, 2.1]), 0.02),
        (VonMisesTuning(angles=jnp.linspace(-3, 3, 12), max_rate=500.0), jnp.array([-2.0, 1.0]), 0.02),
    ],
    ids=["gaussian", "von mises"],
)
def test_tuned_populations(tuning, stimulus, error):
    """Noise-free rates by least squares; coins by maximum likelihood."""
    regular = TunedPopulation(RegularRate(num_steps=400, max_rate=500), tuning)
    coins = TunedPopulation(Rate(num_steps=400, max_rate=500), tuning)
    for code, within in ((regular, error), (coins, 0.35)):
        decoded = there_and_back(code, stimulus)
        np.testing.assert_allclose(decoded, stimulus, atol=within)


# What is not a number, and what is not possible

bells = GaussianTuning(centres=jnp.array([0.0, 1.0]), sigma=1.0)
NAN_PROOF = [
    InverseRate(), InversePoissonRate(), InverseRegularRate(), InverseLatency(), InverseLinearLatency(0.1),
    InverseRankOrder(), InversePhase(3), InverseBurst(max_spikes=3), InverseDelta(),
    InverseRescaled(InverseRate(), 1.0, 2.0), InverseFramewise(InverseRate(), 3),
    MaximumLikelihood(bells, jnp.linspace(0, 1, 5)), LeastSquares(InverseRate(), bells, jnp.linspace(0, 1, 5)),
]  # fmt: skip


@pytest.mark.parametrize("inverse", NAN_PROOF, ids=lambda inverse: type(inverse).__name__)
def test_nan_stays_nan(inverse):
    inverse = eqx.filter_jit(inverse)
    assert jnp.isnan(inverse(jnp.full((6, 3, 2), jnp.nan))).all()
    assert jnp.isfinite(inverse(jnp.zeros((6, 3, 2)))).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: inverse_of(Current(5)), "Current gives no spikes to be read"),
        (lambda: inverse_of(Framewise(Rescaled(Current(5), 0, 2), 3)), "Current gives no spikes to be read"),
        (lambda: InverseRate(max_rate=0), "max_rate is 0.0"),
        (lambda: InversePoissonRate(dt=-1), "dt is -1.0"),
        (lambda: InverseRegularRate(phase=1), "phase is 1.0"),
        (lambda: InverseLatency(threshold=1.0), "threshold is 1.0"),
        (lambda: InverseLatency(tau=1e-4), "longer than tau"),
        (lambda: InverseLinearLatency(threshold=-0.1), "threshold is -0.1"),
        (lambda: InverseRankOrder(modulation=1.0), "modulation is 1.0"),
        (lambda: InversePhase(0), "num_phases is 0"),
        (lambda: InverseBurst(max_spikes=0), "max_spikes is 0"),
        (lambda: InverseBurst(min_interval=3, max_interval=2), "max_interval is 2"),
        (lambda: InverseDelta(threshold=0), "threshold is 0.0"),
        (lambda: InverseFramewise(InverseRate(), 0), "num_frames is 0"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()
