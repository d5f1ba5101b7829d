"""Backpropagation through time."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.losses import AbstractLoss
from snnlearn.network import Network, why_not_compiled
from snnlearn.rules.base import AbstractRule, mean_loss


@final
class BPTT(AbstractRule):
    r"""Backpropagation through time with surrogate derivatives: the exact gradient of the surrogate dynamics.

    $\partial L/\partial W=\sum_t\delta_t x_t^\top$, $\delta_t=\psi_t g_t+J_t^\top\delta_{t+1}$ (Werbos 1990,
    doi:10.1109/5.58337; Neftci, Mostafa & Zenke 2019, doi:10.1109/MSP.2019.2931595).

    Memory grows with T. With segments of K steps only the state at the start of each is kept, and the backward pass
    recomputes the steps between: memory grows with T/K + K, least at K ≈ √T, for one more forward pass, and the
    gradient is the same (Chen et al. 2016, arXiv:1604.06174). With segments of L steps within those of K it grows with
    T/K + K/L + L, least at L ≈ ∛T and K ≈ L², for yet another forward pass. Outputs that the loss uses are kept in
    full.

    Args:
        segment: K, time steps of a segment, ≥ 1, or a tuple (K, L, …) of falling numbers; for packed spikes, each
            rounded up to a multiple of 32. None keeps all states.

    Raises:
        SnnlearnError: if a number is < 1, or not smaller than the one before.

    >>> import jax, jax.numpy as jnp
    >>> from snnlearn.losses import CrossEntropy
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(BPTT())(network, CrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[0].synapses.weight.shape
    (3, 4)
    """

    segment: int | tuple[int, ...] | None = None

    def __check_init__(self):
        sizes = self._sizes
        if self.segment is not None and (not sizes or min(sizes) < 1 or any(a <= b for a, b in pairwise(sizes))):
            raise SnnlearnError(
                f"BPTT: segment is {self.segment}; give at least 1 step, or a tuple of several numbers, each "
                "smaller than the one before, or None to keep all"
            )

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Of segments, and of those within them."""
        if self.segment is None:
            return ()
        return self.segment if isinstance(self.segment, tuple) else (self.segment,)

    def why_plain(self, network: Network) -> str | None:
        """See the base."""
        return why_not_compiled(network.layers)

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

        @eqx.filter_value_and_grad
        def value_and_gradient(parameters):
            network = eqx.combine(parameters, constants)
            return mean_loss(network, loss, inputs, targets, segments=self._sizes, key=key)

        return value_and_gradient(parameters)
