"""Processes that train together."""

from __future__ import annotations

import os

import jax

from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Devices

_VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
_LAUNCHERS = ("SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_SIZE")
# At the end the others wait for the first, which measures the risk.
_SECONDS_TO_WAIT = 24 * 3600


def join() -> Devices:
    """All devices of all processes that the environment names, once they are there.

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
        jax.distributed.initialize(address, num_processes, process, shutdown_timeout_seconds=_SECONDS_TO_WAIT)
    elif any(name in os.environ for name in _LAUNCHERS):
        jax.distributed.initialize(shutdown_timeout_seconds=_SECONDS_TO_WAIT)
    return Devices.all()


def leads() -> bool:
    """Whether this is the process that writes and prints."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0
