"""Spikes as bits: 1/32 of the memory, and the input of the event-driven kernels."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from snnlearn._errors import SnnlearnError
from snnlearn.coding.bernoulli import unpack_spikes
from snnlearn.coding.checks import an_array


@final
class PackedSpikes(eqx.Module):
    """The spikes of one sample, 32 steps to a word: step t is bit t mod 32 of word ⌊t / 32⌋.

    A network accepts it in place of an array `[T, *shape]`. A batch has a leading axis.

    Args:
        words: the words.
        num_steps: number of steps T; W = ⌈T / 32⌉, and the bits after the last step are 0.

    Raises:
        SnnlearnError: if the words are not W.

    >>> pack_spikes(jnp.array([[1.0], [0.0], [1.0]])).words.tolist()
    [[5]]
    """

    words: UInt32[Array, "*B W *shape"]
    num_steps: int = eqx.field(static=True)

    def __check_init__(self):
        if self.num_words not in self.words.shape:  # which of the axes it is only those know who use them
            self._refuse()

    @property
    def num_words(self) -> int:
        """The words that T steps fill, W."""
        return -(-self.num_steps // 32)

    def check_words(self) -> None:
        """Refuse spikes that do not begin with an axis of W words, as those of one sample do.

        Raises:
            SnnlearnError: with the shape that they have.
        """
        if self.words.shape[:1] != (self.num_words,):
            self._refuse()

    def _refuse(self) -> None:
        raise SnnlearnError(
            f"PackedSpikes: {self.num_steps} steps fill {self.num_words} words of 32, and words has shape "
            f"{self.words.shape}; give that many words, or the steps that they hold"
        )

    def unpack(self) -> Float[Array, "T *shape"]:
        """The spikes of one sample as numbers, 0 or 1.

        Raises:
            SnnlearnError: if words does not begin with an axis of W words.
        """
        self.check_words()
        return unpack_spikes(self.words, self.num_steps)


def later(spikes: PackedSpikes, waiting: Float[Array, "lag *shape"]) -> PackedSpikes:
    """Spikes that come later, by as many steps as there are others before them; the last ones are left out.

    Args:
        spikes: the spikes, of one sample.
        waiting: those before, of 1 to 31 steps.

    >>> later(pack_spikes(jnp.array([[1.0], [0.0], [1.0]])), jnp.zeros((1, 1))).unpack()[:, 0].tolist()
    [0.0, 1.0, 0.0]
    """
    lag, words, left = np.uint32(len(waiting)), spikes.words, spikes.num_steps % 32
    before = jnp.concatenate([pack_spikes(waiting).words << (32 - lag), words[:-1]])
    words = words << lag | before >> (32 - lag)
    if left:  # bits after the last step are 0
        words = words.at[-1].set(words[-1] & np.uint32((1 << left) - 1))
    return PackedSpikes(words, spikes.num_steps)


def pack_spikes(spikes: Float[Array, "T *shape"]) -> PackedSpikes:
    """The spikes of one sample, packed; whatever is not 0 is a spike. The inverse of `unpack`.

    Raises:
        SnnlearnError: if it is not an array of numbers, steps first.

    >>> pack_spikes(jnp.eye(3)).unpack().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    spikes = an_array("pack_spikes", spikes, "spikes")
    if spikes.ndim == 0:
        raise SnnlearnError("pack_spikes: spikes is one number; give an array, steps first")
    num_steps, *shape = spikes.shape
    num_words = -(-num_steps // 32)
    padded = jnp.pad(spikes != 0, ((0, 32 * num_words - num_steps), *((0, 0) for _ in shape)))
    bits = padded.reshape(num_words, 32, *shape).astype(jnp.uint32)
    place = np.arange(32, dtype=np.uint32).reshape(1, 32, *(1 for _ in shape))
    return PackedSpikes(jnp.sum(bits << place, axis=1, dtype=jnp.uint32), num_steps)
