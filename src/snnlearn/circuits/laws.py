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
from snnlearn._parameters import check_not_negative


class AbstractLaw(Component):
    """The law of a positive random factor around 1."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """Independent factors > 0, of the shape."""


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

    cv: float | Float[Array, ""] = eqx.field(converter=lambda cv: cv if isinstance(cv, jax.Array) else float(cv))

    def __check_init__(self):
        check_not_negative(self, cv=self.cv)

    def draw(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """See the base."""
        return jnp.exp(jnp.sqrt(jnp.log1p(jnp.square(self.cv))) * jax.random.normal(key, shape))


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
        return 1 + self.std * jax.random.truncated_normal(key, lowest, math.inf, shape)
