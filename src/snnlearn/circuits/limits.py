"""What a chip has only so much of, or none at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, final

import equinox as eqx
import jax

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import AbstractLimit
from snnlearn.circuits.connectivity import fan_in, fan_out, name_of
from snnlearn.network import AbstractSynapses, Layer, Network, connection_weights
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.neurons import AbstractNeuron, core


def check_count(owner: object, **counts: Any) -> None:
    """Refuse counts below 1.

    Raises:
        SnnlearnError: naming the count.
    """
    check_fields(owner, *counts)
    for name, count in counts.items():
        if count < 1:
            raise SnnlearnError(f"{type(owner).__name__}: {name} is {count}; give a whole number of at least 1")


def too_many(what: str, found: int, most: int, unit: str) -> str | None:
    """The sentence's end for more than there is room for; None if all fits.

    >>> too_many("the network has", 300, 256, "neurons")
    'the network has 300 neurons, and there is room for 256: 44 too many'
    """
    if found <= most:
        return None
    return f"{what} {found:,} {unit}, and there is room for {most:,}: {found - most:,} too many"


class AbstractMost(AbstractLimit):
    """At most so many of something that is counted.

    Args:
        most: ≥ 1.

    Raises:
        SnnlearnError: for a number below 1.
    """

    most: int = eqx.field(static=True)

    def __check_init__(self):
        check_count(self, most=self.most)


@final
class Neurons(AbstractMost):
    """Neurons in all layers, among them those of a readout.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> Neurons(256).exceeded(feedforward((64, 290, 10), key=jax.random.key(0)))
    'it has 300 neurons, and there is room for 256: 44 too many'
    """

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return too_many("it has", sum(map(units, network.layers)), self.most, "neurons")


@final
class HiddenNeurons(AbstractMost):
    """Neurons in all layers but the last."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return too_many("it has", sum(map(units, network.layers[:-1])), self.most, "hidden neurons")


@final
class Inputs(AbstractMost):
    """Numbers of the network's input."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return too_many("it has", math.prod(network.in_shape), self.most, "inputs")


@final
class Outputs(AbstractMost):
    """Neurons of the last layer."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return too_many("it has", math.prod(network.out_shape), self.most, "outputs")


@final
class FanIn(AbstractMost):
    """Synapses at a neuron; those of weight 0 take no room."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        for number, layer in enumerate(network.layers):
            found = fan_in(layer)
            if found is not None and (
                fault := too_many(_unit(number, "gets"), int(found.max()), self.most, "synapses")
            ):
                return fault
        return None


@final
class FanOut(AbstractMost):
    """Synapses from a neuron; those of weight 0 take no room, and those from the network's input are not limited."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return _fan_out(network, network.layers, self.most, "outgoing synapses")


@final
class HiddenFanOut(AbstractMost):
    """Synapses from a neuron to neurons that are not of the last layer; those of weight 0 take no room."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return _fan_out(network, network.layers[:-1], self.most, "synapses to hidden neurons")


@final
class SynapseRows(AbstractLimit):
    """Rows of a synapse array: each input of a layer takes one, or two if weights have signs that rows do not.

    Args:
        rows: ≥ 1.
        per_input: rows that an input takes, ≥ 1.

    Raises:
        SnnlearnError: for a number below 1.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> SynapseRows(256, per_input=2).exceeded(feedforward((130, 10), key=jax.random.key(0)))
    'layer 1 takes 260 synapse rows (130 inputs, 2 for each), and there is room for 256: 4 too many'
    """

    rows: int = eqx.field(static=True)
    per_input: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_count(self, rows=self.rows, per_input=self.per_input)

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        for number, layer in enumerate(network.layers, start=1):
            found = arriving(layer)
            unit = f"synapse rows ({found:,} inputs, {self.per_input} for each)"
            if fault := too_many(f"layer {number} takes", self.per_input * found, self.rows, unit):
                return fault
        return None


@final
class NeuronCircuits(AbstractLimit):
    r"""Neuron circuits, of which several are one neuron where its inputs do not fit into the rows of one.

    A layer of N units with M inputs takes $N\lceil rM/R\rceil$ circuits, r being the rows of an input and R those of a
    circuit.

    Args:
        circuits: ≥ 1.
        rows: R, ≥ 1.
        per_input: r, ≥ 1.

    Raises:
        SnnlearnError: for a number below 1.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> NeuronCircuits(512, rows=256, per_input=2).exceeded(feedforward((256, 256, 10), key=jax.random.key(0)))
    'it has 532 neuron circuits (layer 1: 256 × 2, layer 2: 10 × 2), and there is room for 512: 20 too many'
    """

    circuits: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)
    per_input: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        check_count(self, circuits=self.circuits, rows=self.rows, per_input=self.per_input)

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        needed = [(units(layer), -(-self.per_input * arriving(layer) // self.rows)) for layer in network.layers]
        split = ", ".join(f"layer {number}: {n:,} × {k}" for number, (n, k) in enumerate(needed, start=1))
        return too_many("it has", sum(n * k for n, k in needed), self.circuits, f"neuron circuits ({split})")


@final
class Synapses(AbstractMost):
    """Synapses of all connections; those of weight 0 take no room."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        found = _synapses(network)
        return None if found is None else too_many("it has", found, self.most, "synapses")


