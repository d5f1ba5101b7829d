"""A loss of samples that end at different times."""

from __future__ import annotations

from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractEncoder
from snnlearn.coding.ends import goes_on, until
from snnlearn.losses.base import (
    AbstractFilteredLoss,
    AbstractLoss,
    AbstractRateLoss,
    AbstractScoreLoss,
    AbstractStepwiseLoss,
)
from snnlearn.losses.headed import AbstractHeadedLoss, headed
from snnlearn.losses.kernel import Kernel


def ended(
    loss: AbstractLoss, targets: Shaped[Array, "B ..."], lengths: Int[Array, " B"]
) -> tuple[AbstractLoss, Shaped[Array, "B n"]]:
    r"""A loss and targets by which sample $i$ ends after $T_i$ of the steps: later ones have no influence, by any rule.

    The loss and its gradient are those of each sample alone, $\mathcal L(y^{1\dots T_i}, z)$: scores are decoded, and
    means over time taken, over the sample's own steps. Networks are causal, so what they are given after the end may be
    anything finite; an encoder gives silence. The length is a part of the target, and the loss of the kind that it was:
    of scores, of steps, of filtered steps, of rates.

    Args:
        loss: the loss of one sample.
        targets: what it takes, `[B, ...]`; where they are no whole numbers, lengths are at most 2²⁴.
        lengths: $T_i$, `[B]`, from 1 to T.

    Returns:
        the loss, and its targets, `[B, n]`.

    Raises:
        SnnlearnError: for a loss of no such kind.

    >>> from snnlearn.losses import CrossEntropy
    >>> loss, targets = ended(CrossEntropy(), jnp.array([0, 0]), jnp.array([1, 2]))
    >>> output = jnp.array([[0.0, 0.0], [3.0, 0.0]])
    >>> [round(float(loss((output,), target)), 3) for target in targets]  # ln 2, ln(1 + exp(−1.5))
    [0.693, 0.201]
    """
    return headed(loss, targets, lengths.astype(targets.dtype), _of)


def ended_by(
    encoder: AbstractEncoder, loss: AbstractLoss, xs: Shaped[Array, "B ..."], targets: Shaped[Array, "B ..."]
) -> tuple[AbstractLoss, Shaped[Array, "B ..."]]:
    """The loss and targets of samples that end where their encoder sees the end; as they are if it sees none.

    Args:
        encoder: from one `x` to the network's input over time.
        loss: the loss of one sample.
        xs: the samples, see [`with_lengths`][snnlearn.data.with_lengths].
        targets: what the loss takes.
    """
    lengths = jax.vmap(encoder.length)(xs)
    return (loss, targets) if lengths is None else ended(loss, targets, lengths)


def _of(loss: AbstractLoss, one: jax.ShapeDtypeStruct) -> AbstractLoss:
    kinds = {
        AbstractScoreLoss: EndedScores,
        AbstractStepwiseLoss: EndedSteps,
        AbstractFilteredLoss: EndedFilteredSteps,
        AbstractRateLoss: EndedRates,
    }
    for kind, its in kinds.items():
        if isinstance(loss, kind):
            return its(loss, one)
    raise SnnlearnError(
        f"{type(loss).__name__} is a loss of whole samples, and these end at different times; give a loss of scores, "
        "of time steps or of rates, or samples of equal length"
    )


class _AbstractEndedLoss(AbstractHeadedLoss):
    def length(self, target: Shaped[Array, " n"]) -> Int[Array, ""]:
        """See the base."""
        return self.apart(target)[0].astype(jnp.int32)


class _AbstractEndedSteps(_AbstractEndedLoss):
    def moments(self, target: Shaped[Array, " n"], num_steps: int) -> tuple[Any, Bool[Array, " T"]]:
        """The loss's of the sample's own steps, then 0, as a target after the end may be NaN; whether it goes on."""
        length = self.length(target)
        moments = self.loss.moments_until(self.apart(target)[1], num_steps, length)
        return jax.tree.map(lambda a: until(a, length), moments), goes_on(num_steps, length)

    def goes_on(self, moment: tuple[Any, Bool[Array, ""]]) -> Bool[Array, ""]:
        """See the base."""
        return moment[1]

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Any, Bool[Array, ""]]) -> Float[Array, ""]:
        """See the base."""
        inner, on = moment
        return jnp.where(on, self.loss.at_step(jnp.where(on, output, 0.0), inner), 0.0)


@final
class EndedScores(_AbstractEndedLoss, AbstractScoreLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `ended` makes of a loss of scores."""

    def of_scores(self, scores: Float[Array, " C"], target: Shaped[Array, " n"]) -> Float[Array, ""]:
        """See the base."""
        return self.loss.of_scores(scores, self.apart(target)[1])


@final
class EndedRates(_AbstractEndedLoss, AbstractRateLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `ended` makes of a loss of firing rates: those over the sample's own steps."""

    @property
    def dt(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss's."""
        return self.loss.dt

    def of_rates(self, rates: tuple[Float[Array, "..."], ...]) -> Float[Array, ""]:
        """See the base."""
        return self.loss.of_rates(rates)


@final
class EndedSteps(_AbstractEndedSteps, AbstractStepwiseLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `ended` makes of a loss of time steps."""


@final
class EndedFilteredSteps(_AbstractEndedSteps, AbstractFilteredLoss):  # pyright: ignore[reportIncompatibleVariableOverride]
    """What `ended` makes of a loss of filtered time steps."""

    @property
    def kernel(self) -> Kernel:
        """The loss's."""
        return self.loss.kernel
