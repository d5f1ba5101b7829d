"""Speck."""

from __future__ import annotations

from snnlearn.circuits.chip import Chip
from snnlearn.circuits.energy import Figure, Ledger
from snnlearn.circuits.limits import Delays, NeuronKinds, SpikingOutputs
from snnlearn.circuits.placement import ConvolutionCore, ConvolutionCores
from snnlearn.circuits.quantisation import QuantisedWeights
from snnlearn.neurons import IF

_KI = 1024
_CORES = tuple(
    ConvolutionCore(weights * _KI, neurons * _KI)
    for weights, neurons in zip((16, 16, 16, 32, 32, 64, 64, 16, 16), (64, 64, 64, 32, 32, 16, 16, 16, 16), strict=True)
)


def speck() -> Chip:
    """Speck (2e, 2f), nine asynchronous cores for convolutions beside an event camera.

    | what | figure | source |
    |---|---|---|
    | cores | 9, for a convolution, integrate-and-fire neurons and a pooling each | sinabs 3.1 |
    | weights | 8 bits; places for 16 Ki, three times, 32 Ki, twice, 64 Ki, twice, 16 Ki, twice | sinabs 3.1 |
    | neurons | 64 Ki, three times, 32 Ki, twice, 16 Ki, four times: 328 thousand | the sum |
    | power at rest | 0.42 mW, of the processor | Yao et al. 2024 |

    Read in November 2026 were sinabs of February 2026 (backend/dynapcnn/chips/dynapcnn.py, docs/speck/overview.md) and
    the abstract of Yao et al. 2024.

    Not modelled: membranes of 16 bits, events that are dropped when a core is overloaded, and the limits of shapes
    (images of at most 128 × 128, 64 × 64 after a layer, kernels of 16 × 16, strides of 1, 2, 4 or 8). Left out for want
    of a public number: the energy of a synaptic operation, of a spike, and of input.

    Source: sinabs 3.1, https://sinabs.readthedocs.io (2026); Yao et al. 2024, doi:10.1038/s41467-024-47811-6.

    >>> speck().name
    'Speck'
    """
    return Chip(
        "Speck",
        effects=(QuantisedWeights(bits=8),),
        limits=(ConvolutionCores(_CORES), NeuronKinds(IF), SpikingOutputs(), Delays(0)),
        source="sinabs 3.1 (2026); Yao et al. 2024, doi:10.1038/s41467-024-47811-6",
        energy=Ledger(
            neuron_update=Figure(0.0, "sinabs 3.1: neurons are computed when a spike arrives; leaks are not modelled"),
            power=Figure(0.42e-3, "Yao et al. 2024, processor at rest"),
        ),
    )
