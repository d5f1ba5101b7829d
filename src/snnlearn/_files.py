"""Files that are written completely or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snnlearn._errors import SnnlearnError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new file to write within the block; it replaces another when the block ends without an error.

    Readers, and crashes, see either the old or the new content. The name of the new file is unique, so two processes
    can write the same file. Missing folders are created.

    Args:
        path: the file to create or replace.

    Raises:
        SnnlearnError: if the file cannot be written; what was there before stays.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "numbers.txt") as new:
    ...     _ = new.write_text("1 2 3")
    >>> [file.name for file in folder.iterdir()]
    ['numbers.txt']
    """
    path = Path(os.path.realpath(path))  # a link stays one
    new = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        if path.exists() and not path.is_file():
            raise SnnlearnError(f"{path} is not a file, and cannot be replaced by one; give another path")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield new
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SnnlearnError(
            f"{path} cannot be written ({reason[:1].lower()}{reason[1:]}); free some space, or give another path"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file's content as a whole.

    Raises:
        SnnlearnError: if the file cannot be written; what was there before stays.
    """
    with replacing(path) as new:
        new.write_bytes(content)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Replace a file's content by JSON, as a whole.

    Raises:
        SnnlearnError: if the file cannot be written; what was there before stays.
    """
    write_atomically(path, json.dumps(content, indent=1).encode())


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of killed processes; no other process may be writing in the folder."""
    for file in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            file.unlink()
