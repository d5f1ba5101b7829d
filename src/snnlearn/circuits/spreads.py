"""How far a conductance deviates, by its size."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check, check_finite, check_positive, number


class AbstractSpread(Component):
    """The standard deviation of a conductance as a function of it."""

    @abstractmethod
    def __call__(self, conductance: Float[Array, "..."]) -> Float[Array, "..."]:
        """σ(G), S, of conductances G, S."""


@final
class Polynomial(AbstractSpread):
    r"""$\sigma(G)=\max(0,\sum_k c_k\,(G/G_{ref})^k)$, as fits of measured devices are published.

    The reference is the conductance that the fit divided by, and stays what it is whatever the largest conductance in
    use: a device has the deviation that was measured at its conductance. (aihwkit scales σ with the largest conductance
    instead, as if the device were larger; where that is the reference, the two are the same.)

    Args:
        coefficients: $c_0, c_1, \ldots$, S.
        reference: $G_{ref}$, S, > 0.

    Raises:
        SnnlearnError: for coefficients that are not finite, or none, or a reference that is not positive.

    >>> [round(1e6 * float(sigma), 3) for sigma in Polynomial.pcm()(jnp.array([0.0, 25e-6]))]
    [0.263, 1.055]
    """

    coefficients: tuple[float, ...] = eqx.field(converter=tuple)
    reference: float = eqx.field(converter=number)

    def __check_init__(self):
        if not self.coefficients:
            raise SnnlearnError("Polynomial: coefficients is empty; give at least one, in S")
        check_finite(self, **{f"coefficients[{k}]": c for k, c in enumerate(self.coefficients)})
        check_positive(self, reference=self.reference)

    def __call__(self, conductance: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        share = conductance / self.reference
        total = jnp.zeros_like(share)
        for coefficient in reversed(self.coefficients):
            total = total * share + coefficient
        return jnp.maximum(total, 0)

    @staticmethod
    def pcm() -> "Polynomial":
        """Programming of phase-change memory, 0.263 + 1.965 x − 1.173 x² µS, x = G / 25 µS.

        The fit of Nandakumar et al. 2019 (doi:10.1109/ICECS46596.2019.8964852), as aihwkit's `PCMLikeNoiseModel` has it
        (read in 2026).
        """
        return Polynomial((0.26348e-6, 1.9650e-6, -1.1731e-6), 25e-6)

    @staticmethod
    def proportional(share: float) -> "Polynomial":
        """A deviation that is a share of the conductance.

        Args:
            share: σ / G.
        """
        return Polynomial((0.0, share), 1.0)


@final
class PcmRead(AbstractSpread):
    r"""Reads of phase-change memory, $\sigma(G)=G\,Q(G)\sqrt{\ln\frac{t+t_{read}}{2\,t_{read}}}$.

    $Q(G)=\min(0.0088\,(G/G_{ref})^{-0.65},\,0.2)$: 1/f noise that has added up from a read's length to the time since
    programming. The fit is that of Nandakumar et al. 2019 (doi:10.1109/ICECS46596.2019.8964852), as aihwkit's
    `PCMLikeNoiseModel` has it (read in 2026).

    Args:
        time: $t$ since programming, s, at least that of a read.
        read_time: $t_{read}$, s, > 0.
        reference: $G_{ref}$, S, > 0.

    Raises:
        SnnlearnError: for a number outside its range.

    >>> round(1e6 * float(PcmRead(time=20.0)(jnp.array(25e-6))), 1)
    0.9
    """

    time: float | Float[Array, ""] = eqx.field(converter=number)
    read_time: float = eqx.field(converter=number, default=250e-9)
    reference: float = eqx.field(converter=number, default=25e-6)

    def __check_init__(self):
        check_positive(self, read_time=self.read_time, reference=self.reference)
        check(self, f"at least read_time = {self.read_time} s", lambda t: t >= self.read_time, time=self.time)

    def __call__(self, conductance: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        share = jnp.maximum(conductance / self.reference, 1e-5)
        grown = jnp.sqrt(jnp.log((self.time + self.read_time) / (2 * self.read_time)))
        return conductance * jnp.minimum(0.0088 * share**-0.65, 0.2) * grown
