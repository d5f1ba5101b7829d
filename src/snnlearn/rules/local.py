"""One step of a neuron's dynamics to first order, derived from its equation."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from snnlearn._parameters import split
from snnlearn.neurons import AbstractNeuron


class Local(NamedTuple):
    r"""The derivatives of one step, unit by unit, as the dynamics is elementwise.

    S is the number of real numbers in a unit's state, P the number of the neuron's trained arrays.

    Args:
        state_state: $\partial s^t_r/\partial s^{t-1}_q$, `[S, S, *units]`, indexed r, q.
        state_current: $\partial s^t_r/\partial i^t$, `[S, *units]`.
        state_parameters: $\partial s^t_r/\partial\theta_p$, `[P, S, *units]`.
        output_state: $\partial z^t/\partial s^{t-1}_q$, `[S, *units]`.
        output_current: $\partial z^t/\partial i^t$, `[*units]`.
        output_parameters: $\partial z^t/\partial\theta_p$, `[P, *units]`.
    """

    state_state: Float[Array, "S S *units"]
    state_current: Float[Array, "S *units"]
    state_parameters: Float[Array, "P S *units"]
    output_state: Float[Array, "S *units"]
    output_current: Float[Array, "*units"]
    output_parameters: Float[Array, "P *units"]


def linearise(
    neuron: AbstractNeuron, current: Float[Array, "*units"], state: Any
) -> tuple[Float[Array, "*units"], Any, Local]:
    """One step of a neuron, and its derivatives by the surrogate.

    Args:
        neuron: the neuron.
        current: its input, `[*units]`.
        state: its state.

    Returns:
        output, next state, derivatives.

    >>> from snnlearn.neurons import LIF
    >>> neuron = LIF(tau_mem=10e-3)
    >>> _, _, local = linearise(neuron, jnp.zeros(1), neuron.initial_state((1,)))
    >>> local.state_state  # exp(-0.1)
    Array([[[0.904...]]], dtype=float32)
    """
    parameters, constants = split(neuron)
    reals, others = eqx.partition(state, eqx.is_inexact_array)
    theta, parameters_of = jax.tree.flatten(parameters)
    s, state_of = jax.tree.flatten(reals)

    def step(current, s, theta):
        same = eqx.combine(jax.tree.unflatten(parameters_of, theta), constants)
        output, after = same(current, eqx.combine(jax.tree.unflatten(state_of, s), others))
        reals, others_after = eqx.partition(after, eqx.is_inexact_array)
        return (output, jax.tree.leaves(reals)), (others_after, after)

    (output, _), derivative, (_, after) = jax.linearize(step, current, s, theta, has_aux=True)
    still = jnp.zeros_like(current), [jnp.zeros_like(leaf) for leaf in s], [jnp.zeros_like(leaf) for leaf in theta]

    def along(kind: int, index: int | None) -> tuple[Array, Array]:
        """How output and state change with one number of each unit."""
        direction = list(still)
        if index is None:
            direction[kind] = jnp.ones_like(current)
        else:
            direction[kind] = [jnp.ones_like(x) if k == index else x for k, x in enumerate(still[kind])]
        d_output, d_state = derivative(*direction)
        return d_output, jnp.stack([jnp.broadcast_to(d, current.shape) for d in d_state]) if d_state else _none(current)

    d_current = along(0, None)
    d_state = [along(1, q) for q in range(len(s))]
    d_theta = [along(2, p) for p in range(len(theta))]
    return (
        output,
        after,
        Local(
            state_state=jnp.stack([d for _, d in d_state], axis=1) if s else jnp.zeros((0, 0, *current.shape)),
            state_current=d_current[1],
            state_parameters=jnp.stack([d for _, d in d_theta]) if theta else _none(d_current[1]),
            output_state=jnp.stack([d for d, _ in d_state]) if s else _none(current),
            output_current=d_current[0],
            output_parameters=jnp.stack([d for d, _ in d_theta]) if theta else _none(current),
        ),
    )


def only_while(on: Bool[Array, " B"], local: Local) -> Local:
    """The derivatives of a batch's step, where no sample that has ended has an effect on its output any more."""

    def kept(derivative: Float[Array, "..."], axes: int) -> Float[Array, "..."]:
        there = on.reshape(*(1,) * axes, -1, *(1,) * (derivative.ndim - axes - 1))
        return jnp.where(there, derivative, 0.0)

    return local._replace(
        output_state=kept(local.output_state, 1),
        output_current=kept(local.output_current, 0),
        output_parameters=kept(local.output_parameters, 1),
    )


def linearise_rest(neuron: AbstractNeuron, shape: tuple[int, ...]) -> Float[Array, "P S *units"]:
    r"""The derivatives of the state at rest, $\partial s^0_r/\partial\theta_p$: a membrane starts from its leak."""
    parameters, constants = split(neuron)
    theta, parameters_of = jax.tree.flatten(parameters)

    def rest(theta):
        state = eqx.combine(jax.tree.unflatten(parameters_of, theta), constants).initial_state(shape)
        return [jnp.broadcast_to(s, shape) for s in jax.tree.leaves(eqx.filter(state, eqx.is_inexact_array))]

    def along(index: int) -> Array:
        direction = [jnp.ones_like(x) if p == index else jnp.zeros_like(x) for p, x in enumerate(theta)]
        d_state = jax.jvp(rest, (theta,), (direction,))[1]
        return jnp.stack(d_state) if d_state else jnp.zeros((0, *shape))

    return jnp.stack([along(p) for p in range(len(theta))]) if theta else jnp.zeros((0, len(rest(theta)), *shape))


def sum_of_products(a: Float[Array, "n ..."], b: Float[Array, "n ..."]) -> Float[Array, "..."]:
    """Along the first, short axis, over which XLA's own sum is ten times slower on CPU."""
    return sum((x * y for x, y in zip(a, b, strict=True)), start=jnp.zeros(()))


def _none(like: Array) -> Array:
    return jnp.zeros((0, *like.shape))
