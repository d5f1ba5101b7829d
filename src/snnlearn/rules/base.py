"""What every learning rule is: network, loss and batch in; loss and gradient out."""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn.losses import AbstractLoss
from snnlearn.network import Network, unroll


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
            key: random key; deterministic rules ignore it.

        Returns:
            the mean loss, and a gradient of the network's own structure, with None where the network has no parameter.
        """


def mean_loss(
    network: Network, loss: AbstractLoss, inputs: Float[Array, "B T ..."], targets: Shaped[Array, "B ..."]
) -> Float[Array, ""]:
    """The mean loss over a batch."""

    def one(xs, target):
        activity, _ = unroll(network, xs)
        return loss(activity.outputs, target)

    # Time first, as the scan over time wants it: otherwise every layer's sequence is copied to and fro.
    return jnp.mean(jax.vmap(one, in_axes=(1, 0))(jnp.swapaxes(inputs, 0, 1), targets))
