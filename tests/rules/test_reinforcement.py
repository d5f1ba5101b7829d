"""Reward and fluctuations: by enumeration the gradient of the expected loss, and what happens where it is not."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder, SpikeCount
from snnlearn.losses import AbstractStepwiseLoss, CrossEntropy, MeanSquaredError, StepwiseCrossEntropy
from snnlearn.network import Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import (
    ALIF,
    IF,
    LIF,
    AbstractWrapper,
    CubaLIF,
    Delayed,
    EscapeNoise,
    ExponentialEscape,
    Filtered,
    Gaussian,
    NextStep,
    NoReset,
    Refractory,
    Sigmoid,
    SilentRefractory,
    Subtract,
    ToValue,
    escape_noise,
)
from snnlearn.rules import (
    BPTT,
    EProp,
    NodePerturbation,
    OnlineXieSeung,
    XieSeung,
    leave_one_out,
    no_baseline,
    reinforcement,
)
from snnlearn.rules.base import start_state
from snnlearn.rules.conformance import check_rule
from snnlearn.rules.local import linearise

KEY = jax.random.key(5)


class Reward(AbstractStepwiseLoss):
    """`target · Σ_t w_t (z_0^t − 0.4)²`, with weights that change over time; for many outputs, their sum."""

    decoder: AbstractDecoder | None = None

    def moments(self, target, num_steps):
        return jnp.full(num_steps, target), 1.0 + jnp.arange(num_steps, dtype=target.dtype) ** 2

    def at_step(self, output, moment):
        target, weight = moment
        return target * weight * jnp.sum(jnp.square(output - 0.4))


# --- the enumeration: two recurrent hidden units and an output unit, four steps, 2¹² spike patterns

T, HIDDEN = 4, 2
PATTERNS = np.array(list(itertools.product((0.0, 1.0), repeat=3 * T))).reshape(-1, T, 3)
BITS = PATTERNS.reshape(len(PATTERNS), -1)
XS = np.random.default_rng(0).normal(0, 1, (T, 2))
ALPHA, WIDTH, RATE, V_TH = np.exp(-1 / 4), 0.5, 500.0, 0.6


def enumerable():
    neuron = EscapeNoise(LIF(tau_mem=4e-3, v_th=V_TH, surrogate=ExponentialEscape(RATE, WIDTH)))
    network = feedforward((2, HIDDEN, 1), neuron=neuron, readout=neuron, recurrent=True, use_bias=True, key=KEY)
    return jax.tree.map(lambda leaf: leaf + 0.3 if eqx.is_array(leaf) else leaf, network)


def probabilities(network):
    """Of each pattern, `[P]`, by the equations: v ← α v + (1 − α) i − v_th z, p = 1 − exp(−ρ dt e^((v − v_th)/w))."""
    hidden, readout = network.layers
    w, b, r, u, c = (
        np.asarray(a)
        for a in (
            hidden.synapses.weight,
            hidden.synapses.bias,
            hidden.recurrent.weight,
            readout.synapses.weight,
            readout.synapses.bias,
        )
    )
    log_p, before = 0.0, np.zeros((len(PATTERNS), HIDDEN))
    v, y = np.zeros((len(PATTERNS), HIDDEN)), np.zeros((len(PATTERNS), 1))
    for t in range(T):
        z, out = PATTERNS[:, t, :HIDDEN], PATTERNS[:, t, HIDDEN:]
        v = ALPHA * v + (1 - ALPHA) * (XS[t] @ w.T + b + before @ r.T)
        y = ALPHA * y + (1 - ALPHA) * (z @ u.T + c)
        for membrane, spikes in ((v, z), (y, out)):
            hazard = RATE * 1e-3 * np.exp((membrane - V_TH) / WIDTH)
            log_p = log_p + np.sum(np.where(spikes > 0, np.log1p(-np.exp(-hazard)), -hazard), axis=1)
        v, y, before = v - V_TH * z, y - V_TH * out, z
    return np.exp(log_p)


LOSSES = np.sum((1.0 + np.arange(T) ** 2) * np.square(PATTERNS[:, :, HIDDEN] - 0.4), axis=1)


def expected_gradient(network):
    """The derivative of Σ_patterns p · loss, by finite differences."""
    theta, network_of = ravel_pytree(eqx.filter(network, eqx.is_inexact_array))
    constants = eqx.filter(network, eqx.is_inexact_array, inverse=True)

    def expected(theta):
        return np.sum(probabilities(eqx.combine(network_of(theta), constants)) * LOSSES)

    h, unit = 1e-5, np.eye(theta.size)
    return np.array([(expected(theta + h * e) - expected(theta - h * e)) / (2 * h) for e in unit])


@pytest.fixture
def dictated(monkeypatch):
    """Spikes are no longer drawn: the key of sample b holds the bits of pattern b, first layer and step first."""

    def split(key):
        bits = jax.random.key_data(key)
        after = jax.random.wrap_key_data(jnp.array([bits[0] >> 3, bits[1]]))
        return after, key

    def bernoulli(key, p):
        place = jnp.arange(p.size, dtype=jnp.uint32) + (0 if p.size == HIDDEN else HIDDEN)
        return ((jax.random.key_data(key)[0] >> place) & 1).astype(bool)

    def start(network, batch_size, *, key):
        del key
        words = (BITS @ 2.0 ** np.arange(3 * T)).astype(np.uint32)
        keys = jax.random.wrap_key_data(jnp.stack([jnp.asarray(words), jnp.zeros(len(words), jnp.uint32)], axis=1))
        rest = jax.vmap(lambda key: network.initial_state())(keys)
        return tuple(state._replace(neuron=state.neuron._replace(key=keys)) for state in rest)

    random = SimpleNamespace(split=split, bernoulli=bernoulli, key=jax.random.key)
    monkeypatch.setattr(escape_noise, "jax", SimpleNamespace(random=random, lax=jax.lax))
    monkeypatch.setattr(reinforcement, "start_state", start)


def enumerated(rule, network):
    """What a rule gives on average over the spike patterns: all in one batch, each loss weighted by its probability."""
    weights = jnp.asarray(probabilities(network) * len(PATTERNS))
    batch = jnp.broadcast_to(jnp.asarray(XS), (len(PATTERNS), T, 2))
    # A function of its own, so that no program is kept in which spikes were dictated.
    run = eqx.filter_jit(lambda network, weights: rule(network, Reward(), batch, weights, key=KEY))
    value, gradient = run(network, weights)
    return float(value), np.asarray(ravel_pytree(gradient)[0])


def test_the_patterns_are_all_there_are(x64):
    p = probabilities(enumerable())
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert p.max() < 0.1  # nothing is nearly certain
    rates = p @ PATTERNS.mean(axis=1)
    assert rates.min() > 0.1 and rates.max() < 0.9


def test_the_gradient_is_that_of_the_expected_loss(x64, dictated):
    """Σ_patterns p · loss · Σ_t ∂ log p = ∂ Σ_patterns p · loss, through the rule's own code."""
    network = enumerable()
    value, gradient = enumerated(XieSeung(no_baseline), network)
    assert value == pytest.approx(np.sum(probabilities(network) * LOSSES), rel=1e-12)
    expected = expected_gradient(network)
    assert np.abs(expected).min() > 1e-3
    np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())

    # A baseline adds nothing on average.
    p = jnp.asarray(probabilities(network) * len(PATTERNS))
    _, shifted = enumerated(XieSeung(lambda losses: 7.0 * p), network)  # the same b for all, weighted as the losses are
    np.testing.assert_allclose(shifted, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())


