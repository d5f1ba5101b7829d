"""Folders with a folder for each class, perhaps within folders for training, validation and test."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from snnlearn._errors import SnnlearnError

_PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


class Listing(NamedTuple):
    """The files of one part and their classes, in order.

    Args:
        paths: The files.
        labels: The folder of each; None if they are in no folder of a class.
    """

    paths: list[Path]
    labels: list[str] | None


def listing(root: Path, suffixes: tuple[str, ...], *, alone: bool = False) -> dict[str, Listing]:
    """The files of each part, only "train" if the folder has no parts.

    Args:
        root: The folder, or a file.
        suffixes: How the names of the files end, in lower case.
        alone: Whether files outside the folders of classes are accepted as well.

    Raises:
        SnnlearnError: There are no such files, or some are in no folder of a class.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("cat/1.png", "dog/2.png", "dog/words.txt"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     _ = (root / name).write_bytes(b"")
    >>> {part: files.labels for part, files in listing(root, (".png",)).items()}
    {'train': ['cat', 'dog']}
    """
    if root.is_file():
        return {"train": Listing([root], None)}
    if not root.is_dir():
        raise SnnlearnError(f"{root} is not a file or a folder; give one")
    parts = {part: own for part, names in _PARTS.items() if (own := _named(root, names)) is not None}
    if "train" in parts and not alone:
        return {part: _files(folder, suffixes, alone=alone) for part, folder in parts.items()}
    return {"train": _files(root, suffixes, alone=alone)}


def holds(root: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a folder has such a file, at most three folders deep."""
    if not root.is_dir():
        return False
    return any(_is_kind(path, suffixes) for depth in ("*", "*/*", "*/*/*") for path in root.glob(depth))


def _named(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in names), None)


def _files(root: Path, suffixes: tuple[str, ...], *, alone: bool) -> Listing:
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    found = {folder.name: sorted(path for path in folder.rglob("*") if _is_kind(path, suffixes)) for folder in folders}
    found = {name: paths for name, paths in found.items() if paths}
    loose = sorted(path for path in root.iterdir() if _is_kind(path, suffixes))
    if loose and found:
        raise SnnlearnError(
            f"{root} has {loose[0].name} beside folders of classes; move it into the folder of its class"
        )
    if loose and not alone:
        raise SnnlearnError(
            f"{root} has {len(loose)} files such as {loose[0].name} and no folder for each class; move each into the "
            "folder of its class"
        )
    if loose:
        return Listing(loose, None)
    if not found:
        raise SnnlearnError(f"{root} has no files that end in {', '.join(suffixes)}; give a folder for each class")
    paths = [path for own in found.values() for path in own]
    return Listing(paths, [name for name, own in found.items() for _ in own])


def _is_kind(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".") and path.is_file()
