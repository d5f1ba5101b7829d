"""A network whose inputs, currents, membranes or parameters pass converters."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, Times, parameters, value
from snnlearn.circuits.base import AbstractEffect, draw_key
from snnlearn.circuits.converters import Channels, Converter
from snnlearn.circuits.weights import each_connection
from snnlearn.network import AbstractOuterSynapses, AbstractSynapses, Network, NoiseState
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.neurons import AbstractNeuron, AbstractWrapper
from snnlearn.neurons.lowering import Lowered, LoweredState


@final
class Converted(AbstractOuterSynapses):
    """Synapses whose input comes from digital-to-analog converters, or whose currents are read by others.

    They are linear no longer, apart from rounding, where the range clips; `__call__` is the map before conversion.
    Their state is a key, of which only stochastic rounding makes use.

    Args:
        synapses: the synapses.
        inputs: the converters of their inputs, or None.
        currents: the converters of their currents, or None.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.network import Dense
    >>> coarse = Converter(1, 0.0, 1.0).drawn((4,), key=jax.random.key(0))
    >>> synapses = Converted(Dense(4, 3, key=jax.random.key(0)), inputs=coarse)
    >>> current, _ = synapses.step(jnp.full(4, 0.7), synapses.initial_state())
    >>> bool(jnp.allclose(current, synapses(jnp.ones(4))))
    True
    """

    synapses: AbstractSynapses
    inputs: Channels | None = None
    currents: Channels | None = None

    def __check_init__(self):
        check_fields(self, "synapses", "inputs", "currents")

    def initial_state(self) -> NoiseState:
        """See the base."""
        return NoiseState(self.synapses.initial_state(), jax.random.key(0))

    def step(self, x: Float[Array, "..."], state: NoiseState) -> tuple[Float[Array, "..."], NoiseState]:
        """See the base."""
        later, before, after = jax.random.split(state.key, 3)
        if self.inputs is not None:
            x = self.inputs(x, key=before)
        current, synapses = self.synapses.step(x, state.synapses)
        if self.currents is not None:
            current = self.currents(current, key=after)
        return current, NoiseState(synapses, later)

    @property
    def draws(self) -> bool:
        """Whether rounding is stochastic, or the synapses inside draw."""
        both = (self.inputs, self.currents)
        own = any(each is not None and each.converter.rounding.draws for each in both)
        return own or self.synapses.draws

    @property
    def steady(self) -> bool:
        """They are not: converters clip."""
        return False


class ReadoutState(NamedTuple):
    """The neuron's state, and the key of the next conversion; None if its rounding draws nothing."""

    neuron: Any
    key: PRNGKeyArray | None

    @property
    def v(self) -> Any:
        """The neuron's membrane; any leaf in its place, since a tree may be mapped by it."""
        return self.neuron.v


@final
class ConvertedReadout(AbstractWrapper):
    """A neuron that does not spike, whose membrane is read by an analog-to-digital converter in each step.

    The membrane itself is not changed by reading it.

    Args:
        neuron: the neuron.
        membranes: the converters of its units.

    Raises:
        SnnlearnError: for a part of another kind, or a neuron that spikes.

    >>> from snnlearn.neurons import LI
    >>> coarse = Converter(2, -0.3, 0.3).drawn((2,), key=jax.random.key(0))
    >>> neuron = ConvertedReadout(LI(tau_mem=10e-3), coarse)
    >>> output, state = neuron(jnp.array([-0.5, 1.5]), neuron.initial_state((2,)))
    >>> [round(float(x), 2) for x in (*output, *state.v)]
    [-0.1, 0.1, -0.05, 0.14]
    """

    neuron: AbstractNeuron
    membranes: Channels

    def __check_init__(self):
        check_fields(self, "neuron", "membranes")
        if self.neuron.spikes:
            raise SnnlearnError(
                f"ConvertedReadout: {type(self.neuron).__name__} gives spikes, which need no converter; give a neuron "
                "that does not spike, such as LI"
            )

    @property
    def draws(self) -> bool:
        """Whether rounding is stochastic, or the neuron inside draws."""
        return self.membranes.converter.rounding.draws or self.neuron.draws

    def initial_state(self, shape: tuple[int, ...]) -> ReadoutState:
        """See the base."""
        key = jax.random.key(0) if self.membranes.converter.rounding.draws else None
        return ReadoutState(self.neuron.initial_state(shape), key)

    def __call__(self, current: Any, state: ReadoutState) -> tuple[Float[Array, "*units"], ReadoutState]:
        """See the base."""
        later, now = (None, None) if state.key is None else jax.random.split(state.key)
        output, neuron = self.neuron(current, state.neuron)
        return self.membranes(output, key=now), ReadoutState(neuron, later)

    def free(self) -> AbstractNeuron:
        """See the base: without converters."""
        return self.neuron.free()

    def lowered(self) -> Lowered | str:
        """As the neuron inside, whose membranes are read where the kernels leave them; none if rounding draws."""
        inside = self.neuron.lowered()
        if isinstance(inside, str):
            return inside
        if self.membranes.converter.rounding.draws:
            return "is read by converters that round at random"
        return inside._replace(output=lambda v: self.membranes(inside.outputs(v[None])[0]))

    def lowered_state(self, state: ReadoutState) -> LoweredState:
        """See the base."""
        return self.neuron.lowered_state(state.neuron)

    def raised_state(self, state: LoweredState, before: ReadoutState) -> ReadoutState:
        """See the base."""
        return ReadoutState(self.neuron.raised_state(state, before.neuron), before.key)