def test_online_it_is_the_same_if_nothing_is_forgotten_and_else_it_is_not(x64, dictated):
    network, expected = enumerable(), expected_gradient(enumerable())
    value, gradient = enumerated(OnlineXieSeung(1e9, no_baseline), network)
    assert value == pytest.approx(np.sum(probabilities(network) * LOSSES), rel=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    _, forgetful = enumerated(OnlineXieSeung(1e-3, no_baseline), network)
    assert np.linalg.norm(forgetful - expected) > 0.1 * np.linalg.norm(expected)


def test_spikes_alone_without_their_expectation_are_biased(x64, dictated, monkeypatch):
    class Hebbian(AbstractWrapper):
        neuron: EscapeNoise
        known: None

        def initial_state(self, shape):
            return self.neuron.initial_state(shape)

        def free(self):
            return self.neuron.free()

        def __call__(self, current, state):
            drawn, _ = self.neuron(current, state)
            spikes, after = self.neuron.given(jax.lax.stop_gradient(drawn), current, state)
            log_p = spikes * jnp.log(self.neuron.probability(current, state))
            return spikes + (log_p - jax.lax.stop_gradient(log_p)), after

    network, expected = enumerable(), expected_gradient(enumerable())
    monkeypatch.setattr(escape_noise, "_Scored", Hebbian)
    _, gradient = enumerated(XieSeung(no_baseline), network)
    assert np.linalg.norm(gradient - expected) > 0.5 * np.linalg.norm(expected)


# --- with spikes that are drawn


def estimates(baseline, network, count, offset):
    """Independent gradients, `[count, parameters]`, from batches of 4; the loss is shifted by the offset."""

    class Shifted(AbstractStepwiseLoss):
        decoder: AbstractDecoder | None = None

        def moments(self, target, num_steps):
            return Reward().moments(target, num_steps)

        def at_step(self, output, moment):
            return Reward().at_step(output, moment) + offset / T

    batch = jnp.broadcast_to(jnp.asarray(XS), (4, T, 2)), jnp.ones(4)
    one = lambda key: ravel_pytree(XieSeung(baseline)(network, Shifted(), *batch, key=key)[1])[0]  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(KEY, count)))


