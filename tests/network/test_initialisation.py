"""Fluctuation-driven weights: the free membrane that results, measured apart from the code that set it."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import lfilter

from snnlearn._errors import SnnlearnError
from snnlearn.network import AsGiven, Conv2d, Dense, FluctuationDriven, Layer, Network, feedforward, unroll
from snnlearn.network.graph import routes
from snnlearn.network.initialisation import _run
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF, Delayed, EscapeNoise, Sigmoid

KEY = jax.random.key(11)
B, T, N = 16, 100, 40


def spikes(seed, shape, p=0.1):
    return jax.random.bernoulli(jax.random.key(seed), p, shape).astype(jnp.float32)


@eqx.filter_jit
def initialise(initialisation, network, inputs, key=KEY):
    return initialisation(network, inputs, key=key)


@eqx.filter_jit
def outputs(network, inputs):
    return jax.vmap(lambda xs: unroll(network, xs)[0].outputs)(inputs)


def free_membrane(neuron, currents):
    """Linear filters, by SciPy, over the last axis but one; from rest, without threshold."""
    currents = np.asarray(currents, dtype=float)
    if isinstance(neuron, CubaLIF):
        currents = lfilter([1], [1, -np.exp(-neuron.dt / neuron.tau_syn)], currents, axis=1)
    alpha = np.exp(-neuron.dt / neuron.tau_mem)
    return neuron.resistance * lfilter([1 - alpha], [1, -alpha], currents, axis=1)


PLAIN = FluctuationDriven(), feedforward((N, 30, 3), key=KEY), spikes(0, (B, T, N))


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


NEURONS = [
    LIF(tau_mem=8e-3, v_th=0.7, v_leak=-0.5),
    CubaLIF(tau_mem=15e-3, tau_syn=4e-3, v_th=2.0, v_leak=0.5, resistance=3.0),
    ALIF(tau_mem=8e-3, v_th=0.4, beta=0.3),
]


@pytest.mark.parametrize("neuron", NEURONS, ids=lambda neuron: type(neuron).__name__)
def test_the_free_membrane_is_xi_deviations_below_threshold(neuron):
    network = feedforward((N, 30, 3), neuron=neuron, readout=LI(tau_mem=6e-3), key=KEY)
    inputs, fresh = spikes(0, (B, T, N)), spikes(1, (B, T, N))
    network = initialise(FluctuationDriven(xi=1.5), network, inputs)
    hidden, readout = network.layers
    membrane = free_membrane(neuron, np.asarray(fresh) @ np.asarray(hidden.synapses.weight).T)
    assert rms(membrane) == pytest.approx((neuron.v_th - neuron.v_leak) / 1.5, rel=0.05)
    zs = outputs(network, inputs)[0]
    assert 0.001 < float(zs.mean()) < 0.5
    output = free_membrane(readout.neuron, np.asarray(zs) @ np.asarray(readout.synapses.weight).T)
    assert rms(output) == pytest.approx(1 / 1.5, rel=0.01)


def test_thresholds_of_each_unit_count_by_their_mean_and_delays_not_at_all():
    v_th, v_leak = np.linspace(0.5, 1.5, 30), np.full(30, -0.25)
    for neuron in (LIF(v_th=v_th, v_leak=v_leak), Delayed(LIF(v_th=1.0, v_leak=-0.25), steps=3)):
        inputs = spikes(0, (B, T, N))
        (layer, _) = initialise(FluctuationDriven(), feedforward((N, 30, 3), neuron=neuron, key=KEY), inputs).layers
        membrane = free_membrane(LIF(), np.asarray(inputs) @ np.asarray(layer.synapses.weight).T)
        assert rms(membrane) == pytest.approx(1.25 / 2, rel=0.05)


def test_convolutions_too():
    conv = Conv2d((1, 6, 6), 8, 3, padding=1, key=KEY)
    network = Network((Layer(conv, LIF(v_th=0.6)), Layer(Dense(8 * 36, 3, key=KEY), LI())))
    inputs = spikes(0, (B, T, 6, 6))
    layer = initialise(FluctuationDriven(xi=3.0), network, inputs).layers[0]
    currents = jax.jit(jax.vmap(jax.vmap(lambda x: layer.synapses(x))))(inputs).reshape(B, T, -1)
    assert rms(free_membrane(layer.neuron, currents)) == pytest.approx(0.6 / 3, rel=0.01)


def test_recurrent_synapses_contribute_their_share_of_the_variance():
    neuron, inputs = LIF(v_th=0.8), spikes(0, (B, T, N))
    network = initialise(
        FluctuationDriven(xi=1.0, recurrent_share=0.3),
        feedforward((N, 30, 3), neuron=neuron, recurrent=True, key=KEY),
        inputs,
    )
    layer = network.layers[0]
    by_input = free_membrane(neuron, np.asarray(inputs) @ np.asarray(layer.synapses.weight).T)
    assert rms(by_input) ** 2 == pytest.approx(0.7 * 0.8**2, rel=0.01)
    zs = outputs(Network((Layer(layer.synapses, neuron),)), inputs)[0]
    before = np.concatenate([np.zeros((B, 1, 30)), np.asarray(zs)[:, :-1]], axis=1)
    by_loop = free_membrane(neuron, before @ np.asarray(layer.recurrent.weight).T)
    assert rms(by_loop) ** 2 == pytest.approx(0.3 * 0.8**2, rel=0.05)


def test_weights_are_those_of_the_theory_for_poisson_input():
    """σ_w² = (θ/ξ)² / N(ν ε̂ + ν² ε̄²): Campbell's theorem, over weights of mean 0.

    Rossbroich, Gygax & Zenke 2022 leave out the second term, the mean current of each unit, which is 6 % here.
    """
    rate, n, dt = 2.0, 400, 1e-3
    neuron = CubaLIF(tau_mem=10e-3, tau_syn=5e-3)
    inputs = spikes(3, (4, 500, n), p=rate * dt)
    layer = initialise(FluctuationDriven(xi=2.0), feedforward((n, 50, 2), neuron=neuron, key=KEY), inputs).layers[0]
    psp = free_membrane(neuron, np.eye(1, 300)[..., None])
    area, power = dt * psp.sum(), dt * np.square(psp).sum()
    theory = (1 / 2) ** 2 / (n * (rate * power + (rate * area) ** 2))
    paper = (1 / 2) ** 2 / (n * rate * power)
    assert paper / theory == pytest.approx(1.06, abs=0.01)
    assert float(jnp.var(layer.synapses.weight)) == pytest.approx(theory, rel=0.08)


def test_silent_input_leaves_the_drawn_weights():
    drawn = initialise(PLAIN[0], PLAIN[1], 0 * PLAIN[2])
    for layer in drawn.layers:
        assert bool(jnp.isfinite(layer.synapses.weight).all())
        assert float(jnp.var(layer.synapses.weight)) * layer.synapses.weight.shape[1] == pytest.approx(1, rel=0.3)


def test_as_given_keeps_the_weights():
    _, network, inputs = PLAIN
    assert eqx.tree_equal(AsGiven()(network, inputs, key=jax.random.key(1)), network)


def test_the_key_decides():
    one, same, other = (initialise(*PLAIN, jax.random.key(k)) for k in (0, 0, 1))
    assert eqx.tree_equal(one, same)
    assert not eqx.tree_equal(one, other)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: FluctuationDriven(xi=0.0), "xi is 0.0"),
        (lambda: FluctuationDriven(recurrent_share=-0.1), "recurrent_share is -0.1"),
        (lambda: FluctuationDriven(recurrent_share=1.0), "recurrent_share is 1.0"),
    ],
)
def test_a_value_out_of_range_is_refused(make, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        make()


def test_each_sample_meets_noise_of_its_own():
    """What the next layer's weights are measured on: with one noise for all, equal samples would give equal spikes."""
    noisy = EscapeNoise(LIF(surrogate=Sigmoid(4.0)))
    inputs = jnp.tile(spikes(0, (1, 30, 6)), (40, 1, 1))
    layer = Layer(Dense(6, 1, key=KEY), noisy)
    network = Network((layer, Layer(Dense(1, 2, key=KEY), LI())))
    sent = eqx.filter_jit(lambda: _run(layer, routes(network.layers)[0], 0, [0], {-1: inputs}))()
    assert 0 < float(sent.mean()) < 1
    assert float(jnp.var(sent[..., 0], axis=0).mean()) > 0.005


