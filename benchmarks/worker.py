"""One contender in a process of its own: `python worker.py MODULE TASK THREADS`, run by `step.py`.

It answers each number of training steps read from standard input with one line of JSON.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from contenders import Contender
from task import TASKS, Task


def resident_mb() -> float:
    """Memory of this process now."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def settle() -> float:
    """Give back what setting up has left, forget its peak, and return the memory that stays."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident_mb()


def peak_mb() -> float:
    """The most memory that this process had since it settled."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def calibrate(contender: Contender, task: Task, layers: int) -> None:
    """Scale each hidden layer's weights, first to last, by bisection, until it spikes as densely as asked for."""
    for layer in range(layers):
        low, high, gain = -5.0, 11.0, 0.0
        for _ in range(12):
            middle = (low + high) / 2
            contender.scale(layer, 2.0 ** (middle - gain))
            gain = middle
            if contender.densities()[layer] > task.hidden_density:
                high = middle
            else:
                low = middle


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one step: of the clock, and of all processors together."""
    clock, processors = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - clock, time.process_time() - processors


def main(module: str, task_name: str, threads: str) -> None:
    """Set up, then train when asked to."""
    # XLA takes as many threads as there are processors; PyTorch obeys OMP_NUM_THREADS.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])

    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values) -> None:
        print(json.dumps(values), file=answers, flush=True)

    contender_module = importlib.import_module(f"contenders.{module}")
    task = TASKS[task_name]
    contender = contender_module.build(task, *task.batch())
    step = contender.step if task.training else contender.infer
    idle = settle()
    layers = len(contender.densities())
    calibrate(contender, task, layers)
    densities = contender.densities()
    first, _ = timed(step)
    for _ in range(2):
        step()
    answer(
        versions={package: version(package) for package in contender_module.PACKAGES},
        densities=densities,
        first_step_s=first,
    )
    for line in sys.stdin:
        answer(
            seconds=[timed(step) for _ in range(int(line))],
            idle_mb=idle,
            peak_mb=peak_mb(),
            loss=contender.step() if task.training else None,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
