"""Memory and time of online rules: `python benchmarks/online.py`, at most five minutes.

Memory: what a process holds at its peak above what it held before, while a rule goes through T = 100, 1,000 and 10,000
steps whose input is drawn on the way; BPTT, which keeps all steps, for contrast.

Time: of one step of a batch of 128 through 700 → 256 recurrent units → 20 readouts, T = 100, forward and gradient, for
e-prop, and BPTT as plain JAX and by the kernels; e-prop and the kernels get packed spikes. And of e-prop with adaptive
units beside the time that reading and writing one array of all its synapses' traces takes twice, once for the
eligibility vector's slow part and once for the filtered trace: what a rule that visits both of each synapse in each
step cannot avoid; e-prop here visits them once a block. Where `--peers-python` names an interpreter that has it, also
of braintrace's e-prop, which takes some ten minutes more.

Each case has a process of its own; processes are asked in turn. Writes `benchmarks/results/online.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "online.json"
BATCH, INPUTS, HIDDEN, CLASSES, STEPS, DENSITY = 128, 700, 256, 20, 100, 0.02
LENGTHS = (100, 1_000, 10_000)
MEMORY = ("EProp", "EProp, ALIF", "OTTT", "SuperSpike", "TruncatedBPTT", "RTRL", "BPTT")
TIMES = ("BPTT", "BPTT, kernels", "EProp", "BPTT, ALIF", "EProp, ALIF", "floor, ALIF")
PEERS = ("braintrace EProp", "braintrace EProp, ALIF")
TAU, TAU_ADAPT, BETA = 20e-3, 200e-3, 0.1


def network(case: str, sizes: tuple[int, ...]):
    """Recurrent hidden units, a leaky readout."""
    import jax

    from snnlearn.network import feedforward
    from snnlearn.neurons import ALIF, LI, LIF, Atan, CubaLIF

    hidden = LIF(tau_mem=TAU, surrogate=Atan())
    if "ALIF" in case:
        hidden = ALIF(tau_mem=TAU, tau_adapt=TAU_ADAPT, beta=BETA, surrogate=Atan())
    if case == "SuperSpike":
        hidden = CubaLIF(tau_mem=10e-3, tau_syn=5e-3, surrogate=Atan())
        return feedforward(sizes, neuron=hidden, readout=hidden, key=jax.random.key(0))
    recurrent = case != "OTTT"  # defined without recurrence
    return feedforward(sizes, neuron=hidden, readout=LI(tau_mem=TAU), recurrent=recurrent, key=jax.random.key(0))


def rule(case: str):
    """The rule of a case, and a loss for it."""
    from snnlearn import rules
    from snnlearn.losses import AlphaVanRossum, StepwiseCrossEntropy

    name = case.split(",")[0]
    made = rules.TruncatedBPTT(25) if name == "TruncatedBPTT" else getattr(rules, name)()
    return made, AlphaVanRossum() if name == "SuperSpike" else StepwiseCrossEntropy()


def peak() -> float:
    """Most memory that this process ever held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(case: str, num_steps: int) -> dict:
    """A gradient, its input drawn block by block."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from snnlearn.rules import AbstractOnlineRule
    from snnlearn.rules.online import no_gradient, time_first

    batch, sizes = 8, (32, 32, 8)
    net, (chosen, loss), block = network(case, sizes), rule(case), 25
    targets = jnp.zeros((batch, block, 8)) if case == "SuperSpike" else jnp.zeros(batch, int)

    def drawn(key, steps):
        return jax.random.bernoulli(key, 0.1, (steps, batch, sizes[0])).astype(jnp.float32)

    @eqx.filter_jit
    def gradient(net, key):
        if not isinstance(chosen, AbstractOnlineRule):
            xs = jnp.swapaxes(drawn(key, num_steps), 0, 1)
            return chosen(net, loss, xs, targets, key=key)
        # Each block is compared with the same targets; only memory matters here.
        _, moments = time_first(chosen, loss, jnp.zeros((batch, block, 1)), targets)

        def advance(carry, key):
            memory, total = carry
            memory, *part = chosen.advance(net, loss, memory, drawn(key, block), moments)
            return (memory, jax.tree.map(jnp.add, total, tuple(part))), None

        start = chosen.start(net, loss, batch, key=key)
        (_, total), _ = jax.lax.scan(advance, (start, no_gradient(net)), jax.random.split(key, num_steps // block))
        return total

    compiled = gradient.lower(net, jax.random.key(1)).compile()
    before = peak()
    jax.block_until_ready(compiled(net, jax.random.key(1)))
    planned = compiled.compiled.memory_analysis().temp_size_in_bytes / 2**20
    return {"planned_MB": round(planned, 3), "peak_above_idle_MB": round(peak() - before, 2)}


def timed(case: str):
    """A call that takes one training step's gradient."""
    if case.startswith("braintrace"):
        return braintrace_step("ALIF" in case)
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    if case.startswith("floor"):
        traces = [jnp.ones((BATCH, HIDDEN, fan_in)) for fan_in in (INPUTS, HIDDEN)] * 2

        @jax.jit
        def touch(traces):
            return jax.lax.fori_loop(0, STEPS, lambda _, a: jax.tree.map(lambda x: 0.9 * x + 0.1, a), traces)

        return lambda: jax.block_until_ready(touch(traces))
    from snnlearn.coding import pack_spikes

    net, (chosen, loss) = network(case, (INPUTS, HIDDEN, CLASSES)), rule(case)
    xs = jax.random.bernoulli(jax.random.key(2), DENSITY, (BATCH, STEPS, INPUTS)).astype(jnp.float32)
    ys = jax.random.randint(jax.random.key(3), (BATCH,), 0, CLASSES)
    if case == "BPTT, kernels" or case.startswith("EProp"):  # as GradientDescent gives it
        xs = jax.vmap(pack_spikes)(xs)
    gradient = eqx.filter_jit(lambda net, xs, ys: chosen(net, loss, xs, ys, key=jax.random.key(4)))
    return lambda: jax.block_until_ready(gradient(net, xs, ys))


