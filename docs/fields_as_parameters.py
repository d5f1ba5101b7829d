"""A griffe extension: what the reference shows of a class.

A class without `__init__` takes its fields, as an Equinox module or a named tuple does. A method whose docstring sends the
reader to the base is described there and not shown again.
"""

from __future__ import annotations

from typing import Any

from griffe import Attribute, Class, Extension, Function, Module, Parameter, ParameterKind, Parameters


class FieldsAsParameters(Extension):
    """Give classes their signature, and leave out what their base describes."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Visit every class of the package."""
        _visit(pkg)


def _visit(scope: Module | Class) -> None:
    for member in list(scope.members.values()):
        if isinstance(member, Module | Class):
            _visit(member)
        elif (
            isinstance(member, Function | Attribute) and member.docstring and member.docstring.value == "See the base."
        ):
            member.docstring = None
    if isinstance(scope, Class) and "__init__" not in scope.members and (fields := _fields(scope)):
        this = Parameter("self", kind=ParameterKind.positional_or_keyword)
        scope.set_member("__init__", Function("__init__", parameters=Parameters(this, *fields), parent=scope))


def _fields(cls: Class) -> list[Parameter]:
    return [
        Parameter(member.name, kind=ParameterKind.positional_or_keyword, default=_default(member))
        for member in cls.members.values()
        if isinstance(member, Attribute)
        and member.annotation is not None
        and "property" not in member.labels
        and "AbstractVar" not in str(member.annotation)
    ]


def _default(field: Attribute) -> str | None:
    if not str(field.value or "").startswith("eqx.field("):
        return None if field.value is None else str(field.value)
    arguments = {getattr(a, "name", ""): str(getattr(a, "value", a)) for a in field.value.arguments}  # pyright: ignore
    return arguments.get("default")
