"""A griffe extension: how the reference reads this library's classes and docstrings."""

from __future__ import annotations

import re
from typing import Any

from griffe import (
    Attribute,
    Class,
    Expr,
    ExprCall,
    ExprKeyword,
    Extension,
    Function,
    Module,
    Parameter,
    ParameterKind,
    Parameters,
)

_DOCTEST = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.DOTALL | re.MULTILINE)


class ReferenceExtension(Extension):
    """Three habits of the library that griffe does not know.

    - A class without `__init__` takes its fields, as an Equinox module or a named tuple does.
    - A method whose docstring sends the reader to the base is described there, and not shown again.
    - An example stands in a docstring without a heading.
    """

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Visit everything in the package."""
        _visit(pkg)


def _visit(thing: Module | Class | Function | Attribute) -> None:
    if thing.docstring is not None:
        if thing.docstring.value == "See the base.":
            thing.docstring = None
        else:
            thing.docstring.value = _DOCTEST.sub(r"```pycon\n\g<0>\n```", thing.docstring.value)
    for member in list(thing.members.values()):
        if isinstance(member, Module | Class | Function | Attribute):
            _visit(member)
    if isinstance(thing, Class) and "__init__" not in thing.members and (fields := _fields(thing)):
        this = Parameter("self", kind=ParameterKind.positional_or_keyword)
        thing.set_member("__init__", Function("__init__", parameters=Parameters(this, *fields), parent=thing))


def _fields(cls: Class) -> list[Parameter]:
    return [
        Parameter(member.name, kind=ParameterKind.positional_or_keyword, default=_default(member.value))
        for member in cls.members.values()
        if isinstance(member, Attribute)
        and member.annotation is not None
        and "property" not in member.labels
        and "AbstractVar" not in str(member.annotation)
    ]


def _default(value: str | Expr | None) -> str | Expr | None:
    """What a field takes when nothing is given: the value itself, or the `default` of `eqx.field`."""
    if not (isinstance(value, ExprCall) and str(value.function) == "eqx.field"):
        return value
    keywords = {argument.name: argument.value for argument in value.arguments if isinstance(argument, ExprKeyword)}
    return keywords.get("default", "..." if "default_factory" in keywords else None)
