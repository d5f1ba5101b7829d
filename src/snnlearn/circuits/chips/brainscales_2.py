"""BrainScaleS-2."""

from __future__ import annotations

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.chip import Chip
from snnlearn.circuits.chips.analog import neuron_mismatch
from snnlearn.circuits.converted import ConvertedMembranes
from snnlearn.circuits.converters import Converter
from snnlearn.circuits.energy import Figure, Ledger
from snnlearn.circuits.limits import Delays, NeuronCircuits, NeuronKinds
from snnlearn.circuits.quantisation import QuantisedWeights
from snnlearn.circuits.where_possible import WherePossible
from snnlearn.neurons import ALIF, LI, LIF, CubaLIF

# hxtorch's defaults: leak and reset at 80, the threshold at 150 of the converter's 256 codes.
_LEAK, _THRESHOLD = 80, 150

_IN_POWER = Figure(0.0, "part of the power of the chip")


@checked
def brainscales_2(*, mismatch: float = 0.05, threshold: float = 1.0) -> Chip:
    r"""BrainScaleS-2 (HICANN-X), a calibrated chip that is a thousand times faster than biology.

    | what | figure | source |
    |---|---|---|
    | neuron circuits | 512, 256 synapse rows each, which can be merged | Pehle et al. 2022 |
    | weights | 6 bits; the sign is that of the row, so a signed input takes two | Pehle et al. 2022 |
    | membranes | 8 bits; leak at code 80, threshold at 150 | hxtorch 2024, defaults |
    | delays | none in the synapses | Göltz et al. 2024 |
    | power | 175 mW = 8.4 µJ · 20,800 / s, all of the chip | Göltz et al. 2021 |
    | mismatch | **assumed**: after calibration a few per cent, but no table is published | – |

    A network of 256, 246 and 10 units, that of Cramer et al. 2022, fills it to the last circuit. Left out for want of a
    public number: noise from one run to the next, mismatch of synapses, saturation, and energy for each event.

    Args:
        mismatch: coefficient of variation of each parameter of neurons, ≥ 0.
        threshold: the membrane, above rest, that stands for the code of the threshold, > 0.

    Raises:
        SnnlearnError: for a negative mismatch, or a threshold that is not positive.

    Source: Pehle et al. 2022, doi:10.3389/fnins.2022.795876; Cramer et al. 2022, doi:10.1073/pnas.2109194119; Göltz et
    al. 2021, doi:10.1038/s42256-021-00388-x; Göltz et al. 2024, arXiv:2404.19165.

    >>> brainscales_2().name
    'BrainScaleS-2'
    """
    if not threshold > 0:
        raise SnnlearnError(f"brainscales_2: threshold is {threshold}; give a membrane above 0")
    lsb = threshold / (_THRESHOLD - _LEAK)
    membranes = ConvertedMembranes(Converter(8, -_LEAK * lsb, (255 - _LEAK) * lsb))
    return Chip(
        "BrainScaleS-2",
        effects=(
            QuantisedWeights(bits=7),  # six, and a sign by the choice between two rows
            *neuron_mismatch(mismatch),
            WherePossible(membranes),
        ),
        limits=(NeuronCircuits(512, rows=256, per_input=2), NeuronKinds(LIF, CubaLIF, ALIF, LI), Delays(0)),
        source="Pehle et al. 2022, doi:10.3389/fnins.2022.795876; Göltz et al. 2021, doi:10.1038/s42256-021-00388-x; "
        "hxtorch 2024; the mismatch is assumed",
        energy=Ledger(
            synaptic_operation=_IN_POWER,
            spike=_IN_POWER,
            neuron_update=Figure(0.0, "part of the power of the chip: neurons are circuits, without steps"),
            conversion=_IN_POWER,
            input=Figure(0.0, "part of the power of the chip; that of the host is not counted"),
            power=Figure(0.175, "Göltz et al. 2021: 8.4 µJ an image at 20,800 images a second, all of the chip"),
            speed_up=1000.0,
        ),
    )
