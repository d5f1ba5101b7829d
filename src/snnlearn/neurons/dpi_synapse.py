"""The parts of a silicon neuron: a synapse, and positive feedback, each a few transistors that work below threshold."""

from __future__ import annotations

import math
from typing import final

import equinox as eqx
import jax
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._parameters import (
    Parameter,
    PositiveParameter,
    Value,
    check,
    check_positive,
    positive,
    value,
)


def time_constant(capacitance: Value, i_tau: Value, u_t: Value, kappa: Value) -> Value:
    r"""$\tau = CU_T/(\kappa I_\tau)$, s, of a capacitance in pF, discharged by `i_tau` pA; `u_t` in mV."""
    return 1e-3 * capacitance * u_t / (kappa * i_tau)  # pF · mV / pA = ms


def check_kappa(owner: object, kappa: Parameter) -> None:
    """Refuse slope factors that no transistor has.

    Raises:
        SnnlearnError: naming the value and its owner.
    """
    check(owner, "the slope factor of a transistor, above 0 and at most 1", lambda k: (k > 0) & (k <= 1), kappa=kappa)


@final
class DPISynapse(Component):
    r"""The differential-pair integrator (DPI) as a synapse, $\tau\dot I = -I$, $\tau = CU_T/(\kappa I_\tau)$.

    A spike makes its current jump. Between spikes this is the exact solution of the circuit's nonlinear equation
    $\tau(1 + I_g/I)\dot I = -I - I_g$ (Chicca et al. 2014, doi:10.1109/JPROC.2014.2313954). The jump is exact where $I$
    is far above the gain current $I_g$; below, a real synapse rises less.

    Args:
        capacitance: $C$, pF, > 0. A float is fixed, an array is trained.
        i_tau: the leakage $I_\tau$, pA, > 0.
        jump: how much a spike of weight 1 adds to the current, pA, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> ampa = DPISynapse(capacitance=2.0, i_tau=20.0, jump=400.0)
    >>> round(1e3 * ampa.tau(u_t=25.0, kappa=0.705), 3)  # ms
    3.546
    """

    capacitance: PositiveParameter = eqx.field(converter=positive, default=2.0)
    i_tau: PositiveParameter = eqx.field(converter=positive, default=5.0)
    jump: PositiveParameter = eqx.field(converter=positive, default=400.0)

    def __check_init__(self):
        check_positive(self, capacitance=self.capacitance, i_tau=self.i_tau, jump=self.jump)

    @classmethod
    def of_pulse(
        cls, capacitance: float, tau: float, *, gain: float, i_w: float, pulse: float, u_t: float, kappa: float
    ) -> DPISynapse:
        r"""With the jump that a pulse makes, $\frac{I_gI_w}{I_\tau}(1 - e^{-t_{pulse}/\tau})$.

        Args:
            capacitance: $C$, pF, > 0.
            tau: the time constant, s, > 0.
            gain: $I_g/I_\tau$, > 0.
            i_w: the weight's current $I_w$, pA, > 0.
            pulse: $t_{pulse}$, s, > 0.
            u_t: thermal voltage, mV, > 0.
            kappa: slope factor of the transistors, in (0, 1].

        Raises:
            SnnlearnError: for a number outside its range.

        >>> synapse = DPISynapse.of_pulse(24.5, 10e-3, gain=100.0, i_w=1000.0, pulse=10e-6, u_t=25.0, kappa=0.705)
        >>> round(synapse.jump, 2), round(synapse.i_tau, 2)
        (99.95, 86.88)
        """
        check_positive(
            "DPISynapse.of_pulse", capacitance=capacitance, tau=tau, gain=gain, i_w=i_w, pulse=pulse, u_t=u_t
        )
        check_kappa("DPISynapse.of_pulse", kappa)
        i_tau = time_constant(capacitance, tau, u_t, kappa)  # the formula is its own inverse
        return cls(capacitance, i_tau, gain * i_w * -math.expm1(-pulse / tau))

    def tau(self, u_t: Value, kappa: Value) -> Value:
        """The time constant, s.

        Args:
            u_t: thermal voltage, mV.
            kappa: slope factor of the transistors.
        """
        return time_constant(value(self.capacitance), value(self.i_tau), u_t, kappa)


@final
class PositiveFeedback(Component):
    r"""The current that makes a spike steep, $I_a = I_{gain} / (1 + e^{-(I_{mem} - I_{th})/I_{norm}})$.

    The sign in the exponent is that of Chicca et al. 2014 and of the DYNAP-SE simulator; Rockpool's documentation
    prints another.

    Args:
        i_gain: its largest value, pA, > 0.
        i_th: the membrane current at which it is half of this, pA, > 0.
        i_norm: how gradually it sets in, pA, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> import jax.numpy as jnp
    >>> PositiveFeedback(i_gain=100.0, i_th=1000.0, i_norm=20.0)(jnp.array([900.0, 1000.0, 1100.0])).round(1)
    Array([ 0.7, 50. , 99.3], dtype=float32)
    """

    i_gain: PositiveParameter = eqx.field(converter=positive, default=100.0)
    i_th: PositiveParameter = eqx.field(converter=positive, default=1000.0)
    i_norm: PositiveParameter = eqx.field(converter=positive, default=20.0)

    def __check_init__(self):
        check_positive(self, i_gain=self.i_gain, i_th=self.i_th, i_norm=self.i_norm)

    def __call__(self, i_mem: Float[Array, "*units"]) -> Float[Array, "*units"]:
        """The feedback at a membrane current, pA."""
        return value(self.i_gain) * jax.nn.sigmoid((i_mem - value(self.i_th)) / value(self.i_norm))
