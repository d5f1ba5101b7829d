"""EventProp against finite differences, against the paper's adjoint equations in NumPy, and against the grid."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.coding import FirstSpike, SpikeCount
from snnlearn.losses import ClassMeanSquaredError, CrossEntropy, RateBand
from snnlearn.network import feedforward, spike_times
from snnlearn.neurons import LIF, CubaLIF, ToValue
from snnlearn.rules import EventProp
from snnlearn.rules.conformance import check_rule

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
N_IN, N_OUT, T, K = 4, 3, 40, 8
LOSS = CrossEntropy(FirstSpike(scale=3e-3)) + 0.3 * ClassMeanSquaredError(FirstSpike(scale=5e-3), on=-2.0, off=-4.0)
CROSS_ENTROPY = CrossEntropy(FirstSpike(scale=3e-3))
RULE, find = eqx.filter_jit(EventProp(max_spikes=K)), eqx.filter_jit(spike_times)


def network_of(neuron, sizes, readout=None):
    """Excitatory enough to spike."""
    network = feedforward(sizes, neuron=neuron, readout=neuron if readout is None else readout, key=KEY)
    return eqx.tree_at(
        lambda n: [layer.synapses.weight for layer in n.layers],
        network,
        replace_fn=lambda w: 0.5 * w + 1.6 / w.shape[1],
    )


def batch(rate=0.1, size=2):
    rng = np.random.default_rng(5)
    xs = jnp.asarray((rng.random((size, T, N_IN)) < rate).astype(float))
    return xs, jnp.arange(size) % N_OUT


def arrays(n, neuron):
    """Each of a neuron's numbers as a trained array, unlike in each unit."""
    names = [name for name in ("tau_mem", "tau_syn", "v_th", "v_leak", "resistance") if hasattr(neuron, name)]
    spread = np.linspace(0.95, 1.05, n)
    fields = {name: jnp.asarray(spread * getattr(neuron, name)) for name in names}
    return type(neuron)(**fields, reset=ToValue(jnp.asarray(spread * neuron.reset.v_reset)))


