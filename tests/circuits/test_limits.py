"""Each limit refuses what does not fit, by how much, and nothing else."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError
from snnlearn.circuits import (
    Chip,
    ConvolutionCore,
    ConvolutionCores,
    Cores,
    Delays,
    FanIn,
    FanOut,
    Feedforward,
    HiddenFanOut,
    HiddenNeurons,
    Inputs,
    NeuronCircuits,
    NeuronKinds,
    Neurons,
    NoSharedWeights,
    Outputs,
    SpikingOutputs,
    SynapseRows,
    Synapses,
    WeightMemory,
    deploy,
)
from snnlearn.network import AveragePool2d, Chain, Connection, Conv2d, Dense, Layer, Network, OneToOne, feedforward
from snnlearn.neurons import ALIF, IF, LI, LIF, Delayed

KEY = jax.random.key(0)
DENSE = feedforward((12, 20, 5), key=KEY)
LOOP = feedforward((12, 20, 5), recurrent=True, readout=LIF(), key=KEY)
IMAGE = Network(
    (
        Layer(Conv2d((1, 6, 6), 3, 3, padding=1, key=KEY), IF()),
        Layer(Chain(AveragePool2d((3, 6, 6), 2), Dense(27, 4, key=KEY)), IF()),
    )
)
LATE = Network((Layer(Dense(3, 2, key=KEY), LIF()), Layer(Connection(Dense(2, 2, key=KEY), delay=5), Delayed(LI()))))
PRUNED = eqx.tree_at(lambda n: n.layers[0].synapses.weight, DENSE, jnp.eye(20, 12))

# A limit, a network that fits exactly, and one that does not, with the reason.
LIMITS = [
    (Neurons(25), DENSE, Neurons(24), "it has 25 neurons, and there is room for 24: 1 too many"),
    (HiddenNeurons(20), DENSE, HiddenNeurons(18), "it has 20 hidden neurons, and there is room for 18: 2 too many"),
    (Inputs(12), DENSE, Inputs(9), "it has 12 inputs, and there is room for 9: 3 too many"),
    (Synapses(340), DENSE, Synapses(300), "it has 340 synapses, and there is room for 300: 40 too many"),
    (Outputs(5), DENSE, Outputs(1), "it has 5 outputs, and there is room for 1: 4 too many"),
    (FanIn(20), DENSE, FanIn(16), "a unit of layer 2 gets 20 synapses, and there is room for 16: 4 too many"),
    (FanIn(32), LOOP, FanIn(31), "a unit of layer 1 gets 32 synapses, and there is room for 31: 1 too many"),
    (FanOut(25), LOOP, FanOut(20), "a unit of layer 1 has 25 outgoing synapses, and there is room for 20: 5 too many"),
    (HiddenFanOut(20), LOOP, HiddenFanOut(8), "layer 1 has 20 synapses to hidden neurons, and there is room for 8: 12"),
    (SynapseRows(20), DENSE, SynapseRows(30, 2), "layer 2 takes 40 synapse rows .20 inputs, 2 for each.* 30: 10 too"),
    (
        NeuronCircuits(50, 10),
        DENSE,
        NeuronCircuits(49, 10),
        "it has 50 .*layer 1: 20 × 2, layer 2: 5 × 2.* 49: 1 too many",
    ),
    (
        WeightMemory(340 * 8, 8),
        DENSE,
        WeightMemory(2700, 8),
        "2,720 bits of memory .340 weights of 8 bits.*: 20 too many",
    ),
    (Delays(5), LATE, Delays(2), "a connection to layer 2 has a delay of 5 steps, and there is room for 2: 3 too many"),
    (NeuronKinds(LIF, LI), DENSE, NeuronKinds(LIF, ALIF), "layer 2 is of LI, and there are circuits for LIF, ALIF"),
    (NeuronKinds(LIF, LI), LATE, NeuronKinds(LIF), "layer 2 is of LI"),
    (Cores(3, 10), DENSE, Cores(2, 10), "it takes 3 cores .layer 1: 2, layer 2: 1., and there are 2: 1 too many"),
]


@pytest.mark.parametrize(("fits", "network", "refuses", "reason"), LIMITS)
def test_a_limit_refuses_one_too_many_and_by_how_much(fits, network, refuses, reason):
    assert fits.exceeded(network) is None
    with pytest.raises(SnnlearnError, match=f"deploy: the network does not fit on small: .*{reason}"):
        deploy(network, Chip("small", limits=(refuses,)), key=KEY)


def test_what_a_chip_cannot_do_at_all_is_refused():
    for limit, good, bad, reason in [
        (SpikingOutputs(), LOOP, DENSE, "layer 2 gives membranes, and only spikes leave the chip"),
        (Feedforward(), DENSE, LOOP, "layer 1 is reached by layer 1, and there is no recurrence"),
        (NoSharedWeights(), DENSE, IMAGE, "layer 1 shares weights between synapses, as convolutions do"),
    ]:
        assert limit.exceeded(good) is None
        assert reason in limit.exceeded(bad)


def test_all_reasons_are_given_at_once():
    chip = Chip("tiny", limits=(Neurons(9), Inputs(100), Outputs(2)))
    with pytest.raises(SnnlearnError, match=r"tiny: it has 25 neurons.*16 too many; it has 5 outputs.*3 too many$"):
        deploy(DENSE, chip, key=KEY)


def test_synapses_of_weight_0_take_no_room():
    assert FanIn(1).exceeded(Network(PRUNED.layers[:1])) is None
    assert WeightMemory(8 * 12, 8).exceeded(Network(PRUNED.layers[:1])) is None
    assert SynapseRows(11).exceeded(PRUNED) is not None  # but rows are wired to inputs


def test_synapses_are_counted_where_they_are():
    # A corner of a padded image has four neighbours; a mean of pixels is one input.
    assert FanIn(27).exceeded(IMAGE) is None
    assert "a unit of layer 2 gets 27 synapses" in str(FanIn(26).exceeded(IMAGE))
    ones = np.zeros((36, 36))
    for r in range(6):
        for c in range(6):
            near = [(a, b) for a in (r - 1, r, r + 1) for b in (c - 1, c, c + 1) if 0 <= a < 6 and 0 <= b < 6]
            ones[6 * r + c, [6 * a + b for a, b in near]] = 1
    total = int(3 * ones.sum()) + 27 * 4
    assert WeightMemory(total, 1).exceeded(IMAGE) is None
    assert WeightMemory(total - 1, 1).exceeded(IMAGE) is not None
    both = Network((Layer([Dense(3, 3, key=KEY), OneToOne((3,))], LIF()),))
    assert FanIn(4).exceeded(both) is None and FanIn(3).exceeded(both) is not None


def test_traced_weights_are_no_reason_to_refuse_and_others_are_known_under_jit():
    chip = Chip("small", limits=(FanIn(3), Neurons(25)))

    @eqx.filter_jit
    def traced(network):
        return deploy(network, chip, key=KEY)

    assert traced(DENSE).out_shape == (5,)
    with pytest.raises(SnnlearnError, match="gets 12 synapses"):
        jax.jit(lambda key: deploy(DENSE, chip, key=key).layers[0].synapses.weight)(KEY)
    with pytest.raises(SnnlearnError, match="room for 3: 22 too many"):
        eqx.filter_jit(lambda n: deploy(n, Chip("tiny", limits=(Neurons(3),)), key=KEY))(DENSE)


def test_a_network_is_split_between_cores_without_losing_a_unit():
    cores = Cores(9, neurons=7, memory=100, bits=1)
    parts = cores.placed(DENSE)
    for number, size in ((1, 20), (2, 5)):
        covered = [unit for part in parts if part.layer == number for unit in range(part.start, part.stop)]
        assert covered == list(range(size))
    fan_in = {1: 12, 2: 20}
    for core in range(1, parts[-1].core + 1):
        here = [part for part in parts if part.core == core]
        assert 0 < sum(part.stop - part.start for part in here) <= 7
        assert sum(fan_in[part.layer] * (part.stop - part.start) for part in here) <= 100
    assert parts[-1].core == 4 and cores.exceeded(DENSE) is None
    assert "it takes 4 cores (layer 1: 3, layer 2: 2), and there are 3: 1 too many" == str(
        Cores(3, neurons=7, memory=100, bits=1).exceeded(DENSE)
    )
    assert "the weights of a unit of layer 2 take 160 bits, and a core has 100: 60 too many" == str(
        Cores(99, neurons=7, memory=100, bits=8).exceeded(DENSE)
    )


def test_a_convolution_finds_its_core():
    # 1 channel into 3: 2^(⌈log₂ 9⌉ + ⌈log₂ 3⌉) = 64 places, 108 neurons.
    # Dense, from 3 channels of 3 × 3 into 4: 3 · 2^(4 + 2).
    needed = ConvolutionCores((ConvolutionCore(1, 1),)).needed(IMAGE)
    assert needed == (ConvolutionCore(64, 108), ConvolutionCore(192, 4))
    small, large = ConvolutionCore(64, 128), ConvolutionCore(256, 128)
    assert ConvolutionCores((large, small)).placed(IMAGE) == (2, 1)  # the first moves, as only one core takes the other
    assert "of its 2 layers only 1 find a core" in str(ConvolutionCores((large,)).exceeded(IMAGE))
    assert "layer 2 takes 192 places for weights and 4 neurons, and cores have 64 and 128" in str(
        ConvolutionCores((small, small)).exceeded(IMAGE)
    )
    assert "layer 1 has 2 connections" in str(ConvolutionCores((large, large)).exceeded(LOOP))


def test_room_for_nothing_is_refused():
    for make in (
        lambda: Neurons(0),
        lambda: FanIn(-1),
        lambda: SynapseRows(256, per_input=0),
        lambda: NeuronCircuits(512, rows=0),
        lambda: WeightMemory(0, 8),
        lambda: Cores(0, 256),
        lambda: Cores(1, 256, memory=0),
    ):
        with pytest.raises(SnnlearnError, match=r"is (0|-1); give a whole number of at least 1"):
            make()
    with pytest.raises(SnnlearnError, match=r"Delays: most is -1; give a number of time steps, 0 or more"):
        Delays(-1)
    with pytest.raises(SnnlearnError, match=r"NeuronKinds: give at least one class of neurons"):
        NeuronKinds()
    with pytest.raises(SnnlearnError, match=r"ConvolutionCores: give at least one core"):
        ConvolutionCores(())
