"""Neurons that wrap another."""

from __future__ import annotations

from snnlearn.neurons.base import AbstractNeuron
from snnlearn.neurons.delayed import Delayed
from snnlearn.neurons.escape_noise import EscapeNoise
from snnlearn.neurons.filtered import Filtered


def core(neuron: AbstractNeuron) -> AbstractNeuron:
    """The neuron inside its wrappers, which holds the threshold.

    >>> from snnlearn.neurons import LI
    >>> core(Delayed(Filtered(LI(tau_mem=5e-3)))).tau_mem
    0.005
    """
    while isinstance(neuron, (Delayed, Filtered, EscapeNoise)):
        neuron = neuron.neuron
    return neuron
