"""A part of the input."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.network.synapses.base import AbstractWeightless


@final
class Part(AbstractWeightless):
    """A part of the input, such as one of several sensors; it has no weights.

    Args:
        in_size: how many inputs there are in all.
        start: the first of the part, from 0.
        stop: the index after its last.

    Raises:
        SnnlearnError: unless 0 ≤ start < stop ≤ in_size.

    >>> import jax
    >>> from snnlearn.network import Chain, Dense
    >>> camera = Chain(Part(10, 0, 6), Dense(6, 3, key=jax.random.key(0)))
    >>> camera(jnp.ones(10)).shape
    (3,)
    """

    in_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    start: int = eqx.field(static=True)

    def __init__(self, in_size: int, start: int, stop: int):
        if not 0 <= start < stop <= in_size:
            raise SnnlearnError(
                f"Part: it goes from {start} to {stop} of {in_size} inputs; give 0 ≤ start < stop ≤ inputs"
            )
        self.in_shape, self.out_shape, self.start = (in_size,), (stop - start,), start

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, " size"]:
        """See the base."""
        return jnp.ravel(x)[self.start : self.start + self.out_shape[0]]

    @property
    def selects(self) -> bool:
        """It does."""
        return True
