"""Spikes that are drawn: with the right probability, independently, and anew when asked."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.evaluation import evaluate
from snnlearn.coding import Current, SpikeCount
from snnlearn.data import Sample
from snnlearn.hypothesis import Hypothesis, scores, ties
from snnlearn.losses import CrossEntropy
from snnlearn.network import Dense, Layer, Network, diagnose, feedforward, unroll
from snnlearn.neurons import (
    ALIF,
    IF,
    LI,
    LIF,
    Atan,
    CubaLIF,
    Delayed,
    EscapeNoise,
    ExponentialEscape,
    Filtered,
    Gaussian,
    NoReset,
    Refractory,
    Scaled,
    Sigmoid,
    core,
)

KEY = jax.random.key(1)


def drawn(neuron, currents, key=KEY):
    """Spikes `[T, n]` of a population that gets the currents `[T, n]`."""

    def step(state, current):
        spikes, state = neuron(current, state)
        return state, spikes

    rest = neuron.initial_state(currents.shape[1:])._replace(key=key)
    return np.asarray(jax.jit(lambda xs: jax.lax.scan(step, rest, xs)[1])(currents))


@pytest.mark.parametrize(
    ("escape", "p"),
    [
        (Sigmoid(slope=4.0), lambda x: 1 / (1 + np.exp(-4 * x))),
        (Gaussian(sigma=0.3), lambda x: stats.norm.cdf(x / 0.3)),
        (Scaled(Sigmoid(slope=4.0), 0.3), lambda x: 0.3 / (1 + np.exp(-4 * x))),
        (ExponentialEscape(rate=400.0, width=0.5, dt=2e-3), lambda x: 1 - np.exp(-0.8 * np.exp(x / 0.5))),
    ],
)
def test_spikes_are_drawn_with_the_escape_function_s_probability(escape, p):
    neuron = EscapeNoise(IF(v_th=0.4, surrogate=escape, reset=NoReset(), dt=2e-3))
    n = 40_000
    v = np.array([-0.3, 0.1, 0.4, 0.8])
    spikes = drawn(neuron, jnp.broadcast_to(jnp.repeat(jnp.asarray(v, jnp.float32), n), (1, 4 * n)))
    share = spikes.reshape(4, n).mean(axis=1)
    expected = p(v - 0.4)
    assert np.all(np.abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n))


def test_a_poisson_neuron_fires_at_the_rate_of_its_filtered_current():
    """Without a reset: counts have the variance of independent coins, and steps do not know of each other."""
    escape = ExponentialEscape(rate=60.0, width=0.2)
    neuron = EscapeNoise(LIF(tau_mem=5e-3, v_th=1.0, surrogate=escape, reset=NoReset()))
    T, n = 100, 4000
    current = 0.9 + 0.3 * np.sin(np.arange(T) / 7)
    v, expected = 0.0, []
    for c in current:
        v = v * np.exp(-1 / 5) + (1 - np.exp(-1 / 5)) * c
        expected.append(1 - np.exp(-60e-3 * np.exp((v - 1) / 0.2)))
    expected = np.array(expected)
    spikes = drawn(neuron, jnp.broadcast_to(jnp.asarray(current, jnp.float32)[:, None], (T, n)))
    z = (spikes.mean(axis=1) - expected) / np.sqrt(expected * (1 - expected) / n)
    assert np.abs(z).max() < 4.5 and stats.kstest(z, "norm").pvalue > 0.01
    variance = spikes.sum(axis=0).var()
    assert variance == pytest.approx((expected * (1 - expected)).sum(), rel=0.1)
    score = (spikes - expected[:, None]) / np.sqrt(expected * (1 - expected))[:, None]
    assert abs(np.mean(score[1:] * score[:-1])) < 4 / np.sqrt((T - 1) * n)


def test_with_little_noise_it_is_the_neuron_itself():
    quiet = LIF(v_th=0.3, refractory=Refractory(2e-3), surrogate=Sigmoid(slope=1e6))
    currents = 4 * jax.random.normal(KEY, (50, 8))
    network = Network((Layer(Dense(8, 8, key=KEY), quiet),))
    noisy = Network((Layer(Dense(8, 8, key=KEY), EscapeNoise(quiet)),))
    spikes, _ = network(currents)
    assert spikes.sum() > 20
    np.testing.assert_array_equal(noisy(currents)[0], spikes)


def test_the_reset_and_the_refractory_period_are_the_neuron_s():
    neuron = EscapeNoise(LIF(refractory=Refractory(4e-3), surrogate=Sigmoid(slope=1.0)))
    spikes = drawn(neuron, 5 * jnp.ones((200, 50)))
    gaps = np.concatenate([np.diff(np.flatnonzero(unit)) for unit in spikes.T])
    assert gaps.min() == 5 and gaps.size > 100
    state = neuron.initial_state((50,))
    spikes, after = neuron(5 * jnp.ones(50), state)
    charged = 5 * (1 - np.exp(-1 / 20))
    np.testing.assert_allclose(after.v, charged - np.asarray(spikes), rtol=1e-5)
    assert not neuron.probability(5 * jnp.ones(50), after)[spikes > 0].any()


def test_the_derivative_is_that_of_the_probability():
    neuron = EscapeNoise(ALIF(beta=0.5, v_th=0.2, surrogate=Gaussian(0.3)))
    state = neuron.initial_state((20,))
    current = jnp.linspace(-20.0, 20.0, 20)
    slope = jax.grad(lambda i: neuron(i, state)[0].sum())(current)
    gain = 1 - np.exp(-1 / 20)
    expected = gain * stats.norm.pdf((gain * np.asarray(current) - 0.2) / 0.3) / 0.3
    np.testing.assert_allclose(slope, expected, rtol=1e-4)


NOISY = EscapeNoise(LIF(v_th=0.1, surrogate=Sigmoid(slope=5.0)))
NETWORK = feedforward((3, 6, 6), neuron=NOISY, readout=NOISY, key=KEY)
XS = jax.random.normal(KEY, (40, 3))


def test_a_key_draws_the_noise_anew_and_the_same_key_the_same():
    one, other = jax.random.split(KEY)
    run = jax.jit(lambda key: unroll(NETWORK, XS, NETWORK.initial_state(key=key))[0].outputs)
    for a, b, again in zip(run(one), run(other), run(one), strict=True):
        assert 0.1 < a.mean() < 0.9
        assert (a != b).mean() > 0.2
        np.testing.assert_array_equal(a, again)


def test_without_a_key_every_run_meets_the_same_noise():
    np.testing.assert_array_equal(NETWORK(XS)[0], NETWORK(XS)[0])


def test_noise_in_decisions_is_new_for_each_sample_and_the_same_again():
    """Trained with fresh noise, a network is judged with fresh noise: one sample, 200 times, is left to chance."""
    hypothesis = Hypothesis(Current(num_steps=3), NETWORK, SpikeCount())
    xs, y = jnp.full((200, 3), 0.3), jnp.zeros(200, dtype=int)
    found = scores(hypothesis, xs, key=KEY)
    assert len(np.unique(found, axis=0)) > 20
    np.testing.assert_array_equal(found, scores(hypothesis, xs, key=KEY))
    loss = CrossEntropy(SpikeCount())
    _, wrong = evaluate(loss, hypothesis.encoder, NETWORK, Sample(xs, y), key=KEY)
    beaten = found[:, 0] < found.max(axis=1)
    open_ = np.sum(ties(found) & ~beaten)  # chance decides between equal counts
    assert 0 < np.sum(beaten) <= int(wrong) <= np.sum(beaten) + open_ < 200
    rate = np.asarray(diagnose(NETWORK, jnp.zeros((200, 1, 3)))[0].firing_rate)
    assert not np.isin(rate, (0, 1000)).any()  # one step: frozen noise would be all samples or none


def test_layers_have_noise_of_their_own():
    """Two layers of the same size that hear nothing fire by chance, but not together."""
    T = 2000
    outputs = jax.jit(lambda xs: unroll(silenced(NETWORK), xs)[0].outputs)(jnp.zeros((T, 3)))
    first, second = map(np.asarray, outputs)
    covariance = np.mean((first - first.mean()) * (second - second.mean()))
    assert 0.05 < first.mean() < 0.4
    assert abs(covariance) < 5 * 0.25 / np.sqrt(T * 6)


def silenced(network):
    return jax.tree.map(lambda leaf: 0 * leaf if eqx.is_array(leaf) else leaf, network)


def test_it_stands_within_other_wrappers():
    neuron = Delayed(Filtered(EscapeNoise(LIF(v_th=0.7, surrogate=Sigmoid(3.0))), tau_syn=5e-3))
    assert core(neuron).v_th == 0.7
    network = feedforward((3, 6, 2), neuron=neuron, key=KEY)
    health, _ = diagnose(network, jax.random.normal(KEY, (2, 30, 3)))
    assert 0 < health.surrogate_mass <= 1 and not health.silent.all()


@pytest.mark.parametrize(
    ("neuron", "sentence"),
    [
        (lambda: EscapeNoise(LIF(surrogate=Atan())), "Atan is not the derivative of a probability.*Sigmoid"),
        (lambda: EscapeNoise(IF(surrogate=Scaled(Sigmoid(), 1.1))), "Scaled is not the derivative of a probability"),
        (lambda: EscapeNoise(CubaLIF(surrogate=ExponentialEscape(dt=1e-4))), "0.0001 s and the neuron 0.001 s"),
    ],
)
def test_a_neuron_that_cannot_be_noisy_is_refused(neuron, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        neuron()


def test_an_integrator_has_no_threshold_to_be_noisy():
    with pytest.raises(Exception, match="LI"):  # by its type here, by a sentence where types are not checked
        EscapeNoise(LI())
