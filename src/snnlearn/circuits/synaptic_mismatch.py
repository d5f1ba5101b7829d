"""Mismatch of synapses, which share circuits along rows and columns."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check, check_not_negative, number
from snnlearn.circuits.base import AbstractEffect, by_place, draw_key
from snnlearn.circuits.weights import each_weight
from snnlearn.network import Network


@final
class SynapticMismatch(AbstractEffect):
    r"""Each weight times a log-normal factor of its own, correlated along rows and columns.

    $w_{ij}\leftarrow w_{ij}\,e^{s(\sqrt{\rho_u}\,a_i+\sqrt{\rho_{in}}\,b_j+\sqrt{1-\rho_u-\rho_{in}}\,c_{ij})}$, where
    a, b and c are standard normal and $s^2=\ln(1+\mathrm{cv}^2)$. The logarithms of the factors of a unit (a column of
    a crossbar) have the correlation $\rho_u$, those of an input (a row) $\rho_{in}$. Of convolutions, units and inputs
    are channels, since each entry of a kernel is one device.

    Drawn once for each chip. Weights change, and nothing else: kernels run the network as before.

    Args:
        cv: coefficient of variation of the factors, whose median is 1, ≥ 0.
        unit_share: $\rho_u$, share of the variance that the weights of a unit have in common, 0 to 1.
        input_share: $\rho_{in}$, that of the weights of an input; the two add up to at most 1.

    Raises:
        SnnlearnError: for a variation or a share outside its range.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = SynapticMismatch(0.2, unit_share=1.0)(network, key=jax.random.key(1))
    >>> factors = chip.layers[0].synapses.weight / network.layers[0].synapses.weight
    >>> bool(jnp.ptp(factors, axis=1).max() < 1e-6)
    True
    """

    cv: float | Float[Array, ""] = eqx.field(converter=number)
    unit_share: float = eqx.field(converter=number, default=0.0)
    input_share: float = eqx.field(converter=number, default=0.0)

    def __check_init__(self):
        check_not_negative(self, cv=self.cv)
        shares = {"unit_share": self.unit_share, "input_share": self.input_share}
        check(self, "a number from 0 to 1", lambda share: (share >= 0) & (share <= 1), **shares)
        if self.unit_share + self.input_share > 1:
            raise SnnlearnError(
                f"SynapticMismatch: unit_share + input_share is {self.unit_share + self.input_share}; give shares of "
                "one variance, which add up to at most 1"
            )

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        shares = (self.unit_share, self.input_share, max(0.0, 1 - self.unit_share - self.input_share))

        def mismatched(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            axes, shape = weight.ndim, weight.shape
            shapes = {
                "unit": (*shape[:1], *(1,) * (axes - 1)),
                # A weight of one axis belongs to one unit and one input each.
                "input": shape if axes < 2 else (1, shape[1], *(1,) * (axes - 2)),
                "own": shape,
            }
            total = jnp.zeros((), weight.dtype)
            for (name, shape), share in zip(shapes.items(), shares, strict=True):
                if share > 0:
                    noise = by_place(jax.random.normal, shape, key=draw_key(key, name))
                    total = total + share**0.5 * noise.astype(weight.dtype)
            return weight * jnp.exp(jnp.sqrt(jnp.log1p(jnp.square(self.cv))) * total)

        return each_weight(self, network, mismatched, key=key)
