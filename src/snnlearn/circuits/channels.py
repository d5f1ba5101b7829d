"""How spikes leave a core: late, lost, with coarse time stamps, or through a queue that is full."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import number
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.defects import check_probability, check_spikes
from snnlearn.circuits.weights import each_neuron
from snnlearn.network import Network
from snnlearn.neurons import AbstractNeuron, AbstractWrapper


class AbstractChannel(Component):
    """What happens to spikes between a layer's neurons and those that they reach.

    The derivative of a spike that arrives is that of the spike that was sent; what a channel decides, such as which
    spike is lost, has none. The same spikes return to the layer itself, where it is connected to itself.
    """

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers, from a key in its state."""
        return False

    @abstractmethod
    def initial_state(self, shape: tuple[int, ...]) -> Any:
        """The state before the first spike.

        Args:
            shape: of the layer's units.
        """

    @abstractmethod
    def __call__(self, spikes: Float[Array, "*units"], state: Any) -> tuple[Float[Array, "*units"], Any]:
        """The spikes that arrive in this step, 0 or 1, and the next state.

        Args:
            spikes: those that are sent, 0 or 1.
            state: as `initial_state` or an earlier step gave it.
        """


class DelayedSpikes(NamedTuple):
    """How many spikes of each unit arrive after how many steps, `[steps, *units]`, and the key of the next delays."""

    coming: Float[Array, "steps ..."]
    key: PRNGKeyArray


@final
class RandomDelay(AbstractChannel):
    """Timing jitter: each spike arrives a random number of steps later.

    None is lost: where two spikes of a unit would arrive in one step, one of them arrives in the next that is free.

    Args:
        probabilities: of a delay of 0, 1, … steps, which add up to 1.

    Raises:
        SnnlearnError: for numbers that are no probabilities, or do not add up to 1.

    >>> late = RandomDelay((0.0, 0.0, 1.0))
    >>> state, arrived = late.initial_state((1,)), []
    >>> for spike in (1.0, 0.0, 0.0):
    ...     spikes, state = late(jnp.array([spike]), state)
    ...     arrived.append(float(spikes[0]))
    >>> arrived
    [0.0, 0.0, 1.0]
    """

    probabilities: tuple[float, ...] = eqx.field(converter=tuple)

    def __check_init__(self):
        check_probability(self, **{f"probabilities[{delay}]": p for delay, p in enumerate(self.probabilities)})
        if abs(sum(self.probabilities) - 1) > 1e-6:
            raise SnnlearnError(
                f"RandomDelay: probabilities add up to {sum(self.probabilities):g}; give one for each number of steps "
                "from 0, which add up to 1"
            )

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def initial_state(self, shape: tuple[int, ...]) -> DelayedSpikes:
        """See the base."""
        return DelayedSpikes(jnp.zeros((len(self.probabilities), *shape)), jax.random.key(0))

    def __call__(
        self, spikes: Float[Array, "*units"], state: DelayedSpikes
    ) -> tuple[Float[Array, "*units"], DelayedSpikes]:
        """See the base."""
        later, now = jax.random.split(state.key)
        choices = jnp.arange(len(self.probabilities))
        delay = jax.random.choice(now, choices, spikes.shape, p=jnp.array(self.probabilities))
        sent = (delay[None] == choices.reshape(-1, *(1,) * spikes.ndim)).astype(spikes.dtype) * spikes[None]
        due, *others = state.coming + sent
        arrived, left = _one_of(due)
        others = [*others, jnp.zeros_like(spikes)]
        return arrived, DelayedSpikes(jnp.stack([others[0] + left, *others[1:]]), later)


