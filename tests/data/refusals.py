"""What every refusal of a file has in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import load


def refused(source, message: str, **options) -> None:
    """Assert that loading is refused in one sentence that matches."""
    with pytest.raises(SnnlearnError, match=message) as refusal:
        load(source, **options)
    said = str(refusal.value)
    assert "\n" not in said and len(said) < 500 and "Traceback" not in said, said


def spoil(path: Path, *, load_path: Path | None = None, times: int = 40, first: int = 0) -> int:
    """Load a file with bytes cut off or overwritten, many times; each is read or refused. How many are refused."""
    whole, rng, count = path.read_bytes(), np.random.default_rng(0), 0
    for number in range(times):
        content = bytearray(whole)
        if number % 2:
            del content[rng.integers(first, len(content)) :]
        else:
            for place in rng.integers(first, len(content), rng.integers(1, 6)):
                content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            load(path if load_path is None else load_path)
        except SnnlearnError as error:
            assert "\n" not in str(error), error
            count += 1
    path.write_bytes(whole)
    return count
