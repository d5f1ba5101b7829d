"""Several synapses, one after the other."""

from itertools import pairwise
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.network.shapes import check_fit
from snnlearn.network.synapses.base import AbstractSynapses, LoweredImage
from snnlearn.network.synapses.one_to_one import OneToOne


@final
class Chain(AbstractSynapses):
    """Several synapses one after the other, without neurons between them, such as pooling and then a convolution.

    Args:
        stages: the synapses, first to last; each must fit the one before in size.

    Raises:
        SnnlearnError: if there is no stage, or one does not fit the stage before it.

    >>> from snnlearn.network import AveragePool2d, Dense
    >>> pool = AveragePool2d((1, 8, 8), 2)
    >>> Chain(pool, Dense(16, 10, key=jax.random.key(0)))(jnp.ones((8, 8))).shape
    (10,)
    """

    stages: tuple[AbstractSynapses, ...]

    def __init__(self, *stages: AbstractSynapses):
        if not stages:
            raise SnnlearnError("Chain: it has no stages; give at least one")
        for before, after in pairwise(stages):
            check_fit("Chain", before.out_shape, after.in_shape)
        self.stages = stages

    @property
    def in_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The first stage's."""
        return self.stages[0].in_shape

    @property
    def out_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The last stage's."""
        return self.stages[-1].out_shape

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        for stage in self.stages:
            x = stage(x)
        return x

    def lowered_image(self, shape: tuple[int, int, int]) -> LoweredImage | str:
        """Means over windows, and then weights; no longer chain."""
        first, *others = self.stages
        found = first.lowered_image(shape)
        if isinstance(found, str) or not others:
            return found
        arriving = first.out_shape
        if found.weight is None and len(others) == 1 and len(arriving) == 3:
            weights = others[0].lowered_image(arriving)
            if isinstance(weights, str):
                return weights
            if weights.weight is not None and weights.window == 1:
                return weights._replace(window=found.window)
        return "has more stages of synapses than a pooling and then weights"

    def initial_state(self) -> tuple[Any, ...] | None:
        """The stages'."""
        states = tuple(stage.initial_state() for stage in self.stages)
        return None if all(state is None for state in states) else states

    def step(self, x: Float[Array, "..."], state: Any) -> tuple[Float[Array, "..."], Any]:
        """See the base."""
        if state is None:
            return self(x), None
        after = []
        for stage, each in zip(self.stages, state, strict=True):
            x, each = stage.step(x, each)
            after.append(each)
        return x, tuple(after)

    def all_steps(self, xs: Float[Array, "T ..."], state: Any) -> tuple[Float[Array, "T ..."], Any]:
        """See the base."""
        after = []
        for stage, each in zip(self.stages, (None,) * len(self.stages) if state is None else state, strict=True):
            xs, each = stage.all_steps(xs, each)
            after.append(each)
        return xs, None if state is None else tuple(after)

    @property
    def longest_delay(self) -> int:
        """Those of the stages add up."""
        return sum(stage.longest_delay for stage in self.stages)

    @property
    def linear(self) -> bool:
        """Whether all stages are."""
        return all(stage.linear for stage in self.stages)

    @property
    def steady(self) -> bool:
        """As the last stage is, where no state is before it."""
        return self.stages[-1].steady and all(stage.initial_state() is None for stage in self.stages[:-1])

    @property
    def has_weights(self) -> bool:
        """Whether a stage has."""
        return any(stage.has_weights for stage in self.stages)

    @property
    def carrier(self) -> AbstractSynapses:
        """The last stage's."""
        return self.stages[-1].carrier

    def before(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        for stage in self.stages[:-1]:
            x = stage(x)
        return self.stages[-1].before(x)

    def redrawn(self, *, key: PRNGKeyArray) -> "Chain":
        """See the base."""
        keys = jax.random.split(key, len(self.stages))
        stages = tuple(stage.redrawn(key=k) for stage, k in zip(self.stages, keys, strict=True))
        return eqx.tree_at(lambda chain: chain.stages, self, stages)

    def affine(self, before: Any = 1.0, after: Any = 1.0, shift: Float[Array, "..."] | None = None) -> "Chain":
        """See the base: the first stage that has weights takes what comes before, the last what comes after."""
        first = next((n for n, stage in enumerate(self.stages) if stage.has_weights), None)
        if first is None:
            return Chain(*self.stages, OneToOne(self.out_shape, before * jnp.asarray(after), shift))
        stages = list(self.stages)
        stages[first] = stages[first].affine(before)
        stages[-1] = stages[-1].affine(1.0, after, shift)
        return Chain(*stages)

    def adjusted(self, gain: Float[Array, "..."], shift: Float[Array, "..."]) -> "Chain":
        """The last stage's are."""
        return Chain(*self.stages[:-1], self.stages[-1].adjusted(gain, shift))

    def operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """See the base."""
        total = jnp.zeros((), x.dtype)
        for stage in self.stages:
            total, x = total + stage.operations(x), stage(x)
        return total

    def direct_operations(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        """Those of the stages up to the first that does not pass on spikes, such as a mean."""
        total = jnp.zeros((), x.dtype)
        for stage in self.stages:
            total, x = total + stage.direct_operations(x), stage(x)
            if not stage.selects:
                break
        return total

    def multiply_accumulates(self) -> int:
        """See the base."""
        return sum(stage.multiply_accumulates() for stage in self.stages)
