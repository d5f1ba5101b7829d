"""Subthreshold primitives against their equations, their limits and a solver's solution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from snnlearn import SnnlearnError
from snnlearn.circuits.primitives import (
    follower_integrator,
    follower_time_constant,
    transconductance_current,
    transistor_current,
)

pytestmark = pytest.mark.usefixtures("x64")


def test_a_transistor_is_exponential_in_its_gate_and_saturates_in_its_drain():
    # A decade of current takes U_T ln 10 / κ of gate voltage.
    decade = 25.0 * np.log(10) / 0.7
    assert transistor_current(300.0 + decade, 0.0, 300.0) == pytest.approx(10 * transistor_current(300.0, 0.0, 300.0))
    v_drain = jnp.array([0.0, 1e-6, 25.0, 100.0, 1000.0])
    i = np.asarray(transistor_current(200.0, 0.0, v_drain, i_0=0.5, kappa=0.8, u_t=25.8))
    expected = 0.5e-12 * np.exp(0.8 * 0.2 / 0.0258) * (1 - np.exp(-np.array([0, 1e-9, 0.025, 0.1, 1.0]) / 0.0258))
    np.testing.assert_allclose(i, 1e12 * expected, rtol=1e-6)
    assert i[3] == pytest.approx(i[4], rel=0.03) and i[2] < 0.7 * i[4]  # 4 U_T saturate it, U_T does not
    # Source and drain are the same: exchanged, the current flows the other way.
    assert transistor_current(200.0, 40.0, 90.0) == pytest.approx(-transistor_current(200.0, 90.0, 40.0))


def test_an_amplifier_is_the_difference_of_a_pair_that_shares_the_bias():
    v_plus, v_minus, i_bias = 312.0, 290.0, 80.0
    # Each transistor of the pair takes a share by its exponential; the mirror subtracts.
    shares = np.exp(0.7 * np.array([v_plus, v_minus]) / 25)
    expected = i_bias * (shares[0] - shares[1]) / shares.sum()
    assert transconductance_current(v_plus, v_minus, i_bias) == pytest.approx(expected)
    slope = jax.grad(lambda v: transconductance_current(v, 0.0, i_bias))(0.0)
    assert slope == pytest.approx(i_bias * 0.7 / (2 * 25))
    assert transconductance_current(2000.0, 0.0, i_bias) == pytest.approx(i_bias)


@pytest.mark.parametrize("v_in", [5.0, 60.0, -400.0])
def test_a_follower_integrator_follows_its_equation(v_in):
    def rate(t, v):
        return 80e-12 * np.tanh(0.65 * (1e-3 * v_in - v) / (2 * 0.0258)) / 3e-12

    times = np.array([1e-3, 5e-3, 30e-3])
    exact = 1e3 * solve_ivp(rate, (0.0, 30e-3), [0.0], t_eval=times, rtol=1e-10, atol=1e-13).y[0]
    parts = {"capacitance": 3.0, "i_bias": 80.0, "kappa": 0.65, "u_t": 25.8}
    np.testing.assert_allclose(follower_integrator(0.0, v_in, jnp.array(times), **parts), exact, rtol=1e-7)


def test_a_follower_integrator_is_linear_for_small_signals_and_a_ramp_for_large_ones():
    parts = {"capacitance": 2.0, "i_bias": 50.0}
    tau = follower_time_constant(**parts)
    assert tau == pytest.approx(2 * 2e-12 * 25e-3 / (0.7 * 50e-12))
    assert follower_integrator(0.0, 1.0, tau, **parts) == pytest.approx(1 - np.exp(-1), rel=1e-3)
    assert follower_integrator(0.0, 4000.0, 20e-3, **parts) == pytest.approx(50 / 2 * 20, rel=1e-9)  # mV, at 25 V/s
    assert follower_integrator(7.0, 7.0, 1.0, **parts) == 7.0
    slopes = jax.vmap(jax.grad(lambda v: follower_integrator(v, 7.0, 1e-3, **parts)))(jnp.array([6.9, 7.1, -3000.0]))
    assert jnp.isfinite(slopes).all() and (slopes > 0).all()


GOOD = {
    transistor_current: {"v_gate": 1.0, "v_source": 0.0, "v_drain": 1.0, "i_0": 1.0, "kappa": 0.7, "u_t": 25.0},
    transconductance_current: {"v_plus": 1.0, "v_minus": 0.0, "i_bias": 1.0, "kappa": 0.7, "u_t": 25.0},
    follower_time_constant: {"capacitance": 1.0, "i_bias": 1.0, "kappa": 0.7, "u_t": 25.0},
    follower_integrator: {"v": 0.0, "v_in": 1.0, "time": 1.0, "capacitance": 1.0, "i_bias": 1.0, "kappa": 0.7},
}
NONSENSE = [float("nan"), float("inf"), "seven", None]
WRONG = {"kappa": [0.0, 1.01, -0.7], "capacitance": [-1.0, 0.0], "i_bias": [-1.0, 0.0], "i_0": [-1.0], "u_t": [0.0]}


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__name__)
def test_what_no_circuit_has_is_refused_by_name(function):
    for name in GOOD[function]:
        for wrong in [*NONSENSE, *WRONG.get(name, [])]:
            with pytest.raises(SnnlearnError, match=f"^{function.__name__}: {name} is .*; give "):
                function(**GOOD[function] | {name: wrong})
    with pytest.raises(SnnlearnError, match=r"kappa is 1.5 at \[1\]"):
        function(**GOOD[function] | {"kappa": jnp.array([0.7, 1.5])})
