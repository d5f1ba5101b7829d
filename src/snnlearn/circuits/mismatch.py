"""Mismatch: no two neurons of a chip have the same parameters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, Parameter, Times, Value, parameters, value
from snnlearn.circuits.base import AbstractEffect, draw_key
from snnlearn.circuits.laws import AbstractLaw
from snnlearn.network import Network


@final
class Mismatch(AbstractEffect):
    """Parameters of every neuron times factors of their own, drawn once for each chip.

    Factors of a parameter do not depend on what else is drawn, or on other layers. What training may change, it may
    still change: the factor is then part of the circuit, and the parameter before it is trained.

    The zero of voltages is a choice, so membranes, such as `v_th`, keep their distance from rest times the factor, and
    `v_leak`, which is rest, stays.

    Args:
        parameter: the name of the parameter, such as `"tau_mem"`; every neuron that has one is changed, within wrappers
            and resets, too. None is every parameter that there is.
        law: the law of the factors.

    Raises:
        SnnlearnError: for a part of another kind, or the parameter `v_leak`.

    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = Mismatch("tau_mem", LogNormal(0.2))(network, key=jax.random.key(1))
    >>> value(chip.layers[0].neuron.tau_mem).shape
    (3,)
    """

    parameter: str | None = eqx.field(static=True)
    law: AbstractLaw

    def __check_init__(self):
        check_fields(self, "parameter", "law")
        if self.parameter == "v_leak":
            raise SnnlearnError(
                "Mismatch: parameter is 'v_leak', from which all other membranes are measured; give 'v_th', whose "
                "distance from it differs"
            )

    @property
    def label(self) -> str:
        """See the base."""
        return "mismatch of neurons" if self.parameter is None else f"mismatch of {self.parameter}"

    def applies(self, network: Network) -> bool:
        """Whether a neuron has the parameter."""
        return any(
            self.parameter in (None, _name(place)) for layer in network.layers for place in parameters(layer.neuron)
        )

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        names: set[str] = set()
        layers = []
        for number, layer in enumerate(network.layers):
            neuron, found = changed(
                layer.neuron,
                self.parameter,
                lambda which, number=number, layer=layer: self.law.draw(layer.shape, key=draw_key(key, number, which)),
            )
            names |= found
            layers.append(layer.with_parts([c.synapses for c in layer.connections], neuron, layer.feedback))
        if not names:
            raise SnnlearnError("Mismatch: the neurons of the network have no parameters; give one whose neurons have")
        if self.parameter not in (None, *names):
            raise SnnlearnError(
                f"Mismatch: no neuron of the network has a parameter {self.parameter!r}; give one of "
                f"{', '.join(sorted(names))}"
            )
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


def changed(neuron: Any, parameter: str | None, factor: Callable[[str], Float[Array, "..."]]) -> tuple[Any, set[str]]:
    """A neuron with one parameter, wherever in it, times a factor; and the names of all its parameters.

    Of a membrane it is the distance from rest.

    Args:
        neuron: the neuron.
        parameter: its name; None for all.
        factor: to the factor from the parameter's name, numbered where there are several: its place would change when
            another effect wraps the neuron.
    """
    places, rest = parameters(neuron), neuron.rest
    seen: Counter[str] = Counter()
    for place, get in places.items():
        name = _name(place)
        if parameter in (None, name):
            drawn = factor(f"{name} {seen[name]}" if seen[name] else name)
            made = _from(rest, get(neuron), drawn) if name.startswith("v_") else times(get(neuron), drawn)
            neuron = eqx.tree_at(get, neuron, made)
            seen[name] += 1
    return neuron, {_name(place) for place in places}


def times(parameter: Any, factor: Value) -> Any:
    """A parameter times a factor: a constant one is a `Constant`, a trained one is still trained."""
    match parameter:
        case jax.Array():
            return parameter * factor
        case float() | Constant():
            return Constant(value(parameter) * factor)
    return Times(parameter, Constant(factor))


def _from(rest: Value, membrane: Parameter, factor: Float[Array, "..."]) -> Parameter:
    """A membrane whose distance from rest is multiplied."""
    made = rest + factor * (value(membrane) - rest)
    return made if isinstance(membrane, jax.Array) else Constant(made)


def _name(place: str) -> str:
    return place.rpartition(".")[2]
