"""What names on the command line stand for: entries of a table, or the user's classes. Nothing here needs JAX."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from snnlearn._errors import SnnlearnError


@dataclass(frozen=True)
class Choice:
    """A class, or a function, that has a name.

    Args:
        path: the class, as `module:Class`.
        fields: what fills a field with another name: a value of the axis, or a number.
    """

    path: str
    fields: Mapping[str, str | float] = field(default_factory=dict)


C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, eq=False)  # by identity, since what stands beside a type must have a hash
class Axis(Generic[C]):
    """A part of a training that is chosen by name.

    Args:
        kind: the class of the choices.
        base: the abstract base of its classes; empty for functions.
        part: the field of another component that holds one.
        choices: by name.
        values: the values for its classes' fields, and the option that each comes from.
        default: the name of the default inside a user's class that wraps another.
        settles: other options whose defaults come from its classes, and the class attributes with the default.
        others: what else may be given in place of a name, such as a file.
    """

    kind: type[C]
    base: str
    part: str
    choices: Mapping[str, C]
    values: Mapping[str, str]
    default: str
    settles: Mapping[str, str] = field(default_factory=dict)
    others: str = ""

    def __getitem__(self, name: str) -> C:
        return self.choices[name] if name in self.choices else self.kind(name)

    @property
    def metavar(self) -> str:
        """The choices, for help texts."""
        return f"{{{','.join(self.choices)},{'FILE' if self.others else f'MODULE:{self._kind.upper()}'}}}"

    def fault(self, name: str) -> str | None:
        """What is wrong with a name and what to give; None if it stands for a class."""
        if name in self.choices:
            return None
        if self.others:
            return None if os.path.exists(name) or os.path.splitext(name)[1] else self._unknown(name)
        try:
            _own(name, self)
        except SnnlearnError as fault:
            return str(fault)
        return None

    def _unknown(self, name: str) -> str:
        others = self.others or f"a {'class' if self.base else 'function'} of your own as module:{self._kind}"
        return like(name, list(self.choices)) or f"give one of {', '.join(self.choices)}, or {others}"

    @property
    def _kind(self) -> str:
        return "Class" if self.base else "function"

    def load(self, name: str) -> Any:
        """The class, or the function, that a name stands for.

        Raises:
            SnnlearnError: if there is none, or it is not a class of this axis.
        """
        if name in self.choices:
            return pkgutil.resolve_name(self.choices[name].path)
        try:
            return _own(name, self)
        except SnnlearnError as fault:
            raise SnnlearnError(f"{name}: {fault}") from fault

    def name_of(self, cls: type) -> str:
        """The name that stands for a class: that of the table, or its path."""
        names = (name for name, choice in self.choices.items() if pkgutil.resolve_name(choice.path) is cls)
        return next(names, f"{cls.__module__}:{cls.__qualname__}")

    def build(self, name: str, values: Mapping[str, Any]) -> Any:
        """The component of a name, its fields filled from the values of the same name, or as the table says.

        Other fields keep their defaults. A class that wraps another of the axis without a default gets the axis's.

        Args:
            name: the name.
            values: values by name; None is no value, and values of other axes are ignored.

        Raises:
            SnnlearnError: if there is no such class, or a field without a default that nothing fills.
        """
        return self.load(name)(**self.arguments(name, values))

    def arguments(self, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """What `build` fills the fields with.

        Raises:
            SnnlearnError: if there is no such class, or a field without a default that nothing fills.
        """
        given: dict[str, Any] = {}
        for argument, source, needed in self._fields(name):
            value = source
            if isinstance(source, str):
                value = values.get(source) if source in self.values else None
            if value is None and needed:
                if source in self.values:
                    option = self.values[str(source)].replace("_", "-")
                    raise SnnlearnError(f"{name} needs --{option}; see train --help")
                if argument != self.part:
                    known = ", ".join([*self.values, self.part])
                    raise SnnlearnError(
                        f"{name} needs {argument}, which no option fills; give it a default, or rename it to one of "
                        "these: "
                        f"{known}"
                    )
                value = self.build(self.default, values)
            if value is not None:
                given[argument] = value
        return given

    def taken(self, name: str) -> tuple[str, ...]:
        """The options that fill the fields of a name's component, or of the one inside."""
        if self.others and name not in self.choices:
            return ()
        found: list[str] = []
        for argument, source, needed in self._fields(name):
            if source in self.values:
                found.append(self.values[str(source)])
            elif needed and argument == self.part:
                found += self.taken(self.default)
        return tuple(found)

    def takes(self, name: str, value: str) -> bool:
        """Whether a value fills a field of a name's component; otherwise it need not be computed."""
        return any(source == value for _, source, _ in self._fields(name))

    def _fields(self, name: str) -> list[tuple[str, str | float, bool]]:
        """For each argument of a class: its name, what fills it, and whether it is required."""
        rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        arguments = [one for one in inspect.signature(self.load(name)).parameters.values() if one.kind not in rest]
        return [(one.name, self[name].fields.get(one.name, one.name), one.default is one.empty) for one in arguments]


def is_own(name: str) -> bool:
    """Whether a name is that of a user's class.

    >>> is_own("package.module:Class"), is_own("alif"), is_own("a b:c")
    (True, False, False)
    """
    module, _, cls = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), cls))


def shown(name: str) -> str:
    """A name for titles.

    >>> shown("alif"), shown("package.module:Class")
    ('ALIF', 'Class')
    """
    return name.partition(":")[2] or name.upper()


def like(name: str, names: list[str]) -> str | None:
    """A suggestion of the intended name; None if none is similar."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else None


def _own(path: str, axis: Axis) -> Any:
    """A user's class or function, imported.

    Raises:
        SnnlearnError: the reason why it cannot be imported.
    """
    if not is_own(path):
        raise SnnlearnError(axis._unknown(path))
    module, _, name = path.partition(":")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)  # as python -m does
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever stands in the file
        missing = isinstance(error, ModuleNotFoundError) and module.startswith(error.name or "")
        what = "run from the folder that it is in, or put that on PYTHONPATH" if missing else "correct it"
        raise SnnlearnError(f"{module} cannot be imported ({type(error).__name__}: {error}); {what}") from error
    if not axis.base:
        if not inspect.isfunction(function := getattr(found, name, None)):
            functions = [name for name, thing in vars(found).items() if inspect.isfunction(thing)]
            raise SnnlearnError(f"{module} has no function {name}; {like(name, functions) or 'give one that it has'}")
        return function
    cls, base = getattr(found, name, None), pkgutil.resolve_name(axis.base)
    if not isinstance(cls, type):
        classes = [name for name, thing in vars(found).items() if isinstance(thing, type) and issubclass(thing, base)]
        raise SnnlearnError(f"{module} has no class {name}; {like(name, classes) or 'give one that it has'}")
    if not issubclass(cls, base):
        raise SnnlearnError(f"it is not a subclass of {base.__name__}; derive it from {axis.base.replace(':', '.')}")
    if inspect.isabstract(cls):
        raise SnnlearnError(f"it is abstract; define its {', '.join(sorted(cls.__abstractmethods__))}")
    return cls
