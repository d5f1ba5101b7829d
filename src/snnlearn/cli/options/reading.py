"""The commands by their names, and how their arguments are read."""

from __future__ import annotations

import typing
from typing import Any

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.axis import like
from snnlearn.cli.options.convert import Convert
from snnlearn.cli.options.data import Data, Encode
from snnlearn.cli.options.rules import Compare, Gradients
from snnlearn.cli.options.run import Deploy, Evaluate, Predict, Risk, Stream
from snnlearn.cli.options.search import Sweep, Tune
from snnlearn.cli.options.theory import Certify, NoFreeLunch
from snnlearn.cli.options.train import Train

COMMANDS: dict[str, type] = {
    "train": Train,
    "convert": Convert,
    "evaluate": Evaluate,
    "predict": Predict,
    "stream": Stream,
    "compare": Compare,
    "gradients": Gradients,
    "risk": Risk,
    "deploy": Deploy,
    "sweep": Sweep,
    "tune": Tune,
    "certify": Certify,
    "no-free-lunch": NoFreeLunch,
    "encode": Encode,
    "data": Data,
}


def check_names(arguments: list[str]) -> None:
    """Refuse a command or an option that does not exist.

    Args:
        arguments: of the command line; only names are checked.

    Raises:
        SnnlearnError: naming it, and the most similar one.
    """
    if not arguments or arguments[0].startswith("-"):
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise SnnlearnError(f"there is no command {name}; {_like(name, list(COMMANDS))}")
    known = {"--help"} | {f"--{option}" for option in _offered(COMMANDS[name])}
    for argument in rest:
        option = argument.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known and not option.startswith("--tyro-"):
            raise SnnlearnError(f"{name} has no option {option}; {_like(option, sorted(known))}")


def _offered(options: type) -> list[str]:
    """The names of a command's options."""
    names = []
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        notes = getattr(hint, "__metadata__", ())
        if tyro.conf.Suppress not in notes and tyro.conf.Positional not in notes:
            names += [name.replace("_", "-")] + [f"no-{name.replace('_', '-')}"] * (
                bool in (hint, getattr(hint, "__origin__", None))
            )
    return names


def _like(name: str, names: list[str]) -> str:
    return like(name, names) or "snnlearn --help and snnlearn COMMAND --help list all"


def numbers() -> tyro.constructors.ConstructorRegistry:
    """How numbers are read, with errors that do not mention Python."""
    registry = tyro.constructors.ConstructorRegistry()
    specs = {int: _number(int, "a whole number"), float: _number(float, "a number")}
    registry.primitive_rule(lambda info: specs.get(info.type))
    return registry


def _number(kind: type[int] | type[float], words: str) -> tyro.constructors.PrimitiveConstructorSpec:
    def read(texts: list[str]) -> Any:
        try:
            return kind(texts[0])
        except ValueError:
            raise ValueError(f"{texts[0]} is not {words}") from None

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, kind) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )
