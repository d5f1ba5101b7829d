"""The forward gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network
from snnlearn.rules.base import AbstractRule, mean_loss


@final
class ForwardGradient(AbstractRule):
    r"""The forward gradient $\hat g=\frac1K\sum_k(\nabla\mathcal L\cdot v_k)\,v_k$ (Baydin et al. 2022).

    doi:10.48550/arXiv.2202.08587. Each directional derivative is one forward pass through time, with surrogate
    derivatives, so no activity is stored. It is unbiased for BPTT's gradient; for one normal tangent its variance is
    $E\|\hat g\|^2=(d+2)\|\nabla\mathcal L\|^2$ with d parameters, for one Rademacher tangent $d\,\|\nabla\mathcal
    L\|^2$.

    Args:
        num_tangents: K, ≥ 1.
        draw: the tangents' distribution, of mean 0 and variance 1: `jax.random.normal` or `jax.random.rademacher`.

    Raises:
        SnnlearnError: if num_tangents < 1.

    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(ForwardGradient(2))(network, CrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    num_tangents: int = 1
    draw: Callable[..., Array] = eqx.field(static=True, default=jax.random.normal)

    def __check_init__(self):
        if self.num_tangents < 1:
            raise SnnlearnError(f"ForwardGradient: num_tangents is {self.num_tangents}; give at least 1")

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def __call__(
        self,
        network: Network,
        loss: AbstractLoss,
        inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues,
        targets: Shaped[Array, "B ..."],
        *,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Network]:
        """See the base."""
        parameters, constants = split(network)

        def of(parameters):
            return mean_loss(eqx.combine(parameters, constants), loss, inputs, targets, key=key)

        def along(key):
            tangent = drawn_like(parameters, self.draw, key=key)
            value, slope = jax.jvp(of, (parameters,), (tangent,))
            return value, jax.tree.map(lambda v: slope * v, tangent)

        values, estimates = jax.lax.map(along, jax.random.split(key, self.num_tangents))
        return values[0], jax.tree.map(lambda g: jnp.mean(g, axis=0), estimates)


def drawn_like(parameters: Any, draw: Callable[..., Array], *, key: PRNGKeyArray) -> Any:
    """Random numbers in the shape of the parameters."""
    leaves, structure = jax.tree.flatten(parameters)
    keys = jax.random.split(key, max(1, len(leaves)))
    return jax.tree.unflatten(
        structure, [draw(k, leaf.shape, dtype=leaf.dtype) for k, leaf in zip(keys, leaves, strict=False)]
    )
