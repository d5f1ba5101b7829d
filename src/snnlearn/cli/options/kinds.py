"""The kinds of options: roles, ranges, and what a command checks before it begins."""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.axis import Axis
from snnlearn.cli.choices import OPTIMIZERS, RULES


class Role(Enum):
    """The role of an option that does not define the run itself."""

    PLACE = "it says where a run comes from and goes to, not what it is"
    TASK = "all configurations of a sweep share it: what they learn, and from which seeds"


File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Within:
    """The range of an option's number or numbers; written beside its type.

    Args:
        low: The least.
        high: The greatest.
        between: Whether these two are left out.
    """

    low: int | float
    high: int | float
    between: bool = False

    def __contains__(self, number: int | float) -> bool:
        return self.low < number < self.high if self.between else self.low <= number <= self.high

    def fault(self, number: int | float) -> str | None:
        """What to give instead of a number; None if it is in the range."""
        return None if number in self else f"give {self}"

    def __str__(self) -> str:
        if self.between:
            return f"a number between {self.low:g} and {self.high:g}"
        if isinstance(self.high, int):
            return f"a whole number from {self.low} to {self.high}"
        return f"a number from {self.low:g} to {self.high:g}"


Count = Annotated[int, Within(1, 1_000_000)]
"""A number of things; nobody waits for more than a million."""
Seed = Annotated[int, Within(0, 2**31 - 1)]
Share = Annotated[float, Within(0, 1, between=True)]
Seconds = Annotated[float, Within(1e-9, 1e6)]
Positive = Annotated[float, Within(1e-20, 1e20)]
"""Numbers that float32 can square."""
FromZero = Annotated[float, Within(0.0, 1e20)]
OptionalSeconds = Annotated[float | None, Within(1e-9, 1e6), tyro.conf.arg(metavar="FLOAT")]
OptionalCount = Annotated[int | None, Within(1, 1_000_000), tyro.conf.arg(metavar="INT")]
OptionalPositive = Annotated[float | None, Within(1e-20, 1e20), tyro.conf.arg(metavar="FLOAT")]
OptionalShare = Annotated[float | None, Within(0, 1, between=True), tyro.conf.arg(metavar="FLOAT")]
Rule = Annotated[str, RULES, tyro.conf.arg(metavar=RULES.metavar)]
Optimizer = Annotated[str | None, OPTIMIZERS, tyro.conf.arg(metavar=OPTIMIZERS.metavar)]


@functools.cache
def ranges(options: type) -> dict[str, Within]:
    """The range of each option that has one."""
    return noted(options, Within)


@functools.cache
def axes(options: type) -> dict[str, Axis]:
    """The axis of each option that chooses a class by name."""
    return noted(options, Axis)


T = TypeVar("T")


def noted(options: type, kind: type[T]) -> dict[str, T]:
    """The note of this kind beside each option's type, of those that have one."""
    found = {}
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        own = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, kind)]
        if own:
            found[name] = own[0]
    return found


class Checked:
    """Options whose numbers have ranges, and whose names stand for components."""

    def check(self) -> None:
        """Refuse values out of range or unknown, also of options that have no effect beside the others.

        Raises:
            SnnlearnError: naming the option, its value and what to give.
        """
        for name, text in vars(self).items():
            if isinstance(text, (str, Path)) and any("\ud800" <= character <= "\udfff" for character in str(text)):
                raise SnnlearnError(f"--{name.replace('_', '-')} is {text}, a name that is not UTF-8; rename it")
        for name, note in (ranges(type(self)) | axes(type(self))).items():
            value: Any = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None and (fault := note.fault(one)):
                    verb = "has" if isinstance(value, tuple) else "is"
                    raise SnnlearnError(f"--{name.replace('_', '-')} {verb} {one}; {fault}")


Scaling = Annotated[
    Literal["none", "all", "range", "standard", "centred", "quantile"] | None,
    tyro.conf.arg(metavar="{none,all,range,standard,centred,quantile}"),
]
Text = Annotated[str | None, tyro.conf.arg(metavar="NAME|NUMBER")]
