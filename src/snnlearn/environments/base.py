"""The base of environments, and how a network acts in one."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.network import Network


class AbstractEnvironment(Component):
    """An environment: in each time step it gives an observation, takes an action and gives a reward."""

    in_shape: eqx.AbstractVar[tuple[int, ...]]
    num_actions: eqx.AbstractVar[int]

    @abstractmethod
    def start(self, *, key: PRNGKeyArray) -> tuple[Any, Float[Array, "*in"]]:
        """Begin an episode: the environment's state, and the first observation, `[*in_shape]`."""

    @abstractmethod
    def step(
        self, state: Any, action: Int[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Any, Float[Array, "*in"], Float[Array, ""]]:
        """Take an action: the next state, the next observation, `[*in_shape]`, and the reward."""


class Episode(NamedTuple):
    r"""An episode of T time steps.

    Args:
        inputs: the observations, `[T, *in_shape]`.
        actions: the network's actions, `[T]`.
        rewards: the rewards $r^t$, `[T]`.
        values: the network's values $V^t$, `[T]`.
    """

    inputs: Float[Array, "T ..."]
    actions: Int[Array, " T"]
    rewards: Float[Array, " T"]
    values: Float[Array, " T"]

    def judged(self, discount: float = 0.99) -> Float[Array, "T 3"]:
        r"""The target of `ActorCritic`: the action, the return and the advantage of each step, `[T, 3]`.

        The return is $R^t=\sum_{k\ge t}\gamma^{k-t}r^k$, with nothing after the last step, and the advantage is
        $R^t-V^t$.

        Args:
            discount: $\gamma$, in [0, 1].

        Raises:
            SnnlearnError: for a discount out of range.

        >>> Episode(jnp.zeros((3, 1)), jnp.array([0, 1, 0]), jnp.array([0.0, 0.0, 1.0]), jnp.zeros(3)).judged(0.5)[:, 1]
        Array([0.25, 0.5 , 1.  ], dtype=float32)
        """
        if not 0 <= discount <= 1:
            raise SnnlearnError(f"Episode.judged: discount is {discount}; give a number from 0 to 1")

        def back(later, reward):
            now = reward + discount * later
            return now, now

        _, returns = jax.lax.scan(back, jnp.zeros(()), self.rewards, reverse=True)
        return jnp.stack([self.actions.astype(returns.dtype), returns, returns - self.values], axis=-1)


def play(network: Network, environment: AbstractEnvironment, num_steps: int, *, key: PRNGKeyArray) -> Episode:
    r"""Run a network in an environment for an episode.

    In each step its outputs are a logit for each action, followed by the value $V^t$; actions are drawn from the
    softmax of the logits. For a batch, `jax.vmap` over keys.

    Args:
        network: the network, with `num_actions` + 1 outputs.
        environment: the environment.
        num_steps: T, how long the episode lasts.
        key: random key of the environment, the actions and the network's own noise.

    Returns:
        the episode.

    Raises:
        SnnlearnError: if the network does not fit the environment.

    >>> from snnlearn.environments import DelayedChoice
    >>> from snnlearn.network import feedforward
    >>> environment = DelayedChoice()
    >>> network = feedforward((*environment.in_shape, 16, environment.num_actions + 1), key=jax.random.key(0))
    >>> play(network, environment, environment.num_steps, key=jax.random.key(1)).rewards.shape
    (40,)
    """
    expected = environment.in_shape, (environment.num_actions + 1,)
    if (network.in_shape, network.out_shape) != expected:
        raise SnnlearnError(
            f"play: the network maps {network.in_shape} to {network.out_shape}, and {type(environment).__name__} needs "
            f"{expected[0]} to {expected[1]}, a logit of each action and the value"
        )
    of_network, of_start, of_steps = jax.random.split(key, 3)

    def step(carry, key):
        state, world, x = carry
        of_action, of_world = jax.random.split(key)
        output, state = network.step(x, state)
        action = jax.random.categorical(of_action, output[:-1])
        world, shown, reward = environment.step(world, action, key=of_world)
        return (state, world, shown), Episode(x, action, reward, output[-1])

    start = network.initial_state(key=of_network), *environment.start(key=of_start)
    return jax.lax.scan(step, start, jax.random.split(of_steps, num_steps))[1]
