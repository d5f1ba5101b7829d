"""One training step on a GPU: fused kernels, plain JAX, and SpikingJelly's Triton backend if it can be imported.

    python benchmarks/gpu.py

The tasks `feedforward` and `recurrent` of `task.py`; contenders take turns on the same card. Also says by how much the
fused kernels' loss differs from plain JAX's, each of which multiplies as precisely as it does by itself. Writes
`results/gpu.json`. Without a GPU it says so and ends with 1.
"""

from __future__ import annotations

import os

os.environ["SNNLEARN_KERNELS"] = "fused"  # read when snnlearn is imported
os.environ["SJ_LIF_CUDA_IMPLEMENTATION"] = "triton"  # SpikingJelly's, which otherwise prefers CUDA
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs some memory of the card, too

import contextlib
import json
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table

from contenders import Contender, snnlearn_step
from snnlearn.kernels import plain
from snnlearn.kernels.library import on_gpu
from task import TASKS, Task
from worker import calibrate, timed

FUSED, PLAIN, PEER = "snnlearn, fused kernels", "snnlearn, plain JAX", "SpikingJelly, Triton"
ROUNDS, STEPS = 10, 10
RESULT = Path(__file__).parent / "results" / "gpu.json"


def ready(contender: Contender, task: Task) -> tuple[Contender, float]:
    """The contender, compiled, its hidden units as active as the task says; and its first loss."""
    calibrate(contender, task, len(task.hidden))
    loss = contender.step()
    for _ in range(2):
        contender.step()
    return contender, loss


def spikingjelly(task: Task) -> Contender:
    """SpikingJelly on the card; a layer that is connected to itself runs step by step, by PyTorch."""
    import torch

    from contenders import spikingjelly_step

    if not torch.cuda.is_available():
        raise ImportError("this PyTorch sees no GPU")
    contender = spikingjelly_step.build(task, *task.batch())
    contender.network.cuda()
    contender.x, contender.y = contender.x.cuda(), contender.y.cuda()
    return contender


def compare(task: Task) -> dict[str, dict]:
    """Milliseconds of a step, in each round, of each contender."""
    contenders = {FUSED: ready(snnlearn_step.build(task, *task.batch()), task)}
    with plain():  # as it is compiled
        contenders[PLAIN] = ready(snnlearn_step.build(task, *task.batch()), task)
    try:
        contenders[PEER] = ready(spikingjelly(task), task)
    except (ImportError, RuntimeError) as error:
        print(f"Without {PEER}: {error}.")
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, (contender, _) in contenders.items():
            times[name].append(1e3 * statistics.median(timed(contender.step)[0] for _ in range(STEPS)))
    return {
        name: {
            "median_ms": statistics.median(times[name]),
            "rounds_ms": times[name],
            "first_loss": loss,
            "densities": contender.densities(),
        }
        for name, (contender, loss) in contenders.items()
    }


def table(title: str, results: dict[str, dict]) -> Table:
    """The results, fastest first."""
    lines = Table("contender", "ms", "min – max", "first loss", title=title)
    for name, r in sorted(results.items(), key=lambda item: item[1]["median_ms"]):
        span = f"{min(r['rounds_ms']):.3g} – {max(r['rounds_ms']):.3g}"
        lines.add_row(name, f"{r['median_ms']:.3g}", span, f"{r['first_loss']:.6f}")
    return lines


def versions() -> dict[str, str]:
    """Of what is installed."""
    found = {}
    for package in ("snnlearn", "jax", "jaxlib", "torch", "spikingjelly", "triton"):
        with contextlib.suppress(ImportError):
            found[package] = version(package)
    return found


def main() -> int:
    """Run both tasks and write the results."""
    if not on_gpu():
        print(f"There is no GPU to time: JAX computes on {jax.default_backend()}.")
        return 1
    results = {}
    for name in ("feedforward", "recurrent"):
        results[name] = compare(TASKS[name])
        Console().print(table(f"{name}: {TASKS[name]}", results[name]))
        losses = [results[name][which]["first_loss"] for which in (FUSED, PLAIN)]
        print(f"Loss of the fused kernels less that of plain JAX: {losses[0] - losses[1]:.2g}")
    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "gpu": jax.devices()[0].device_kind,
        "versions": versions(),
        "what": {name: str(TASKS[name]) for name in results},
        "tasks": results,
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
