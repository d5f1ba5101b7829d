"""Contenders take turns: each lives in a process of its own and is asked for a few steps, over and over.

So a machine that is slower for a while is so for all.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from task import Task

HERE = Path(__file__).resolve().parent
SUBJECT, PLAIN, FLOOR = "snnlearn", "plain JAX", "matrix products"
MODULES = {
    SUBJECT: "snnlearn_step",
    PLAIN: "snnlearn_step",  # with its kernels switched off; only if asked for
    "Spyx": "spyx_step",
    "SpikingJelly": "spikingjelly_step",
    "snnTorch": "snntorch_step",
    "Norse": "norse_step",
    "Sinabs": "sinabs_step",
    FLOOR: "torch_step",
}


class Failure(RuntimeError):
    """A contender's process ended, or was ended because it took too long."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What each contender may do.

    Args:
        threads: processors.
        rounds: turns.
        steps: the least number of steps in a turn.
        seconds: the least time of a turn.
        limit: seconds of everything together, setting up included.
    """

    threads: int
    rounds: int
    steps: int
    seconds: float = 0.0
    limit: float = 3600.0


class Worker:
    """A contender in a process of its own, ready once constructed.

    Args:
        name: the contender.
        task: what it trains on.
        directions: what it is going to be asked for, training or inference.
        python: the interpreter of its environment.
        rules: what it may do.

    Raises:
        Failure: if the process ends or takes too long, here and in a turn.
    """

    def __init__(self, name: str, task: Task, directions: tuple[str, ...], python: Path, rules: Rules):
        self.name, self.rules, self.left = name, rules, rules.limit
        self.turns: dict[str, list[list[tuple[float, float]]]] = {direction: [] for direction in directions}
        self.errors = tempfile.TemporaryFile("w+")
        environment = os.environ | {
            "PYTHONPATH": str(HERE.parent / "src"),
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": str(rules.threads),
        }
        if name == PLAIN:
            environment["SNNLEARN_KERNELS"] = "plain"
        arguments = [MODULES[name], str(rules.threads), json.dumps(task.to_json()), *directions]
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        try:
            self.report = self._answer()
        except BaseException:
            self.close()
            raise

    def take_turn(self, direction: str) -> None:
        """As many steps as the rules say, each timed."""
        assert self.process.stdin is not None
        request = {"direction": direction, "steps": self.rules.steps, "seconds": self.rules.seconds}
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass  # it ended since its last answer; why is said where the next one is missed
        answer = self._answer()
        self.turns[direction].append(answer.pop("seconds"))
        self.report |= answer

    def close(self) -> None:
        """End the process."""
        try:
            self.process.communicate(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.errors.close()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        start = time.monotonic()
        timer = threading.Timer(max(self.left, 0.0), self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        self.left -= time.monotonic() - start
        if not line:
            raise Failure(self._why())
        return json.loads(line)

    def _why(self) -> str:
        code = self.process.wait()
        if self.left <= 0:
            return f"took longer than {self.rules.limit:g} s"
        if code < 0:
            return f"was ended by the system (signal {-code}), most likely for want of memory"
        self.errors.seek(0)
        return f"ended with: {self.errors.read().strip()[-2000:]}"


def contest(
    task: Task, directions: tuple[str, ...], pythons: dict[str, Path], rules: Rules
) -> tuple[list[Worker], dict[str, str]]:
    """All contenders on one task, round robin.

    Args:
        task: what they train on.
        directions: training, inference or both.
        pythons: of each contender the interpreter of its environment.
        rules: what each may do.

    Returns:
        Those that came through, closed, with their times; and of the others what happened.
    """
    workers: list[Worker] = []
    failures: dict[str, str] = {}
    try:
        for name, python in pythons.items():
            _say(f"setting up {name}")
            try:
                workers.append(Worker(name, task, directions, python, rules))
            except Failure as failure:
                failures[name] = str(failure)
        for number in range(rules.rounds):
            _say(f"round {number + 1} of {rules.rounds}")
            for direction in directions:
                for worker in [worker for worker in workers if worker.name not in failures]:
                    try:
                        worker.take_turn(direction)
                    except Failure as failure:
                        failures[worker.name] = str(failure)
    finally:
        for worker in workers:
            worker.close()
        _say("")
    return [worker for worker in workers if worker.name not in failures], failures


def _say(what: str) -> None:
    if sys.stdout.isatty():
        print(f"  {what:40}", end="\r", flush=True)


def summary(worker: Worker, direction: str, subject: Worker | None) -> dict:
    """Times in ms, how they compare with the subject's, round by round, and memory in MB."""

    def medians(of: Worker, which: int) -> list[float]:
        return [statistics.median(step[which] for step in turn) for turn in of.turns[direction]]

    ratios = {}
    if subject is not None:
        clock_ratios, processor_ratios = (
            [own / other for own, other in zip(medians(worker, which), medians(subject, which), strict=True)]
            for which in (0, 1)
        )
        ratios = {
            "ratios": clock_ratios,
            "ratio": statistics.median(clock_ratios),
            "processor_ratio": statistics.median(processor_ratios),
        }

    steps = [step for turn in worker.turns[direction] for step in turn]
    clock = [1e3 * seconds for seconds, _ in steps]
    warm = worker.report[direction]
    return {
        "median_ms": statistics.median(clock),
        "min_ms": min(clock),
        "max_ms": max(clock),
        "steps": len(clock),
        "processor_ms": 1e3 * statistics.median(seconds for _, seconds in steps),
        **ratios,
        "memory_mb": warm["peak_mb"] - worker.report["idle_mb"],
        **warm,
    }


def machine(threads: int) -> dict:
    """What the measurements are of."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "processors": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def count(text: str) -> int:
    """A whole number from 1, of the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every contest."""
    parser.add_argument("--threads", type=count, default=2, help="processors that each contender may use")
    usual = [name for name in MODULES if name != PLAIN]
    parser.add_argument("--only", nargs="+", choices=list(MODULES), default=usual, help="contenders")
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=HERE / ".venv-peers" / "bin" / "python",
        help="interpreter of the peers' environment; `make -C benchmarks peers` creates the default",
    )


def interpreters(options: argparse.Namespace) -> dict[str, Path]:
    """Of each contender asked for that can run its interpreter; snnlearn's is this one."""
    names = [name for name in MODULES if name in options.only]
    peers: Path = options.peers_python
    own = (SUBJECT, PLAIN)
    if not peers.exists() and not set(names) <= set(own):
        print(f"No peers: {peers} does not exist; 'make -C benchmarks peers' creates their environment.")
        names = [name for name in names if name in own]
    return {name: Path(sys.executable) if name in own else peers for name in names}
