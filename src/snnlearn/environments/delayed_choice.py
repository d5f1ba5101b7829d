"""A cue, a delay, a choice."""

from __future__ import annotations

from typing import NamedTuple, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.environments.base import AbstractEnvironment


class World(NamedTuple):
    """The cued side, and the number of the step."""

    side: Int[Array, ""]
    step: Int[Array, ""]


@final
class DelayedChoice(AbstractEnvironment):
    """A group of inputs fires, later a go signal: an action then is rewarded if it names the group.

    Each step of the go signal rewards the right action with 1 / `choice` and any other with −1 / `choice`, so an
    episode yields −1 to 1; before, actions have no consequence. Inputs fire as Poisson processes.

    Args:
        num_actions: the number of sides.
        group: inputs of each group.
        cue: steps of the cue.
        delay: steps without any input after it.
        choice: steps of the go signal, at the end.
        p: probability with which an input of an active group fires in a step.

    Raises:
        SnnlearnError: for a size or a probability out of range.
    """

    num_actions: int = 2
    group: int = 5
    cue: int = 10
    delay: int = 20
    choice: int = 10
    p: float = 0.3

    def __check_init__(self):
        for name, least in (("num_actions", 2), ("group", 1), ("cue", 1), ("delay", 0), ("choice", 1)):
            if getattr(self, name) < least:
                raise SnnlearnError(f"DelayedChoice: {name} is {getattr(self, name)}; give a whole number from {least}")
        if not 0 < self.p <= 1:
            raise SnnlearnError(f"DelayedChoice: p is {self.p}; give a probability above 0")

    @property
    def in_shape(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The groups of the sides, and the go signal."""
        return ((self.num_actions + 1) * self.group,)

    @property
    def num_steps(self) -> int:
        """How long an episode lasts."""
        return self.cue + self.delay + self.choice

    def start(self, *, key: PRNGKeyArray) -> tuple[World, Float[Array, " n"]]:
        """See the base."""
        of_side, of_input = jax.random.split(key)
        world = World(jax.random.randint(of_side, (), 0, self.num_actions), jnp.zeros((), int))
        return world, self._shown(world, of_input)

    def step(
        self, state: World, action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[World, Float[Array, " n"], Float[Array, ""]]:
        """See the base."""
        reward = jnp.where(self._asked(state), jnp.where(action == state.side, 1.0, -1.0) / self.choice, 0.0)
        state = World(state.side, state.step + 1)
        return state, self._shown(state, key), reward

    def _asked(self, world: World) -> Array:
        return world.step >= self.cue + self.delay

    def _shown(self, world: World, key: PRNGKeyArray) -> Float[Array, " n"]:
        groups = jnp.arange(self.num_actions + 1)
        active = jnp.where(
            world.step < self.cue, groups == world.side, (groups == self.num_actions) & self._asked(world)
        )
        chance = jnp.where(jnp.repeat(active, self.group, total_repeat_length=self.in_shape[0]), self.p, 0.0)
        return jax.random.bernoulli(key, chance).astype(jnp.result_type(float))
