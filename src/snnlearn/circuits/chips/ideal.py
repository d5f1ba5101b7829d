"""A chip that has nothing but what one asks for."""

from __future__ import annotations

from snnlearn._arguments import checked
from snnlearn.circuits.chip import Chip
from snnlearn.circuits.laws import LogNormal
from snnlearn.circuits.mismatch import Mismatch


@checked
def ideal(*, mismatch: float = 0.0) -> Chip:
    """A chip without limits, to see what one effect alone does.

    Args:
        mismatch: coefficient of variation of every parameter of every neuron, ≥ 0 (`LogNormal`).

    Raises:
        SnnlearnError: for a negative variation.

    >>> [effect.label for effect in ideal(mismatch=0.2).effects]
    ['mismatch of neurons']
    """
    effects = (Mismatch(None, LogNormal(mismatch)),) if mismatch else ()
    return Chip("ideal", effects, source="No chip: effects are those that were asked for.")
