"""Mismatch: no two neurons of a chip have the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, Times, parameters, value
from snnlearn.circuits.base import AbstractEffect, draw_key
from snnlearn.circuits.laws import AbstractLaw
from snnlearn.network import Network


@final
class Mismatch(AbstractEffect):
    """A parameter of every neuron times a factor of its own, drawn once for each chip.

    Factors of a parameter do not depend on what else is drawn, or on other layers. What training may change, it may
    still change: the factor is then part of the circuit, and the parameter before it is trained.

    Args:
        parameter: the name of the parameter, such as `"tau_mem"`; every neuron that has one is changed, within wrappers
            and resets, too.
        law: the law of the factors.

    Raises:
        SnnlearnError: for a part of another kind.

    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> chip = Mismatch("tau_mem", LogNormal(0.2))(network, key=jax.random.key(1))
    >>> value(chip.layers[0].neuron.tau_mem).shape
    (3,)
    """

    parameter: str = eqx.field(static=True)
    law: AbstractLaw

    def __check_init__(self):
        check_fields(self, "parameter", "law")

    @property
    def label(self) -> str:
        """See the base."""
        return f"mismatch of {self.parameter}"

    def applies(self, network: Network) -> bool:
        """Whether a neuron has the parameter."""
        return any(self.parameter == _name(place) for layer in network.layers for place in parameters(layer.neuron))

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base."""
        names: set[str] = set()
        layers = []
        for number, layer in enumerate(network.layers):
            neuron, found = changed(
                layer.neuron,
                self.parameter,
                lambda place, number=number, layer=layer: self.law.draw(layer.shape, key=draw_key(key, number, place)),
            )
            names |= found
            layers.append(layer.with_parts([c.synapses for c in layer.connections], neuron, layer.feedback))
        if self.parameter not in names:
            raise SnnlearnError(
                f"Mismatch: no neuron of the network has a parameter {self.parameter!r}; give one of "
                f"{', '.join(sorted(names)) or 'another network, whose neurons have some'}"
            )
        return eqx.tree_at(lambda n: n.layers, network, tuple(layers))


def changed(neuron: Any, parameter: str, factor: Callable[[str], Float[Array, "..."]]) -> tuple[Any, set[str]]:
    """A neuron with one parameter, wherever in it, times a factor; and the names of all its parameters.

    Args:
        neuron: the neuron.
        parameter: its name.
        factor: from the place of the parameter in the neuron to the factor.
    """
    places = parameters(neuron)
    for place, get in places.items():
        if _name(place) == parameter:
            neuron = eqx.tree_at(get, neuron, times(get(neuron), factor(place)))
    return neuron, {_name(place) for place in places}


def times(parameter: Any, factor: Float[Array, "..."]) -> Any:
    """A parameter times a factor: a constant one is a `Constant`, a trained one is still trained."""
    match parameter:
        case jax.Array():
            return parameter * factor
        case float() | Constant():
            return Constant(value(parameter) * factor)
    return Times(parameter, Constant(factor))


def _name(place: str) -> str:
    return place.rpartition(".")[2]
