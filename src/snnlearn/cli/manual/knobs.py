"""A network's knobs: its thresholds, time constants, weights and noise as numbers between two ends.

A hypothesis with other numbers is the same tree with other arrays, so every program that runs one runs them all.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, Parameter, PositiveParameter, value, with_constants
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Connection, CurrentNoise, Layer, Network
from snnlearn.network.graph import FROM_INPUT, routes
from snnlearn.network.synapses import connection_weights
from snnlearn.neurons import AbstractNeuron, core

_FACTOR = 10.0
"""A knob reaches so many times its number, and so small a part of it."""
_NOISE = 10.0


class Knob(NamedTuple):
    """A number that can be turned.

    Args:
        name: unique.
        group: the layer's name.
        label: what it is.
        unit: of the number; empty for none, × for a factor.
        low: the least.
        high: the greatest.
        start: as given.
        log: whether equal factors are equally far apart.
        option: of `train`, if it is one.
    """

    name: str
    group: str
    label: str
    unit: str
    low: float
    high: float
    start: float
    log: bool
    option: str | None = None

    def fault(self, number: float) -> str | None:
        """What to give instead of a number; None if it is in the range."""
        if self.low <= number <= self.high:
            return None
        return f"{self.name} is {number:g}; give a number from {self.low:g} to {self.high:g}"


class Knobs:
    """The knobs of a hypothesis, and the hypotheses that they make.

    Args:
        hypothesis: as given.
    """

    def __init__(self, hypothesis: Hypothesis):
        self._given = with_constants(hypothesis)
        self._turns: list[_Turn] = []
        ways, layers = routes(hypothesis.network.layers), hypothesis.network.layers
        for number, layer in enumerate(layers):
            group = layer.name or _group(number, layer, len(layers))
            for position, way in enumerate(ways[number]):
                self._turns.append(_weights(number, position, group, _from(way.source, number), len(ways[number])))
            self._turns += _parameters(number, group, layer)
            self._turns.append(_noise(number, group))
        self.all = tuple(turn.knob for turn in self._turns)
        self._noisy = [n for n, turn in enumerate(self._turns) if turn.noise]
        self._made = {noisy: eqx.filter_jit(self._program(noisy)) for noisy in (False, True)}

    def start(self) -> dict[str, float]:
        """All numbers as given."""
        return {knob.name: knob.start for knob in self.all}

    def checked(self, numbers: Mapping[str, Any]) -> dict[str, float]:
        """Numbers for all knobs; those that are not named are as given.

        Raises:
            SnnlearnError: for an unknown name, or anything but a number in the knob's range.
        """
        known, found = {knob.name: knob for knob in self.all}, self.start()
        for name, number in numbers.items():
            if name not in known:
                raise SnnlearnError(f"there is no {name[:40]!r}; give names of the page")
            if isinstance(number, bool) or not isinstance(number, int | float) or not _finite(number):
                raise SnnlearnError(f"{name} is no number; give a finite one")
            if fault := known[name].fault(float(number)):
                raise SnnlearnError(fault)
            found[name] = float(number)
        return found

    def hypothesis(self, numbers: Mapping[str, float]) -> Hypothesis:
        """The hypothesis of these numbers; of all equal ones the same arrays.

        Args:
            numbers: for all knobs, as `checked`.
        """
        given = np.array([numbers[knob.name] for knob in self.all], np.float32)
        noisy = bool(np.any(given[self._noisy]))
        return self._made[noisy](self._given, jnp.asarray(given))

    def _program(self, noisy: bool) -> Callable[[Hypothesis, Float[Array, " K"]], Hypothesis]:
        turns = [(n, turn) for n, turn in enumerate(self._turns) if noisy or not turn.noise]

        def made(hypothesis: Hypothesis, numbers: Float[Array, " K"]) -> Hypothesis:
            layers = list(hypothesis.network.layers)
            for n, turn in turns:
                layers[turn.layer] = turn.turned(layers[turn.layer], numbers[n])
            return eqx.tree_at(lambda h: h.network, hypothesis, Network(tuple(layers)))

        return made

    def settings(self, numbers: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...]]:
        """Options of `train` that say some of these numbers, and the labels of those that are turned and no option.

        An option is for all hidden layers: where these differ, it cannot say it.
        """
        options: dict[str, set[float]] = {}
        for knob in self.all:
            if knob.option is not None:
                options.setdefault(knob.option, set()).add(numbers[knob.name])
        said = {name: found.pop() for name, found in options.items() if len(found) == 1}
        turned = (knob for knob in self.all if numbers[knob.name] != knob.start)
        return said, tuple(f"{knob.label} of {knob.group}" for knob in turned if knob.option not in said)

    def presets(self) -> dict[str, dict[str, float]]:
        """Some numbers to begin with, by name; numbers that they leave out are as given."""

        def times(factor: float, chosen: Callable[[Knob], bool]) -> dict[str, float]:
            return {k.name: float(np.clip(factor * k.start, k.low, k.high)) for k in self.all if chosen(k)}

        hidden = {turn.knob.name for turn in self._turns if turn.layer < len(self._given.network.layers) - 1}
        found = {
            "as given": {},
            "slow membranes": times(3.0, lambda knob: knob.label.startswith("tau")),
            "fast membranes": times(1 / 3, lambda knob: knob.label.startswith("tau")),
            "high thresholds": times(2.0, lambda knob: knob.label == "v_th"),
            "low thresholds": times(0.5, lambda knob: knob.label == "v_th"),
            "noisy": {turn.knob.name: 2.0 for turn in self._turns if turn.noise and turn.knob.name in hidden},
        }
        return {name: numbers for name, numbers in found.items() if numbers or name == "as given"}


class _Turn(NamedTuple):
    """A knob, and what it does to its layer."""

    knob: Knob
    layer: int
    turned: Callable[[Layer, Array], Layer]
    noise: bool = False


def _finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float holds
        return False


def _group(number: int, layer: Layer, count: int) -> str:
    name = type(core(layer.neuron)).__name__
    return f"readout · {name}" if number == count - 1 else f"layer {number + 1} · {name}"


def _from(source: int, number: int) -> str:
    if source == FROM_INPUT:
        return "input gain"
    return "recurrent weights" if source == number else f"weights from layer {source + 1}"


def _weights(number: int, position: int, group: str, label: str, count: int) -> _Turn:
    """A factor of all weights of a connection; of the input's it is the gain of the input."""

    def turned(layer: Layer, factor: Array) -> Layer:
        def scaled(connection: Connection) -> Connection:
            mask = connection_weights(connection.synapses)
            synapses = jax.tree.map(lambda w, is_weight: factor * w if is_weight else w, connection.synapses, mask)
            return eqx.tree_at(lambda c: c.synapses, connection, synapses)

        return _with_connections(layer, lambda n, c: scaled(c) if n == position else c)

    name = f"{number}.weights" if count == 1 else f"{number}.weights.{position}"
    return _Turn(Knob(name, group, label, "×", 1 / _FACTOR, _FACTOR, 1.0, log=True), number, turned)


