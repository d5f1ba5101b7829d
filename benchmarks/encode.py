"""How fast values become random spikes: `python benchmarks/encode.py` writes `benchmarks/results/encode.json`.

A batch of 128 × 784 values as rate code over 100 steps, each sample with a key of its own, jitted, on the cores that
the process may use. A spike slot is one unit in one step. Times are of whole calls, result in memory; each case reports the
best and the median of its calls, which other work on the machine can only make longer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from snnlearn.coding import Rate, packed_spikes

BATCH, INPUTS, STEPS = 128, 784, 100
CALLS = 30
RESULT = Path(__file__).parent / "results" / "encode.json"
CODE = Rate(num_steps=STEPS, max_rate=1000)


def floats(x: Array, key: PRNGKeyArray) -> Array:
    """What a network takes."""
    return CODE(x, key=key)


def bits(x: Array, key: PRNGKeyArray) -> Array:
    """The same spikes, 32 steps to a word."""
    return packed_spikes(CODE.probability(x), STEPS, key=key)


def counts(x: Array, key: PRNGKeyArray) -> Array:
    """The same spikes, consumed where they arise: the float spikes are never written to memory."""
    return CODE(x, key=key).sum(axis=0)


def threefry(x: Array, key: PRNGKeyArray) -> Array:
    """The generator of JAX, 16 bits to a coin."""
    words = jax.random.bits(key, (STEPS, *x.shape), jnp.uint16)
    return (words < jnp.round(CODE.probability(x) * 2**16).astype(jnp.uint32)[None].astype(jnp.uint16)).astype(
        jnp.float32
    )


def fill(x: Array, key: PRNGKeyArray) -> Array:
    """No randomness at all: the values themselves, written as often. The limit of any code that returns floats."""
    return jnp.broadcast_to(x, (STEPS, *x.shape))


def measure(encode: Callable[[Array, PRNGKeyArray], Array]) -> dict[str, float]:
    """Best and median time of a call, and spike slots per second in the best."""
    xs = jax.random.uniform(jax.random.key(0), (BATCH, INPUTS))
    keys = jax.random.split(jax.random.key(1), BATCH)
    run = jax.jit(jax.vmap(encode))
    run(xs, keys).block_until_ready()
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        run(xs, keys).block_until_ready()
        seconds.append(time.perf_counter() - start)
    slots = BATCH * INPUTS * STEPS
    return {
        "best_ms": round(1e3 * min(seconds), 3),
        "median_ms": round(1e3 * float(np.median(seconds)), 3),
        "slots_per_second": float(f"{slots / min(seconds):.3g}"),
    }


def main() -> None:
    cases = {encode.__name__: measure(encode) for encode in (floats, bits, counts, threefry, fill)}
    result = {
        "task": f"{BATCH} x {INPUTS} values, rate code, {STEPS} steps",
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "jax": jax.__version__,
        "cases": cases,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    for name, case in cases.items():
        print(
            f"{name:10}{case['best_ms']:9.2f} ms{case['median_ms']:9.2f} ms median"
            f"{case['slots_per_second'] / 1e9:8.2f}e9 slots/s"
        )


if __name__ == "__main__":
    main()