@pytest.mark.parametrize(("recurrent", "bias"), [(False, True), (True, False)])
def test_each_unit_fires_in_the_band_on_the_given_inputs(bias, recurrent):
    # Constant currents, as of a table: without a band about half of the units fire for none of the samples.
    x = np.random.default_rng(0).normal(size=(64, 1, 4)).astype(np.float32)
    inputs = jnp.broadcast_to(jnp.asarray(x), (64, 20, 4))
    network = feedforward((4, 50, 50, 3), recurrent=recurrent, use_bias=bias, key=KEY)
    rates = {}
    for band in (None, (0.005, 0.05)):
        drawn = initialise(FluctuationDriven(band=band), network, inputs)
        rates[band] = [np.asarray(spikes).mean((0, 1)) for spikes in outputs(drawn, inputs)[:-1]]
    plain, corrected = (np.concatenate(rates[band]) for band in rates)
    assert np.mean(plain < 0.005) > 0.3
    assert np.mean((corrected >= 0.005) & (corrected <= 0.05)) > 0.97


def test_units_of_a_convolution_are_corrected_by_channel():
    inputs = jnp.broadcast_to(jax.random.uniform(KEY, (32, 1, 1, 6, 6)) ** 4, (32, 10, 1, 6, 6))
    conv = Conv2d((1, 6, 6), 8, 3, use_bias=True, key=KEY)
    network = Network((Layer(conv, LIF()), Layer(Dense(8 * 16, 3, key=KEY), LI())))
    rates = [
        np.asarray(outputs(initialise(FluctuationDriven(band=band), network, inputs), inputs)[0]).mean((0, 1, 3, 4))
        for band in (None, (0.005, 0.05))
    ]
    assert np.mean((rates[0] < 0.005) | (rates[0] > 0.05)) > np.mean((rates[1] < 0.004) | (rates[1] > 0.06))
    assert np.all(rates[1] > 0)


@pytest.mark.parametrize("band", [(0.0, 0.1), (0.1, 0.1), (0.1, 2.0)])
def test_a_band_that_is_none_is_refused(band):
    with pytest.raises(SnnlearnError, match="spikes per step"):
        FluctuationDriven(band=band)
