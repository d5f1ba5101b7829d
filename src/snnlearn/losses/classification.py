"""Losses of class labels."""

from __future__ import annotations

from typing import ClassVar, final

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from snnlearn.coding import AbstractDecoder, MeanMembrane
from snnlearn.losses.base import AbstractScoreLoss, AbstractStepwiseLoss


@final
class CrossEntropy(AbstractScoreLoss):
    r"""$-\log\operatorname{softmax}(s)_y$ of the decoder's scores $s$.

    With `MeanMembrane` or `MaxMembrane` of a leaky-integrator readout, `SpikeCount` or `FirstSpike` of a spiking one.

    Args:
        decoder: from the network's output `[T, C]` to scores `[C]`.

    >>> float(CrossEntropy()((jnp.zeros((5, 4)),), jnp.array(2)))  # ln 4
    1.386...
    """

    decoder: AbstractDecoder | None = MeanMembrane()

    def of_scores(self, scores: Float[Array, " C"], target: Int[Array, ""]) -> Float[Array, ""]:
        """See the base."""
        return optax.softmax_cross_entropy_with_integer_labels(scores, target)


@final
class StepwiseCrossEntropy(AbstractStepwiseLoss):
    r"""The mean over steps of $-\log\operatorname{softmax}(y^t)_y$; its decoder is the mean membrane.

    >>> float(StepwiseCrossEntropy()((jnp.zeros((5, 4)),), jnp.array(2)))
    1.386...
    """

    decides_by: ClassVar[type[AbstractDecoder] | None] = MeanMembrane
    decoder: AbstractDecoder | None = MeanMembrane()

    def moments(self, target: Int[Array, ""], num_steps: int) -> tuple[Array, Array]:
        """See the base: the label, and 1/T."""
        return jnp.full(num_steps, target), jnp.full(num_steps, 1 / num_steps)

    def moments_until(self, target: Int[Array, ""], num_steps: int, length: Int[Array, ""]) -> tuple[Array, Array]:
        """See the base: the label, and 1 over the sample's own steps."""
        return jnp.full(num_steps, target), jnp.full(num_steps, 1 / length.astype(jnp.result_type(float)))

    def at_step(self, output: Float[Array, " C"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """See the base."""
        target, share = moment
        return share * optax.softmax_cross_entropy_with_integer_labels(output, target)


@final
class ClassMeanSquaredError(AbstractScoreLoss):
    r"""$\frac1C\sum_c (s_c - t_c)^2$ of the decoder's scores, $t_c$ being `on` for the right class, else `off`.

    Args:
        decoder: from the network's output `[T, C]` to scores `[C]`.
        on: the target score of the right class (spikes, for `SpikeCount`).
        off: the target score of the others.

    >>> float(ClassMeanSquaredError(on=1.0, off=0.0)((jnp.zeros((5, 4)),), jnp.array(2)))
    0.25
    """

    decoder: AbstractDecoder | None = MeanMembrane()
    on: float = 1.0
    off: float = 0.0

    def of_scores(self, scores: Float[Array, " C"], target: Int[Array, ""]) -> Float[Array, ""]:
        """See the base."""
        wanted = jnp.where(jnp.arange(scores.shape[0]) == target, self.on, self.off)
        return jnp.mean(jnp.square(scores - wanted))