def _noise(number: int, group: str) -> _Turn:
    def turned(layer: Layer, std: Array) -> Layer:
        def noisy(n: int, connection: Connection) -> Connection:
            if n:
                return connection  # one source of noise for each unit
            synapses = CurrentNoise(connection.synapses, Constant(std))  # pyright: ignore[reportCallIssue]
            return Connection(synapses, connection.source, connection.port, connection.delay)

        return _with_connections(layer, noisy)

    knob = Knob(f"{number}.noise", group, "noise of the current", "", 0.0, _NOISE, 0.0, log=False)
    return _Turn(knob, number, turned, noise=True)


def _with_connections(layer: Layer, change: Callable[[int, Connection], Connection]) -> Layer:
    connections = [change(n, connection) for n, connection in enumerate(layer.connections)]
    return Layer(connections, layer.neuron, feedback=layer.feedback, name=layer.name)


_OPTIONS = {"tau_mem": "tau_mem", "tau_syn": "tau_syn", "tau_adapt": "tau_adapt", "beta": "beta"}


def _parameters(number: int, group: str, layer: Layer) -> list[_Turn]:
    """The parameters of a neuron, and of those that it wraps: a number, or a factor of one for each unit."""
    found: list[_Turn] = []
    neuron = layer.neuron
    while True:
        hints = typing.get_type_hints(type(neuron))
        for field in dataclasses.fields(neuron):
            if hints.get(field.name) not in (Parameter, PositiveParameter) or field.name == "resistance":
                continue  # a resistance is a factor of all weights, which have their own
            known = np.asarray(value(getattr(neuron, field.name)))
            if known.ndim == 0:
                positive = hints[field.name] == PositiveParameter
                found.append(_number(number, group, neuron, field.name, float(known), positive, layer))
            elif np.all(known > 0) and known.size:
                found.append(_share(number, group, neuron, field.name, known))
        inside = getattr(neuron, "neuron", None)
        if not isinstance(inside, AbstractNeuron):
            return found
        neuron = inside


def _place(owner: AbstractNeuron, field: str) -> Callable[[Layer], Any]:
    """Where a parameter of a neuron is in its layer."""
    kind = type(owner)

    def of(layer: Layer) -> Any:
        neuron: Any = layer.neuron
        while type(neuron) is not kind:
            neuron = neuron.neuron
        return getattr(neuron, field)

    return of


def _number(
    number: int,
    group: str,
    neuron: AbstractNeuron,
    field: str,
    known: float,
    positive: bool,
    layer: Layer,
) -> _Turn:
    place = _place(neuron, field)

    def turned(layer: Layer, number: Array) -> Layer:
        return eqx.tree_at(place, layer, Constant(number), is_leaf=lambda node: isinstance(node, Constant))

    low, high, log = _ends(field, known, positive, neuron.dt)
    readout = not layer.neuron.spikes
    option = "tau_out" if readout and field == "tau_mem" else None if readout else _OPTIONS.get(field)
    unit = "s" if field.startswith("tau") else ""
    return _Turn(Knob(f"{number}.{field}", group, field, unit, low, high, known, log, option), number, turned)


def _ends(field: str, known: float, positive: bool, dt: float) -> tuple[float, float, bool]:
    if field.startswith("tau"):
        return min(known, dt), max(known, min(_FACTOR * known, 1000 * dt)), True
    if positive or known > 0:
        return known / _FACTOR, known * _FACTOR, True
    most = max(1.0, 2 * abs(known))
    return -most, most, False


def _share(number: int, group: str, neuron: AbstractNeuron, field: str, known: np.ndarray) -> _Turn:
    place = _place(neuron, field)

    def turned(layer: Layer, factor: Array) -> Layer:
        return eqx.tree_at(place, layer, Constant(factor * value(place(layer))), is_leaf=lambda n: n is place(layer))

    low = 1 / _FACTOR
    if field.startswith("tau"):
        low = min(1.0, max(low, neuron.dt / float(known.min())))
    knob = Knob(f"{number}.{field}", group, f"{field} of all units", "×", low, _FACTOR, 1.0, log=True)
    return _Turn(knob, number, turned)
