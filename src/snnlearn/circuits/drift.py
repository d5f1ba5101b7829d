"""Drift: conductances fall with time, and a factor brings them back."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._parameters import check, check_not_negative, check_positive, number
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.conductances import DifferentialPair
from snnlearn.circuits.laws import AbstractLaw, LogNormal
from snnlearn.circuits.weights import changed_weights, each_connection, each_weight, weights
from snnlearn.network import AbstractSynapses, Network


@final
class Drift(AbstractEffect):
    r"""Conductances fall as a power of the time since programming, $G(t)=G\,(t/t_0)^{-\nu}$.

    Each device has its own exponent, drawn once for each chip, which stays the same for all times. Weights change, and
    nothing else: kernels run the network as before.

    Args:
        time: $t$ since programming, s, ≥ `t0`.
        nu: median of ν, ≥ 0: 0.05 in phase-change memory.
        law: of the factors by which ν differs from device to device.
        t0: when the conductances are as programmed, s, > 0.
        pair: how weights become conductances.

    Raises:
        SnnlearnError: for a time before `t0`, another number outside its range, or a part of another kind.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = Drift(2000.0, nu=0.05, law=LogNormal(0.0))(network, key=jax.random.key(1))
    >>> round(float((chip.layers[0].synapses.weight / network.layers[0].synapses.weight).mean()), 4)  # 100^-0.05
    0.7943
    """

    time: float | Float[Array, ""] = eqx.field(converter=number)
    nu: float | Float[Array, ""] = eqx.field(converter=number, default=0.05)
    law: AbstractLaw = LogNormal(0.3)
    t0: float = eqx.field(converter=number, default=20.0)
    pair: DifferentialPair = DifferentialPair()

    def __check_init__(self):
        check_fields(self, "law", "pair")
        check_positive(self, t0=self.t0)
        check(self, f"at least t0 = {self.t0} s", lambda t: t >= self.t0, time=self.time)
        check_not_negative(self, nu=self.nu)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def drifted(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            def of(g: Float[Array, "... 2"]) -> Float[Array, "... 2"]:
                nu = self.nu * self.law.draw(g.shape, key=key).astype(g.dtype)
                return g * jnp.exp(-nu * jnp.log(jnp.asarray(self.time, g.dtype) / self.t0))

            return self.pair.changed(weight, of)

        return each_weight(self, network, drifted, key=key)


@final
class Compensated(AbstractEffect):
    r"""Another effect on weights, and for each array of weights a factor that makes up for it.

    The factor is $\sum|w|/\sum|w'|$, the read-out of all devices as designed by that of the chip, as a chip measures it
    by one current for each input (global drift compensation, Joshi et al. 2020, doi:10.1038/s41467-020-16108-9). It is
    exact where all weights fall by one factor.

    It takes the place of the other effect, with the same draws.

    Args:
        effect: the effect, such as `Drift`.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = Compensated(Drift(2000.0, law=LogNormal(0.0)))(network, key=jax.random.key(1))
    >>> bool(jnp.allclose(chip.layers[0].synapses.weight, network.layers[0].synapses.weight))
    True
    """

    effect: AbstractEffect

    def __check_init__(self):
        check_fields(self, "effect")

    @property
    def label(self) -> str:
        """That of the effect."""
        return self.effect.label

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        designed = iter(
            [weight for layer in network.layers for c in layer.connections for weight in weights(c.synapses)]
        )

        def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
            return changed_weights(synapses, lambda left, _: left * _factor(next(designed), left))

        return each_connection(self.effect(network, key=key), of, key=key)


def _factor(designed: Float[Array, "..."], left: Float[Array, "..."]) -> Float[Array, ""]:
    """1 where nothing is left to be read."""
    read = jnp.sum(jnp.abs(left))
    return jnp.where(read > 0, jnp.sum(jnp.abs(designed)) / jnp.where(read > 0, read, 1.0), 1.0)
