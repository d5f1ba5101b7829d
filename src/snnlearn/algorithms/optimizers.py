"""Optimisers as values: relative steps, schedules by progress, and one that Optax lacks."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import AbstractLogarithmic, check_positive
from snnlearn.network import connection_weights

LEARNING_RATE = 0.1
"""The step size, relative to the initial size of what is moved, that serves most data and codes."""

_FEW_UPDATES = 800


def usual_learning_rate(num_updates: int) -> float:
    r"""The step size for a training of so many updates: 0.1, and for more than 800 in proportion to $1/\sqrt n$.

    As many steps in random directions lead as far. A short training must get somewhere; a long one can afford to be
    exact, and fewer of its units fall silent on the way.

    Args:
        num_updates: how often the weights will be updated, ≥ 1.

    >>> [round(usual_learning_rate(n), 3) for n in (100, 800, 8000)]
    [0.1, 0.1, 0.032]
    """
    return LEARNING_RATE * min(1.0, math.sqrt(_FEW_UPDATES / num_updates))


def constant(progress: Float[Array, ""]) -> Float[Array, ""]:
    """The step size stays as it is."""
    return jnp.ones_like(progress)


def cosine(progress: Float[Array, ""]) -> Float[Array, ""]:
    r"""The step size falls to 0 along half a cosine, $\frac12(1+\cos\pi p)$ for progress $p\in[0,1]$."""
    return 0.5 * (1 + jnp.cos(math.pi * progress))


class RelativeState(NamedTuple):
    """The size of each array when training began, and the state of the optimiser for arrays of size 1."""

    scale: Any
    inner: optax.OptState


def initial_scale(parameters: Any) -> Any:
    """The root mean square of each array; 1 where it is 0, and for logarithms, which have no unit.

    Args:
        parameters: arrays in any structure.

    Returns:
        a number for each array, in the same structure.

    >>> jax.tree.map(float, initial_scale({"weight": jnp.array([3.0, -3.0]), "bias": jnp.zeros(2)}))
    {'bias': 1.0, 'weight': 3.0}
    """

    def of(node: Any) -> Any:
        if isinstance(node, AbstractLogarithmic):
            return jax.tree.map(lambda leaf: jnp.ones((), leaf.dtype), node)
        size = jnp.sqrt(jnp.mean(jnp.square(node)))
        return jnp.where(size > 0, size, jnp.ones_like(size))

    return jax.tree.map(of, parameters, is_leaf=lambda node: isinstance(node, AbstractLogarithmic))


def relative(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    r"""An optimiser that sees each array in units of its initial size $s$: $u=\theta/s$, whose gradient is $s\,g$.

    For inputs c times as large, initial weights and updates are c times as small, and the function learns the same.

    Args:
        optimizer: the optimiser.

    >>> optimizer = relative(optax.sgd(0.1))
    >>> state = optimizer.init(jnp.full(2, 2.0))
    >>> optimizer.update(jnp.ones(2), state, jnp.full(2, 2.0))[0]  # 0.1 × 2², where the plain step is 0.1
    Array([-0.4, -0.4], dtype=float32)
    """

    def scaled(tree: Any, scale: Any) -> Any:
        return jax.tree.map(lambda leaf, s: leaf * s, tree, scale)

    def init(params: Any) -> RelativeState:
        scale = initial_scale(params)
        return RelativeState(scale, optimizer.init(scaled(params, jax.tree.map(jnp.reciprocal, scale))))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, RelativeState]:
        scale = state.scale
        units = None if params is None else scaled(params, jax.tree.map(jnp.reciprocal, scale))
        updates, inner = optimizer.update(scaled(updates, scale), state.inner, units)
        return scaled(updates, scale), RelativeState(scale, inner)

    return optax.GradientTransformation(init, update)


def adamw(learning_rate: Any, weight_decay: Any) -> optax.GradientTransformation:
    """Optax's AdamW; it decays the weights of connections, but not biases and neurons' arrays."""
    return optax.adamw(learning_rate, weight_decay=weight_decay, mask=connection_weights)


@final
class Optimizer(eqx.Module):
    r"""Steps relative to the initial size of each array, with a schedule over the training's progress.

    A step of 0.01 changes a layer's weights by about 1 % of their initial root mean square, so one step size suits
    all scales of data, code and weights. Optimisers that are equal, or differ only in numbers, share compiled programs;
    with Optax's optimisers, each step size is compiled separately.

    Args:
        method: an optimiser of Optax, as a function of the step size and of `arguments`.
        learning_rate: the step size at the start, relative to the initial size, > 0.
        schedule: the factor of the step size, as a function of progress in [0, 1).
        clip: the largest norm of a gradient, > 0, or None.
        arguments: further numbers for `method`, by name, such as `weight_decay`.

    Raises:
        SnnlearnError: for a step size or a norm that is not a number above 0.

    >>> optimizer = Optimizer(adamw, 0.02, arguments={"weight_decay": 1e-3})
    >>> state = optimizer.init(jnp.array([0.5, -0.5]))
    >>> optimizer.update(jnp.array([1.0, 1.0]), state, jnp.array([0.5, -0.5]), progress=jnp.zeros(()))[0].round(3)
    Array([-0.01, -0.01], dtype=float32)
    """

    method: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    learning_rate: Float[Array, ""]
    schedule: Callable[[Float[Array, ""]], Float[Array, ""]] = eqx.field(static=True)
    clip: Float[Array, ""] | None
    arguments: dict[str, Float[Array, ""]]

    def __init__(
        self,
        method: Callable[..., optax.GradientTransformation] = optax.adam,
        learning_rate: float | Float[Array, ""] = LEARNING_RATE,
        *,
        schedule: Callable[[Float[Array, ""]], Float[Array, ""]] = cosine,
        clip: float | Float[Array, ""] | None = None,
        arguments: Mapping[str, float | Float[Array, ""]] | None = None,
    ):
        self.method, self.schedule = method, schedule
        self.learning_rate, self.clip = _number(learning_rate), None if clip is None else _number(clip)
        self.arguments = {name: _number(value) for name, value in (arguments or {}).items()}
        check_positive(self, learning_rate=self.learning_rate, **({} if clip is None else {"clip": self.clip}))

    def init(self, params: Any) -> optax.OptState:
        """See Optax."""
        with jax.numpy_dtype_promotion("standard"):  # Optax counts on it, whatever the caller has set
            return self._at(self.learning_rate).init(params)

    def update(
        self, updates: Any, state: optax.OptState, params: Any = None, *, progress: Float[Array, ""]
    ) -> tuple[Any, optax.OptState]:
        """See Optax; `progress` is the share of the training that is done, in [0, 1)."""
        with jax.numpy_dtype_promotion("standard"):
            return self._at(self.learning_rate * self.schedule(progress)).update(updates, state, params)

    def _at(self, learning_rate: Float[Array, ""]) -> optax.GradientTransformation:
        steps = relative(self.method(learning_rate, **self.arguments))
        return steps if self.clip is None else optax.chain(optax.clip_by_global_norm(self.clip), steps)  # pyright: ignore


def _number(value: float | Float[Array, ""]) -> Float[Array, ""]:
    # By NumPy, which compiles no program for it.
    return value if isinstance(value, jax.Array) else jnp.asarray(np.asarray(value, jnp.result_type(float)))


_KNOWN: dict[Hashable, optax.GradientTransformation] = {}


def shared(optimizer: Any) -> Any:
    """The first optimiser that was made in the same way, so both share compiled programs.

    Optax's optimisers are closures, which JAX compares by identity: each new one would be compiled again, and compiled
    programs are kept for ever. Two are equal if they have the same code and equal numbers.
    """
    if isinstance(optimizer, eqx.Module):
        return optimizer
    try:
        return _KNOWN.setdefault(_made_of(optimizer), optimizer)
    except (TypeError, ValueError, RecursionError):  # it holds arrays, empty cells or itself: not comparable
        return optimizer


def _made_of(value: Any) -> Hashable:
    if isinstance(value, types.FunctionType):
        cells = tuple(_made_of(cell.cell_contents) for cell in value.__closure__ or ())
        defaults = _made_of(value.__defaults__), _made_of(value.__kwdefaults__)
        return (value.__code__, value.__module__, cells, defaults) if cells else (value, defaults)
    if isinstance(value, functools.partial):
        return functools.partial, _made_of(value.func), _made_of(value.args), _made_of(value.keywords)
    if isinstance(value, dict):
        return dict, tuple((key, _made_of(item)) for key, item in value.items())
    if isinstance(value, tuple | list):
        return type(value), tuple(map(_made_of, value))
    hash(value)
    return type(value), value


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

    doi:10.1162/neco_a_01086. Unlike a mean of squares, the maximum limits each step to η, however rare gradients are,
    as with few spikes. $g$ is the gradient over a whole period, not of a step: the paper updates every 0.5 s and
    forgets within 30 s, so γ = exp(−0.5/30).

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
