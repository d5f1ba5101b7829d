"""Xylo."""

from __future__ import annotations

from snnlearn.circuits.chip import Chip
from snnlearn.circuits.limits import HiddenFanOut, HiddenNeurons, Inputs, NeuronKinds, Outputs, SpikingOutputs
from snnlearn.circuits.quantisation import QuantisedWeights
from snnlearn.neurons import LIF, CubaLIF


def xylo() -> Chip:
    """Xylo Audio 2 (SYNS61201), a digital chip for one small network.

    | what | figure | source |
    |---|---|---|
    | inputs, hidden neurons, outputs | 16, 1,000, 8 | Rockpool 3.0 |
    | fan-out of a hidden neuron | 64, to hidden ones | Rockpool 3.0 |
    | weights | 8 bits | Rockpool 3.0 |
    | neurons | leaky integrate-and-fire, with synaptic currents | Rockpool 3.0 |

    Read in November 2026 were Rockpool of December 2025 (docs/devices/xylo-overview.ipynb) and the abstract of Bos &
    Muir 2024.

    Not modelled: decays that are shifts of bits, states of 16 bits, several spikes of a neuron in a step, and a fan-out
    of at most 32 on average for each of two kinds of synapses. Left out for want of a public number: the energy of each
    event. For comparison, keyword spotting took 291 µW of dynamic power and 6.6 µJ an inference (Bos & Muir 2024).

    Source: Rockpool 3.0, https://rockpool.ai/devices/xylo-overview.html (2025); Bos & Muir 2024, arXiv:2406.15112.

    >>> xylo().name
    'Xylo Audio 2'
    """
    return Chip(
        "Xylo Audio 2",
        effects=(QuantisedWeights(bits=8),),
        limits=(
            Inputs(16),
            HiddenNeurons(1000),
            Outputs(8),
            HiddenFanOut(64),
            NeuronKinds(LIF, CubaLIF),
            SpikingOutputs(),
        ),
        source="Rockpool 3.0 (2025); Bos & Muir 2024, arXiv:2406.15112",
    )
