"""How errors of the network's output reach its hidden units."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.network import Network
from snnlearn.network.graph import FROM_INPUT, routes


class AbstractFeedback(Component):
    """How errors get from the readout to the hidden layers."""

    @abstractmethod
    def __call__(
        self, network: Network, error: Float[Array, "*out"], responses: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        r"""The learning signals of the hidden layers in one step, each `[*shape]`.

        Args:
            network: the network.
            error: the derivative of the loss with respect to the readout's output, `[*out_shape]`.
            responses: for each layer, the derivative of its output with respect to its current.

        Raises:
            SnnlearnError: if no error reaches a hidden layer.
        """

    @property
    def learns(self) -> bool:
        """Whether the last hidden layer's `feedback` learns with the readout's weights."""
        return False


@final
class Symmetric(AbstractFeedback):
    r"""The forward weights, transposed: $L^{l-1}=W_l^\top(r_l\odot L^l)$, the derivative along the paths of one step.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> signal, = Symmetric()(network, jnp.ones(2), (jnp.ones(3), jnp.ones(2)))
    >>> bool(jnp.allclose(signal, network.layers[-1].synapses.weight.sum(axis=0)))
    True
    """

    def __call__(
        self, network: Network, error: Float[Array, "*out"], responses: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        """See the base."""
        errors: dict[int, Array] = {len(network.layers) - 1: error}
        for number, layer, ways in reversed(
            [*zip(range(len(responses)), network.layers, routes(network.layers), strict=True)]
        ):
            if number not in errors:
                raise SnnlearnError(
                    f"Symmetric: the output of layer {number + 1} does not reach the network's output in the same "
                    "step, so "
                    "no error comes back to it; use RandomFeedback, or BPTT"
                )
            for connection, (source, lag) in zip(layer.connections, ways, strict=True):
                if lag or source == FROM_INPUT:
                    continue
                synapses = connection.synapses
                _, pull = jax.vjp(synapses, jnp.zeros(network.layers[source].out_shape))
                (part,) = pull(jnp.reshape(responses[number] * errors[number], synapses.out_shape))
                errors[source] = errors[source] + part if source in errors else part
        return tuple(errors[number] for number in range(len(network.layers) - 1))


@final
class RandomFeedback(AbstractFeedback):
    r"""Fixed random weights from the readout to each hidden layer, $L^l=B_l(r\odot\delta)$ (Lillicrap et al. 2016).

    doi:10.1038/ncomms13276. $B_l$ is `[units, outputs]`, of any sizes, with elements $N(0, scale^2)$.

    Args:
        key: random key of the weights.
        scale: their standard deviation.
    """

    key: PRNGKeyArray
    scale: float = 1.0

    def __call__(
        self, network: Network, error: Float[Array, "*out"], responses: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        """See the base."""
        hidden = network.layers[:-1]
        shapes = [(*layer.shape, *network.out_shape) for layer in hidden]
        keys = jax.random.split(self.key, len(hidden)) if hidden else ()
        drawn = [self.scale * jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]
        return tuple(jnp.tensordot(b, responses[-1] * error, axes=error.ndim) for b in drawn)


@final
class UniformFeedback(AbstractFeedback):
    """The same signal for all units: the sum of the errors."""

    def __call__(
        self, network: Network, error: Float[Array, "*out"], responses: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        """See the base."""
        total = jnp.sum(responses[-1] * error)
        return tuple(jnp.full(layer.shape, total) for layer in network.layers[:-1])


@final
class StoredFeedback(AbstractFeedback):
    """Weights stored in the network, `Layer.feedback`; see `with_feedback`.

    They are fixed, or they learn with the readout.

    Args:
        learns: whether those of the last hidden layer get the transposed gradient of the readout's weights, so that,
            with the same decay of both, they align (Kolen & Pollack 1994; adaptive e-prop, Bellec et al. 2020).
    """

    learns: bool = False  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    def __call__(
        self, network: Network, error: Float[Array, "*out"], responses: tuple[Float[Array, "..."], ...]
    ) -> tuple[Float[Array, "..."], ...]:
        """See the base.

        Raises:
            SnnlearnError: if a hidden layer carries none.
        """
        signals = []
        for number, layer in enumerate(network.layers[:-1], start=1):
            if layer.feedback is None:
                raise SnnlearnError(
                    f"StoredFeedback: layer {number} carries no feedback weights; make them by with_feedback"
                )
            signals.append(jnp.tensordot(layer.feedback, responses[-1] * error, axes=error.ndim))
        return tuple(signals)


def with_feedback(network: Network, *, scale: float = 1.0, key: PRNGKeyArray) -> Network:
    """The network with random feedback weights in each hidden layer, for `StoredFeedback`.

    Args:
        network: the network.
        scale: the weights' standard deviation.
        key: their random key.

    >>> from snnlearn.network import feedforward
    >>> network = with_feedback(feedforward((4, 3, 2), key=jax.random.key(0)), key=jax.random.key(1))
    >>> network.layers[0].feedback.shape
    (3, 2)
    """
    *hidden, readout = network.layers
    keys = jax.random.split(key, len(network.layers))
    layers = [
        layer.with_parts(
            [connection.synapses for connection in layer.connections],
            layer.neuron,
            scale * jax.random.normal(k, (*layer.shape, *network.out_shape)),
        )
        for layer, k in zip(hidden, keys[:-1], strict=True)
    ]
    return Network((*layers, readout))
