"""Streams without end: `python benchmarks/stream.py`, about four minutes.

A network 100 → 256 recurrent LIF units → 10 leaky readouts, in which 2 % of the inputs and some 3 % of the hidden units
spike in a step, on one stream, in pieces of 5,000 steps, on one processor core. Without learning, by the compiled
kernels, and with it, by the kernels and in plain JAX: e-prop and Adam, an update after each 512 steps, beside two
comparators. Each is a process of its own, which goes through 10,000 steps and then up to 1,000,000:

- steps per second, of all steps after the first 10,000, in time that passed and in time of the processor, and the
  median over the pieces, which a busy machine disturbs less;
- the peak of its memory after 10,000 and after 1,000,000 steps;
- whether the state that was saved half way and loaded by another process gives, at the end, the same outputs and state
  to the bit;
- the time of one step by itself, through `step`.

It needs Linux. Writes `benchmarks/results/stream.json`, or `--out`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "stream.json"
INPUTS, HIDDEN, OUTPUTS, DENSITY = 100, 256, 10, 0.02
PIECE, WARM, STEPS, SINGLE, UPDATE = 5_000, 10_000, 1_000_000, 300, 512


def contender(case: str) -> Any:
    """A network that is run, or learns."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from snnlearn.losses import MeanSquaredError
    from snnlearn.network import feedforward, why_not_compiled
    from snnlearn.rules import EProp
    from snnlearn.streaming import Constantly, Learner, Persistence, Stream

    network = feedforward((INPUTS, HIDDEN, OUTPUTS), recurrent=True, key=jax.random.key(0))
    weight = network.layers[0].synapses.weight  # pyright: ignore[reportAttributeAccessIssue]
    network = eqx.tree_at(lambda n: n.layers[0].connections[0].synapses.weight, network, 60 * weight)
    if case != "learning in plain JAX" and (why := why_not_compiled(network.layers)) is not None:
        raise SystemExit(f"the kernels cannot be measured: {why}")
    if case == "inference":
        return Stream(network)
    comparators = (Persistence(), Constantly(jnp.zeros(OUTPUTS)))
    return Learner(network, EProp(), MeanSquaredError(), steps_per_update=UPDATE, comparators=comparators)


def piece(number: int) -> tuple[Any, Any]:
    """The inputs and targets of a piece of the stream: spikes, and slow waves that they do not tell of."""
    import numpy as np

    rng = np.random.default_rng(number)
    times = np.arange(number * PIECE, (number + 1) * PIECE)[:, None]
    return rng.random((PIECE, INPUTS)) < DENSITY, np.sin(times / np.arange(100, 100 + OUTPUTS)).astype(np.float32)


def advanced(of: Any, number: int, state: Any) -> tuple[Any, Any, float, float]:
    """Outputs and state after a piece, and the time that this took, without that of drawing the piece."""
    xs, targets = piece(number)
    start, processor = time.perf_counter(), time.process_time()
    given = (xs, state) if hasattr(of, "step") else (xs, targets, state)
    outputs, state = of.advance(*given)
    return outputs, state, time.perf_counter() - start, time.process_time() - processor


def peak_mb() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(case: str, folder: str) -> dict[str, Any]:
    """Go through the stream, and save the state half way and at the end."""
    of = contender(case)
    state = of.start()
    passed_in, used_in = [], []
    digest, firing, found = hashlib.sha256(), [], {}
    for number in range(STEPS // PIECE):
        outputs, state, passed, used = advanced(of, number, state)
        done = (number + 1) * PIECE
        if done > WARM:
            passed_in.append(passed)
            used_in.append(used)
        if done == WARM:
            found["peak_mb_after_10_000"] = peak_mb()
        if done > STEPS // 2:
            digest.update(outputs.tobytes())
        firing.append(float((state.layers[0].lines[-1]).mean()))
        if done == STEPS // 2:
            of.save(state, Path(folder, f"{case}-half.npz"))
    found["peak_mb_after_1_000_000"] = peak_mb()
    of.save(state, Path(folder, f"{case}-end.npz"))
    found |= {
        "steps_per_second": (STEPS - WARM) / sum(passed_in),
        "steps_per_second_of_processor": (STEPS - WARM) / sum(used_in),
        "median_steps_per_second": PIECE / statistics.median(passed_in),
        "median_steps_per_second_of_processor": PIECE / statistics.median(used_in),
        "hidden_units_that_spike": sum(firing) / len(firing),
        "state_bytes": Path(folder, f"{case}-end.npz").stat().st_size,
        "digest": digest.hexdigest(),
    }
    if case == "inference":
        xs, _ = piece(0)
        start = time.perf_counter()
        for x in xs[:SINGLE]:
            _, state = of.step(x, state)
        found["one_step_us"] = (time.perf_counter() - start) / SINGLE * 1e6
    else:
        found["regret"] = of.regret(state)._asdict()
    return found


def resumed(case: str, folder: str) -> dict[str, Any]:
    """Load the state of half way, go on in other pieces, and compare with the end."""
    import numpy as np

    of = contender(case)
    state = of.load(Path(folder, f"{case}-half.npz"))
    digest = hashlib.sha256()
    for number in range(STEPS // 2 // PIECE, STEPS // PIECE):
        xs, targets = piece(number)
        for part in (slice(0, 777), slice(777, 3_000), slice(3_000, None)):
            given = (xs[part], state) if hasattr(of, "step") else (xs[part], targets[part], state)
            outputs, state = of.advance(*given)
            digest.update(outputs.tobytes())
    of.save(state, Path(folder, f"{case}-again.npz"))
    one, other = (np.load(Path(folder, f"{case}-{which}.npz")) for which in ("end", "again"))
    return {"digest": digest.hexdigest(), "same_state": all(np.array_equal(one[name], other[name]) for name in one)}


def ask(*arguments: str) -> dict[str, Any]:
    """A process of its own on one core."""
    environment = os.environ | ({"SNNLEARN_KERNELS": "plain"} if "learning in plain JAX" in arguments else {})
    core = str(max(os.sched_getaffinity(0)))
    command = ["taskset", "-c", core, sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure all cases, and write what was found."""
    if len(sys.argv) == 4:  # as `ask` starts it
        task, case, folder = sys.argv[1:]
        print(json.dumps({"measure": measure, "resumed": resumed}[task](case, folder)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULT, help="the file that is written")
    out = parser.parse_args().out
    cases = {}
    for case in ("inference", "learning", "learning in plain JAX"):
        with tempfile.TemporaryDirectory() as folder:
            first, second = (ask(task, case, folder) for task in ("measure", "resumed"))
        same = first.pop("digest") == second["digest"]
        cases[case] = first | {"same_outputs_when_restored": same, "same_state_when_restored": second["same_state"]}
        print(case, json.dumps(cases[case], indent=1), flush=True)
    found = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, one of {os.cpu_count()} processors, load "
        f"{os.getloadavg()[0]:.1f}",
        "versions": {name: version(name) for name in ("snnlearn", "jax", "jaxlib")},
        "what": f"{INPUTS}-{HIDDEN} recurrent-{OUTPUTS}, one stream of {STEPS:,} steps in pieces of {PIECE:,}; "
        f"learning: EProp, Adam, an update after each {UPDATE} steps",
        "cases": cases,
    }
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