@final
class WeightMemory(AbstractLimit):
    """Memory for weights; those of 0 take no room, and shared ones, as of a convolution, take it for each synapse.

    Args:
        memory: bits, ≥ 1.
        bits: of each weight, ≥ 1.

    Raises:
        SnnlearnError: for a number below 1.
    """

    memory: int = eqx.field(static=True)
    bits: int = eqx.field(static=True)

    def __check_init__(self):
        check_count(self, memory=self.memory, bits=self.bits)

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        weights = _synapses(network)
        if weights is None:
            return None
        unit = f"bits of memory ({weights:,} weights of {self.bits} bits)"
        return too_many("it takes", weights * self.bits, self.memory, unit)


@final
class Delays(AbstractLimit):
    """Time steps by which a connection can delay spikes.

    Args:
        most: ≥ 0; 0 for a chip without delays.

    Raises:
        SnnlearnError: for a number below 0.
    """

    most: int = eqx.field(static=True)

    def __check_init__(self):
        check_fields(self, "most")
        if self.most < 0:
            raise SnnlearnError(f"Delays: most is {self.most}; give a number of time steps, 0 or more")

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        longest = max(
            (c.delay + c.synapses.longest_delay, number)
            for number, layer in enumerate(network.layers, 1)
            for c in layer.connections
        )
        what = f"a connection to layer {longest[1]} has a delay of"
        return too_many(what, longest[0], self.most, "steps")


@final
class NeuronKinds(AbstractLimit):
    """The neurons that there are circuits for, within whatever wrappers.

    Args:
        kinds: their classes.

    Raises:
        SnnlearnError: for something else than classes of neurons.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import IF, LIF
    >>> NeuronKinds(IF, LIF).exceeded(feedforward((4, 3, 2), key=jax.random.key(0)))
    'layer 2 is of LI, and there are circuits for IF, LIF'
    """

    kinds: tuple[type[AbstractNeuron], ...] = eqx.field(static=True)

    def __init__(self, *kinds: type[AbstractNeuron]):
        self.kinds = kinds

    def __check_init__(self):
        if not self.kinds or not all(
            isinstance(kind, type) and issubclass(kind, AbstractNeuron) for kind in self.kinds
        ):
            raise SnnlearnError("NeuronKinds: give at least one class of neurons, such as LIF, and nothing else")

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        there = ", ".join(kind.__name__ for kind in self.kinds)
        return _first(
            network,
            lambda layer: not isinstance(core(layer.neuron), self.kinds),
            lambda layer: f"is of {type(core(layer.neuron)).__name__}, and there are circuits for {there}",
        )


@final
class SpikingOutputs(AbstractLimit):
    """Only spikes leave the chip.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> SpikingOutputs().exceeded(feedforward((4, 3, 2), key=jax.random.key(0)))
    'layer 2 gives membranes, and only spikes leave the chip; train a readout of spikes'
    """

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        what = "gives membranes, and only spikes leave the chip; train a readout of spikes"
        return _first(network, lambda layer: not layer.neuron.spikes, lambda _: what)


@final
class Feedforward(AbstractLimit):
    """No recurrence: no layer reaches itself or one before.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> Feedforward().exceeded(feedforward((4, 3, 2), recurrent=True, key=jax.random.key(0)))
    'layer 1 is reached by layer 1, and there is no recurrence'
    """

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        for number, ways in enumerate(routes(network.layers)):
            for source, _ in ways:
                if source >= number:
                    return f"layer {number + 1} is reached by {name_of(source)}, and there is no recurrence"
        return None


@final
class NoSharedWeights(AbstractLimit):
    """Each synapse has a weight of its own: there are no convolutions."""

    def exceeded(self, network: Network) -> str | None:
        """See the base."""
        return _first(
            network,
            lambda layer: any(_shares(connection.synapses) for connection in layer.connections),
            lambda _: "shares weights between synapses, as convolutions do, and each synapse has a weight of its own",
        )


def units(layer: Layer) -> int:
    """The number of a layer's units."""
    return math.prod(layer.shape)


def arriving(layer: Layer) -> int:
    """The number of a layer's inputs, of all connections."""
    return sum(math.prod(connection.synapses.in_shape) for connection in layer.connections)


def _synapses(network: Network) -> int | None:
    """All synapses; None while they are traced."""
    found = [fan_in(layer) for layer in network.layers]
    known = [int(each.sum()) for each in found if each is not None]
    return sum(known) if len(known) == len(found) else None


def _unit(number: int, verb: str) -> str:
    return f"a unit of layer {number + 1} {verb}"


def _fan_out(network: Network, layers: Sequence[Layer], most: int, unit: str) -> str | None:
    for source, found in sorted((fan_out(layers) or {}).items()):
        if source != FROM_INPUT and (fault := too_many(_unit(source, "has"), int(found.max()), most, unit)):
            return fault
    return None


def _first(network: Network, wrong: Callable[[Layer], bool], what: Callable[[Layer], str]) -> str | None:
    """What is wrong with the first layer of which something is."""
    return next((f"layer {n} {what(layer)}" for n, layer in enumerate(network.layers, start=1) if wrong(layer)), None)


def _shares(synapses: AbstractSynapses) -> bool:
    """Whether there are more synapses than weights."""
    weights = jax.tree.leaves(eqx.filter(synapses, connection_weights(synapses)))
    return synapses.multiply_accumulates() > sum(weight.size for weight in weights)
