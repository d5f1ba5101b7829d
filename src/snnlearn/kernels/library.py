"""The compiled kernels: whether there are any for this machine, and whether to use them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import jax

from snnlearn._errors import SnnlearnError

LIBRARY = Path(__file__).with_name("libsnnlearn.so")
"""Where `compile` puts it; not imported from there, so that `python -m` finds that module untouched."""


def _asks_for_plain(choice: str) -> bool:
    """Whether the environment switches the kernels off.

    Raises:
        SnnlearnError: if there is no such choice.
    """
    if choice.lower() not in ("", "plain"):
        raise SnnlearnError(
            f"SNNLEARN_KERNELS is {choice!r} in the environment; give plain, which switches the kernels off, or "
            "unset it"
        )
    return choice.lower() == "plain"


_off_at_first = _asks_for_plain(os.environ.get("SNNLEARN_KERNELS", ""))
_switched_off = ContextVar("switched_off", default=_off_at_first)


def why_plain() -> str | None:
    """Why networks run as plain JAX; None if the compiled kernels may be used.

    The kernels are for CPU. `SNNLEARN_KERNELS=plain` in the environment and `plain()` switch them off.
    """
    if _switched_off.get():
        return "the compiled kernels are switched off"
    if jax.default_backend() != "cpu":
        return f"the compiled kernels are for CPU, not {jax.default_backend()}"
    return _load()


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Within it, everything traced runs as plain JAX. Programs compiled before are not affected.

    It only affects the thread that enters it.

    >>> with plain():
    ...     why_plain()
    'the compiled kernels are switched off'
    """
    before = _switched_off.set(True)
    try:
        yield
    finally:
        _switched_off.reset(before)


@cache
def _load() -> str | None:
    if not LIBRARY.exists():
        return (
            "the kernels are not compiled (install a C++ compiler, such as g++, then run "
            "'python -m snnlearn.kernels.compile')"
        )
    try:
        library = ctypes.CDLL(str(LIBRARY))
        for name in (
            "forward",
            "backward",
            "stream",
            "record",
            "images_forward",
            "images_backward",
            "currents",
            "outer",
            "filter",
        ):
            handler = jax.ffi.pycapsule(getattr(library, f"snnlearn_{name}"))
            jax.ffi.register_ffi_target(f"snnlearn_{name}", handler, platform="cpu")
    except Exception as error:  # whatever is wrong with the library, there is a way without it
        return f"the compiled kernels cannot be loaded ({error}); 'python -m snnlearn.kernels.compile' renews them"
    return None
