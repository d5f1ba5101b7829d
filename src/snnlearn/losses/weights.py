"""A loss of samples that do not count alike."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import (
    AbstractFilteredLoss,
    AbstractLoss,
    AbstractScoreLoss,
    AbstractStepwiseLoss,
    Outputs,
    Sum,
)
from snnlearn.losses.kernel import Kernel


def weighted(
    loss: AbstractLoss, targets: Shaped[Array, "B ..."], weights: Float[Array, " B"]
) -> tuple[AbstractLoss, Float[Array, "B n"]]:
    r"""A loss and targets by which sample $i$ costs $w_i\,\mathcal L$: what any rule makes of them is weighted so.

    The weight is a part of the target, and the loss of the kind that it was: of scores, of steps, of filtered steps.

    Args:
        loss: the loss of one sample.
        targets: what it takes, `[B, ...]`; whole numbers of at most 2²⁴.
        weights: $w$, `[B]`.

    Returns:
        the loss, and its targets, `[B, n]`.

    >>> from snnlearn.losses import CrossEntropy
    >>> loss, targets = weighted(CrossEntropy(), jnp.array([0, 1]), jnp.array([1.0, 0.5]))
    >>> [round(float(loss((jnp.zeros((5, 4)),), target)), 3) for target in targets]  # ln 4 and its half
    [1.386, 0.693]
    """
    rows = targets.reshape(len(targets), -1).astype(weights.dtype)
    one = jax.ShapeDtypeStruct(targets.shape[1:], targets.dtype)
    return _of(loss, one), jnp.concatenate([weights[:, None], rows], axis=1)


def _of(loss: AbstractLoss, one: jax.ShapeDtypeStruct) -> AbstractLoss:
    # Pyright takes the abstract `decoder` for a field.
    if isinstance(loss, Sum):
        return Sum(tuple(_of(term, one) for term in loss.terms), loss.weights)  # pyright: ignore
    if isinstance(loss, AbstractScoreLoss):
        return WeightedScores(loss, one)  # pyright: ignore
    if isinstance(loss, AbstractStepwiseLoss):
        return WeightedSteps(loss, one)  # pyright: ignore
    if isinstance(loss, AbstractFilteredLoss):
        return WeightedFilteredSteps(loss, one)  # pyright: ignore
    return WeightedLoss(loss, one)  # pyright: ignore


def _apart(target: Float[Array, " n"], one: jax.ShapeDtypeStruct) -> tuple[Float[Array, ""], Shaped[Array, "..."]]:
    return target[0], target[1:].reshape(one.shape).astype(one.dtype)


@final
class WeightedLoss(AbstractLoss):
    """What `weighted` makes of a loss of no kind that a rule asks for.

    Args:
        loss: the loss.
        one: shape and type of one of its targets.
    """

    loss: AbstractLoss
    one: jax.ShapeDtypeStruct = eqx.field(static=True)

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.decoder

    def length(self, target: Float[Array, " n"]) -> Int[Array, ""] | None:
        """The loss's."""
        return self.loss.length(_apart(target, self.one)[1])

    def __call__(self, outputs: Outputs, target: Float[Array, " n"]) -> Float[Array, ""]:
        """See the base."""
        weight, target = _apart(target, self.one)
        return weight * self.loss(outputs, target)


@final
class WeightedScores(AbstractScoreLoss):
    """What `weighted` makes of a loss of scores.

    Args:
        loss: the loss.
        one: shape and type of one of its targets.
    """

    loss: AbstractScoreLoss
    one: jax.ShapeDtypeStruct = eqx.field(static=True)

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.decoder

    def length(self, target: Float[Array, " n"]) -> Int[Array, ""] | None:
        """The loss's."""
        return self.loss.length(_apart(target, self.one)[1])

    def of_scores(self, scores: Float[Array, " C"], target: Float[Array, " n"]) -> Float[Array, ""]:
        """See the base."""
        weight, target = _apart(target, self.one)
        return weight * self.loss.of_scores(scores, target)


@final
class WeightedSteps(AbstractStepwiseLoss):
    """What `weighted` makes of a loss of time steps.

    Args:
        loss: the loss.
        one: shape and type of one of its targets.
    """

    loss: AbstractStepwiseLoss
    one: jax.ShapeDtypeStruct = eqx.field(static=True)

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.decoder

    def moments(self, target: Float[Array, " n"], num_steps: int) -> tuple[Any, Array]:
        """See the base: the loss's, and the weight."""
        return _moments(self.loss, target, num_steps, self.one)

    def length(self, target: Float[Array, " n"]) -> Int[Array, ""] | None:
        """The loss's."""
        return self.loss.length(_apart(target, self.one)[1])

    def goes_on(self, moment: tuple[Any, Array]) -> Bool[Array, ""] | None:
        """The loss's."""
        return self.loss.goes_on(moment[0])

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Any, Array]) -> Float[Array, ""]:
        """See the base."""
        inner, weight = moment
        return weight * self.loss.at_step(output, inner)


@final
class WeightedFilteredSteps(AbstractFilteredLoss):
    """What `weighted` makes of a loss of filtered time steps.

    Args:
        loss: the loss.
        one: shape and type of one of its targets.
    """

    loss: AbstractFilteredLoss
    one: jax.ShapeDtypeStruct = eqx.field(static=True)

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.decoder

    @property
    def kernel(self) -> Kernel:
        """The loss's."""
        return self.loss.kernel

    def moments(self, target: Float[Array, " n"], num_steps: int) -> tuple[Any, Array]:
        """See the base: the loss's, and the weight."""
        return _moments(self.loss, target, num_steps, self.one)

    def length(self, target: Float[Array, " n"]) -> Int[Array, ""] | None:
        """The loss's."""
        return self.loss.length(_apart(target, self.one)[1])

    def goes_on(self, moment: tuple[Any, Array]) -> Bool[Array, ""] | None:
        """The loss's."""
        return self.loss.goes_on(moment[0])

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Any, Array]) -> Float[Array, ""]:
        """See the base."""
        inner, weight = moment
        return weight * self.loss.at_step(output, inner)


def _moments(
    loss: AbstractStepwiseLoss | AbstractFilteredLoss,
    target: Float[Array, " n"],
    num_steps: int,
    one: jax.ShapeDtypeStruct,
) -> tuple[Any, Array]:
    weight, target = _apart(target, one)
    return loss.moments(target, num_steps), jnp.full(num_steps, weight)
