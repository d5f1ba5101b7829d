"""Values of parameters: a float is fixed, an array is trained, a `Constant` array is not.

A quantity that must stay in a range is trained through a logarithm, never clamped: a clamp has no gradient at its edge.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import typing
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError


class AbstractQuantity(Component):
    """An array that represents a parameter."""

    @property
    @abstractmethod
    def value(self) -> Float[Array, "..."]:
        """The quantity itself."""


@final
class Constant(AbstractQuantity):
    """A quantity that training does not change: one number, or one for each unit, such as a chip's mismatch.

    Args:
        array: the number or numbers, of any shape.

    >>> from snnlearn.neurons import LIF
    >>> value(LIF(v_th=Constant(jnp.array([0.9, 1.1]))).v_th)
    Array([0.9, 1.1], dtype=float32)
    """

    array: Float[Array, "..."] = eqx.field(converter=lambda array: jnp.asarray(array, jnp.result_type(float)))

    @property
    def value(self) -> Float[Array, "..."]:
        """The quantity itself; derivatives by it are 0."""
        return jax.lax.stop_gradient(self.array)


def trained(tree: Any) -> Any:
    """Which arrays of a tree are trained: all real-valued arrays that are not `Constant`.

    Args:
        tree: a network, or a part of one, or its gradient.

    Returns:
        True or False for each leaf, in the tree's structure; a mask, as Equinox and Optax take it.

    >>> trained((jnp.ones(2), Constant(jnp.ones(2)), 1.0))
    (True, Constant(array=False), False)
    """

    def of(node: Any) -> Any:
        return jax.tree.map(lambda _: False, node) if isinstance(node, Constant) else eqx.is_inexact_array(node)

    return jax.tree.map(of, tree, is_leaf=lambda node: isinstance(node, Constant))


def trained_part(tree: Any) -> Any:
    """Only the trained arrays of the tree; None elsewhere."""
    return eqx.filter(tree, trained(tree))


def split(tree: Any) -> tuple[Any, Any]:
    """What is trained, and all else, for `equinox.combine`."""
    return eqx.partition(tree, trained(tree))


class AbstractLogarithmic(AbstractQuantity):
    """A trained quantity that stays in its range, since it is trained through a logarithm."""


@final
class Positive(AbstractLogarithmic):
    """A trained positive quantity, `value = exp(log)`.

    Args:
        value: the initial value, > 0, of any shape.

    >>> round(float(Positive(jnp.array(0.02)).value), 6)
    0.02
    """

    log: Float[Array, "..."]

    def __init__(self, value: Float[Array, "..."]):
        self.log = jnp.log(value)

    @property
    def value(self) -> Float[Array, "..."]:
        """The quantity itself."""
        return jnp.exp(self.log)


@final
class TimeConstant(AbstractLogarithmic):
    """A trained time constant, which stays longer than the time step: `value = dt + exp(log)`.

    Args:
        value: the initial value, s, > dt, of any shape.
        dt: time step, s.

    >>> round(float(TimeConstant(jnp.array(0.02), dt=1e-3).value), 6)
    0.02
    """

    log: Float[Array, "..."]
    dt: float

    def __init__(self, value: Float[Array, "..."], dt: float):
        self.log = jnp.log(value - dt)
        self.dt = dt

    @property
    def value(self) -> Float[Array, "..."]:
        """The time constant itself, s."""
        return self.dt + jnp.exp(self.log)


@final
class Bounded(AbstractLogarithmic):
    """A trained quantity between 0 and a limit, `value = most / (1 + exp(-logit))`.

    Args:
        value: the initial value, > 0 and < `most`, of any shape.
        most: the limit, > 0.

    >>> round(float(Bounded(jnp.array(3.0), most=10.0).value), 6)
    3.0
    """

    logit: Float[Array, "..."]
    most: float

    def __init__(self, value: Float[Array, "..."], most: float):
        self.logit = jnp.log(value) - jnp.log(most - value)
        self.most = most

    @property
    def value(self) -> Float[Array, "..."]:
        """The quantity itself."""
        return self.most * jax.nn.sigmoid(self.logit)


@final
class Times(AbstractQuantity):
    """A trained quantity times a constant factor, such as that by which a device differs from its design.

    Args:
        quantity: the quantity.
        factor: one number, or one for each unit.

    >>> round(float(Times(Positive(jnp.array(0.02)), Constant(1.5)).value), 6)
    0.03
    """

    quantity: AbstractQuantity
    factor: Constant

    @property
    def value(self) -> Float[Array, "..."]:
        """The product."""
        return self.quantity.value * self.factor.value


PositiveParameter = float | Constant | Positive | TimeConstant | Times
"""A positive constant, or a trained positive array."""

Parameter = float | Constant | Float[Array, "..."]
"""A constant, or a trained array."""

FixedParameter = float | Constant
"""A constant that has no derivative, such as a number of time steps."""

Value = float | Float[Array, "..."]
"""What a parameter stands for."""


def with_constants(tree: Any) -> Any:
    """The tree with each parameter that is a plain number as a `Constant` of that number.

    A number belongs to a compiled program, a constant is given to it: trees that differ only in parameters then share
    one. What is computed is the same up to rounding.

    Args:
        tree: a network, or any other tree of modules.

    >>> from snnlearn.neurons import LIF
    >>> with_constants(LIF(tau_mem=0.25)).tau_mem
    Constant(array=f32[])
    """
    if isinstance(tree, eqx.Module):
        changed = {}
        for name, is_parameter in _fields(type(tree)):
            part = getattr(tree, name, None)
            made = Constant(part) if is_parameter and isinstance(part, float) else with_constants(part)
            if made is not part:
                changed[name] = made
        if not changed:
            return tree
        names = tuple(changed)
        return eqx.tree_at(lambda t: [getattr(t, n) for n in names], tree, list(changed.values()), is_leaf=_is_none)
    if isinstance(tree, tuple | list) and type(tree) in (tuple, list):
        made = [with_constants(part) for part in tree]
        return tree if all(a is b for a, b in zip(made, tree, strict=True)) else type(tree)(made)
    return tree


def parameters(tree: Any) -> dict[str, Callable[[Any], Any]]:
    """Every parameter in a tree of modules: by its place, how to get it from the tree.

    Args:
        tree: a neuron, or any other tree of modules.

    >>> from snnlearn.neurons import LIF, ToValue
    >>> sorted(parameters(LIF(reset=ToValue(0.25))))
    ['reset.v_reset', 'resistance', 'tau_mem', 'v_leak', 'v_th']
    """
    found: dict[str, Callable[[Any], Any]] = {}
    for name, is_parameter in _fields(type(tree)) if isinstance(tree, eqx.Module) else ():
        if is_parameter and getattr(tree, name) is not None:
            found[name] = operator.attrgetter(name)
        elif not is_parameter:
            found |= {
                f"{name}.{place}": operator.attrgetter(f"{name}.{place}")
                for place in parameters(getattr(tree, name, None))
            }
    return found


def _is_none(leaf: Any) -> bool:
    return leaf is None


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, bool], ...]:
    """The fields of a module that are part of its tree, and whether each is a parameter."""
    hints = typing.get_type_hints(cls)
    fields = (field for field in dataclasses.fields(cls) if not field.metadata.get("static", False))
    kinds = (Parameter, PositiveParameter, FixedParameter, Parameter | None, PositiveParameter | None)
    return tuple((field.name, hints.get(field.name) in kinds) for field in fields)


Number = int | float | np.number


def value(parameter: Any) -> Any:
    """The number or array that a parameter stands for.

    >>> value(0.02)
    0.02
    """
    return parameter.value if isinstance(parameter, AbstractQuantity) else parameter


def number(parameter: Any) -> Any:
    """An int or a NumPy scalar as a float; anything else unchanged, for a check to refuse.

    >>> number(np.float32(0.5))
    0.5
    """
    return float(parameter) if isinstance(parameter, Number) else parameter


def positive(parameter: Any) -> Any:
    """Make a positive parameter: a number stays a constant, an array becomes trained through its logarithm.

    Values that are not positive are left unchanged, for a check to refuse.

    >>> positive(0.02)
    0.02
    """
    parameter = plain(parameter)
    if not isinstance(parameter, jax.Array):
        return parameter
    return Positive(parameter) if _fault(lambda x: x > 0, parameter) is None else parameter


def plain(parameter: Any) -> Any:
    """Make an unbounded parameter: a number stays a constant, an array is trained.

    Anything else is left unchanged, for a check to refuse.

    >>> plain(1)
    1.0
    """
    if isinstance(parameter, Number | AbstractQuantity):
        return number(parameter)
    try:
        return jnp.asarray(parameter, dtype=jnp.result_type(float))
    except (TypeError, ValueError):
        return parameter


def check(owner: object, expected: str, law: Callable[[np.ndarray], Any], **parameters: Any) -> None:
    """Refuse parameters that are not finite numbers, or violate the law: constants and arrays alike.

    Traced values are unknown, and pass.

    Raises:
        SnnlearnError: naming the parameter, its value, its owner and what is expected.
    """
    for name, parameter in parameters.items():
        fault = _fault(law, parameter)
        if fault is not None:
            raise SnnlearnError(f"{_name(owner)}: {name} is {fault}; give {expected}")


def check_finite(owner: object, **parameters: Any) -> None:
    """Refuse anything but a finite number or an array of finite numbers.

    Raises:
        SnnlearnError: naming the parameter, its value and its owner.
    """
    check(owner, "a finite number", np.isfinite, **parameters)


def check_positive(owner: object, **parameters: Any) -> None:
    """Refuse anything but a finite number above 0 or an array of them.

    Raises:
        SnnlearnError: naming the parameter, its value and its owner.
    """
    check(owner, "a finite number above 0", lambda x: x > 0, **parameters)


def check_not_negative(owner: object, **parameters: Any) -> None:
    """Refuse anything but a finite number of at least 0 or an array of them.

    Raises:
        SnnlearnError: naming the parameter, its value and its owner.
    """
    check(owner, "a finite number, 0 or more", lambda x: x >= 0, **parameters)


def check_time_constants(owner: object, dt: Any, **taus: Any) -> None:
    """Refuse time constants that are not positive, or that the time step `dt` cannot resolve.

    Raises:
        SnnlearnError: naming the time constant, its value, dt and what to change.
    """
    check_positive(owner, dt=dt, **taus)
    for name, tau in taus.items():
        fault = _fault(lambda tau: tau >= dt, tau, " s")
        if fault is not None:
            raise SnnlearnError(
                f"{_name(owner)}: dt = {dt} s is longer than {name} = {fault}; choose dt at most {name}"
            )


def train_time_constants(owner: Any, **longest: float) -> None:
    """Bind a new neuron's time constants to its time step; for `__post_init__`.

    An array becomes a trained time constant, which training never takes below `dt`. A time constant that was clearly
    meant in milliseconds is refused: one of at least `longest` and more than 1,000 time steps.

    Args:
        owner: the neuron, which has a `dt`.
        longest: by the name of each time constant, s.

    Raises:
        SnnlearnError: naming the time constant, its value and what to change.
    """
    dt = number(owner.dt)
    for name, limit in longest.items():
        tau = plain(getattr(owner, name))
        check_time_constants(owner, dt, **{name: tau})
        fault = _fault(lambda tau, limit=limit: (tau < limit) | (tau <= 1000 * dt), tau, " s")
        if fault is not None:
            milliseconds = float(fault.split()[0]) / 1000
            raise SnnlearnError(
                f"{_name(owner)}: {name} is {fault}, and times are in seconds; for milliseconds give "
                f"{name}={milliseconds:g}"
            )
        if isinstance(tau, jax.Array):
            fault = _fault(lambda tau: tau - dt > 0, tau, " s")
            if fault is not None:
                raise SnnlearnError(
                    f"{_name(owner)}: {name} is trained and starts at {fault}, which is dt; start above dt"
                )
            object.__setattr__(owner, name, TimeConstant(tau, dt))


def check_one_dt(owner: object, dt: float, **parts: Any) -> None:
    """Refuse parts with another time step than the network's.

    Args:
        owner: the whole, for the message.
        dt: the network's time step, s.
        parts: encoder, decoder, loss, …: every field `dt` in them, however deep, is compared.

    Raises:
        SnnlearnError: naming the part and both time steps.
    """
    for name, part in parts.items():
        for holder, found in time_steps(part).items():
            if not math.isclose(found, dt):
                place = f"{name} ({holder})" if holder else name
                raise SnnlearnError(
                    f"{_name(owner)}: the {place} has dt = {found} s and the network {dt} s; give both the same"
                )


def time_steps(tree: Any) -> dict[str, float]:
    """Each constant field `dt` in a tree of modules, s, by its place."""
    return {
        jax.tree_util.keystr(path[:-1], simple=True, separator="."): float(leaf)
        for path, leaf in jax.tree.leaves_with_path(tree)
        if path and getattr(path[-1], "name", None) == "dt" and isinstance(leaf, Number)
    }


def _fault(law: Callable[[np.ndarray], Any], parameter: Any, unit: str = "") -> str | None:
    """The first value that violates the law or is not finite; None if there is none."""
    parameter = value(parameter)
    if isinstance(parameter, Tracer):
        return None
    if not isinstance(parameter, (Number, np.ndarray, jax.Array)) or isinstance(parameter, bool):
        return shown(parameter)
    values = np.asarray(parameter)
    if not (np.issubdtype(values.dtype, np.number) or jnp.issubdtype(values.dtype, jnp.floating)):
        return f"an array of {values.dtype}"
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(~(np.isfinite(values) & law(values)))
    if len(wrong) == 0:
        return None
    place = tuple(wrong[0].tolist())
    return f"{values[place]!s}{unit}" + (f" at {list(place)}" if place else "")


def shown(argument: Any) -> str:
    """A short description of an argument: `the string 'atan'`, `the class Atan`, `a list`."""
    match argument:
        case None:
            return "None"
        case str():
            return f"the string {argument!r}"
        case type():
            return f"the class {argument.__name__}"
        case bool() | int() | float() | np.number():
            return f"{argument}"
        case np.ndarray() | jax.Array():
            return f"an array of shape {argument.shape}"
    name = type(argument).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _name(owner: object) -> str:
    return owner if isinstance(owner, str) else type(owner).__name__
