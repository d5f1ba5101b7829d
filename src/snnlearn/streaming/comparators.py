"""What an online learner is compared with: predictors that are fixed before the stream begins, run beside it."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.network import Network


class AbstractComparator(Component):
    """A predictor that does not learn: in each step it predicts, then sees the target."""

    @abstractmethod
    def start(self, out_shape: tuple[int, ...], target: jax.ShapeDtypeStruct) -> Any:
        """The state before the first step.

        Args:
            out_shape: of one step's prediction, in the place of the network's output.
            target: shape and type of one step's target.

        Raises:
            SnnlearnError: if it cannot predict such a target.
        """

    @abstractmethod
    def predict(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """The prediction of one step, before its target is known, and the next state.

        Args:
            x: the network's input, `[*in_shape]`.
            state: from `start` or `observe`.
        """

    def observe(self, target: Shaped[Array, "..."], state: Any) -> Any:
        """The state after the target of the step was seen; by default the same.

        Args:
            target: of this step.
            state: from `predict`.
        """
        return state


@final
class Constantly(AbstractComparator):
    """The same prediction in each step, such as the mean of earlier data, or the logarithms of class frequencies.

    Args:
        prediction: in the place of the network's output, `[*out_shape]`.

    Raises:
        SnnlearnError: if it is no array of numbers.
    """

    prediction: Float[Array, "..."]

    def __check_init__(self):
        check_fields(self, "prediction")

    def start(self, out_shape: tuple[int, ...], target: jax.ShapeDtypeStruct) -> None:
        """See the base: none."""
        if self.prediction.shape != out_shape:
            raise SnnlearnError(
                f"Constantly: prediction has shape {list(self.prediction.shape)}, and the network's output "
                f"{list(out_shape)}; make them equal"
            )

    def predict(self, x: Float[Array, "..."], state: None) -> tuple[Float[Array, "..."], None]:
        """See the base."""
        return self.prediction.astype(x.dtype), None


@final
class Persistence(AbstractComparator):
    """The last target is the prediction, at first 0: the naive forecast of a signal.

    >>> Persistence().start((2,), jax.ShapeDtypeStruct((2,), jnp.float32))
    Array([0., 0.], dtype=float32)
    """

    def start(self, out_shape: tuple[int, ...], target: jax.ShapeDtypeStruct) -> Float[Array, "..."]:
        """See the base: the last target."""
        if target.shape != out_shape or not jnp.issubdtype(target.dtype, jnp.floating):
            raise SnnlearnError(
                f"Persistence predicts the last target, which is {target.dtype.name}{list(target.shape)} and no output "
                f"of shape {list(out_shape)}; of classes use Constantly, with the logarithms of their frequencies"
            )
        return jnp.zeros(target.shape, target.dtype)

    def predict(
        self, x: Float[Array, "..."], state: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """See the base."""
        return state, state

    def observe(self, target: Float[Array, "..."], state: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return target


@final
class Fixed(AbstractComparator):
    """A network that keeps its weights, such as the one that the learner starts from, on a trajectory of its own.

    Args:
        network: with the learner's shapes of input and output; its noise, if there is any, has a fixed key.

    Raises:
        SnnlearnError: if it is no network.
    """

    network: Network

    def __check_init__(self):
        check_fields(self, "network")

    def start(self, out_shape: tuple[int, ...], target: jax.ShapeDtypeStruct) -> Any:
        """See the base: the network's, at rest."""
        if self.network.out_shape != out_shape:
            raise SnnlearnError(
                f"Fixed: network's output has shape {list(self.network.out_shape)}, and the learner's "
                f"{list(out_shape)}; make them equal"
            )
        return self.network.initial_state()

    def predict(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """See the base.

        Raises:
            SnnlearnError: if the learner's input has another shape than the network's.
        """
        if x.shape != self.network.in_shape:
            raise SnnlearnError(
                f"Fixed: network's input has shape {list(self.network.in_shape)}, and the learner's {list(x.shape)}; "
                "make them equal"
            )
        return self.network.step(x, state)
