"""The fused kernels in Pallas's interpreter against the compiled ones, and whether they lower for a GPU.

No test runs them on one.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import kernels
from snnlearn.coding import pack_spikes
from snnlearn.kernels import chain, fused, library
from snnlearn.kernels.chain import Constants, Form, Shape
from snnlearn.losses import CrossEntropy
from snnlearn.network import compiled, feedforward
from snnlearn.neurons import LI, LIF, FastSigmoid, ToValue
from snnlearn.rules import BPTT

with_library = pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
NUM_STEPS, BATCH, INPUTS = 37, 3, 12  # a word and a part of one, a part of a tile
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Of XLA: each program runs once, and compiling it takes longer."""

LIF_ = Constants(decay=0.8, gain=0.4, v_leak=0.05, v_th=0.4)
CUBA = LIF_._replace(current_decay=0.6, current_gain=0.9)
ALIF_ = LIF_._replace(beta=0.1, adapt_decay=0.9, adapt_gain=0.3)
SUBTRACT, TO_VALUE, NO_RESET = ({"reset_add": -0.4}, {"reset_keep": 0.0, "reset_add": -0.1}, {})


class Hidden(NamedTuple):
    """A layer that spikes."""

    neuron: Constants
    reset: dict[str, float]
    units: int
    surrogate: Shape
    recurrent: bool = False
    late: bool = False
    flows: bool = False

    def form(self, inputs: int) -> Form:
        return Form(inputs, self.units, True, self.recurrent, self.late, self.flows, self.surrogate, 0.7, 2.5)

    @property
    def constants(self) -> Constants:
        return self.neuron._replace(**self.reset)


class Readout(NamedTuple):
    """A leaky integrator."""

    units: int

    def form(self, inputs: int) -> Form:
        return Form(inputs, self.units, False, False, False, False, Shape.STRAIGHT_THROUGH, 1.0, 0.0)

    @property
    def constants(self) -> Constants:
        return Constants(decay=0.8, gain=0.4, v_leak=0.05)


CASES = {
    "a recurrent CubaLIF in two chunks, and a readout": [
        Hidden(CUBA, TO_VALUE, 70, Shape.ATAN, recurrent=True, late=True, flows=True),
        Readout(5),
    ],
    "a recurrent ALIF, and LIF in two programs": [
        Hidden(ALIF_, NO_RESET, 18, Shape.TRIANGLE, recurrent=True),
        Hidden(LIF_, TO_VALUE, 140, Shape.BOXCAR, late=True),
    ],
    "a recurrent CubaLIF whose reset flows in the step itself": [
        Hidden(CUBA, SUBTRACT, 9, Shape.STRAIGHT_THROUGH, recurrent=True, flows=True),
    ],
}


def draw(layers: list[Hidden | Readout]) -> tuple[tuple[Form, ...], list[jax.Array]]:
    """Forms of a chain, and what `forward_p` takes."""
    sizes = [INPUTS, *(layer.units for layer in layers[:-1])]
    forms = tuple(layer.form(inputs) for layer, inputs in zip(layers, sizes, strict=True))
    r = np.random.default_rng(0)

    def normal(scale: float, *shape: int) -> np.ndarray:
        return (scale * r.standard_normal(shape)).astype(np.float32)

    xs = jnp.asarray(r.random((BATCH, NUM_STEPS, INPUTS)) < 0.3, jnp.float32)
    args = [jax.vmap(pack_spikes)(xs).words]
    for form, layer in zip(forms, layers, strict=True):
        n, earlier = form.units, r.random((BATCH, 1, form.units)) < 0.2 * form.spiking
        args += [
            chain._rows(form, layer.constants),
            normal(3.0 / np.sqrt(form.inputs), n, form.inputs),
            normal(0.1, n),
            normal(1.0 / np.sqrt(n), n, n) if form.recurrent else np.zeros(0, np.float32),
            np.concatenate([normal(0.1, BATCH, 3, n), earlier.astype(np.float32)], axis=1),
        ]
    return forms, [jnp.asarray(x) for x in args]


