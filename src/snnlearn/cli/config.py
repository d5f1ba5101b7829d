"""Options as TOML, written by runs and read back."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from snnlearn._errors import SnnlearnError
from snnlearn.cli.axis import is_own, like
from snnlearn.cli.choices import DATA
from snnlearn.cli.options import Role, Train, roles

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", Path: "a string"}


T = TypeVar("T", bound=Train)


def value_of(option: str, arguments: list[str]) -> str | None:
    """The value of an option among command-line arguments, or None."""
    for position, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.removeprefix(f"{option}=")
        if argument == option and position + 1 < len(arguments):
            return arguments[position + 1]
    return None


def as_table(options: Train) -> dict[str, Any]:
    """The run's options as a TOML table, without those that have no value."""
    table = {}
    for name, value in dataclasses.asdict(options).items():
        if roles().get(name) is not Role.PLACE and value is not None:
            table[name] = str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
    return table


def located(options: T) -> T:
    """The options with absolute paths of the data, so that they are found from any folder."""
    given = {name: getattr(options, name) for name in ("data", "data_folder", "start")}
    files = {
        name: Path(file) for name, file in given.items() if file and file not in DATA.choices and Path(file).exists()
    }
    whole = {name: str(file.resolve()) if name == "data" else file.resolve() for name, file in files.items()}
    return dataclasses.replace(options, **whole)


def write_config(options: Train) -> str:
    """The run's options as TOML."""
    import tomli_w

    return tomli_w.dumps(as_table(located(options)))


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        SnnlearnError: if it is missing, no file, or damaged.
    """
    try:
        if path.is_file():  # and no pipe, whose end would be waited for
            return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SnnlearnError(f"{path} is damaged; restore it") from error
    raise SnnlearnError(f"{path} is not a file; restore it")


def read_config(path: Path, kind: type[T] = Train, *, allow: Sequence[str] = ()) -> T:
    """Options from a TOML file; those that it does not name keep their defaults.

    Args:
        path: the file.
        kind: the class of the command's options.
        allow: the user's classes, as `module:Class`, that it may name. Using one executes its module, which a file
            alone never does.

    Raises:
        SnnlearnError: if the file is missing, is not TOML, has a key or a value that is not an option's, or names a
            class that is not allowed.
    """
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give the path of a TOML file of options")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SnnlearnError(f"{path} is not valid TOML ({error}); correct it there") from error
    except RecursionError as error:
        raise SnnlearnError(
            f"{path} is nested too deeply; give options and their values, such as epochs = 3"
        ) from error
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if roles().get(field.name) is not Role.PLACE]
    values = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else "see snnlearn train --help for the options"
            raise SnnlearnError(f"{path} has the unknown key {key!r}; {hint}")
        values[name] = converted(value, hints[name], f"{path}: {key}")
    own = [name for key, value in values.items() if key not in ("data", "label", "group") for name in own_names(value)]
    if refused := [name for name in dict.fromkeys(own) if name not in allow]:
        raise SnnlearnError(
            f"{path} names {', '.join(refused)}, which snnlearn does not have; using it executes its module: add "
            "--allow "
            f"{' '.join(refused)}, if you trust it"
        )
    return kind(**values)


def check_allowed(options: Any, config: str | None) -> None:
    """Refuse --allow of a class that is not used: most likely it is misspelt.

    Raises:
        SnnlearnError: naming it, and the one that was meant.
    """
    folders = [getattr(options, name, None) for name in ("resume", "run")] + list(
        getattr(options, "paired", None) or ()
    )
    files = [*([Path(config)] if config else []), *(Path(folder) / "config.toml" for folder in folders if folder)]
    asked: list[str] = []
    for file in files:
        if not file.is_file():  # such as a pipe, whose end would be waited for
            return  # what is wrong with it is said where it is read
        try:
            table = tomllib.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            return
        values = [tuple(value) if isinstance(value, list) else value for value in table.values()]
        asked += [name for value in values for name in own_names(value)]
    for name in getattr(options, "allow", ()):
        if name not in asked:
            hint = like(name, asked) or "drop it"
            raise SnnlearnError(f"--allow names {name}, but nothing uses it; {hint}")


def own_names(value: Any) -> list[str]:
    """The classes that are not this library's in a value, or in a list of them, such as `neuron=lif,mine:Leaky`."""
    if isinstance(value, tuple):
        return [name for item in value for name in own_names(item)]
    parts = value.partition("=")[2].split(",") if isinstance(value, str) and "=" in value else [value]
    names = [part for part in parts if isinstance(part, str) and is_own(part)]
    return [name for name in names if name.partition(".")[0].partition(":")[0] != "snnlearn"]


def converted(value: Any, hint: Any, where: str) -> Any:
    """A TOML value as the option's type, of which there are few: bool, int, float, str, Path, Literal and tuples."""
    options = (
        [o for o in typing.get_args(hint) if o is not type(None)] if type(None) in typing.get_args(hint) else [hint]
    )
    kind = options[0]
    if typing.get_origin(kind) is typing.Literal:
        if value in typing.get_args(kind):
            return value
        raise SnnlearnError(f"{where} is {value!r}; give one of {', '.join(map(str, typing.get_args(kind)))}")
    if typing.get_origin(kind) is tuple:
        item, *rest = typing.get_args(kind)
        if isinstance(value, list) and (Ellipsis in rest or len(value) == 1 + len(rest)):
            return tuple(converted(one, item, where) for one in value)
        items = "strings" if item is str else f"{1 + len(rest)} numbers"
        raise SnnlearnError(f"{where} is {value!r}; give a list of {items}")
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise SnnlearnError(f"{where} is {value!r}; give {_WORDS[kind]}")
    return value
