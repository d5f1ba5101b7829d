"""How an artificial network becomes a spiking one, given a scale for each of its populations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant
from snnlearn.network import INPUT, AbstractSynapses, Chain, Connection, Layer, Network
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.synapses import OneToOne
from snnlearn.neurons import IF, AbstractNeuron, AbstractReset, Charged, Identity, Rectified


class Population(NamedTuple):
    """Spiking units that stand for one rectified part of a layer.

    Args:
        layer: the number of the layer in the artificial network.
        name: of the layer in the spiking network.
        part: the part of the activation function.
    """

    layer: int
    name: str
    part: Rectified


class Setting(NamedTuple):
    """What a method chooses for a population.

    Args:
        scale: λ, the activation that a spike in each step stands for, > 0.
        charge: the membrane at the start, in thresholds; one number, or one for each unit.
        shift: a constant current added to each unit, in the unit of the activation; None is 0.
    """

    scale: float
    charge: float | Float[Array, "..."] = 0.0
    shift: Float[Array, "..."] | None = None


class Settings(NamedTuple):
    """What a method chooses.

    Args:
        populations: of each population, in order.
        readout: a constant added to the output; None is 0.
    """

    populations: tuple[Setting, ...]
    readout: Float[Array, "..."] | None = None


class Plan(NamedTuple):
    """An artificial network, and the populations that its layers become.

    Args:
        source: the artificial network.
        populations: in the order of the layers; a linear last layer has none.
        input_scale: by how much inputs differ whose codes' means differ by 1.
        input_offset: the input that a mean of 0 of its code stands for.
    """

    source: Network
    populations: tuple[Population, ...]
    input_scale: Any = 1.0
    input_offset: Any = 0.0

    def of_layer(self, number: int) -> list[int]:
        """The numbers of the populations of a layer."""
        return [k for k, population in enumerate(self.populations) if population.layer == number]

    def drives(self, number: int) -> list[tuple[Connection, int]]:
        """The connections into a layer, each with the number of the layer it comes from."""
        layer, ways = self.source.layers[number], routes(self.source.layers)[number]
        return [(connection, way.source) for connection, way in zip(layer.connections, ways, strict=True)]

    @property
    def linear_readout(self) -> bool:
        """Whether the last layer is linear."""
        return not self.of_layer(len(self.source.layers) - 1)

    def hidden(self, settings: Sequence[Setting], reset: AbstractReset) -> tuple[Layer, ...]:
        """The spiking layers of the first populations, as many as there are settings."""
        return tuple(
            Layer(
                self._connections(population.layer, population.part.sign, setting, settings),
                self._neuron(setting, reset),
                name=population.name,
            )
            for population, setting in zip(self.populations, settings, strict=False)
        )

    def build(self, settings: Settings, reset: AbstractReset) -> Network:
        """The spiking network; the membrane of its readout, averaged over time, is in the unit of the source's output.

        The readout is an integrator without leak whose membrane is divided by the number of steps: that is the mean of
        its current, so it is computed as one. With a leak, late spikes would count for more than early ones.
        """
        last = len(self.source.layers) - 1
        if self.linear_readout:
            connections = self._connections(last, 1.0, Setting(1.0, 0.0, settings.readout), settings.populations)
        else:
            shape = self.source.layers[last].shape
            connections = [
                Connection(OneToOne(shape, self._value(k, settings.populations), None), self.populations[k].name)
                for k in self.of_layer(last)
            ]
            if settings.readout is not None:
                connections[0] = _affine(connections[0], 1.0, 1.0, settings.readout)
        readout = Layer(connections, Identity(dt=self.source.dt))
        return Network((*self.hidden(settings.populations, reset), readout))

    def _value(self, number: int, settings: Sequence[Setting]) -> float:
        """What a spike in each step of a population adds to its layer's activation."""
        return self.populations[number].part.gain * settings[number].scale

    def _connections(self, number: int, sign: float, setting: Setting, settings: Sequence[Setting]) -> list[Connection]:
        """The layer's connections in the spiking network, with a current of 1 for an activation of λ."""
        after, found = sign / setting.scale, []
        for connection, source in self.drives(number):
            if source == FROM_INPUT:
                found += _from_input(connection.synapses, self.input_scale, self.input_offset, after)
                continue
            for n, k in enumerate(self.of_layer(source)):
                name = self.populations[k].name
                # A bias is to act once, however many populations the source has.
                shift = _minus_bias(connection.synapses, after) if n else None
                found.append(_affine(Connection(connection.synapses, name), self._value(k, settings), after, shift))
        if setting.shift is not None:
            found[0] = _affine(found[0], 1.0, 1.0, setting.shift * after)
        return found

    def _neuron(self, setting: Setting, reset: AbstractReset) -> AbstractNeuron:
        neuron, charge = IF(reset=reset, dt=self.source.dt), setting.charge
        if isinstance(charge, float) and charge == 0:
            return neuron
        return Charged(neuron, charge if isinstance(charge, float) else Constant(charge))  # pyright: ignore


