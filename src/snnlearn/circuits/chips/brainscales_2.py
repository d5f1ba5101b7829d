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
from snnlearn.neurons import ALIF, LI, LIF, AdEx, CubaLIF

# Of hxtorch's networks from NIR: leak and reset at 80, the threshold at 150 of the converter's 256 codes.
_LEAK, _THRESHOLD = 80, 150

_IN_POWER = Figure(0.0, "part of the power of the chip")


@checked
def brainscales_2(*, mismatch: float = 0.05, threshold: float = 1.0) -> Chip:
    r"""BrainScaleS-2 (HICANN-X), a calibrated chip that is a thousand times faster than biology.

    | what | figure | source |
    |---|---|---|
    | neurons | 512 circuits, adaptive exponential or simpler, which can be merged | its demos |
    | synapses | 131,072, 256 rows for each circuit | its demos |
    | weights | 6 bits; a sign for each row, so a signed input takes two | Weis et al. 2020; Pehle et al. 2022* |
    | membranes | 8 bits | Weis et al. 2020 |
    | codes | leak at 80, threshold at 150 | hxtorch, networks from NIR; of other neurons it is 125 |
    | delays | none in the synapses | Göltz et al. 2024* |
    | power | 175 mW = 8.4 µJ · 20,800 / s, all of the chip | Göltz et al. 2021* |
    | mismatch | **assumed**: after calibration a few per cent, but no table is published | – |

    Read in November 2026 were the demos, hxtorch of March 2026 and the abstract of Weis et al. 2020; what is marked *
    is as others repeat it. A network of 256, 246 and 10 units, that of Cramer et al. 2022*, fills it to the last
    circuit.

    Left out for want of a public number: mismatch of synapses, saturation, energy for each event, and noise from one
    run to the next. (When hxtorch imitates the other mode of the chip, the multiplication of matrices, readings have
    noise of 2 codes. Spikes are another mode.)

    Args:
        mismatch: coefficient of variation of each parameter of neurons, ≥ 0.
        threshold: the membrane, above rest, that stands for the code of the threshold, > 0.

    Raises:
        SnnlearnError: for a negative mismatch, or a threshold that is not positive.

    Source: github.com/electronicvisions, hxtorch (spiking/utils/from_nir.py, spiking/modules/types.py,
    perceptron/constants.h) and brainscales2-demos; Weis et al. 2020, arXiv:2006.13177; Pehle et al. 2022,
    doi:10.3389/fnins.2022.795876; Cramer et al. 2022, doi:10.1073/pnas.2109194119; Göltz et al. 2021,
    doi:10.1038/s42256-021-00388-x; Göltz et al. 2024, arXiv:2404.19165.

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
        limits=(NeuronCircuits(512, rows=256, per_input=2), NeuronKinds(LIF, CubaLIF, ALIF, AdEx, LI), Delays(0)),
        source="hxtorch (2026); Pehle et al. 2022, doi:10.3389/fnins.2022.795876; the power is that of Göltz et al. "
        "2021, doi:10.1038/s42256-021-00388-x, as others repeat it; the mismatch is assumed",
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
