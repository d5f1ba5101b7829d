"""Real-time recurrent learning at the cost of the parameters, where no unit of a layer feels another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import split
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.losses import AbstractLoss
from snnlearn.network import Layer, Network
from snnlearn.network.graph import FROM_INPUT, propagate, routes
from snnlearn.rules.base import start_state
from snnlearn.rules.eligibility import sum_of_products
from snnlearn.rules.online import AbstractOnlineRule, no_gradient, stepwise


class Influence(NamedTuple):
    """The effect of a layer's own parameters on the S numbers of the state of the unit that they belong to.

    Args:
        weights: of each connection, `[S, units, inputs]`.
        biases: of each connection, `[S, units]`; None where it has none.
        neuron: of each array of the neuron, for each unit, `[S, units]`.
    """

    weights: tuple[Float[Array, "S units inputs"], ...]
    biases: tuple[Float[Array, "S units"] | None, ...]
    neuron: tuple[Float[Array, "S units"], ...]


@final
class DiagonalRTRL(AbstractOnlineRule):
    r"""Real-time recurrent learning of layers whose units are independent, such as LRUs.

    $\epsilon^t=D^t\epsilon^{t-1}+\partial s^t/\partial\theta$: RTRL's influence of a parameter on the state is confined
    to one unit, where no connection goes from a layer to
    itself: it has S numbers for each parameter, S being those of a unit's state, and D is S × S. Memory and time are
    those of the parameters, instead of states times as much. $d\mathcal L/d\theta=\sum_t(\partial\ell^t/\partial
    s^{t-1})\,\epsilon^{t-1}+\partial\ell^t/\partial\theta$, in which $\partial\ell^t$ is taken through the layers
    within a step. It equals BPTT for the parameters of a layer, such as B, ν, θ and γ of LRUs, if
    no later layer remembers; of layers before a memory it neglects what they do to later steps through it (Zucchet,
    Meier, Schug, Mujika & Sacramento 2023, "Online learning of long-range dependencies", arXiv:2305.15947).

    >>> from snnlearn.losses import StepwiseCrossEntropy
    >>> from snnlearn.network import deep_lru
    >>> network = deep_lru(4, 6, 2, state_size=3, depth=1, key=jax.random.key(0))
    >>> batch = jnp.ones((5, 10, 4)), jnp.zeros(5, dtype=int)
    >>> loss, gradient = eqx.filter_jit(DiagonalRTRL())(network, StepwiseCrossEntropy(), *batch, key=jax.random.key(1))
    >>> gradient.layers[2].neuron.nu.log.shape
    (3,)
    """

    @property
    def block_size(self) -> int:
        """See the base: any number works."""
        return 1

    def start(
        self, network: Network, loss: AbstractLoss, batch_size: int, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Influence | None, ...]]:
        """See the base: the state, and each layer's influence; None of layers that remember nothing."""
        stepwise(self, loss)
        for number, (layer, ways) in enumerate(zip(network.layers, routes(network.layers), strict=True)):
            late = any(connection.synapses.longest_delay for connection in layer.connections)
            if late or any(way.lag and way.source != FROM_INPUT for way in ways):
                raise SnnlearnError(
                    f"DiagonalRTRL follows no effect of a unit on later steps of others, and layer {number + 1} has "
                    "connections with a delay, from itself or from a later layer; use RTRL or BPTT"
                )
            if not layer.neuron.timeless and not all(c.synapses.pairs for c in layer.connections):
                raise SnnlearnError(
                    f"DiagonalRTRL follows weights of pairs of units, and layer {number + 1}, which remembers, has "
                    "other synapses; give it Dense ones, after a layer of Identity() for others, or use RTRL or BPTT"
                )
        influence = tuple(None if layer.neuron.timeless else _at_rest(layer) for layer in network.layers)
        of_each = jax.tree.map(lambda a: jnp.broadcast_to(a, (batch_size, *a.shape)), influence)
        return start_state(network, batch_size, key=key), of_each

    def advance(
        self,
        network: Network,
        loss: AbstractLoss,
        memory: tuple[Any, tuple[Influence | None, ...]],
        xs: Float[Array, "K B ..."] | PackedSpikes | HeldValues,
        moments: Any,
    ) -> tuple[Any, Float[Array, ""], Network]:
        """See the base."""
        at_step = stepwise(self, loss).at_step
        parameters, constants = split(network)

        def one(states, influence, x, moment):
            reals, others = eqx.partition([state.neuron for state in states], eqx.is_inexact_array)

            def loss_of_step(parameters, reals):
                network, met = eqx.combine(parameters, constants), []

                def currents(number, arriving, held):
                    current, after = network.layers[number].currents(arriving, held)
                    met.append((current, arriving))
                    return current, after

                def fire(number, current, state):
                    return network.layers[number].neuron(current, state)

                neurons = eqx.combine(reals, others)
                before = [state._replace(neuron=neuron) for state, neuron in zip(states, neurons, strict=True)]
                outputs, after = propagate(network.layers, x, before, currents, fire)
                return at_step(outputs[-1], moment), (after, met)

            (value, (after, met)), (direct, by_state) = jax.value_and_grad(loss_of_step, (0, 1), has_aux=True)(
                parameters, reals
            )
            layers, next_influence = [], []
            for layer, grown, gradient, state, slope, (current, arriving) in zip(
                network.layers, influence, direct.layers, states, by_state, met, strict=True
            ):
                if grown is None:
                    layers.append(gradient)
                    next_influence.append(None)
                    continue
                layers.append(_added(gradient, grown, jnp.stack(jax.tree.leaves(slope))))
                next_influence.append(_advanced(layer, grown, current, state.neuron, arriving))
            return after, tuple(next_influence), value, eqx.tree_at(lambda n: n.layers, direct, tuple(layers))

        def over_batch(carry, now):
            (state, influence), value, gradient = carry
            state, influence, values, gradients = jax.vmap(one)(state, influence, *now)
            means = jax.tree.map(lambda total, each: total + jnp.mean(each, axis=0), gradient, gradients)
            return ((state, influence), value + jnp.mean(values), means), None

        carry = memory, *no_gradient(network)
        (memory, value, gradient), _ = jax.lax.scan(over_batch, carry, (numbers(xs), moments))
        return memory, value, gradient

    def finish(
        self, network: Network, loss: AbstractLoss, memory: Any, num_steps: int
    ) -> tuple[Float[Array, ""], Network]:
        """See the base: nothing."""
        return no_gradient(network)


