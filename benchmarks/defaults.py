"""What a stranger's first run gives: `snnlearn train --data FILE` and no other option, on data that nobody tuned for.

    python benchmarks/defaults.py [--series FOLDER] [--sets NAME ...] [--source FOLDER --out FILE]

Tables are those of scikit-learn, written as CSV; digits are snnlearn's; series are `.ts` files, both parts of which are
taken from FOLDER (the package aeon ships them) and put together, so that they are cut anew. Each set is cut five times.
The defaults were chosen on training and validation parts alone; this is the only look at the test parts. Written to
results/defaults.json: of each cut the test errors of the network and of both baselines, and the share of silent units.
With --source, another version of the library is measured, by the same data as arrays, which all versions read:
results/defaults_before.json is of the commit c260156, which was the last before defaults followed the data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import t

SPLITS = 5
TABLES = ("iris", "wine", "breast_cancer")
SERIES = ("GunPoint", "ItalyPowerDemand", "BasicMotions")


def table(name: str, folder: Path) -> Path:
    """A table of scikit-learn as CSV."""
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    lines = [",".join([*(str(column).replace(",", " ") for column in data.feature_names), "class"])]
    lines += [",".join([*map(str, x), data.target_names[y]]) for x, y in zip(data.data, data.target, strict=True)]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def series(name: str, source: Path, folder: Path) -> Path:
    """Both parts of a set of time series, in one file."""
    parts = [next(source.rglob(f"{name}_{part}.ts")).read_text().splitlines() for part in ("TRAIN", "TEST")]
    head = [line for line in parts[0] if line.startswith("@")]
    rows = [line for part in parts for line in part if line.strip() and not line.startswith(("@", "#"))]
    path = folder / f"{name}.ts"
    path.write_text("\n".join([*head, *rows]) + "\n")
    return path


def as_arrays(path: Path) -> Path:
    """The samples of a file as arrays."""
    from snnlearn.data import load

    task = load(path)
    parts = (task.train, task.validation, task.test)
    x, y = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y"))
    np.savez(path.with_suffix(".npz"), x=x, y=y)
    return path.with_suffix(".npz")


def measured(data: str, split: int, folder: Path, source: Path | None) -> dict | str:
    """One run of the command line, from its summary; or why it was refused."""
    out = folder / f"run-{Path(data).stem}-{split}"
    command = [sys.executable, "-m", "snnlearn", "train", "--data", data, "--split-seed", str(split), "--out", str(out)]
    variables = os.environ | ({} if source is None else {"PYTHONPATH": str(source)})
    run = subprocess.run(command, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        return run.stderr.strip().splitlines()[-1]
    found = json.loads((out / "summary.json").read_text())
    size = found["test_size"]
    if "silent" not in found:  # versions of before counted only the layers of which they warned
        rates = found["firing_rates"]
        return {"network": found["risk"], "warnings": found["warnings"], "rates": rates, "seconds": found["wall_time"]}
    others = {one["name"].partition(",")[0]: one["errors"] / size for one in found["baselines"]}
    rates = {name: rate for name, rate in found["firing_rates"].items()}
    return {
        "network": found["risk"],
        **others,
        "chance": found["chance"],
        "silent": found["silent"],
        "rates": rates,
        "seconds": found["wall_time"],
        "test_size": size,
    }


def main() -> None:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=Path, help="a folder that holds the .ts files")
    parser.add_argument("--sets", nargs="*", default=[*TABLES, "digits", *SERIES])
    parser.add_argument("--source", type=Path, help="the folder src of another version")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "defaults.json")
    options = parser.parse_args()
    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in options.sets:
            if one in SERIES and options.series is None:
                print(f"{one}: left out; give --series FOLDER")
                continue
            data = one
            if one in TABLES:
                data = str(table(one, folder))
            elif one in SERIES:
                data = str(series(one, options.series, folder))
            if options.source is not None and Path(data).exists():
                data = str(as_arrays(Path(data)))
            results[one] = [measured(data, split, folder, options.source) for split in range(SPLITS)]
            print(line(one, results[one]), flush=True)
            options.out.write_text(json.dumps(results, indent=1) + "\n")


def line(name: str, runs: list[dict | str]) -> str:
    """Means over the cuts, with the interval of the mean."""
    if refused := [run for run in runs if isinstance(run, str)]:
        return f"{name:18}refused: {refused[0]}"
    cells = []
    for of in ("network", "logistic regression", "nearest neighbours", "silent"):
        if of not in runs[0]:
            continue
        values = 100 * np.array([run[of] for run in runs])
        half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        cells.append(f"{of} {values.mean():5.2f} ± {half:4.2f}")
    return f"{name:18}" + "  ".join(cells)


if __name__ == "__main__":
    main()
