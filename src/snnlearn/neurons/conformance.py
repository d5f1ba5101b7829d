"""The laws that every neuron and every surrogate obeys; use them to check your own.

>>> from snnlearn.neurons import LIF, FastSigmoid
>>> check_neuron(LIF(tau_mem=10e-3), key=jax.random.key(0))
>>> check_surrogate(FastSigmoid(slope=10.0))
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn._laws import demand, kind_of, same
from snnlearn._parameters import split
from snnlearn.neurons.affine import at_once
from snnlearn.neurons.base import AbstractNeuron
from snnlearn.neurons.lowering import Lowered, LoweredState, pseudo_derivative, step
from snnlearn.neurons.surrogates import AbstractSurrogate

NUM_STEPS = 8


def check_neuron(
    neuron: AbstractNeuron, *, units: int = 5, spiking: bool = True, deterministic: bool = True, key: PRNGKeyArray
) -> None:
    """Check a neuron's laws on random currents, from 1/10 to 100 in strength, one for each unit.

    Shape and dtype; `jit`, `vmap` and `scan`, and a sequence in pieces, agree with a plain loop; spikes are 0 or 1, and
    both occur; units are identical and independent; outputs are causal; forward mode = reverse mode; `free()` never
    spikes and is linear; the equation for the kernels (`lowered`), if any, gives the same outputs, state and
    derivatives, and so do all steps at once, if it says that it is `affine`.

    A neuron of several ports gets multiples of one current.

    Args:
        neuron: the neuron.
        units: their number; that of its arrays, if it has any.
        spiking: whether its output must be spikes; False if it is the membrane.
        deterministic: False if it draws random numbers: units are then identical only in distribution, which is not
            checked.
        key: randomness of the currents.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(neuron).__name__
    strengths = jnp.logspace(-1, 2, units)[None, None]
    currents = strengths * (0.5 + jax.random.normal(key, (3, NUM_STEPS, units)))
    currents = currents.at[2].set(currents[0] - 2 * currents[1])

    rest = neuron.initial_state((units,))
    output, after = _Driven(neuron)(currents[0, 0], rest)
    promised = neuron.out_shape((units,))
    demand(promised[-1:] == (units,), f"{name}.out_shape is {promised} for {units} units, which are not its last axis")
    demand(output.shape == promised, f"{name} returned shape {output.shape} for {units} units, not {promised}")
    demand(output.dtype == currents.dtype, f"{name} returned {output.dtype} for a current of {currents.dtype}")
    demand(kind_of(after) == kind_of(rest), f"{name} gave a state of another structure, shape or dtype than it took")
    demand(after.v.shape == (units,), f"{name} has a membrane v of shape {after.v.shape} for {units} units")

    driven = _Driven(neuron)
    outputs, membranes = _loop(driven, currents)
    if spiking:
        demand(bool(np.isin(outputs, (0, 1)).all()), f"{name} returned values other than 0 and 1")
        demand(set(np.unique(outputs)) == {0, 1}, f"{name} spiked never or always, so that nothing is checked")
    pieces = _scan_in_pieces(driven, currents)
    same(pieces, (outputs, membranes), f"{name} under jit, vmap and scan, in two pieces, differs from a plain loop")

    if deterministic:
        order = np.roll(np.arange(units), 1)
        permuted = jax.tree.map(lambda leaf: leaf[order] if jnp.shape(leaf) == (units,) else leaf, neuron)
        outputs_permuted, _ = _scan_in_pieces(_Driven(permuted), currents[..., order])
        same(outputs_permuted, outputs[..., order], f"{name} treats a unit by its place among the others")

    _check_derivatives(driven, currents[0], name)
    _check_free(neuron, currents, name, spiking=spiking)
    if neuron.affine:
        _check_affine(driven, currents[0], name)
    lowered = neuron.lowered()
    if not isinstance(lowered, str):
        own, other = _as_lowered(neuron, lowered, currents[0])
        same(other, own, f"{name} is not the equation that lowered() says")


