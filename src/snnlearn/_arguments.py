"""Checks of arguments against the annotations of public functions."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function refuse, in one sentence, arguments that do not match its annotations.

    Lists, tables and the like are converted to arrays where an array is expected. Only kinds, axes and types are
    checked, which are known for traced arrays as well; the function itself checks values.

    Args:
        function: the function, all of whose annotations can be evaluated.

    Raises:
        SnnlearnError: naming the argument, what it is, and what to give; by the function that is returned.

    >>> @checked
    ... def double(number: float) -> float:
    ...     return 2 * number
    >>> double("two")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: double: number is the string 'two'; give a number
    """
    signature = inspect.signature(function)

    @functools.cache
    def kinds() -> dict[str, Any]:  # at the first call, as annotations may name what is imported later
        hints = typing.get_type_hints(function)
        starred = (p.name for p in signature.parameters.values() if p.kind is p.VAR_POSITIONAL and p.name in hints)
        return hints | {name: tuple[hints[name], ...] for name in starred}

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # Python says what is missing or unknown
        # A method's owner is the instance's class, which may have inherited it.
        owner = type(bound.arguments["self"]).__name__ if "self" in bound.arguments else function.__name__
        bound.arguments.update(_fit_all(owner, kinds(), signature, bound.arguments))
        return function(*bound.args, **bound.kwargs)

    return call


def check_fields(instance: Any, *names: str) -> None:
    """Refuse fields that do not match the annotations of the class; for `__check_init__`.

    Args:
        instance: the new instance.
        names: the fields.

    Raises:
        SnnlearnError: naming the field, what it is, and what to give.
    """
    cls = type(instance)
    fields = {name: getattr(instance, name) for name in names}
    _fit_all(cls.__name__, typing.get_type_hints(cls), inspect.signature(cls), fields)


class _Misfit(Exception):
    """What a value is that is not of a kind, and where in the argument it is."""

    def __init__(self, found: str, place: str = ""):
        self.found, self.place = found, place


