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
    | cores | 128 | Open Neuromorphic |
    | neurons | a million in all | Open Neuromorphic |
    | | 8,192 in a core, a share of these | Intel 2021* |
    | synapses | 120 million in all | Open Neuromorphic |
    | weights | 8 bits, "full precision" in Lava; Open Neuromorphic lists up to 32 | Lava |

    Read in November 2026 were the pages of Open Neuromorphic and Lava of July 2025 (proc/dense/process.py); of Intel's
    brief only the beginning (*).

    Neurons are microcode, and membranes can be sent as graded spikes, so no kind is refused. Not modelled is the memory
    of a core, which weights share with all else, and which larger weights fill sooner: a network that fits here may not
    fit there. Left out for want of a public number: all energies. (Those of Davies et al. 2018 are Loihi's, in another
    process.)

    Source: Intel, Technology Brief "Taking Neuromorphic Computing to the Next Level with Loihi 2" (2021);
    https://open-neuromorphic.org/neuromorphic-computing/hardware/loihi-2-intel; github.com/lava-nc/lava.

    >>> loihi_2().name
    'Loihi 2'
    """
    return Chip(
        "Loihi 2",
        effects=(QuantisedWeights(bits=8),),
        limits=(Cores(128, neurons=8192), Synapses(120_000_000)),
        source="Intel, Loihi 2 Technology Brief (2021); Open Neuromorphic; Lava (2025)",
    )
