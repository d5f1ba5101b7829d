"""The chips: their published numbers, and that networks that fit run on them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn._parameters import value
from snnlearn.circuits import (
    Chip,
    ConvertedMembranes,
    Converter,
    ConvolutionCores,
    Cores,
    Events,
    QuantisedWeights,
    Synapses,
    SynapticMismatch,
    brainscales_2,
    deploy,
    dynap_se1,
    dynap_se2,
    ideal,
    loihi_2,
    speck,
    xylo,
)
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, feedforward, unroll
from snnlearn.neurons import DPI, IF, LIF, AdEx, CubaLIF

KEY = jax.random.key(0)
CHIPS = (brainscales_2(), dynap_se1(), dynap_se2(), ideal(), loihi_2(), speck(), xylo())


def network(*sizes: int, neuron: LIF | IF | CubaLIF = LIF(v_th=0.05), recurrent: bool = False) -> Network:
    """A network whose readout spikes, too."""
    return feedforward(sizes, neuron=neuron, readout=neuron, recurrent=recurrent, key=KEY)


def fit(network: Network, chip: Chip) -> None:
    """Raise if a network does not fit; without the effects, which take longer."""
    deploy(network, Chip(chip.name, limits=chip.limits), key=KEY)


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_a_network_that_fits_runs_and_is_what_the_table_says(chip: Chip):
    small = network(8, 6, 4, neuron=IF(v_th=0.05) if chip.name == "Speck" else LIF(v_th=0.05))
    there = deploy(small, chip, key=jax.random.key(1))
    spikes = jax.random.bernoulli(KEY, 0.5, (10, 8)).astype(float)
    assert eqx.filter_jit(unroll)(there, spikes)[0].outputs[-1].shape == (10, 4)
    levels = {"BrainScaleS-2": 63, "DYNAP-SE1": 1, "DYNAP-SE2": 15, "Speck": 127, "Xylo Audio 2": 127, "Loihi 2": 127}
    weights = np.asarray(there.layers[0].synapses.weight)
    if chip.name == "ideal":
        np.testing.assert_array_equal(weights, small.layers[0].synapses.weight)
        assert chip.effects == () and chip.limits == ()
        return
    (quantised,) = (effect for effect in chip.effects if isinstance(effect, QuantisedWeights))
    assert quantised.sign.levels(quantised.bits) == levels[chip.name]
    whole, step = quantised.of(small.layers[0].synapses.weight)
    expected = np.asarray(whole) * np.asarray(step)
    if any(isinstance(effect, SynapticMismatch) for effect in chip.effects):
        np.testing.assert_array_equal(np.sign(weights), np.sign(expected))
        there_are = expected != 0
        assert np.ptp(weights[there_are] / expected[there_are]) > 0.1
    else:
        np.testing.assert_array_equal(weights, expected)
    analog = chip.name in ("BrainScaleS-2", "DYNAP-SE1", "DYNAP-SE2")
    assert (np.ptp(np.asarray(value(there.layers[0].neuron.v_th))) > 0) == analog
    assert "20" in chip.source  # a year


def test_analog_chips_differ_as_much_as_they_say():
    large = network(4, 900, neuron=CubaLIF(v_th=0.05))
    for chip, cv in ((dynap_se1(), 0.2), (dynap_se2(), 0.1), (dynap_se2(mismatch=0.3), 0.3)):
        there = deploy(large, Chip(chip.name, effects=chip.effects), key=KEY)
        for name in ("tau_mem", "tau_syn", "v_th", "resistance"):
            drawn = np.asarray(value(getattr(there.layers[0].neuron, name)))
            assert abs(drawn.std() / drawn.mean() - cv) < 5 * cv / np.sqrt(2 * 900)
    factors = SynapticMismatch(0.3)(large, key=KEY).layers[0].synapses.weight / large.layers[0].synapses.weight
    (weights,) = (effect for effect in dynap_se2(mismatch=0.3).effects if isinstance(effect, SynapticMismatch))
    assert weights == SynapticMismatch(0.3) and abs(float(factors.std() / factors.mean()) - 0.3) < 0.03
    for chip, neuron, names in (
        (dynap_se2(), DPI.dynap_se2(), ("i_tau", "gain", "v_th")),
        (brainscales_2(), AdEx(), ("g_leak", "tau_w", "b")),
    ):
        there = deploy(feedforward((4, 300), readout=neuron, key=KEY), chip, key=KEY).layers[0].neuron
        for name in names:
            assert np.ptp(np.asarray(value(getattr(there, name)))) > 0
    same = deploy(network(4, 30), Chip("none", effects=dynap_se2(mismatch=0.0).effects), key=KEY)
    assert np.ptp(np.asarray(value(same.layers[0].neuron.v_th))) == 0


def test_brainscales_2_is_filled_by_the_network_of_cramer_et_al():
    fit(network(256, 246, 10), brainscales_2())
    with pytest.raises(
        SnnlearnError, match=r"it has 514 neuron circuits \(layer 1: 247 × 2, layer 2: 10 × 2\).* 2 too"
    ):
        fit(network(256, 247, 10), brainscales_2())
    fit(network(128, 512), brainscales_2())  # 128 signed inputs need one circuit each


def test_brainscales_2_reads_membranes_in_256_codes_of_a_seventieth_of_the_threshold():
    readout = feedforward((8, 6, 4), neuron=LIF(v_th=0.05), key=KEY)
    there = deploy(readout, brainscales_2(threshold=0.7), key=KEY)
    outputs = np.asarray(eqx.filter_jit(unroll)(there, jnp.ones((20, 8)))[0].outputs[-1])
    np.testing.assert_allclose(outputs / 0.01, np.round(outputs / 0.01), atol=1e-4)
    converter = there.layers[1].neuron.membranes.converter
    assert (converter.low, converter.high) == pytest.approx((-0.8, 1.75))


def test_many_chips_at_once_are_each_by_itself():
    readout = feedforward((8, 6, 4), neuron=LIF(v_th=0.05), key=KEY)
    chip = Chip(
        "with imperfect converters",
        effects=(
            *brainscales_2().effects[:2],
            ConvertedMembranes(Converter(6, -0.5, 0.5, offset=1.0, nonlinearity=0.3)),
        ),
    )
    keys = jax.random.split(KEY, 3)
    xs = jnp.ones((9, 8))
    decide = lambda n: unroll(n, xs)[0].outputs[-1]  # noqa: E731
    many = eqx.filter_jit(eqx.filter_vmap(lambda key: deploy(readout, chip, key=key)))(keys)
    outputs = eqx.filter_jit(eqx.filter_vmap(decide, in_axes=(eqx.if_array(0),)))(many)
    alone = eqx.filter_jit(lambda key: decide(deploy(readout, chip, key=key)))(keys[1])
    np.testing.assert_allclose(outputs[1], alone, atol=1e-6)
    assert (outputs[0] != outputs[1]).any()


def test_an_image_on_brainscales_2_costs_what_goltz_et_al_measured():
    # 20,800 images a second are 48 µs for each, 48 ms of the model.
    image = Events(5000.0, 0.0, 100.0, 256 * 48.0, 0.0, 80.0, seconds=1000 / 20_800)
    assert brainscales_2().energy.account(image).total == pytest.approx(8.4e-6, rel=0.01)
    assert 1000 * brainscales_2().energy.power.value < 200  # mW, of Cramer et al.


def test_a_spike_on_dynap_se1_costs_the_sum_of_its_parts_and_there_is_no_total():
    account = dynap_se1().energy.account(Events(10.0, 0.0, 2.0, 100.0, 0.0, 5.0, 0.1))
    assert {term.name: term.energy for term in account.terms}["spike"] == pytest.approx(2 * (883 + 883 + 6840) * 1e-12)
    assert account.missing == ("input", "power")
    with pytest.raises(SnnlearnError, match="there is no figure for input, power"):
        _ = account.total


def test_dynap_refuses_what_is_too_large_or_is_no_spike():
    for chip in (dynap_se1(), dynap_se2()):
        fit(network(64, 60, 10), chip)
        with pytest.raises(
            SnnlearnError, match=r"a unit of layer 1 gets 65 synapses, and there is room for 64: 1 too many"
        ):
            fit(network(65, 60, 10), chip)
        with pytest.raises(SnnlearnError, match=r"it takes 5 cores \(layer 1: 5\), and there are 4: 1 too many"):
            fit(network(4, 1025), chip)
        with pytest.raises(SnnlearnError, match=r"layer 2 is of LI, .*layer 2 gives membranes, and only spikes leave"):
            fit(feedforward((4, 5, 3), key=KEY), chip)


def test_speck_has_328_thousand_neurons_and_takes_the_example_of_its_documentation():
    (cores,) = (limit for limit in speck().limits if isinstance(limit, ConvolutionCores))
    assert sum(core.neurons for core in cores.cores) == 327_680
    # "16 · 32 · 4 · 4 = 8 Ki" places for weights and 128 Ki neurons, which no core has.
    large = Network((Layer(Conv2d((16, 64, 64), 32, 3, padding=1, key=KEY), IF()),))
    assert cores.needed(large) == ((8 * 1024, 128 * 1024),)
    with pytest.raises(SnnlearnError, match=r"layer 1 takes 8,192 places for weights and 131,072 neurons"):
        fit(large, speck())
    small = Network(
        (
            Layer(Conv2d((1, 28, 28), 20, 5, key=KEY), IF()),
            Layer(Chain(AveragePool2d((20, 24, 24), 2), Conv2d((20, 12, 12), 32, 5, key=KEY)), IF()),
            Layer(Chain(AveragePool2d((32, 8, 8), 2), Conv2d((32, 4, 4), 128, 3, key=KEY)), IF()),
            Layer(Chain(AveragePool2d((128, 2, 2), 2), Dense(128, 500, key=KEY)), IF()),
            Layer(Dense(500, 10, key=KEY), IF()),
        )
    )
    assert len(set(cores.placed(small))) == 5  # the network of "the basics"
    with pytest.raises(SnnlearnError, match=r"layer 1 is of LIF, and there are circuits for IF"):
        fit(network(8, 4), speck())


def test_xylo_and_loihi_refuse_what_is_too_large():
    for sizes, recurrent, reason in (
        ((17, 10, 8), False, r"it has 17 inputs, and there is room for 16: 1 too many"),
        ((16, 1001, 8), False, r"it has 1,001 hidden neurons, and there is room for 1,000: 1 too many"),
        ((16, 10, 9), False, r"it has 9 outputs, and there is room for 8: 1 too many"),
        (
            (16, 70, 8),
            True,
            r"a unit of layer 1 has 70 synapses to hidden neurons, and there is room for 64: 6 too many",
        ),
    ):
        with pytest.raises(SnnlearnError, match=reason):
            fit(network(*sizes, recurrent=recurrent), xylo())
    fit(network(16, 1000, 8), xylo())
    fit(feedforward((784, 256, 10), key=KEY), loihi_2())
    cores, synapses = loihi_2().limits
    assert cores == Cores(128, neurons=8192) and 128 * 8192 == 2**20  # "a million"
    assert synapses == Synapses(120_000_000)


def test_a_negative_mismatch_or_threshold_is_refused():
    with pytest.raises(SnnlearnError, match=r"cv is -0\.1; give a finite number, 0 or more"):
        dynap_se2(mismatch=-0.1)
    with pytest.raises(SnnlearnError, match=r"brainscales_2: threshold is 0\.0; give a membrane above 0"):
        brainscales_2(threshold=0.0)
