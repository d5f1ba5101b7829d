"""Converters: the definition, the law of each imperfection, and where they stand in a network."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from snnlearn import SnnlearnError, kernels
from snnlearn._parameters import trained_part, value
from snnlearn.circuits import (
    Channels,
    Chip,
    Converted,
    ConvertedCurrents,
    ConvertedInputs,
    ConvertedMembranes,
    ConvertedParameter,
    ConvertedReadout,
    Converter,
    DeadNeurons,
    Stochastic,
    deploy,
)
from snnlearn.network import Dense, check_synapses, feedforward, fresh_state, unroll, why_not_compiled
from snnlearn.neurons import LI, LIF, check_neuron

KEY = jax.random.key(0)
NETWORK = feedforward((4, 5, 3), neuron=LIF(v_th=0.05), key=KEY)


def test_a_converter_is_that_of_the_definition():
    adc = Converter(bits=3, low=-1.0, high=2.5)
    x = np.linspace(-2, 4, 1001)
    codes = np.clip(np.round((x + 1) / 0.5), 0, 7)
    away = np.abs((x + 1) / 0.5 % 1 - 0.5) > 1e-4  # from ties, which single precision may break otherwise
    np.testing.assert_array_equal(np.asarray(Channels(adc, x.shape).codes(jnp.asarray(x)))[away], codes[away])
    np.testing.assert_allclose(np.asarray(adc(jnp.asarray(x)))[away], (-1 + 0.5 * codes)[away], atol=1e-6)
    slope = jax.vmap(jax.grad(adc))(jnp.array([-1.3, -1.2, 0.1, 2.7, 2.8]))
    assert slope.tolist() == [0, 1, 1, 1, 0]  # straight through, up to where it clips


def test_stochastic_rounding_is_right_on_average():
    dac = Converter(bits=2, low=0.0, high=3.0, rounding=Stochastic())
    x = jnp.array([0.0, 0.25, 1.5, 2.9, 3.0])
    draws = np.asarray(jax.vmap(lambda key: dac(x, key=key))(jax.random.split(KEY, 40_000)))
    p = np.asarray(x) % 1
    np.testing.assert_array_less(np.abs(draws.mean(axis=0) - x), 4 * np.sqrt(p * (1 - p) / 40_000) + 1e-6)
    np.testing.assert_allclose(draws.var(axis=0), p * (1 - p), atol=0.01)
    assert set(np.unique(draws[:, 2])) == {1.0, 2.0}
    assert np.abs(dac(x) - x).max() > 0.2  # the control: the nearest code is not


def test_offset_and_gain_of_channels_have_the_law_that_they_claim():
    adc = Converter(bits=8, low=0.0, high=1.0, offset=2.0, gain=0.05)
    drawn = adc.drawn((2000,), key=KEY)
    assert scipy.stats.kstest(value(drawn.offset), scipy.stats.norm(0, 2.0).cdf).pvalue > 0.01
    assert scipy.stats.kstest(value(drawn.gain), scipy.stats.norm(1, 0.05).cdf).pvalue > 0.01
    assert abs(np.corrcoef(value(drawn.offset), value(drawn.gain))[0, 1]) < 0.1
    codes = np.asarray(drawn.codes(jnp.full(2000, 0.5)))
    expected = value(drawn.gain) * 0.5 * 255 + value(drawn.offset)
    assert np.abs(codes - np.asarray(expected)).max() <= 0.5 + 1e-3


def test_nonlinearity_is_measured_as_it_was_drawn():
    adc = Converter(bits=6, low=0.0, high=63.0, nonlinearity=0.2)
    drawn = adc.drawn((200,), key=KEY)
    x = jnp.linspace(-1, 64, 3251)  # 50 in a step
    codes = np.asarray(jax.vmap(lambda x: drawn.codes(jnp.full(200, x)))(x))
    assert (np.diff(codes, axis=0) >= 0).all()
    transitions = np.asarray(x)[(codes[:, :, None] < np.arange(1, 64)).sum(axis=0)]
    late = transitions - (np.arange(1, 64) - 0.5)
    np.testing.assert_allclose(late[:, [0, -1]], 0, atol=0.03)
    width = np.diff(late, axis=1)
    plain = width[:, :-1]
    # The bridge takes a little of each step's variance: 1 - 1/62 is left.
    assert abs(plain.std() - 0.2 * np.sqrt(1 - 1 / 62)) < 0.01
    assert abs(late[:, 31].std() - 0.2 * np.sqrt(62 / 4)) < 0.15  # of a bridge, in its middle
    ideal = Converter(bits=6, low=0.0, high=63.0).drawn((2,), key=KEY)
    assert ideal.integral is None


def test_inputs_currents_and_membranes_pass_their_converters():
    fine = Converter(bits=16, low=-20.0, high=20.0)
    x = jax.random.normal(KEY, (12, 4))
    run = eqx.filter_jit(unroll)
    expected = run(NETWORK, x)[0].outputs
    for effect in (ConvertedInputs(fine), ConvertedCurrents(fine), ConvertedMembranes(fine)):
        chip = deploy(NETWORK, Chip("fine", effects=(effect,)), key=KEY)
        np.testing.assert_allclose(run(chip, x)[0].outputs[1], expected[1], atol=2e-3)
    coarse = Converter(bits=2, low=-1.5, high=1.5)
    weight = np.asarray(NETWORK.layers[0].synapses.weight)
    level = np.clip(np.round(np.asarray(x[0]) + 1.5), 0, 3) - 1.5
    chip = ConvertedInputs(coarse)(NETWORK, key=KEY)
    current, _ = chip.layers[0].synapses.step(x[0], chip.layers[0].synapses.initial_state())
    np.testing.assert_allclose(current, weight @ level, rtol=1e-5)
    chip = ConvertedCurrents(coarse)(NETWORK, key=KEY)
    current, _ = chip.layers[0].synapses.step(x[0], chip.layers[0].synapses.initial_state())
    np.testing.assert_allclose(current, np.clip(np.round(weight @ np.asarray(x[0]) + 1.5), 0, 3) - 1.5, atol=1e-6)
    chip = ConvertedMembranes(Converter(bits=2, low=-0.03, high=0.03))(NETWORK, key=KEY)
    outputs = np.asarray(run(chip, x)[0].outputs[1])
    assert {round(float(v), 3) for v in np.unique(outputs)} <= {-0.03, -0.01, 0.01, 0.03} and len(
        np.unique(outputs)
    ) > 1


def test_stochastic_rounding_in_a_network_is_new_for_each_sample_and_step():
    chip = ConvertedMembranes(Converter(2, -0.5, 0.5, Stochastic()))(NETWORK, key=KEY)
    zeros = jnp.zeros((200, 4))

    def run(key):
        return np.asarray(eqx.filter_jit(unroll)(chip, zeros, fresh_state(chip, key=key))[0].outputs[1])

    first, second = run(jax.random.key(1)), run(jax.random.key(2))
    np.testing.assert_array_equal(first, run(jax.random.key(1)))
    assert (first != second).any() and abs(first.mean()) < 0.05 and np.abs(first).min() > 0.1
    assert chip.layers[-1].draws and not NETWORK.layers[-1].draws


@pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
@pytest.mark.parametrize("dead", [False, True])
def test_kernels_run_a_converted_readout_as_the_plain_network_does(dead):
    """Values, gradients and the last state; the range clips some, and channels have offset, gain and nonlinearity."""
    adc = Converter(8, -0.02, 0.03, offset=3.0, gain=0.2, nonlinearity=0.3)
    network = feedforward((4, 5, 3), neuron=LIF(v_th=0.05), readout=LI(v_leak=0.01), key=KEY)
    network = DeadNeurons(0.3)(network, key=jax.random.key(4)) if dead else network
    chip = ConvertedMembranes(adc)(network, key=KEY)
    assert why_not_compiled(chip.layers) is None
    x = jax.random.normal(KEY, (40, 4))

    @eqx.filter_value_and_grad(has_aux=True)
    def run(chip):
        activity, state = unroll(chip, x)
        return jnp.sum(jnp.sin(100 * activity.outputs[-1])), (activity.outputs[-1], state)

    (_, (outputs, state)), gradient = eqx.filter_jit(lambda chip: run(chip))(chip)
    with kernels.plain():
        (_, (expected, after)), by_steps = eqx.filter_jit(lambda chip: run(chip))(chip)
    # Where a membrane is at a transition to the last digit, its code may be the next.
    assert (np.abs(outputs - expected) < 1e-6).mean() > 0.99 and np.abs(outputs - expected).max() < 1.01 * adc.step
    clipped = np.isin(np.asarray(expected).round(6), np.float32([-0.02, 0.03]).round(6))
    assert 0.02 < clipped.mean() < 0.9 and len(np.unique(expected)) > 20
    for one, other in zip(jax.tree.leaves((state, gradient)), jax.tree.leaves((after, by_steps)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * np.abs(other).max() + 1e-7)
    plain = eqx.filter_jit(unroll)(network, x)[0].outputs[-1]
    assert np.abs(outputs - plain).max() > 2 * adc.step  # the control: they do something


def test_kernels_leave_readouts_that_draw():
    chip = ConvertedMembranes(Converter(2, -0.5, 0.5, Stochastic()))(NETWORK, key=KEY)
    assert chip.layers[-1].neuron.lowered() == "is read by converters that round at random"


def test_a_converted_readout_keeps_the_laws_of_neurons():
    fine = Converter(16, -50.0, 50.0).drawn((3,), key=KEY)
    check_neuron(ConvertedReadout(LI(tau_mem=5e-3), fine), units=3, spiking=False, key=KEY)


def test_they_keep_the_laws_of_synapses_where_nothing_clips():
    adc = Converter(12, -8.0, 8.0, Stochastic())
    synapses = Dense(4, 3, key=KEY)
    check_synapses(Converted(synapses, inputs=adc.drawn((4,), key=KEY), currents=adc.drawn((3,), key=KEY)), key=KEY)


def test_a_parameter_is_set_by_a_converter_and_still_trained():
    converter = Converter(bits=4, low=0.0, high=1.5)
    chip = ConvertedParameter("v_th", converter)(feedforward((4, 5, 3), neuron=LIF(v_th=0.33), key=KEY), key=KEY)
    np.testing.assert_allclose(value(chip.layers[0].neuron.v_th), 0.3, rtol=1e-6)
    trained = feedforward((4, 5, 3), neuron=LIF(v_th=jnp.linspace(0.3, 0.9, 5), tau_mem=jnp.full(5, 0.02)), key=KEY)
    chip = ConvertedParameter("tau_mem", Converter(4, 0.0, 0.075))(trained, key=KEY)
    np.testing.assert_allclose(value(chip.layers[0].neuron.tau_mem), 0.02, rtol=1e-5)

    def total(network):
        network = ConvertedParameter("v_th", converter)(network, key=KEY)
        network = ConvertedParameter("tau_mem", Converter(3, 0.0, 0.07))(network, key=KEY)
        return value(network.layers[0].neuron.v_th).sum() + value(network.layers[0].neuron.tau_mem).sum()

    gradient = trained_part(eqx.filter_grad(total)(trained)).layers[0].neuron
    np.testing.assert_array_equal(gradient.v_th, np.ones(5))
    assert (gradient.tau_mem.log > 0).all()


def test_what_is_no_converter_is_refused():
    with pytest.raises(SnnlearnError, match=r"Converter: bits is 0; give a whole number from 1 to 16"):
        Converter(0, 0.0, 1.0)
    for low, high in ((1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)):
        with pytest.raises(
            SnnlearnError, match=r"Converter: the range is from low = .* give finite numbers, low < high"
        ):
            Converter(8, low, high)
    with pytest.raises(SnnlearnError, match=r"Converter: offset is -1\.0; give a finite number, 0 or more"):
        Converter(8, 0.0, 1.0, offset=-1)
    with pytest.raises(SnnlearnError, match=r"Converter: nonlinearity is 2\.0; give a number of steps from 0 to 1"):
        Converter(8, 0.0, 1.0, nonlinearity=2)
    with pytest.raises(SnnlearnError, match=r"a table of 4,095 transitions .* give at most 10 bits"):
        Converter(12, 0.0, 1.0, nonlinearity=0.5)
    adc = Converter(4, 0.0, 1.0)
    with pytest.raises(SnnlearnError, match=r"ConvertedReadout: LIF gives spikes, which need no converter"):
        ConvertedReadout(LIF(), adc.drawn((3,), key=KEY))
    spiking = feedforward((4, 5, 3), readout=LIF(), key=KEY)
    with pytest.raises(SnnlearnError, match=r"ConvertedMembranes: all neurons of the network spike"):
        ConvertedMembranes(adc)(spiking, key=KEY)
    with pytest.raises(SnnlearnError, match=r"no neuron of the network has a parameter 'beta'; give one of .*v_th"):
        ConvertedParameter("beta", adc)(NETWORK, key=KEY)
    with pytest.raises(SnnlearnError, match=r"ConvertedParameter: a parameter is set once"):
        ConvertedParameter("v_th", Converter(4, 0.0, 1.0, Stochastic()))
