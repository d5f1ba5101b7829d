"""What the kernels save in default runs: `python benchmarks/default_path.py`, twenty minutes on two idle cores.

Each case is what `snnlearn train --data NAME` makes of its options: the network, the code, the batch. Timed are an
epoch, as milliseconds for each gradient (validation is a part of it), the gradient of one batch by itself, and
`predict` of one sample. The kernels and plain JAX have a process each, and are asked in turn. Then the whole commands,
in turn, too. With `--before FOLDER`, the `src` of another checkout, that stands in the place of plain JAX. Writes
`benchmarks/results/default_path.json`: the least of all times, and their median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from contest import machine
from defaults import table

HERE = Path(__file__).resolve().parent
OUT = HERE / "results" / "default_path.json"
MOST = 6_400  # training samples of an epoch that is timed
CASES = {
    "digits": ["digits"],
    "breast cancer": ["breast_cancer.csv"],
    "digits, row by row": ["digits", "--series"],
    "Fashion-MNIST, row by row": ["fashion-mnist", "--series"],
    "Fashion-MNIST": ["fashion-mnist"],
}
COMMANDS = {"digits": 3, "breast cancer": 3, "Fashion-MNIST": 1}
"""The commands that are timed as a whole, and how often."""
WHAT = ("epoch", "gradient", "predict one")


def work(case: str, folder: Path) -> None:
    """Times in milliseconds, one for each name that is read, until there are no more."""
    from dataclasses import replace

    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    from snnlearn import predict
    from snnlearn.algorithms.gradient_descent import seed
    from snnlearn.cli import build, by_data
    from snnlearn.cli.options import Train
    from snnlearn.data import Sample

    name, *others = CASES[case]
    options = Train(data=str(folder / name) if name.endswith(".csv") else name, series="--series" in others)
    task = build.dataset(options)
    options, _ = by_data.chosen(options, task)
    few = (Sample(part.x[:MOST], part.y[:MOST]) for part in (task.train, task.validation))
    experiment = build.experiment(options, replace(task, **dict(zip(("train", "validation"), few, strict=True))))
    algorithm, encoder, data = experiment.algorithm, experiment.encoder, experiment.data.learning
    training = algorithm.start(encoder, experiment.network, data, keys=experiment.keys[:1])
    network, hypothesis = seed(training.network, 0), algorithm.hypotheses(encoder, training)[0]
    x, y = (jnp.asarray(part[: algorithm.batch_size]) for part in (data.train.x, data.train.y))
    key = jax.random.key(0)

    @eqx.filter_jit
    def gradient(network, x, y):
        inputs = algorithm.inputs(encoder, network, x, keys=jax.random.split(key, len(x)))
        return algorithm.rule(network, algorithm.loss, inputs, y, key=key)

    works = {
        "epoch": lambda: algorithm.epoch(encoder, training, data),
        "gradient": lambda: gradient(network, x, y),
        "predict one": lambda: predict(hypothesis, np.asarray(data.train.x[:1])),
    }
    for each in works.values():
        jax.block_until_ready(each())
    gradients = len(data.train.y) // algorithm.batch_size
    facts = {"batch": algorithm.batch_size, "steps": encoder.num_steps, "held": encoder.held_steps}
    sizes = [int(np.prod(network.in_shape)), *(layer.shape[0] for layer in network.layers)]
    print(json.dumps(facts | {"units": "-".join(map(str, sizes))}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        jax.block_until_ready(works[line.strip()]())
        took = 1e3 * (time.perf_counter() - start)
        print(took / gradients if line.strip() == "epoch" else took, flush=True)


def environments(before: Path | None) -> dict[str, dict[str, str]]:
    """Of each way, what its process finds."""
    plain = {"SNNLEARN_KERNELS": "plain"} if before is None else {"PYTHONPATH": f"{before}{os.pathsep}{HERE}"}
    return {"before": {**os.environ, **plain}, "kernels": dict(os.environ)}


def measured(case: str, folder: Path, before: Path | None, seconds: float) -> dict:
    """Times of one case, both ways in turn."""
    command = [sys.executable, __file__, "--worker", case, "--folder", str(folder)]
    workers = {
        way: subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for way, environment in environments(before).items()
    }
    facts = {way: json.loads(worker.stdout.readline()) for way, worker in workers.items()}  # pyright: ignore
    found: dict = {"facts": facts["kernels"]}
    for what in WHAT:
        times: dict[str, list[float]] = {way: [] for way in workers}
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(times["kernels"]) < 3:
            for way, worker in workers.items():
                print(what, file=worker.stdin, flush=True)
                times[way].append(float(worker.stdout.readline()))  # pyright: ignore
        found[what] = {way: summary(all_) for way, all_ in times.items()}
    for worker in workers.values():
        worker.stdin.close()  # pyright: ignore
        worker.wait()
    return found


def commands(case: str, folder: Path, before: Path | None, times: int) -> dict:
    """Seconds of the whole command, both ways in turn; programs that were compiled before are not compiled again."""
    name, *others = CASES[case]
    data = str(folder / name) if name.endswith(".csv") else name
    found: dict[str, list[float]] = {way: [] for way in environments(before)}
    for number in range(times):
        for way, environment in environments(before).items():
            out = folder / f"{way}-{case}-{number}"
            command = [sys.executable, "-m", "snnlearn", "train", "--data", data, *others, "--out", str(out)]
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
            wall = time.perf_counter() - start
            training = json.loads((out / "summary.json").read_text())["wall_time"]
            found[way].append(wall)
            found.setdefault(f"{way}, training", []).append(training)
    return {way: summary(all_) for way, all_ in found.items()}


def summary(times: list[float]) -> dict[str, float]:
    """The least, the median, and of how many."""
    return {"least": round(min(times), 4), "median": round(statistics.median(times), 4), "of": len(times)}


def main() -> None:
    """Measure all, write after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the src folder of another checkout")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=CASES)
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=COMMANDS)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each number")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--worker", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.folder)
        return
    results: dict = json.loads(options.out.read_text()) if options.out.exists() else {"cases": {}, "commands": {}}
    results |= machine(os.cpu_count() or 1) | {"when": datetime.now(UTC).isoformat(timespec="seconds")}
    results["before"] = "plain JAX" if options.before is None else "the checkout of --before"
    results["note"] = "Least times."
    if os.getloadavg()[0] > 1:
        results["note"] = f"Least times, since others worked on the machine (load {os.getloadavg()[0]:.0f})."
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table("breast_cancer", folder)
        for case in options.cases:
            results["cases"][case] = measured(case, folder, options.before, options.seconds)
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(case, json.dumps(results["cases"][case]), flush=True)
        for case in options.commands:
            results["commands"][case] = commands(case, folder, options.before, COMMANDS[case])
            options.out.write_text(json.dumps(results, indent=1) + "\n")
            print(case, json.dumps(results["commands"][case]), flush=True)


if __name__ == "__main__":
    main()
