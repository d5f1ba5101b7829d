"""Losses of labels, of which any number holds at once."""

from __future__ import annotations

from typing import ClassVar, final

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from snnlearn.coding import AbstractDecoder, EachLabel, MeanMembrane
from snnlearn.losses.base import AbstractScoreLoss, AbstractStepwiseLoss


@final
class LabelCrossEntropy(AbstractScoreLoss):
    r"""$\frac1L\sum_l -\log\sigma(\pm s_l)$ of the decoder's scores $s$, the logits of L labels, + for those that hold.

    A label is decided to hold where its score is above 0, which is a probability above a half.

    Args:
        decoder: from the network's output `[T, L]` to scores `[L]`.

    >>> round(float(LabelCrossEntropy()((jnp.zeros((5, 3)),), jnp.array([1, 0, 1]))), 4)  # ln 2
    0.6931
    """

    decoder: AbstractDecoder | None = EachLabel(MeanMembrane())

    def of_scores(self, scores: Float[Array, " L"], target: Int[Array, " L"]) -> Float[Array, ""]:
        """See the base."""
        return jnp.mean(optax.sigmoid_binary_cross_entropy(scores, target.astype(scores.dtype)))


@final
class StepwiseLabelCrossEntropy(AbstractStepwiseLoss):
    r"""The mean over steps of `LabelCrossEntropy` of each step's output; its decoder is the mean membrane.

    >>> round(float(StepwiseLabelCrossEntropy()((jnp.zeros((5, 3)),), jnp.array([1, 0, 1]))), 4)
    0.6931
    """

    decides_by: ClassVar[type[AbstractDecoder] | None] = MeanMembrane
    decoder: AbstractDecoder | None = EachLabel(MeanMembrane())

    def moments(self, target: Int[Array, " L"], num_steps: int) -> tuple[Array, Array]:
        """See the base: the labels, and 1/T."""
        return jnp.broadcast_to(target, (num_steps, *target.shape)), jnp.full(num_steps, 1 / num_steps)

    def moments_until(self, target: Int[Array, " L"], num_steps: int, length: Int[Array, ""]) -> tuple[Array, Array]:
        """See the base: the labels, and 1 over the sample's own steps."""
        share = 1 / length.astype(jnp.result_type(float))
        return jnp.broadcast_to(target, (num_steps, *target.shape)), jnp.full(num_steps, share)

    def at_step(self, output: Float[Array, " L"], moment: tuple[Array, Array]) -> Float[Array, ""]:
        """See the base."""
        target, share = moment
        return share * jnp.mean(optax.sigmoid_binary_cross_entropy(output, target.astype(output.dtype)))
