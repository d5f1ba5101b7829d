"""Memory of one gradient through time: `python benchmarks/memory.py`, about two minutes.

BPTT of the task `long` of `step.py` (700 → LIF 256 → LIF 256 → 20, T = 1,000, batch 128), by plain JAX on spikes as
numbers and by the compiled kernels on packed spikes, keeping all steps or the states at the starts of segments only.

Planned: the working memory of the compiled program at T and 2T, and its growth in bytes for each sample, hidden unit
and step. Peak: what a process of its own holds at most, computing the gradient three times, above what it held with the
data and the network in place and the program compiled.

Memory does not depend on what else the machine does. It needs Linux. Writes `benchmarks/results/memory.json`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from task import TASKS

RESULT = Path(__file__).parent / "results" / "memory.json"
TASK = TASKS["long"]
SEGMENT = 32  # about √T, and one word of packed spikes
CASES = {
    "plain JAX": (False, None),
    "plain JAX, segments": (False, SEGMENT),
    "kernels": (True, None),
    "kernels, segments": (True, SEGMENT),
}


def measure(packed: bool, segment: int | None) -> dict[str, Any]:
    """Planned memory at T and 2T, and the peak at T."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from contenders.snnlearn_step import build
    from snnlearn.coding import PackedSpikes
    from snnlearn.losses import CrossEntropy
    from snnlearn.network import why_not_compiled
    from snnlearn.rules import BPTT
    from worker import calibrate, peak_mb, settle

    spikes, labels = TASK.batch()
    contender = build(TASK, spikes, labels)
    calibrate(contender, TASK, len(TASK.hidden))
    densities, network, y = contender.densities(), contender.network, contender.y
    x = contender.x if packed else jnp.asarray(spikes)
    del contender, spikes
    if packed and (reason := why_not_compiled(network.layers)) is not None:
        raise SystemExit(f"the kernels cannot be measured: {reason}")

    weights, rest = eqx.partition(network, eqx.is_array)

    @jax.jit
    def gradient(weights, x, y):
        return BPTT(segment)(eqx.combine(weights, rest), CrossEntropy(), x, y, key=jax.random.key(0))[1]

    def of_length(num_steps: int) -> Any:
        shape = (TASK.batch_size, -(-num_steps // 32) if packed else num_steps, TASK.inputs)
        inputs: Any = jax.ShapeDtypeStruct(shape, jnp.uint32 if packed else jnp.float32)
        return gradient.lower(weights, PackedSpikes(inputs, num_steps) if packed else inputs, y).compile()

    once, twice = of_length(TASK.num_steps), of_length(2 * TASK.num_steps)
    planned, longer = (each.memory_analysis().temp_size_in_bytes for each in (once, twice))
    idle = settle()
    for _ in range(3):
        jax.block_until_ready(once(weights, x, y))
    return {
        "planned_mb": planned / 1e6,
        "planned_mb_at_2T": longer / 1e6,
        "bytes_per_sample_unit_step": (longer - planned) / (TASK.batch_size * sum(TASK.hidden) * TASK.num_steps),
        "input_mb": sum(leaf.nbytes for leaf in jax.tree.leaves(x)) / 1e6,
        "peak_above_idle_mb": peak_mb() - idle,
        "densities": densities,
    }


def main() -> None:
    """Measure each case in a process of its own, print and write."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(*CASES[sys.argv[1]])))
        return
    found = {}
    for case in CASES:
        found[case] = json.loads(subprocess.run([sys.executable, __file__, case], stdout=-1, check=True).stdout)
        print(case, *(f"{name} {value}" for name, value in found[case].items()), sep="\n  ", flush=True)
    document = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "versions": {package: version(package) for package in ("snnlearn", "jax", "jaxlib")}
        | {"python": platform.python_version()},
        "what": f"one gradient of the task long ({TASK}); segments of {SEGMENT} steps",
        "cases": found,
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
