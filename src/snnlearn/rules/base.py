"""What every learning rule is: network, loss and batch in; loss and gradient out."""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn.coding import PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import LayerState, Network, unroll


class AbstractRule(eqx.Module):
    """How credit is assigned: an estimate of the gradient of the mean loss over a batch.

    An optimiser takes the gradient without knowing which rule made it.
    """

    @abstractmethod
    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."],
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """Estimate the gradient.

        Args:
            network: the network.
            loss: the loss of one sample.
            inputs: encoded data, `[B, T, *in_shape]`.
            targets: what the loss takes, `[B, ...]`.
            key: random key of the rule's draws and of the network's noise, if there are any.

        Returns:
            the mean loss, and a gradient of the network's own structure, with None where the network has no parameter.
        """


def mean_loss(
    network: Network,
    loss: AbstractLoss,
    inputs: Float[Array, "B T ..."] | PackedSpikes,
    targets: Shaped[Array, "B ..."],
    *,
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """The mean loss over a batch."""

    def one(xs, target, state):
        activity, _ = unroll(network, xs, state)
        return loss(activity.outputs, target)

    if isinstance(inputs, PackedSpikes):
        rest = start_state(network, len(inputs.words), key=key)
        return jnp.mean(jax.vmap(one)(inputs, targets, rest))
    # Time first, as the scan over time wants it: otherwise every layer's sequence is copied to and fro.
    rest = start_state(network, len(inputs), key=key)
    return jnp.mean(jax.vmap(one, in_axes=(1, 0, 0))(jnp.swapaxes(inputs, 0, 1), targets, rest))


def start_state(network: Network, batch_size: int, *, key: PRNGKeyArray) -> tuple[LayerState, ...]:
    """The network's state at rest, for a batch side by side, where neurons draw their spikes with noise for each."""
    # A branch of the key that no rule takes for its own draws.
    keys = jax.random.split(jax.random.fold_in(key, 2**32 - 1), batch_size)
    return jax.vmap(lambda key: network.initial_state(key=key))(keys)
