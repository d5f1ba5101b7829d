"""Synapses with noise: in the weights as they are read, or in the currents."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Parameter, check_not_negative, plain, value
from snnlearn.network.synapses.base import AbstractSynapses
from snnlearn.network.synapses.outer import AbstractOuterSynapses
from snnlearn.network.synapses.weights import connection_weights


class NoiseState(NamedTuple):
    """The state of the synapses inside, and the key of the next noise."""

    synapses: Any
    key: PRNGKeyArray


@final
class ReadNoise(AbstractOuterSynapses):
    r"""Synapses whose weights are read with noise, drawn in each time step, $i^t=(W+\sigma N^t)\,x^t$.

    $N^t$ is standard normal, for each weight and step, and not part of the derivative by W. A sample's noise comes from
    a key in the network's state.

    Args:
        synapses: the synapses whose weights are read.
        std: standard deviation $\sigma$ of a read, in the unit of weights, ≥ 0.

    Raises:
        SnnlearnError: for a negative or infinite deviation, or a part of another kind.

    >>> import jax.numpy as jnp
    >>> from snnlearn.network import Dense
    >>> noisy = ReadNoise(Dense(4, 3, key=jax.random.key(0)), std=0.1)
    >>> first, state = noisy.step(jnp.ones(4), noisy.initial_state())
    >>> second, _ = noisy.step(jnp.ones(4), state)
    >>> bool((first != second).all())
    True
    """

    synapses: AbstractSynapses
    std: float = eqx.field(converter=float)

    def __check_init__(self):
        check_fields(self, "synapses")
        if not 0 <= self.std < float("inf"):
            raise SnnlearnError(
                f"ReadNoise: std is {self.std}; give a finite number of at least 0, in the unit of weights"
            )

    def initial_state(self) -> NoiseState:
        """See the base."""
        return NoiseState(self.synapses.initial_state(), jax.random.key(0))

    def step(self, x: Float[Array, "..."], state: NoiseState) -> tuple[Float[Array, "..."], NoiseState]:
        """See the base."""
        later, now = jax.random.split(state.key)
        current, synapses = self._read(now).step(x, state.synapses)
        return current, NoiseState(synapses, later)

    def _read(self, key: PRNGKeyArray) -> AbstractSynapses:
        """The synapses with the weights of one read."""
        leaves, structure = jax.tree.flatten(self.synapses)
        is_weight = jax.tree.leaves(connection_weights(self.synapses))
        read = [
            leaf + self.std * jax.random.normal(jax.random.fold_in(key, number), leaf.shape, leaf.dtype)
            if noisy
            else leaf
            for number, (leaf, noisy) in enumerate(zip(leaves, is_weight, strict=True))
        ]
        return jax.tree.unflatten(structure, read)

    @property
    def selects(self) -> bool:
        """As those inside do."""
        return self.synapses.selects

    @property
    def steady(self) -> bool:
        """As those inside are, if they hold all the weights: noise is added to these."""
        return self.synapses.steady and self.synapses.carrier is self.synapses


@final
class CurrentNoise(AbstractOuterSynapses):
    r"""Synapses whose currents are noisy, $i^t=W x^t+\sigma n^t$.

    $n^t$ is standard normal, for each unit and step. A sample's noise comes from a key in the network's state.

    Args:
        synapses: the synapses that give the currents.
        std: standard deviation $\sigma$, in the unit of the currents, ≥ 0; a float or a `Constant` is fixed, an array
            is trained.

    Raises:
        SnnlearnError: for a negative or infinite deviation, or a part of another kind.

    >>> import jax.numpy as jnp
    >>> from snnlearn.network import Dense
    >>> noisy = CurrentNoise(Dense(4, 1000, key=jax.random.key(0)), std=0.5)
    >>> current, _ = noisy.step(jnp.zeros(4), noisy.initial_state())
    >>> round(float(current.std()), 1)
    0.5
    """

    synapses: AbstractSynapses
    std: Parameter = eqx.field(converter=plain)

    def __check_init__(self):
        check_fields(self, "synapses")
        check_not_negative(self, std=self.std)

    def initial_state(self) -> NoiseState:
        """See the base."""
        return NoiseState(self.synapses.initial_state(), jax.random.key(0))

    def step(self, x: Float[Array, "..."], state: NoiseState) -> tuple[Float[Array, "..."], NoiseState]:
        """See the base."""
        later, now = jax.random.split(state.key)
        current, synapses = self.synapses.step(x, state.synapses)
        noise = jax.random.normal(now, current.shape, current.dtype)
        return current + value(self.std) * noise, NoiseState(synapses, later)