def plan_of(network: Network) -> Plan:
    """The populations that an artificial network becomes.

    Raises:
        SnnlearnError: naming the layer that cannot be converted, and what to do.
    """
    populations, last = [], len(network.layers) - 1
    names = {layer.name for layer in network.layers}
    for number, (layer, ways) in enumerate(zip(network.layers, routes(network.layers), strict=True)):
        where = f"convert: layer {number + 1}" + (f" ({layer.name})" if layer.name else "")
        parts = layer.neuron.rectified()
        if isinstance(parts, str):
            raise SnnlearnError(
                f"{where} {parts}; train the network with Rectifier, LeakyRectifier, ClippedRectifier or "
                "QuantisedRectifier units, and an Identity readout"
            )
        if any(way.lag for way in ways):
            raise SnnlearnError(
                f"{where} has a delayed or recurrent connection, which an artificial network without time has not; "
                "remove it"
            )
        if any(connection.synapses.initial_state() is not None for connection in layer.connections):
            raise SnnlearnError(f"{where} has synapses with memory or noise; convert the network without them")
        if nonlinear := [type(c.synapses).__name__ for c in layer.connections if not c.synapses.linear]:
            raise SnnlearnError(
                f"{where} is reached by {nonlinear[0]}, which is not linear, so that it does not map mean spikes to "
                "mean currents; train the network without it"
            )
        if number == last and parts == Identity().rectified():
            continue
        stem = layer.name or f"layer {number + 1}"
        for part in parts:
            name = stem if part.sign > 0 else f"{stem}, negative"
            if name in names - {layer.name} or name == INPUT:
                raise SnnlearnError(f"{where}: another layer is called {name!r}; rename it")
            names.add(name)
            populations.append(Population(number, name, part._replace(ceiling=float(part.ceiling))))
    if not populations:
        raise SnnlearnError("convert: the network is linear, so that nothing in it can spike; add a hidden layer")
    return Plan(network, tuple(populations))


def _affine(connection: Connection, before: float, after: float, shift: Any = None) -> Connection:
    return Connection(connection.synapses.affine(before, after, shift), connection.source)


def _from_input(synapses: AbstractSynapses, scale: float, offset: float, after: float) -> list[Connection]:
    """The connections of a code of the input."""
    if offset == 0:
        return [_affine(Connection(synapses, INPUT), scale, after)]
    constant = synapses(jnp.full(synapses.in_shape, offset)) - synapses(jnp.zeros(synapses.in_shape))
    by_channel = constant.reshape(len(constant), -1)
    if constant.ndim > 1 and bool(jnp.all(by_channel == by_channel[:, :1])):
        constant = by_channel[:, :1].reshape(-1, *(1,) * (constant.ndim - 1))
    if constant.ndim == 1 or constant.size == len(constant):
        return [_affine(Connection(synapses, INPUT), scale, after, after * constant)]
    # At the border of an image, where there is padding, it differs.
    whole = Chain(synapses.affine(scale, after), OneToOne(synapses.out_shape, 1.0, after * constant))
    return [Connection(whole, INPUT)]


def _minus_bias(synapses: AbstractSynapses, after: float) -> Array | None:
    bias = synapses(jnp.zeros(synapses.in_shape))
    return -after * bias if bias.any() else None
