"""A device in a process of its own: the protocol and the network written anew, without the library, and with faults.

    python device_process.py PORT FAULT,FAULT,…

The network is 5 → LIF → leaky integrator, in double precision. Each run that is really done is a line on the output.
A fault is what happens to the answer of the run of this number: `lost`, `late`, `twice`, `damaged`, `long` (a wrong
length), `dead` (the process ends before it) or `well`.
"""

import os
import socket
import struct
import sys
import time
import zlib

import numpy as np

TYPES = [np.dtype("<f8"), np.dtype("<f4"), np.dtype("<i8")]


def read(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def request(connection):
    head = read(connection, 21)
    magic, kind, number, size = struct.unpack("<4sBQQ", head)
    (checksum,) = struct.unpack("<I", read(connection, 4))
    body = read(connection, size)
    assert magic == b"SNN1" and checksum == zlib.crc32(head + body)
    (count,) = struct.unpack_from("<H", body)
    at, arrays = 2, []
    for _ in range(count):
        dtype, axes = body[at], body[at + 1]
        shape = struct.unpack_from(f"<{axes}Q", body, at + 2)
        at += 2 + 8 * axes
        arrays.append(np.frombuffer(body, TYPES[dtype], int(np.prod(shape)), at).reshape(shape))
        at += arrays[-1].nbytes
    return kind, number, arrays


def answer(kind, number, arrays=()):
    body = struct.pack("<H", len(arrays))
    for array in arrays:
        body += struct.pack(f"<BB{array.ndim}Q", 0, array.ndim, *array.shape) + array.astype("<f8").tobytes()
    head = struct.pack("<4sBQQ", b"SNN1", kind, number, len(body))
    return head + struct.pack("<I", zlib.crc32(head + body)) + body


def run(weights, xs):
    """τ v' = i − v in steps of 1 ms with τ = 20 ms, spikes above 1, which subtract 1."""
    decay = np.exp(-1 / 20)
    v, u = np.zeros((len(xs), len(weights[0]))), np.zeros((len(xs), len(weights[1])))
    found = [[], [], [], []]
    for t in range(xs.shape[1]):
        v = decay * v + (1 - decay) * (xs[:, t] @ weights[0].T)
        z = (v > 1).astype(float)
        v = v - z
        u = decay * u + (1 - decay) * (z @ weights[1].T)
        for each, value in zip(found, (z, u, v, u), strict=True):
            each.append(value)
    return [np.stack(each, axis=1) for each in found]


def main():
    faults = sys.argv[2].split(",")
    program, weights, last, runs = None, None, (0, b""), 0
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        try:
            while True:
                kind, number, arrays = request(connection)
                fault = "well"
                if number == last[0]:
                    pass
                elif kind == 1:
                    program, weights = int(arrays[0]), arrays[1:]
                    last = number, answer(3, number)
                elif int(arrays[0]) != program:
                    last = number, answer(4, number)
                else:
                    fault, runs = faults[runs] if runs < len(faults) else "well", runs + 1
                    if fault == "dead":
                        os._exit(0)
                    print("run", flush=True)
                    last = number, answer(3, number, run(weights, arrays[1]))
                data = last[1]
                if fault == "lost":
                    continue
                if fault == "late":
                    time.sleep(0.6)
                if fault == "damaged":
                    data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
                if fault == "long":
                    data = data[:13] + struct.pack("<Q", 2**60) + data[21:]
                connection.sendall(data * (2 if fault == "twice" else 1))
        except (EOFError, OSError):
            connection.close()


if __name__ == "__main__":
    main()
