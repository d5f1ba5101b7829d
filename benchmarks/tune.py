"""Tuning by search: what it gains on digits, and that kills change nothing. `python benchmarks/tune.py`.

The gain: a search of `--trials` trials, the choice by validation data, one comparison with the given configuration on
test data. The kills: a small search is killed by SIGKILL again and again, at random moments, and resumed; no trial that
was finished may be lost, and trials and choice have to be those of a search that was not killed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from snnlearn.report.measure import environment

HERE = Path(__file__).parent
CODE = "import sys; from snnlearn.cli import main; sys.exit(main(sys.argv[1:]))"
GAINS = {
    "default_ranges": "--data digits --split-seed 3 --validation 0.2 --layers 64 --epochs 5".split(),
    "with_batch_size": "--data digits --split-seed 4 --validation 0.2 --epochs 5 --vary learning-rate=log:0.01..1 "
    "tau-mem=log:2e-3..100e-3 tau-out=log:2e-3..100e-3 xi=log:0.5..4 batch-size=8,16,32,64".split(),
}
"""Searches around the defaults for five epochs, each on a test sample of its own."""
KILLED = (
    "--data digits --layers 16 --epochs 3 --seeds 2 --confirm-seeds 2 --vary learning-rate=log:0.01..1 "
    "tau-mem=2e-3..50e-3 xi=log:0.5..4"
).split()


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start the program."""
    command = [sys.executable, "-c", CODE, "tune", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end.

    Raises:
        RuntimeError: if it is no good one.
    """
    _, errors = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the search ended with {process.returncode}: {errors.decode()[-2000:]}")


def finished(folder: Path) -> list[tuple]:
    """The trials in the file: number, state and value of each."""
    file = folder / "trials.sqlite"
    if not file.exists():
        return []
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30) as connection:
        query = "select number, state, value from trials left join trial_values using (trial_id) order by number"
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:  # it is being made
            return []


def summary(folder: Path) -> dict:
    """The result of a search, without times."""
    found = json.loads((folder / "summary.json").read_text())
    for trial in found["trials"]:
        trial.pop("seconds", None)
    return found


def kills(folder: Path, trials: int, count: int) -> dict:
    """Kill and resume a search, and compare it with an unbroken one."""
    options = [*KILLED, "--trials", str(trials)]
    finish(start(*options, "--out", folder / "unbroken"))
    run, moments, lost = folder / "run", [], 0
    for number in range(count):
        before = finished(run)
        # A few trials are finished by each process, so that there are some left for the last.
        share = (number + 1) * (trials - 2) // count
        process = start(*(["--resume", run] if (run / "tune.json").exists() else [*options, "--out", run]))
        while len(finished(run)) < share and process.poll() is None:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.4))
        if process.poll() is not None:
            raise RuntimeError(f"the search ended before its kill: {process.communicate()[1].decode()}")
        process.kill()
        process.communicate()
        after = finished(run)
        lost += after[: len(before)] != before
        moments.append(len(after))
        print(f"killed {number + 1} of {count}, {len(after)} trials finished", flush=True)
    finish(start("--resume", run))
    same = {
        "trials": summary(run)["trials"] == summary(folder / "unbroken")["trials"],
        "choice": (run / "chosen.toml").read_bytes() == (folder / "unbroken" / "chosen.toml").read_bytes(),
        "confirmation": summary(run)["confirmation"] == summary(folder / "unbroken")["confirmation"],
    }
    return {"search": " ".join(options), "kills": count, "finished_at_kills": moments, "lost": lost, "same": same}


def gain(folder: Path, name: str, trials: int) -> dict:
    """Search, and what the comparison on test data says."""
    options = [*GAINS[name], "--trials", str(trials)]
    finish(start(*options, "--out", folder / "gain"))
    found = summary(folder / "gain")
    outcomes = [trial["outcome"] for trial in found["trials"]]
    return {
        "search": " ".join(options),
        "outcomes": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
        "validation_error_as_given": found["trials"][0]["values"],
        "chosen": found["chosen"],
        "importance": found["importance"],
        "confirmation": found["confirmation"],
    }


def main() -> int:
    """Run both, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--only", choices=("kills", *GAINS))
    parser.add_argument("--seed", type=int, default=0, help="random seed of the moments")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "tune.json")
    options = parser.parse_args()
    random.seed(options.seed)
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    about = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "versions": environment(),
    }
    measures = {"kills": lambda folder: kills(folder, 24, options.kills)}
    measures |= {name: lambda folder, name=name: gain(folder, name, options.trials) for name in GAINS}
    for name, measure in measures.items():
        if options.only not in (None, name):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder))
        when = datetime.now(UTC).isoformat(timespec="seconds")
        known[name] = {"when": when, **about, **found, "seconds": round(time.monotonic() - began)}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(known, indent=1) + "\n")
        print(name, json.dumps(found.get("same") or found.get("confirmation")))
    killed = known.get("kills")
    return int(killed is not None and (killed["lost"] > 0 or not all(killed["same"].values())))


if __name__ == "__main__":
    sys.exit(main())
