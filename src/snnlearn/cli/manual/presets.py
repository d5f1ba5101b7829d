"""The presets that a person has kept: numbers of the knobs, in a file beside what was saved."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from pathlib import Path

from snnlearn._errors import SnnlearnError
from snnlearn._files import write_json
from snnlearn.cli.manual.knobs import Knobs

_MOST = 100
_MOST_BYTES = 1 << 22


class Presets:
    """Those of one network, in one file; several pages may keep some at once.

    Args:
        path: the file; it is made with the first preset.
        knobs: of the network; presets of another one in the same file stay in it, and are not shown.

    Raises:
        SnnlearnError: if there is a file that is none.
    """

    def __init__(self, path: Path, knobs: Knobs):
        self._path, self._knobs, self._lock = path, knobs, threading.Lock()
        self._read()

    def all(self) -> dict[str, dict[str, float]]:
        """The presets for this network, by name.

        Raises:
            SnnlearnError: if the file is damaged.
        """
        return {name: numbers for name, numbers in self._read().items() if self._fits(numbers)}

    def keep(self, numbers: Mapping[str, float]) -> str:
        """Add a preset.

        Args:
            numbers: of the knobs, checked.

        Returns:
            the name that it has got.

        Raises:
            SnnlearnError: if there are too many, or the file is damaged or cannot be written.
        """
        with self._lock:
            known = self._read()
            if len(known) >= _MOST:
                raise SnnlearnError(f"{self._path} has {len(known)} presets; remove some from the file")
            name = next(name for n in range(1, _MOST + 2) if (name := f"mine {n}") not in known)
            write_json(self._path, known | {name: dict(numbers)})
        return name

    def _read(self) -> dict[str, dict[str, float]]:
        try:
            with self._path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
            found = json.loads(content[:_MOST_BYTES])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise self._damaged() from error
        if not isinstance(found, dict) or not all(map(_are_numbers, found.values())):
            raise self._damaged()
        return found

    def _damaged(self) -> SnnlearnError:
        return SnnlearnError(f"{self._path} is damaged; restore it, or remove it, and the presets with it")

    def _fits(self, numbers: Mapping[str, float]) -> bool:
        try:
            self._knobs.checked(numbers)
        except SnnlearnError:
            return False
        return True


def _are_numbers(preset: object) -> bool:
    return isinstance(preset, dict) and all(
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        for number in preset.values()
    )
