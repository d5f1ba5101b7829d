"""Delays by every rule: exact where the rule is, by the times of spikes too; refused where it would not be right."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn._parameters import AbstractQuantity, split
from snnlearn.coding import FirstSpike
from snnlearn.losses import ClassSpikeTrains, CrossEntropy, StepwiseCrossEntropy
from snnlearn.network import DelayedSynapses, Dense, GaussianDelay, Layer, Network, spike_times
from snnlearn.neurons import LI, LIF, Constant, CubaLIF, Identity
from snnlearn.rules import (
    BPTT,
    OTTT,
    RTRL,
    DiagonalRTRL,
    EProp,
    EventProp,
    ForwardGradient,
    NodePerturbation,
    SuperSpike,
    TruncatedBPTT,
    WeightPerturbation,
    check_rule,
)

pytestmark = pytest.mark.usefixtures("x64")

KEYS = jax.random.split(jax.random.key(0), 6)
N_IN, HIDDEN, N_OUT, T, K, MOST = 4, 5, 3, 40, 12, 6
TAU = 5e-3
LOSS = CrossEntropy(FirstSpike(scale=3e-3))
RULE, find = eqx.filter_jit(EventProp(max_spikes=K)), eqx.filter_jit(spike_times)
run = eqx.filter_jit(lambda rule, *arguments: rule(*arguments, key=KEYS[3]))


WIDE = GaussianDelay(2.0)


def late(inputs, units, key, *, shape=None, kernel=WIDE):
    """Excitatory enough to spike; with a wide kernel, which continuous time knows nothing of."""
    dense = Dense(inputs, units, key=key)
    dense = eqx.tree_at(lambda s: s.weight, dense, 0.5 * dense.weight + 1.6 / inputs)
    delays = jax.random.uniform(key, (units, inputs) if shape is None else shape, minval=0.4, maxval=MOST - 0.4)
    return DelayedSynapses(dense, delays, MOST, kernel)


def network_of(neuron, **settings):
    hidden = Layer(late(N_IN, HIDDEN, KEYS[0], **settings), neuron)
    return Network((hidden, Layer(late(HIDDEN, N_OUT, KEYS[1]), neuron)))


def batch():
    xs = jnp.asarray((np.random.default_rng(5).random((2, T, N_IN)) < 0.1).astype(float))
    return xs, jnp.arange(2)


CUBA = CubaLIF(tau_mem=2 * TAU, tau_syn=TAU, v_th=0.25)
CASES = {
    "pairs": (CUBA, None),
    "inputs": (CUBA, (N_IN,)),
    "held current, one layer": (LIF(tau_mem=10e-3, v_th=0.3, resistance=9.0), None),
}


@pytest.mark.parametrize("name", CASES)
def test_by_spike_times_the_gradient_is_that_of_finite_differences(name):
    neuron, shape = CASES[name]
    network, (inputs, targets) = network_of(neuron, shape=shape), batch()
    if "one layer" in name:
        network = Network((Layer(late(N_IN, N_OUT, KEYS[3]), neuron),))
    for train in find(network, inputs[0], max_spikes=K):
        assert jnp.isfinite(train[0]).mean() > 0.5
    _, gradient = RULE(network, LOSS, inputs, targets, key=KEYS[2])
    parameters, constants = split(network)
    leaves, structure = jax.tree.flatten(parameters)
    rng, h = np.random.default_rng(1), 1e-6
    for k, (leaf, slope) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        direction = jnp.asarray(rng.normal(size=leaf.shape))
        moved = [jax.tree.unflatten(structure, [*leaves[:k], leaf + s * direction, *leaves[k + 1 :]]) for s in (h, -h)]
        ahead, behind = (RULE(eqx.combine(m, constants), LOSS, inputs, targets, key=KEYS[2])[0] for m in moved)
        difference = float(ahead - behind) / (2 * h)
        assert abs(difference) > 1e-4
        assert float(jnp.sum(slope * direction)) == pytest.approx(difference, rel=1e-5)


WEIGHTS, SENT = np.array([[0.5, 0.4, 0.45]]), np.array([2, 4, 5])


def one(delays):
    dense = eqx.tree_at(lambda s: s.weight, Dense(3, 1, key=KEYS[0]), jnp.asarray(WEIGHTS))
    late = DelayedSynapses(dense, Constant(jnp.ones((1, 3))), MOST)
    late = eqx.tree_at(lambda s: s.delays, late, Free(delays[None]), is_leaf=lambda node: node is late.delays)
    return Network((Layer(late, CUBA),))


def raster(num_steps):
    return jnp.zeros((num_steps, 3)).at[SENT, jnp.arange(3)].set(1.0)


def first_spike(delays):
    """Göltz et al. 2021 for τ_mem = 2 τ_syn, here τ_mem v̇ = −v + i: all three inputs arrive before the spike."""
    t = (SENT.astype(float) + delays) * 1e-3
    a1, a2 = jnp.sum(WEIGHTS[0] * jnp.exp(t / TAU)), jnp.sum(WEIGHTS[0] * jnp.exp(t / (2 * TAU)))
    return 2 * TAU * jnp.log(2 * a1 / (a2 + jnp.sqrt(a2**2 - 4 * a1 * CUBA.v_th)))


class Free(AbstractQuantity):
    """A delay as it is, not by its logit."""

    array: jax.Array

    @property
    def value(self):
        return self.array


def test_spike_times_and_their_derivatives_by_delays_are_the_closed_form():
    """Göltz et al. 2024: ∂t/∂d of a first spike; and what a wide kernel makes of it in steps is another."""
    delays = jnp.array([1.3, 0.4, 2.6])

    def of(delays):
        return spike_times(one(delays), raster(T))[0][0, 0]

    both = jax.jit(lambda delays: [jax.value_and_grad(time)(delays) for time in (of, first_spike)])
    (found, slope), (expected, its) = both(delays)
    assert found > (SENT.astype(float) + delays).max() * 1e-3
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(slope, its, rtol=1e-9)
    assert (np.abs(its) > 1e-5).all()


def adjoint(network, xs, target, scale):
    """Wunderlich & Pehle 2021 with the delays of Mészáros et al. 2025, for one layer: λ backward in time.

    At the arrival of a spike of input i at unit j: ∂L/∂w −= τ_syn λ_I, ∂L/∂d += w (λ_V − λ_I).
    """
    synapses, neuron = network.layers[0].synapses, network.layers[0].neuron
    weight, delays = np.asarray(synapses.synapses.weight), np.asarray(synapses.delays.value)
    tm, ts, v_th = neuron.tau_mem, neuron.tau_syn, neuron.v_th
    (times,) = map(np.asarray, find(network, xs, max_spikes=K))
    exps = np.exp(-times[0] / scale)
    slope = ((np.arange(len(weight)) == target) - exps / exps.sum()) / scale
    steps, sources = np.nonzero(np.asarray(xs))
    dw, dd = np.zeros_like(weight), np.zeros_like(weight)
    for j, t in enumerate(times[0]):
        arrivals = sorted(((s + delays[j, i]) * 1e-3, i) for s, i in zip(steps, sources, strict=True))
        before = (sum(weight[j, i] * np.exp(-(t - a) / ts) for a, i in arrivals if a < t) - v_th) / tm
        v, i_, now = slope[j] / (tm * before), 0.0, t
        for a, i in reversed([one for one in arrivals if one[0] < t]):
            s = now - a
            i_ = i_ * np.exp(-s / ts) + v * tm / (tm - ts) * (np.exp(-s / tm) - np.exp(-s / ts))
            v, now = v * np.exp(-s / tm), a
            dw[j, i] -= ts * i_
            dd[j, i] += weight[j, i] * (v - i_) * 1e-3
    return dw, dd


def test_the_gradient_is_that_of_the_adjoint_equations_and_not_that_of_interpolation():
    network = Network((Layer(late(N_IN, N_OUT, KEYS[3]), CUBA),))
    xs, targets = batch()
    _, gradient = RULE(network, LOSS, xs[:1], targets[:1], key=KEYS[2])
    dw, dd = adjoint(network, xs[0], int(targets[0]), 3e-3)
    found = gradient.layers[0].synapses
    np.testing.assert_allclose(found.synapses.weight, dw, rtol=1e-9, atol=1e-12)
    share = network.layers[0].synapses.delays.value / MOST  # the delay's derivative by its logit
    exact = found.delays.logit / (MOST * share * (1 - share))
    assert np.abs(dd).max() > 1e-2
    np.testing.assert_allclose(exact, dd, rtol=1e-9, atol=1e-12)
    _, stepped = run(BPTT(), network, LOSS, xs[:1], targets[:1])
    assert not np.allclose(stepped.layers[0].synapses.delays.logit, found.delays.logit, rtol=0.1)  # pyright: ignore


def test_spikes_that_would_arrive_after_the_end_never_do():
    (all_of_them,) = find(one(jnp.full(3, 2.0)), raster(SENT[-1] + 20))
    (missing,) = find(one(jnp.full(3, 6.0)), raster(SENT[-1] + 3))
    assert np.isfinite(all_of_them).all() and not np.isfinite(missing).any()


def stepped(readout=None):
    hidden = LIF(tau_mem=5e-3, v_th=0.1)
    first = late(3, 3, KEYS[4], kernel=GaussianDelay(1.0))
    return Network((Layer(first, hidden), Layer(Dense(3, 2, key=KEYS[5]), readout or LI(tau_mem=5e-3))))


XS, LABELS = jax.random.bernoulli(KEYS[2], 0.5, (2, 9, 3)).astype(float), jnp.array([0, 1])


def test_rules_that_follow_the_whole_state_are_exact():
    arguments = stepped(), StepwiseCrossEntropy(), XS, LABELS
    _, exact = run(BPTT(), *arguments)
    assert all(leaf.any() for leaf in jax.tree.leaves(exact))
    for rule in (RTRL(), TruncatedBPTT(9), BPTT(segment=4)):
        _, gradient = run(rule, *arguments)
        for one, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)
    _, short = run(TruncatedBPTT(3), *arguments)
    assert not np.allclose(jax.tree.leaves(short)[0], jax.tree.leaves(exact)[0], rtol=1e-3)


@pytest.mark.parametrize("rule", [ForwardGradient(2), WeightPerturbation()], ids=lambda rule: type(rule).__name__)
def test_rules_that_disturb_the_whole_network_learn_delays(rule):
    check_rule(rule, stepped(), StepwiseCrossEntropy(), XS, LABELS, deterministic=False, key=KEYS[3])
    _, gradient = run(rule, stepped(), StepwiseCrossEntropy(), XS, LABELS)
    assert gradient.layers[0].synapses.delays.logit.all()


@pytest.mark.parametrize(
    "rule", [EProp(), OTTT(), SuperSpike(), NodePerturbation(), DiagonalRTRL()], ids=lambda rule: type(rule).__name__
)
def test_other_rules_refuse_them_in_one_sentence(rule):
    network, loss = stepped(), StepwiseCrossEntropy()
    if isinstance(rule, SuperSpike):
        network, loss = stepped(LIF(v_th=0.1)), ClassSpikeTrains(2, rate=400.0)
    if isinstance(rule, DiagonalRTRL):  # also where the layer itself remembers nothing
        network = Network((Layer(late(3, 3, KEYS[4]), Identity()), Layer(Dense(3, 2, key=KEYS[5]), LI())))
    with pytest.raises(SnnlearnError, match=r"Delayed|delay.*use .*BPTT"):
        eqx.filter_eval_shape(rule, network, loss, XS, LABELS, key=KEYS[3])