def braintrace_step(adaptive: bool):
    """The same sizes by braintrace: one recurrent layer of LIF or ALIF, a linear readout, filtered traces."""
    import brainstate
    import braintrace
    import jax
    import jax.numpy as jnp

    @jax.custom_jvp
    def spike(v):
        return (v >= 0).astype(v.dtype)

    spike.defjvp(lambda v, dv: (spike(*v), dv[0] / (1 + 10 * jnp.abs(v[0])) ** 2))
    decay, decay_adapt, beta = math.exp(-1e-3 / TAU), math.exp(-1e-3 / TAU_ADAPT), BETA

    class Recurrent(brainstate.nn.Module):
        def __init__(self):
            super().__init__()
            scale = (INPUTS + HIDDEN) ** -0.5
            self.w = brainstate.ParamState(scale * jax.random.normal(jax.random.key(0), (INPUTS + HIDDEN, HIDDEN)))
            self.out = braintrace.nn.Linear(HIDDEN, CLASSES)

        def init_state(self, batch_size=None, **_):
            self.v = brainstate.HiddenState(jnp.zeros((batch_size, HIDDEN)))
            if adaptive:
                self.a = brainstate.HiddenState(jnp.zeros((batch_size, HIDDEN)))

        def spikes(self):
            return spike(self.v.value - 1.0 - beta * self.a.value if adaptive else self.v.value - 1.0)

        def update(self, x):
            z = self.spikes()
            current = braintrace.matmul(jnp.concatenate([x, z], axis=-1), self.w.value)
            self.v.value = decay * self.v.value + current - jax.lax.stop_gradient(z)
            if adaptive:
                self.a.value = decay_adapt * self.a.value + z
            return self.out(self.spikes())

    xs = jax.random.bernoulli(jax.random.key(2), DENSITY, (STEPS, BATCH, INPUTS)).astype(jnp.float32)
    ys = jax.random.randint(jax.random.key(3), (BATCH,), 0, CLASSES)
    model = Recurrent()
    learner = braintrace.compile(model, braintrace.EProp, xs[0], batch_size=BATCH, kappa_filter_decay=decay)

    def loss(x):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(learner(x)), ys[:, None], axis=1))

    @brainstate.transform.jit
    def gradient(xs):
        for state in model.states(brainstate.HiddenState).values():
            state.value = jnp.zeros_like(state.value)
        learner.reset_state(BATCH)
        return learner.etrace_grad(xs, step_fn=loss, return_value=True)

    return lambda: jax.block_until_ready(gradient(xs))


