"""Ctrl-C, which Python may lose in an import or a callback of the garbage collector."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

_raises = False
_pending = False


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """End the process on ctrl-C: at once, or, after `raise_from_now_on`, by an exception."""
    global _raises, _pending
    _raises = _pending = False
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears of signals
        return
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def raise_from_now_on() -> None:
    """From now on there is something to clean up: ctrl-C raises."""
    global _raises
    _raises = True


def check() -> None:
    """Raise a lost ctrl-C.

    Raises:
        KeyboardInterrupt: if there was a ctrl-C.
    """
    if _pending:
        raise KeyboardInterrupt


def between(items: Iterable[T]) -> Iterator[T]:
    """The items; before each, and after the last, a lost ctrl-C is raised.

    Raises:
        KeyboardInterrupt: if there was a ctrl-C.
    """
    check()
    for item in items:
        yield item
        check()


def _interrupt(*_: Any) -> None:
    global _pending
    if _raises:
        _pending = True
        raise KeyboardInterrupt
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os.write(2, b"interrupted\n")
    os._exit(130)
