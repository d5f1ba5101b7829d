"""Units whose currents gate one another: the parts of GRU, LSTM and gated linear networks.

They are elementwise: the matrices, and what a unit gets of the others' last output, are connections to their ports.
"""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive, number
from snnlearn.neurons.base import AbstractNeuron

Currents = dict[str, Float[Array, "*units"]]
"""By port."""


class GatedState(NamedTuple):
    """The last output, as the membrane `v`."""

    v: Float[Array, "*units"]


class LSTMState(NamedTuple):
    """The cell's memory, as the membrane `v`."""

    v: Float[Array, "*units"]


class _AbstractGated(AbstractNeuron):
    dt: eqx.AbstractVar[float]

    def __check_init__(self):
        check_positive(self, dt=self.dt)

    def free(self) -> AbstractNeuron:
        """It has none.

        Raises:
            SnnlearnError: always.
        """
        raise SnnlearnError(
            f"{type(self).__name__} has no linear membrane, as its currents gate one another; draw its weights by "
            "AsGiven(), and train it by BPTT or RTRL"
        )


@final
class GLU(_AbstractGated):
    r"""Gated linear unit, without time: $i_{value}\,\sigma(i_{gate})$ of the currents at two ports (arXiv:1612.08083).

    Args:
        dt: time step, s, > 0.

    >>> unit = GLU()
    >>> unit({"value": jnp.array([2.0]), "gate": jnp.array([0.0])}, unit.initial_state((1,)))[0].tolist()
    [1.0]
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    @property
    def ports(self) -> tuple[str, ...]:
        """What is gated, and the gate."""
        return ("value", "gate")

    @property
    def timeless(self) -> bool:
        """True."""
        return True

    def initial_state(self, shape: tuple[int, ...]) -> GatedState:
        """See the base."""
        return GatedState(jnp.zeros(shape))

    def __call__(self, current: Currents, state: GatedState) -> tuple[Float[Array, "*units"], GatedState]:
        """See the base."""
        output = current["value"] * jax.nn.sigmoid(current["gate"])
        return output, GatedState(output)


@final
class GRU(_AbstractGated):
    r"""Gated recurrent unit, $h^t=(1-z)\,n+z\,h^{t-1}$, its output.

    $z=\sigma(i_{keep})$ and $n=\tanh(i_{new}+\sigma(i_{reset})\,i_{back})$. The port `back` takes the connection from
    the units themselves to the new value; as in cuDNN and PyTorch, the reset gate multiplies what arrives there. All
    other ports take the input and the units' last output alike. Cho et al. 2014, doi:10.3115/v1/D14-1179, where the
    reset gate acts before the connection.

    Args:
        dt: time step, s, > 0.

    >>> unit = GRU()
    >>> currents = {"reset": jnp.zeros(1), "keep": -9 * jnp.ones(1), "new": 9 * jnp.ones(1), "back": jnp.zeros(1)}
    >>> unit(currents, unit.initial_state((1,)))[0].round(2).tolist()
    [1.0]
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    @property
    def ports(self) -> tuple[str, ...]:
        """Of the reset gate, of what is kept, of the new value, and what comes back to it."""
        return ("reset", "keep", "new", "back")

    @property
    def input_ports(self) -> tuple[str, ...]:
        """All but `back`."""
        return ("reset", "keep", "new")

    @property
    def loop_ports(self) -> tuple[str, ...]:
        """All but `new`."""
        return ("reset", "keep", "back")

    def initial_state(self, shape: tuple[int, ...]) -> GatedState:
        """See the base."""
        return GatedState(jnp.zeros(shape))

    def __call__(self, current: Currents, state: GatedState) -> tuple[Float[Array, "*units"], GatedState]:
        """See the base."""
        reset, keep = jax.nn.sigmoid(current["reset"]), jax.nn.sigmoid(current["keep"])
        new = jnp.tanh(current["new"] + reset * current["back"])
        output = (1 - keep) * new + keep * state.v
        return output, GatedState(output)


@final
class LSTM(_AbstractGated):
    r"""Long short-term memory, $c^t=\sigma(i_{keep})\,c^{t-1}+\sigma(i_{write})\tanh i_{new}$.

    Its output is $\sigma(i_{read})\tanh c^t$. Each port takes the input and the units' last output. Hochreiter &
    Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the gate that forgets (here `keep`) of Gers, Schmidhuber &
    Cummins 2000, doi:10.1162/089976600300015015.

    Args:
        dt: time step, s, > 0.

    >>> unit = LSTM()
    >>> currents = {"write": jnp.zeros(1), "keep": jnp.zeros(1), "new": 9 * jnp.ones(1), "read": 9 * jnp.ones(1)}
    >>> unit(currents, unit.initial_state((1,)))[0].round(2).tolist()  # tanh(1/2)
    [0.4599...]
    """

    dt: float = eqx.field(converter=number, default=1e-3)

    @property
    def ports(self) -> tuple[str, ...]:
        """Of the three gates, and of the new value."""
        return ("write", "keep", "new", "read")

    def initial_state(self, shape: tuple[int, ...]) -> LSTMState:
        """See the base."""
        return LSTMState(jnp.zeros(shape))

    def __call__(self, current: Currents, state: LSTMState) -> tuple[Float[Array, "*units"], LSTMState]:
        """See the base."""
        write, keep, read = (jax.nn.sigmoid(current[gate]) for gate in ("write", "keep", "read"))
        c = keep * state.v + write * jnp.tanh(current["new"])
        return read * jnp.tanh(c), LSTMState(c)
