"""Initial weights that let every layer fire."""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network, unroll
from snnlearn.network.synapses import AbstractSynapses
from snnlearn.neurons import AbstractSpikingNeuron, core


class AbstractInitialisation(eqx.Module):
    """How a training draws its initial network."""

    @abstractmethod
    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """A network of the same structure, with initial weights.

        Args:
            network: the structure.
            inputs: encoded training data, `[B, T, *in_shape]`, to measure what drives each layer.
            key: random key of the weights.
        """


class AsGiven(AbstractInitialisation):
    """Keep the network's weights."""

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        return network


class FluctuationDriven(AbstractInitialisation):
    r"""Weights drawn so that each membrane fluctuates below threshold and crosses it now and then.

    Rossbroich, Gygax & Zenke 2022 (doi:10.1088/2634-4386/ac97bb): with mean 0, the weights' variance is chosen so that
    the free membrane fluctuates by $\sigma_U = (v_{th} - v_{leak})/\xi$. The paper derives the variance from one input
    rate; here the membrane is measured on real inputs, layer by layer, so that it serves any code, neuron and synapse.
    What is set is the root mean square over units and steps, which counts each unit's mean drive; the paper does not.
    A readout that does not spike gets $\sigma_U = 1/\xi$.

    Args:
        xi: $\xi$, the threshold in standard deviations, > 0; 1 to 3 is usual.
        recurrent_share: the share of the variance that recurrent synapses contribute, in (0, 1).
    """

    xi: float = 2.0
    recurrent_share: float = 0.1

    def __check_init__(self):
        check_positive(self, xi=self.xi, recurrent_share=self.recurrent_share)
        if self.recurrent_share >= 1:
            raise SnnlearnError(f"FluctuationDriven: recurrent_share is {self.recurrent_share}; give a share below 1")

    def __call__(self, network: Network, inputs: Float[Array, "B T ..."], *, key: PRNGKeyArray) -> Network:
        """See the base."""
        layers, xs = [], inputs
        for layer, layer_key in zip(network.layers, jax.random.split(key, len(network.layers)), strict=True):
            layer = self._draw(layer, xs, layer_key)
            xs = _run(layer, xs)
            layers.append(layer)
        return Network(tuple(layers))

    def _draw(self, layer: Layer, xs: Array, key: PRNGKeyArray) -> Layer:
        key, recurrent_key = jax.random.split(key)
        variance = jnp.square(_distance_to_threshold(layer) / self.xi)
        share = 0.0 if layer.recurrent is None else self.recurrent_share
        synapses = _scaled(layer.synapses.redrawn(key=key), layer, xs, (1 - share) * variance)
        if layer.recurrent is None:
            return Layer(synapses, layer.neuron, feedback=layer.feedback)
        # What the recurrent synapses will see is measured on the spikes that the input alone causes.
        spikes = _run(Layer(synapses, layer.neuron), xs)
        recurrent = _scaled(layer.recurrent.redrawn(key=recurrent_key), layer, spikes, share * variance)
        return Layer(synapses, layer.neuron, recurrent, layer.feedback)


def _distance_to_threshold(layer: Layer) -> Array:
    neuron = core(layer.neuron)
    if not isinstance(neuron, AbstractSpikingNeuron):
        return jnp.ones(())
    return jnp.mean(neuron.v_th - neuron.initial_state(layer.shape).v)


def _scaled(synapses: AbstractSynapses, layer: Layer, xs: Array, variance: Array) -> AbstractSynapses:
    """The synapses with weights scaled so that the free membrane has a variance, which is linear in the weights."""
    free = Layer(synapses, layer.neuron.free())

    def deviation(x):
        activity, _ = unroll(Network((free,)), x, record=lambda state: state.v)
        return activity.records[0] - free.initial_state().neuron.v[None]

    measured = jnp.mean(jnp.square(jax.vmap(deviation)(xs)))
    factor = jnp.where(measured > 0, jnp.sqrt(variance / jnp.where(measured > 0, measured, 1.0)), 1.0)
    return jax.tree.map(lambda leaf: leaf * factor if eqx.is_inexact_array(leaf) else leaf, synapses)


def _run(layer: Layer, xs: Array) -> Array:
    return jax.vmap(lambda x: Network((layer,))(x)[0])(xs)
