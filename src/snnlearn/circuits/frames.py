"""Numbers on a wire: frames of arrays, each with its length and a checksum. Nothing in a frame is ever executed.

All numbers are little-endian. A frame is

    magic b"SNN1" · kind u8 · id u64 · length of the body u64 · CRC-32 u32 of all of these and the body · body

and the body is the number of arrays, u16, and for each its type, u8 (0 float64, 1 float32, 2 int64), its number of
axes, u8, the size of each axis, u64, and its numbers in C order.
"""

from __future__ import annotations

import math
import socket
import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from snnlearn._errors import SnnlearnError

MAGIC = b"SNN1"
HEADER = struct.Struct("<4sBQQ")
CHECKSUM = struct.Struct("<I")
DTYPES = tuple(map(np.dtype, ("<f8", "<f4", "<i8")))
LARGEST = 2**32
"""Of a body, bytes; a damaged length must not fill the memory."""


class Kind(IntEnum):
    """What a frame asks for, or answers."""

    PROGRAM = 1
    """A number of the program, `[]` int64, and the network's trained arrays. The answer is DONE, without arrays."""
    RUN = 2
    """The number of the program and the inputs `[B, T, *in_shape]`. The answer is DONE: of each layer the outputs, and
    then of each layer the membranes, if the device reads them, `[B, T, *shape]` each."""
    DONE = 3
    NOT_PROGRAMMED = 4
    """The device does not hold the program of this number; without arrays."""
    REFUSED = 5
    """The device cannot do this; without arrays."""


class Frame(NamedTuple):
    """One request or answer; an answer has the id of its request."""

    kind: Kind
    id: int
    arrays: tuple[np.ndarray, ...]


class Damaged(SnnlearnError):
    """What arrived is no frame, so that nothing that follows can be trusted either."""


def packed(frame: Frame) -> bytes:
    """A frame as bytes.

    >>> frame = Frame(Kind.RUN, 7, (np.arange(3.0),))
    >>> unpacked(packed(frame)).arrays[0].tolist()
    [0.0, 1.0, 2.0]
    """
    parts = [struct.pack("<H", len(frame.arrays))]
    for array in frame.arrays:
        array = np.asarray(array)
        kind = DTYPES[0] if array.dtype == np.float64 else DTYPES[1] if array.dtype == np.float32 else DTYPES[2]
        whole = np.ascontiguousarray(array, kind)
        parts += [struct.pack(f"<BB{array.ndim}Q", DTYPES.index(kind), array.ndim, *array.shape), whole.tobytes()]
    body = b"".join(parts)
    header = HEADER.pack(MAGIC, frame.kind, frame.id, len(body))
    return header + CHECKSUM.pack(zlib.crc32(body, zlib.crc32(header))) + body


def unpacked(data: bytes) -> Frame:
    """The frame that bytes are.

    Raises:
        Damaged: if they are none.
    """
    start = HEADER.size + CHECKSUM.size
    size = body_size(data[:start])
    if len(data) != start + size:
        raise Damaged(f"frame: {len(data)} bytes, where its length is {start + size}")
    _, kind, number, _ = HEADER.unpack_from(data)
    (sum_,) = CHECKSUM.unpack_from(data, HEADER.size)
    if zlib.crc32(data[start:], zlib.crc32(data[: HEADER.size])) != sum_:
        raise Damaged("frame: the checksum is wrong")
    try:
        return Frame(Kind(kind), number, _arrays(data[start:]))
    except (struct.error, ValueError, IndexError) as error:
        raise Damaged(f"frame: {error}") from None


def body_size(head: bytes) -> int:
    """The size of the body that follows a header and checksum.

    Raises:
        Damaged: if they are none, or the body is larger than any.
    """
    magic, _, _, size = HEADER.unpack_from(head)
    if magic != MAGIC or size > LARGEST:
        raise Damaged(f"frame: it starts with {magic!r} and has {size} bytes")
    return size


def _arrays(body: bytes) -> tuple[np.ndarray, ...]:
    (count,), at = struct.unpack_from("<H", body), 2
    arrays = []
    for _ in range(count):
        kind, axes = struct.unpack_from("<BB", body, at)
        shape = struct.unpack_from(f"<{axes}Q", body, at + 2)
        at += 2 + 8 * axes
        dtype, size = DTYPES[kind], math.prod(shape)
        if at + size * dtype.itemsize > len(body):
            raise ValueError(f"an array of shape {list(shape)} is longer than the frame")
        arrays.append(np.frombuffer(body, dtype, size, at).reshape(shape))
        at += size * dtype.itemsize
    if at != len(body):
        raise ValueError("there are bytes after the last array")
    return tuple(arrays)


def receive(connection: socket.socket) -> Frame:
    """The next frame.

    Raises:
        Damaged: if what arrives is none.
        OSError: if the connection ends or times out; `ConnectionError` where it was closed.
    """
    head = _exactly(connection, HEADER.size + CHECKSUM.size)
    return unpacked(head + _exactly(connection, body_size(head)))


def send(connection: socket.socket, kind: Kind, number: int, arrays: Sequence[np.ndarray] = ()) -> None:
    """Send a frame."""
    connection.sendall(packed(Frame(kind, number, tuple(arrays))))


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(min(size - len(data), 1 << 20))
        if not part:
            raise ConnectionError("the connection was closed")
        data += part
    return bytes(data)
