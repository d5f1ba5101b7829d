"""Encoders against the equations and check values of their papers, and against the statistics of coins."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.core import Tracer

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    AbstractSpikeEncoder,
    Burst,
    CosineTuning,
    Current,
    Delta,
    Framewise,
    GaussianTuning,
    Latency,
    LinearLatency,
    Phase,
    PoissonRate,
    Population,
    RankOrder,
    Rate,
    RegularRate,
    Rescaled,
    SendOnDelta,
    Spikes,
    TunedPopulation,
    gaussian_activations,
    latency,
    linear_latency,
    spike_at,
)
from snnlearn.coding.conformance import check_encoder
from snnlearn.neurons import LIF, ForwardEuler, ToValue

KEY = jax.random.key(7)


def bits(key, shape):
    return jax.random.bernoulli(key, 0.3, shape)


def grey(key, shape):
    return jax.random.randint(key, shape, 0, 256)


# encoder, shape of a sample, what is not usual about it
ENCODERS = [
    (Rate(num_steps=6, max_rate=450, dt=2e-3), (3, 2), {}),
    (Latency(num_steps=6, tau=4e-3, threshold=0.4, dt=2e-3), (), {}),
    (LinearLatency(num_steps=6, threshold=0.3, dt=5e-3), (3, 2), {}),
    (Population(LinearLatency(num_steps=6), num_neurons=4, low=-1, high=3, beta=2), (), {"silent_at": None}),
    (
        Rescaled(Population(Rate(num_steps=6), num_neurons=3), low=0, high=255),
        (2,),
        {"sample": grey, "silent_at": None},
    ),
    (Rescaled(Latency(num_steps=6, tau=4e-3), low=-2, high=1), (3, 2), {"silent_at": -2.0}),
    (Current(num_steps=6, gain=-2.5, dt=2e-3), (3, 2), {"sample": jax.random.normal}),
    (PoissonRate(num_steps=6, max_rate=1500, dt=2e-3), (3, 2), {}),
    (RegularRate(num_steps=6, max_rate=450, phase=0.25, dt=2e-3), (3, 2), {}),
    (Phase(num_steps=6, num_phases=3), (3, 2), {}),
    (Burst(num_steps=6, max_spikes=3, min_interval=1, max_interval=4), (3, 2), {}),
    (RankOrder(num_steps=6, threshold=0.2), (3, 2), {}),
    (Delta(num_steps=3, threshold=0.3), (3, 2), {}),
    (SendOnDelta(num_steps=3, threshold=0.3, dt=4e-3), (3, 2), {"sample": jax.random.normal}),
    (Framewise(Rate(num_steps=2), num_frames=3), (3, 2), {}),
    (
        TunedPopulation(Rate(num_steps=6, max_rate=60), CosineTuning(jnp.arange(4.0), max_rate=60)),
        (3, 2),
        {"silent_at": None},
    ),
    (
        TunedPopulation(LinearLatency(num_steps=6), GaussianTuning(jnp.ones((4, 2)), sigma=0.5, base_rate=2)),
        (3, 2),
        {"silent_at": None},
    ),
    (Rescaled(Current(num_steps=6), jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0])), (3, 2), {}),
    (Spikes(num_steps=3, dt=4e-3), (3, 2), {"sample": bits}),
]


@pytest.mark.parametrize(("encoder", "in_shape", "options"), ENCODERS, ids=lambda value: type(value).__name__)
def test_conforms(encoder, in_shape, options):
    check_encoder(encoder, in_shape, key=KEY, **options)
    assert encoder.gives_spikes != ("Current" in repr(encoder)), "what may be packed says so, through its wrappers"


# The suite itself must be able to fail.


class Wrong(AbstractSpikeEncoder):
    """Breaks one law, named by `law`."""

    law: str
    num_steps: int = 6
    dt: float = 1e-3

    def __call__(self, x, *, key):
        spikes = jnp.broadcast_to(jnp.round(x), (6, *x.shape))
        match self.law:
            case "num_steps and out_shape":
                return spikes[1:]
            case "float32":
                return spikes.astype(jnp.float16)
            case "other than 0 and 1":
                return 2 * spikes
            case "hold":
                return spikes.at[1].set(0.0)
            case "finite":
                return spikes / 0.0
            case "one key":
                return spikes * 0 + np.random.default_rng().integers(0, 2, spikes.shape).astype(np.float32)
            case "under jit":
                return spikes * float(isinstance(x, Tracer))
            case "silent":
                return 1 - 0 * spikes
            case "NaN":
                return jnp.nan_to_num(spikes)
            case "gradient":
                return spikes + 0 * jnp.sqrt(x - x)[None]
        return spikes

    def out_shape(self, in_shape):
        return in_shape

    @property
    def held_steps(self):
        return 2 if self.law == "hold" else 1


@pytest.mark.parametrize(
    "law",
    [
        "num_steps and out_shape",
        "float32",
        "other than 0 and 1",
        "hold",
        "finite",
        "one key",
        "under jit",
        "silent",
        "NaN",
        "gradient",
    ],
)
def test_conformance_names_the_broken_law(law):
    check_encoder(Wrong(law="none"), (3, 2), key=KEY)
    with pytest.raises(AssertionError, match=law):
        check_encoder(Wrong(law=law), (3, 2), key=KEY)


# Rate: coins

STEPS, UNITS = 200, 5000  # one shape for all, so that it compiles once


@pytest.mark.parametrize(
    ("x", "max_rate", "dt"), [(0.3, 400.0, 1e-3), (0.8, 200.0, 2.5e-3), (0.02, 50.0, 1e-3), (1.0, 999.0, 1e-3)]
)
def test_rate_counts_and_independence(x, max_rate, dt):
    """Mean, variance and neighbouring correlations of independent coins, each within 4 standard errors."""
    p = x * max_rate * dt
    spikes = np.asarray(Rate(STEPS, max_rate, dt)(jnp.full(UNITS, x), key=KEY), np.float64)
    counts = spikes.sum(axis=0)

    variance = STEPS * p * (1 - p)
    assert abs(counts.mean() - STEPS * p) < 4 * np.sqrt(variance / UNITS)
    fourth_moment = variance * (1 + 3 * (STEPS - 2) * p * (1 - p))
    assert abs(counts.var() - variance) < 4 * np.sqrt((fourth_moment - variance**2) / UNITS)

    deviation = (spikes - p) / np.sqrt(p * (1 - p))
    half = STEPS // 2
    pairs = [
        deviation[1:] * deviation[:-1],
        deviation[half:] * deviation[:half],
        deviation[:, 1:] * deviation[:, :-1],
    ]
    for product in pairs:
        assert abs(product.mean()) < 4 / np.sqrt(product.size)


def test_rate_of_0_and_of_1_are_certain():
    spikes = Rate(STEPS, max_rate=1000)(jnp.tile(jnp.array([0.0, 1.0, -3.0, 2.0]), UNITS // 4), key=KEY)
    np.testing.assert_array_equal(spikes.sum(0), [0, STEPS, 0, STEPS] * (UNITS // 4))


def test_rate_clips_to_max_rate_not_to_one_spike_per_step():
    frequency = Rate(STEPS, max_rate=300)(jnp.full(UNITS, 5.0), key=KEY).mean()
    assert abs(float(frequency) - 0.3) < 4 * np.sqrt(0.3 * 0.7 / (STEPS * UNITS))


def test_rate_differs_between_keys():
    encoder, x = Rate(STEPS), jnp.full(UNITS, 0.5)
    assert (encoder(x, key=jax.random.key(0)) != encoder(x, key=jax.random.key(1))).any()


# Latency: published values


def test_logarithmic_latency_has_the_values_of_spytorch():
    times = latency(jnp.array([0.25, 0.5, 0.75, 1.0]), tau=20e-3, threshold=0.2)
    np.testing.assert_allclose(1e3 * times, [32.18876, 10.21651, 6.20310, 4.46287], rtol=2e-6)
    spikes = Latency(num_steps=33)(jnp.array([0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_array_equal(spikes.argmax(0), [32, 10, 6, 4])
    np.testing.assert_array_equal(spikes.sum(0), 1)


def test_latencies_have_the_values_of_snntorch():
    """Its `normalize` stretches the latest time, here that of 0.02, to the last of 5 steps."""
    x = jnp.array([0.02, 0.5, 1.0])
    times = latency(x, tau=4 / np.log(2), threshold=0.01)
    np.testing.assert_allclose(times, [4.0, 0.1166, 0.0580], atol=5e-5)
    np.testing.assert_allclose(linear_latency(x, t_max=4.0), [3.92, 2.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(spike_at(times, 5, dt=1.0).argmax(0), [4, 0, 0])
    np.testing.assert_array_equal(LinearLatency(num_steps=5, dt=1.0)(x).argmax(0), [4, 2, 0])


@pytest.mark.parametrize(("x", "tau", "threshold"), [(0.25, 20e-3, 0.2), (0.9, 7e-3, 0.6)])
def test_latency_is_when_the_charged_membrane_crosses(x, tau, threshold):
    """Integrate τ dv/dt = x − v in fine Euler steps until it crosses the threshold."""
    fine, v, steps = 1e-6, 0.0, 0
    while v <= threshold:
        v, steps = v + fine / tau * (x - v), steps + 1
    np.testing.assert_allclose(latency(jnp.array(x), tau, threshold), steps * fine, rtol=1e-3)


def test_latency_at_and_below_threshold_never_fires():
    x = jnp.array([-1.0, 0.0, 0.19, 0.2])
    assert jnp.isinf(latency(x, 20e-3, 0.2)).all()
    assert not Latency(num_steps=500)(x).any()
    assert not LinearLatency(num_steps=500, threshold=0.2)(x).any()
    assert LinearLatency(num_steps=500, threshold=0.19)(x).sum() == 1


def test_latency_after_the_window_is_lost():
    """0.25 spikes in step 32, which a window of 32 steps does not have."""
    assert Latency(num_steps=33)(jnp.array(0.25)).sum() == 1
    assert Latency(num_steps=32)(jnp.array(0.25)).sum() == 0


def test_latency_uses_dt_and_tau():
    spikes = Latency(num_steps=60, tau=40e-3, threshold=0.4, dt=0.5e-3)(jnp.array([0.8, 1.0]))
    expected = [round(40 * np.log(0.8 / 0.4) / 0.5), round(40 * np.log(1 / 0.6) / 0.5)]
    np.testing.assert_array_equal(spikes.argmax(0), expected)


unit_values = st.lists(st.floats(-0.5, 1.5, width=32), min_size=8, max_size=8)
CODES = [jax.jit(lambda x, code=code: code(x)) for code in (Latency(num_steps=40), LinearLatency(40, threshold=0.1))]


@settings(deadline=None, max_examples=50)
@given(unit_values)
def test_latency_is_at_most_one_spike_and_keeps_the_order(values):
    """Sorted up: units are silent first, then spike ever earlier; and clipping is at 0 and 1."""
    x = jnp.sort(jnp.array(values, jnp.float32))
    for code in CODES:
        spikes = np.asarray(code(x))
        assert set(spikes.sum(axis=0)) <= {0, 1}
        steps = np.where(spikes.any(axis=0), spikes.argmax(axis=0), 40)
        assert (np.diff(steps) <= 0).all()
        np.testing.assert_array_equal(code(jnp.clip(x, 0, 1)), spikes)


# Population


def test_gaussian_activations_have_the_values_of_norse():
    x = jnp.array([0.0, 0.5, 1.0])
    golden = [[1, 0.8825, 0.6065], [0.8825, 1, 0.8825], [0.6065, 0.8825, 1]]
    np.testing.assert_allclose(gaussian_activations(x, x, sigma=1.0), golden, atol=5e-5)


def test_population_places_the_receptive_fields_of_bohte():
    """The paper's formula, neuron by neuron, on a range and a sharpness of our own."""
    n, low, high, beta, x = 6, -2.0, 5.0, 1.25, 1.7
    code = Population(Current(num_steps=1), num_neurons=n, low=low, high=high, beta=beta)
    sigma = (high - low) / (n - 2) / beta
    centres = [low + (2 * i - 3) / 2 * (high - low) / (n - 2) for i in range(1, n + 1)]
    expected = [np.exp(-((x - c) ** 2) / (2 * sigma**2)) for c in centres]
    np.testing.assert_allclose(code(jnp.array(x), key=KEY)[0], expected, rtol=1e-5)
    np.testing.assert_allclose(code(jnp.array([-9.0, 9.0]), key=KEY), code(jnp.array([low, high]), key=KEY))


