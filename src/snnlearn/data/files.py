"""Reading whole files; pipes, folders, other encodings and files too large for memory are refused."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory, memory


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file; gzipped content is unzipped, whatever the name.

    Args:
        path: The file.
        what: What it should be, with its article.

    Raises:
        SnnlearnError: It cannot be read, or is too large.
    """
    if path.exists() and not path.is_file():  # such as a pipe, whose end would be waited for
        raise SnnlearnError(f"{path} cannot be read (it is not a file); give {what}")
    try:
        check_memory(path.stat().st_size, str(path), "give a smaller file")
        content = path.read_bytes()
        return _unzipped(path, content) if content[:2] == b"\x1f\x8b" else content
    except OSError as error:
        raise SnnlearnError(f"{path} cannot be read ({error.strerror or error}); give {what}") from error


def _unzipped(path: Path, content: bytes) -> bytes:
    try:
        with gzip.open(path) as file:
            found = file.read(memory() // 2)
            if file.read(1):
                raise SnnlearnError(f"{path} is too large when unzipped; give a smaller file")
            return found
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SnnlearnError(f"{path} is a damaged gzip file ({error}); fetch it again") from error


def read_text(path: Path, what: str) -> str:
    """A text file, in UTF-8 or, with its mark, UTF-16.

    Raises:
        SnnlearnError: It cannot be read, or is of another encoding, or no text.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "words.csv")
    >>> _ = file.write_bytes(chr(0xFEFF).encode() + b"one,two")
    >>> read_text(file, "a table")
    'one,two'
    """
    content = read_bytes(path, what)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise SnnlearnError(
            f"{path} is not UTF-8 text (byte {error.start} is {content[error.start]:#04x}); save {what} in UTF-8"
        ) from error
    if "\0" in text:
        raise SnnlearnError(f"{path} contains zero bytes, so it is not text; give {what}")
    if not text.strip():
        raise SnnlearnError(f"{path} is empty; give {what}")
    return text


_IDX_NAME = re.compile(r"idx\d(-[a-z]+)?(\.gz)?$|\.idx(\.gz)?$")


def is_idx_name(name: str) -> bool:
    """Whether a file is IDX, by its name.

    >>> is_idx_name("train-images.idx3-ubyte.gz"), is_idx_name("index.csv")
    (True, False)
    """
    return _IDX_NAME.search(name) is not None
