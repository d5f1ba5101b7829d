"""How fast values become random spikes: `python benchmarks/encode.py` writes `benchmarks/results/encode.json`.

A batch of 128 × 784 values as rate code over 100 steps, each sample with a key of its own, jitted, on the cores that
the process may use. A spike slot is one unit in one step. Times are of whole calls, the result in memory. Each case
reports the best and the median of its calls; other work on the machine can only make them longer.

A call that returns 40 MB of floats in memory fresh from the system spends most of its time on page faults. Where the
allocator keeps its memory, as in a long program with a small enough step, they do not occur; the second pass runs the
same cases in a process with such settings of the C library, GLIBC_TUNABLES.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
KEEP_MEMORY = "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296"
RESULT = Path(__file__).parent / "results" / "encode.json"
CODE = Rate(num_steps=STEPS, max_rate=1000)


def floats(x: Array, key: PRNGKeyArray) -> Array:
    """What a network takes."""
    return CODE(x, key=key)


def bits(x: Array, key: PRNGKeyArray) -> Array:
    """The same spikes, 32 steps to a word."""
    return packed_spikes(CODE.probability(x), STEPS, key=key)


def counts(x: Array, key: PRNGKeyArray) -> Array:
    """The same spikes as floats, summed over time."""
    return CODE(x, key=key).sum(axis=0)


def threefry(x: Array, key: PRNGKeyArray) -> Array:
    """The generator of JAX, 16 bits to a coin."""
    level = jnp.round(CODE.probability(x) * 2**16).astype(jnp.uint32)[None]
    coins = jax.random.bits(key, (STEPS, *x.shape), jnp.uint16).astype(jnp.uint32)
    return (coins < level).astype(jnp.float32)


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


def measure_all() -> dict[str, dict[str, float]]:
    """All cases in this process."""
    return {encode.__name__: measure(encode) for encode in (floats, bits, counts, threefry, fill)}


def main() -> None:
    if "--inner" in sys.argv:
        print(json.dumps(measure_all()))
        return
    passes = {"fresh memory": {}, "kept memory": {"GLIBC_TUNABLES": KEEP_MEMORY}}
    result = {
        "task": f"{BATCH} x {INPUTS} values, rate code, {STEPS} steps",
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "jax": jax.__version__,
    }
    for name, environment in passes.items():
        command = [sys.executable, __file__, "--inner"]
        output = subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.PIPE).stdout
        result[name] = json.loads(output)
        for case, times in result[name].items():
            speed = times["slots_per_second"] / 1e9
            print(f"{name:14}{case:10}{times['best_ms']:9.2f} ms{times['median_ms']:9.2f} ms median {speed:6.2f}e9 /s")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
