"""The exception that this library raises for everything a caller can correct."""

from __future__ import annotations


class SnnlearnError(ValueError):
    """Input that cannot be used; the message is one sentence saying what was wrong and what to do.

    The command line prints it after ``error:`` and exits with status 2.

    >>> raise SnnlearnError("tau_mem is -1.0 s; give a time constant above 0")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: tau_mem is -1.0 s; give a time constant above 0
    """
