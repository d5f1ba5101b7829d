"""What every loss is: a number for one sample, from what the layers did and what was wanted."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder

Outputs = tuple[Float[Array, "T ..."], ...]
"""The output of each layer over time, the network's last."""


class AbstractLoss(eqx.Module):
    r"""The loss $\mathcal L(f, z)$ of one sample. Losses can be added, and multiplied by numbers.

    `decoder` turns the network's output into scores, of which the largest decides; None if the loss is not about a
    decision.
    """

    decoder: eqx.AbstractVar[AbstractDecoder | None]

    @abstractmethod
    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The loss.

        Args:
            outputs: of each layer, `[T, *shape]`; the network's is the last.
            target: a class label `[]`, or what the loss says.
        """

    def __add__(self, other: "AbstractLoss") -> "Sum":
        return _sum((self, other), (1.0, 1.0))

    def __mul__(self, weight: float | int) -> "Sum":
        return _sum((self,), (float(weight),))

    __rmul__ = __mul__


class AbstractStepwiseLoss(AbstractLoss):
    """A loss that is a mean over time steps, so that online rules can take each step's part when it comes."""

    @abstractmethod
    def at_step(self, output: Float[Array, "*n"], target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """The part of one step, from the network's output `[*n]` and the target in that step."""


class Sum(AbstractLoss):
    """A weighted sum of losses; it decides as the first of them that does.

    Args:
        terms: the losses.
        weights: one number for each.
    """

    terms: tuple[AbstractLoss, ...]
    weights: tuple[float, ...]

    def __check_init__(self):
        if len(self.terms) != len(self.weights):
            raise SnnlearnError(f"Sum: {len(self.terms)} terms but {len(self.weights)} weights; give one weight each")

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first term's that has one."""
        return next((term.decoder for term in self.terms if term.decoder is not None), None)

    def __call__(self, outputs: Outputs, target: Shaped[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        total = jnp.zeros(())
        for term, weight in zip(self.terms, self.weights, strict=True):
            total = total + weight * term(outputs, target)
        return total


def _sum(terms: tuple[AbstractLoss, ...], weights: tuple[float, ...]) -> Sum:
    # Pyright takes the abstract `decoder` for a field.
    return Sum(terms=terms, weights=weights)  # pyright: ignore[reportCallIssue]
