"""Numbers of samples, steps and inputs of a task."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from snnlearn._errors import SnnlearnError


def at_least(least: int, owner: str, **counts: Any) -> None:
    """Refuse what is no whole number, or less.

    Raises:
        SnnlearnError: naming the owner, the argument and its value.

    >>> at_least(1, "copy", delay=2.5)
    Traceback (most recent call last):
        ...
    snnlearn._errors.SnnlearnError: copy: delay is 2.5; give a whole number from 1
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or isinstance(count, bool) or count < least:
            raise SnnlearnError(f"{owner}: {name} is {count!r}; give a whole number from {least}")


def counts_of(owner: str, num_train: int, num_validation: int, num_test: int) -> tuple[int, int, int]:
    """The sizes of the three samples, if there is one of each."""
    at_least(1, owner, num_train=num_train, num_validation=num_validation, num_test=num_test)
    return num_train, num_validation, num_test