@final
class Loss(AbstractChannel):
    """Each spike is lost with some probability.

    Args:
        probability: 0 to 1.

    Raises:
        SnnlearnError: for what is no probability.

    >>> Loss(1.0)(jnp.ones(2), jax.random.key(0))[0].tolist()
    [0.0, 0.0]
    """

    probability: float | Float[Array, ""] = eqx.field(converter=number)

    def __check_init__(self):
        check_probability(self, probability=self.probability)

    @property
    def draws(self) -> bool:
        """It does."""
        return True

    def initial_state(self, shape: tuple[int, ...]) -> PRNGKeyArray:
        """See the base."""
        return jax.random.key(0)

    def __call__(
        self, spikes: Float[Array, "*units"], state: PRNGKeyArray
    ) -> tuple[Float[Array, "*units"], PRNGKeyArray]:
        """See the base."""
        later, now = jax.random.split(state)
        kept = jax.random.uniform(now, spikes.shape) >= self.probability
        return kept.astype(spikes.dtype) * spikes, later


class Stamped(NamedTuple):
    """Which units have spiked since the last time stamp, and how many steps ago that was."""

    waiting: Float[Array, "*units"]
    steps: Int[Array, ""]


@final
class TimeStamps(AbstractChannel):
    """Time is counted in periods of several steps: spikes arrive in the last step of their period.

    Spikes of a unit with the same time stamp are one.

    Args:
        steps: of a period, ≥ 1.

    Raises:
        SnnlearnError: if steps is below 1, or no whole number.

    >>> coarse = TimeStamps(2)
    >>> state, arrived = coarse.initial_state((1,)), []
    >>> for spike in (1.0, 1.0, 0.0, 0.0):
    ...     spikes, state = coarse(jnp.array([spike]), state)
    ...     arrived.append(float(spikes[0]))
    >>> arrived
    [0.0, 1.0, 0.0, 0.0]
    """

    steps: int = eqx.field(static=True)

    def __check_init__(self):
        check_fields(self, "steps")
        if self.steps < 1:
            raise SnnlearnError(f"TimeStamps: steps is {self.steps}; give at least 1")

    def initial_state(self, shape: tuple[int, ...]) -> Stamped:
        """See the base."""
        return Stamped(jnp.zeros(shape), jnp.array(0))

    def __call__(self, spikes: Float[Array, "*units"], state: Stamped) -> tuple[Float[Array, "*units"], Stamped]:
        """See the base."""
        one, _ = _one_of(state.waiting + spikes)
        last = state.steps == self.steps - 1
        arrived = jnp.where(last, one, 0.0)
        return arrived, Stamped(jnp.where(last, 0.0, one), (state.steps + 1) % self.steps)


@final
class Dropping(AbstractChannel):
    """In each step at most some spikes of a layer leave, those of the first units; the others are lost.

    Args:
        capacity: spikes in a step, ≥ 1.

    Raises:
        SnnlearnError: if capacity is below 1, or no whole number.

    >>> Dropping(2)(jnp.array([0.0, 1.0, 1.0, 1.0]), None)[0].tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    capacity: int = eqx.field(static=True)

    def __check_init__(self):
        _check_capacity(self)

    def initial_state(self, shape: tuple[int, ...]) -> None:
        """See the base."""
        return None

    def __call__(self, spikes: Float[Array, "*units"], state: None) -> tuple[Float[Array, "*units"], None]:
        """See the base."""
        return _first(spikes, self.capacity) * spikes, None


@final
class Waiting(AbstractChannel):
    """In each step at most some spikes of a layer leave, those of the first units; the others wait.

    A unit sends one spike in a step, and none is lost.

    Args:
        capacity: spikes in a step, ≥ 1.

    Raises:
        SnnlearnError: if capacity is below 1, or no whole number.

    >>> queue = Waiting(2)
    >>> first, waiting = queue(jnp.array([0.0, 1.0, 1.0, 1.0]), jnp.zeros(4))
    >>> second, _ = queue(jnp.zeros(4), waiting)
    >>> first.tolist(), second.tolist()
    ([0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0])
    """

    capacity: int = eqx.field(static=True)

    def __check_init__(self):
        _check_capacity(self)

    def initial_state(self, shape: tuple[int, ...]) -> Float[Array, "..."]:
        """How many spikes of each unit wait."""
        return jnp.zeros(shape)

    def __call__(
        self, spikes: Float[Array, "*units"], state: Float[Array, "*units"]
    ) -> tuple[Float[Array, "*units"], Float[Array, "*units"]]:
        """See the base."""
        waiting = state + spikes
        arrived = _first(waiting, self.capacity) * _one_of(waiting)[0]
        return arrived, waiting - arrived


class TransmittedState(NamedTuple):
    """The neuron's state, and that of the channel."""

    neuron: Any
    channel: Any

    @property
    def v(self) -> Any:
        """The neuron's membrane; any leaf in its place, since a tree may be mapped by it."""
        return self.neuron.v


