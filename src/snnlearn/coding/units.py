"""Decoders whose scores are no contest of classes: predictions in the units of the data, and labels."""

from __future__ import annotations

import math
from typing import ClassVar, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive
from snnlearn.coding.base import AbstractDecoder
from snnlearn.coding.checks import check_number, check_part, known_array, number_or_array
from snnlearn.data.base import Task


@final
class InUnits(AbstractDecoder):
    r"""What another decoder reads, as values in units of their own: $\hat y_d = \mu_d + \sigma_d\,s_d$.

    With the mean and the standard deviation of the training sample's values, the network itself learns standardised
    ones, and its predictions are in the units of the data wherever the hypothesis goes.

    Args:
        decoder: the decoder that gives the scores $s$, `[D]`.
        mean: $\mu$, one for all values, or an array `[D]`.
        scale: $\sigma$, > 0, alike.

    Raises:
        SnnlearnError: if a field is not that.

    >>> from snnlearn.coding import MeanMembrane
    >>> InUnits(MeanMembrane(), mean=20.0, scale=jnp.array([1.0, 5.0]))(jnp.array([[1.0, 0.0], [0.0, -1.0]])).tolist()
    [20.5, 17.5]
    """

    task: ClassVar[Task] = "regression"
    decoder: AbstractDecoder
    mean: float | Float[Array, " D"] = eqx.field(converter=number_or_array, default=0.0)
    scale: float | Float[Array, " D"] = eqx.field(converter=number_or_array, default=1.0)

    def __check_init__(self):
        check_part(self, AbstractDecoder, "a decoder, such as MeanMembrane()", decoder=self.decoder)
        check_positive(self, scale=self.scale)
        for name, value in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(value, float):  # a default: importing this must not start JAX
                check_number(self, "a finite number", math.isfinite, **{name: value})
            else:
                known_array(self, value, name, shape="one number, or one for each value", axes=(0, 1))

    @property
    def reads_spikes(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the inner decoder does."""
        return self.decoder.reads_spikes

    def num_units(self, num_scores: int) -> int:
        """As the inner decoder."""
        return self.decoder.num_units(num_scores)

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " scores"]:
        """See the base."""
        return self._in_units(self.decoder(output))

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " scores"]:
        """See the base: as the inner decoder.

        Raises:
            SnnlearnError: for another number of values than the fields have.
        """
        return self._in_units(self.decoder.until(output, length))

    def deciding_by(self, decoder: AbstractDecoder) -> "InUnits":
        """See the base."""
        return InUnits(self.decoder.deciding_by(decoder), self.mean, self.scale)

    def _in_units(self, scores: Float[Array, " D"]) -> Float[Array, " D"]:
        mean, scale = (jnp.asarray(value, scores.dtype) for value in (self.mean, self.scale))
        for name, value in (("mean", mean), ("scale", scale)):
            if value.ndim and value.shape != scores.shape:
                raise SnnlearnError(
                    f"InUnits: {name} has shape {value.shape} for {scores.shape[0]} values; give one for each"
                )
        return jnp.broadcast_to(mean, scores.shape) + jnp.broadcast_to(scale, scores.shape) * scores


@final
class EachLabel(AbstractDecoder):
    """Another decoder's scores, each deciding for itself: a label holds where its score is above 0.

    Args:
        decoder: the decoder that gives the scores, `[L]`, such as logits.

    Raises:
        SnnlearnError: if it is none.

    >>> from snnlearn.coding import MeanMembrane
    >>> EachLabel(MeanMembrane())(jnp.array([[1.0, 0.0], [0.0, -1.0]])).tolist()
    [0.5, -0.5]
    """

    task: ClassVar[Task] = "multi-label"
    decoder: AbstractDecoder

    def __check_init__(self):
        check_part(self, AbstractDecoder, "a decoder, such as MeanMembrane()", decoder=self.decoder)

    @property
    def reads_spikes(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the inner decoder does."""
        return self.decoder.reads_spikes

    def num_units(self, num_scores: int) -> int:
        """As the inner decoder."""
        return self.decoder.num_units(num_scores)

    def __call__(self, output: Float[Array, "T C"]) -> Float[Array, " scores"]:
        """See the base."""
        return self.decoder(output)

    def until(self, output: Float[Array, "T C"], length: Int[Array, ""]) -> Float[Array, " scores"]:
        """See the base: as the inner decoder."""
        return self.decoder.until(output, length)

    def deciding_by(self, decoder: AbstractDecoder) -> "EachLabel":
        """See the base."""
        return EachLabel(self.decoder.deciding_by(decoder))
