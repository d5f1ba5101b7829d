"""The base of neurons: one step of the dynamics, elementwise over units, and how a membrane becomes spikes."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Parameter, Value, parameters, value
from snnlearn.neurons.affine import all_steps_of
from snnlearn.neurons.continuous import Continuous, Unit
from snnlearn.neurons.lowering import Constants, Equation, Lowered, LoweredState
from snnlearn.neurons.refractory import AbstractRefractory
from snnlearn.neurons.resets import NextStep, NoReset, Reset
from snnlearn.neurons.surrogates import AbstractSurrogate
from snnlearn.neurons.thermal import TIME, Thermal

CURRENT = "current"
"""The only port of most neurons."""


class Rectified(NamedTuple):
    """One part of an activation function, `gain · min(max(sign · i, 0), ceiling)`.

    Args:
        sign: 1 or -1.
        gain: its factor in the sum of the parts.
        ceiling: its largest value, > 0; infinite if there is none.
    """

    sign: float = 1.0
    gain: float = 1.0
    ceiling: Any = float("inf")


class AbstractNeuron(Component):
    """A population of units without connections: current and state in, output and state out.

    The equation is written once, elementwise, so one instance works for any shape of units, and learning rules obtain
    all they need by differentiation.

    Raises:
        SnnlearnError: if it holds another neuron and is not an `AbstractWrapper`.
    """

    dt: eqx.AbstractVar[float]

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of its input currents; with several, the current is a dict with these keys."""
        return (CURRENT,)

    @property
    def input_ports(self) -> tuple[str, ...]:
        """The ports that the input of a usual network arrives at."""
        return self.ports

    @property
    def loop_ports(self) -> tuple[str, ...]:
        """The ports that the output of its own layer arrives at in a usual recurrent network."""
        return self.ports

    @property
    def spikes(self) -> bool:
        """Whether its output is 0 or 1."""
        return False

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers, from a key in its state."""
        return False

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of its output, for units of this shape: the same, or that with axes before it.

        Args:
            shape: the units' shape.
        """
        return shape

    @property
    def timeless(self) -> bool:
        """Whether its output depends on the current of the same step alone."""
        return False

    @property
    def affine(self) -> bool:
        """Whether its next state is an affine function of state and current, the same in every step.

        Its output may be any function of them. A network of such neurons, without feedback, needs no loop over time.
        """
        return self.timeless

    def all_steps(self, currents: Any, state: Any) -> tuple[Float[Array, "T *out"], Any]:
        """All steps at once; only of an `affine` neuron.

        Args:
            currents: as for a step, with a leading axis T.
            state: the state before the first step.

        Returns:
            the outputs, and the state after each step, with a leading axis T.
        """
        if self.timeless:
            return jax.vmap(self, in_axes=(0, None))(currents, state)
        return all_steps_of(self, currents, state)

    def rectified(self) -> tuple[Rectified, ...] | str:
        """The parts whose sum its output is, for its conversion to spiking neurons; or why there are none."""
        return f"is {type(self).__name__}, which has time already"

    @property
    def linear(self) -> bool:
        """Whether its membrane is linear in its current, and the same in all units, as long as none spikes."""
        return False

    @property
    def linear_through_spikes(self) -> bool:
        """Whether it is linear even if units spike: spikes then only add to the membrane, and have no gradient."""
        return self.linear

    @abstractmethod
    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """The state at rest: a named tuple whose field `v` is the membrane.

        Args:
            shape: the units' shape.
        """

    @abstractmethod
    def __call__(self, current: Any, state: Any) -> tuple[Float[Array, "*out"], Any]:
        """Advance by one time step: decay → input → v → spike → reset.

        Args:
            current: the input in this step, `[*units]`, in the unit of the membrane (per `resistance`); for a neuron of
                several `ports`, a dict of them.
            state: as `initial_state` or an earlier step gave it.

        Returns:
            The output, spikes (0 or 1) or, for a neuron that does not spike, its membrane, `[*out_shape(units)]`; and
            the next state.
        """

    @abstractmethod
    def free(self) -> "AbstractNeuron":
        """The same neuron with a threshold that it never reaches: its linear membrane.

        Raises:
            SnnlearnError: if it has none, as its currents gate one another.
        """

    def scored(self, spikes: Float[Array, "*units"] | None = None) -> "AbstractNeuron | None":
        """Itself with the derivative of the log-probability of its spikes as theirs; None if it does not draw them.

        Only as output: what follows in the neuron takes the spikes as given.

        Args:
            spikes: those of the next step, where they are known; None to draw them.
        """
        return None

    def in_continuous_time(self) -> Continuous | str:
        """Its differential equation, if its spikes have exact times; or why not, such as `has a refractory period`."""
        return f"is {type(self).__name__}, not LIF or CubaLIF"

    @property
    def rest(self) -> Value:
        """The membrane at rest, `v_leak`, from which differences of membranes are measured; 0 if it has none."""
        return value(getattr(self, "v_leak", 0.0))

    @property
    def thermal(self) -> dict[str, Thermal]:
        """How its parameters depend on temperature, by their place; those that are not in it do not.

        By default its time constants do, parameters called `tau_…`, as those of transistors below threshold.
        """
        return {place: TIME for place in parameters(self) if place.startswith("tau_")}

    def lowered(self) -> Lowered | str:
        """Its equation as the kernels compute it (`lowering`), or why not, such as `has a refractory period`."""
        return f"is {type(self).__name__}"

    def lowered_state(self, state: Any) -> LoweredState:
        """A state as the kernels take it: the fields that have names in the equation."""
        return LoweredState(**{name: getattr(state, name) for name in LoweredState._fields if hasattr(state, name)})

    def raised_state(self, state: LoweredState, before: Any) -> Any:
        """The neuron's state, given that of the kernels.

        Args:
            state: the kernels' state after the steps.
            before: the neuron's state before them.
        """
        return before._replace(**{name: part for name, part in state._asdict().items() if name in before._fields})

    def __check_init__(self):
        inside = [name for name, part in vars(self).items() if isinstance(part, AbstractNeuron)]
        if inside and not isinstance(self, AbstractWrapper):
            raise SnnlearnError(
                f"{type(self).__name__}: it holds another neuron; derive it from AbstractWrapper, and name the "
                "field `neuron`"
            )

    def no_current(self, shape: tuple[int, ...]) -> Any:
        """No current at any port, for units of this shape."""
        nothing = jnp.zeros(shape)
        return nothing if len(self.ports) == 1 else dict.fromkeys(self.ports, nothing)