def what_backward_takes(forms, args, traces) -> list[jax.Array]:
    """The arguments of `backward_p`; nothing comes from a second layer's state and a first one's output."""
    r, results = np.random.default_rng(1), [args[0]]
    for n, (form, trace) in enumerate(zip(forms, traces, strict=True)):
        by_output = r.standard_normal((BATCH, NUM_STEPS, form.units)) if n > 0 or len(forms) == 1 else np.zeros(0)
        exists = np.array([1, 1, form.spiking, form.spiking]).reshape(1, 4, 1)
        by_after = exists * r.standard_normal((BATCH, 4, form.units)) if n != 1 else np.zeros(0)
        results += [
            *args[1 + chain.PER_LAYER * n : 1 + chain.PER_LAYER * (n + 1)],
            trace if form.spiking else jnp.zeros((BATCH, 0), jnp.uint32),
            jnp.asarray(by_output, jnp.float32),
            jnp.asarray(by_after, jnp.float32),
        ]
    return results


def interpreted(function, forms, args):
    run = partial(function, forms=forms, num_steps=NUM_STEPS, interpret=True)
    return jax.jit(run, compiler_options=QUICK)(*args)


def distance(actual, expected) -> float:
    """The largest difference, of each array relative to its largest element."""
    return max(
        float(jnp.max(jnp.abs(a - e)) / jnp.max(jnp.abs(e))) for a, e in zip(actual, expected, strict=True) if e.size
    )


@with_library
@pytest.mark.parametrize("layers", CASES.values(), ids=CASES)
def test_equal_to_the_compiled_kernels(layers):
    forms, args = draw(layers)
    expected = chain.forward_p.bind(*args, forms=forms, num_steps=NUM_STEPS)
    actual = interpreted(fused.forward, forms, args)
    for form, a, e in zip(forms, actual[::2], expected[::2], strict=True):
        assert a.shape == e.shape
        if not form.spiking:
            assert distance([a], [e]) < 1e-5
            continue
        spikes, known = (chain._unpacked(words, NUM_STEPS, form.units) for words in (a, e))
        assert 0.02 < float(jnp.mean(known)) < 0.9
        np.testing.assert_array_equal(spikes, known)
    assert distance(actual[1::2], expected[1::2]) < 1e-5  # the states
    silenced = [jnp.zeros_like(x) if n == 0 else x for n, x in enumerate(args)]
    assert bool(jnp.any(chain.forward_p.bind(*silenced, forms=forms, num_steps=NUM_STEPS)[0] != actual[0]))

    args = what_backward_takes(forms, args, expected[::2])
    actual = interpreted(fused.backward, forms, args)
    assert distance(actual, chain.backward_p.bind(*args, forms=forms, num_steps=NUM_STEPS)) < 1e-4
    first, *others = forms  # the comparison sees a surrogate
    first = first._replace(shape=Shape.ATAN if first.shape == Shape.TRIANGLE else Shape.TRIANGLE)
    assert distance(actual, chain.backward_p.bind(*args, forms=(first, *others), num_steps=NUM_STEPS)) > 1e-2


def fused_primitives(monkeypatch):
    """Let the chain run by the fused kernels in the interpreter."""
    shapes = {
        "forward": lambda args, forms, num_steps: [
            aval for trace, _, state in chain._sizes(forms, num_steps, args[0]) for aval in (trace, state)
        ],
        "backward": lambda args, forms, num_steps: [
            args[1 + 8 * n + which] for n in range(len(forms)) for which in (1, 2, 3, 4)
        ],
    }
    shared = {"forward": lambda n: [False, *([True] * 4 + [False]) * n], "backward": None}
    for name, shape in shapes.items():
        primitive = chain._primitive(f"fused_{name}", partial(getattr(fused, name), interpret=True), shape)
        chain._batched(primitive, shared[name])
        monkeypatch.setattr(chain, f"{name}_p", primitive)
    monkeypatch.setattr(compiled, "why_plain", lambda: None)