@final
class ConvertedInputs(AbstractEffect):
    """The network's input comes from digital-to-analog converters, one for each number.

    Args:
        converter: of which kind.

    Raises:
        SnnlearnError: for a part of another kind.
    """

    converter: Converter

    def __check_init__(self):
        check_fields(self, "converter")

    @property
    def label(self) -> str:
        """See the base."""
        return "converters of inputs"

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        # The same number has the same converter, whichever connection it goes to.
        made = self.converter.drawn(network.in_shape, key=key)
        layers = list(network.layers)
        for number, ways in enumerate(routes(network.layers)):
            synapses = [
                Converted(c.synapses, inputs=made)  # pyright: ignore[reportCallIssue]
                if source == FROM_INPUT
                else c.synapses
                for c, (source, _) in zip(layers[number].connections, ways, strict=True)
            ]
            layers[number] = layers[number].with_parts(synapses, layers[number].neuron, layers[number].feedback)
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


@final
class ConvertedCurrents(AbstractEffect):
    """The currents of each connection are read by analog-to-digital converters, one for each unit, in each step.

    Args:
        converter: of which kind.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = ConvertedCurrents(Converter(8, -1.0, 1.0))(network, key=jax.random.key(1))
    >>> type(chip.layers[0].synapses).__name__
    'Converted'
    """

    converter: Converter

    def __check_init__(self):
        check_fields(self, "converter")

    @property
    def label(self) -> str:
        """See the base."""
        return "converters of currents"

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""

        def of(synapses: AbstractSynapses, key: PRNGKeyArray) -> AbstractSynapses:
            made = self.converter.drawn(synapses.out_shape, key=key)
            return Converted(synapses, currents=made)  # pyright: ignore[reportCallIssue]

        return each_connection(network, of, key=key)


@final
class ConvertedMembranes(AbstractEffect):
    """The membranes of neurons that do not spike, such as those of a readout, are read by converters in each step.

    Args:
        converter: of which kind, such as `Converter(8, low, high)` for BrainScaleS-2's.

    Raises:
        SnnlearnError: for a part of another kind, or, by the effect, a network of neurons that all spike.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = ConvertedMembranes(Converter(8, -1.0, 1.0))(network, key=jax.random.key(1))
    >>> [type(layer.neuron).__name__ for layer in chip.layers]
    ['LIF', 'ConvertedReadout']
    """

    converter: Converter

    def __check_init__(self):
        check_fields(self, "converter")

    @property
    def label(self) -> str:
        """See the base."""
        return "converters of membranes"

    def applies(self, network: Network) -> bool:
        """Whether a neuron does not spike."""
        return not all(layer.neuron.spikes for layer in network.layers)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        if not self.applies(network):
            raise SnnlearnError(
                "ConvertedMembranes: all neurons of the network spike; give one with a readout of membranes, or leave "
                "this effect out"
            )
        layers = []
        for number, layer in enumerate(network.layers):
            neuron = layer.neuron
            if not neuron.spikes:
                made = self.converter.drawn(layer.shape, key=draw_key(key, number))
                neuron = ConvertedReadout(neuron, made)  # pyright: ignore[reportCallIssue]
            layers.append(layer.with_parts([c.synapses for c in layer.connections], neuron, layer.feedback))
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


@final
class ConvertedParameter(AbstractEffect):
    """A parameter of all neurons is set by a digital-to-analog converter for each unit, such as ten bits of a bias.

    What training may change, it may still change.

    Args:
        parameter: its name, such as `"v_th"`.
        converter: of which kind; its rounding must be `Nearest()`.

    Raises:
        SnnlearnError: for a part of another kind or stochastic rounding; by the effect, if no neuron has the parameter.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = ConvertedParameter("v_th", Converter(2, 0.0, 2.4))(network, key=jax.random.key(1))
    >>> [round(float(v), 1) for v in value(chip.layers[0].neuron.v_th)]
    [0.8, 0.8, 0.8]
    """

    parameter: str = eqx.field(static=True)
    converter: Converter

    def __check_init__(self):
        check_fields(self, "parameter", "converter")
        if self.converter.rounding.draws:
            raise SnnlearnError(
                "ConvertedParameter: a parameter is set once; give a converter that rounds to Nearest()"
            )

    @property
    def label(self) -> str:
        """See the base."""
        return f"converters of {self.parameter}"

    def applies(self, network: Network) -> bool:
        """Whether a neuron has the parameter."""
        places = (place for layer in network.layers for place in parameters(layer.neuron))
        return any(self.parameter == place.rpartition(".")[2] for place in places)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        names: set[str] = set()
        layers = []
        for number, layer in enumerate(network.layers):
            neuron = layer.neuron
            for place, get in parameters(neuron).items():
                name = place.rpartition(".")[2]
                names.add(name)
                if name == self.parameter:
                    made = self._set(get(neuron), layer.shape, draw_key(key, number, place))
                    neuron = eqx.tree_at(get, neuron, made)
            layers.append(layer.with_parts([c.synapses for c in layer.connections], neuron, layer.feedback))
        if self.parameter not in names:
            raise SnnlearnError(
                f"ConvertedParameter: no neuron of the network has a parameter {self.parameter!r}; give one of "
                f"{', '.join(sorted(names)) or 'another network, whose neurons have some'}"
            )
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))

    def _set(self, parameter: Any, shape: tuple[int, ...], key: PRNGKeyArray) -> Any:
        wanted = jnp.broadcast_to(value(parameter), shape)
        made = self.converter.drawn(shape, key=key)(wanted)
        match parameter:
            case jax.Array():
                return made
            case float() | Constant():
                return Constant(made)
        return Times(parameter, Constant(made / wanted))
