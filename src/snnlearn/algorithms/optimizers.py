"""Optimisers that Optax lacks."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from snnlearn._errors import SnnlearnError


class RMaxPropState(NamedTuple):
    """The largest recent squared gradient `v`, of the parameters' structure."""

    v: Any


def rmaxprop(
    learning_rate: optax.ScalarOrSchedule,
    *,
    decay: float = math.exp(-0.5 / 30),
    eps: float = 1e-12,
    per_layer: bool = False,
) -> optax.GradientTransformation:
    r"""$v\leftarrow\max(\gamma v, g^2),\quad w\leftarrow w-\eta\,g/(\sqrt v+\epsilon)$ (Zenke & Ganguli 2018).

    doi:10.1162/neco_a_01086. Unlike a mean of squares, the maximum lets no step be longer than η, however rare the
    gradient, as it is where spikes are few. $g$ is the gradient of a whole period, not of a step: the paper updates
    every 0.5 s and forgets within 30 s, so that γ = exp(−0.5/30).

    Args:
        learning_rate: $\eta$, in the unit of the weights, or a schedule of it.
        decay: $\gamma$ from one update to the next, in [0, 1).
        eps: $\epsilon$, > 0, in the unit of the gradient.
        per_layer: whether all of an array's elements share the largest of their $v$.

    Raises:
        SnnlearnError: for a value out of range.

    >>> optimizer = rmaxprop(0.1, decay=0.25)
    >>> state = optimizer.init(jnp.zeros(2))
    >>> update, state = optimizer.update(jnp.array([2.0, 0.0]), state)
    >>> update, _ = optimizer.update(jnp.array([0.5, -3.0]), state)  # √v is 1 and 3
    >>> update
    Array([-0.05,  0.1 ], dtype=float32)
    """
    if not 0 <= decay < 1:
        raise SnnlearnError(f"rmaxprop: decay is {decay}; give a number from 0 and below 1")
    if not eps > 0:
        raise SnnlearnError(f"rmaxprop: eps is {eps}; give a number above 0")

    def init(params: Any) -> RMaxPropState:
        return RMaxPropState(jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, RMaxPropState]:
        def largest(g, v):
            v = jnp.maximum(decay * v, jnp.square(g))
            return jnp.full_like(v, jnp.max(v)) if per_layer else v

        v = jax.tree.map(largest, updates, state.v)
        return jax.tree.map(lambda g, v: g / (jnp.sqrt(v) + eps), updates, v), RMaxPropState(v)

    return optax.chain(optax.GradientTransformation(init, update), optax.scale_by_learning_rate(learning_rate))
