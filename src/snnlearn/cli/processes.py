"""Processes that train together."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

import jax

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Devices

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
_LAUNCHERS = ("SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_SIZE")
# At the end the others wait for the first, which measures the risk.
_SECONDS_TO_WAIT = 24 * 3600
_SECONDS_TO_START = 120


def join() -> Devices:
    """All devices of all processes that the environment names, once they have started.

    Raises:
        SnnlearnError: if the environment names them in part.
    """
    given = [name for name in _VARIABLES if os.environ.get(name)]
    if given:
        if missing := [name for name in _VARIABLES if name not in given]:
            raise SnnlearnError(f"--distributed: {given[0]} is set, but not {' and '.join(missing)}; set all three")
        address, *numbers = (os.environ[name] for name in _VARIABLES)
        try:
            num_processes, process = map(int, numbers)
        except ValueError:
            num_processes, process = 0, 0
        if not 0 <= process < num_processes:
            raise SnnlearnError(
                f"--distributed: JAX_NUM_PROCESSES is {numbers[0]} and JAX_PROCESS_ID {numbers[1]}; give n ≥ 1 and a "
                "number from 0 to n - 1"
            )
        _check_address(address, process)
        _initialize(coordinator_address=address, num_processes=num_processes, process_id=process)
    elif any(name in os.environ for name in _LAUNCHERS):
        _initialize()
    return Devices.all()


def _check_address(address: str, process: int) -> None:
    """Have the first process listen at the address and the others reach it; JAX would end the program if they cannot.

    Raises:
        SnnlearnError: if they cannot.
    """
    host, _, port = address.rpartition(":")
    where = f"--distributed: JAX_COORDINATOR_ADDRESS is {address}"
    if not host or not (port.isdecimal() and 0 < int(port) < 2**16):
        raise SnnlearnError(f"{where}; give the first process's machine and a free port on it, such as machine:9911")
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            if process == 0:
                with socket.socket() as listener:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    listener.bind(("", int(port)))
            else:
                socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
            return
        except OSError as error:
            # The first process may be started later than others, but its port will not come free.
            if process == 0 or isinstance(error, socket.gaierror) or time.monotonic() > deadline:
                raise SnnlearnError(
                    f"{where}, which cannot be used ({(error.strerror or str(error)).lower()}); give the first "
                    "process's machine and a free port on it, and start that process"
                ) from error
            time.sleep(0.2)


def _initialize(**arguments: Any) -> None:
    try:
        jax.distributed.initialize(
            **arguments, initialization_timeout=_SECONDS_TO_START, shutdown_timeout_seconds=_SECONDS_TO_WAIT
        )
    except (RuntimeError, ValueError) as error:
        raise SnnlearnError(
            f"--distributed: not all processes connected within {_SECONDS_TO_START} s; start them all, with the same "
            "JAX_COORDINATOR_ADDRESS and JAX_NUM_PROCESSES"
        ) from error


def leads() -> bool:
    """Whether this is the process that writes and prints."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0