def serve(case: str) -> None:
    """Answer each line by the seconds of one call."""
    call = timed(case)
    call(), call()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, flush=True)


def versions(python: str) -> dict[str, str]:
    """Of the packages that an interpreter has."""
    script = (
        "import json; from importlib.metadata import distributions\n"
        "found = {d.name: d.version for d in distributions()}\n"
        "print(json.dumps({name: found[name] for name in ('snnlearn', 'jax', 'braintrace') if name in found}))"
    )
    return json.loads(subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout)


def start(*arguments: object, python: str = sys.executable) -> subprocess.Popen:
    """This file in another process."""
    return subprocess.Popen(
        [python, __file__, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", help="an interpreter that has braintrace")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--time", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(memory(options.memory[0], int(options.memory[1]))))
        return
    if options.time:
        serve(options.time)
        return

    found = {}
    for case in MEMORY:
        lengths = LENGTHS if case != "RTRL" else LENGTHS[:2]
        found[case] = {t: json.loads(start("--memory", case, t).communicate()[0]) for t in lengths}
        print(f"{case:20}", *(f"T = {t}: {m['planned_MB']:.2f} MB" for t, m in found[case].items()), flush=True)

    cases = {case: sys.executable for case in TIMES}
    if options.peers_python:
        cases |= dict.fromkeys(PEERS, options.peers_python)
    workers = {case: start("--time", case, python=python) for case, python in cases.items()}
    seconds: dict[str, list[float]] = {case: [] for case in cases}
    for worker in workers.values():
        assert worker.stdout is not None
        if worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{worker.args} did not start")
    for _ in range(options.rounds):
        for case, worker in workers.items():
            assert worker.stdin is not None and worker.stdout is not None
            print(file=worker.stdin, flush=True)
            seconds[case].append(float(worker.stdout.readline()))
    for worker in workers.values():
        worker.communicate()
    times = {
        case: {
            "median_ms_per_step": round(1e3 * statistics.median(each) / STEPS, 3),
            "min_ms_per_step": round(1e3 * min(each) / STEPS, 3),
            "max_ms_per_step": round(1e3 * max(each) / STEPS, 3),
        }
        for case, each in seconds.items()
    }
    for case, each in times.items():
        print(f"{case:20}", *(f"{name} {value}" for name, value in each.items()))
    ratio = lambda a, b: [  # noqa: E731
        round(f(x / y for x, y in zip(seconds[a], seconds[b], strict=True)), 3) for f in (min, statistics.median, max)
    ]
    ratios = {
        f"{a} / {b}": ratio(a, b)
        for a, b in (("EProp", "BPTT"), ("EProp", "BPTT, kernels"), ("EProp, ALIF", "floor, ALIF"))
    }
    if options.peers_python:
        ratios |= {
            f"{peer.removeprefix('braintrace ')} / {peer}": ratio(peer.removeprefix("braintrace "), peer)
            for peer in PEERS
        }
    print(ratios)
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}"
    interpreters = [sys.executable, *filter(None, [options.peers_python])]
    document = {"machine": machine, "versions": [versions(python) for python in interpreters]}
    document |= {"memory": found, "times": times, "ratios_min_median_max": ratios}
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
