"""A device that another process serves over a socket."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import socket
import sys
import threading
import time
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive, split, trained_part
from snnlearn.circuits.device import AbstractDevice, Measured
from snnlearn.circuits.frames import Damaged, Frame, Kind, receive, send
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.kernels.products import numbers
from snnlearn.network import Network
from snnlearn.rules.base import steps_of


@final
class RemoteDevice(AbstractDevice):
    """A device served by another process at a TCP address, such as one beside the hardware; see `serve`.

    The network's trained arrays are sent when they have changed, and numbers come back; the protocol is that of
    `snnlearn.circuits.frames`, in which nothing can be executed. It is neither encrypted nor authenticated: serve it on
    this machine (the default), or through a tunnel. Works under `jit`, one call at a time; mapped by `vmap`, one after
    the other.

    A request whose answer is lost or late is sent again by the same number, which the device has done at most once;
    answers to earlier numbers, and repeated ones, are passed over; after a damaged answer, or one that ends, the
    connection is made anew. A device that comes back without its program gets it again.

    Args:
        port: at which it is served.
        host: the machine.
        timeout: how long to wait for an answer, s, > 0.
        attempts: how often a request is sent, ≥ 1, before the training stops.
        pause: before a connection is made anew, s, > 0; doubled each time.
        reads: whether it reads membranes.

    Raises:
        SnnlearnError: for a number out of range.

    >>> RemoteDevice(port=4711).host
    '127.0.0.1'
    """

    port: int = eqx.field(static=True)
    host: str = eqx.field(static=True, default="127.0.0.1")
    timeout: float = eqx.field(static=True, default=60.0)
    attempts: int = eqx.field(static=True, default=5)
    pause: float = eqx.field(static=True, default=0.1)
    reads: bool = eqx.field(static=True, default=True)
    _link: Any = eqx.field(static=True, init=False, repr=False)

    def __post_init__(self):
        self._link = _Link((self.host, self.port), self.timeout, self.attempts, self.pause)

    def __check_init__(self):
        check_fields(self, "port", "host", "timeout", "attempts", "pause", "reads")
        check_positive(self, timeout=self.timeout, pause=self.pause)
        if not 1 <= self.port < 2**16:
            raise SnnlearnError(f"RemoteDevice: port is {self.port}; give a number from 1 to 65535")
        if self.attempts < 1:
            raise SnnlearnError(f"RemoteDevice: attempts is {self.attempts}; give at least 1")

    def run(
        self, network: Network, inputs: Float[Array, "B T ..."] | PackedSpikes | HeldValues, *, key: PRNGKeyArray
    ) -> Measured:
        """See the base; the key is not used, as a device has noise of its own.

        Raises:
            SnnlearnError: if the device does not answer, refuses, or measures other shapes than the network has; under
                `jit`, JAX raises its own error with the same sentence.
        """
        size, xs = (len(jax.tree.leaves(inputs)[0]), steps_of(inputs)), jax.vmap(numbers)(inputs)
        arrays = jax.tree.leaves(trained_part(network))
        outputs = tuple(jax.ShapeDtypeStruct((*size, *layer.shape), xs.dtype) for layer in network.layers)
        shapes = (*outputs, *(outputs if self.reads else ()))
        found = jax.pure_callback(
            lambda xs, *arrays: self._link.run(arrays, xs, shapes), shapes, xs, *arrays, vmap_method="sequential"
        )
        membranes = found[len(outputs) :] if self.reads else (None,) * len(outputs)
        return Measured(tuple(found[: len(outputs)]), tuple(membranes))

    def close(self) -> None:
        """Close the connection; the next run makes a new one."""
        self._link.close()


class _Link:
    """The connection: its socket, the number of the last request, and the program that the device holds."""

    def __init__(self, address: tuple[str, int], timeout: float, attempts: int, pause: float):
        self.address, self.timeout, self.attempts, self.pause = address, timeout, attempts, pause
        self.connection: socket.socket | None = None
        # From a random number, so that a process that begins again is not given the answers of the one before.
        self.number = secrets.randbits(48) << 8
        self.program: int | None = None
        self.lock = threading.Lock()

    def run(self, arrays: Any, xs: Any, shapes: Any) -> tuple[np.ndarray, ...]:
        """Program the device, if the arrays have changed, and run it."""
        arrays, xs = [np.asarray(a) for a in arrays], np.asarray(xs)
        program = np.asarray(_digest(arrays))
        with self.lock:
            for _ in range(self.attempts):
                if self.program != program:
                    self.ask(Kind.PROGRAM, [program, *arrays])
                    self.program = int(program)
                answer = self.ask(Kind.RUN, [program, xs])
                if answer.kind is Kind.DONE:
                    break
                self.program = None  # it has come back without
            else:
                raise SnnlearnError(f"{self.name}: it loses its program again and again; see what it does after one")
        found = answer.arrays
        if [a.shape for a in found] != [s.shape for s in shapes] and len(found) == 2 * len(shapes):
            found = found[: len(shapes)]  # membranes that nobody asks for
        if [a.shape for a in found] != [s.shape for s in shapes]:
            raise SnnlearnError(
                f"{self.name}: it measured arrays of shapes {[list(a.shape) for a in found]}; expected of each layer "
                f"outputs, and then membranes if it reads them, {[list(s.shape) for s in shapes]}"
            )
        if not all(np.isfinite(a).all() for a in found):
            raise SnnlearnError(f"{self.name}: it measured values that are not finite; see its converters")
        return tuple(np.asarray(a, s.dtype) for a, s in zip(found, shapes, strict=True))

    @property
    def name(self) -> str:
        return f"RemoteDevice: the device at {self.address[0]}:{self.address[1]}"

    def ask(self, kind: Kind, arrays: list[np.ndarray]) -> Frame:
        """The answer to a request, which is sent again by the same number until there is one."""
        self.number += 1
        why = ""
        for attempt in range(self.attempts):
            try:
                connection = self.connected()
                send(connection, kind, self.number, arrays)
                answer = self.answer(connection)
            except (OSError, Damaged) as error:
                why = "it was silent" if isinstance(error, TimeoutError) else str(error)
                if not isinstance(error, TimeoutError):
                    self.close()
                    time.sleep(self.pause * 2**attempt)
                continue
            if answer.kind is Kind.REFUSED:
                raise SnnlearnError(f"{self.name}: it refused to {kind.name.lower()}; see what it says there")
            return answer
        self.close()
        raise SnnlearnError(
            f"{self.name}: no answer in {self.attempts} attempts of {self.timeout:g} s ({why}); see whether it is "
            "served there, or give a longer timeout"
        )

    def answer(self, connection: socket.socket) -> Frame:
        """The answer to the last request; those to earlier ones, late or repeated, are passed over."""
        until = time.monotonic() + self.timeout
        while True:
            if (left := until - time.monotonic()) <= 0:
                raise TimeoutError
            connection.settimeout(left)
            frame = receive(connection)
            if frame.id == self.number:
                return frame

    def connected(self) -> socket.socket:
        if self.connection is None:
            self.connection = socket.create_connection(self.address, self.timeout)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.settimeout(self.timeout)
        return self.connection

    def close(self) -> None:
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.close()
        self.connection = None


def _digest(arrays: list[np.ndarray]) -> int:
    """A number that tells one program from another, also among those of other processes."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return int.from_bytes(digest.digest(), "little") >> 1