def _fit_all(
    owner: str, kinds: Mapping[str, Any], signature: inspect.Signature, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    fitted: dict[str, Any] = {}
    sizes: dict[str, tuple[str, int]] = {}
    for name, argument in arguments.items():
        kind = kinds.get(name, Any)
        if isinstance(kind, TypeVar):
            kind = kind.__bound__ or Any
        if kind is Any:
            continue
        default = signature.parameters[name].default
        if argument is not default:  # a default may be what no caller is to give
            try:
                fitted[name] = _fit(kind, argument)
            except _Misfit as misfit:
                wanted = _instead(kind, argument) or _wanted(kind, default)
                raise SnnlearnError(f"{owner}: {name}{misfit.place} is {misfit.found}; give {wanted}") from None
            for axis, size in _named_sizes(kind, fitted[name]):
                other, expected = sizes.setdefault(axis, (name, size))
                if size != expected:
                    raise SnnlearnError(
                        f"{owner}: {other} has {axis} = {expected}, but {name} has {axis} = {size}; give both the same"
                    )
    return fitted


def _fit(kind: Any, value: Any) -> Any:
    """The value, as an array where it is to become one.

    Raises:
        _Misfit: if it is not of the kind.
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if isinstance(value, np.ndarray):  # an array is looked at as a whole before it is taken for a list
            parts = sorted(parts, key=lambda part: typing.get_origin(part) in (Sequence, tuple))
        misfits = []
        for part in parts:
            try:
                return _fit(part, value)
            except _Misfit as misfit:
                misfits.append(misfit)
        raise max(misfits, key=lambda misfit: misfit.found != shown(value))  # one says more than what the value is
    if kind in (float, int):
        fits = _is_number(value, whole=kind is int)
    elif kind is bool:
        fits = isinstance(value, (bool, np.bool_))
    elif origin is Literal:
        fits = value in parts
    elif origin is Callable:
        fits = callable(value)
    elif origin in (Sequence, tuple):
        return _fit_items(origin, parts, value)
    elif _is_array(kind):
        return _fit_array(kind, value)
    else:
        fits = not isinstance(kind, type) or isinstance(value, kind)
    if not fits:
        raise _Misfit(shown(value))
    return value


def _is_number(value: Any, *, whole: bool) -> bool:
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        real = jnp.issubdtype(value.dtype, jnp.integer) or (not whole and jnp.issubdtype(value.dtype, jnp.floating))
        return value.ndim == 0 and real
    return isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)


def _fit_items(origin: Any, parts: tuple[Any, ...], value: Any) -> Any:
    items = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if isinstance(items, (str, bytes)) or not isinstance(items, Sequence):
        raise _Misfit(shown(value))
    kinds = parts if origin is tuple and parts[-1] is not ... else parts[:1] * len(items)
    if len(kinds) != len(items):
        raise _Misfit(f"{shown(value)} of {len(items)}")
    fitted = []
    for i, (kind, item) in enumerate(zip(kinds, items, strict=True)):
        try:
            fitted.append(_fit(kind, item))
        except _Misfit as misfit:
            raise _Misfit(misfit.found, f"[{i}]{misfit.place}") from None
    return tuple(fitted) if origin is tuple or isinstance(value, tuple) else fitted


def _is_array(kind: Any) -> bool:
    return kind in (np.ndarray, jax.Array) or hasattr(kind, "dim_str")


def _fit_array(kind: Any, value: Any) -> Any:
    dtypes, axes = getattr(kind, "dtypes", ()), getattr(kind, "dim_str", "...").split()
    array = value
    if _is_key(kind):
        if not isinstance(value, jax.Array):
            raise _Misfit(shown(value))
        if jnp.issubdtype(value.dtype, jnp.uint32) and value.shape[-1:] in ((2,), (4,)):  # of the older kind
            return value
        fits = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    else:
        if not isinstance(value, (np.ndarray, jax.Array)):
            try:
                array = np.asarray(value)
            except Exception:  # whatever NumPy or the value's own conversion raises
                raise _Misfit(shown(value)) from None
            if array.dtype.kind not in "buif":
                raise _Misfit(shown(value))
        fits = jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool
        fits = fits and not jnp.issubdtype(array.dtype, jnp.complexfloating)
        if _only(dtypes, "int", "uint"):
            fits = jnp.issubdtype(array.dtype, jnp.integer)
        if _only(dtypes, "bool"):
            fits = array.dtype == bool
    if not fits:
        raise _Misfit(f"an array of {array.dtype}")
    fixed = sum(not _is_variadic(axis) for axis in axes)
    if array.ndim < fixed or (array.ndim > fixed and fixed == len(axes)):
        raise _Misfit(shown(value if array.ndim == 0 else array))
    return array if array is value or _in_numpy(kind) else jnp.asarray(array)


def _in_numpy(kind: Any) -> bool:
    return getattr(kind, "array_type", kind) is np.ndarray


def _is_key(kind: Any) -> bool:
    return _only(getattr(kind, "dtypes", ()), "prng_key")


def _only(dtypes: Any, *starts: str) -> bool:
    return isinstance(dtypes, (tuple, list)) and bool(dtypes) and all(dtype.startswith(starts) for dtype in dtypes)


def _is_variadic(axis: str) -> bool:
    return axis == "..." or "*" in axis


def _named_sizes(kind: Any, value: Any) -> list[tuple[str, int]]:
    """The sizes of the axes that an annotation names, up to where their number is open."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return [size for part in typing.get_args(kind) for size in _named_sizes(part, value)]
    if not (_is_array(kind) and isinstance(value, (np.ndarray, jax.Array))) or _is_key(kind):
        return []
    axes = getattr(kind, "dim_str", "...").split()
    open_from = next((i for i, axis in enumerate(axes) if _is_variadic(axis)), len(axes))
    return [(axis, size) for axis, size in zip(axes[:open_from], value.shape, strict=False) if axis.isidentifier()]


def _instead(kind: Any, value: Any) -> str | None:
    """The advice for a class in place of its instance."""
    kinds = typing.get_args(kind) or (kind,)
    wanted = tuple(kind for kind in kinds if isinstance(kind, type) and not _is_array(kind))
    if not (isinstance(value, type) and wanted and issubclass(value, wanted)) or inspect.isabstract(value):
        return None
    return f"an instance, {_made(value)}"


def _wanted(kind: Any, default: Any = inspect.Parameter.empty) -> str:
    """What is of a kind, in a few words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        phrases = dict.fromkeys(_wanted(part, default) for part in parts if not _is_raw_key(part, parts))
        if "a number" in phrases:
            phrases.pop("a whole number", None)
        return ", or ".join(phrases)
    plain = {types.NoneType: "None", float: "a number", int: "a whole number", bool: "True or False", str: "a string"}
    if kind in plain:
        return plain[kind]
    if kind is np.integer:
        return "a whole number"
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is Callable:
        return "a function"
    if origin in (Sequence, tuple):
        return f"a list, each {_wanted(parts[0])}"
    if _is_key(kind):
        return "a random key, such as jax.random.key(0)"
    if _is_array(kind):
        axes = ", ".join(getattr(kind, "dim_str", "...").split())
        dtypes = getattr(kind, "dtypes", ())
        of = "whole numbers" if _only(dtypes, "int", "uint") else "truth values" if _only(dtypes, "bool") else "numbers"
        return f"an array of {of}" + (f", [{axes}]" if axes not in ("", "...") else "")
    if not isinstance(kind, type):
        return str(kind)
    example = type(default) if isinstance(default, kind) else _concrete(kind)
    name = kind.__name__
    made = vars(kind).get("_example") or (None if example is None else _made(example))
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}" + (f", such as {made}" if made else "")


def _is_raw_key(part: Any, parts: tuple[Any, ...]) -> bool:
    return any(map(_is_key, parts)) and _is_array(part) and not _is_key(part)


def _concrete(kind: type) -> type | None:
    """The class, or the first public one that is derived from it, of which there are instances."""
    if not inspect.isabstract(kind):
        return None if kind.__name__.startswith("_") else kind
    return next((found for child in kind.__subclasses__() if (found := _concrete(child)) is not None), None)


def _made(cls: type) -> str:
    """A call that makes an instance of a class."""
    try:
        parameters = inspect.signature(cls).parameters.values()
    except ValueError:  # of what is written in C
        return f"{cls.__name__}(...)"
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return f"{cls.__name__}({', '.join(needed)})"
