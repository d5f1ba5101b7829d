"""What bounds, bends, delays or loses does so by its law, with the derivative of what it lets pass."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn import Hypothesis, SnnlearnError, kernels, load, save
from snnlearn.circuits import (
    Bent,
    Chip,
    DeadNeurons,
    Dropping,
    Flicker,
    Loss,
    NoisyReads,
    NonlinearDevices,
    Polynomial,
    Rails,
    RandomDelay,
    SaturatedCurrents,
    SaturatedWeights,
    TimeStamps,
    Transmission,
    Transmitted,
    Waiting,
    deploy,
)
from snnlearn.coding import Current, MeanMembrane
from snnlearn.losses import StepwiseCrossEntropy
from snnlearn.network import Dense, Layer, Network, feedforward, unroll, why_not_compiled
from snnlearn.neurons import LI, LIF, Constant, CubaLIF, Dead, Railed, Saturated, check_neuron
from snnlearn.rules import BPTT, EProp

KEY = jax.random.key(0)
DELAYS = (0.2, 0.5, 0.0, 0.3)


def through(channel, spikes, seed=0):
    """What arrives of spikes `[T, units]`."""
    state = channel.initial_state(spikes.shape[1:])
    if channel.draws:
        state = jax.tree.map(
            lambda leaf: jax.random.key(seed) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf, state
        )
    run = eqx.filter_jit(lambda spikes, state: jax.lax.scan(lambda s, z: channel(z, s)[::-1], state, spikes)[1])
    return np.asarray(run(spikes, state))


def random_spikes(shape, rate, seed=1):
    return (jax.random.uniform(jax.random.key(seed), shape) < rate).astype(jnp.float32)


def test_delays_have_their_probabilities():
    """One spike of each of many units, and how many steps later it arrives; a χ² test."""
    spikes = jnp.zeros((6, 4000)).at[1].set(1.0)
    arrived = through(RandomDelay(DELAYS), spikes)
    assert (arrived.sum(axis=0) == 1).all()
    counts = arrived.sum(axis=1)[1:5]
    expected = 4000 * np.array(DELAYS)
    some = expected > 0
    assert counts[~some] == 0
    assert scipy.stats.chisquare(counts[some], expected[some]).pvalue > 1e-3
    assert scipy.stats.chisquare(counts[some], 4000 * np.array([0.3, 0.5, 0.2])).pvalue < 1e-6


def test_jitter_keeps_the_rate_and_no_spike_is_lost():
    """All spikes arrive, late ones in a step of their own, and their correlation is the law of the delays."""
    spikes = np.asarray(random_spikes((2000, 8), 0.15))
    arrived = through(RandomDelay(DELAYS), jnp.concatenate([spikes, jnp.zeros((40, 8))]))
    np.testing.assert_array_equal(arrived.sum(axis=0), spikes.sum(axis=0))
    assert np.isin(arrived, (0, 1)).all()
    sparse = np.asarray(random_spikes((4000, 8), 0.02))
    late = through(RandomDelay(DELAYS), jnp.asarray(sparse))
    kernel = [(sparse[: len(sparse) - d] * late[d:]).sum() / sparse.sum() for d in range(4)]
    np.testing.assert_allclose(kernel, np.array(DELAYS) + 0.02, atol=0.07)


def test_lost_spikes_are_a_share_independently():
    spikes = random_spikes((500, 20), 0.4)
    arrived = through(Loss(0.3), spikes)
    sent, kept = int(spikes.sum()), int(arrived.sum())
    assert (arrived <= np.asarray(spikes)).all()
    assert scipy.stats.binomtest(kept, sent, 0.7).pvalue > 1e-3 > scipy.stats.binomtest(kept, sent, 0.6).pvalue
    every = through(Loss(0.3), jnp.ones((500, 20)))
    assert abs(np.corrcoef(every[1:].ravel(), every[:-1].ravel())[0, 1]) < 0.05


def test_time_stamps_are_multiples():
    """Of each period one spike, at its end, if there was any: against NumPy."""
    spikes = np.asarray(random_spikes((60, 30), 0.3))
    arrived = through(TimeStamps(4), jnp.asarray(spikes))
    expected = np.zeros_like(spikes)
    expected[3::4] = spikes.reshape(15, 4, 30).max(axis=1)
    np.testing.assert_array_equal(arrived, expected)
    rate = 1 - 0.7**4  # of independent spikes
    assert scipy.stats.binomtest(int(arrived.sum()), 15 * 30, rate).pvalue > 1e-3


@pytest.mark.parametrize("channel", [Dropping(3), Waiting(3)], ids=["drop", "wait"])
def test_a_full_queue(channel):
    """Never more than its capacity; what is dropped is lost, and what waits arrives in the end: against a loop."""
    spikes = np.concatenate([random_spikes((30, 8), 0.5), np.zeros((40, 8), np.float32)])
    arrived = through(channel, jnp.asarray(spikes))
    left, expected = np.zeros(8), []
    for z in spikes:
        left = z + (left if isinstance(channel, Waiting) else 0)
        goes = np.zeros(8)
        goes[np.flatnonzero(left)[:3]] = 1
        expected.append(goes)
        left = left - goes
    np.testing.assert_array_equal(arrived, expected)
    assert arrived.sum(axis=1).max() == 3 < spikes.sum(axis=1).max()
    assert (arrived.sum() == spikes.sum()) == isinstance(channel, Waiting)


@pytest.mark.parametrize(
    "channel", [RandomDelay(DELAYS), TimeStamps(3), Waiting(2), Loss(0.5), Dropping(2)], ids=lambda c: type(c).__name__
)
def test_a_derivative_arrives_with_its_spike(channel):
    """Of Σ arrived by each spike: 1 where it arrives, also later, 0 where it is lost; also of spikes that were none."""
    steps, units = 12, 5
    spikes = jnp.zeros((steps, units)).at[2, ::2].set(1.0).at[3, 1].set(1.0)

    def total(spikes):
        state = channel.initial_state(spikes.shape[1:])
        return jax.lax.scan(lambda s, z: channel(z, s)[::-1], state, spikes)[1].sum()

    total, slope = eqx.filter_jit(jax.value_and_grad(total))(spikes)
    sent = np.asarray(spikes) > 0
    np.testing.assert_allclose(np.asarray(slope)[sent].sum(), total, rtol=1e-6)
    assert np.asarray(slope)[~sent].any() and np.isfinite(slope).all()


# --- Wrapped neurons --------------------------------------------------------------------------------------------------

WRAPPED = [
    Dead(LIF(v_th=0.4), Constant([0, 0, 1, 0, 0])),  # pyright: ignore[reportCallIssue]
    Dead(CubaLIF(), Constant([0, 0, 1, 0, 0])),  # pyright: ignore[reportCallIssue]
    Saturated(LIF(v_th=0.4), 20.0),  # pyright: ignore
    Railed(LIF(v_th=0.4), -0.3, 0.9),  # pyright: ignore
    Transmitted(LIF(v_th=0.1), Waiting(3)),  # pyright: ignore
    Transmitted(LIF(v_th=0.1), RandomDelay((0.5, 0.5))),  # pyright: ignore
]


@pytest.mark.parametrize(
    "neuron", WRAPPED, ids=lambda n: f"{type(n).__name__} {type(getattr(n, 'channel', None)).__name__}"
)
def test_wrapped_neurons_conform(neuron):
    check_neuron(neuron, deterministic=not isinstance(neuron, Transmitted | Dead), key=KEY)


def test_currents_saturate_monotonically_and_membranes_stay_between_rails():
    currents = jnp.linspace(-50, 50, 201)
    neuron = Saturated(LI(tau_mem=1e-3), 4.0)  # pyright: ignore
    v = np.asarray(neuron(currents, neuron.initial_state((201,)))[0]) / (1 - np.exp(-1))
    np.testing.assert_allclose(v, 4 * np.tanh(np.asarray(currents) / 4), rtol=1e-4, atol=1e-5)
    assert (np.diff(v) >= -1e-6).all() and abs(v).max() <= 4
    network = feedforward((3, 20, 2), key=KEY)
    chip = Rails(-0.3, 1.2)(network, key=KEY)
    xs = 20 * jax.random.normal(KEY, (30, 3))
    railed, free = (np.asarray(unroll(n, xs, record=lambda state: state.v)[0].records[0]) for n in (chip, network))
    assert railed.min() >= -0.3 and railed.max() <= 1.2
    assert free.min() < -0.3 and (railed == np.float32(-0.3)).any()


def test_weights_saturate_monotonically():
    network = feedforward((1, 200, 2), key=KEY)
    weights = jnp.linspace(-5, 5, 200)[:, None]
    network = eqx.tree_at(lambda n: n.layers[0].connections[0].synapses.weight, network, weights)
    left = np.asarray(SaturatedWeights(0.8)(network, key=KEY).layers[0].synapses.weight)[:, 0]
    assert (np.diff(left) >= 0).all() and abs(left).max() <= 0.8
    np.testing.assert_allclose(left[99:101], weights[99:101, 0], rtol=1e-3)


def test_devices_bend_currents_and_not_spikes():
    """sinh(ax)/sinh(a): odd, monotone, 1 at 1, linear for small a; spikes are as they were, and in the kernels."""
    dense = Dense(1, 1, key=KEY)
    x = jnp.linspace(-1, 1, 41)
    bent = np.asarray(jax.vmap(Bent(dense, 3.0))(x[:, None]))[:, 0] / float(dense.weight[0, 0])  # pyright: ignore
    np.testing.assert_allclose(bent, np.sinh(3 * np.asarray(x)) / np.sinh(3), rtol=1e-5)
    assert (np.diff(bent) > 0).all() and bent[-1] == pytest.approx(1) and abs(bent[30] - 0.5) > 0.2
    network = feedforward((6, 9, 2), recurrent=True, neuron=LIF(v_th=0.1), key=KEY)
    chip = NonlinearDevices(3.0)(network, key=KEY)
    assert why_not_compiled(chip.layers) is None
    spikes = random_spikes((15, 6), 0.5)
    np.testing.assert_allclose(chip(spikes)[0], network(spikes)[0], rtol=1e-5, atol=1e-6)
    currents = 0.5 * spikes
    with kernels.plain():
        plain = chip(currents)[0]
    np.testing.assert_allclose(chip(currents)[0], plain, rtol=1e-4, atol=1e-6)
    assert not np.allclose(plain, network(currents)[0], rtol=1e-2)


def test_rules_train_a_deployed_network():
    """E-prop is exact where backpropagation and it meet the same noise: in one hidden layer."""
    network = feedforward((4, 5, 2), neuron=LIF(tau_mem=5e-3, v_th=0.2), key=KEY)
    noisy = NoisyReads(Polynomial.proportional(0.2), Flicker(bands=2))(network, key=KEY)
    chip = Network((noisy.layers[0], network.layers[1]))
    arguments = (StepwiseCrossEntropy(), random_spikes((3, 10, 4), 0.6), jnp.array([0, 1, 1]))
    (value, gradient), (expected, exact) = (
        eqx.filter_jit(rule)(chip, *arguments, key=KEY) for rule in (EProp(), BPTT())
    )
    assert value == pytest.approx(float(expected), rel=1e-4)
    for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact), strict=True):
        assert np.asarray(other).any()
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=1e-6)


def test_a_deployed_network_is_kept(tmp_path):
    """In a model file, with its wrapped synapses and neurons."""
    network = feedforward((3, 4, 2), key=KEY)
    effects = (
        NoisyReads(Polynomial.pcm(), Flicker(bands=2)),
        NonlinearDevices(2.0),
        Rails(-1.0, 1.5),
        DeadNeurons(0.5),
    )
    chip = deploy(network, Chip("all", effects=(*effects, Transmission(RandomDelay((0.5, 0.5))))), key=KEY)
    save(Hypothesis(Current(num_steps=4), chip, MeanMembrane()), tmp_path / "chip.npz")
    loaded = load(tmp_path / "chip.npz")[0].network
    xs = jnp.ones((6, 3))
    np.testing.assert_array_equal(loaded(xs)[0], chip(xs)[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RandomDelay((0.5, 0.6)), "RandomDelay: probabilities add up to 1.1; give one for each"),
        (lambda: RandomDelay((1.5, -0.5)), r"RandomDelay: probabilities\[0\] is 1.5; give a probability"),
        (lambda: RandomDelay(()), "probabilities add up to 0"),
        (lambda: Loss(1.2), "Loss: probability is 1.2"),
        (lambda: Loss(float("nan")), "Loss: probability is nan"),
        (lambda: TimeStamps(0), "TimeStamps: steps is 0; give at least 1"),
        (lambda: Dropping(0), "Dropping: capacity is 0; give at least 1"),
        (lambda: Waiting(-1), "Waiting: capacity is -1"),
        (lambda: SaturatedWeights(0.0), "SaturatedWeights: largest is 0.0"),
        (lambda: SaturatedCurrents(-1.0), "SaturatedCurrents: largest is -1.0"),
        (lambda: NonlinearDevices(0.0), "NonlinearDevices: steepness is 0.0"),
        (lambda: Rails(1.0, 0.0), "Rails: low is 1.0, not below high"),
        (lambda: Rails(float("-inf"), 0.0), "Rails: low is -inf"),
        (lambda: Railed(LIF(v_th=1.0), -1.0, 0.5), "Railed: high is 0.5, not above v_th = 1.0"),  # pyright: ignore
        (lambda: Dead(LIF(), Constant([0.5])), "Dead: dead is 0.5"),  # pyright: ignore[reportCallIssue]
        (lambda: Transmitted(LI(), Loss(0.1)), "Transmitted: LI does not spike"),  # pyright: ignore
        (
            lambda: Transmission(Loss(0.1))(Network((Layer(Dense(2, 2, key=KEY), LI()),)), key=KEY),
            "Transmission: no neur",
        ),
    ],
)
def test_what_is_none_is_refused_by_name(make, said):
    with pytest.raises(SnnlearnError, match=said):
        make()