def test_population_is_a_code_of_its_activations():
    code = Population(LinearLatency(num_steps=21, threshold=0.1), num_neurons=5)
    assert (code.num_steps, code.dt, code.out_shape((2, 3))) == (21, 1e-3, (2, 3, 5))
    spikes = code(jnp.array(0.5), key=KEY)
    near = np.exp(-0.5 * 1.5**2)  # one spacing away is β = 1.5 widths
    np.testing.assert_array_equal(spikes.sum(0), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(spikes.argmax(0), [0, round(20 * (1 - near)), 0, round(20 * (1 - near)), 0])


# Current, Spikes, Rescaled


def test_current_repeats_the_value_unclipped():
    np.testing.assert_array_equal(Current(num_steps=3, gain=-2)(jnp.array([0.5, 4.0])), [[-1.0, -8.0]] * 3)


def test_a_current_into_lif_neurons_has_the_values_of_norse():
    """Its `constant_current_lif_encode`: the first layer does the coding; τ = 10 ms, Euler steps of 1 ms."""
    neuron = LIF(tau_mem=10e-3, discretisation=ForwardEuler(), reset=ToValue())
    state, spikes = neuron.initial_state((4,)), []
    for current in Current(num_steps=2)(jnp.array([2.0, 4.0, 8.0, 16.0])):
        fired, state = neuron(current, state)
        spikes.append(fired.tolist())
    assert spikes == [[0, 0, 0, 1], [0, 0, 1, 1]]


def test_spikes_pass_through():
    data = bits(KEY, (5, 4))
    np.testing.assert_array_equal(Spikes(num_steps=5)(data), np.asarray(data, np.float32))


def test_rescaled_maps_the_range_to_0_and_1():
    code = Rescaled(LinearLatency(num_steps=11), low=-50, high=50)
    spikes = code(jnp.array([-50.0, -30.0, 50.0, 400.0]), key=KEY)
    np.testing.assert_array_equal(spikes.sum(0), [0, 1, 1, 1])
    np.testing.assert_array_equal(spikes.argmax(0)[1:], [8, 0, 0])
    assert (code.num_steps, code.dt, code.out_shape((3,))) == (11, 1e-3, (3,))


# Misuse


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rate(num_steps=0), "num_steps is 0; give a whole number, at least 1"),
        (lambda: Rate(num_steps=True), "num_steps is True"),
        (lambda: Rate(num_steps=5, dt=0.0), "dt is 0.0"),
        (lambda: Rate(num_steps=5, max_rate=-1), "max_rate is -1.0"),
        (lambda: Rate(num_steps=5, max_rate=1001), "more than one spike per step"),
        (lambda: Rate(num_steps=5, max_rate=200, dt=6e-3), "more than one spike per step"),
        (lambda: Latency(num_steps=0), "num_steps is 0"),
        (lambda: Latency(num_steps=50, tau=0.0), "tau is 0.0"),
        (lambda: Latency(num_steps=50, tau=1e-4), "longer than tau"),
        (lambda: Latency(num_steps=50, threshold=1.0), "threshold is 1.0"),
        (lambda: Latency(num_steps=50, threshold=0.0), "threshold is 0.0"),
        (lambda: Latency(num_steps=4), "ends before the first possible spike"),
        (lambda: LinearLatency(num_steps=-1), "num_steps is -1"),
        (lambda: LinearLatency(num_steps=5, dt=-1e-3), "dt is -0.001"),
        (lambda: LinearLatency(num_steps=5, threshold=-0.1), "threshold is -0.1"),
        (lambda: LinearLatency(num_steps=5, threshold=1.0), "threshold is 1.0"),
        (lambda: Population(Rate(5), num_neurons=2), "num_neurons is 2; give a whole number, at least 3"),
        (lambda: Population(Rate(5), low=1, high=1), r"range is \[1.0, 1.0\]"),
        (lambda: Population(Rate(5), beta=0), "beta is 0.0"),
        (lambda: Current(num_steps=0), "num_steps is 0"),
        (lambda: Current(num_steps=5, gain=float("nan")), "gain is nan"),
        (lambda: Spikes(num_steps=5, dt=float("inf")), "dt is inf"),
        (lambda: Spikes(num_steps=5)(jnp.zeros((4, 2))), "expected 5 steps first"),
        (lambda: Spikes(num_steps=5).out_shape(()), "expected 5 steps first"),
        (lambda: Rescaled(Rate(5), low=2, high=1), "give finite low < high"),
        (lambda: Rescaled(Rate(5), low=float("-inf"), high=1), "give a finite number"),
        (lambda: Rate(5)(jnp.array([0, 255], jnp.uint8), key=KEY), "dtype uint8.*Rescaled"),
    ],
)
def test_misuse_says_what_to_do(make, message):
    with pytest.raises(SnnlearnError, match=message):
        make()


def test_latency_whose_first_spike_is_in_the_last_step_is_allowed():
    """t(1) = 4.46 ms is step 4: the fifth, and the last of this window."""
    assert Latency(num_steps=5)(jnp.array(1.0)).argmax() == 4
