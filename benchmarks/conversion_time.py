"""Time and memory of conversion, and of inference with the converted network, beside SpikingJelly, in turn.

    python benchmarks/conversion_time.py --folder benchmarks/results/conversion --peers-python PYTHON --out FILE

Needs the files that `conversion.py` leaves in the folder. Each contender lives in a process of its own and is asked for
one job after the other, over and over, so that a machine that is slower for a while is so for all. A job is a
conversion of the plain network by the first 1,024 training samples, or T = 32 steps of the converted network on the
whole test sample. SpikingJelly runs in single steps and, as "multi-step", with all steps of a layer at once. The first
of each job, which compiles, is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker import peak_mb, settle, timed

HERE = Path(__file__).resolve().parent
STEPS, CALIBRATING = 32, 1024
NETWORK = "plain"


def ours(folder: Path, test: int | None) -> dict[str, Callable[[], Any]]:
    """The jobs of snnlearn; those of inference use what was converted last."""
    import numpy as np

    import conversion as script
    import snnlearn as sl
    from snnlearn import conversion
    from snnlearn.hypothesis import scores

    artificial = sl.load(folder / f"{NETWORK} Rectifier.npz")[0]
    with np.load(folder / "task.npz") as file:
        train, images = (np.float32(file[part]) / 255 for part in ("train_x", "test_x"))
    made: list[Any] = [None]

    def convert(method: str) -> None:
        made[0] = conversion.convert_hypothesis(
            artificial, script.METHODS[method], train[:CALIBRATING], num_steps=STEPS
        )[0]

    return {
        "convert, percentile 99.9": lambda: convert("percentile 99.9"),
        "convert, calibration": lambda: convert("calibration"),
        "infer": lambda: scores(made[0], images[:test]),
    }


def theirs(folder: Path, test: int | None) -> dict[str, Callable[[], Any]]:
    """The jobs of SpikingJelly."""
    import torch
    from spikingjelly.activation_based import functional

    import conversion_spikingjelly as script

    task = script.samples(folder)
    artificial = script.network(NETWORK, folder / f"{NETWORK} Rectifier.npz")
    made: list[Any] = [None]

    def convert(recipe: str, x: torch.Tensor) -> None:
        made[0] = script.converted(artificial, recipe, x)

    @torch.no_grad()
    def infer(mode: str) -> list[torch.Tensor]:
        functional.set_step_mode(made[0], mode)
        found = []
        for x in task["test_x"][:test].split(script.BATCH):
            functional.reset_net(made[0])
            if mode == "m":
                found.append(made[0](x.expand(STEPS, *x.shape)).mean(0))
                continue
            total: Any = 0
            for _ in range(STEPS):
                total = total + made[0](x)
            found.append(total / STEPS)
        return found

    few = task["train_x"][:CALIBRATING]
    return {
        "convert, 99.9 %": lambda: convert("99.9 %", few),
        "convert, local threshold balancing": lambda: convert("local threshold balancing", few),
        "convert, 99.9 % of each channel": lambda: convert("99.9 % of each channel, half charged", few),
        "infer": lambda: infer("s"),
        "infer, multi-step": lambda: infer("m"),
    }


CONTENDERS = {"snnlearn": ours, "SpikingJelly": theirs}


def serve(name: str, folder: Path, threads: int, test: int | None) -> None:
    """Answer each job asked for by its seconds, of the clock and of all processors, and its memory."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    jobs = CONTENDERS[name](folder, test)
    print(json.dumps(list(jobs)), file=answers, flush=True)
    for line in sys.stdin:
        before = settle()
        clock, processors = timed(jobs[json.loads(line)])
        answer = {"seconds": clock, "processor_seconds": processors, "memory_mb": peak_mb() - before}
        print(json.dumps(answer), file=answers, flush=True)


class Server:
    """A contender's process."""

    def __init__(self, name: str, python: Path, options: argparse.Namespace):
        arguments = ["--serve", name, "--folder", str(options.folder), "--threads", str(options.threads)]
        arguments += ["--test", str(options.test)] if options.test else []
        quiet = {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(options.threads), "JAX_PLATFORMS": "cpu"}
        self.process = subprocess.Popen(
            [str(python), str(Path(__file__).resolve()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **quiet, "PYTHONPATH": str(HERE.parent / "src")},
        )
        self.jobs = self._answer()
        self.found: dict[str, list[dict[str, float]]] = {job: [] for job in self.jobs}

    def ask(self, job: str) -> None:
        """Have a job done."""
        assert self.process.stdin is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)
        self.found[job].append(self._answer())

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended")
        return json.loads(line)


def summary(found: list[dict[str, float]]) -> dict[str, Any]:
    """The first apart, and of the others least and median."""
    later = found[1:] or found
    seconds = [one["seconds"] for one in later]
    return {
        "first_s": found[0]["seconds"],
        "least_s": min(seconds),
        "median_s": statistics.median(seconds),
        "processor_s": statistics.median(one["processor_seconds"] for one in later),
        "memory_mb": statistics.median(one["memory_mb"] for one in later),
        "times": len(later),
    }


def main(options: argparse.Namespace) -> None:
    """All jobs in turn, and the table."""
    from contest import machine

    pythons = {"snnlearn": Path(sys.executable), "SpikingJelly": options.peers_python}
    servers = {name: Server(name, python, options) for name, python in pythons.items()}
    loads = [os.getloadavg()]
    for number in range(options.rounds + 1):
        for server in servers.values():
            for job in server.jobs:
                server.ask(job)
                print(number, job, server.found[job][-1], flush=True)
        loads.append(os.getloadavg())
        results = {
            name: {job: summary(found) for job, found in server.found.items()} for name, server in servers.items()
        }
        document = {
            **machine(options.threads),
            "load": loads,
            "steps": STEPS,
            "test": options.test or 10_000,
            **results,
        }
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    for server in servers.values():
        server.process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
        server.process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peers-python", type=Path, default=HERE / ".venv-peers" / "bin" / "python")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="after the first")
    parser.add_argument("--test", type=int, help="how many test samples; all if not given")
    parser.add_argument("--serve", choices=tuple(CONTENDERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.folder, options.threads, options.test)
    else:
        main(options)
