"""The package Optuna, an extra, which searches."""

from __future__ import annotations

from typing import Any

from snnlearn._errors import SnnlearnError


def optuna_package() -> Any:
    """The package, which starts slowly and is an extra."""
    try:
        import optuna
    except ImportError as error:
        raise SnnlearnError("a search needs the package optuna; install it by pip install 'snnlearn[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
