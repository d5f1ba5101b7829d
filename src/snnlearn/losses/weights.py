"""A loss of samples that do not count alike."""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlearn.losses.base import (
    AbstractFilteredLoss,
    AbstractLoss,
    AbstractScoreLoss,
    AbstractStepwiseLoss,
    Outputs,
)
from snnlearn.losses.headed import AbstractHeadedLoss, headed
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
    return headed(loss, targets, weights, _of)


def _of(loss: AbstractLoss, one: jax.ShapeDtypeStruct) -> AbstractLoss:
    kinds = {
        AbstractScoreLoss: WeightedScores,
        AbstractStepwiseLoss: WeightedSteps,
        AbstractFilteredLoss: WeightedFilteredSteps,
    }
    for kind, its in kinds.items():
        if isinstance(loss, kind):
            return its(loss, one)
    return WeightedLoss(loss, one)  # pyright: ignore[reportCallIssue]


class _AbstractWeightedLoss(AbstractHeadedLoss):
    def length(self, target: Float[Array, " n"]) -> Int[Array, ""] | None:
        """The loss's."""
        return self.loss.length(self.apart(target)[1])


class _AbstractWeightedSteps(_AbstractWeightedLoss):
    def moments(self, target: Float[Array, " n"], num_steps: int) -> tuple[Any, Array]:
        """See the base: the loss's, and the weight."""
        weight, target = self.apart(target)
        return self.loss.moments(target, num_steps), jnp.full(num_steps, weight)

    def goes_on(self, moment: tuple[Any, Array]) -> Bool[Array, ""] | None:
        """The loss's."""
        return self.loss.goes_on(moment[0])

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Any, Array]) -> Float[Array, ""]:
        """See the base."""
        inner, weight = moment
        return weight * self.loss.at_step(output, inner)


@final
class WeightedLoss(_AbstractWeightedLoss):
    """What `weighted` makes of a loss of no kind that a rule asks for."""

    def __call__(self, outputs: Outputs, target: Float[Array, " n"]) -> Float[Array, ""]:
        """See the base."""
        weight, target = self.apart(target)
        return weight * self.loss(outputs, target)


@final
class WeightedScores(_AbstractWeightedLoss, AbstractScoreLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `weighted` makes of a loss of scores."""

    def of_scores(self, scores: Float[Array, " C"], target: Float[Array, " n"]) -> Float[Array, ""]:
        """See the base."""
        weight, target = self.apart(target)
        return weight * self.loss.of_scores(scores, target)


@final
class WeightedSteps(_AbstractWeightedSteps, AbstractStepwiseLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `weighted` makes of a loss of time steps."""


@final
class WeightedFilteredSteps(_AbstractWeightedSteps, AbstractFilteredLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `weighted` makes of a loss of filtered time steps."""

    @property
    def kernel(self) -> Kernel:
        """The loss's."""
        return self.loss.kernel
