"""One contender in a process of its own, run by `contest.py`: `python worker.py MODULE THREADS TASK DIRECTION...`.

The task is JSON. Set up, it answers with one line of JSON; after that it answers each line
`{"direction": …, "steps": …, "seconds": …}` on standard input with the times of as many steps, and more if they took
less than so many seconds.
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
from task import INFERENCE, TRAINING, Task

CLOSE_ENOUGH = 0.02
"""A density may differ from that asked for by this share of it."""


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
            excess = contender.densities()[layer] / task.hidden_density - 1
            if abs(excess) < CLOSE_ENOUGH:
                break
            if excess > 0:
                high = middle
            else:
                low = middle


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one step: of the clock, and of all processors together."""
    clock, processors = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - clock, time.process_time() - processors


def warm_up(steps: dict[str, Callable[[], object]]) -> dict[str, dict[str, float]]:
    """Of each direction the time of the first step, which compiles, and the most memory of the process in the third."""
    warm = {}
    for direction, step in steps.items():
        first, _ = timed(step)
        step()
        settle()
        step()
        warm[direction] = {"first_step_s": first, "peak_mb": peak_mb()}
    # After training a library may compile its forward pass anew, once.
    for step in steps.values():
        step()
    return warm


def turn(step: Callable[[], object], steps: int, seconds: float) -> list[tuple[float, float]]:
    """Times of so many steps, and of more while they took less than so many seconds."""
    times = []
    while len(times) < steps or sum(clock for clock, _ in times) < seconds:
        times.append(timed(step))
    return times


def main(module: str, threads: str, task_json: str, *directions: str) -> None:
    """Set up, then train or infer when asked to."""
    # XLA takes as many threads as there are processors; PyTorch obeys OMP_NUM_THREADS.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    # Where memory runs out, the system is to end this process and not the one that asked for it.
    Path("/proc/self/oom_score_adj").write_text("1000")

    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values) -> None:
        print(json.dumps(values), file=answers, flush=True)

    contender_module = importlib.import_module(f"contenders.{module}")
    task = Task.from_json(json.loads(task_json))
    contender = contender_module.build(task, *task.batch())
    idle = settle()
    layers = len(contender.densities())
    calibrate(contender, task, layers)
    densities = contender.densities()
    losses = [None]
    steps = {INFERENCE: contender.infer, TRAINING: lambda: losses.append(contender.step())}
    answer(
        versions={package: version(package) for package in contender_module.PACKAGES},
        densities=densities,
        idle_mb=idle,
        **warm_up({direction: steps[direction] for direction in directions}),
    )
    for line in sys.stdin:
        request = json.loads(line)
        answer(
            seconds=turn(steps[request["direction"]], request["steps"], request["seconds"]),
            loss=losses[-1],
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
