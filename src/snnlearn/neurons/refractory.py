"""The absolute refractory period: no neuron spikes twice within it."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._parameters import FixedParameter, check_positive, number, value


class AbstractRefractory(Component):
    """A refractory period, counted in whole time steps, `round(period / dt)`."""

    period: eqx.AbstractVar[FixedParameter]

    @abstractmethod
    def steps(self, dt: float) -> int | Int[Array, "..."]:
        """For how many steps after its spike a neuron cannot spike."""

    @property
    def holds(self) -> bool:
        """Whether it changes the membrane, and not only the spikes."""
        return True

    @abstractmethod
    def hold(
        self, v: Float[Array, "*n"], v_before: Float[Array, "*n"], refractory: Bool[Array, "*n"]
    ) -> Float[Array, "*n"]:
        """The membrane of this step, given what it would be, what it was, and which neurons are refractory."""


@final
class Refractory(AbstractRefractory):
    r"""The membrane is held for the period; constant current then gives $f=[t_{ref}+\tau\ln\frac{RI}{RI-v_{th}}]^{-1}$.

    Args:
        period: s, > 0: one number, or a `Constant` with one for each unit.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    period: FixedParameter = eqx.field(converter=number, default=2e-3)

    def __check_init__(self):
        check_positive(self, period=self.period)
        check_fields(self, "period")

    def steps(self, dt: float) -> int | Int[Array, "..."]:
        """See the base."""
        return _steps(self.period, dt)

    def hold(
        self, v: Float[Array, "*n"], v_before: Float[Array, "*n"], refractory: Bool[Array, "*n"]
    ) -> Float[Array, "*n"]:
        """See the base."""
        return jnp.where(refractory, v_before, v)


@final
class SilentRefractory(AbstractRefractory):
    """The membrane continues to integrate; only spikes are withheld, so two are at least `period` apart (as in e-prop).

    Args:
        period: s, > 0: one number, or a `Constant` with one for each unit.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    period: FixedParameter = eqx.field(converter=number, default=5e-3)

    def __check_init__(self):
        check_positive(self, period=self.period)
        check_fields(self, "period")

    @property
    def holds(self) -> bool:
        """It does not."""
        return False

    def steps(self, dt: float) -> int | Int[Array, "..."]:
        """See the base."""
        steps = _steps(self.period, dt)
        return max(0, steps - 1) if isinstance(steps, int) else jnp.maximum(0, steps - 1)

    def hold(
        self, v: Float[Array, "*n"], v_before: Float[Array, "*n"], refractory: Bool[Array, "*n"]
    ) -> Float[Array, "*n"]:
        """See the base."""
        return v


def _steps(period: FixedParameter, dt: float) -> int | Int[Array, "..."]:
    steps = value(period) / dt
    return jnp.round(steps).astype(jnp.int32) if isinstance(steps, jax.Array) else round(steps)
