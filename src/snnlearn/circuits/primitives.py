r"""Circuits of a few transistors below threshold, whose current is exponential in voltage (Mead 1989).

Currents are in pA, voltages in mV, capacitances in pF, times in s. $\kappa$ is the slope factor of the transistors and
$U_T = kT/q$ the thermal voltage.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import checked
from snnlearn._parameters import check, check_finite, check_positive
from snnlearn.neurons.dpi_synapse import check_kappa, time_constant

Quantity = float | Float[Array, "..."]
"""A number, or an array of them; arrays of one call are broadcast."""

KAPPA, U_T = 0.7, 25.0


@checked
def transistor_current(
    v_gate: Quantity,
    v_source: Quantity,
    v_drain: Quantity,
    *,
    i_0: Quantity = 1.0,
    kappa: Quantity = KAPPA,
    u_t: Quantity = U_T,
) -> Array:
    r"""Of an n-type transistor below threshold, $I = I_0e^{\kappa V_g/U_T}(e^{-V_s/U_T} - e^{-V_d/U_T})$.

    Voltages are relative to the bulk. It saturates where the drain is more than $4U_T$ above the source.

    Args:
        v_gate: $V_g$, mV.
        v_source: $V_s$, mV.
        v_drain: $V_d$, mV.
        i_0: its dark current, pA, > 0.
        kappa: $\kappa$, in (0, 1].
        u_t: $U_T$, mV, > 0.

    Returns:
        The current from drain to source, pA, < 0 where the drain is below the source.

    Raises:
        SnnlearnError: for a number that is not finite or out of its range, or an argument of another kind.

    >>> transistor_current(250.0, 0.0, jnp.array([10.0, 200.0])).round(1)
    Array([ 361.5, 1096.3], dtype=float32...)
    """
    owner = "transistor_current"
    check_finite(owner, v_gate=v_gate, v_source=v_source, v_drain=v_drain)
    check_positive(owner, i_0=i_0, u_t=u_t)
    check_kappa(owner, kappa)
    # The difference of two exponentials would cancel.
    across = -jnp.expm1(jnp.asarray((v_source - v_drain) / u_t))
    return i_0 * jnp.exp(jnp.asarray((kappa * v_gate - v_source) / u_t)) * across


@checked
def transconductance_current(
    v_plus: Quantity, v_minus: Quantity, i_bias: Quantity, *, kappa: Quantity = KAPPA, u_t: Quantity = U_T
) -> Array:
    r"""Of a transconductance amplifier, $I = I_b\tanh\frac{\kappa(V_+ - V_-)}{2U_T}$.

    Args:
        v_plus: $V_+$, mV.
        v_minus: $V_-$, mV.
        i_bias: $I_b$, pA, > 0.
        kappa: $\kappa$, in (0, 1].
        u_t: $U_T$, mV, > 0.

    Returns:
        The current out of it, pA.

    Raises:
        SnnlearnError: for a number that is not finite or out of its range, or an argument of another kind.

    >>> transconductance_current(jnp.array([0.0, 10.0, 500.0]), 0.0, 100.0).round()
    Array([  0.,  14., 100.], dtype=float32...)
    """
    owner = "transconductance_current"
    check_finite(owner, v_plus=v_plus, v_minus=v_minus)
    check_positive(owner, i_bias=i_bias, u_t=u_t)
    check_kappa(owner, kappa)
    return i_bias * jnp.tanh(jnp.asarray(kappa * (v_plus - v_minus) / (2 * u_t)))


@checked
def follower_time_constant(
    capacitance: Quantity, i_bias: Quantity, *, kappa: Quantity = KAPPA, u_t: Quantity = U_T
) -> Quantity:
    r"""Of a follower-integrator for small signals, $\tau = 2CU_T/(\kappa I_b)$.

    Args:
        capacitance: $C$, pF, > 0.
        i_bias: $I_b$, pA, > 0.
        kappa: $\kappa$, in (0, 1].
        u_t: $U_T$, mV, > 0.

    Returns:
        s.

    Raises:
        SnnlearnError: for a number that is not finite or out of its range, or an argument of another kind.

    >>> round(follower_time_constant(1.0, 7.0), 5)
    0.0102
    """
    owner = "follower_time_constant"
    check_positive(owner, capacitance=capacitance, i_bias=i_bias, u_t=u_t)
    check_kappa(owner, kappa)
    return 2 * time_constant(capacitance, i_bias, u_t, kappa)


@checked
def follower_integrator(
    v: Quantity,
    v_in: Quantity,
    time: Quantity,
    *,
    capacitance: Quantity,
    i_bias: Quantity,
    kappa: Quantity = KAPPA,
    u_t: Quantity = U_T,
) -> Array:
    r"""A follower-integrator, $C\dot V = I_b\tanh\frac{\kappa(V_{in} - V)}{2U_T}$, under a constant input, exactly.

    With $y = \kappa(V_{in} - V)/(2U_T)$ the solution is $\sinh y(t) = e^{-t/\tau}\sinh y(0)$: an exponential for small
    signals, a ramp of slope $I_b/C$ for large ones.

    Args:
        v: $V$ now, mV.
        v_in: $V_{in}$, mV.
        time: after how long, s, ≥ 0.
        capacitance: $C$, pF, > 0.
        i_bias: $I_b$, pA, > 0.
        kappa: $\kappa$, in (0, 1].
        u_t: $U_T$, mV, > 0.

    Returns:
        $V$ then, mV.

    Raises:
        SnnlearnError: for a number that is not finite or out of its range, or an argument of another kind.

    >>> follower_integrator(0.0, jnp.array([1.0, 500.0]), 10.2e-3, capacitance=1.0, i_bias=7.0).round(2)
    Array([ 0.63, 71.4 ], dtype=float32...)
    """
    check_finite("follower_integrator", v=v, v_in=v_in)
    check("follower_integrator", "a time, 0 or more", lambda t: t >= 0, time=time)
    check_positive("follower_integrator", capacitance=capacitance, i_bias=i_bias, u_t=u_t)
    check_kappa("follower_integrator", kappa)
    tau = 2 * time_constant(capacitance, i_bias, u_t, kappa)
    y = jnp.asarray(kappa * (v_in - v) / (2 * u_t))
    # By logarithms, since sinh overflows at a few volts.
    size = jnp.where(y == 0, 1.0, jnp.abs(y))
    log_sinh = size + jnp.log(-jnp.expm1(-2 * size)) - jnp.log(2.0) - jnp.asarray(time / tau)
    large = log_sinh > 0
    above = log_sinh + jnp.log1p(jnp.sqrt(1 + jnp.exp(-2 * jnp.where(large, log_sinh, 0.0))))
    below = jnp.arcsinh(jnp.exp(jnp.where(large, 0.0, log_sinh)))
    left = jnp.where(y == 0, 0.0, jnp.sign(y) * jnp.where(large, above, below))
    return v_in - 2 * u_t / kappa * left
