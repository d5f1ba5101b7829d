"""What a circuit bounds, or bends: weights, currents, membranes, and the current of a device by its voltage."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_finite, check_positive, number
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.weights import each_connection, each_neuron, each_weight, weights
from snnlearn.network import AbstractOuterSynapses, AbstractSynapses, LoweredSynapses, Network
from snnlearn.neurons import Railed, Saturated


@final
class SaturatedWeights(AbstractEffect):
    r"""Weights saturate, $w\leftarrow w_{max}\tanh(w/w_{max})$.

    Nothing is drawn. Weights change, and nothing else: kernels run the network as before.

    Args:
        largest: $w_{max}$, which the size of weights stays below, in their unit, > 0.

    Raises:
        SnnlearnError: for a bound that is not positive.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> chip = SaturatedWeights(0.1)(feedforward((4, 3, 2), key=jax.random.key(0)), key=jax.random.key(1))
    >>> bool(jnp.abs(chip.layers[0].synapses.weight).max() <= 0.1)
    True
    """

    largest: float | Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self):
        check_positive(self, largest=self.largest)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def saturated(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            return self.largest * jnp.tanh(weight / self.largest)

        return each_weight(self, network, saturated, key=key)


@final
class SaturatedCurrents(AbstractEffect):
    """The current of each neuron saturates (`neurons.Saturated`). Nothing is drawn; the network runs as plain JAX.

    Args:
        largest: which the current's size stays below, in the unit of currents, > 0.

    Raises:
        SnnlearnError: for a bound that is not positive.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> chip = SaturatedCurrents(5.0)(feedforward((4, 3, 2), key=jax.random.key(0)), key=jax.random.key(1))
    >>> chip.layers[0].neuron.largest
    5.0
    """

    largest: float = eqx.field(converter=number)

    def __check_init__(self):
        check_positive(self, largest=self.largest)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return each_neuron(network, lambda layer, _: Saturated(layer.neuron, self.largest))  # pyright: ignore


@final
class Rails(AbstractEffect):
    """Membranes stay between two rails (`neurons.Railed`). Nothing is drawn; the network runs as plain JAX.

    Args:
        low: the lower rail, in the unit of membranes.
        high: the upper rail, above `low` and all thresholds.

    Raises:
        SnnlearnError: for rails that are not finite, or in another order.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> chip = Rails(-0.5, 1.5)(feedforward((4, 3, 2), key=jax.random.key(0)), key=jax.random.key(1))
    >>> chip.layers[0].neuron.low
    -0.5
    """

    low: float = eqx.field(converter=number)
    high: float = eqx.field(converter=number)

    def __check_init__(self):
        check_finite(self, low=self.low, high=self.high)
        if self.low >= self.high:
            raise SnnlearnError(f"Rails: low is {self.low}, not below high = {self.high}; exchange them")

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return each_neuron(network, lambda layer, _: Railed(layer.neuron, self.low, self.high))  # pyright: ignore


@final
class Bent(AbstractOuterSynapses):
    r"""Synapses whose devices' current is not proportional to their voltage, $i=W\,\frac{\sinh(ax)}{\sinh a}$.

    Not linear in the input, but in the weights.

    Args:
        synapses: the synapses.
        steepness: $a$, > 0.

    Raises:
        SnnlearnError: for a part of another kind, or a steepness that is not positive.
    """

    synapses: AbstractSynapses
    steepness: float = eqx.field(converter=number)

    def __check_init__(self):
        check_fields(self, "synapses")
        check_positive(self, steepness=self.steepness)

    def _bent(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.sinh(self.steepness * x) / jnp.sinh(self.steepness)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return self.synapses(self._bent(x))

    def step(self, x: Float[Array, "..."], state: object) -> tuple[Float[Array, "..."], object]:
        """See the base."""
        return self.synapses.step(self._bent(x), state)

    def before(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        return self.synapses.before(self._bent(x))

    def lowered(self) -> LoweredSynapses | str:
        """As those inside: the kernels apply it to spikes, which are 0 or 1, and to nothing else."""
        return self.synapses.lowered()


@final
class NonlinearDevices(AbstractEffect):
    r"""The current of a device is no multiple of its voltage: $i\propto\sinh(ax)$, with 1 for an input of 1.

    The law of conduction through a thin oxide, $I\propto\sinh(V/V_0)$ (Yakopcic et al. 2011,
    doi:10.1109/LED.2011.2163292); $a$ is the voltage of an input of 1 by $V_0$. Spikes are all of one voltage, so they
    do not notice: it matters for inputs that are numbers, and for connections from neurons that do not spike. Nothing
    is drawn. Kernels run networks of dense layers as before.

    Args:
        steepness: $a$, > 0; the smaller, the more linear.

    Raises:
        SnnlearnError: for a steepness that is not positive.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> chip = NonlinearDevices(2.0)(feedforward((4, 3, 2), key=jax.random.key(0)), key=jax.random.key(1))
    >>> chip.layers[0].synapses.steepness
    2.0
    """

    steepness: float = eqx.field(converter=number)

    def __check_init__(self):
        check_positive(self, steepness=self.steepness)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
            return Bent(synapses, self.steepness) if weights(synapses) else synapses  # pyright: ignore[reportCallIssue]

        return each_connection(network, of, key=key)
