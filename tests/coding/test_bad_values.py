"""What no code can send is refused or clipped as documented, by every encoder: never a wrong rate without a word."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.coding import (
    Burst,
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
    bernoulli_spikes,
    learn_range,
    packed_spikes,
)

KEY = jax.random.key(5)
T = 12
OF_VALUES = [
    Rate(T),
    PoissonRate(T),
    RegularRate(T),
    Latency(T),
    LinearLatency(T),
    Phase(T),
    Burst(T),
    Population(Rate(T)),
    Population(LinearLatency(T, threshold=0.1)),
    Rescaled(Burst(T), 0.0, 1.0),
]
names = pytest.mark.parametrize("code", OF_VALUES, ids=lambda code: type(code).__name__)


@names
def test_values_out_of_range_are_clipped(code):
    """Infinite ones too; and each unit has its own coin, so that only the value differs."""
    outside = code(jnp.array([-0.5, -jnp.inf, 1.5, jnp.inf]), key=KEY)
    np.testing.assert_array_equal(outside, code(jnp.array([0.0, 0.0, 1.0, 1.0]), key=KEY))


@names
def test_nan_is_nan_and_leaves_its_neighbours_alone(code):
    spikes = code(jnp.array([0.9, jnp.nan, 0.3]), key=KEY)
    assert np.isnan(spikes[:, 1]).all()
    np.testing.assert_array_equal(spikes[:, ::2], code(jnp.array([0.9, 0.5, 0.3]), key=KEY)[:, ::2])


@names
def test_grey_levels_are_refused_rather_than_clipped(code):
    if isinstance(code, Rescaled):
        return  # it is what the sentence advises
    with pytest.raises(SnnlearnError, match="x has dtype uint8"):
        code(jnp.array([0, 255], jnp.uint8), key=KEY)


@names
def test_a_constant_feature_sends_what_0_sends(code):
    rescaled = Rescaled(code, *learn_range(np.array([[3.0, 0.0], [3.0, 2.0]])))
    spikes = rescaled(jnp.array([7.0, 1.0]), key=KEY)
    np.testing.assert_array_equal(spikes, code(jnp.array([0.0, 0.5]), key=KEY))


def test_a_rank_order_with_an_unknown_value():
    """It is known to nobody; the others keep their order."""
    spikes = np.asarray(RankOrder(T)(jnp.array([0.3, jnp.nan, 0.9, jnp.inf])))
    assert np.isnan(spikes[:, 1]).all()
    assert spikes[:, [3, 2, 0]].argmax(axis=0).tolist() == [0, 1, 2]


@pytest.mark.parametrize("code", [Delta, SendOnDelta])
def test_a_signal_with_a_gap(code):
    """A change from or to what is not known is not known; send-on-delta has lost its reference then."""
    spikes = np.asarray(code(5, threshold=0.5)(jnp.array([0.0, 1.0, jnp.nan, 1.0, 1.0])))
    lost = np.isnan(spikes).any(axis=1)
    assert lost.tolist() == ([False, False, True, True, False] if code is Delta else [False, False, True, True, True])


@pytest.mark.parametrize("num_steps", [0])
@pytest.mark.parametrize(
    "make",
    [
        Rate,
        PoissonRate,
        RegularRate,
        Latency,
        LinearLatency,
        RankOrder,
        Phase,
        Burst,
        Current,
        Spikes,
        Delta,
        SendOnDelta,
        lambda n: Population(Rate(n)),
        lambda n: TunedPopulation(LinearLatency(n), GaussianTuning(jnp.zeros(3))),
        lambda n: Rescaled(Rate(n), 0, 1),
        lambda n: Framewise(Rate(n), 2),
        lambda n: Framewise(Rate(5), n),
    ],
)
def test_a_window_without_whole_steps_is_refused(make, num_steps):
    with pytest.raises(SnnlearnError, match=f"num_(steps|frames) is {num_steps}; give a whole number, at least 1"):
        make(num_steps)


@pytest.mark.parametrize("code", [Rate, RegularRate])
def test_rates_above_one_spike_a_step_are_refused(code):
    assert code(T, max_rate=500, dt=2e-3).max_rate == 500
    for make in (
        lambda: code(T, max_rate=501, dt=2e-3),
        lambda: Population(code(T, max_rate=1001)),
        lambda: Framewise(code(T, max_rate=1001), 3),
    ):
        with pytest.raises(
            SnnlearnError, match=r"more than one spike per step .* lower max_rate to .* Hz or shorten dt"
        ):
            make()


def test_a_poisson_process_may_be_faster_than_its_steps():
    """It saturates, as documented: 1 − e⁻⁵ of the steps spike at 5/dt."""
    spikes = PoissonRate(200, max_rate=5000)(jnp.ones(500), key=KEY)
    p = 1 - np.exp(-5)
    assert abs(float(spikes.mean()) - p) < 4 * np.sqrt(p * (1 - p) / spikes.size)


def test_probabilities_are_clipped():
    p = jnp.array([-0.25, 0.0, 1.0, 1.25])
    np.testing.assert_array_equal(bernoulli_spikes(p, 32, key=KEY), 32 * [[0, 0, 1, 1]])
    np.testing.assert_array_equal(packed_spikes(p, 32, key=KEY), [[0, 0, 2**32 - 1, 2**32 - 1]])


@pytest.mark.parametrize("code", [Delta, SendOnDelta])
@pytest.mark.parametrize(
    "fields", [{"threshold": 0.0}, {"threshold": np.nan}, {"initial": np.nan}, {"initial": np.inf}]
)
def test_delta_fields(code, fields):
    (name,) = fields
    with pytest.raises(SnnlearnError, match=f"{name} is"):
        code(T, **fields)