def test_drawn_gradients_are_unbiased_and_a_baseline_makes_them_quieter(x64):
    network, expected = enumerable(), expected_gradient(enumerable())
    variances = []
    for baseline in (no_baseline, leave_one_out):
        drawn = estimates(baseline, network, 4000, offset=10.0)
        z = (drawn.mean(axis=0) - expected) / (drawn.std(axis=0) / np.sqrt(len(drawn)))
        assert np.abs(z).max() < 4, baseline.__name__
        variances.append(drawn.var(axis=0))
    assert np.all(variances[1] < 0.5 * variances[0])


NEURONS = {
    "factored": EscapeNoise(
        CubaLIF(
            tau_mem=9e-3,
            tau_syn=4e-3,
            v_th=0.4,
            reset=NextStep(),
            refractory=SilentRefractory(3e-3),
            surrogate=Sigmoid(6.0),
        )
    ),
    "adaptive, trained": EscapeNoise(
        ALIF(
            tau_mem=np.full(3, 6e-3),
            v_th=jnp.full(3, 0.3),
            beta=0.4,
            refractory=Refractory(2e-3),
            reset=ToValue(block_gradient=False),
            surrogate=Gaussian(0.3),
        )
    ),
    "wrapped": Delayed(
        Filtered(
            EscapeNoise(LIF(v_th=0.3, reset=Subtract(block_gradient=False), surrogate=ExponentialEscape(200.0, 0.3))),
            tau_syn=np.full(3, 5e-3),
        )
    ),
}
STEPS = 30  # more than a block


def scores(network, xs, state):
    """`log P` of the drawn spikes, step by step `[T]`, as a function of the parameters, by unrolling the network."""
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)
    theta, network_of = ravel_pytree(parameters)
    outputs = unroll(network, xs, state)[0].outputs

    def log_p(theta):
        layers = eqx.combine(network_of(theta), constants).layers

        def step(states, now):
            x, outputs = now
            after, total = [], 0.0
            for layer, s, spikes in zip(layers, states, outputs, strict=True):
                current = layer.synapses(x)
                if layer.recurrent is not None:
                    current = current + layer.recurrent(s.lines[1][0])
                total += _log_p(layer.neuron, current, s.neuron, spikes)
                _, neuron = _given(layer.neuron, current, s.neuron, spikes)
                after.append(
                    s._replace(neuron=neuron, lines=(None,) if layer.recurrent is None else (None, spikes[None]))
                )
                x = spikes
            return tuple(after), total

        return jax.lax.scan(step, state, (xs, outputs))[1]

    return outputs, jax.jacrev(log_p)(theta)


