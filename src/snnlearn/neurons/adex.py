"""The adaptive exponential integrate-and-fire neuron, in physical units."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import (
    Parameter,
    PositiveParameter,
    check_finite,
    check_not_negative,
    check_positive,
    check_time_constants,
    number,
    plain,
    positive,
    train_time_constants,
    value,
)
from snnlearn.neurons.base import AbstractSpikingNeuron, AbstractWrapper, Firing
from snnlearn.neurons.exponential_euler import increment
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import ToValue
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle
from snnlearn.neurons.thermal import BIAS, CONDUCTANCE, TIME, VOLTAGE, Thermal


class AdExState(NamedTuple):
    """The membrane `v`, mV, the adaptation current `w`, pA, and the aftermath of firing."""

    v: Float[Array, "*units"]
    w: Float[Array, "*units"]
    firing: Firing


@final
class AdEx(AbstractSpikingNeuron):
    r"""Adaptive exponential integrate-and-fire (Brette & Gerstner 2005, doi:10.1152/jn.00686.2005).

    $$C\dot V=-g_L(V-E_L)+g_L\Delta_Te^{(V-V_T)/\Delta_T}-w+I,\qquad\tau_w\dot w=a(V-E_L)-w$$

    A spike, where V > `v_th`, resets V to `v_reset` and raises w by `b`. The defaults are those of the paper, a
    cortical neuron. Past `v_th`, by default $V_T + 5\Delta_T$, the membrane would reach infinity within 0.1 ms.

    A step is exponential Euler, of second order in `dt` between spikes; w takes the mean of the membrane.

    Args:
        capacitance: $C$, pF, > 0. A float is fixed, an array is trained.
        g_leak: $g_L$, nS, > 0.
        v_leak: $E_L$, mV.
        v_soft: $V_T$, where the membrane starts to run away, mV.
        delta: $\Delta_T$, how sharply it does, mV, > 0.
        a: how strongly w follows the membrane, nS, ≥ 0.
        b: what a spike adds to w, pA, ≥ 0.
        tau_w: time constant of w, s, ≥ dt and below 100 s (or 1,000 dt).
        v_th: the membrane at which it spikes, mV, > `v_soft`.
        v_reset: the membrane after a spike, mV, < `v_th`.
        unit: what a current of 1 is, pA, > 0. A step to 1.2 makes the defaults fire.
        surrogate: the spike's derivative, a function of (v − v_th) / (v_th − v_leak).
        refractory: refractory period, or None.
        dt: time step, s, > 0, at most $C/g_L$.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = AdEx(dt=1e-4)
    >>> spikes, state = neuron(jnp.array([2.0]), neuron.initial_state((1,)))
    >>> state.v.round(2)  # mV: 1,000 pA charge 281 pF for 0.1 ms
    Array([-70.25], dtype=float32)
    """

    capacitance: PositiveParameter = eqx.field(converter=positive, default=281.0)
    g_leak: PositiveParameter = eqx.field(converter=positive, default=30.0)
    v_leak: Parameter = eqx.field(converter=plain, default=-70.6)
    v_soft: Parameter = eqx.field(converter=plain, default=-50.4)
    delta: PositiveParameter = eqx.field(converter=positive, default=2.0)
    a: Parameter = eqx.field(converter=plain, default=4.0)
    b: Parameter = eqx.field(converter=plain, default=80.5)
    tau_w: PositiveParameter = eqx.field(converter=positive, default=144e-3)
    v_th: Parameter = eqx.field(converter=plain, default=-40.4)
    v_reset: Parameter = eqx.field(converter=plain, default=-70.6)
    unit: float = eqx.field(converter=number, default=500.0)
    surrogate: AbstractSurrogate = Triangle()
    refractory: AbstractRefractory | None = None
    dt: float = eqx.field(converter=number, default=1e-3)

    def __post_init__(self):
        train_time_constants(self, tau_w=100.0)
        check_not_negative(self, a=plain(self.a), b=plain(self.b))  # of a new neuron: training may take them anywhere

    def __check_init__(self):
        check_positive(self, capacitance=self.capacitance, g_leak=self.g_leak, delta=self.delta, unit=self.unit)
        check_finite(self, v_leak=self.v_leak, v_soft=self.v_soft, v_th=self.v_th, v_reset=self.v_reset)
        check_finite(self, a=self.a, b=self.b)
        check_time_constants(self, self.dt, tau_mem=self.tau_mem, tau_w=self.tau_w)
        self.reset.check(self, self.v_th, self.v_leak)
        if isinstance(self.v_th, float) and isinstance(self.v_soft, float) and self.v_th <= self.v_soft:
            raise SnnlearnError(
                f"AdEx: v_th is {self.v_th} mV, not above v_soft = {self.v_soft} mV, where the membrane starts to run "
                "away; give v_soft + 5 delta"
            )

    @property
    def tau_mem(self) -> Any:
        """Time constant of the membrane far below threshold, $C/g_L$, s."""
        return 1e-3 * value(self.capacitance) / value(self.g_leak)  # pF / nS = ms

    @property
    def reset(self) -> ToValue:  # pyright: ignore[reportIncompatibleVariableOverride]
        """To `v_reset`."""
        return ToValue(self.v_reset)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @property
    def surrogate_scale(self) -> Any:
        """See the base."""
        return value(self.v_th) - value(self.v_leak)

    @property
    def thermal(self) -> dict[str, Thermal]:
        """See the base: of transconductance amplifiers and a transistor below threshold, whose exponential it is."""
        circuit = {"g_leak": CONDUCTANCE, "a": CONDUCTANCE, "delta": VOLTAGE, "tau_w": TIME}
        return circuit | {"b": BIAS, "unit": BIAS}

    def initial_state(self, shape: tuple[int, ...]) -> AdExState:
        """See the base."""
        return AdExState(jnp.zeros(shape) + value(self.v_leak), jnp.zeros(shape), self._at_rest(shape))

    def __call__(self, current: Float[Array, "*units"], state: AdExState) -> tuple[Float[Array, "*units"], AdExState]:
        """See the base."""
        rest, soft, delta, v_th = map(value, (self.v_leak, self.v_soft, self.delta, self.v_th))
        g_leak, capacitance, a, tau_w = map(value, (self.g_leak, self.capacitance, self.a, self.tau_w))
        midway = state.w + self.dt / 2 * (a * (state.v - rest) - state.w) / tau_w

        def rate(v):
            runaway = delta * jnp.exp((jnp.minimum(v, v_th) - soft) / delta)
            return 1e3 * (g_leak * (rest - v + runaway) - midway + self.unit * current) / capacitance  # mV / s

        charged = state.v + increment(rate, state.v, self.dt)
        spikes, v, firing = self._fire(charged, state.v, v_th, rest, state.firing)
        mean = (state.v + jnp.where(spikes > 0, jnp.minimum(charged, v_th), v)) / 2
        decay = jnp.exp(-self.dt / tau_w)
        w = decay * state.w + (1 - decay) * a * (mean - rest) + value(self.b) * spikes
        return spikes, AdExState(v, w, firing)

    def free(self) -> _Linear:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See the base: without the exponential."""
        return _Linear(self)  # pyright: ignore[reportCallIssue]


class _LinearState(NamedTuple):
    v: Float[Array, "*units"]
    w: Float[Array, "*units"]


@final
class _Linear(AbstractWrapper):
    """An AdEx's linear membrane, which never spikes; its state is relative to rest."""

    neuron: AdEx

    @property
    def linear(self) -> bool:
        return True

    def initial_state(self, shape: tuple[int, ...]) -> _LinearState:
        return _LinearState(jnp.zeros(shape), jnp.zeros(shape))

    def __call__(
        self, current: Float[Array, "*units"], state: _LinearState
    ) -> tuple[Float[Array, "*units"], _LinearState]:
        adex, dt = self.neuron, self.dt
        decay, slow = jnp.exp(-dt / adex.tau_mem), jnp.exp(-dt / value(adex.tau_w))
        v = decay * state.v + (1 - decay) * (adex.unit * current - state.w) / value(adex.g_leak)
        w = slow * state.w + (1 - slow) * value(adex.a) * v
        return jnp.zeros_like(v), _LinearState(v, w)

    def free(self) -> _Linear:
        return self
