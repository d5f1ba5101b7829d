"""Laws of the factors by which devices differ from their design."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_not_negative, check_positive, number
from snnlearn.circuits.base import by_place


class AbstractLaw(Component):
    """The law of a positive random factor around 1."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Independent factors > 0, of the shape, each by its place (`by_place`)."""


@final
class LogNormal(AbstractLaw):
    r"""Factors $e^{s n}$ with median 1 and coefficient of variation cv, $s^2=\ln(1+\mathrm{cv}^2)$, n standard normal.

    The law of subthreshold currents, $I\propto e^{\kappa V_T/U_T}$, whose transistors have normal thresholds.

    Args:
        cv: the coefficient of variation (standard deviation / mean), ≥ 0; 0.1 to 0.2 on chips without calibration.

    Raises:
        SnnlearnError: for a negative or infinite variation.

    >>> bool(LogNormal(0.2).draw((1000,), key=jax.random.key(0)).min() > 0)
    True
    """

    cv: float | Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self):
        check_not_negative(self, cv=self.cv)

    def draw(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """See the base."""
        return jnp.exp(jnp.sqrt(jnp.log1p(jnp.square(self.cv))) * by_place(jax.random.normal, shape, key=key))


@final
class Normal(AbstractLaw):
    r"""Factors $1+\sigma n$, n standard normal, drawn again until positive.

    Args:
        std: standard deviation σ before that, ≥ 0 and ≤ 1.

    Raises:
        SnnlearnError: for a deviation that is negative or so large that few factors would be as it says.

    >>> round(float(Normal(0.1).draw((10_000,), key=jax.random.key(0)).std()), 2)
    0.1
    """

    std: float = eqx.field(converter=float)

    def __check_init__(self):
        if not 0 <= self.std <= 1:
            raise SnnlearnError(
                f"Normal: std is {self.std}; give a number from 0 to 1, or use LogNormal, whose factors are positive "
                "whatever the variation"
            )

    def draw(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """See the base."""
        lowest = -1 / self.std if self.std > 0 else -math.inf

        def draw(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
            return jax.random.truncated_normal(key, lowest, math.inf, shape)

        return 1 + self.std * by_place(draw, shape, key=key)


def pelgrom(a_vt: float, width: float, length: float, *, kappa: float = 0.7, u_t: float = 25.8e-3) -> LogNormal:
    r"""The law of a subthreshold transistor's current by its area, $e^{\kappa\,\Delta V_T/U_T}$.

    Thresholds are normal with $\sigma(\Delta V_T)=A_{VT}/\sqrt{WL}$ (Pelgrom et al. 1989,
    doi:10.1109/JSSC.1989.572629).

    Args:
        a_vt: $A_{VT}$, V m, > 0: 3.5e-9 (3.5 mV µm) in a process of 180 nm.
        width: $W$ of the gate, m, > 0.
        length: $L$ of the gate, m, > 0.
        kappa: subthreshold slope factor, > 0.
        u_t: thermal voltage $kT/q$, V, > 0.

    Raises:
        SnnlearnError: for a number that is not positive.

    >>> round(pelgrom(3.5e-9, 1e-6, 1e-6).cv, 3)
    0.095
    """
    check_positive("pelgrom", a_vt=a_vt, width=width, length=length, kappa=kappa, u_t=u_t)
    s = kappa / u_t * a_vt / math.sqrt(width * length)
    return LogNormal(math.sqrt(math.expm1(s * s)))
