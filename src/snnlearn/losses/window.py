"""A loss of some of the time steps only."""

from __future__ import annotations

from typing import Any, final

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn.coding import AbstractDecoder
from snnlearn.losses.base import AbstractStepwiseLoss


@final
class Window(AbstractStepwiseLoss):
    r"""A loss restricted to the steps `start ≤ t < stop`, such as those after a cue; a mean stays a mean.

    Args:
        loss: the loss of all steps.
        start: the first step that counts; as in a slice, a negative one counts from the end.
        stop: the first step that no longer counts, or None for the end.

    >>> from snnlearn.losses import MeanSquaredError
    >>> outputs, target = (jnp.zeros((5, 2)),), jnp.arange(10.0).reshape(5, 2)
    >>> float(Window(MeanSquaredError(), start=-1)(outputs, target))  # (8² + 9²) / 2
    72.5
    """

    loss: AbstractStepwiseLoss
    start: int = 0
    stop: int | None = None

    @property
    def decoder(self) -> AbstractDecoder | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The other loss's."""
        return self.loss.decoder

    def moments(self, target: Shaped[Array, "..."], num_steps: int) -> tuple[Any, Array]:
        """See the base: those of the inner loss, and the factor by which a step's weight changes."""
        start, stop, _ = slice(self.start, self.stop).indices(num_steps)
        if start >= stop:
            raise SnnlearnError(
                f"Window: no step of {num_steps} lies from {self.start} to {self.stop}; give a window within them"
            )
        steps = jnp.arange(num_steps)
        share = jnp.where((steps >= start) & (steps < stop), num_steps / (stop - start), 0.0)
        return self.loss.moments(target, num_steps), share

    def moments_until(self, target: Shaped[Array, "..."], num_steps: int, length: Int[Array, ""]) -> tuple[Any, Array]:
        """See the base: the window of the sample's own steps; a sample without a step in it costs nothing."""
        start = _within(self.start, length)
        stop = length if self.stop is None else _within(self.stop, length)
        steps = jnp.arange(num_steps, dtype=length.dtype)
        factor = length.astype(jnp.result_type(float)) / jnp.maximum(stop - start, 1).astype(jnp.result_type(float))
        share = jnp.where((steps >= start) & (steps < stop), factor, 0.0)
        return self.loss.moments_until(target, num_steps, length), share

    def moment_of_step(self, target: Shaped[Array, "..."], past: Any) -> tuple[Any, Any]:
        """See the base: not defined, as there is no end to count from and no mean of all steps."""
        raise SnnlearnError("Window: a stream without end has no such window; use the loss inside, in all steps")

    def at_step(self, output: Float[Array, "*n"], moment: tuple[Any, Array]) -> Float[Array, ""]:
        """See the base."""
        inner, share = moment
        return share * self.loss.at_step(output, inner)


def _within(index: int, length: Int[Array, ""]) -> Int[Array, ""]:
    """A slice's index, in a signal of this length."""
    return jnp.minimum(index, length) if index >= 0 else jnp.maximum(length + index, 0)
