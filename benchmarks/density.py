"""Event-driven kernels beside the same network in plain JAX, against the density of the input.

    python benchmarks/density.py

A training gradient and a forward pass of 700 → LIF N → LI 20, T = 100, batch 128, for N = 256 and 1,024; input units
spike in a step with the given probability, and the same spikes reach plain JAX as floats. The two take turns. Writes
`results/density.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from snnlearn.coding import pack_spikes
from snnlearn.losses import CrossEntropy
from snnlearn.network import feedforward
from snnlearn.neurons import LI, LIF, Atan
from snnlearn.rules import BPTT

DENSITIES = (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
WIDTHS = (256, 1024)
STEPS, BATCH, INPUTS, CLASSES = 100, 128, 700, 20
RESULT = Path(__file__).parent / "results" / "density.json"


def take_turns(calls: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call in each round, after one that compiles."""
    for call in calls.values():
        jax.block_until_ready(call())
    times = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            jax.block_until_ready(call())
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def measure(width: int, density: float, rounds: int) -> dict:
    """One line of the table."""
    network = feedforward(
        (INPUTS, width, CLASSES),
        neuron=LIF(tau_mem=20e-3, surrogate=Atan()),
        readout=LI(tau_mem=20e-3),
        key=jax.random.key(0),
    )
    spikes = jax.random.bernoulli(jax.random.key(1), density, (BATCH, STEPS, INPUTS)).astype(jnp.float32)
    labels = jnp.zeros(BATCH, int)
    inputs = {"events": jax.jit(jax.vmap(pack_spikes))(spikes), "plain": spikes}
    forward = eqx.filter_jit(lambda network, x: jax.vmap(lambda xs: network(xs)[0])(x))
    gradient = eqx.filter_jit(
        lambda network, x: jax.tree.leaves(BPTT()(network, CrossEntropy(), x, labels, key=jax.random.key(0)))
    )
    line = {"width": width, "density": density}
    for what, function in (("forward", forward), ("gradient", gradient)):
        times = take_turns({name: lambda x=x, f=function: f(network, x) for name, x in inputs.items()}, rounds)
        ratios = [plain / events for plain, events in zip(times["plain"], times["events"], strict=True)]
        line[what] = {
            "events_ms": statistics.median(times["events"]),
            "plain_ms": statistics.median(times["plain"]),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
        }
    return line


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    lines = [measure(width, density, options.rounds) for width in WIDTHS for density in DENSITIES]
    table = Table("N", "density", "forward, events ms", "plain ms", "×", "gradient, events ms", "plain ms", "×")
    for line in lines:
        numbers = [line[what][key] for what in ("forward", "gradient") for key in ("events_ms", "plain_ms", "ratio")]
        table.add_row(str(line["width"]), f"{line['density']:.1%}", *(f"{number:.2f}" for number in numbers))
    Console().print(table)
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        "versions": {package: version(package) for package in ("snnlearn", "jax")},
        "load": os.getloadavg(),
        "what": f"{INPUTS} -> LIF N -> LI {CLASSES}, T = {STEPS}, batch {BATCH}; × is plain over events",
        "lines": lines,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