def _log_p(neuron, current, state, spikes):
    if isinstance(neuron, Delayed):
        return _log_p(neuron.neuron, state.inputs[0], state.neuron, spikes)
    if isinstance(neuron, Filtered):
        decay, gain = neuron.synapse(neuron.dt, neuron.tau_syn.value)
        return _log_p(neuron.neuron, decay * state.i + gain * current, state.neuron, spikes)
    p = neuron.probability(current, state)
    return jnp.sum(jnp.log(jnp.where(spikes > 0, p, 1 - p)))


def _given(neuron, current, state, spikes):
    if isinstance(neuron, EscapeNoise):
        return neuron.given(spikes, current, state)
    inner = eqx.tree_at(lambda n: n.neuron, neuron, _Given(neuron.neuron, spikes))
    return inner(current, state)


class _Given(eqx.Module):
    neuron: eqx.Module
    spikes: jax.Array

    @property
    def dt(self):
        return self.neuron.dt

    def __call__(self, current, state):
        return _given(self.neuron, current, state, self.spikes)


def test_the_eligibility_is_the_derivative_of_the_log_probability(x64):
    """Of the very spikes that were drawn, for any neuron, by unrolling: episodic and online."""
    with jax.enable_x64(True):
        layers, keys = [], iter(jax.random.split(KEY, 8))
        for neuron in NEURONS.values():  # each fed by the spikes of the one before
            neuron = jax.tree.map(lambda a: a.astype(float) if eqx.is_inexact_array(a) else a, neuron)
            size, gain = (3, 4.0) if layers else (2, 1.0)
            forward = jax.tree.map(lambda w, gain=gain: gain * w, Dense(size, 3, use_bias=True, key=next(keys)))
            layers.append(Layer(forward, neuron, Dense(3, 3, key=next(keys))))
        readout = EscapeNoise(LIF(v_th=0.2, surrogate=Sigmoid(5.0)))
        network = Network((*layers, Layer(Dense(3, 2, use_bias=True, key=next(keys)), readout)))
        xs = 4 * jax.random.normal(KEY, (1, STEPS, 2))
        rest = jax.tree.map(lambda leaf: leaf[0], start_state(network, 1, key=KEY))
        outputs, by_step = eqx.filter_jit(scores)(network, xs[0], rest)
    assert all(0.02 < float(z.mean()) < 0.9 for z in outputs)
    moments = Reward().moments(jnp.ones(()), STEPS)
    by_step = np.asarray(by_step)
    losses = np.asarray(jax.vmap(Reward().at_step)(outputs[-1], moments))
    _, gradient = eqx.filter_jit(XieSeung(no_baseline))(network, Reward(), xs, jnp.ones(1), key=KEY)
    expected = losses.sum() * by_step.sum(axis=0)
    np.testing.assert_allclose(ravel_pytree(gradient)[0], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())

    decay, low_pass, expected = np.exp(-1 / 7), 0.0, 0.0
    for loss, score in zip(losses, by_step, strict=True):
        low_pass = decay * low_pass + score
        expected = expected + loss * low_pass
    _, gradient = eqx.filter_jit(OnlineXieSeung(7e-3, no_baseline))(network, Reward(), xs, jnp.ones(1), key=KEY)
    np.testing.assert_allclose(ravel_pytree(gradient)[0], expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_for_short_steps_the_eligibility_is_the_papers(x64):
    """(z − p) p' / (p (1 − p)) → φ (s − f) h, φ = f'/f, as dt → 0: the difference falls in proportion to dt."""
    current = jnp.linspace(-1.0, 1.0, 400)
    differences = []
    for dt in (1e-3, 0.5e-3):
        neuron = EscapeNoise(IF(v_th=0.0, reset=NoReset(), surrogate=ExponentialEscape(400.0, 0.5, dt), dt=dt))
        spikes, _, local = linearise(neuron.scored(), current, neuron.initial_state((400,)))
        rate = 400.0 * np.exp(np.asarray(current) / 0.5)
        paper = (np.asarray(spikes) - rate * dt) / 0.5
        fired = np.asarray(spikes) > 0
        assert 20 < fired.sum() < 380
        np.testing.assert_allclose(local.output_current[~fired], paper[~fired], rtol=1e-9)
        differences.append(np.abs(local.output_current - paper)[fired] / (rate * dt)[fired])
    # Each is H/(2w) (1 + O(H)) with H = f dt, w = 0.5: in proportion to dt.
    for difference, dt in zip(differences, (1e-3, 0.5e-3), strict=True):
        assert np.all(np.abs(difference - 1.0) < 400.0 * dt * np.e**2 / 6 + 1e-9)


# --- it is a rule among rules

NOISY = EscapeNoise(LIF(v_th=0.3, surrogate=Sigmoid(slope=8.0)))
READOUT = EscapeNoise(LIF(v_th=0.1, surrogate=Sigmoid(slope=8.0)))
INPUTS, LABELS = 8 * jax.random.normal(KEY, (3, 30, 4)), jnp.array([2, 0, 1])


def test_online_it_conforms():
    """And of episodes below and, on a graph, in test_graphs.py."""
    network = feedforward((4, 6, 3), neuron=NOISY, readout=READOUT, recurrent=True, key=KEY)
    check_rule(OnlineXieSeung(), network, StepwiseCrossEntropy(), INPUTS, LABELS, deterministic=False, key=KEY)


@pytest.mark.parametrize("rule", [BPTT(), EProp(), NodePerturbation()], ids=lambda rule: type(rule).__name__)
def test_other_rules_train_a_noisy_network_on_the_noise_of_their_key(rule):
    network = feedforward((4, 6, 3), neuron=NOISY, key=KEY)
    check_rule(rule, network, StepwiseCrossEntropy(), INPUTS, LABELS, deterministic=False, key=KEY)


def test_each_sample_and_each_key_has_noise_of_its_own():
    network = feedforward((4, 6, 3), neuron=NOISY, key=KEY)
    one, other = (start_state(network, 5, key=key)[0].neuron.key for key in jax.random.split(KEY))
    drawn = jax.random.key_data(jnp.concatenate([one, other]))
    assert len(np.unique(drawn, axis=0)) == 10


def test_any_loss_of_the_whole_sequence_is_a_reward():
    network = feedforward((4, 6, 3), neuron=NOISY, readout=READOUT, key=KEY)
    loss = CrossEntropy(SpikeCount())
    check_rule(XieSeung(), network, loss, INPUTS, LABELS, deterministic=False, key=KEY)
    with pytest.raises(SnnlearnError, match=r"OnlineXieSeung.*a sum over time steps.*CrossEntropy is not"):
        OnlineXieSeung()(network, loss, INPUTS, LABELS, key=KEY)


def test_what_it_is_not_defined_for_is_refused():
    batch = INPUTS, jnp.zeros((3, 30, 3))
    deterministic = feedforward((4, 6, 3), neuron=NOISY, key=KEY)
    with pytest.raises(SnnlearnError, match=r"layer 2 of LI leaves nothing to chance.*EscapeNoise.*NodePerturbation"):
        XieSeung()(deterministic, MeanSquaredError(), *batch, key=KEY)
    conv = Conv2d((1, 2, 2), 3, 2, key=KEY)
    shared = Network((Layer(conv, NOISY), Layer(Dense(3, 3, key=KEY), READOUT)))
    with pytest.raises(SnnlearnError, match=r"XieSeung keeps a trace for each synapse, .* Conv2d; use OTTT"):
        XieSeung()(shared, MeanSquaredError(), *batch, key=KEY)
    network = feedforward((4, 6, 3), neuron=NOISY, readout=READOUT, key=KEY)
    with pytest.raises(SnnlearnError, match=r"1 sample.*no_baseline"):
        eqx.filter_jit(XieSeung())(network, MeanSquaredError(), batch[0][:1], batch[1][:1], key=KEY)
    with pytest.raises(SnnlearnError, match="tau_e is -1"):
        OnlineXieSeung(-1.0)
