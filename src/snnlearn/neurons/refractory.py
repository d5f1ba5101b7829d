"""The absolute refractory period: no neuron spikes twice within it."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from snnlearn._component import Component
from snnlearn._parameters import check_positive


class AbstractRefractory(Component):
    """A refractory period, counted in whole time steps, `round(period / dt)`."""

    period: eqx.AbstractVar[float]

    @abstractmethod
    def steps(self, dt: float) -> int:
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
        period: s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    period: float = 2e-3

    def __check_init__(self):
        check_positive(self, period=self.period)

    def steps(self, dt: float) -> int:
        """See the base."""
        return round(self.period / dt)

    def hold(
        self, v: Float[Array, "*n"], v_before: Float[Array, "*n"], refractory: Bool[Array, "*n"]
    ) -> Float[Array, "*n"]:
        """See the base."""
        return jnp.where(refractory, v_before, v)


@final
class SilentRefractory(AbstractRefractory):
    """The membrane continues to integrate; only spikes are withheld, so two are at least `period` apart (as in e-prop).

    Args:
        period: s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    period: float = 5e-3

    def __check_init__(self):
        check_positive(self, period=self.period)

    @property
    def holds(self) -> bool:
        """It does not."""
        return False

    def steps(self, dt: float) -> int:
        """See the base."""
        return max(0, round(self.period / dt) - 1)

    def hold(
        self, v: Float[Array, "*n"], v_before: Float[Array, "*n"], refractory: Bool[Array, "*n"]
    ) -> Float[Array, "*n"]:
        """See the base."""
        return v
