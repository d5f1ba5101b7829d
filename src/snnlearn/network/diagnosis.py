"""Which layers are silent, saturated, or without gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn.network.layer import Layer
from snnlearn.network.network import Network, fresh_state
from snnlearn.network.shapes import check_steps
from snnlearn.neurons import AbstractSpikingNeuron, core


class Diagnosis(NamedTuple):
    """The health of one spiking layer, measured on a batch.

    Args:
        firing_rate: of each unit, Hz, `[*shape]`.
        silent: the share of units that never spike.
        saturated: the share of units that spike in at least 9 of 10 of the steps in which they can.
        surrogate_mass: the mean pseudo-derivative over units and steps, as a share of its peak. If it vanishes, no
            gradient passes through the layer.
    """

    firing_rate: Float[Array, "..."]
    silent: Float[Array, ""]
    saturated: Float[Array, ""]
    surrogate_mass: Float[Array, ""]


@checked
def diagnose(
    network: Network, inputs: Float[Array, "B T ..."], lengths: Int[Array, " B"] | None = None
) -> tuple[Diagnosis | None, ...]:
    """Diagnose each layer on a batch; None for a layer that does not spike.

    Args:
        network: the network.
        inputs: encoded data, `[B, T, *in_shape]`.
        lengths: after how many steps each sample ends, `[B]`, 1 to T; None if all go on to the last.

    Raises:
        SnnlearnError: if an argument is of another kind, the input of a step has not the network's size, or there is
            not a length for each sample.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((4, 3, 2), key=jax.random.key(0))
    >>> hidden, readout = diagnose(network, jnp.zeros((5, 10, 4)))
    >>> float(hidden.silent), readout
    (1.0, None)
    """
    check_steps("diagnose", network.in_shape, ("B", "T"), inputs=inputs)
    if lengths is None:
        lengths = jnp.full(len(inputs), inputs.shape[1])
    keys = jax.random.split(jax.random.key(0), len(inputs))  # noise for each sample, where there is any
    on = jnp.arange(inputs.shape[1], dtype=lengths.dtype)[None] < lengths[:, None]
    outputs, slopes = jax.vmap(lambda xs, key: _outputs_and_slopes(network, xs, key))(inputs, keys)
    return tuple(_diagnose(*each, on) for each in zip(network.layers, outputs, slopes, strict=True))


def _outputs_and_slopes(network: Network, xs: Array, key: PRNGKeyArray) -> tuple[Any, Any]:
    """The output of each layer, and its derivative with respect to the membrane one step before."""

    def step(states, x):
        found: dict[int, Array] = {}

        def fire(number, current, state):
            neuron = network.layers[number].neuron
            if neuron.spikes:
                found[number] = _slope(lambda state: neuron(current, state)[0], state)
            return neuron(current, state)

        outputs, states = network.run_step(x, states, fire)
        return states, (tuple(outputs), tuple(found.get(number, jnp.zeros(())) for number in range(len(outputs))))

    return jax.lax.scan(step, fresh_state(network, key=key), xs)[1]


def _slope(function: Callable[[Any], Array], state: Any) -> Array:
    """The derivative of a function of a neuron's state, unit by unit, by the membrane in it."""
    return jax.jvp(lambda v: function(eqx.tree_at(lambda s: s.v, state, v)), (state.v,), (jnp.ones_like(state.v),))[1]


def _diagnose(layer: Layer, spikes: Array, slopes: Array, on: Bool[Array, "B T"]) -> Diagnosis | None:
    neuron = core(layer.neuron)
    if not isinstance(neuron, AbstractSpikingNeuron):
        return None

    def mean(values: Array) -> Array:
        """Over the samples' own steps."""
        there = on.reshape(*on.shape, *(1,) * (values.ndim - 2))
        return jnp.sum(jnp.where(there, values, 0.0), axis=(0, 1)) / jnp.sum(on, dtype=values.dtype)

    per_step = mean(spikes)
    most = 1 / (1 + (neuron.refractory.steps(neuron.dt) if neuron.refractory is not None else 0))
    # ∂z_t/∂v_(t−1) = ψ ∂v_t/∂v_(t−1), and the last factor is that of the free membrane.
    free, still = layer.neuron.free(), layer.neuron.no_current(layer.shape)
    decay = _slope(lambda state: free(still, state)[1].v, free.initial_state(layer.shape))
    peak = neuron.surrogate.pseudo_derivative(jnp.zeros(())) / neuron.surrogate_scale
    return Diagnosis(
        firing_rate=per_step / neuron.dt,
        silent=jnp.mean(per_step == 0),
        saturated=jnp.mean(per_step >= 0.9 * most),
        surrogate_mass=jnp.mean(mean(slopes) / (decay * peak)),
    )
