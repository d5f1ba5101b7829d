"""A chip that changes nothing."""

from __future__ import annotations

from snnlearn.circuits.chip import Chip


def ideal() -> Chip:
    """The chip on which a network is what was designed.

    >>> ideal().name
    'ideal'
    """
    return Chip("ideal", source="no chip: the network as designed")
