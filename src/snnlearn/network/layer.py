"""A layer: its synapses and its neurons."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.network.synapses import AbstractSynapses, check_fit
from snnlearn.neurons import AbstractNeuron


class LayerState(NamedTuple):
    """The neurons' state and, where there is recurrence, the output of the last step."""

    neuron: Any
    output: Float[Array, "..."] | None


class Layer(eqx.Module):
    """Input synapses, a population of neurons and, if given, synapses from the population to itself.

    Recurrent spikes arrive one step after they were fired.

    Args:
        synapses: from the layer's input to its neurons.
        neuron: the neurons' dynamics.
        recurrent: from the layer's output to its neurons, or None.

    Raises:
        SnnlearnError: if the recurrent synapses do not fit the neurons.
    """

    synapses: AbstractSynapses
    neuron: AbstractNeuron
    recurrent: AbstractSynapses | None = None

    def __check_init__(self):
        if self.recurrent is not None:
            check_fit("Layer: recurrent synapses", self.synapses.out_shape, self.recurrent.in_shape)
            check_fit("Layer: recurrent synapses", self.recurrent.out_shape, self.synapses.out_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The units' shape."""
        return self.synapses.out_shape

    def initial_state(self) -> LayerState:
        """The state at rest."""
        output = None if self.recurrent is None else jnp.zeros(self.shape)
        return LayerState(self.neuron.initial_state(self.shape), output)

    def step(self, x: Float[Array, "..."], state: LayerState) -> tuple[Float[Array, "..."], LayerState]:
        """One time step: input `[*in_shape]` and state in, output `[*shape]` and state out."""
        current = self.synapses(x)
        if self.recurrent is not None and state.output is not None:
            current = current + jnp.reshape(self.recurrent(state.output), self.shape)
        output, neuron = self.neuron(current, state.neuron)
        return output, LayerState(neuron, None if self.recurrent is None else output)
