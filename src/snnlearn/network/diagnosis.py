"""Which layers are silent, saturated, or without gradient."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import checked
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network, fresh_state, unroll
from snnlearn.network.synapses import check_steps
from snnlearn.neurons import AbstractSpikingNeuron, AbstractSurrogate, core


class Diagnosis(NamedTuple):
    """The health of one spiking layer, measured on a batch.

    Args:
        firing_rate: of each unit, Hz, `[*shape]`.
        silent: the share of units that never spike.
        saturated: the share of units that spike in 9 of 10 of the steps in which they could, or more.
        surrogate_mass: the mean pseudo-derivative over units and steps, as a share of its peak. Where it vanishes, no
            gradient passes the layer.
    """

    firing_rate: Float[Array, "..."]
    silent: Float[Array, ""]
    saturated: Float[Array, ""]
    surrogate_mass: Float[Array, ""]


@checked
def diagnose(network: Network, inputs: Float[Array, "B T ..."]) -> tuple[Diagnosis | None, ...]:
    """Diagnose each layer on a batch; None for a layer that does not spike.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`.

    Raises:
        SnnlearnError: if an argument is of another kind, or the input of a step has not the network's size.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> hidden, readout = diagnose(network, jnp.zeros((5, 10, 4)))
    >>> float(hidden.silent), readout
    (1.0, None)
    """
    check_steps("diagnose", network.in_shape, ("B", "T"), inputs=inputs)
    keys = jax.random.split(jax.random.key(0), len(inputs))  # noise for each sample, where there is any
    outputs = jax.vmap(lambda xs, key: unroll(network, xs, fresh_state(network, key=key))[0].outputs)(inputs, keys)
    arriving = (inputs, *outputs[:-1])
    return tuple(_diagnose(layer, xs, zs) for layer, xs, zs in zip(network.layers, arriving, outputs, strict=True))


def _diagnose(layer: Layer, xs: Array, spikes: Array) -> Diagnosis | None:
    neuron = core(layer.neuron)
    if not isinstance(neuron, AbstractSpikingNeuron):
        return None
    per_step = jnp.mean(spikes, axis=(0, 1))
    most = 1 / (1 + (neuron.refractory.steps(neuron.dt) if neuron.refractory is not None else 0))
    mass = jnp.mean(jax.vmap(lambda x: _surrogate_mass(layer, neuron.surrogate, x))(xs))
    return Diagnosis(
        firing_rate=per_step / neuron.dt,
        silent=jnp.mean(per_step == 0),
        saturated=jnp.mean(per_step >= 0.9 * most),
        surrogate_mass=mass,
    )


def _surrogate_mass(layer: Layer, surrogate: AbstractSurrogate, xs: Array) -> Array:
    """The mean of ψ / ψ(0), had by differentiating the layer.

    ∂z_t/∂v_(t−1) = ψ ∂v_t/∂v_(t−1), and the last factor is that of the free membrane.
    """

    def slope(function, state):
        """The derivative of a function of the state, unit by unit, with respect to the membrane in it."""

        def of_v(v):
            return function(eqx.tree_at(lambda state: state.neuron.v, state, v))

        return jax.jvp(of_v, (state.neuron.v,), (jnp.ones(layer.shape),))[1]

    def step(state, x):
        return layer.step(x, state)[1], slope(lambda state: layer.step(x, state)[0], state)

    _, slopes = jax.lax.scan(step, layer.initial_state(), xs)
    free = Layer(layer.synapses, layer.neuron.free())
    decay = slope(lambda state: free.step(jnp.zeros_like(xs[0]), state)[1].neuron.v, free.initial_state())
    return jnp.mean(slopes / (decay[None] * surrogate.pseudo_derivative(jnp.zeros(()))))