def test_a_rule_gets_the_same_gradient(monkeypatch):
    neuron = LIF(tau_mem=8e-3, v_th=0.4, surrogate=FastSigmoid(4.0), reset=ToValue(block_gradient=False))
    network = feedforward(
        (INPUTS, 10, 5), neuron=neuron, readout=LI(tau_mem=6e-3), recurrent=True, key=jax.random.key(0)
    )
    network = jax.tree.map(lambda w: 4 * w if eqx.is_inexact_array(w) else w, network)
    xs = jax.random.bernoulli(jax.random.key(1), 0.3, (BATCH, NUM_STEPS, INPUTS)).astype(jnp.float32)

    weights, rest = eqx.partition(network, eqx.is_array)

    def gradient(weights, xs):
        ys, key = jnp.arange(BATCH), jax.random.key(0)
        return jax.tree.leaves(BPTT()(eqx.combine(weights, rest), CrossEntropy(), xs, ys, key=key))

    expected = jax.jit(gradient, compiler_options=QUICK)(weights, xs)
    assert all(float(jnp.max(jnp.abs(w))) > 1e-4 for w in expected)
    fused_primitives(monkeypatch)
    packed = jax.vmap(pack_spikes)(xs)
    program = jax.jit(lambda *args: gradient(*args), compiler_options=QUICK).trace(weights, packed)
    assert "fused_backward[" in str(program.jaxpr)
    assert distance(program.lower().compile(compiler_options=QUICK)(weights, packed), expected) < 1e-4


@pytest.mark.parametrize("recurrent", [False, True])
def test_one_triton_call_for_a_layer_on_a_gpu(recurrent):
    layers = [
        Hidden(CUBA, SUBTRACT, 40, Shape.FAST_SIGMOID, recurrent, flows=True),
        Hidden(ALIF_, TO_VALUE, 140, Shape.BOXCAR, recurrent, late=True),
        Readout(5),
    ]
    forms, args = draw(layers)
    traces = [trace for trace, _, _ in chain._sizes(forms, NUM_STEPS, args[0])]
    zeros = [jnp.zeros(trace.shape, trace.dtype) for trace in traces]
    for primitive, inputs in (
        (chain.forward_p, args),
        (chain.backward_p, what_backward_takes(forms, args, zeros)),
    ):

        def run(*inputs, primitive=primitive):
            return primitive.bind(*inputs, forms=forms, num_steps=NUM_STEPS)

        for platform, calls in (("cuda", len(forms)), ("cpu", 0)):
            program = jax.jit(run).trace(*inputs).lower(lowering_platforms=(platform,)).as_text()
            assert program.count("__gpu$xla.gpu.triton") == calls


@pytest.mark.parametrize("gpu", ["gpu", "cuda", "rocm"])
def test_on_a_gpu_they_have_to_be_asked_for(gpu, monkeypatch):
    def no_library() -> str:
        raise AssertionError("a GPU does not need the C++ library")

    monkeypatch.setattr(library, "_load", no_library)
    monkeypatch.setattr(library, "_switched_off", ContextVar("_switched_off", default=False))
    monkeypatch.setattr(jax, "default_backend", lambda: gpu)
    for asked, sentence in (("", "SNNLEARN_KERNELS=fused in the environment switches them on"), ("fused", None)):
        monkeypatch.setattr(library, "_asked_for", asked)
        reason = kernels.why_plain()
        assert reason is None if sentence is None else sentence in str(reason)
        with kernels.plain():
            assert "switched off" in str(kernels.why_plain())


@pytest.mark.parametrize("asked", ["", "fused"])
def test_elsewhere_nothing_changes(asked, monkeypatch):
    monkeypatch.setattr(library, "_asked_for", asked)
    monkeypatch.setattr(library, "_switched_off", ContextVar("_switched_off", default=False))
    monkeypatch.setattr(library, "_load", lambda: "no library")
    assert kernels.why_plain() == "no library"
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert kernels.why_plain() == "the compiled kernels are for CPU, not tpu"
