"""Time of a linear recurrent layer, and memory of a gradient through a long time: `python benchmarks/lru.py`.

Time: one LRU layer (B, the units, C and D), its output and its gradient by all parameters: by the associative scan, by
a loop over steps, which is what snnlearn takes on a CPU, and by the formulation in the appendix of Orvieto et al. 2023
(arXiv:2303.06349), an associative scan over pairs of complex numbers. All three are compiled and run in turns, and
give the same gradient; the median of the rounds counts.

Memory: BPTT of a recurrent spiking network that keeps all steps, beside one that keeps the state at the start of each
of √T segments, and one with segments of ∛T steps within segments of their square, by plain JAX. Planned: the working
memory of the compiled program. Peak: what a process of its own holds at most while it computes the gradient, above what
it held before.

Writes `benchmarks/results/lru.json`, with the load of the machine: let nothing else run for times to rely on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import snnlearn as sl
from snnlearn import kernels
from snnlearn.neurons import LRU, affine, trained_part
from worker import peak_mb, settle

OUT = Path(__file__).resolve().parent / "results" / "lru.json"
FEATURES = STATE = 64
LENGTHS = (1_000, 10_000, 100_000)
ROUNDS = 5  # of the median

HIDDEN, INPUTS, BATCH = 256, 4, 16  # a copy of the input is in both ways: few, so that it does not hide states
MEMORY_LENGTHS = (1_000, 10_000)


def parameters(key: jax.Array) -> dict[str, Any]:
    """Of one layer, as the authors draw them."""
    of_ring, of_b, of_c, of_d = jax.random.split(key, 4)
    return {
        "ring": LRU.ring(STATE, r_min=0.9, r_max=0.999, key=of_ring),
        "B": jax.random.normal(of_b, (2, STATE, FEATURES)) / math.sqrt(2 * FEATURES),
        "C": jax.random.normal(of_c, (2, FEATURES, STATE)) / math.sqrt(STATE),
        "D": jax.random.normal(of_d, (FEATURES,)),
    }


def ours(all_steps: Any) -> Any:
    """The layer by one of snnlearn's two ways to compute all steps of an affine neuron."""

    def layer(p: dict[str, Any], u: jax.Array) -> jax.Array:
        currents = {"re": u @ p["B"][0].T, "im": u @ p["B"][1].T}
        h, _ = all_steps(p["ring"], currents, p["ring"].initial_state((STATE,)))
        return h[:, 0] @ p["C"][0].T - h[:, 1] @ p["C"][1].T + p["D"] * u

    return layer


def published(p: dict[str, Any], u: jax.Array) -> jax.Array:
    """As in the appendix of the paper."""
    ring = p["ring"]
    Lambda = jnp.exp(-ring.nu.value + 1j * ring.theta.value)
    B_norm = (p["B"][0] + 1j * p["B"][1]) * ring.gamma.value[:, None]
    C = p["C"][0] + 1j * p["C"][1]

    def binary_operator_diag(element_i, element_j):
        a_i, bu_i = element_i
        a_j, bu_j = element_j
        return a_j * a_i, a_j * bu_i + bu_j

    Lambda_elements = jnp.repeat(Lambda[None], len(u), axis=0)
    Bu_elements = jax.vmap(lambda u: B_norm @ u)(u)
    _, inner_states = jax.lax.associative_scan(binary_operator_diag, (Lambda_elements, Bu_elements))
    return jax.vmap(lambda x, u: (C @ x).real + p["D"] * u)(inner_states, u)


LAYERS = {"scan": ours(affine.at_once), "loop": ours(affine.in_a_loop), "published scan": published}


