"""The laws that all synapses obey; use them to check your own.

>>> from snnlearn.network import Dense
>>> check_synapses(Dense(4, 3, use_bias=True, key=jax.random.key(0)), key=jax.random.key(1))
"""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from snnlearn._laws import demand, kind_of, same
from snnlearn.network.network import with_noise
from snnlearn.network.synapses import AbstractSynapses

_DRAWS = 256


def check_synapses(synapses: AbstractSynapses, *, key: PRNGKeyArray) -> None:
    """Check the laws of synapses on random inputs.

    For an input of any shape of the right size, the current has the promised shape and the dtype of the input; apart
    from a bias it is linear unless it says otherwise, and the same under `jit` and `vmap`. A step from rest gives that
    current (with noise, on average; with delays, once the input has lasted) and a state of the same structure; synapses
    without state always give it. All steps at once are the steps one by one. `pairs` is true. Redrawn weights differ,
    have the same structure, and give no current without input. A silent input costs no operations; others cost at most
    the multiply-accumulates of the dense map, and no less than a part of the input.

    Args:
        synapses: the synapses.
        key: randomness of inputs and weights.

    Raises:
        AssertionError: with a sentence that names the law.
    """
    name = type(synapses).__name__
    key, input_key = jax.random.split(key)
    xs = jax.random.normal(input_key, (2, *synapses.in_shape))
    xs = jnp.concatenate([xs, xs[:1] - 2 * xs[1:], jnp.zeros_like(xs[:1])])
    currents = np.stack([np.asarray(synapses(x)) for x in xs])
    demand(currents.shape[1:] == synapses.out_shape, f"{name} gave {currents.shape[1:]}, not {synapses.out_shape}")
    demand(currents.dtype == xs.dtype, f"{name} gave {currents.dtype} for an input of {xs.dtype}")
    flat = eqx.filter_jit(lambda synapses, x: synapses(x))(synapses, jnp.ravel(xs[0]))
    same(flat, currents[0], f"{name} gave something else for the same input in one axis, under jit", least=1.0)
    together = eqx.filter_jit(lambda synapses, xs: jax.vmap(synapses)(xs))(synapses, xs)
    same(together, currents, f"{name} gave something else for a sample among others, under vmap", least=1.0)
    linear = currents - currents[3]
    demand(bool(np.any(linear[0] != linear[1])), f"{name} gives the same for all inputs")
    if synapses.linear:
        same(linear[2], linear[0] - 2 * linear[1], f"{name} is not linear in its input", least=1.0)
    else:
        bent = bool(np.abs(linear[2] - linear[0] + 2 * linear[1]).max() > 1e-3)
        demand(bent, f"{name} says that it is not linear, and is")

    _check_steps(synapses, xs[0], currents[0], key, name)
    if synapses.pairs:
        weight, bias = (getattr(synapses, field) for field in ("weight", "bias"))
        expected = weight @ jnp.ravel(xs[0]) + (0.0 if bias is None else bias)
        same(
            currents[0], expected, f"{name} says that it has a weight for each pair, and is not its product", least=1.0
        )
    redrawn = synapses.redrawn(key=key)
    demand(kind_of(redrawn) == kind_of(synapses), f"{name}.redrawn gave another structure, shape or dtype")
    weights = [leaf for leaf in jax.tree.leaves(eqx.filter(synapses, eqx.is_inexact_array)) if leaf.any()]
    if weights and synapses.has_weights:
        others = jax.tree.leaves(eqx.filter(redrawn, eqx.is_inexact_array))
        demand(any(bool(leaf.any()) for leaf in others), f"{name}.redrawn gave weights of 0")
        demand(not _equal(redrawn, synapses), f"{name}.redrawn gave the weights that were there")
    same(redrawn(xs[3]), np.zeros(synapses.out_shape), f"{name}.redrawn answers to silence: it has a bias", least=1.0)

    spikes = (xs[0] > 0).astype(xs.dtype)
    half = jnp.where(jnp.arange(math.prod(synapses.in_shape)).reshape(synapses.in_shape) % 2 == 0, spikes, 0.0)
    count = eqx.filter_jit(lambda synapses, x: (synapses.operations(x), synapses.direct_operations(x)))
    silent, few, many = (count(synapses, x) for x in (xs[3], half, spikes))
    demand(float(silent[0]) == 0, f"{name}.operations counts what silence costs")
    most = synapses.multiply_accumulates()
    demand(0 <= float(few[0]) <= float(many[0]) <= most, f"{name}.operations is not between 0 and the dense {most}")
    demand(float(many[1]) <= float(many[0]), f"{name}.direct_operations is more than all operations")


def _check_steps(synapses: AbstractSynapses, x: Array, at_rest: np.ndarray, key: PRNGKeyArray, name: str) -> None:
    rest = synapses.initial_state()
    if rest is None:
        current, after = synapses.step(x, None)
        demand(after is None, f"{name}.step made a state, and initial_state has none")
        same(current, at_rest, f"{name}.step gave another current than the map, which has no state", least=1.0)
        return
    step = eqx.filter_jit(lambda synapses, x, states: jax.vmap(synapses.step, in_axes=(None, 0))(x, states))
    starts = jax.vmap(lambda key: with_noise(rest, key))(jax.random.split(key, _DRAWS))
    for _ in range(synapses.longest_delay):
        starts = step(synapses, x, starts)[1]
    drawn, after = step(synapses, x, starts)
    demand(kind_of(after) == kind_of(starts), f"{name}.step gave a state of another structure, shape or dtype")
    demand(drawn.shape[1:] == at_rest.shape, f"{name}.step gave {drawn.shape[1:]}, not {at_rest.shape}")
    same(step(synapses, x, starts)[0], drawn, f"{name}.step gave something else from the same state", least=1.0)
    noise = np.asarray(drawn).std(axis=0)
    drawn_at_all = bool(np.ptp(drawn, axis=0).any())
    demand(drawn_at_all == synapses.draws, f"{name} draws and does not say so, or says so and does not")
    xs, states, one_by_one = jnp.stack([x, -2 * x, 0 * x]), starts, []
    for each in xs:
        currents, states = step(synapses, each, states)
        one_by_one.append(currents[0])
    first = jax.tree.map(lambda leaf: leaf[0], starts)
    at_once, last = synapses.all_steps(xs, first)
    same(at_once, np.stack(one_by_one), f"{name}.all_steps gave something else than its steps", least=1.0)
    demand(kind_of(last) == kind_of(first), f"{name}.all_steps gave a state of another structure, shape or dtype")
    error = np.abs(np.asarray(drawn).mean(axis=0) - at_rest)
    most = 1e-4 * np.abs(at_rest).max(initial=1.0) + 6 * noise / np.sqrt(_DRAWS)
    demand(bool((error <= most).all()), f"{name}.step from rest gives, in the mean, another current than the map")


def _equal(one: Any, other: Any) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs if eqx.is_array(a))