class NoisyState(NamedTuple):
    """A neuron's state, and the random key of what is drawn for it: its spikes, or which units are dropped."""

    neuron: Any
    key: PRNGKeyArray

    @property
    def v(self) -> Any:
        """The neuron's membrane; any leaf in its place, since a tree may be mapped by it."""
        return self.neuron.v


class AbstractWrapper(AbstractNeuron):
    """A modified neuron: threshold, surrogate and refractory period are those of the neuron inside."""

    neuron: eqx.AbstractVar[Any]

    @property
    def dt(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The time step of the neuron inside, s."""
        return self.neuron.dt

    @property
    def ports(self) -> tuple[str, ...]:
        """Those of the neuron inside."""
        return self.neuron.ports

    @property
    def input_ports(self) -> tuple[str, ...]:
        """Those of the neuron inside."""
        return self.neuron.input_ports

    @property
    def loop_ports(self) -> tuple[str, ...]:
        """Those of the neuron inside."""
        return self.neuron.loop_ports

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """That of the neuron inside."""
        return self.neuron.out_shape(shape)

    @property
    def spikes(self) -> bool:
        """As the neuron inside does."""
        return self.neuron.spikes

    @property
    def draws(self) -> bool:
        """As the neuron inside does."""
        return self.neuron.draws

    @property
    def rest(self) -> Value:
        """That of the neuron inside."""
        return self.neuron.rest

    @property
    def thermal(self) -> dict[str, Thermal]:
        """That of the neuron inside, and of its own time constants."""
        return super().thermal | {f"neuron.{place}": law for place, law in self.neuron.thermal.items()}

    def scored(self, spikes: Float[Array, "*units"] | None = None) -> AbstractNeuron | None:
        """Around the neuron inside."""
        inside = self.neuron.scored(spikes)
        return None if inside is None else eqx.tree_at(lambda wrapper: wrapper.neuron, self, inside)


def core(neuron: AbstractNeuron) -> AbstractNeuron:
    """The neuron inside its wrappers, which holds the threshold.

    >>> from snnlearn.neurons import LI, Delayed, Filtered
    >>> core(Delayed(Filtered(LI(tau_mem=5e-3)))).tau_mem
    0.005
    """
    while isinstance(neuron, AbstractWrapper):
        neuron = neuron.neuron
    return neuron


class Firing(NamedTuple):
    """The aftermath of firing in the next step; `None` where the neuron does not need it.

    Args:
        spikes: those of the last step, for a reset in the next step.
        refractory: for how many more steps the neuron cannot spike.
    """

    spikes: Float[Array, "*units"] | None
    refractory: Int[Array, "*units"] | None


class AbstractSpikingNeuron(AbstractNeuron):
    """A neuron that spikes where its membrane is strictly above a threshold."""

    v_th: eqx.AbstractVar[Parameter]
    surrogate: eqx.AbstractVar[AbstractSurrogate]
    reset: eqx.AbstractVar[Reset]
    refractory: eqx.AbstractVar[AbstractRefractory | None]

    @property
    def spikes(self) -> bool:
        """True."""
        return True

    @property
    def surrogate_scale(self) -> Value:
        """What is 1 to the surrogate, in the unit of the membrane; in physical units, the height of the threshold."""
        return 1.0

    @property
    def linear_through_spikes(self) -> bool:
        """See the base; so it is if no gradient flows through the reset, and the refractory period holds nothing."""
        adds = self.reset.adds and (self.refractory is None or not self.refractory.holds)
        return self.linear and adds

    @property
    def never_reset(self) -> bool:
        """Whether its spikes leave its state alone."""
        return not self.reset.acts and self.refractory is None

    def free(self) -> "AbstractSpikingNeuron":
        """See the base."""
        return eqx.tree_at(lambda neuron: (neuron.v_th, neuron.reset), self, (float("inf"), NoReset()))

    def _lowered(self, constants: Constants, *, has_current: bool = False) -> Lowered | str:
        """What lies before a spike, given as constants, together with the spike and its reset."""
        if (reset := self.reset.lowered(value(self.v_th), constants.v_leak)) is None:
            return f"is reset by {type(self.reset).__name__}"
        if self.refractory is not None:
            return "has a refractory period"
        if (surrogate := self.surrogate.lowered()) is None:
            return f"has the surrogate {type(self.surrogate).__name__}"
        constants = constants._replace(v_th=value(self.v_th), reset_keep=reset.keep, reset_add=reset.add)
        return Lowered(constants, Equation(True, reset.late, reset.flows, surrogate), has_current)

    def _in_continuous_time(
        self, tau_mem: Value, tau_syn: Value, v_leak: Value, resistance: Value, held: float | None
    ) -> Continuous | str:
        """What lies before a spike, given as constants, together with the spike and its reset."""
        v_th, after = value(self.v_th), self.reset.after_threshold(v_leak)
        if after is None:
            return f"is reset by {type(self.reset).__name__}, not Subtract or ToValue"
        if self.refractory is not None:
            return "has a refractory period"
        if isinstance(v_leak, float) and isinstance(v_th, float) and v_leak >= v_th:
            return f"has v_leak = {v_leak}, not below v_th = {v_th}"
        return Continuous(Unit(tau_mem, tau_syn, v_th - v_leak, v_th - after), resistance, held)

    def lowered_state(self, state: Any) -> LoweredState:
        """See the base; the last spikes matter only if they have yet to reset."""
        spikes = 0.0 if state.firing.spikes is None else state.firing.spikes
        return super().lowered_state(state)._replace(spikes=spikes)

    def raised_state(self, state: LoweredState, before: Any) -> Any:
        """See the base."""
        spikes = None if before.firing.spikes is None else state.spikes
        return super().raised_state(state, before)._replace(firing=Firing(spikes, None))

    def _at_rest(self, shape: tuple[int, ...]) -> Firing:
        return Firing(
            spikes=jnp.zeros(shape) if isinstance(self.reset, NextStep) else None,
            refractory=jnp.zeros(shape, dtype=jnp.int32) if self.refractory is not None else None,
        )

    def _fire(
        self,
        v: Float[Array, "*units"],
        v_before: Float[Array, "*units"],
        threshold: Value,
        rest: Value,
        firing: Firing,
    ) -> tuple[Float[Array, "*units"], Float[Array, "*units"], Firing]:
        """Spike and reset.

        Args:
            v: the membrane after decay and input.
            v_before: the membrane after the last step.
            threshold: the current threshold; that at rest is `v_th`.
            rest: the membrane at rest.
            firing: that of the last step.

        Returns:
            spikes, membrane, and `Firing` for the next step.
        """
        period, waiting = self.refractory, firing.refractory  # both are None, or neither
        if period is not None and waiting is not None:
            v = period.hold(v, v_before, waiting > 0)
        # After holding, which would undo the reset by the last step's spikes.
        if isinstance(self.reset, NextStep) and firing.spikes is not None:
            v = self.reset.reset(v, firing.spikes, value(self.v_th), rest)
        spikes = self.surrogate((v - threshold) / self.surrogate_scale)
        if period is not None and waiting is not None:
            spikes = jnp.where(waiting > 0, 0.0, spikes)
            waiting = jnp.where(spikes > 0, period.steps(self.dt), jnp.maximum(waiting - 1, 0))
        if isinstance(self.reset, NextStep):
            return spikes, v, Firing(spikes, waiting)
        return spikes, self.reset(v, spikes, value(self.v_th), rest), Firing(None, waiting)