CASES = {
    "double": CubaLIF(tau_mem=10e-3, tau_syn=5e-3, v_th=0.25, v_leak=0.02, resistance=1.2, reset=ToValue(-0.05)),
    "equal": CubaLIF(tau_mem=8e-3, tau_syn=8e-3, v_th=0.3, v_leak=-0.1, resistance=0.8, reset=ToValue(0.05)),
    "slow current": CubaLIF(tau_mem=5e-3, tau_syn=12e-3, v_th=0.5, v_leak=0.05, resistance=0.9, reset=ToValue(0.1)),
    "held current": LIF(tau_mem=10e-3, v_th=0.3, v_leak=0.05, resistance=9.0, reset=ToValue(-0.05)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_every_parameter_is_that_of_finite_differences(name):
    """Two layers, several spikes of a unit, every parameter trained."""
    hidden, readout = arrays(6, CASES[name]), arrays(N_OUT, CASES[name])
    if name == "equal":  # the same number in the same unit: the limit in the kernel, not near it
        hidden = eqx.tree_at(lambda n: n.tau_syn, hidden, hidden.tau_mem)
        readout = eqx.tree_at(lambda n: n.tau_syn, readout, readout.tau_mem)
    network, (inputs, targets) = network_of(hidden, (N_IN, 6, N_OUT), readout), batch()
    for train in find(network, inputs[0], max_spikes=K):
        assert jnp.isfinite(train[0]).mean() > 0.5
    assert jnp.isfinite(find(network, inputs[0], max_spikes=K)[-2][2]).any()  # some unit spikes three times
    _, gradient = RULE(network, LOSS, inputs, targets, key=KEY)
    parameters, constants = eqx.partition(network, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(parameters)
    rng = np.random.default_rng(1)
    for k, (leaf, slope) in enumerate(zip(leaves, jax.tree.leaves(gradient), strict=True)):
        direction = jnp.asarray(rng.normal(size=leaf.shape))

        def moved(h, k=k, leaf=leaf, direction=direction):
            after = jax.tree.unflatten(structure, [*leaves[:k], leaf + h * direction, *leaves[k + 1 :]])
            return RULE(eqx.combine(after, constants), LOSS, inputs, targets, key=KEY)[0]

        h = 1e-6
        difference = float(moved(h) - moved(-h)) / (2 * h)
        if k == len(leaves) - 1:  # what follows the first spike of an output is nobody's business
            assert difference == 0 == float(jnp.sum(slope * direction))
            break
        assert abs(difference) > 1e-4
        assert float(jnp.sum(slope * direction)) == pytest.approx(difference, rel=1e-5)


def adjoint(network, xs, target, scale):
    """Wunderlich & Pehle 2021, table 1: λ backward in time, with jumps at the spikes, for two layers reset to 0."""
    neuron, dt = network.layers[0].neuron, 1e-3
    tm, ts, v_th = neuron.tau_mem, neuron.tau_syn, neuron.v_th
    w, w_out = (np.asarray(layer.synapses.weight) for layer in network.layers)
    hidden, output = map(np.asarray, find(network, xs, max_spikes=K))
    steps, sources = np.nonzero(np.asarray(xs))
    inputs = [(step * dt, 0, j) for step, j in zip(steps, sources, strict=True)]
    spikes = [(t, 1, n) for n in range(len(w)) for t in hidden[:, n] if np.isfinite(t)]
    firsts = [(output[0, m], 2, m) for m in range(len(w_out))]

    exps = np.exp(-output[0] / scale)
    slope = ((np.arange(len(w_out)) == target) - exps / exps.sum()) / scale  # ∂L/∂t of −log softmax(−t / scale)
    v, i = [np.zeros(len(w)), np.zeros(len(w_out))], [np.zeros(len(w)), np.zeros(len(w_out))]  # λ_V, λ_I
    dw, dw_out, now = np.zeros_like(w), np.zeros_like(w_out), np.inf
    for t, kind, unit in sorted(inputs + spikes + firsts, reverse=True):
        s = now - t if np.isfinite(now) else 0.0
        for layer in (0, 1):
            i[layer] = i[layer] * np.exp(-s / ts) + v[layer] * tm / (tm - ts) * (np.exp(-s / tm) - np.exp(-s / ts))
            v[layer] = v[layer] * np.exp(-s / tm)
        now = t
        if kind == 0:
            dw[:, unit] -= ts * i[0]
            continue
        sources, weights = (inputs, w) if kind == 1 else (spikes, w_out)
        current = sum(weights[unit, j] * np.exp(-(t - t_j) / ts) for t_j, _, j in sources if t_j < t)
        before, after = (current - v_th) / tm, current / tm  # v̇ before and after the spike
        if kind == 1:
            jump = w_out[:, unit] @ (v[1] - i[1])
            dw_out[:, unit] -= ts * i[1]
        else:
            jump = slope[unit]
        v[kind - 1][unit] = after / before * v[kind - 1][unit] + jump / (tm * before)
    return dw, dw_out


def test_the_gradient_is_that_of_the_papers_adjoint_equations():
    network = network_of(CubaLIF(tau_mem=20e-3, tau_syn=5e-3, v_th=0.15), (N_IN, 6, N_OUT))
    inputs, targets = batch()
    _, gradient = RULE(network, CROSS_ENTROPY, inputs[:1], targets[:1], key=KEY)
    dw, dw_out = adjoint(network, inputs[0], int(targets[0]), 3e-3)
    assert np.abs(dw).max() > 1e-2
    np.testing.assert_allclose(gradient.layers[0].synapses.weight, dw, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient.layers[1].synapses.weight, dw_out, rtol=1e-9, atol=1e-12)


def test_inputs_after_the_last_spike_have_no_gradient():
    network = network_of(CASES["double"], (N_IN, N_OUT))
    xs = jnp.zeros((1, T, N_IN)).at[0, jnp.array([0, 1, 2, 30]), jnp.arange(N_IN)].set(1.0)
    (times,) = find(network, xs[0], max_spikes=K)
    assert times[0].max() < 30e-3
    _, gradient = RULE(network, CROSS_ENTROPY, xs, jnp.array([0]), key=KEY)
    weight = gradient.layers[0].synapses.weight
    assert (weight[:, 3] == 0).all()
    assert (weight[:, 0] != 0).all()


def test_a_silent_output_counts_as_the_end_of_the_window_and_has_no_gradient():
    network = network_of(CASES["double"], (N_IN, N_OUT))
    network = eqx.tree_at(lambda n: n.layers[0].synapses.weight, network, replace_fn=lambda w: w.at[2].set(-0.1))
    inputs, targets = batch(size=1)
    loss, gradient = RULE(network, CROSS_ENTROPY, inputs, targets, key=KEY)
    (times,) = find(network, inputs[0], max_spikes=K)
    assert np.isfinite(times[0]).tolist() == [True, True, False]
    scores = -np.append(times[0, :2], T * 1e-3) / 3e-3
    assert float(loss) == pytest.approx(np.log(np.exp(scores).sum()) - scores[0], rel=1e-12)
    assert (gradient.layers[0].synapses.weight[2] == 0).all()
    assert (gradient.layers[0].synapses.weight[0] != 0).any()


def test_its_loss_nears_that_of_the_stepped_network_as_the_time_step_shrinks():
    errors = []
    for dt in (1e-4, 1e-5):
        network = network_of(CubaLIF(tau_mem=10e-3, tau_syn=5e-3, v_th=0.25, dt=dt), (N_IN, N_OUT))
        steps = jnp.round(jnp.array([1e-3, 2e-3, 4e-3, 7e-3]) / dt).astype(int)
        xs = jnp.zeros((round(20e-3 / dt), N_IN)).at[steps, jnp.arange(N_IN)].set(1.0)
        loss = CrossEntropy(FirstSpike(scale=3e-3, dt=dt))
        exact, _ = eqx.filter_jit(EventProp(max_spikes=1))(network, loss, xs[None], jnp.array([1]), key=KEY)
        stepped = loss((eqx.filter_jit(network)(xs)[0],), jnp.array(1))
        errors.append(abs(float(exact - stepped)))
    assert 1e-4 < errors[0] < 1e-1
    assert errors[1] < 1e-2


def test_it_conforms():
    network = network_of(arrays(N_OUT, CASES["double"]), (N_IN, N_OUT))
    check_rule(EventProp(max_spikes=K), network, LOSS, *batch(size=3), stepped=False, key=KEY)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(SpikeCount()), LOSS + RateBand(), RateBand()])
def test_losses_of_anything_but_first_spikes_are_refused(loss):
    with pytest.raises(SnnlearnError, match=r"EventProp takes a loss of first spikes.*use BPTT"):
        EventProp()(network_of(CASES["double"], (N_IN, N_OUT)), loss, *batch(), key=KEY)


def test_networks_without_exact_spike_times_are_refused():
    with pytest.raises(SnnlearnError, match=r"Layer 2 is LI, not LIF or CubaLIF.*with BPTT"):
        EventProp()(feedforward((N_IN, 6, N_OUT), key=KEY), LOSS, *batch(), key=KEY)
