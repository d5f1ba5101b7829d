"""The wires of a crossbar have a resistance, along which voltage is lost."""

from __future__ import annotations

from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Value, check_not_negative, check_positive
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.weights import each_connection
from snnlearn.network import AbstractSynapses, Network


@checked
def crossbar(conductance: Float[Array, "rows columns"], resistance: float) -> Float[Array, "rows columns"]:
    r"""The conductances that a crossbar seems to have, seen from its ends: $I_j=\sum_iG'_{ij}V_i$.

    Inputs drive the rows from the left, and the columns end below in virtual grounds. A device joins row i and column j
    at each crossing, and wires have a resistance between neighbouring crossings, before the first of a row and after
    the last of a column. With $S_j=D_j-D_j(D_j+gT)^{-1}D_j$, what column j draws from the rows at voltages $a_j$
    (D its devices, g = 1/r, T the Laplacian of its wire), Kirchhoff's laws are

    $$a_j=R_j\,a_{j-1},\qquad R_j=(2+S_j/g-R_{j+1})^{-1},\qquad R_M=(1+S_M/g)^{-1},$$

    with $a_0=V$: the nodal solution itself, in $O(NM\min(N,M)^2)$, and not as a system of all $2NM$ nodes. (A crossbar
    with more rows than columns is driven at its other ends, which gives the same currents.) It is differentiable.

    Args:
        conductance: G of the devices, S, ≥ 0, `[rows, columns]`.
        resistance: r of a piece of wire, Ω, ≥ 0.

    Raises:
        SnnlearnError: for a negative resistance.

    >>> g = jnp.full((2, 2), 1e-5)
    >>> bool((crossbar(g, 100.0) < g).all())
    True
    """
    check_not_negative("crossbar", resistance=resistance)
    if resistance == 0:
        return conductance
    if len(conductance) > conductance.shape[1]:
        # Reciprocity: the same currents flow if the columns are driven from below and the rows end in grounds.
        return _solved(conductance.T[::-1, ::-1], resistance)[::-1, ::-1].T
    return _solved(conductance, resistance)


@jax.jit
def _solved(conductance: Float[Array, "rows columns"], resistance: Value) -> Float[Array, "rows columns"]:
    """The recursion, compiled once for each size."""
    rows = len(conductance)
    share = resistance * conductance.T  # G / g of each column
    eye = jnp.eye(rows, dtype=conductance.dtype)
    # Of the wire of a column: open above, and a piece of wire to the ground below.
    ends = jnp.zeros(rows, conductance.dtype).at[0].set(1.0)
    wire = 2 * eye - jnp.diag(ends) - jnp.eye(rows, k=1, dtype=eye.dtype) - jnp.eye(rows, k=-1, dtype=eye.dtype)

    def from_right(right: Float[Array, "rows rows"], d: Float[Array, " rows"]) -> tuple[Any, Any]:
        column = jnp.linalg.solve(wire + jnp.diag(d), jnp.diag(d))  # the voltages of the column, by those of the rows
        drawn = jnp.diag(d) - d[:, None] * column
        left = jnp.linalg.inv(2 * eye + drawn - right)
        return left, (left, column[-1])

    # To the right of the last column there is nothing: its R is that of a neighbour at the same voltage.
    _, (steps, lowest) = jax.lax.scan(from_right, eye, share, reverse=True)

    def from_left(voltages: Float[Array, "rows rows"], each: tuple[Any, Any]) -> tuple[Any, Any]:
        step, low = each
        voltages = step @ voltages
        return voltages, low @ voltages

    _, currents = jax.lax.scan(from_left, eye, (steps, lowest))
    return currents.T / resistance


@final
class WireResistance(AbstractEffect):
    r"""Weights as a crossbar with resistive wires has them: the farther from the ends, the smaller.

    A weight is the difference of two devices in crossbars for each sign, $G^\pm=G_{\max}\max(\pm w,0)/\max|w|$.
    It applies to connections with a weight for each pair of units (`pairs`), an input being a row and a unit a column.
    It is no approximation (`crossbar`), and differentiable by the weights.

    Args:
        resistance: r of a piece of wire between two devices, Ω, ≥ 0; 1 to 10 in metal, more in small processes.
        conductance: $G_{\max}$ of the largest weight, S, > 0.

    Raises:
        SnnlearnError: for a negative resistance, or a conductance that is not positive; by the effect, if no connection
            is a crossbar.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = WireResistance(resistance=10.0, conductance=1e-4)(network, key=jax.random.key(1))
    >>> bool((jnp.abs(chip.layers[0].synapses.weight) < jnp.abs(network.layers[0].synapses.weight)).all())
    True
    """

    resistance: float = eqx.field(converter=float)
    conductance: float = eqx.field(converter=float)

    def __check_init__(self):
        check_not_negative(self, resistance=self.resistance)
        check_positive(self, conductance=self.conductance)

    @property
    def label(self) -> str:
        """See the base."""
        return "wire resistance"

    def applies(self, network: Network) -> bool:
        """Whether a connection is a crossbar."""
        return any(_is_crossbar(c.synapses) for layer in network.layers for c in layer.connections)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base; nothing is drawn."""
        if not self.applies(network):
            raise SnnlearnError(
                "WireResistance: no connection of the network has a weight for each pair of units, as a crossbar does; "
                "give one with Dense synapses"
            )

        def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
            if not _is_crossbar(synapses):
                return synapses
            carrier = synapses.carrier
            return eqx.tree_at(_weight, synapses, self.of(carrier.weight))  # pyright: ignore

        return each_connection(network, of, key=key)

    def of(self, weight: Float[Array, "out in"]) -> Float[Array, "out in"]:
        """The weights of a crossbar by those that are meant.

        Args:
            weight: `[units, inputs]`.
        """
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(weight)))
        scale = jnp.where(largest > 0, largest, 1.0) / self.conductance
        plus, minus = (crossbar(jnp.maximum(sign * weight, 0.0).T / scale, self.resistance) for sign in (1, -1))
        return scale * (plus - minus).T


def _is_crossbar(synapses: AbstractSynapses) -> bool:
    return synapses.carrier.pairs


def _weight(synapses: Any) -> Any:
    return synapses.carrier.weight
