"""Real-time recurrent learning."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._parameters import split
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.rules.base import start_state
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, stepwise


@final
class RTRL(AbstractOnlineRule):
    r"""Real-time recurrent learning, the exact gradient forward in time: $M^t=J^tM^{t-1}+\partial s^t/\partial\theta$.

    $d\mathcal L/d\theta=\sum_t(\partial\ell^t/\partial s^{t-1})M^{t-1}+\partial\ell^t/\partial\theta$
    with the influence $M=ds/d\theta$ of every parameter on every number of the state (Williams & Zipser 1989,
    doi:10.1162/neco.1989.1.2.270). It equals BPTT; it needs states × parameters of memory for each sample, and
    states times as much computation in each step: for small networks only.

    >>> from snnlearn.losses import StepwiseCrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(RTRL())(network, StepwiseCrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    @property
    def block_size(self) -> int:
        """See the base: any number works."""
        return 1

    def start(
        self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray
    ) -> tuple[Any, Float[Array, "B S P"]]:
        """See the base: the state, and the influence."""
        stepwise(self, loss)
        parameters, constants = split(network)
        theta, parameters_of = ravel_pytree(parameters)

        def rest(theta):
            state = eqx.combine(parameters_of(theta), constants).initial_state()
            return ravel_pytree(eqx.filter(state, eqx.is_inexact_array))[0]

        influence = jax.jacrev(rest)(theta)
        return start_state(network, batch_size, key=key), jnp.broadcast_to(influence, (batch_size, *influence.shape))

    def advance(
        self,
        network: Network,
        loss: AbstractLoss,
        memory: tuple[Any, Float[Array, "B S P"]],
        xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
        moments: Any,
    ) -> tuple[Any, Float[Array, ""], Network]:
        """See the base."""
        at_step = stepwise(self, loss).at_step
        parameters, constants = split(network)
        theta, parameters_of = ravel_pytree(parameters)

        def one(state, influence, x, moment):
            reals, others = eqx.partition(state, eqx.is_inexact_array)
            s, reals_of = ravel_pytree(reals)

            def step(s, theta):
                network = eqx.combine(parameters_of(theta), constants)
                output, after = network.step(x, eqx.combine(reals_of(s), others))
                return ravel_pytree(eqx.filter(after, eqx.is_inexact_array))[0], (output, after)

            def loss_of_step(s, theta):
                _, (output, after) = step(s, theta)
                return at_step(output, moment), after

            (value, after), (by_s, by_theta) = jax.value_and_grad(loss_of_step, (0, 1), has_aux=True)(s, theta)
            jacobian, direct = jax.jacrev(lambda s, theta: step(s, theta)[0], (0, 1))(s, theta)
            return after, jacobian @ influence + direct, value, by_theta + by_s @ influence

        def over_batch(carry, now):
            (state, influence), value, gradient = carry
            state, influence, values, gradients = jax.vmap(one)(state, influence, *now)
            return ((state, influence), value + jnp.mean(values), gradient + jnp.mean(gradients, axis=0)), None

        carry = memory, jnp.zeros(()), jnp.zeros_like(theta)
        (memory, value, gradient), _ = jax.lax.scan(over_batch, carry, (numbers(xs), moments))
        return memory, value, parameters_of(gradient)

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Any, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: nothing."""
        return no_gradient(network)
