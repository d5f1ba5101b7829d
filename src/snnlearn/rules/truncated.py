"""Truncated backpropagation through time."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network, unroll
from snnlearn.rules.base import start_state
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, stepwise


class Memory(NamedTuple):
    """The networks' state, and whether it is still the one at rest: 1, or 0."""

    state: Any
    at_rest: Float[Array, ""]


@final
class TruncatedBPTT(AbstractOnlineRule):
    """Backpropagation within blocks of time steps: the state passes from block to block, the gradient does not.

    With `steps` ≥ T it is BPTT; otherwise effects on later blocks are neglected (Williams & Peng 1990,
    doi:10.1162/neco.1990.2.4.490). Memory grows with `steps`, not with T.

    Args:
        steps: k, time steps of a block, ≥ 1.

    Raises:
        SnnlearnError: if steps < 1.

    >>> from snnlearn.losses import StepwiseCrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, _ = eqx.filter_jit(TruncatedBPTT(4))(network, StepwiseCrossEntropy(), *batch, key=jax.random.key(1))
    >>> loss.shape
    ()
    """

    steps: int

    def __check_init__(self):
        if self.steps < 1:
            raise SnnlearnError(f"TruncatedBPTT: steps is {self.steps}; give at least 1")

    @property
    def block_size(self) -> int:
        """See the base."""
        return self.steps

    def start(self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray) -> Memory:
        """See the base."""
        stepwise(self, loss)
        return Memory(start_state(network, batch_size, key=key), jnp.ones(()))

    def advance(
        self,
        network: Network,
        loss: AbstractLoss,
        memory: Memory,
        xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
        moments: Any,
    ) -> tuple[Memory, Float[Array, ""], Network]:
        """See the base."""
        at_step = stepwise(self, loss).at_step

        parameters, constants = split(network)

        @eqx.filter_value_and_grad(has_aux=True)
        def mean_loss(parameters):
            network = eqx.combine(parameters, constants)

            def one(state, xs, moments):
                activity, state = unroll(network, xs, state)
                return jnp.sum(jax.vmap(at_step)(activity.outputs[-1], moments)), state

            state = jax.vmap(lambda state: _following(network.initial_state(), state, memory.at_rest))(memory.state)
            losses, state = jax.vmap(one, in_axes=(0, 1, 1))(state, xs, moments)
            return jnp.mean(losses), state

        (value, state), gradient = mean_loss(parameters)
        return Memory(state, jnp.zeros(())), value, gradient

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Memory, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: nothing."""
        return no_gradient(network)


def _following(rest: Any, state: Any, share: Float[Array, ""]) -> Any:
    """The state, with a share of the derivatives of the one at rest, from which the first step starts."""

    def one(rest, state):
        return state + share * (rest - jax.lax.stop_gradient(rest)) if eqx.is_inexact_array(state) else state

    return jax.tree.map(one, rest, state)
