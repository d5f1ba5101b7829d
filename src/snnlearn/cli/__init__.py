"""The command line. Only this package has strings for choices; the library has objects."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# XLA reports every small difference between the machine and the one that a kept program was compiled on.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: instead of those of the process.

    Returns:
        the exit status: 0, 2 for input that cannot be used, 130 after ctrl-C, 141 if nobody reads the output.
    """
    status = _status(list(sys.argv[1:] if arguments is None else arguments))
    if status and "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized():
        # An orderly exit would wait for the other processes, which wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _status(arguments: list[str]) -> int:
    from snnlearn._errors import SnnlearnError
    from snnlearn.cli import interrupts, terminal

    terminal.prepare()
    try:
        try:
            with interrupts.handled():
                return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        terminal.end_output()
        return 141
    except (SnnlearnError, OSError, MemoryError) as error:
        print(f"error: {terminal.sentence(error)}", file=sys.stderr)
        terminal.end_output()
        return 2
    except KeyboardInterrupt as interrupt:
        print("interrupted", *interrupt.args, sep="; ", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    from snnlearn import __version__
    from snnlearn.cli.config import check_allowed, read_config, value_of
    from snnlearn.cli.options import COMMANDS, check_names

    if arguments == ["--version"]:
        print(f"snnlearn {__version__}")
        return 0
    check_names(arguments)
    name = arguments[0] if arguments else ""
    default = None
    if (path := value_of("--config", arguments)) is not None and name in COMMANDS:
        default = read_config(Path(path), COMMANDS[name], allow=arguments)
    options = _parsed(arguments or ["--help"], {name: default})
    check_allowed(options, value_of("--config", arguments))
    # Imported only now: JAX takes longer to start than --help should.
    import importlib

    import jax

    if getattr(options, "resume", None) is not None:
        _check_alone(arguments, "--resume", *(("--distributed", "--epochs") if name == "train" else ()), "--allow")
    if name == "gradients" and options.run is not None:
        _check_alone(arguments, "--run", "--rules", "--repeats", "--flow", "--out", "--allow")
    module = name.replace("-", "_")
    where = "commands" if name in ("train", "evaluate", "predict", "encode") else module
    where = "data_file" if name == "data" else where
    try:
        return getattr(importlib.import_module(f"snnlearn.cli.{where}"), module)(options)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise MemoryError from error
        raise


def _parsed(arguments: list[str], defaults: dict[str, Any]) -> Any:
    """The options of the command."""
    from typing import Annotated, Union

    import tyro

    from snnlearn.cli import terminal
    from snnlearn.cli.options import COMMANDS, numbers

    commands = []
    for name, kind in COMMANDS.items():
        default = {"default": defaults[name]} if defaults.get(name) is not None else {}
        if {"-h", "--help"} & set(arguments):
            default["description"] = "\n\n".join([inspect.getdoc(kind) or "", *_what_is_taken(kind, arguments)])
        commands.append(Annotated[kind, tyro.conf.subcommand(name, **default)])
    with terminal.printable_errors():
        return tyro.cli(
            Union[tuple(commands)],  # pyright: ignore  # noqa: UP007  # known only now
            prog="snnlearn",
            description="Train spiking neural networks and know their risk. --version prints the version of snnlearn.",
            args=arguments,
            registry=numbers(),
        )


def _what_is_taken(kind: type, arguments: list[str]) -> list[str]:
    """For each choice given with --help, the options that it uses; only this part of the help loads the class."""
    from snnlearn.cli.config import value_of
    from snnlearn.cli.options import axes

    sentences = []
    for option, axis in axes(kind).items():
        if (name := value_of(f"--{option.replace('_', '-')}", arguments)) is not None and not name.startswith("-"):
            also = getattr(axis[name], "also", ())
            taken = ", ".join(f"--{one.replace('_', '-')}" for one in dict.fromkeys((*axis.taken(name), *also)))
            sentences.append(f"{name} takes {taken or 'no option'}.")
            cls, settled = axis.load(name), axes(kind)
            if usual := [f"--{of} {settled[of].name_of(getattr(cls, said))}" for of, said in axis.settles.items()]:
                sentences.append(f"{name} defaults to {' and '.join(usual)}.")
    return sentences


def _check_alone(arguments: list[str], option: str, *allowed: str) -> None:
    """Refuse options beside one that replaces them, with some exceptions."""
    from snnlearn._errors import SnnlearnError

    names = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    if others := [name for name in names if name not in (option, *allowed)]:
        raise SnnlearnError(f"{option} takes the other options from the folder; drop {' '.join(others)}")
