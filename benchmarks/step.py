"""Time one training step, or a forward pass, of snnlearn beside other libraries: `python benchmarks/step.py`."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from contest import Failure, Rules, add_arguments, contest, count, interpreters, machine, summary
from task import INFERENCE, TASKS, TRAINING

DIRECTIONS = dict.fromkeys(TASKS, TRAINING) | {"single": INFERENCE}


def compare(task: str, pythons: dict[str, Path], rules: Rules) -> dict[str, dict]:
    """All contenders on one task; each must come through."""
    workers, failures = contest(TASKS[task], (DIRECTIONS[task],), pythons, rules)
    for name, why in failures.items():
        raise Failure(f"{name} {why}")
    results = {}
    for worker in workers:
        result = summary(worker, DIRECTIONS[task], workers[0])
        rest = {key: worker.report[key] for key in ("versions", "densities", "idle_mb", "loss")}
        results[worker.name] = {**result, "training_mb": result.pop("memory_mb"), **rest}
    return results


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


def main() -> None:
    """Run every task and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=count, default=5, help="turns of each contender")
    parser.add_argument("--steps", type=count, default=5, help="steps in a turn, at least")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long a turn lasts, at least")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=["feedforward", "recurrent"])
    parser.add_argument("--out", type=Path, help="JSON file to write")
    add_arguments(parser)
    options = parser.parse_args()
    rules = Rules(threads=options.threads, rounds=options.rounds, steps=options.steps, seconds=options.seconds)
    pythons = interpreters(options)

    what = {
        name: f"{task}, {'training with Adam' if DIRECTIONS[name] == TRAINING else 'forward only'}"
        for name, task in TASKS.items()
        if name in options.tasks
    }
    document = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **machine(options.threads)}
    load_before, results = os.getloadavg(), {}
    for name, shape in what.items():
        print(f"\n{name}: {shape}, {options.threads} threads")
        results[name] = compare(name, pythons, rules)
        print(table(results[name], next(iter(pythons))), flush=True)
        if options.out:  # after every task, so that a run that is stopped leaves what it has
            options.out.parent.mkdir(parents=True, exist_ok=True)
            done = {task: what[task] for task in results}
            document |= {"load": [load_before, os.getloadavg()], "what": done, "tasks": results}
            options.out.write_text(json.dumps(document, indent=1) + "\n")
    if options.out:
        print(f"\nWritten to {options.out}")


if __name__ == "__main__":
    main()
