"""Output of the command line, for any terminal; nothing here needs JAX."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterator

# Below this, tables have columns of no width.
_LEAST_COLUMNS = 40


def prepare() -> None:
    """Adapt to terminals that are narrow, or cannot show every character."""
    if shutil.get_terminal_size().columns < _LEAST_COLUMNS:
        os.environ["COLUMNS"] = str(_LEAST_COLUMNS)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text, with characters escaped that would move the cursor, colour the terminal or hide other text.

    Args:
        text: What to print; names in it come from files.
        keep: Characters to leave as they are.

    >>> printable("\x1b[31mred\nfile")
    '\\x1b[31mred\\nfile'
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in keep
        else character
        for character in text
    )


@contextlib.contextmanager
def printable_errors() -> Iterator[None]:
    """Escape quotes of the command line in the parser's errors."""
    said = io.TextIOWrapper(io.BytesIO(), encoding=sys.stderr.encoding or "utf-8", errors="backslashreplace")
    try:
        with contextlib.redirect_stderr(said):
            yield
    finally:
        said.seek(0)
        sys.stderr.write("\n".join(map(_without_python, printable(said.read(), keep="\n").split("\n"))))


def _without_python(line: str) -> str:
    """A line of the parser's box with types by their names, as wide as it was."""
    words = re.sub(r"<class '(\w+)'>", lambda name: "none" if name[1] == "NoneType" else name[1], line)
    return words if words == line else words[:-1].ljust(len(line) - 1) + line[-1]


def end_output() -> None:
    """Discard the output buffer if it cannot be read or written."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def sentence(error: Exception) -> str:
    """One sentence for an error of the user or the machine."""
    if isinstance(error, OSError) and error.strerror:
        place = (
            printable(_short(os.fsdecode(error.filename))) if isinstance(error.filename, (str, bytes)) else "the output"
        )
        reason = error.strerror[0].lower() + error.strerror[1:]
        return f"{place} cannot be used ({reason}); free some space, or give another path"
    if isinstance(error, MemoryError):
        return "this needs more memory than the machine has; lower --batch-size, --num-steps, --seeds or --layers"
    return printable(re.sub(r"\S{300,}", lambda word: _short(word[0]), str(error)))


def _short(word: str) -> str:
    """A long word, shortened in the middle."""
    return word if len(word) < 300 else f"{word[:100]} … {word[-20:]}"
