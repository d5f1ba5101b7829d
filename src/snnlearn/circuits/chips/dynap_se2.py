"""DYNAP-SE2."""

from __future__ import annotations

from snnlearn._arguments import checked
from snnlearn.circuits.chip import Chip
from snnlearn.circuits.chips.analog import neuron_mismatch
from snnlearn.circuits.energy import Figure, Ledger
from snnlearn.circuits.limits import FanIn, NeuronKinds, SpikingOutputs
from snnlearn.circuits.placement import Cores
from snnlearn.circuits.quantisation import QuantisedWeights
from snnlearn.circuits.synaptic_mismatch import SynapticMismatch
from snnlearn.neurons import ALIF, DPI, LIF, CubaLIF


@checked
def dynap_se2(*, mismatch: float = 0.1) -> Chip:
    """DYNAP-SE2, subthreshold neurons and synapses that nobody calibrates.

    | what | figure | source |
    |---|---|---|
    | neurons | 4 cores of 256 | Richter et al. 2024; Rockpool |
    | synapses | 64 at a neuron | Richter et al. 2024; Rockpool |
    | weights | 4 bits choose among base weights, here 1, 2, 4, 8; a dendrite gives the sign | Rockpool |
    | mismatch | 10 % of each parameter of neurons, and of each weight | Rockpool, its defaults: 30 % in 3 σ |

    Rockpool was read in November 2026 (3.0.3 of December 2025: devices/dynapse/lookup/defaults.py,
    devices/dynapse/simulation/mismatch_prototype.py, transform/mismatch.py, whose text also says 30 % in 2 σ), and of
    Richter et al. 2024 the summary. Both kinds of mismatch are normal there, log-normal here. Neurons in physical units
    are `DPI.dynap_se2()`.

    Left out for want of a public number: noise, delays (there are circuits for them), and all energies.

    Args:
        mismatch: coefficient of variation of each parameter of neurons, and of each weight, ≥ 0.

    Raises:
        SnnlearnError: for a negative mismatch.

    Source: Richter et al. 2024, doi:10.1088/2634-4386/ad1cd7, arXiv:2310.00564; github.com/synsense/rockpool.

    >>> dynap_se2().name
    'DYNAP-SE2'
    """
    return Chip(
        "DYNAP-SE2",
        effects=(
            QuantisedWeights(bits=5),  # four, and a sign by the choice of a dendrite
            SynapticMismatch(mismatch),
            *neuron_mismatch(mismatch),
        ),
        limits=(Cores(4, neurons=256), FanIn(64), NeuronKinds(LIF, CubaLIF, ALIF, DPI), SpikingOutputs()),
        source="Richter et al. 2024, doi:10.1088/2634-4386/ad1cd7; Rockpool 3.0.3 (2025)",
        energy=Ledger(neuron_update=Figure(0.0, "part of the power: neurons are circuits, without steps")),
    )