def times(length: int) -> dict[str, Any]:
    """Median seconds of each, and how far its gradient is from the loop's."""
    p, u = parameters(jax.random.key(0)), jax.random.normal(jax.random.key(1), (length, FEATURES))
    arrays, rest = eqx.partition(p, eqx.is_array)

    def forward(layer, arrays):
        return layer(eqx.combine(arrays, rest), u)

    programs: dict[str, dict[str, Any]] = {}
    for name, layer in LAYERS.items():
        run = jax.jit(lambda arrays, layer=layer: forward(layer, arrays))
        gradient = jax.jit(jax.grad(lambda arrays, layer=layer: jnp.mean(jnp.square(forward(layer, arrays)))))
        programs[name] = {"forward": run, "gradient": gradient}
    found = {name: {"forward": [], "gradient": []} for name in LAYERS}
    gradients = {name: jax.block_until_ready(each["gradient"](arrays)) for name, each in programs.items()}
    for each in programs.values():
        jax.block_until_ready(each["forward"](arrays))
    for _ in range(ROUNDS):  # in turns, so that other load is shared
        for name, each in programs.items():
            for what, program in each.items():
                start = time.perf_counter()
                jax.block_until_ready(program(arrays))
                found[name][what].append(time.perf_counter() - start)

    def distance(name: str) -> float:
        pairs = zip(jax.tree.leaves(gradients[name]), jax.tree.leaves(gradients["loop"]), strict=True)
        return max(float(jnp.linalg.norm(a - b) / jnp.linalg.norm(b)) for a, b in pairs)

    return {
        name: {what: {"median_s": float(np.median(one)), "rounds_s": one} for what, one in each.items()}
        | {"gradient_off_by": distance(name)}
        for name, each in found.items()
    }


def memory(length: int, segment: tuple[int, ...] | None) -> dict[str, Any]:
    """Planned and peak memory of a gradient."""
    network = sl.network.feedforward((INPUTS, HIDDEN, 2), recurrent=True, key=jax.random.key(0))
    spikes = jnp.asarray(np.random.default_rng(0).random((BATCH, length, INPUTS)) < 0.05, jnp.float32)
    labels, rule, loss = jnp.arange(BATCH) % 2, sl.rules.BPTT(segment=segment), sl.losses.CrossEntropy()
    arrays, rest = eqx.partition(network, eqx.is_array)

    def gradient(arrays, spikes):
        return trained_part(rule(eqx.combine(arrays, rest), loss, spikes, labels, key=jax.random.key(1))[1])

    with kernels.plain():
        program = jax.jit(gradient).lower(arrays, spikes).compile()
    analysis: Any = program.memory_analysis()
    before = settle()
    start = time.perf_counter()
    found = jax.block_until_ready(program(arrays, spikes))
    seconds = time.perf_counter() - start
    peak = peak_mb()
    norm = float(jnp.sqrt(sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(found))))
    return {
        "planned_mb": analysis.temp_size_in_bytes / 2**20,
        "peak_mb": peak - before,
        "first_run_s": seconds,
        "gradient_norm": norm,
    }


def memories() -> list[dict[str, Any]]:
    """Each case in a process of its own."""
    found = []
    for length in MEMORY_LENGTHS:
        inner = round(length ** (1 / 3))
        cases = {"all steps": (), "segments": (math.isqrt(length),), "segments within segments": (inner**2, inner)}
        row: dict[str, Any] = {"steps": length}
        for name, segment in cases.items():
            command = [sys.executable, __file__, "--case", str(length), *map(str, segment)]
            measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            row[name] = {"segment": segment} | measured
            row[name] |= {
                f"{what} ratio": row["all steps"][what] / measured[what] for what in ("planned_mb", "peak_mb")
            }
        print(row, flush=True)
        found.append(row)
    return found


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--case", nargs="+", type=int, metavar="STEPS", help="memory of a case, steps and segments: JSON"
    )
    parser.add_argument("--only-memory", action="store_true", help="keep the times that are there")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(memory(options.case[0], tuple(options.case[1:]) or None)))
        return
    before = os.getloadavg()
    result = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.system(), "processors": os.cpu_count(), "load before and after": None},
        "versions": {name: version(name) for name in ("jax", "jaxlib", "numpy")},
    }
    if options.only_memory:
        result = json.loads(options.out.read_text())
    else:
        measured = [{"steps": length} | times(length) for length in LENGTHS]
        result["time"] = {"features": FEATURES, "state": STATE, "batch": 1, "lengths": measured}
        result["machine"]["load before and after"] = [before, os.getloadavg()]
    result["memory"] = {"network": f"{INPUTS}-{HIDDEN} recurrent-2", "batch": BATCH, "lengths": memories()}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