@final
class Transmitted(AbstractWrapper):
    """A neuron whose spikes pass through a channel.

    Args:
        neuron: the neuron, which spikes.
        channel: the channel.

    Raises:
        SnnlearnError: for a part of another kind, or a neuron that does not spike.

    >>> from snnlearn.neurons import LIF
    >>> neuron = Transmitted(LIF(), Dropping(1))
    >>> neuron(jnp.array([100.0, 100.0]), neuron.initial_state((2,)))[0].tolist()
    [1.0, 0.0]
    """

    neuron: AbstractNeuron
    channel: AbstractChannel

    def __check_init__(self):
        check_fields(self, "neuron", "channel")
        if not self.neuron.spikes:
            raise SnnlearnError(f"Transmitted: {type(self.neuron).__name__} does not spike; give a neuron that does")

    @property
    def draws(self) -> bool:
        """Whether the neuron or the channel does."""
        return self.neuron.draws or self.channel.draws

    def scored(self, spikes: Array | None = None) -> None:
        """None: what arrives is not what the neuron drew."""
        return None

    def initial_state(self, shape: tuple[int, ...]) -> TransmittedState:
        """See the base."""
        return TransmittedState(self.neuron.initial_state(shape), self.channel.initial_state(shape))

    def __call__(self, current: Any, state: TransmittedState) -> tuple[Float[Array, "*units"], TransmittedState]:
        """See the base."""
        spikes, neuron = self.neuron(current, state.neuron)
        arrived, channel = self.channel(spikes, state.channel)
        return arrived, TransmittedState(neuron, channel)

    def free(self) -> AbstractNeuron:
        """See the base."""
        return self.neuron.free()


@final
class Transmission(AbstractEffect):
    """The spikes of each layer pass through a channel. The network has a state for it, and runs as plain JAX.

    Nothing is drawn for a chip: what a channel draws, it draws in each step, from a key in the network's state.

    Args:
        channel: `RandomDelay`, `Loss`, `TimeStamps`, `Dropping` or `Waiting`.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> Transmission(Loss(0.1))(network, key=jax.random.key(1)).layers[0].draws
    True
    """

    channel: AbstractChannel

    def __check_init__(self):
        check_fields(self, "channel")

    @property
    def label(self) -> str:
        """See the base."""
        return f"transmission with {type(self.channel).__name__}"

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        check_spikes(self, network)
        return each_neuron(
            network,
            lambda layer, _: Transmitted(layer.neuron, self.channel) if layer.neuron.spikes else layer.neuron,  # pyright: ignore
        )


def _check_capacity(channel: Dropping | Waiting) -> None:
    check_fields(channel, "capacity")
    if channel.capacity < 1:
        raise SnnlearnError(f"{type(channel).__name__}: capacity is {channel.capacity}; give at least 1")


def _one_of(count: Float[Array, "*units"]) -> tuple[Float[Array, "*units"], Float[Array, "*units"]]:
    """One spike of each unit that has some, and those that are left, each with its share of the derivatives."""
    one = count * jax.lax.stop_gradient(1 / jnp.maximum(count, 1))
    return one, count - one


def _first(count: Float[Array, "*units"], capacity: int) -> Float[Array, "*units"]:
    """1 for units before which there is room: a unit without spikes keeps the derivative of one that would leave."""
    asks = (jax.lax.stop_gradient(count).ravel() > 0).astype(jnp.int32)
    before = jnp.cumsum(asks) - asks
    return (before < capacity).reshape(count.shape).astype(count.dtype)
