"""Losses of real values."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.coding import AbstractDecoder, MeanMembrane
from snnlearn.losses.base import AbstractScoreLoss


@final
class ValueMeanSquaredError(AbstractScoreLoss):
    r"""$\frac1D\sum_d (s_d - y_d)^2$ of the decoder's scores, which are the prediction, and real values $y$, `[D]`.

    Args:
        decoder: from the network's output `[T, D]` to scores `[D]`.

    >>> float(ValueMeanSquaredError()((jnp.zeros((5, 2)),), jnp.array([1.0, 3.0])))
    5.0
    """

    decoder: AbstractDecoder | None = MeanMembrane()

    def of_scores(self, scores: Float[Array, " D"], target: Float[Array, " D"]) -> Float[Array, ""]:
        """See the base."""
        return jnp.mean(jnp.square(scores - target))
