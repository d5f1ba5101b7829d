"""A loss that says more of each sample than another, by a number before the sample's target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import AbstractLoss, Sum


class AbstractHeadedLoss(AbstractLoss):
    """What losses have in common whose target is a number, and then the target of another loss.

    Args:
        loss: the other loss.
        one: shape and type of one of its targets.
    """

    loss: Any
    one: jax.ShapeDtypeStruct = eqx.field(static=True)

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.decoder

    def apart(self, target: Shaped[Array, " n"]) -> tuple[Shaped[Array, ""], Shaped[Array, "..."]]:
        """The number, and the loss's target."""
        return target[0], target[1:].reshape(self.one.shape).astype(self.one.dtype)


def headed(
    loss: AbstractLoss,
    targets: Shaped[Array, "B ..."],
    numbers: Shaped[Array, " B"],
    make: Callable[[Any, jax.ShapeDtypeStruct], AbstractLoss],
) -> tuple[AbstractLoss, Shaped[Array, "B n"]]:
    """A loss and targets that begin with a number; in a sum, each term is made so.

    Args:
        loss: of one sample.
        targets: what it takes, `[B, ...]`.
        numbers: `[B]`, of the type that all get.
        make: the loss of a term, and of the shape and type of one target.
    """
    one = jax.ShapeDtypeStruct(targets.shape[1:], targets.dtype)

    def of(loss: AbstractLoss) -> AbstractLoss:
        if isinstance(loss, Sum):
            return Sum(tuple(map(of, loss.terms)), loss.weights)  # pyright: ignore[reportCallIssue]
        return make(loss, one)

    rows = targets.reshape(len(targets), -1).astype(numbers.dtype)
    return of(loss), jnp.concatenate([numbers[:, None], rows], axis=1)
