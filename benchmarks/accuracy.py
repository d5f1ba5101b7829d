"""Train what a configuration in `accuracy/` says, and keep its risk as data.

    python benchmarks/accuracy.py digits fashion-mnist-dense fashion-mnist-conv

Each writes `results/NAME.json`: the command, the configuration, the numbers of the report and the learning curves. All
choices in the configurations were made on validation errors; the test sample is used once, by the command itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def run(name: str, out: Path) -> None:
    """Train one configuration and write its result."""
    config = HERE / "accuracy" / f"{name}.toml"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        arguments = ["train", "--config", str(config), "--out", str(folder)]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "snnlearn", *arguments], check=True)
        seconds = time.perf_counter() - start
        result = {
            "command": f"snnlearn train --config benchmarks/accuracy/{name}.toml",
            "config": tomllib.loads(config.read_text(encoding="utf-8")),
            "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} processors",
            "seconds_with_start_and_report": round(seconds, 1),
            **json.loads((folder / "summary.json").read_text(encoding="utf-8")),
            "metrics": [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()],
        }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=sorted(path.stem for path in (HERE / "accuracy").glob("*.toml")))
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    for name in options.names:
        run(name, options.out)
