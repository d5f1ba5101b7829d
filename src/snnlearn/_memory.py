"""Checks of memory before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

from snnlearn._errors import SnnlearnError

_GROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> int:
    """Bytes that this process may use: the machine's, or the limit of its group or shell."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    try:
        import resource

        limits.append(resource.getrlimit(resource.RLIMIT_AS)[0])
        limits.append(int(_GROUP.read_text()))
    except (ImportError, OSError, ValueError):
        pass  # There is no such limit here.
    return min((limit for limit in limits if limit > 0), default=2**63)


def check_memory(size: int | float, what: str, advice: str) -> None:
    """Refuse what does not fit into memory.

    Args:
        size: The least number of bytes needed.
        what: What needs them.
        advice: What to do.

    Raises:
        SnnlearnError: saying both figures.

    >>> check_memory(8e18, "--num-steps 1000000", "lower it")
    Traceback (most recent call last):
    snnlearn._errors.SnnlearnError: --num-steps 1000000 needs 8e+09 GB of memory, and this machine has ...; lower it
    """
    if size > memory():
        raise SnnlearnError(
            f"{what} needs {size / 1e9:.3g} GB of memory, and this machine has {memory() / 1e9:.3g}; {advice}"
        )