def _at_rest(layer: Layer) -> Influence:
    """Weights have none; a membrane that starts from a trained leak depends on it."""
    parameters, constants = split(layer.neuron)
    theta, parameters_of = jax.tree.flatten(parameters)

    def rest(theta):
        neuron = eqx.combine(jax.tree.unflatten(parameters_of, theta), constants)
        return _stacked(neuron.initial_state(layer.shape), layer.shape)

    s = rest(theta)
    return Influence(
        tuple(jnp.zeros((*s.shape, *c.synapses.in_shape)) for c in layer.connections),
        tuple(None if c.synapses.bias is None else jnp.zeros_like(s) for c in layer.connections),  # pyright: ignore
        tuple(jax.jvp(rest, (theta,), (_only(theta, p),))[1] for p in range(len(theta))),
    )


def _advanced(layer: Layer, before: Influence, current: Any, state: Any, arriving: Sequence[Array]) -> Influence:
    """The influence one step later: what it was, through the unit's own dynamics, and the direct effect."""
    parameters, constants = split(layer.neuron)
    theta, parameters_of = jax.tree.flatten(parameters)
    reals, others = eqx.partition(state, eqx.is_inexact_array)
    s, state_of = jax.tree.flatten(reals)
    ports, ports_of = jax.tree.flatten(current)  # in the order of the ports' names

    def step(ports, s, theta):
        neuron = eqx.combine(jax.tree.unflatten(parameters_of, theta), constants)
        held = eqx.combine(jax.tree.unflatten(state_of, s), others)
        return _stacked(neuron(jax.tree.unflatten(ports_of, ports), held)[1], layer.shape)

    # Units are independent: a direction of ones gives the derivative of each by its own.
    _, along = jax.linearize(step, ports, s, theta)
    still = [jax.tree.map(jnp.zeros_like, part) for part in (ports, s, theta)]
    own = [along(still[0], _only(s, q), still[2]) for q in range(len(s))]
    names = sorted(layer.neuron.ports)
    by_port = {name: along(_only(ports, n), still[1], still[2]) for n, name in enumerate(names)}
    by_theta = [along(still[0], still[1], _only(theta, p)) for p in range(len(theta))]

    def through(grown: Array) -> Array:
        axes = (slice(None),) * (1 + len(layer.shape)) + (None,) * (grown.ndim - 1 - len(layer.shape))
        return sum_of_products(jnp.stack([column[axes] for column in own]), grown[:, None])

    weights, biases = [], []
    for connection, weight, bias, x in zip(layer.connections, before.weights, before.biases, arriving, strict=True):
        direct = by_port[connection.port]
        weights.append(through(weight) + direct[:, :, None] * jnp.ravel(x)[None, None])
        biases.append(None if bias is None else through(bias) + direct)
    neuron = tuple(through(grown) + direct for grown, direct in zip(before.neuron, by_theta, strict=True))
    return Influence(tuple(weights), tuple(biases), neuron)


def _added(gradient: Layer, grown: Influence, slope: Float[Array, "S units"]) -> Layer:
    """The layer's gradient in this step: the direct one, and that through its state before."""

    def through(influence: Array) -> Array:
        return sum_of_products(slope.reshape(slope.shape + (1,) * (influence.ndim - slope.ndim)), influence)

    synapses = []
    for connection, weight, bias in zip(gradient.connections, grown.weights, grown.biases, strict=True):
        part: Any = connection.synapses
        part = eqx.tree_at(lambda s: s.weight, part, part.weight + through(weight))
        if bias is not None:
            part = eqx.tree_at(lambda s: s.bias, part, part.bias + through(bias))
        synapses.append(part)
    leaves, structure = jax.tree.flatten(gradient.neuron)
    # A parameter that is one number for all units gets the sum of theirs.
    each = [
        leaf + _to_shape(through(influence), leaf.shape) for leaf, influence in zip(leaves, grown.neuron, strict=True)
    ]
    return gradient.with_parts(synapses, jax.tree.unflatten(structure, each), gradient.feedback)


def _to_shape(of_units: Float[Array, "*units"], shape: tuple[int, ...]) -> Array:
    added = tuple(range(of_units.ndim - len(shape)))
    summed = jnp.sum(of_units, axis=added)
    ones = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return jnp.sum(summed, axis=ones, keepdims=True) if ones else summed


def _stacked(state: Any, shape: tuple[int, ...]) -> Float[Array, "S *units"]:
    """A state's numbers of each unit."""
    return jnp.stack([jnp.broadcast_to(s, shape) for s in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))])


def _only(parts: Sequence[Array], index: int) -> list[Array]:
    """The direction of one of these."""
    return [jnp.ones_like(x) if n == index else jnp.zeros_like(x) for n, x in enumerate(parts)]
