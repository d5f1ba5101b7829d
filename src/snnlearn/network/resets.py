"""Networks trained without reset, run with it."""

from __future__ import annotations

from typing import Any

import equinox as eqx

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.network.network import Network
from snnlearn.neurons import AbstractReset, AbstractSpikingNeuron, NextStep, Subtract, core


def never_reset(network: Network) -> tuple[int, ...]:
    """The layers, from 0, whose neurons spike and whose spikes leave their state alone.

    Args:
        network: the network.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LIF, NoReset
    >>> never_reset(feedforward((4, 3, 2), neuron=LIF(reset=NoReset()), key=jax.random.key(0)))
    (0,)
    """
    each = [core(layer.neuron) for layer in network.layers]
    return tuple(n for n, one in enumerate(each) if isinstance(one, AbstractSpikingNeuron) and one.never_reset)


@checked
def with_reset(network: Network, reset: AbstractReset | NextStep = Subtract()) -> Network:
    """The same network, whose spiking neurons without reset are reset.

    Without reset a spiking network may need no loop over time (`why_step_by_step`), but most hardware resets. What a
    network loses by this is the difference of the two risks: measure it whenever you train without.

    Args:
        network: a network with spiking neurons, such as those with `NoReset()`.
        reset: what a spike does to the membrane, and when.

    Raises:
        SnnlearnError: if an argument is of another kind, no spiking neuron is without reset, or the reset does not
            bring a membrane below its threshold.

    >>> import jax
    >>> from snnlearn.network import feedforward
    >>> from snnlearn.neurons import LIF, NoReset
    >>> free = feedforward((4, 3, 2), neuron=LIF(reset=NoReset()), key=jax.random.key(0))
    >>> with_reset(free).layers[0].neuron.reset
    Subtract()
    """
    free = never_reset(network)
    if not free:
        raise SnnlearnError("with_reset: the network has no spiking neurons without reset; give one that has")
    for number in free:
        neuron: Any = core(network.layers[number].neuron)
        reset.check(neuron, neuron.v_th, getattr(neuron, "v_leak", 0.0))

    def resets(network: Any) -> list[Any]:
        return [core(network.layers[number].neuron).reset for number in free]  # pyright: ignore

    return eqx.tree_at(resets, network, [reset] * len(free))
