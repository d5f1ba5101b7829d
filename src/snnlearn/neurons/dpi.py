"""The silicon neuron of Chicca et al. 2014, a differential-pair integrator below threshold, in physical units."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._parameters import (
    Parameter,
    PositiveParameter,
    Value,
    check_positive,
    check_time_constants,
    number,
    plain,
    positive,
    value,
)
from snnlearn.neurons.base import CURRENT, AbstractSpikingNeuron, AbstractWrapper, Firing
from snnlearn.neurons.dpi_synapse import DPISynapse, PositiveFeedback, check_kappa, time_constant
from snnlearn.neurons.exponential_euler import increment, phi_1
from snnlearn.neurons.refractory import AbstractRefractory, Refractory
from snnlearn.neurons.resets import ToValue
from snnlearn.neurons.surrogates import AbstractSurrogate, Triangle
from snnlearn.neurons.thermal import BIAS, DARK, VOLTAGE, Thermal

KAPPA, U_T = 0.705, 25.0
"""The mean slope factor of n- and p-type transistors, 0.75 and 0.66, and the thermal voltage, mV."""


class DPIState(NamedTuple):
    """The membrane current `v`, the currents of the synapses and of adaptation, all in pA, and the aftermath of firing.

    Args:
        v: the membrane current.
        synapses: the current of each synapse, by its port.
        a: the adaptation current; None without adaptation.
        firing: the aftermath of firing.
    """

    v: Float[Array, "*units"]
    synapses: dict[str, Float[Array, "*units"]]
    a: Float[Array, "*units"] | None
    firing: Firing


@final
class DPI(AbstractSpikingNeuron):
    r"""The differential-pair integrator as a neuron, with its synapses; its membrane `v` is a current, in pA.

    $$\tau\Big(1+\frac{I_g}{I_{mem}}\Big)\dot I_{mem}
    =\frac{I_g}{I_\tau}(I_{in}-I_{leak})-\frac{I_{leak}}{I_\tau}I_{mem},\qquad
    I_{leak}=I_\tau+I_{ahp}+I_{GABA_A}-I_a(I_{mem}),$$
    $$I_{in}=I_{dc}+I_{AMPA}+\frac{I_{NMDA}}{1+I_{gate}/I_{mem}}-I_{GABA_B},\qquad\tau=CU_T/(\kappa I_\tau),\quad
    I_g=\text{gain}\cdot I_\tau$$

    Where $I_{mem}\gg I_g$ and nothing feeds back it is a LIF of time constant $\tau$ and resistance `gain`. It spikes
    where $I_{mem}$ > `v_th`, which resets it to `v_reset` for the refractory period, and makes $I_{ahp}$ jump. No
    current falls below the dark current `i_0`: neither those of the state nor $I_{in}$ and $I_a$. A part that is None
    is not there, and neither is its dark current.

    Its ports are `current`, a constant current in units of `unit`, and those of the synapses that it has: `ampa` and
    `nmda`, which excite, `gaba_a`, which shunts, and `gaba_b`, which subtracts. What arrives at these are spikes times
    weights. With `current` alone, as by default, every learning rule accepts it; with synapses, those that accept
    several ports.

    A step is exponential Euler in $w=I_{mem}+I_g\ln I_{mem}$, in which the input is not stiff: stable for any step, of
    second order in `dt` between spikes. Currents of synapses act by their mean over the step.

    Args:
        capacitance: $C$ of the membrane, pF, > 0. A float is fixed, an array is trained.
        i_tau: the leakage $I_\tau$, pA, > 0.
        gain: $I_g/I_\tau$, > 0.
        v_th: the membrane current at which it spikes, pA, > `i_0`.
        v_reset: the membrane current after a spike, pA, > 0, < `v_th`.
        unit: what a current of 1 at the port `current` is, pA, > 0. 500 pA is just below the rheobase of the default
            without feedback, as 1 is that of a LIF.
        feedback: positive feedback, or None.
        adaptation: spike-frequency adaptation, which the neuron's own spikes drive; or None.
        ampa: fast excitation, or None.
        nmda: excitation that the membrane gates, or None.
        gaba_a: shunting inhibition, or None.
        gaba_b: subtractive inhibition, or None.
        i_gate: the membrane current at which half of the NMDA current passes, pA, > 0.
        i_0: dark current, pA, > 0.
        kappa: slope factor of the transistors, in (0, 1].
        u_t: thermal voltage, mV, > 0.
        surrogate: the spike's derivative, a function of (v − v_th) / (v_th − i_0).
        refractory: refractory period, or None.
        dt: time step, s, > 0, at most any of the time constants.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> neuron = DPI()
    >>> spikes, state = neuron(jnp.array([0.5, 4.0]), neuron.initial_state((2,)))
    >>> state.v.round()  # pA
    Array([ 15., 441.], dtype=float32)
    """

    capacitance: PositiveParameter = eqx.field(converter=positive, default=2.0)
    i_tau: PositiveParameter = eqx.field(converter=positive, default=5.0)
    gain: PositiveParameter = eqx.field(converter=positive, default=4.0)
    v_th: Parameter = eqx.field(converter=plain, default=2000.0)
    v_reset: Parameter = eqx.field(converter=plain, default=1.2)
    unit: float = eqx.field(converter=number, default=500.0)
    feedback: PositiveFeedback | None = PositiveFeedback()
    adaptation: DPISynapse | None = DPISynapse(capacitance=4.0, i_tau=2.0, jump=4.0)
    ampa: DPISynapse | None = None
    nmda: DPISynapse | None = None
    gaba_a: DPISynapse | None = None
    gaba_b: DPISynapse | None = None
    i_gate: PositiveParameter = eqx.field(converter=positive, default=1.0)
    i_0: PositiveParameter = eqx.field(converter=positive, default=1.0)
    kappa: float = eqx.field(converter=number, default=KAPPA)
    u_t: float = eqx.field(converter=number, default=U_T)
    surrogate: AbstractSurrogate = Triangle()
    refractory: AbstractRefractory | None = Refractory(5e-3)  # pyright: ignore[reportIncompatibleVariableOverride]
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        check_positive(self, capacitance=self.capacitance, i_tau=self.i_tau, gain=self.gain, unit=self.unit)
        check_positive(self, v_th=self.v_th, v_reset=self.v_reset, i_gate=self.i_gate, i_0=self.i_0, u_t=self.u_t)
        check_kappa(self, self.kappa)
        self.reset.check(self, self.v_th, 0.0)
        check_time_constants(self, self.dt, **{f"tau_{name}": tau for name, tau in self.time_constants().items()})

    @classmethod
    def dynap_se1(cls, *, dt: float = 1e-3) -> DPI:
        """With the default parameters of DYNAP-SE1 and its four kinds of synapses.

        Those of the simulator by Demirag, Renner, Fodorut & Indiveri (github.com/YigitDemirag/dynapse-simulator, read
        in 2026): a spike of weight 1 adds gain · I_w0 = 4 · 100 pA to a synapse's current, and 4 · 1 pA to adaptation.

        Args:
            dt: time step, s, > 0.

        Raises:
            SnnlearnError: for a dt that is longer than a time constant.

        >>> {name: round(1e3 * tau, 3) for name, tau in DPI.dynap_se1().time_constants().items()}  # ms
        {'mem': 14.184, 'ahp': 70.922, 'ampa': 3.546, 'nmda': 35.461, 'gaba_a': 14.184, 'gaba_b': 14.184}
        """
        inhibition = DPISynapse(capacitance=2.0, i_tau=5.0, jump=400.0)
        return cls(  # pyright: ignore[reportCallIssue]
            ampa=DPISynapse(capacitance=2.0, i_tau=20.0, jump=400.0),
            nmda=DPISynapse(capacitance=2.0, i_tau=2.0, jump=400.0),
            gaba_a=inhibition,
            gaba_b=inhibition,
            dt=dt,
        )

    @classmethod
    def dynap_se2(cls, *, dt: float = 1e-3) -> DPI:
        """With the default parameters of DYNAP-SE2 and its four kinds of synapses.

        Those of Rockpool (github.com/synsense/rockpool, dynapse/lookup/defaults.py, read in 2026). A spike of weight 1
        is a pulse of 10 µs of the current of the least of four weight bits, 1 nA. Adaptation is
        as good as off, since its weight's current is the dark current. Positive feedback is off here; Rockpool's own
        simulator always adds one, and so fires faster. A current of 1 at the port
        `current` is 25 nA, the threshold over the gain.

        Args:
            dt: time step, s, > 0.

        Raises:
            SnnlearnError: for a dt that is longer than a time constant.

        >>> round(DPI.dynap_se2().ampa.jump, 2)  # pA
        99.95
        """
        i_0, pulse = 0.5, 10e-6

        def synapse(capacitance: float) -> DPISynapse:
            return DPISynapse.of_pulse(capacitance, 10e-3, gain=100.0, i_w=1e3, pulse=pulse, u_t=U_T, kappa=KAPPA)

        return cls(  # pyright: ignore[reportCallIssue]
            capacitance=3.0,
            i_tau=time_constant(3.0, 20e-3, U_T, KAPPA),
            v_th=1e5,
            v_reset=i_0,
            unit=25e3,
            feedback=None,
            adaptation=DPISynapse.of_pulse(40.0, 50e-3, gain=1.0, i_w=i_0, pulse=1e-6, u_t=U_T, kappa=KAPPA),
            ampa=synapse(24.5),
            nmda=synapse(25.0),
            gaba_a=synapse(24.5),
            gaba_b=synapse(25.0),
            i_gate=i_0,
            i_0=i_0,
            refractory=Refractory(1e-3),
            dt=dt,
        )

    @property
    def synapses(self) -> dict[str, DPISynapse]:
        """The synapses that it has, by their ports."""
        each = {"ampa": self.ampa, "nmda": self.nmda, "gaba_a": self.gaba_a, "gaba_b": self.gaba_b}
        return {port: synapse for port, synapse in each.items() if synapse is not None}

    @property
    def ports(self) -> tuple[str, ...]:
        """See the base."""
        return (CURRENT, *self.synapses)

    @property
    def reset(self) -> ToValue:  # pyright: ignore[reportIncompatibleVariableOverride]
        """To `v_reset`."""
        return ToValue(self.v_reset)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @property
    def surrogate_scale(self) -> Value:
        """See the base."""
        return value(self.v_th) - value(self.i_0)

    @property
    def thermal(self) -> dict[str, Thermal]:
        r"""See the base: currents are biases, but for the dark one and the reset, which turns the membrane off.

        A pulse of fixed length makes a synapse jump by $I_gI_w/I_\tau\cdot t_{pulse}/\tau$.
        """
        each = {"u_t": VOLTAGE, "i_0": DARK, "v_reset": DARK} | dict.fromkeys(("i_tau", "v_th", "unit", "i_gate"), BIAS)
        if self.feedback is not None:
            each |= {f"feedback.{name}": BIAS for name in ("i_gain", "i_th", "i_norm")}
        for name in (*self.synapses, *(("adaptation",) if self.adaptation is not None else ())):
            each |= {f"{name}.i_tau": BIAS, f"{name}.jump": Thermal(u_t=-1, bias=2)}
        return each

    def time_constants(self) -> dict[str, Value]:
        """Those of the membrane (`mem`), of adaptation (`ahp`) and of each synapse, s.

        The membrane decays faster than `mem` if other parts leak into it: on DYNAP-SE1 by 20 %, by their dark currents.
        """
        u_t, kappa = self.u_t, self.kappa
        parts = {} if self.adaptation is None else {"ahp": self.adaptation}
        mem = time_constant(value(self.capacitance), value(self.i_tau), u_t, kappa)
        return {"mem": mem} | {name: part.tau(u_t, kappa) for name, part in (parts | self.synapses).items()}

    def initial_state(self, shape: tuple[int, ...]) -> DPIState:
        """See the base: no current but the dark one."""
        dark = jnp.zeros(shape) + value(self.i_0)
        at_rest = None if self.adaptation is None else dark
        return DPIState(dark, {port: dark for port in self.synapses}, at_rest, self._at_rest(shape))

    def __call__(self, current: Any, state: DPIState) -> tuple[Float[Array, "*units"], DPIState]:
        """See the base."""
        direct, arriving = self._arriving(current)
        dark, taus = value(self.i_0), self.time_constants()
        synapses, mean = {}, {}
        for port, synapse in self.synapses.items():
            jumped = jnp.exp(-self.dt / taus[port]) * state.synapses[port] + value(synapse.jump) * arriving[port]
            synapses[port] = jnp.maximum(jumped, dark)
            mean[port] = jnp.maximum(synapses[port] * phi_1(-self.dt / taus[port]), dark)
        leak = value(self.i_tau) + mean.get("gaba_a", 0.0)
        if self.adaptation is not None and state.a is not None:
            leak = leak + jnp.maximum(state.a * phi_1(-self.dt / taus["ahp"]), dark)
        v = self._charged(state.v, direct, mean, leak)
        spikes, v, firing = self._fire(v, state.v, value(self.v_th), dark, state.firing)
        a = state.a
        if self.adaptation is not None and a is not None:
            a = jnp.maximum(jnp.exp(-self.dt / taus["ahp"]) * a + value(self.adaptation.jump) * spikes, dark)
        return spikes, DPIState(v, synapses, a, firing)

    def _arriving(self, current: Any) -> tuple[Array, dict[str, Array]]:
        """The direct current, pA, and what arrives at each synapse."""
        each = current if self.synapses else {CURRENT: current}
        return self.unit * each[CURRENT], each

    def _charged(
        self, v: Float[Array, "*units"], direct: Float[Array, "*units"], synapses: dict[str, Array], leak: Value
    ) -> Float[Array, "*units"]:
        """The membrane current after a step in which all others are constant."""
        dark, i_g = value(self.i_0), value(self.gain) * value(self.i_tau)
        charge = 1e-3 * value(self.capacitance) * self.u_t / self.kappa  # that of τ I_τ, pA s
        plain_input = direct + synapses.get("ampa", 0.0) - synapses.get("gaba_b", 0.0)

        def rate(v):
            i_in, i_leak = plain_input, leak
            if "nmda" in synapses:
                i_in = i_in + synapses["nmda"] * v / (v + value(self.i_gate))
            if self.feedback is not None:
                i_leak = i_leak - jnp.maximum(self.feedback(v), dark)
            return (i_g * jnp.maximum(i_in, dark) - i_leak * (v + i_g)) / charge

        w = v + i_g * jnp.log(v) + increment(rate, v, self.dt, lambda v: v / (v + i_g))
        return _current_at(jnp.maximum(w, dark + i_g * jnp.log(dark)), i_g)

    def free(self) -> _Linear:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See the base: the LIF that it is far above the gain current, without feedback, adaptation and dark current.

        The NMDA gate is open, and shunting inhibition subtracts.
        """
        return _Linear(self)  # pyright: ignore[reportCallIssue]


