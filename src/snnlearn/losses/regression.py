"""Losses of real values."""

from __future__ import annotations

from typing import ClassVar, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from snnlearn._parameters import check_positive
from snnlearn.coding import AbstractDecoder, InUnits, MeanMembrane
from snnlearn.coding.checks import number_or_array
from snnlearn.losses.base import AbstractScoreLoss, AbstractStepwiseLoss


@final
class ValueMeanSquaredError(AbstractScoreLoss):
    r"""$\frac1D\sum_d ((s_d - y_d)/\sigma_d)^2$ of the decoder's scores, the prediction, and real values $y$, `[D]`.

    Args:
        decoder: from the network's output `[T, D]` to scores `[D]`, such as `InUnits(MeanMembrane(), mean, scale)`.
        scale: $\sigma$, what counts as an error of 1, > 0: one for all values, or an array `[D]`, such as their
            standard deviations in the training sample.

    Raises:
        SnnlearnError: for a scale out of range.

    >>> float(ValueMeanSquaredError()((jnp.zeros((5, 2)),), jnp.array([1.0, 3.0])))
    5.0
    >>> float(ValueMeanSquaredError(scale=jnp.array([1.0, 3.0]))((jnp.zeros((5, 2)),), jnp.array([1.0, 3.0])))
    1.0
    """

    decoder: AbstractDecoder | None = InUnits(MeanMembrane())
    scale: float | Float[Array, " D"] = eqx.field(converter=number_or_array, default=1.0)

    def __check_init__(self):
        check_positive(self, scale=self.scale)

    def of_scores(self, scores: Float[Array, " D"], target: Float[Array, " D"]) -> Float[Array, ""]:
        """See the base."""
        return jnp.mean(jnp.square((scores - target) / self.scale))


@final
class StepwiseValueMeanSquaredError(AbstractStepwiseLoss):
    r"""The mean over steps of $\frac1D\sum_d ((s^t_d - y_d)/\sigma_d)^2$, as online rules need it: each step predicts.

    A step's prediction $s^t$ is what the decoder makes of it alone; that of all steps is their mean.

    Args:
        decoder: `InUnits(MeanMembrane())`, with the values' units.
        scale: as of `ValueMeanSquaredError`.

    Raises:
        SnnlearnError: for a scale out of range.

    >>> float(StepwiseValueMeanSquaredError()((jnp.eye(2),), jnp.array([1.0, 1.0])))
    0.5
    """

    decides_by: ClassVar[type[AbstractDecoder] | None] = MeanMembrane
    decoder: AbstractDecoder | None = InUnits(MeanMembrane())
    scale: float | Float[Array, " D"] = eqx.field(converter=number_or_array, default=1.0)

    def __check_init__(self):
        check_positive(self, scale=self.scale)

    def moments(self, target: Float[Array, " D"], num_steps: int) -> tuple[Array, Array]:
        """See the base: the values, and 1/T."""
        return jnp.broadcast_to(target, (num_steps, *target.shape)), jnp.full(num_steps, 1 / num_steps)

    def moments_until(self, target: Float[Array, " D"], num_steps: int, length: Int[Array, ""]) -> tuple[Array, Array]:
        """See the base: the values, and 1 over the sample's own steps."""
        share = 1 / length.astype(jnp.result_type(float))
        return jnp.broadcast_to(target, (num_steps, *target.shape)), jnp.full(num_steps, share)

    def at_step(self, output: Float[Array, " D"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """See the base."""
        assert self.decoder is not None
        target, share = moment
        return share * jnp.mean(jnp.square((self.decoder(output[None]) - target) / self.scale))
