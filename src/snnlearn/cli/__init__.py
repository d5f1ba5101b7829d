"""The command line. Only this package has strings for choices; the library has objects."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
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
    from typing import Annotated

    import tyro

    from snnlearn.cli import terminal
    from snnlearn.cli.options import (
        Certify,
        Compare,
        Encode,
        Evaluate,
        Gradients,
        NoFreeLunch,
        Predict,
        Risk,
        Sweep,
        Train,
    )

    if not arguments:
        arguments = ["--help"]
    defaults = {"train": Train(), "sweep": Sweep(), "certify": Certify()}
    if arguments[0] in defaults:
        from snnlearn.cli.config import config_argument, read_config

        if (path := config_argument(arguments)) is not None:
            defaults[arguments[0]] = read_config(path, type(defaults[arguments[0]]))
    with terminal.printable_errors():
        command = tyro.cli(
            Annotated[Train, tyro.conf.subcommand("train", default=defaults["train"])]  # pyright: ignore
            | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
            | Annotated[Predict, tyro.conf.subcommand("predict")]
            | Annotated[Compare, tyro.conf.subcommand("compare")]
            | Annotated[Gradients, tyro.conf.subcommand("gradients")]
            | Annotated[Risk, tyro.conf.subcommand("risk")]
            | Annotated[Sweep, tyro.conf.subcommand("sweep", default=defaults["sweep"])]
            | Annotated[Certify, tyro.conf.subcommand("certify", default=defaults["certify"])]
            | Annotated[NoFreeLunch, tyro.conf.subcommand("no-free-lunch")]
            | Annotated[Encode, tyro.conf.subcommand("encode")],
            prog="snnlearn",
            description="Train spiking neural networks and know their risk.",
            args=arguments,
        )
    # Imported only now: JAX takes longer to start than --help may.
    import jax

    try:
        return _do(command, arguments)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise MemoryError from error
        raise


def _do(command: Any, arguments: list[str]) -> int:
    from snnlearn.cli import commands
    from snnlearn.cli.options import (
        Certify,
        Compare,
        Encode,
        Evaluate,
        Gradients,
        NoFreeLunch,
        Predict,
        Risk,
        Sweep,
        Train,
    )

    match command:
        case Compare():
            from snnlearn.cli.compare import compare

            return compare(command)
        case Gradients():
            from snnlearn.cli.gradients import gradients

            return gradients(command)
        case Risk():
            from snnlearn.cli.risk import risk

            return risk(command)
        case Certify():
            from snnlearn.cli.certify import certify

            return certify(command)
        case NoFreeLunch():
            from snnlearn.cli.no_free_lunch import no_free_lunch

            return no_free_lunch(command)
        case Sweep(resume=None):
            from snnlearn.cli.sweep import sweep

            return sweep(command)
        case Sweep(resume=folder) if folder is not None:
            from snnlearn.cli.sweep import resume

            _check_alone(arguments)
            return resume(folder)
        case Train(resume=None):
            return commands.train(command)
        case Train(resume=run) if run is not None:
            _check_alone(arguments, "--distributed")
            return commands.resume(run, distributed=command.distributed)
        case Evaluate():
            return commands.evaluate(command)
        case Predict():
            return commands.predict(command)
        case Encode():
            return commands.encode(command)
    raise AssertionError(command)


def _check_alone(arguments: list[str], *allowed: str) -> None:
    """Refuse options beside `--resume`, but for some."""
    from snnlearn._errors import SnnlearnError

    if others := [a for a in arguments if a.startswith("--") and not a.startswith(("--resume", *allowed))]:
        raise SnnlearnError(f"--resume takes all options from the run; drop {' '.join(others)}")
