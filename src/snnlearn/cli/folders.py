"""Folders that one process writes at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from snnlearn import __version__
from snnlearn._errors import SnnlearnError
from snnlearn._files import remove_leftovers, write_json
from snnlearn.cli import interrupts
from snnlearn.cli.config import read_json

LOCK = ".lock"
"""A file that is there while a folder is written. The kernel lets go of it when its process ends, however it ends."""


@dataclass(frozen=True)
class Kind:
    """A kind of folder that can be resumed: one of its files has digests of the others.

    Args:
        name: what it is.
        file: the file with the digests.
        format: version of what is in it.
        fixed: files that are written first and never change.
    """

    name: str
    file: str
    format: int
    fixed: tuple[str, ...] = ("config.toml",)

    def begin(self, folder: Path) -> None:
        """Mark the folder as one of this kind, once the fixed files exist."""
        digests = {name: _digest(folder / name) for name in self.fixed}
        identity = {"format": self.format, "snnlearn": __version__, "id": secrets.token_hex(8), "digests": digests}
        write_json(folder / self.file, identity)

    def check(self, folder: Path) -> None:
        """Refuse a folder of another kind, or one whose fixed files have changed.

        Raises:
            SnnlearnError: saying which.
        """
        if not folder.is_dir():
            raise SnnlearnError(f"{folder} is not a folder; give a {self.name}'s folder, such as runs/digits")
        try:
            identity = read_json(folder / self.file)
            found, version, digests = identity["format"], identity["snnlearn"], dict(identity.get("digests", {}))
        except (SnnlearnError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnnlearnError(
                f"{folder} is not a {self.name}'s folder: its {self.file} is missing or damaged"
            ) from error
        again = f"begin another with --config {folder / 'config.toml'}"
        if found != self.format:
            raise SnnlearnError(
                f"{folder} is of format {found}, written by snnlearn {version}; snnlearn {__version__} reads format "
                f"{self.format}: use that version, or {again}"
            )
        for name in self.fixed:
            if not (folder / name).is_file():
                raise SnnlearnError(f"{folder / name} is not a file; restore it")
            if digests.get(name) != _digest(folder / name):
                raise SnnlearnError(f"{folder / name} was changed after the {self.name} began; restore it, or {again}")

    def identity(self, folder: Path) -> str:
        """A value that identifies a folder."""
        return str(read_json(folder / self.file).get("id"))


RUN = Kind("run", "run.json", 2, ("config.toml", "seen.npz"))
SWEEP = Kind("sweep", "sweep.json", 2)
COMPARISON = Kind("comparison", "compare.json", 1)
SEARCH = Kind("search", "tune.json", 1)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder.

    Args:
        folder: the folder; if it is created here, it is removed again if nothing is written.

    Raises:
        SnnlearnError: if another process writes it, or it cannot be written.
    """
    with _made(folder), _held(folder):
        try:
            remove_leftovers(folder)
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path | None, name: str) -> Iterator[Path]:
    """A new folder, locked by this process.

    If the block raises before anything is written, the folder is removed. If it is left half-written, so that it cannot
    be resumed, the next process that asks for it can take it.

    Args:
        path: the requested folder, which must be empty or not exist; None creates a new one below `runs`.
        name: the base of a new folder's name.

    Raises:
        SnnlearnError: if the folder is in use or cannot be written.
    """
    with contextlib.ExitStack() as stack:
        path = _unused(stack, name) if path is None else stack.enter_context(_made(path))
        left_behind = stack.enter_context(_held(path))
        if set(os.listdir(path)) != {LOCK} and (not left_behind or _can_be_resumed(path)):
            (path / LOCK).unlink()
            how = f", or go on with --resume {path}" if _can_be_resumed(path) else ""
            raise SnnlearnError(f"--out: {path} exists already; give another folder{how}")
        remove_leftovers(path)
        try:
            yield path
        except BaseException:
            if set(os.listdir(path)) == {LOCK} or _can_be_resumed(path):
                (path / LOCK).unlink()
            raise
        (path / LOCK).unlink()


def _can_be_resumed(folder: Path) -> bool:
    return any((folder / kind.file).exists() for kind in (RUN, SWEEP, COMPARISON, SEARCH))


def _unused(stack: contextlib.ExitStack, name: str) -> Path:
    """Create a new folder below `runs`."""
    stem = Path(name).resolve().stem or "run"
    for number in itertools.count(1):
        with contextlib.suppress(FileExistsError):
            path = Path("runs", stem if number == 1 else f"{stem}-{number}")
            return stack.enter_context(_made(path, exist_ok=False))
    raise AssertionError


@contextlib.contextmanager
def _made(folder: Path, *, exist_ok: bool = True) -> Iterator[Path]:
    """Create the folder and its parents; those created and empty at the end are removed."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except OSError as error:
        if isinstance(error, FileExistsError) and not exist_ok:
            raise
        raise SnnlearnError(f"--out: {folder} cannot be written ({error.strerror}); give a folder that can") from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # the first that is not empty
            for one in made:
                one.rmdir()


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; the value is whether a killed process had left its file."""
    interrupts.raise_from_now_on()
    try:
        descriptor, left_behind = _take(folder)
    except BlockingIOError:
        raise SnnlearnError(f"{folder} is being written by another process; wait until it ends, or stop it") from None
    except OSError as error:
        raise SnnlearnError(f"{folder} cannot be written ({error.strerror}); give a folder that can") from error
    try:
        yield left_behind
    finally:
        os.close(descriptor)


def _take(folder: Path) -> tuple[int, bool]:
    lock = folder / LOCK
    while folder.is_dir():
        left_behind = lock.exists()
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # another has made or removed it in between
            descriptor = os.open(lock, os.O_RDWR | (0 if left_behind else os.O_CREAT | os.O_EXCL), 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), lock.stat()):
                    return descriptor, left_behind
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)
    raise NotADirectoryError(errno.ENOENT, "it is gone", str(folder))
