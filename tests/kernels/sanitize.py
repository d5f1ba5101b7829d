"""The kernels under a sanitizer: `python tests/kernels/sanitize.py address`, or `undefined` or `thread`.

Compiles the library with it, starts Python anew with the sanitizer loaded first, runs forward and backward over odd
and even sizes, and calls it with buffers and attributes that lie about each other. Ends with status 0 if the sanitizer
found nothing in the library. Needs g++.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

RUNTIMES = {"address": "libasan.so", "undefined": "libubsan.so", "thread": "libtsan.so"}
# inputs, units, steps, batch
SHAPES = [(1, 1, 2, 1), (33, 17, 5, 7), (90, 150, 40, 12), (300, 64, 70, 3), (40, 330, 35, 9)]


def exercise(library: str) -> None:
    """Run whatever the library does; the sanitizer watches."""
    import equinox as eqx
    import jax

    from snnlearn.coding import HeldValues, pack_spikes
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
            rules = [(BPTT(), CrossEntropy(), given) for given in (packed, xs, HeldValues(xs[:, :1], steps))]
            for rule, loss, given in (*rules, (EProp(), StepwiseCrossEntropy(), packed)):
                jax.block_until_ready(eqx.filter_jit(rule)(network, loss, given, classes, key=key))
            print(f"{type(neuron).__name__} {inputs}-{units}, recurrent {recurrent}: done", flush=True)
    images(key)
    fuzz(60)


def images(key) -> None:
    """Convolutions of odd sizes, strides and paddings, with poolings that leave something over."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from snnlearn.network import AveragePool2d, Chain, Connection, Conv2d, Dense, Layer, Network, why_not_compiled
    from snnlearn.neurons import LI, LIF, CubaLIF, NextStep, Subtract

    def total(both):
        network, xs = both
        return jnp.sum(jax.vmap(lambda xs: network(xs)[0])(xs))

    late = CubaLIF(v_th=0.1, reset=NextStep(Subtract(block_gradient=False)))
    for shape, kernel, stride, padding, units, window, neuron in (
        ((1, 9, 11), 3, 1, 0, 5, 2, LIF(v_th=0.1)),
        ((3, 12, 8), 5, 2, 4, 70, 3, late),
        ((17, 5, 5), 1, 3, 0, 130, 1, LIF(v_th=0.1)),
    ):
        first = Conv2d(shape, 7, kernel, stride=stride, padding=padding, key=key)
        pool = AveragePool2d(first.out_shape, window)
        second = Conv2d(pool.out_shape, units, 2, padding=1, use_bias=True, key=key)
        sizes = eqx.filter_eval_shape(second, jnp.zeros(pool.out_shape)).size
        network = Network(
            (Layer(first, neuron), Layer(Chain(pool, second), neuron), Layer(Dense(sizes, 4, key=key), LI()))
        )
        assert why_not_compiled(network.layers) is None, why_not_compiled(network.layers)
        for density in (0.05, 1.0):
            xs = jax.random.normal(key, (5, 33, *shape)) * jax.random.bernoulli(key, density, (5, 33, *shape))
            jax.block_until_ready(jax.tree.leaves(eqx.filter_jit(eqx.filter_grad(total))((network, xs))))
        skip = Connection(Dense(first(jnp.zeros(shape)).size, 4, key=key), "first")
        first_layer, second_layer, last = network.layers
        named = Layer(first_layer.connections, neuron, name="first")
        graph = Network((named, second_layer, Layer([*last.connections, skip], LI())))
        jax.block_until_ready(eqx.filter_jit(jax.vmap(lambda xs, graph=graph: graph(xs)[0]))(xs))
        print(f"images {shape}: done", flush=True)


