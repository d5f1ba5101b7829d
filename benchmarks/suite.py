"""Time and memory against width, density, time steps and batch, beside other libraries: `python benchmarks/suite.py`.

From one base task each of the four is varied by itself; training and inference are both measured. The results go into
`results/suite.json` after every task, so that a run that was stopped goes on where it was; at the end `page.py` draws
them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import page
from contest import HERE, SUBJECT, Rules, add_arguments, contest, count, interpreters, machine, summary
from task import INFERENCE, SWEEPS, TRAINING, Task

RESULTS = HERE / "results" / "suite.json"


def tasks(axes: Sequence[str]) -> list[Task]:
    """Every task once, as the axes cross in the base."""
    return list(dict.fromkeys(task for axis in axes for task in SWEEPS[axis].values()))


def measure(task: Task, pythons: dict[str, Path], rules: Rules) -> dict:
    """One task: what is kept of each contender."""
    load = os.getloadavg()
    workers, failures = contest(task, (INFERENCE, TRAINING), pythons, rules)
    subject = next((worker for worker in workers if worker.name == SUBJECT), None)
    contenders: dict[str, dict] = {name: {"failed": why.splitlines()[-1]} for name, why in failures.items()}
    for worker in workers:
        contenders[worker.name] = {
            "versions": worker.report["versions"],
            "densities": worker.report["densities"],
            "idle_mb": worker.report["idle_mb"],
            **{direction: summary(worker, direction, subject) for direction in worker.turns},
        }
    return {
        "task": task.to_json(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": [load, os.getloadavg()],
        "contenders": {name: contenders[name] for name in pythons},
    }


def write(document: dict, path: Path) -> None:
    """All at once, so that a run that is stopped leaves the file as it was before or after."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def begun(path: Path, conditions: dict) -> dict:
    """What an earlier run under the same conditions has written, or else a document without results."""
    if not path.exists():
        return {**conditions, "points": []}
    document = json.loads(path.read_text(encoding="utf-8"))
    differing = [key for key, value in conditions.items() if document.get(key) != value]
    if differing:
        raise SystemExit(f"{path} was measured with other {', '.join(differing)}: --fresh starts anew.")
    return document


def main() -> None:
    """Measure what is not measured yet, and draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", choices=list(SWEEPS), default=list(SWEEPS))
    parser.add_argument("--rounds", type=count, default=3, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, at least; a step is the least")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a contender may take for a task")
    parser.add_argument("--fresh", action="store_true", help="measure again what is measured already")
    parser.add_argument("--out", type=Path, default=RESULTS, help="JSON file to write")
    parser.add_argument("--docs", type=Path, default=page.DOCS, help="where the page goes")
    add_arguments(parser)
    options = parser.parse_args()
    rules = Rules(threads=options.threads, rounds=options.rounds, steps=1, seconds=options.seconds, limit=options.limit)
    pythons = interpreters(options)

    if options.fresh:
        options.out.unlink(missing_ok=True)
    document = begun(options.out, {**machine(options.threads), "rules": asdict(rules), "contenders": list(pythons)})
    done = [Task.from_json(point["task"]) for point in document["points"]]
    ahead = [task for task in tasks(options.axes) if task not in done]
    for number, task in enumerate(ahead, 1):
        start = time.monotonic()
        print(f"{number} of {len(ahead)}: {task}", flush=True)
        point = measure(task, pythons, rules)
        document["points"].append(point)
        write(document, options.out)
        for name, result in point["contenders"].items():
            if "failed" in result:
                print(f"  {name} {result['failed']}")
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    print(f"Written to {options.out} and {page.write(options.out, options.docs)}")


if __name__ == "__main__":
    main()
