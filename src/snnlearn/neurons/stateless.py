"""Units without time: the parts of an artificial neural network."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import check_positive, number
from snnlearn.neurons.base import AbstractNeuron


class StatelessState(NamedTuple):
    """The current of the last step, as the membrane `v`; the next step ignores it."""

    v: Float[Array, "*units"]


class AbstractStateless(AbstractNeuron):
    """A unit whose output is a function of the current of the same step.

    Raises:
        SnnlearnError: if dt is not above 0.
    """

    dt: eqx.AbstractVar[float]

    @abstractmethod
    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """The function."""

    def __check_init__(self):
        check_positive(self, dt=self.dt)

    def initial_state(self, shape: tuple[int, ...]) -> StatelessState:
        """See the base."""
        return StatelessState(jnp.zeros(shape))

    def __call__(
        self, current: Float[Array, "*units"], state: StatelessState
    ) -> tuple[Float[Array, "*units"], StatelessState]:
        """See the base."""
        return self.activation(current), StatelessState(current)

    def free(self) -> "Identity":
        """The current itself."""
        return Identity(dt=self.dt)


@final
class Identity(AbstractStateless):
    """The current itself; the readout of an artificial network.

    Args:
        dt: time step, s, > 0.
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return current


@final
class Rectifier(AbstractStateless):
    r"""The positive part of the current, $\max(0,i)$, as in the layers of an artificial network.

    Its derivative at 0 is 0.

    Args:
        dt: time step, s, > 0.

    >>> Rectifier()(jnp.array([-1.0, 2.0]), Rectifier().initial_state((2,)))[0]
    Array([0., 2.], dtype=float32)
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jax.nn.relu(current)


@final
class Logistic(AbstractStateless):
    r"""The logistic function, $1/(1+e^{-i})$.

    Args:
        dt: time step, s, > 0.
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jax.nn.sigmoid(current)