def check_surrogate(surrogate: AbstractSurrogate) -> None:
    """Check a surrogate's laws in float64, from 1/1000 to 10 on both sides of the threshold.

    The spike is the Heaviside step, 0 at the threshold; the pseudo-derivative is the primitive's derivative,
    positive at the threshold and finite far from it; forward mode of the spike gives it, and reverse mode under `vmap`.

    Args:
        surrogate: the surrogate.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(surrogate).__name__
    with jax.enable_x64(True):
        size_key, tangent_key = jax.random.split(jax.random.key(0))
        # Random, so that none is the kink of a piecewise primitive.
        sizes = 10 ** jax.random.uniform(size_key, (50,), minval=-3.0, maxval=1.0)
        x = jnp.concatenate([jnp.array([0.0, -0.0]), -sizes, sizes])
        dx = jax.random.normal(tangent_key, x.shape)
        spikes, psi, slope, forward, reverse = _surrogate_at(surrogate, x, dx)
        demand(spikes.dtype == x.dtype, f"{name} spikes in another dtype than its argument's")
        demand(
            bool(jnp.all(spikes == (x > 0).astype(x.dtype))), f"{name} is not the Heaviside step, 0 at the threshold"
        )
        demand(bool(psi[0] > 0), f"{name} has no slope at the threshold")
        same(psi[2:], slope[2:], f"{name}.pseudo_derivative is not the derivative of its primitive", tolerance=1e-9)
        same(forward, psi * dx, f"{name} in forward mode is not its pseudo-derivative", tolerance=1e-9)
        same(reverse, psi, f"{name} in reverse mode is not its pseudo-derivative", tolerance=1e-9)

        lowered = surrogate.lowered()
        if lowered is not None:
            sentence = f"{name}.pseudo_derivative is not the one that lowered() says"
            same(pseudo_derivative(lowered, x), psi, sentence, tolerance=1e-9)

    far = surrogate.pseudo_derivative(jnp.array([-1e4, 1e4], dtype=jnp.float32))
    demand(bool(jnp.isfinite(far).all()), f"{name} has a pseudo-derivative that is not finite far from the threshold")


@eqx.filter_jit
def _surrogate_at(surrogate: AbstractSurrogate, x: Float[Array, " n"], dx: Float[Array, " n"]) -> tuple[Array, ...]:
    spikes, forward = jax.jvp(surrogate, (x,), (dx,))
    slope, reverse = jax.vmap(jax.grad(surrogate.primitive))(x), jax.vmap(jax.grad(surrogate))(x)
    return spikes, surrogate.pseudo_derivative(x), slope, forward, reverse


class _Driven(eqx.Module):
    """A neuron as one of a single port: another multiple of its current arrives at each."""

    neuron: AbstractNeuron

    def initial_state(self, shape: tuple[int, ...]) -> Any:
        return self.neuron.initial_state(shape)

    def currents(self, current: Array) -> Any:
        ports = self.neuron.ports
        return current if len(ports) == 1 else {port: current * (-0.7) ** k for k, port in enumerate(ports)}

    def __call__(self, current: Array, state: Any) -> tuple[Array, Any]:
        return self.neuron(self.currents(current), state)


def _loop(neuron: _Driven, currents: Float[Array, "B T n"]) -> tuple[np.ndarray, np.ndarray]:
    out = neuron.neuron.out_shape(currents.shape[2:])
    outputs, membranes = np.empty((*currents.shape[:2], *out)), np.empty(currents.shape)
    for b, sequence in enumerate(currents):
        state = neuron.initial_state(sequence.shape[1:])
        for t, current in enumerate(sequence):
            output, state = neuron(current, state)
            outputs[b, t], membranes[b, t] = output, state.v
    return outputs, membranes


def _scan(neuron: _Driven, currents: Float[Array, "T n"], state: Any) -> tuple[tuple[Array, Array], Any]:
    def step(state, current):
        output, state = neuron(current, state)
        return state, (output, state.v)

    state, activity = jax.lax.scan(step, state, currents)
    return activity, state


@eqx.filter_jit
def _scan_batch(neuron: _Driven, currents: Float[Array, "B T n"], states: Any) -> tuple[Any, Any]:
    return jax.vmap(lambda xs, state: _scan(neuron, xs, state))(currents, states)


def _scan_in_pieces(neuron: _Driven, currents: Float[Array, "B T n"]) -> tuple[Array, Array]:
    half = currents.shape[1] // 2
    rest = neuron.initial_state(currents.shape[2:])
    states = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(currents), *leaf.shape)), rest)
    first, states = _scan_batch(neuron, currents[:, :half], states)
    second, _ = _scan_batch(neuron, currents[:, half:], states)
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), first, second)


@eqx.filter_jit
def _derivatives(neuron: _Driven, currents: Float[Array, "T n"], along: Float[Array, "T n"]) -> Any:
    """Of the outputs: the Jacobian by the currents in forward mode; in reverse mode, along a cotangent, by all."""
    parameters, constants = split(neuron)

    def outputs(currents, parameters):
        neuron = eqx.combine(parameters, constants)
        outputs = _scan(neuron, currents, neuron.initial_state(currents.shape[1:]))[0][0]
        return jnp.sum(outputs, axis=tuple(range(1, outputs.ndim - 1)))

    return jax.jacfwd(outputs)(currents, parameters), jax.vjp(outputs, currents, parameters)[1](along)


def _check_derivatives(neuron: _Driven, currents: Array, name: str) -> None:
    along = jnp.cos(jnp.arange(currents.size, dtype=currents.dtype)).reshape(currents.shape)
    forward, (reverse, by_parameters) = _derivatives(neuron, currents, along)
    demand(bool(jnp.isfinite(forward).all()), f"{name} has a derivative that is not finite")
    demand(bool(jnp.any(forward != 0)), f"{name} has no derivative: its surrogate is not used")
    same(reverse, jnp.einsum("tn,tnsm->sm", along, forward), f"{name} differs in forward and in reverse mode")
    jacobian = np.asarray(forward)
    t, n, s, m = np.indices(jacobian.shape)
    demand(not jacobian[s > t].any(), f"{name} answers to a current before it comes")
    demand(not jacobian[n != m].any(), f"{name} has units that feel each other's currents")
    finite = all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(by_parameters))
    demand(finite, f"{name} has a gradient by its parameters that is not finite")


@eqx.filter_jit
def _as_lowered(neuron: AbstractNeuron, lowered: Lowered, currents: Float[Array, "T n"]) -> tuple[Any, Any]:
    """Outputs, their derivatives by the currents and the last state: the neuron's, and its lowered equation's."""
    rest, shape = neuron.initial_state(currents.shape[1:]), currents.shape[1:]

    def run(advance, state):
        def through(currents):
            return jax.lax.scan(lambda state, current: advance(current, state)[::-1], state, currents)[::-1]

        outputs, pull, after = jax.vjp(through, currents, has_aux=True)
        return outputs, pull(jnp.ones_like(outputs)), after

    start = LoweredState(*(jnp.broadcast_to(jnp.asarray(part), shape) for part in neuron.lowered_state(rest)))

    def advance(current, state):
        output, state = step(lowered.equation, lowered.constants, current, state)
        return lowered.outputs(output[None])[0], state

    *other, after = run(advance, start)
    return run(neuron, rest), (*other, neuron.raised_state(after, rest))


@eqx.filter_jit
def _by_steps_and_at_once(neuron: _Driven, currents: Float[Array, "T n"]) -> Any:
    """Outputs, states and derivatives, by a loop, by the scan, and as the neuron computes all steps."""
    parameters, constants = split(neuron)
    rest = neuron.initial_state(currents.shape[1:])
    rest = jax.tree.map(lambda s: s + 0.25 if eqx.is_inexact_array(s) else s, rest)

    def of(run):
        def along(currents, parameters):
            outputs, states = run(eqx.combine(parameters, constants), currents)
            weight = jnp.cos(jnp.arange(outputs.size, dtype=outputs.dtype)).reshape(outputs.shape)
            return jnp.sum(weight * outputs), (outputs, states.v)

        gradient, values = jax.grad(along, argnums=(0, 1), has_aux=True)(currents, parameters)
        return gradient, values

    def loop(neuron, currents):
        return jax.lax.scan(lambda s, i: (lambda z, after: (after, (z, after)))(*neuron(i, s)), rest, currents)[1]

    return (
        of(loop),
        of(lambda neuron, currents: at_once(neuron, currents, rest)),
        of(lambda neuron, currents: neuron.neuron.all_steps(neuron.currents(currents), rest)),
    )


def _check_affine(neuron: _Driven, currents: Array, name: str) -> None:
    loop, scan, own = _by_steps_and_at_once(neuron, currents)
    same(scan, loop, f"{name} says that it is affine, and is not: all steps at once differ from a loop")
    same(own, loop, f"{name}.all_steps differs from a loop")


def _check_free(neuron: AbstractNeuron, currents: Array, name: str, *, spiking: bool) -> None:
    try:
        free = _Driven(neuron.free())
    except SnnlearnError:
        demand(not spiking, f"{name} spikes, and has no membrane without a threshold")
        return
    outputs, membranes = _scan_in_pieces(free, currents)
    if spiking:
        demand(not bool(outputs.any()), f"{name}.free() spikes")
    response = membranes - free.initial_state(currents.shape[2:]).v[None, None]
    superposition = response[0] - 2 * response[1]
    demand(bool(jnp.any(superposition != 0)), f"{name}.free() does not answer to currents")
    same(response[2], superposition, f"{name}.free() is not linear in its currents")
