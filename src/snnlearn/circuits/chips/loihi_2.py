"""Loihi 2."""

from __future__ import annotations

from snnlearn.circuits.chip import Chip
from snnlearn.circuits.limits import Synapses
from snnlearn.circuits.placement import Cores
from snnlearn.circuits.quantisation import QuantisedWeights


def loihi_2() -> Chip:
    """Loihi 2, 128 digital cores whose neurons are programs.

    | what | figure | source |
    |---|---|---|
    | cores | 128 | Intel 2021 |
    | neurons | 8,192 in a core, a million in all | Intel 2021 |
    | synapses | 120 million in all | Intel 2021 |
    | weights | 8 bits | Lava 2023 |

    Neurons are microcode, and membranes can be sent as graded spikes, so no kind is refused. Not modelled is the memory
    of a core, which weights share with all else, and which larger weights fill sooner: a network that fits here may not
    fit there. Left out for want of a public number: all energies. (Those of Davies et al. 2018 are Loihi's, in another
    process.)

    Source: Intel, Technology Brief "Taking Neuromorphic Computing to the Next Level with Loihi 2" (2021), and
    https://open-neuromorphic.org; Lava 0.9, https://lava-nc.org (2023).

    >>> loihi_2().name
    'Loihi 2'
    """
    return Chip(
        "Loihi 2",
        effects=(QuantisedWeights(bits=8),),
        limits=(Cores(128, neurons=8192), Synapses(120_000_000)),
        source="Intel, Loihi 2 Technology Brief (2021); Lava 0.9 (2023)",
    )
