"""Learning from an environment's rewards: the policy gradient by enumeration, reward-based e-prop by its equation."""

from __future__ import annotations

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError
from snnlearn.environments import DelayedChoice, play
from snnlearn.losses import ActorCritic
from snnlearn.network import feedforward
from snnlearn.neurons import ALIF, LI, LIF
from snnlearn.rules import BPTT, EProp, RandomFeedback, StoredFeedback, eligibility_traces, with_feedback

KEY = jax.random.key(0)
WORLD = DelayedChoice(num_actions=2, group=2, cue=3, delay=2, choice=3, p=0.9)


def network(neuron, *, recurrent=False, key=KEY):
    return feedforward((6, 7, 3), neuron=neuron, readout=LI(6e-3), recurrent=recurrent, key=key)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("neuron", [LIF(8e-3, v_th=0.3), ALIF(8e-3, tau_adapt=30e-3, beta=0.3, v_th=0.3)])
def test_eprop_by_actor_critic_is_the_sum_of_td_errors_and_discounted_traces(neuron):
    net, discount, c_v, key = with_feedback(network(neuron, recurrent=True), key=KEY), 0.8, 0.7, jax.random.key(3)
    episode = play(net, WORLD, WORLD.num_steps, key=key)
    batch = episode.inputs[None], episode.judged(discount)[None]
    _, gradient = eqx.filter_jit(EProp(StoredFeedback()))(net, ActorCritic(value_weight=c_v), *batch, key=key)

    hidden, _ = net.layers
    spikes, e, e_recurrent = eqx.filter_jit(eligibility_traces)(hidden, episode.inputs)
    assert 0 < spikes.sum() and jnp.abs(e).max() > 0
    outputs = readout_of(net, episode.inputs)
    policy = jax.nn.softmax(outputs[:, :-1])
    error = jnp.concatenate([policy - jax.nn.one_hot(episode.actions, 2), -jnp.full((len(policy), 1), c_v)], axis=1)
    kappa = np.exp(-net.dt / 6e-3)
    learning = (1 - kappa) * error @ hidden.feedback.T  # the readout's gain stands before its membrane
    value_after = np.append(np.asarray(episode.values)[1:], 0.0)
    td = np.asarray(episode.rewards) + discount * value_after - np.asarray(episode.values)
    found_weights = (gradient.layers[0].synapses.weight, gradient.layers[0].recurrent.weight)
    for traces, found in zip((e, jnp.asarray(e_recurrent)), found_weights, strict=True):
        filtered, discounted, total = 0.0, 0.0, 0.0
        for t in range(WORLD.num_steps):
            filtered = kappa * filtered + np.asarray(traces[t])
            discounted = discount * discounted + np.asarray(learning[t])[:, None] * filtered
            total = total + td[t] * discounted
        assert np.abs(total).max() > 1e-6
        np.testing.assert_allclose(found, total, rtol=1e-10, atol=1e-12)


def readout_of(net, xs):
    outputs, _ = net(xs)
    return outputs


@pytest.mark.usefixtures("x64")
def test_its_expectation_over_actions_is_the_gradient_of_the_expected_return():
    """Over all 2⁴ courses of actions; each step's reward depends on all actions before it."""
    net, steps = network(LIF(8e-3, v_th=0.3)), 4
    xs = jax.random.bernoulli(jax.random.key(5), 0.7, (steps, 6)).astype(float)

    def rewards(actions):
        return jnp.cumsum(jnp.asarray(actions, float) * jnp.array([1.0, -2.0, 0.5, 3.0]))

    def log_policy(net):
        return jax.nn.log_softmax(readout_of(net, xs)[:, :-1])

    def expected_loss(net):
        table = log_policy(net)
        courses = itertools.product(range(2), repeat=steps)
        return -sum(jnp.exp(table[jnp.arange(steps), jnp.array(a)].sum()) * rewards(a).sum() for a in courses)

    learn, values, total = eqx.filter_jit(BPTT()), readout_of(net, xs)[:, -1], None
    for actions in itertools.product(range(2), repeat=steps):
        to_go = jnp.cumsum(rewards(actions)[::-1])[::-1]
        judged = jnp.stack([jnp.array(actions, float), to_go, to_go - values], axis=1)
        _, gradient = learn(net, ActorCritic(value_weight=0.0), xs[None], judged[None], key=KEY)
        chance = jnp.exp(log_policy(net)[jnp.arange(steps), jnp.array(actions)].sum())
        weighted = jax.tree.map(lambda g, chance=chance: chance * g, gradient)
        total = weighted if total is None else jax.tree.map(jnp.add, total, weighted)
    expected = eqx.filter_jit(eqx.filter_grad(expected_loss))(net)
    for found, wanted in zip(jax.tree.leaves(total), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert jnp.abs(expected.layers[0].synapses.weight).max() > 1e-4


def test_reward_alone_teaches_a_delayed_choice():
    world = DelayedChoice(group=3, cue=4, delay=4, choice=4, p=0.8)
    neuron = ALIF(10e-3, tau_adapt=50e-3, beta=0.5)
    net = feedforward((9, 24, 3), neuron=neuron, readout=LI(5e-3), recurrent=True, key=jax.random.key(1))
    rule, loss, optimizer = EProp(RandomFeedback(jax.random.key(2))), ActorCritic(entropy_weight=0.01), optax.adam(1e-2)
    parameters, constants = eqx.partition(net, eqx.is_inexact_array)

    def update(carry, key):
        parameters, state = carry
        learner = eqx.combine(parameters, constants)
        episodes = jax.vmap(lambda key: play(learner, world, world.num_steps, key=key))(jax.random.split(key, 64))
        judged = jax.vmap(lambda episode: episode.judged(0.9))(episodes)
        _, gradient = rule(learner, loss, episodes.inputs, judged, key=key)
        change, state = optimizer.update(gradient, state)
        return (eqx.apply_updates(parameters, change), state), episodes.rewards.sum(axis=1).mean()

    keys = jax.random.split(KEY, 200)
    with jax.numpy_dtype_promotion("standard"):  # as Adam needs it
        _, returns = jax.jit(lambda start: jax.lax.scan(update, start, keys))((parameters, optimizer.init(parameters)))
    assert abs(float(returns[:5].mean())) < 0.3  # chance is 0, the best 1
    assert float(returns[-20:].mean()) > 0.6


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: DelayedChoice(num_actions=1), "num_actions is 1"),
        (lambda: DelayedChoice(p=0.0), "p is 0.0"),
        (lambda: ActorCritic(value_weight=-1.0), "value_weight is -1.0"),
        (lambda: play(network(LIF()), DelayedChoice(), 5, key=KEY), r"\(15,\) to \(3,\)"),
        (lambda: play(network(LIF()), WORLD, 5, key=KEY).judged(1.5), "discount is 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(made, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        made()
