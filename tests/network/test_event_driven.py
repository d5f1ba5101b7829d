"""Spike times in continuous time: closed forms, the membrane written out in NumPy, and the stepped network's limit."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from snnlearn import SnnlearnError
from snnlearn.coding import FirstSpike
from snnlearn.network import Conv2d, Dense, Layer, Network, feedforward, spike_times, unroll
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, NextStep, Refractory, Subtract, ToValue, UnitGain, ZeroOrderHold

pytestmark = pytest.mark.usefixtures("x64")

KEY = jax.random.key(0)
find = eqx.filter_jit(spike_times)


def network_of(neuron, *weights):
    """Dense layers with given weights."""
    layers = []
    for weight in weights:
        dense = Dense(weight.shape[1], weight.shape[0], key=KEY)
        layers.append(Layer(eqx.tree_at(lambda s: s.weight, dense, jnp.asarray(weight)), neuron))
    return Network(tuple(layers))


def raster(times, num_steps, dt):
    """One spike of each unit, at times on the grid."""
    steps = np.round(np.asarray(times) / dt).astype(int)
    return jnp.zeros((num_steps, len(steps))).at[steps, np.arange(len(steps))].set(1.0)


def double(t, w, tau, g_theta):
    a1, a2 = np.sum(w * np.exp(t / tau)), np.sum(w * np.exp(t / (2 * tau)))
    root = np.sqrt(a2**2 - 4 * a1 * g_theta + 0j)
    return 2 * tau * np.log(2 * a1 / (a2 + root))


def equal(t, w, tau, g_theta):
    a1, b = np.sum(w * np.exp(t / tau)), np.sum(w * t / tau * np.exp(t / tau))
    return tau * (b / a1 - lambertw(-g_theta / a1 * np.exp(b / a1)))


@pytest.mark.parametrize(("form", "ratio"), [(double, 2), (equal, 1)], ids=["double", "equal"])
def test_first_spikes_are_the_closed_forms(form, ratio):
    """Göltz et al. 2021: T from the inputs before T, found by trying 1, 2, … inputs."""
    rng = np.random.default_rng(0)
    tau, v_th, resistance, v_leak, dt, n, inputs = 7e-3, 0.9, 1.7, 0.1, 1e-4, 40, 6
    neuron = CubaLIF(ratio * tau, tau, v_th, v_leak, resistance, dt=dt)
    w, t = rng.normal(1.0, 1.5, (n, inputs)), np.sort(rng.choice(200, inputs, replace=False)) * dt
    (found,) = find(network_of(neuron, w), raster(t, 400, dt))

    expected = np.full(n, np.inf)
    for unit in range(n):
        for m in range(1, inputs + 1):
            with np.errstate(all="ignore"):
                at = form(t[:m], w[unit, :m], tau, (v_th - v_leak) / resistance)
            until = t[m] if m < inputs else 400 * dt
            if abs(at.imag) < 1e-12 and t[m - 1] <= at.real <= until:
                expected[unit] = at.real
                break
    assert 10 < np.isfinite(expected).sum() < n
    assert len(set(np.searchsorted(t, expected[np.isfinite(expected)]))) > 3  # causal sets of many sizes
    np.testing.assert_allclose(found[0], expected, rtol=1e-10)


NEURONS = {
    "double": CubaLIF(tau_mem=10e-3, tau_syn=5e-3, v_th=0.5),
    "equal, to value": CubaLIF(tau_mem=8e-3, tau_syn=8e-3, v_th=0.6, v_leak=0.2, reset=ToValue(-0.3)),
    "slow current": CubaLIF(tau_mem=5e-3, tau_syn=13e-3, v_th=1.1, resistance=0.5, reset=ToValue(0.4)),
    "held current": LIF(tau_mem=10e-3, v_th=0.5, v_leak=-0.1, resistance=4.0),
}


def membrane(neuron, t, arrivals, weights, own):
    """v of one unit at times t: the responses to spikes at `arrivals`, and the resets by its own."""
    s = np.maximum(t[:, None] - arrivals, 0)
    if isinstance(neuron, LIF):

        def rise(s):
            return 1 - np.exp(-np.maximum(s, 0) / neuron.tau_mem)

        response = rise(s) - rise(s - neuron.dt)
    elif neuron.tau_mem == neuron.tau_syn:
        response = s / neuron.tau_mem * np.exp(-s / neuron.tau_mem)
    else:
        gain = neuron.tau_syn / (neuron.tau_mem - neuron.tau_syn)
        response = gain * (np.exp(-s / neuron.tau_mem) - np.exp(-s / neuron.tau_syn))
    v_reset = neuron.reset.v_reset if isinstance(neuron.reset, ToValue) else neuron.v_leak
    since = t[:, None] - own
    resets = np.where(since > 0, np.exp(-np.maximum(since, 0) / neuron.tau_mem), 0).sum(axis=1)
    return neuron.v_leak + neuron.resistance * response @ weights - (neuron.v_th - v_reset) * resets


@pytest.mark.parametrize("name", NEURONS)
def test_a_spike_is_where_the_membrane_reaches_the_threshold_and_nowhere_else(name):
    rng = np.random.default_rng(0)
    neuron, dt = NEURONS[name], 1e-3
    w = [rng.normal(0.5, 0.7, (6, 4)), rng.normal(0.3, 0.6, (5, 6))]
    xs = (rng.random((40, 4)) < 0.07).astype(float)
    trains = find(network_of(neuron, *w), jnp.asarray(xs), max_spikes=40)
    steps, sources = np.nonzero(xs)
    before = steps * dt, sources
    for weight, train in zip(w, map(np.asarray, trains), strict=True):
        counts = np.isfinite(train).sum(axis=0)
        assert counts.max() < 40
        assert (counts > 1).sum() >= 2
        for unit in range(len(weight)):
            own = train[: counts[unit], unit]
            assert (np.diff(own) > 0).all()
            arrivals = before[0], weight[unit, before[1]]
            np.testing.assert_allclose(membrane(neuron, own, *arrivals, own), neuron.v_th, atol=1e-11)
            assert (membrane(neuron, own - 1e-7, *arrivals, own) < neuron.v_th).all()
            everywhere = np.linspace(0, 40 * dt, 20_001)
            assert membrane(neuron, everywhere, *arrivals, own).max() < neuron.v_th + 1e-11
        finite = np.isfinite(train)
        before = train[finite], np.nonzero(finite)[1]


def test_the_stepped_network_nears_it_as_the_time_step_shrinks():
    rng = np.random.default_rng(2)
    w = [rng.normal(0.7, 0.8, (5, 4)), rng.normal(0.4, 0.6, (3, 5))]
    times, errors = np.array([1, 4, 5, 9]) * 1e-3, []
    for dt in (2e-5, 2e-6):
        network = network_of(CubaLIF(9e-3, 5e-3, 0.5, v_leak=0.1, reset=ToValue(-0.1), dt=dt), *w)
        xs = raster(times, round(30e-3 / dt), dt)
        exact = find(network, xs, max_spikes=9)
        outputs = jax.jit(lambda xs, network=network: unroll(network, xs)[0].outputs)(xs)
        for output, train in zip(map(np.asarray, outputs), map(np.asarray, exact), strict=True):
            _, steps = np.nonzero(output.T)  # unit by unit, in order of time
            assert len(steps) >= 8
            expected = train.T[np.isfinite(train.T)]
            np.testing.assert_array_equal(np.isfinite(train).sum(axis=0), output.sum(axis=0))
            errors.append(np.abs((steps + 0.5) * dt - expected).max())
    assert max(errors[:2]) > 1e-6
    assert max(errors[2:]) < 0.2 * max(errors[:2])


def test_a_held_current_is_exact_in_the_stepped_network():
    """LIF with a current held for each step: the stepped network spikes in the step in which the membrane crosses."""
    rng = np.random.default_rng(0)
    network = feedforward((4, 30), readout=LIF(tau_mem=8e-3, v_th=0.4), key=KEY)
    xs = jnp.asarray(rng.normal(0.4, 1.5, (25, 4)))
    (times,) = find(network, xs, max_spikes=7)
    output = np.asarray(eqx.filter_jit(unroll)(network, xs)[0].outputs[0])
    spikes = output.any(axis=0)
    assert 5 < spikes.sum() < 30
    np.testing.assert_array_equal(np.isfinite(times[0]), spikes)
    np.testing.assert_array_equal(np.floor(times[0, spikes] / 1e-3), output.argmax(axis=0)[spikes])


def test_units_fall_silent_after_their_last_spike():
    rng = np.random.default_rng(0)
    network = network_of(NEURONS["double"], rng.normal(1.5, 1.0, (6, 4)))
    xs = raster(np.array([1, 2, 3, 5]) * 1e-3, 30, 1e-3)
    (few,), (many,) = find(network, xs, max_spikes=2), find(network, xs, max_spikes=6)
    assert np.isfinite(many[2:]).any()
    np.testing.assert_allclose(few, many[:2], rtol=1e-12)


def test_single_precision_and_long_silence():
    """A window of a hundred time constants overflows no exponential."""
    with jax.enable_x64(False):
        for neuron in (CubaLIF(tau_mem=2e-3, tau_syn=3e-3, v_th=0.1), LIF(tau_mem=2e-3, v_th=0.1)):
            network = network_of(neuron, np.ones((2, 1), np.float32))
            xs = jnp.zeros((600, 1), jnp.float32).at[jnp.array([0, 500])].set(1.0)

            def total(network, xs=xs):
                (times,) = spike_times(network, xs, max_spikes=3)
                return jnp.sum(jnp.where(times < jnp.inf, times, 0.0)), times

            (_, times), gradient = eqx.filter_jit(eqx.filter_value_and_grad(total, has_aux=True))(network)
            assert times.dtype == jnp.float32
            assert jnp.isfinite(times[1]).all()
            assert jnp.isfinite(gradient.layers[0].synapses.weight).all()


def test_more_input_spikes_than_allowed_are_refused():
    network, xs = network_of(NEURONS["double"], np.ones((2, 1))), jnp.ones((10, 1))
    with pytest.raises(RuntimeError, match="more than 3 steps with spikes; raise max_spikes = 3"):
        jax.block_until_ready(spike_times(network, xs, max_spikes=3))
    with pytest.raises(SnnlearnError, match="max_spikes is 0"):
        spike_times(network, xs, max_spikes=0)


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (Layer(Dense(4, 4, key=KEY), LI()), "is LI, not LIF or CubaLIF"),
        (Layer(Dense(4, 4, key=KEY), ALIF()), "is ALIF"),
        (Layer(Conv2d((1, 2, 2), 1, 1, key=KEY), LIF()), "has Conv2d synapses, not Dense"),
        (Layer(Dense(4, 4, use_bias=True, key=KEY), LIF()), "has a bias"),
        (Layer(Dense(4, 4, key=KEY), LIF(), Dense(4, 4, key=KEY)), "is recurrent"),
        (Layer(Dense(4, 4, key=KEY), LIF(discretisation=UnitGain())), "takes its input by UnitGain"),
        (Layer(Dense(4, 4, key=KEY), CubaLIF(synapse=ZeroOrderHold())), "has a current that takes its input by Zero"),
        (Layer(Dense(4, 4, key=KEY), LIF(reset=NextStep(Subtract()))), "is reset by NextStep"),
        (Layer(Dense(4, 4, key=KEY), LIF(refractory=Refractory())), "has a refractory period"),
        (Layer(Dense(4, 4, key=KEY), LIF(v_leak=1.0, reset=ToValue(0.5))), "has v_leak = 1.0, not below v_th = 1.0"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_layers_without_exact_spike_times_are_refused(layer, sentence):
    network = Network((Layer(Dense(4, 4, key=KEY), LIF()), layer))
    with pytest.raises(SnnlearnError, match=f"Layer 2 {sentence}.*use the stepped network with BPTT"):
        spike_times(network, jnp.zeros((5, 4)))


def test_scores_of_first_spike_times_are_those_of_the_spikes():
    decoder, steps = FirstSpike(scale=2e-3, dt=0.5e-3), jnp.array([3, 0, 19])
    output = jnp.zeros((20, 4)).at[steps, jnp.arange(3)].set(1.0)
    times = jnp.append(steps.astype(float) * 0.5e-3, jnp.inf)
    np.testing.assert_allclose(decoder.of_times(times, 20), decoder(output), rtol=1e-12)
