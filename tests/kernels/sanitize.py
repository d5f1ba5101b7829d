"""The kernels under a sanitizer: `python tests/kernels/sanitize.py address`, or `undefined` or `thread`.

Compiles the library with it, starts Python anew with the sanitizer loaded first, and runs forward and backward over odd
and even sizes. Ends with status 0 if the sanitizer found nothing in the library. Needs g++.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

RUNTIMES = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
# inputs, units, steps, batch
SHAPES = [(1, 1, 2, 1), (33, 17, 5, 7), (90, 150, 40, 12), (300, 64, 70, 3), (40, 330, 35, 9)]


def exercise(library: str) -> None:
    """Run whatever the library does; the sanitizer watches."""
    import equinox as eqx
    import jax

    from snnlearn.coding import pack_spikes
    from snnlearn.kernels import library as loaded
    from snnlearn.losses import CrossEntropy, StepwiseCrossEntropy
    from snnlearn.network import feedforward, why_not_compiled
    from snnlearn.neurons import ALIF, LIF, CubaLIF, NextStep, Triangle
    from snnlearn.rules import BPTT, EProp

    loaded.LIBRARY = Path(library)
    key = jax.random.key(0)
    neurons = (LIF(v_th=0.1), CubaLIF(v_th=0.1, reset=NextStep()), ALIF(v_th=0.1, surrogate=Triangle(0.5, 0.2)))
    for (inputs, units, steps, batch), neuron in zip(SHAPES, (*neurons, neurons[0], neurons[2]), strict=True):
        for recurrent in (False, True):
            network = feedforward((inputs, units, units + 3, 4), neuron=neuron, recurrent=recurrent, key=key)
            assert why_not_compiled(network.layers) is None, why_not_compiled(network.layers)
            xs = jax.random.bernoulli(key, 0.2, (batch, steps, inputs)).astype("float32")
            packed, classes = jax.vmap(pack_spikes)(xs), jax.numpy.zeros(batch, int)
            for rule, loss in ((BPTT(), CrossEntropy()), (EProp(), StepwiseCrossEntropy())):
                jax.block_until_ready(eqx.filter_jit(rule)(network, loss, packed, classes, key=key))
            print(f"{type(neuron).__name__} {inputs}-{units}, recurrent {recurrent}: done", flush=True)


def main(sanitizer: str) -> int:
    """Compile, run, and say what was found."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "libsnnlearn.so")
        compile_it = [sys.executable, "-m", "snnlearn.kernels.compile", "--out", str(library), "--sanitize", sanitizer]
        subprocess.run(compile_it, check=True)
        # The C++ library too, or the sanitizer does not find what throws.
        preload = [
            subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
            for name in (RUNTIMES[sanitizer], "libstdc++.so.6")
        ]
        # Python and jaxlib free nothing at the end, and their own threads are not instrumented.
        quiet = {
            "ASAN_OPTIONS": "detect_leaks=0",
            "TSAN_OPTIONS": "ignore_noninstrumented_modules=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        environment = {**os.environ, **quiet, "LD_PRELOAD": " ".join(preload), "JAX_PLATFORMS": "cpu"}
        run = [sys.executable, __file__, "--exercise", str(library)]
        done = subprocess.run(run, env=environment, capture_output=True, text=True)
    print(done.stdout, done.stderr[:6000])
    return int(done.returncode != 0 or "libsnnlearn" in done.stderr or "runtime error" in done.stderr)


if __name__ == "__main__":
    if sys.argv[1] == "--exercise":
        exercise(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1]))
