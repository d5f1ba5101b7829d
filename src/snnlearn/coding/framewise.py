"""A signal over time, whose frames another code turns into spikes one after the other."""

from __future__ import annotations

from typing import final

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import (
    AbstractEncoder,
    AbstractOuterEncoder,
    AbstractReconstruction,
    check_whole,
)
from snnlearn.coding.bits import bits_per_value
from snnlearn.coding.checks import an_array, check_part, over_time
from snnlearn.coding.ends import length_of, until


@final
class Framewise(AbstractOuterEncoder):
    """A signal over time, whose frames another encoder turns into a few steps each, one after the other.

    A signal `[num_frames, *n]` becomes `[num_frames · encoder.num_steps, *out]`. With `Rate(num_steps=1)` it is a
    Poisson process whose rate follows the signal, and with `Current(num_steps=1)` the signal itself. A signal that ends
    early, as [`with_lengths`][snnlearn.data.with_lengths] marks it, is followed by silence that counts for nothing.

    Args:
        encoder: the code of one frame; its num_steps is how long a frame lasts.
        num_frames: frames of the signal, ≥ 1.

    Raises:
        SnnlearnError: if num_frames is out of range, or a sample has another number of frames.

    >>> import jax.numpy as jnp
    >>> from snnlearn.coding import LinearLatency
    >>> code = Framewise(LinearLatency(num_steps=3), num_frames=2)
    >>> code(jnp.array([1.0, 0.5]), key=jax.random.key(0)).tolist()
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """

    encoder: AbstractEncoder
    num_frames: int

    def __init__(self, encoder: AbstractEncoder, num_frames: int):
        self.encoder = encoder
        self.num_frames = num_frames

    def __check_init__(self):
        check_part(self, AbstractEncoder, "an encoder, such as Rate(5)", encoder=self.encoder)
        check_whole(self, at_least=1, num_frames=self.num_frames)

    @property
    def num_steps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Steps of all frames."""
        return self.num_frames * self.encoder.num_steps

    def __call__(self, x: Shaped[Array, "F *n"], *, key: PRNGKeyArray) -> Float[Array, "T *out"]:
        """See the base; each frame has its own key, and there is silence after the last one before the end."""
        x = an_array(self, x)
        out = self.out_shape(x.shape)
        frames = jax.vmap(lambda frame, k: self.encoder(frame, key=k))(x, jax.random.split(key, self.num_frames))
        return until(frames, length_of(x)).reshape(self.num_steps, *out)

    def length(self, x: Shaped[Array, "F *n"]) -> Int[Array, ""]:
        """See the base: the steps of the frames before the end."""
        return length_of(x) * self.encoder.num_steps

    def of_frame(self) -> AbstractEncoder:
        """See the base: the inner encoder."""
        return self.encoder

    def inverse(self) -> AbstractReconstruction | str:
        """The inner encoder's, frame by frame."""
        inner = self.encoder.inverse()
        return inner if isinstance(inner, str) else InverseFramewise(inner, self.num_frames)

    def bits(self, in_shape: tuple[int, ...]) -> float:
        """The inner encoder's, of one frame."""
        return bits_per_value(self.encoder, in_shape[1:])

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The inner encoder's for one frame."""
        if in_shape[:1] != (self.num_frames,):
            raise SnnlearnError(
                f"Framewise: a sample has shape {in_shape}, expected {self.num_frames} frames first; "
                "set num_frames to the data's, or resample the data"
            )
        return self.encoder.out_shape(in_shape[1:])


@final
class InverseFramewise(AbstractReconstruction):
    """An inverse applied frame by frame, for a signal whose frames were encoded one after the other.

    Args:
        inverse: the inverse of the code of one frame.
        num_frames: frames of the signal, ≥ 1.

    Raises:
        SnnlearnError: if num_frames is not a whole number of at least 1.

    >>> import jax.numpy as jnp
    >>> from snnlearn.coding import InverseRate
    >>> InverseFramewise(InverseRate(max_rate=1000), num_frames=2)(jnp.array([1.0, 0.0, 1.0, 1.0])).tolist()
    [0.5, 1.0]
    """

    inverse: AbstractReconstruction
    num_frames: int

    def __check_init__(self):
        check_part(self, AbstractReconstruction, "an inverse, such as InverseRate()", inverse=self.inverse)
        check_whole(self, at_least=1, num_frames=self.num_frames)

    def __call__(self, spikes: Float[Array, "T *n"]) -> Float[Array, "F *x"]:
        """See the base."""
        spikes = over_time(self, spikes)
        if len(spikes) % self.num_frames:
            raise SnnlearnError(
                f"InverseFramewise: {len(spikes)} steps are not {self.num_frames} frames of one length; "
                "give the number of frames that the signal has"
            )
        frames = spikes.reshape(self.num_frames, -1, *spikes.shape[1:])
        return jax.vmap(self.inverse)(frames)
