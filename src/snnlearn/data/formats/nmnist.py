"""The .bin files of N-MNIST and N-Caltech101: five bytes for each event."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.files import read_bytes
from snnlearn.data.formats.cameras import Camera, Recording, pixels

_OVERFLOW_ROW, _OVERFLOW = 240, 1 << 13


def read_bin(path: Path) -> Recording:
    """Read one recording: of each 40 bits, big-endian, 8 of column, 8 of row, 1 of polarity, 23 of the time in µs.

    An event of row 240 is not an event: it marks another 2¹³ µs of the camera's clock, which are added to all later
    times.

    Source: Orchard, Jayawant, Cohen and Thakor 2015, doi:10.3389/fnins.2015.00437, and its `Read_Ndataset.m`.
    """
    content = read_bytes(path, "a .bin file of events")
    if len(content) % 5:
        raise SnnlearnError(
            f"{path} holds {len(content)} bytes, not 5 for each event; it is truncated, or not an N-MNIST file"
        )
    b = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, p, t = b[:, 0], b[:, 1], b[:, 2] >> 7, (b[:, 2] & 127) << 16 | b[:, 3] << 8 | b[:, 4]
    marks = y == _OVERFLOW_ROW
    t = t + _OVERFLOW * np.cumsum(marks)
    real = ~marks
    return pixels(t[real], x[real], y[real], p[real], str(path))


NMNIST = Camera(".bin", read_bin, unit=1e-6, sizes=((34, 34),))
