"""AEDAT files: version 2.0 of jAER, eight bytes for each event, and version 4 of DV, by the package aedat."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn.data.files import read_bytes
from snnlearn.data.formats.cameras import Camera, Recording, pixels

_WIDTH_OF_DVS128 = 128


def read_aedat(path: Path) -> Recording:
    """Read one recording: lines that start with #, then 32 bits of the address and 32 of the time, µs, big-endian.

    The address is that of a DVS128, or of a DAVIS where the header names one. Times count from the first event.

    Source: jAER, classes `DVS128.Extractor` and `DavisBaseCamera`; AEDAT 2.0 in inivation's file format reference.
    """
    content = read_bytes(path, "an .aedat file")
    if content[:1] != b"#":
        raise SnnlearnError(
            f"{path} starts with the bytes '{content[:4].hex(' ')}', not with #!AER-DAT; fetch it again"
        )
    version = content[:14].partition(b"DAT")[2][:1]
    if version == b"4":
        return read_aedat4(path)
    if version not in (b"1", b"2"):
        said = content[:20].split(b"\r")[0].decode("ascii", "replace")
        raise SnnlearnError(f"{path} says {said!r}; AEDAT 2.0 and 4 are read, so convert it to one of these")
    header, body = _header(content)
    size = 6 if version == b"1" else 8
    if len(body) % size:
        raise SnnlearnError(f"{path} holds {len(body)} bytes of events, not {size} for each; it is truncated")
    words = np.frombuffer(body, [("address", ">u2" if size == 6 else ">u4"), ("t", ">i4")])
    address, t = words["address"].astype(np.int64), words["t"].astype(np.int64)
    t = t + (np.cumsum(np.diff(t, prepend=t[:1]) < -(1 << 31)) << 32)  # the clock of 32 bits has passed its end
    if (np.diff(t) < 0).any():
        raise SnnlearnError(f"{path} has times that decrease; it is damaged, or its clock was reset: cut it there")
    if b"davis" in header.lower():
        real = (address >> 31 == 0) & (address >> 10 & 1 == 0)  # neither a frame's nor an outer event
        x, y, p = address >> 12 & 1023, address >> 22 & 511, address >> 11 & 1
    else:
        if address.size and address.max() >= 1 << 16:
            raise SnnlearnError(
                f"{path} has addresses outside a DVS128, and names no other camera; convert it to AEDAT 4"
            )
        real = address >> 15 == 0  # no outer event
        x, y, p = _WIDTH_OF_DVS128 - 1 - (address >> 1 & 127), address >> 8 & 127, 1 - (address & 1)
    t, x, y, p = (one[real] for one in (t, x, y, p))
    return pixels(t - t[0] if t.size else t, x, y, p, str(path))


def _header(content: bytes) -> tuple[bytes, bytes]:
    end = 0
    while content[end : end + 1] == b"#":
        line = content.find(b"\n", end)
        if line < 0:
            return content, b""
        end = line + 1
    return content[:end], content[end:]


def read_aedat4(path: Path) -> Recording:
    """Read one recording of version 4, times from its first event."""
    if not path.is_file():
        raise SnnlearnError(f"{path} is not a file; give an .aedat4 file")
    try:
        import aedat  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError as error:
        raise SnnlearnError(f"{path} needs the package aedat; install it by pip install 'snnlearn[aedat]'") from error
    found = []
    try:
        with _silent():
            for packet in aedat.Decoder(path):
                if "events" in packet:
                    found.append(packet["events"])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # its decoder, in Rust, panics where a size in the file is absurd
        reason = str(error).split("\n")[0][:120]
        raise SnnlearnError(f"{path} is damaged or not an AEDAT 4 file ({reason}); fetch it again") from error
    if not found:
        raise SnnlearnError(f"{path} has no events; expected a recording with some")
    events = np.concatenate(found)
    t = events["t"].astype(np.int64)
    on = events["on"] if "on" in (events.dtype.names or ()) else events["p"]
    return pixels(t - t.min(), events["x"], events["y"], on, str(path))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Suppress what the decoder prints about errors that are caught."""
    try:
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard error
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


AEDAT = Camera(".aedat", read_aedat, unit=1e-6, sizes=((128, 128), (180, 240), (260, 346)))
AEDAT4 = Camera(".aedat4", read_aedat4, unit=1e-6, sizes=((128, 128), (180, 240), (260, 346)))