@jax.custom_jvp
def _current_at(w: Float[Array, "*units"], i_g: Value) -> Float[Array, "*units"]:
    """The current I > 0 with I + i_g ln I = w."""
    # Newton's iteration for u = ln I: convex and increasing, so that it converges from above.
    u = jnp.minimum(w / i_g, jnp.log(jnp.maximum(w, 1.0)))
    for _ in range(5):  # to the 14th digit, for currents and gains of transistors
        e = jnp.exp(u)
        u = u - (e + i_g * u - w) / (e + i_g)
    return jnp.exp(u)


@_current_at.defjvp
def _(primals, tangents):
    (w, i_g), (dw, di_g) = primals, tangents
    i = _current_at(w, i_g)
    return i, i / (i + i_g) * (dw - jnp.log(i) * di_g)


class _LinearState(NamedTuple):
    v: Float[Array, "*units"]
    synapses: dict[str, Float[Array, "*units"]]


@final
class _Linear(AbstractWrapper):
    """A DPI's linear membrane, which never spikes."""

    neuron: DPI

    @property
    def linear(self) -> bool:
        return True

    def initial_state(self, shape: tuple[int, ...]) -> _LinearState:
        nothing = jnp.zeros(shape)
        return _LinearState(nothing, {port: nothing for port in self.neuron.synapses})

    def __call__(self, current: Any, state: _LinearState) -> tuple[Float[Array, "*units"], _LinearState]:
        dpi, dt = self.neuron, self.dt
        i_in, arriving = dpi._arriving(current)
        taus = dpi.time_constants()
        synapses = {
            port: jnp.exp(-dt / taus[port]) * state.synapses[port] + value(synapse.jump) * arriving[port]
            for port, synapse in dpi.synapses.items()
        }
        for port, i in synapses.items():
            i_in = i_in + (-1.0 if port.startswith("gaba") else 1.0) * phi_1(-dt / taus[port]) * i
        decay = jnp.exp(-dt / taus["mem"])
        v = decay * state.v + (1 - decay) * value(dpi.gain) * i_in
        return jnp.zeros_like(v), _LinearState(v, synapses)

    def free(self) -> _Linear:
        return self
