"""Time one training step, or a forward pass, of snnlearn beside other libraries: `python benchmarks/step.py`.

Every contender lives in a process of its own and is asked in turn for a few steps, over and over, so that a machine
that is slower for a while is so for all.
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
from datetime import UTC, datetime
from pathlib import Path

from task import TASKS

HERE = Path(__file__).resolve().parent
SUBJECT, FLOOR = "snnlearn", "matrix products"
MODULES = {
    SUBJECT: "snnlearn_step",
    "Spyx": "spyx_step",
    "SpikingJelly": "spikingjelly_step",
    "snnTorch": "snntorch_step",
    "Norse": "norse_step",
    FLOOR: "torch_step",
}


class Worker:
    """A contender in a process of its own, ready to train once constructed.

    Args:
        name: the contender.
        task: the name of the task.
        python: the interpreter of its environment.
        threads: processors it may use.

    Raises:
        RuntimeError: if the process ends.
    """

    def __init__(self, name: str, task: str, python: Path, threads: int):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")
        environment = os.environ | {
            "PYTHONPATH": str(HERE.parent / "src"),
            "JAX_PLATFORMS": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": str(threads),
        }
        self.process = subprocess.Popen(
            [str(python), str(HERE / "worker.py"), MODULES[name], task, str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        self.report = self._answer()
        self.rounds: list[list[tuple[float, float]]] = []

    def train(self, steps: int) -> None:
        """One turn: so many steps, each timed."""
        assert self.process.stdin is not None
        print(steps, file=self.process.stdin, flush=True)
        answer = self._answer()
        self.rounds.append(answer.pop("seconds"))
        self.report |= answer

    def close(self) -> None:
        """End the process."""
        self.process.communicate()
        self.errors.close()

    def _answer(self) -> dict:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} ended with: {self.errors.read().strip()[-2000:]}")
        return json.loads(line)


def compare(task: str, names: list[str], pythons: dict[str, Path], options: argparse.Namespace) -> dict[str, dict]:
    """All contenders on one task, round robin."""
    workers = []
    try:
        for name in names:
            print(f"  setting up {name:20}", end="\r", flush=True)
            workers.append(Worker(name, task, pythons[name], options.threads))
        for number in range(options.rounds):
            print(f"  round {number + 1} of {options.rounds:20}", end="\r", flush=True)
            for worker in workers:
                worker.train(options.steps)
        return {worker.name: summary(worker, workers[0]) for worker in workers}
    finally:
        for worker in workers:
            worker.close()


def summary(worker: Worker, subject: Worker) -> dict:
    """Times in ms, and how they compare with the subject's, round by round."""

    def ratio(which: int) -> list[float]:
        return [
            statistics.median(step[which] for step in own) / statistics.median(step[which] for step in others)
            for own, others in zip(worker.rounds, subject.rounds, strict=True)
        ]

    steps = [step for turn in worker.rounds for step in turn]
    clock = [1e3 * seconds for seconds, _ in steps]
    return {
        "median_ms": statistics.median(clock),
        "min_ms": min(clock),
        "max_ms": max(clock),
        "ratios": ratio(0),
        "ratio": statistics.median(ratio(0)),
        "processor_ms": 1e3 * statistics.median(seconds for _, seconds in steps),
        "processor_ratio": statistics.median(ratio(1)),
        "training_mb": worker.report["peak_mb"] - worker.report["idle_mb"],
        **worker.report,
    }


def table(results: dict[str, dict], subject: str) -> str:
    """The results, fastest first."""
    lines = [
        f"| contender | ms | min – max | × {subject} | processor ms | × {subject} | MB to train | peak MB | density |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, r in sorted(results.items(), key=lambda item: item[1]["median_ms"]):
        version = next(iter(r["versions"].values()))
        densities = ", ".join(f"{100 * d:.1f} %" for d in r["densities"]) or "–"
        lines.append(
            f"| {name} {version} | {r['median_ms']:.3g} | {r['min_ms']:.3g} – {r['max_ms']:.3g} "
            f"| {r['ratio']:.2f} ({min(r['ratios']):.2f} – {max(r['ratios']):.2f}) "
            f"| {r['processor_ms']:.3g} | {r['processor_ratio']:.2f} "
            f"| {r['training_mb']:.0f} | {r['peak_mb']:.0f} | {densities} |"
        )
    return "\n".join(lines)


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main() -> None:
    """Run every task and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender")
    parser.add_argument("--steps", type=int, default=5, help="training steps in a turn")
    parser.add_argument("--threads", type=int, default=2, help="processors that each contender may use")
    parser.add_argument("--only", nargs="+", choices=list(MODULES), default=list(MODULES), help="contenders")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=["feedforward", "recurrent"])
    parser.add_argument(
        "--peers-python",
        type=Path,
        default=HERE / ".venv-peers" / "bin" / "python",
        help="interpreter of the peers' environment; `make -C benchmarks peers` creates the default",
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()

    names = [name for name in MODULES if name in options.only]
    if not options.peers_python.exists() and names != [SUBJECT]:
        print(f"No peers: {options.peers_python} does not exist; 'make -C benchmarks peers' creates their environment.")
        names = [SUBJECT]
    peers_python: Path = options.peers_python
    pythons = dict.fromkeys(names, peers_python) | {SUBJECT: Path(sys.executable)}

    load_before, results = os.getloadavg(), {}
    for task, shape in TASKS.items():
        if task in options.tasks:
            print(f"\n{task}: {shape}, {options.threads} threads")
            results[task] = compare(task, names, pythons, options)
            print(table(results[task], names[0]))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "processor": processor(),
            "processors": os.cpu_count(),
            "threads": options.threads,
            "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
            "load": [load_before, os.getloadavg()],
            "what": {name: str(TASKS[name]) for name in results},
            "tasks": results,
        }
        options.out.write_text(json.dumps(document, indent=1) + "\n")
        print(f"\nWritten to {options.out}")


if __name__ == "__main__":
    main()
