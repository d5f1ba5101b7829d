"""Kill a training again and again, go on with it, and compare its end, bit for bit, with that of an unbroken one.

`python benchmarks/kill_and_resume.py`. Each process is killed by SIGKILL at a random moment: some while they start,
most while they train, and every third while it writes a checkpoint, which they do after every epoch here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from snnlearn.report.measure import environment

CHILD = """
import sys
import snnlearn.cli.run_folder
from snnlearn.cli import main

snnlearn.cli.run_folder._SECONDS_BETWEEN_CHECKPOINTS = 0
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the program."""
    command = [sys.executable, "-c", CHILD, "train", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end.

    Raises:
        RuntimeError: if it is no good one.
    """
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the training ended with {process.returncode}: {errors.decode()[-2000:]}")


def kill(process: subprocess.Popen[bytes], run: Path, moment: str) -> dict:
    """Kill a process while it starts, while it trains, or while it writes a checkpoint.

    Returns:
        the moment, the epochs that were done, and whether a checkpoint was left half written.

    Raises:
        RuntimeError: if it ended first.
    """
    began, done = time.monotonic(), epochs(run)
    wait = random.uniform(0, 3) if moment == "start" else random.uniform(0, 0.7)
    written = run / ".checkpoint.npz.tmp"
    written.unlink(missing_ok=True)
    while moment != "start" and epochs(run) == done and process.poll() is None:
        time.sleep(0.01)
        began = time.monotonic()
    while process.poll() is None:
        if time.monotonic() - began > wait and (moment != "checkpoint" or written.exists()):
            process.kill()
            process.communicate()
            return {"moment": moment, "epochs": epochs(run), "half_written": written.exists()}
        time.sleep(0 if moment == "checkpoint" else 0.001)
    raise RuntimeError(f"the training ended before its kill; give more --epochs: {process.communicate()[1].decode()}")


def epochs(run: Path) -> int:
    """Lines of metrics so far."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def differences(run: Path, unbroken: Path) -> list[str]:
    """Names of the arrays of model and training, and of the metrics, that are not equal bit for bit."""
    found = []
    for name in ("model.npz", "checkpoint.npz"):
        with np.load(run / name) as one, np.load(unbroken / name) as other:
            keys = set(one) | set(other)
            found += [
                f"{name}: {key}"
                for key in keys
                if key not in one or key not in other or one[key].tobytes() != other[key].tobytes()
            ]
    curves = []
    for folder in (run, unbroken):
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        curves.append([{key: value for key, value in line.items() if key != "seconds"} for line in lines])
    return found if curves[0] == curves[1] else [*found, "metrics.jsonl"]


def main() -> int:
    """Run, compare, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the moments")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "kill_and_resume.json")
    options = parser.parse_args()
    random.seed(options.seed)

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        unbroken, run = Path(folder) / "unbroken", Path(folder) / "run"
        training = ["--data", options.data, "--layers", "64", "--seeds", "2", "--epochs", str(options.epochs)]
        finish(start(*training, "--out", unbroken))
        kills = []
        for number in range(options.kills):
            moment = ("train", "checkpoint", "start" if number % 2 else "train")[number % 3]
            process = start(*(["--resume", run] if number else [*training, "--out", run]))
            kills.append(kill(process, run, moment))
            print(f"killed {number + 1} of {options.kills}, {moment}, {kills[-1]['epochs']} epochs done", flush=True)
        finish(start("--resume", run))
        found = differences(run, unbroken)

    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "versions": environment(),
        "training": " ".join(training),
        "kills": len(kills),
        "kills_while_a_checkpoint_was_written": sum(kill["half_written"] for kill in kills),
        "moments": kills,
        "differences": found,
        "seconds": round(time.monotonic() - began),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    verdict = "the end is the same, bit for bit" if not found else f"the end differs in {', '.join(found)}"
    half = document["kills_while_a_checkpoint_was_written"]
    print(f"{len(kills)} kills, {half} of them while a checkpoint was written: {verdict}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