def serve(device: AbstractDevice, network: Network, listener: socket.socket, *, key: PRNGKeyArray) -> None:
    """Serve a device to one `RemoteDevice` at a time, in a process of its own, until the listener is shut down.

    Each request is done once: asked again by the same number, also over a new connection, it gets the same answer. What
    cannot be done is refused, and what is damaged ends the connection.

    Args:
        device: the device.
        network: the network that it takes, whose trained arrays are replaced by those that arrive.
        listener: a listening socket, such as `socket.create_server(("127.0.0.1", 4711))`.
        key: of the noise of simulated trials.
    """
    parameters, constants = split(network)
    expected = [leaf.shape for leaf in jax.tree.leaves(parameters)]
    run = eqx.filter_jit(device.run)
    held: tuple[int, Network] | None = None
    last = Frame(Kind.REFUSED, -1, ())

    def done(request: Frame) -> Frame:
        nonlocal held
        first, *arrays = request.arrays
        if request.kind is Kind.PROGRAM and [a.shape for a in arrays] == expected:
            leaves = [jnp.asarray(a, p.dtype) for a, p in zip(arrays, jax.tree.leaves(parameters), strict=True)]
            held = int(first), eqx.combine(jax.tree.unflatten(jax.tree.structure(parameters), leaves), constants)
            return Frame(Kind.DONE, request.id, ())
        if request.kind is Kind.RUN and held is not None and held[0] == int(first):
            found = run(
                held[1], jnp.asarray(arrays[0], jnp.result_type(float)), key=jax.random.fold_in(key, request.id % 2**32)
            )
            membranes = () if found.membranes[0] is None else found.membranes
            return Frame(Kind.DONE, request.id, tuple(np.asarray(a) for a in (*found.outputs, *membranes)))
        return Frame(Kind.NOT_PROGRAMMED if request.kind is Kind.RUN else Kind.REFUSED, request.id, ())

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError, Damaged):
            while True:
                request = receive(connection)
                if request.id != last.id:
                    try:
                        last = done(request)
                    except (SnnlearnError, TypeError, ValueError, IndexError) as error:
                        print(f"serve: refused: {error}", file=sys.stderr)  # who asks is told no more than that
                        last = Frame(Kind.REFUSED, request.id, ())
                send(connection, last.kind, last.id, last.arrays)
