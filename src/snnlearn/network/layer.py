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
        feedback: `[*shape, *outputs]`, the weights by which some learning rules bring errors of the network's output to
            these units; no part of what the network computes. None where there are none.

    Raises:
        SnnlearnError: if the recurrent synapses do not fit the neurons.
    """

    synapses: AbstractSynapses
    neuron: AbstractNeuron
    recurrent: AbstractSynapses | None = None
    feedback: Float[Array, "..."] | None = None

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

    def current(self, x: Float[Array, "..."], state: LayerState) -> Float[Array, "..."]:
        """What the neurons receive in one step, `[*shape]`, from the input `[*in_shape]` and the last step's output."""
        current = self.synapses(x)
        if self.recurrent is None or state.output is None:
            return current
        return current + jnp.reshape(self.recurrent(state.output), self.shape)

    def fire(self, current: Float[Array, "..."], state: LayerState) -> tuple[Float[Array, "..."], LayerState]:
        """What the neurons make of a current `[*shape]`: output `[*shape]` and state out."""
        output, neuron = self.neuron(current, state.neuron)
        return output, LayerState(neuron, None if self.recurrent is None else output)

    def step(self, x: Float[Array, "..."], state: LayerState) -> tuple[Float[Array, "..."], LayerState]:
        """One time step: input `[*in_shape]` and state in, output `[*shape]` and state out."""
        return self.fire(self.current(x, state), state)
