"""What analog chips have in common."""

from __future__ import annotations

from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.laws import LogNormal
from snnlearn.circuits.mismatch import Mismatch
from snnlearn.circuits.where_possible import WherePossible

PARAMETERS = (
    *("tau_mem", "tau_syn", "tau_adapt", "v_th", "resistance"),
    *("i_tau", "gain", "jump"),  # of a DPI
    *("g_leak", "tau_w", "b"),  # of an AdEx
)
"""What a bias current or a capacitor sets: time constants, threshold, gain of the input. (Refractory
periods are whole time steps.)"""


def neuron_mismatch(cv: float) -> tuple[AbstractEffect, ...]:
    """Log-normal mismatch of each parameter that a network's neurons have.

    Args:
        cv: coefficient of variation, ≥ 0.

    >>> [effect.label for effect in neuron_mismatch(0.1)][:2]
    ['mismatch of tau_mem', 'mismatch of tau_syn']
    """
    return tuple(WherePossible(Mismatch(parameter, LogNormal(cv))) for parameter in PARAMETERS)
