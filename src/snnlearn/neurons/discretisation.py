r"""How the equation $\tau\dot v = -v + i$ becomes the step `v ← decay · v + gain · i`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, final

import jax.numpy as jnp

from snnlearn._component import Component


class AbstractDiscretisation(Component):
    """Time step and time constant in, decay and gain out."""

    @abstractmethod
    def __call__(self, dt: float, tau: Any) -> tuple[Any, Any]:
        """The factors of one step.

        Args:
            dt: time step, s.
            tau: time constant, s; a number or an array.

        Returns:
            The decay of the state and the gain of the input, each in the shape of `tau`.
        """

    @property
    def integrates(self) -> bool:
        """Whether an input acts during the whole step, so that both agree as the time step shrinks."""
        return False

    @property
    def adds(self) -> bool:
        """Whether an input adds to the state at once, with factor 1."""
        return False


@final
class ZeroOrderHold(AbstractDiscretisation):
    r"""Exact for an input that is constant within a step: decay $\alpha=e^{-dt/\tau}$, gain $1-\alpha$.

    >>> decay, gain = ZeroOrderHold()(1e-3, 20e-3)
    >>> round(float(decay), 6), round(float(gain), 6)
    (0.951229, 0.048771)
    """

    def __call__(self, dt: float, tau: Any) -> tuple[Any, Any]:
        """See the base."""
        return jnp.exp(-dt / tau), -jnp.expm1(-dt / tau)

    @property
    def integrates(self) -> bool:
        """It acts so."""
        return True


@final
class ForwardEuler(AbstractDiscretisation):
    r"""First order: decay $1-dt/\tau$, gain $dt/\tau$ (Norse, SpikingJelly).

    >>> ForwardEuler()(1e-3, 10e-3)
    (0.9, 0.1)
    """

    def __call__(self, dt: float, tau: Any) -> tuple[Any, Any]:
        """See the base."""
        return 1 - dt / tau, dt / tau

    @property
    def integrates(self) -> bool:
        """It acts so."""
        return True


@final
class UnitGain(AbstractDiscretisation):
    """The decay of another discretisation, and gain 1 (snnTorch, a synaptic current's jump).

    >>> UnitGain(ForwardEuler())(1e-3, 10e-3)
    (0.9, 1.0)
    """

    of: AbstractDiscretisation = ZeroOrderHold()

    def __call__(self, dt: float, tau: Any) -> tuple[Any, Any]:
        """See the base."""
        return self.of(dt, tau)[0], 1.0

    @property
    def adds(self) -> bool:
        """It does."""
        return True