def calls(rng: np.random.Generator) -> Iterator[tuple[str, list, list, dict]]:
    """Each of the library's calls as it should be, for one drawn size: name, arguments, results, attributes."""
    import jax
    import jax.numpy as jnp

    from snnlearn.kernels import chain
    from snnlearn.neurons.lowering import Equation, LoweredSurrogate, Shape

    batch, inputs, hidden, units = map(int, rng.integers(1, 40, 4))
    steps, words = int(rng.integers(1, 80)), jnp.uint32

    def array(*shape: int, dtype=jnp.float32):
        return jnp.asarray(rng.integers(0, 2**31, shape) if dtype == words else rng.normal(size=shape), dtype)

    shape = [array(-(-steps // 32), batch, inputs, dtype=words), array(steps, batch, 64), array(2, inputs, 32)]
    for name, (first, out) in {"currents": (2, 1), "outer": (1, 2)}.items():
        yield name, [shape[0], shape[first]], [shape[out]], {"num_steps": np.int64(steps)}

    size = int(rng.integers(1, 3))
    xs, state = array(steps, batch * inputs), array(size, batch * inputs)
    yield "filter", [array(size * (size + 2) + 1), xs, state], [xs, state], {"reverse": bool(rng.integers(2))}

    surrogate = LoweredSurrogate(Shape(rng.integers(5)), 0.5, 2.0)
    spiking = Equation(True, bool(rng.integers(2)), bool(rng.integers(2)), surrogate)
    frames = int(rng.choice([0, 1, steps]))
    inputs = 0 if frames and rng.integers(2) else inputs
    forms = (
        chain.Form(inputs, hidden, bool(rng.integers(2)), spiking, frames),
        chain.Form(hidden, units, False, Equation()),
    )
    x = array(batch, -(-steps // 32), inputs, dtype=words)
    forward, backward, made, gradients = [x], [x], [], []
    rows, recorded = [], []
    for form, (trace, output, state) in zip(forms, chain._sizes(forms, steps, x), strict=True):
        wide = -(-form.units // 16) * 16
        bias = array(batch, form.frames, form.units) if form.frames else array(wide)
        loop = array(*[form.units] * 2) if form.recurrent else array(0)
        parts = [array(11, wide), array(form.units, form.inputs), bias, loop, array(*state.shape)]
        spikes = array(*trace.shape, dtype=words) if form.neuron.spiking else array(batch, 0, dtype=words)
        forward += parts
        backward += [*parts, spikes, array(*output.shape), array(*state.shape)]
        made += [trace, state]
        rows.append(int(rng.integers(16)))
        recorded += [trace, state, jax.ShapeDtypeStruct((steps, batch, 1 + rows[-1].bit_count(), wide), jnp.float32)]
        gradients += [parts[1], bias if form.frames else bias[: form.units], parts[3], state]
    attributes = chain._attributes(forms, steps)
    yield "forward", forward, [jax.ShapeDtypeStruct(m.shape, m.dtype) for m in made], attributes
    yield "record", forward, recorded, attributes | {"rows": np.array(rows, np.int64)}
    yield "backward", backward, [jax.ShapeDtypeStruct(g.shape, g.dtype) for g in gradients], attributes


def lie(rng: np.random.Generator, arguments: list, results: list, attributes: dict) -> None:
    """Change one thing: an axis, how many there are, a type, the steps, a fact of a layer, or a buffer less."""
    import jax.numpy as jnp

    sizes = [0, 1, 2, 15, 33, 64, 300]
    kind, arrays = int(rng.integers(6)), [arguments, results][int(rng.integers(2))]
    at = int(rng.integers(len(arrays)))
    shape, dtype = list(arrays[at].shape), arrays[at].dtype
    if kind == 0:
        shape[rng.integers(len(shape))] = int(rng.choice(sizes))
    elif kind == 1:
        shape = shape[1:] if rng.integers(2) else [*shape, 1]
    elif kind == 2:
        dtype = jnp.uint32 if dtype == jnp.float32 else jnp.float32
    elif kind == 3 or "ints" not in attributes:
        attributes["num_steps"] = np.int64(rng.choice([-1, 0, 1, 33, 3_000_000, 2**31 - 1, 2**31, 2**62, *sizes]))
    elif kind == 4:
        ints = attributes["ints"] = attributes["ints"].copy()
        ints[rng.integers(len(ints))] = rng.choice([-1, 0, 1, 2, 7, 2**31 - 1, 2**40, *sizes])
    else:
        del arrays[at]
        return
    arrays[at] = jnp.zeros(shape, dtype)


def fuzz(cases: int) -> None:
    """Calls that lie: each is refused by name, or is harmless."""
    import jax

    rng, refused = np.random.default_rng(0), 0
    for number in range(cases):
        for name, arguments, results, attributes in calls(rng):
            true = number % 10 == 0  # the control: as it should be
            if not true:
                lie(rng, arguments, results, attributes)
            outs = [jax.ShapeDtypeStruct(r.shape, r.dtype) for r in results]
            call = jax.ffi.ffi_call(f"snnlearn_{name}", outs if len(outs) > 1 else outs[0])
            try:
                jax.block_until_ready(call(*arguments, **attributes))
            except Exception as error:  # whatever XLA makes of it
                assert not true, (name, error)
                refused += "does not fit the call" in str(error)
    print(f"{6 * cases} calls, of which the library refused {refused}", flush=True)


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
