"""Checks of the arguments of codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown

Owner = object | str
"""Whose argument it is: an instance, or the name of a function."""


def scalar(x: Any) -> Any:
    """A real number of any type as a float; anything else unchanged, for a check to refuse.

    >>> scalar(np.int32(2)), scalar(jnp.array(0.5)), scalar("2")
    (2.0, 0.5, '2')
    """
    if isinstance(x, Tracer) or isinstance(x, bool):
        return x
    if isinstance(x, (int, float, np.number)) or (isinstance(x, (np.ndarray, jax.Array)) and x.ndim == 0):
        return x if jnp.iscomplexobj(x) else float(x)
    return x


def number_or_array(x: Any) -> Any:
    """A real number of any type as a float, and NumPy's numbers as a JAX array; anything else unchanged.

    >>> number_or_array(np.float32(0.5)), number_or_array(np.ones(2)).tolist()
    (0.5, [1.0, 1.0])
    """
    return for_jax(scalar(x))


def for_jax(x: Any) -> Any:
    """NumPy's numbers as a JAX array; anything else unchanged, for a check to refuse."""
    return jnp.asarray(x) if isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.number) else x


def check_number(owner: Owner, expected: str, law: Callable[[float], bool], **numbers: Any) -> None:
    """Refuse anything but a finite number that obeys the law.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    for name, x in numbers.items():
        x = scalar(x)
        if isinstance(x, Tracer):
            continue
        if not (isinstance(x, float) and math.isfinite(x) and law(x)):
            raise SnnlearnError(f"{named(owner)}: {name} is {shown(x)}; give {expected}")


def check_above_zero(owner: Owner, **numbers: Any) -> None:
    """Refuse anything but a finite number above 0.

    Raises:
        SnnlearnError: naming the owner, the argument and what it is.
    """
    check_number(owner, "a finite number above 0", lambda x: x > 0, **numbers)


def check_part(owner: Owner, kind: type | tuple[type, ...], expected: str, **parts: Any) -> None:
    """Refuse anything but an instance of a kind, such as a string, a class or None.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    for name, part in parts.items():
        if not isinstance(part, kind):
            raise SnnlearnError(f"{named(owner)}: {name} is {shown(part)}; give {expected}")


def check_function(owner: Owner, expected: str, **functions: Any) -> None:
    """Refuse anything but a function, such as a class in place of its instance.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    for name, function in functions.items():
        if isinstance(function, type) or not callable(function):
            raise SnnlearnError(f"{named(owner)}: {name} is {shown(function)}; give {expected}")


def an_array(owner: Owner, x: Any, name: str = "x", *, shape: str | None = None, axes: tuple[int, ...] = ()) -> Array:
    """The argument as an array of numbers, for JAX.

    Args:
        owner: whose argument it is.
        x: the argument.
        name: its name.
        shape: its shape, for the message.
        axes: how many axes it may have; by default any number.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    if isinstance(x, (int, float, np.number)) and not isinstance(x, bool):
        x = jnp.asarray(x, jnp.float32)
    if not isinstance(x, (jax.Array, np.ndarray)):
        raise SnnlearnError(f"{named(owner)}: {name} is {shown(x)}; give an array, such as jnp.asarray(...)")
    if not (np.issubdtype(x.dtype, np.bool_) or jnp.issubdtype(x.dtype, jnp.number)) or jnp.iscomplexobj(x):
        raise SnnlearnError(f"{named(owner)}: {name} is an array of {x.dtype}; give real numbers")
    if axes and x.ndim not in axes:
        raise SnnlearnError(f"{named(owner)}: {name} has shape {x.shape}; give {shape}")
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


def over_time(owner: Owner, x: Any, name: str = "spikes", *, axes: int = 1) -> Array:
    """An array of at least one step, `[T, ...]`.

    Args:
        owner: whose argument it is.
        x: the argument.
        name: its name.
        axes: the least number of axes.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    x = an_array(owner, x, name)
    if x.ndim < axes or len(x) == 0:
        shape = "[T, ...]" if axes == 1 else "[T, ..., n]"
        raise SnnlearnError(f"{named(owner)}: {name} has shape {x.shape}; give at least one step, as {shape}")
    return x


def of_neurons(owner: Owner, x: Any, neurons: int, name: str = "spikes", *, axes: tuple[int, ...] = ()) -> Array:
    """The spikes of a population over time, `[T, ..., n]`.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    x = over_time(owner, x, name, axes=2)
    if x.shape[-1] != neurons or (axes and x.ndim not in axes):
        shape = f"[T, {neurons}]" if axes == (2,) else f"[T, ..., {neurons}], the neurons last"
        raise SnnlearnError(f"{named(owner)}: {name} has shape {x.shape}; give {shape}")
    return x


def known_array(owner: Owner, x: Any, name: str, *, shape: str, axes: tuple[int, ...]) -> Array:
    """A non-empty array of finite numbers that is part of a code, such as the centres of a population.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    x = an_array(owner, x, name, shape=shape, axes=axes)
    if x.size == 0:
        raise SnnlearnError(f"{named(owner)}: {name} has shape {x.shape}; give at least one")
    if not isinstance(x, Tracer) and not np.isfinite(x).all():
        raise SnnlearnError(f"{named(owner)}: {name} holds NaN or infinite values; give finite numbers")
    return x


def a_table(owner: Owner, x: Any, name: str, *, shape: str, axes: tuple[int, ...]) -> np.ndarray:
    """Numbers as a NumPy array of float64, from anything that NumPy accepts.

    Raises:
        SnnlearnError: naming the owner, the argument, what it is, and what is expected.
    """
    try:
        table = np.asarray(x, float)
    except (TypeError, ValueError):
        raise SnnlearnError(f"{named(owner)}: {name} is {shown(x)}; give an array of numbers, {shape}") from None
    if table.ndim == 0 or table.size == 0 or (axes and table.ndim not in axes):
        raise SnnlearnError(f"{named(owner)}: {name} has shape {table.shape}; give {shape}")
    return table


def named(owner: Owner) -> str:
    """The name of a function, or of an instance's class."""
    return owner if isinstance(owner, str) else type(owner).__name__
