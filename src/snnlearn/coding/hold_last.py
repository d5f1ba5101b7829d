"""Series of different lengths for a code that takes all of a series at once."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlearn.coding.base import AbstractEncoder, AbstractOuterEncoder, AbstractReconstruction
from snnlearn.coding.bits import bits_per_value
from snnlearn.coding.checks import an_array, check_part
from snnlearn.coding.ends import length_of


@final
class HoldLast(AbstractOuterEncoder):
    """Samples whose last value is held to the last step, for a code that takes all of a series at once.

    Such a code cannot leave out what comes after the end, as `Framewise` does: a constant looks to it like data.

    Args:
        encoder: the code.

    Raises:
        SnnlearnError: if encoder is none.

    >>> import jax
    >>> from snnlearn.coding import Current
    >>> x = jnp.array([[1.0], [2.0], [jnp.nan]])
    >>> HoldLast(Current(num_steps=1))(x, key=jax.random.key(0)).tolist()
    [[[1.0], [2.0], [2.0]]]
    """

    encoder: AbstractEncoder

    def __init__(self, encoder: AbstractEncoder):
        self.encoder = encoder

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Current(20)", encoder=self.encoder)

    def __call__(self, x: Shaped[Array, "T *n"], *, key: PRNGKeyArray) -> Float[Array, "S *out"]:
        """See the base."""
        return self.encoder(self._held(x), key=key)

    def length(self, x: Shaped[Array, "T *n"]) -> Int[Array, ""] | None:
        """The code's own, which sees no end."""
        return self.encoder.length(self._held(x))

    def probability(self, x: Shaped[Array, "T *n"]) -> Float[Array, "*out"] | None:
        """The code's."""
        return self.encoder.probability(self._held(x))

    def of_frame(self) -> AbstractEncoder | str:
        """See the base: there is none, since it takes all of a series at once."""
        return AbstractEncoder.of_frame(self)

    def inverse(self) -> AbstractReconstruction | str:
        """The code's."""
        return self.encoder.inverse()

    def bits(self, in_shape: tuple[int, ...]) -> float | str:
        """The code's."""
        return bits_per_value(self.encoder, in_shape)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The code's."""
        return self.encoder.out_shape(in_shape)

    def _held(self, x: Shaped[Array, "T *n"]) -> Shaped[Array, "T *n"]:
        x = an_array(self, x)
        return x if x.ndim == 0 else x[jnp.minimum(jnp.arange(len(x)), length_of(x) - 1)]
