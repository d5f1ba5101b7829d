"""Units without time: the parts of an artificial neural network."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import PositiveParameter, check_not_negative, check_positive, number, positive, value
from snnlearn.neurons.base import AbstractNeuron, Rectified
from snnlearn.neurons.lowering import Constants, Lowered


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

    def rectified(self) -> tuple[Rectified, ...] | str:
        """See the base."""
        return f"is {type(self).__name__}, which is not known to be a sum of rectified parts"

    def initial_state(self, shape: tuple[int, ...]) -> StatelessState:
        """See the base."""
        return StatelessState(jnp.zeros(shape))

    def __call__(
        self, current: Float[Array, "*units"], state: StatelessState
    ) -> tuple[Float[Array, "*units"], StatelessState]:
        """See the base."""
        return self.activation(current), StatelessState(current)

    @property
    def timeless(self) -> bool:
        """True."""
        return True

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

    @property
    def linear(self) -> bool:
        """It is."""
        return True

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return current

    def rectified(self) -> tuple[Rectified, ...]:
        """Its positive part less that of its negative."""
        return Rectified(), Rectified(sign=-1.0, gain=-1.0)

    def lowered(self) -> Lowered:
        """See the base."""
        return Lowered(Constants())


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

    def rectified(self) -> tuple[Rectified, ...]:
        """Itself."""
        return (Rectified(),)


@final
class LeakyRectifier(AbstractStateless):
    r"""A rectifier that passes a share of negative currents, $\max(0,i)-s\max(0,-i)$.

    Args:
        slope: the share $s$, ≥ 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if slope is negative, or dt not above 0.

    >>> LeakyRectifier(slope=0.1).activation(jnp.array([-1.0, 2.0])).tolist()
    [-0.10000000149011612, 2.0]
    """

    slope: float = eqx.field(converter=number, default=0.01)
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        check_not_negative(self, slope=self.slope)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jnp.where(current > 0, current, self.slope * current)

    def rectified(self) -> tuple[Rectified, ...]:
        """Its positive part, and a share of that of its negative."""
        return Rectified(), Rectified(sign=-1.0, gain=-self.slope)


@final
class ClippedRectifier(AbstractStateless):
    r"""A rectifier up to a ceiling, $\min(\max(0,i),c)$, such as ReLU6.

    Args:
        ceiling: $c$, > 0; one number for all units. A float is fixed, an array is trained.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if ceiling or dt is not above 0, or there are several ceilings.

    >>> ClippedRectifier().activation(jnp.array([-1.0, 2.0, 7.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    ceiling: PositiveParameter = eqx.field(converter=positive, default=6.0)
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        _check_ceiling(self, self.ceiling)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jnp.minimum(jax.nn.relu(current), value(self.ceiling))

    def rectified(self) -> tuple[Rectified, ...]:
        """Itself."""
        return (Rectified(ceiling=value(self.ceiling)),)


@final
class QuantisedRectifier(AbstractStateless):
    r"""A clipped rectifier that takes only L + 1 values, $c\,\mathrm{clip}(\lfloor iL/c+1/2\rfloor/L,0,1)$.

    It is the rate of an integrate-and-fire neuron that starts at half its threshold $c$ and gets a constant current for
    L steps, so a network trained with it is converted without loss in its first layer. The derivative of the floor is
    taken as 1 ("straight through").

    Bu, Fang, Ding, Dai, Yu & Huang 2022, "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking
    neural networks", eq. 15. The initial ceiling is not the paper's.

    Args:
        levels: $L$, ≥ 1.
        ceiling: $c$, > 0; one number for all units. A float is fixed, an array is trained.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if a number is out of its range, or there are several ceilings.

    >>> QuantisedRectifier(levels=4, ceiling=1.0).activation(jnp.array([-1.0, 0.1, 0.2, 2.0])).tolist()
    [0.0, 0.0, 0.25, 1.0]
    """

    levels: int = eqx.field(static=True, default=8)
    ceiling: PositiveParameter = eqx.field(converter=positive, default_factory=lambda: jnp.array(2.0))
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        if not isinstance(self.levels, int) or self.levels < 1:
            raise SnnlearnError(f"QuantisedRectifier: levels is {self.levels}; give a whole number of at least 1")
        _check_ceiling(self, self.ceiling)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        ceiling = value(self.ceiling)
        share = jnp.clip(current / ceiling, 0.0, 1.0)
        rounded = jnp.floor(share * self.levels + 0.5) / self.levels
        return ceiling * (share + jax.lax.stop_gradient(rounded - share))

    def rectified(self) -> tuple[Rectified, ...]:
        """A clipped rectifier, up to rounding."""
        return (Rectified(ceiling=value(self.ceiling)),)


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


@final
class Tanh(AbstractStateless):
    r"""The hyperbolic tangent, $\tanh i$; connected to itself it is a plain recurrent network's unit (Elman 1990).

    Args:
        dt: time step, s, > 0.

    >>> Tanh().activation(jnp.array([0.0, 1.0])).round(4).tolist()
    [0.0, 0.761...]
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jnp.tanh(current)


@final
class GELU(AbstractStateless):
    r"""The Gaussian error linear unit, $i\,\Phi(i)$ (arXiv:1606.08415).

    Args:
        dt: time step, s, > 0.

    >>> GELU().activation(jnp.array([-9.0, 0.0, 9.0])).tolist()
    [-..., 0.0, 9.0]
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    def activation(self, current: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """See the base."""
        return jax.nn.gelu(current, approximate=False)


def _check_ceiling(unit: AbstractStateless, ceiling: Any) -> None:
    check_positive(unit, ceiling=ceiling)
    if shape := jnp.shape(value(ceiling)):
        raise SnnlearnError(f"{type(unit).__name__}: ceiling has shape {shape}; give one number for all units")
