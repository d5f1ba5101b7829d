"""DYNAP-SE1."""

from __future__ import annotations

from snnlearn._arguments import checked
from snnlearn.circuits.chip import Chip
from snnlearn.circuits.chips.analog import neuron_mismatch
from snnlearn.circuits.energy import Figure, Ledger
from snnlearn.circuits.limits import Delays, FanIn, NeuronKinds, SpikingOutputs
from snnlearn.circuits.placement import Cores
from snnlearn.circuits.quantisation import LeastSquares, QuantisedWeights
from snnlearn.neurons import ALIF, DPI, LIF, CubaLIF


@checked
def dynap_se1(*, mismatch: float = 0.2) -> Chip:
    """DYNAP-SE (DYNAP-SE1), subthreshold neurons and synapses that nobody calibrates.

    | what | figure | source |
    |---|---|---|
    | neurons | 4 cores of 256 | Samna*; dynapse-simulator |
    | synapses | 64 at a neuron, each of a type and without a weight of its own | Samna*; dynapse-simulator |
    | mismatch | **assumed**: 20 % of each parameter, the upper end of 10 to 20 % | as of Zendrikov et al. 2023* |
    | a spike | 8.6 nJ: made, 883 pJ; encoded, 883 pJ; broadcast in a core, 6.84 nJ; at 1.8 V | Moradi et al. 2018* |
    | a spike at a synapse | 324 pJ, the pulse; at 1.8 V | Moradi et al. 2018* |

    Read in November 2026 was the simulator (of June 2022: DynapSE.py, equations/dynapse_eq.py). The sources marked *
    could not be read again; energies are as other papers repeat them. Neurons in physical units are `DPI.dynap_se1()`.

    Weights are −1, 0 or 1 times one number for each connection. (Several synapses between two neurons, which make whole
    numbers of weights, are not modelled.) Left out for want of a public number: noise, mismatch of synapses, static
    power, and the energy of input; what a spike pays to reach other cores depends on the placement.

    Args:
        mismatch: coefficient of variation of each parameter of neurons, ≥ 0.

    Raises:
        SnnlearnError: for a negative mismatch.

    Source: Samna 0.48, https://synsense-sys-int.gitlab.io/samna (2026), and github.com/YigitDemirag/dynapse-simulator,
    which describe the chip of Moradi et al. 2018, doi:10.1109/TBCAS.2017.2759700; Zendrikov et al. 2023,
    doi:10.1088/2634-4386/ace64c.

    >>> dynap_se1().name
    'DYNAP-SE1'
    """
    return Chip(
        "DYNAP-SE1",
        effects=(QuantisedWeights(bits=2, step=LeastSquares()), *neuron_mismatch(mismatch)),
        limits=(Cores(4, neurons=256), FanIn(64), NeuronKinds(LIF, CubaLIF, ALIF, DPI), SpikingOutputs(), Delays(0)),
        source="Samna 0.48 (2026); Moradi et al. 2018, doi:10.1109/TBCAS.2017.2759700; "
        "Zendrikov et al. 2023, doi:10.1088/2634-4386/ace64c; energies as others repeat them, the mismatch is assumed",
        energy=Ledger(
            synaptic_operation=Figure(324e-12, "Moradi et al. 2018, pulse of a synapse, 1.8 V"),
            spike=Figure(883e-12 + 883e-12 + 6.84e-9, "Moradi et al. 2018, made, encoded and broadcast once, 1.8 V"),
            neuron_update=Figure(0.0, "part of the power: neurons are circuits, without steps"),
        ),
    )
