"""Each rule's gradient on one batch, compared with the gradient that it estimates."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from snnlearn import report, rules
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.gradient_descent import seed
from snnlearn.cli import build, interrupts
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, prepare
from snnlearn.cli.compare import options_of, setting, working_memory
from snnlearn.cli.folders import new_folder
from snnlearn.cli.networks import check_effect, check_start
from snnlearn.cli.options import Gradients, Train
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of
from snnlearn.coding import HeldValues, PackedSpikes
from snnlearn.data import Dataset
from snnlearn.hypothesis import encode
from snnlearn.losses.ends import ended_by
from snnlearn.network import Network, gradient_flow, lyapunov_exponents
from snnlearn.report.flow import time_constants
from snnlearn.report.gradients import Alignment, Flow, Measured, gradients_report

_FOLLOWED = 32  # samples whose errors are followed back through time
_LONG = 10240  # steps, by which memory that grows with them outgrows that of blocks of 128


def gradients(options: Gradients) -> int:
    """Measure, print and write a page."""
    options.check()
    network = None
    if options.run is None:
        check_effect(options)
        task = build.dataset(options)  # what is wrong with the data is no rule's refusal
        check_start(options, task)
        options, _ = chosen(options, task)
    else:
        folder = RunFolder.open(options.run, allow=options.allow)
        asked = {name: getattr(options, name) for name in ("rules", "repeats", "flow", "run", "out")}
        options = Gradients(**vars(folder.options()) | asked)
        task, network = data_of(folder), folder.load()[0].network
    with new_folder(options.out, f"gradients-{Path(options.data).stem}") as path:
        return _gradients(options, task, network, path)


def _gradients(options: Gradients, task: Dataset, network: Network | None, path: Path) -> int:
    console = console_of()
    measured = []
    for name in options.rules:
        interrupts.check()
        with console.status(f"Measuring {name}"):
            try:
                one = options_of(options, name, options.step_size())
                measured.append(_measure(one, options.repeats, task, network))
            except SnnlearnError as refusal:
                console.print(f"{name}: {refusal}", soft_wrap=True)
    if not measured:
        raise SnnlearnError("no rule of --rules is defined for this network; see the messages above")
    flow = None
    if options.flow:
        with console.status("Following errors back through time"):
            flow = _flow(options, task, network)
    title = f"{options.data} · gradients of {len(measured)} rules"
    found = gradients_report(measured, title=title, setting=setting(options, task)[:3], flow=flow)
    report.present(found, path, console)
    return 0


def _flow(options: Train, task: Dataset, trained: Network | None) -> Flow:
    """Of a batch that the training would begin with; of samples that end at different times until the first ends."""
    experiment, training = prepare(options, task)
    network = seed(training.network, 0) if trained is None else trained
    key = jax.random.key(options.seed + 2)
    x = jnp.asarray(task.train.x[: min(_FOLLOWED, options.counts()[1])])
    lengths = jax.vmap(experiment.encoder.length)(x)
    inputs = encode(experiment.encoder, x, key=key)[:, : None if lengths is None else int(lengths.min())]
    return Flow(
        found=gradient_flow(network, inputs, key=key),
        time_constants=tuple(time_constants(layer.neuron) for layer in network.layers),
        exponent=float(lyapunov_exponents(network, inputs, key=key)[0]),
        samples=len(inputs),
    )


def _measure(options: Train, repeats: int, task: Dataset, trained: Network | None) -> Measured:
    experiment, training = prepare(options, task)
    encoder, algorithm = experiment.encoder, experiment.algorithm
    network = seed(training.network, 0) if trained is None else trained
    x = jnp.asarray(task.train.x[: options.counts()[1]])
    keys = jax.random.split(jax.random.key(options.seed), len(x))
    inputs = algorithm.inputs(encoder, network, x, keys=keys)
    rule, loss, targets = algorithm.rule, algorithm.loss, jnp.asarray(task.train.y[: options.counts()[1]])
    if task.ends:
        loss, targets = ended_by(encoder, loss, x, targets)
    program = eqx.filter_jit(lambda n, x, y, k: rule(n, loss, x, y, key=k))
    key, other = jax.random.split(jax.random.key(options.seed + 1))
    times = repeats if _is_random(rule, network) else 1
    draws = [_by_layer(program(network, inputs, targets, k)[1]) for k in jax.random.split(key, times)]
    reference_rule = rule.reference() or rules.BPTT()
    stands_for, plain = eqx.filter_jit(reference_rule), encode(encoder, x, key=jax.random.key(options.seed))
    others = jax.random.split(other, 4 * repeats if _is_random(reference_rule, network) else 1)
    reference = [_by_layer(stands_for(network, loss, plain, targets, key=k)[1]) for k in others]
    layers = [
        _alignment(f"layer {number}", np.stack(one), np.stack(its))
        for number, (one, its) in enumerate(zip(zip(*draws, strict=True), zip(*reference, strict=True), strict=True), 1)
    ]
    several = (np.stack([np.concatenate(draw) for draw in each]) for each in (draws, reference))
    lengths = _lengths(encoder.num_steps)
    memory = tuple(
        working_memory(lambda n, x, y: rule(n, loss, x, y, key=key), network, _of_length(inputs, steps), targets)
        for steps in lengths
    )
    return Measured(
        rule=options.rule,
        reference=type(reference_rule).__name__,
        layers=(_alignment("all", *several), *layers),
        seconds=_median_seconds(lambda: program(network, inputs, targets, key)),
        num_steps=encoder.num_steps,
        memory=memory,
        lengths=lengths,
    )


def _lengths(num_steps: int) -> tuple[int, ...]:
    """Four sequence lengths, from the data's to a long one, with equal ratios.

    >>> _lengths(20), _lengths(1000)
    ((20, 160, 1280, 10240), (1000, 2000, 4000, 8000))
    """
    factor = max(2, round((_LONG / num_steps) ** (1 / 3)))
    return tuple(num_steps * factor**power for power in range(4))


def _of_length(inputs: Array | PackedSpikes | HeldValues, num_steps: int) -> Any:
    """The shape of a batch of so many time steps."""

    def repeated(array: Array, steps: int) -> Array:
        return jnp.broadcast_to(array[:, :1], (len(array), steps, *array.shape[2:]))

    def of_length(inputs: Array | PackedSpikes | HeldValues) -> Array | PackedSpikes | HeldValues:
        if isinstance(inputs, PackedSpikes):
            return PackedSpikes(repeated(inputs.words, -(-num_steps // 32)), num_steps)
        if isinstance(inputs, HeldValues):
            steps = num_steps if inputs.values.shape[1] == 1 else inputs.steps
            return HeldValues(repeated(inputs.values, num_steps // steps), steps)
        return repeated(inputs, num_steps)

    return eqx.filter_eval_shape(of_length, inputs)


def _is_random(rule: rules.AbstractRule, network: Network) -> bool:
    """Whether the rule draws, or the network does."""
    return rule.draws or any(layer.draws for layer in network.layers)


def _by_layer(gradient: Network) -> list[np.ndarray]:
    return [np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(layer)]) for layer in gradient.layers]


def _alignment(name: str, draws: np.ndarray, references: np.ndarray) -> Alignment:
    """Compare draws `[R, d]` of an estimate with the mean of draws `[R', d]` of its reference."""
    reference = references.mean(axis=0)
    norm, norms = np.linalg.norm(reference), np.linalg.norm(draws, axis=1)
    if norm == 0:
        return Alignment(name, np.nan, np.nan, np.nan, np.nan, np.nan)
    variance = _variance(draws)
    by_chance = variance / len(draws) + _variance(references) / len(references)
    return Alignment(
        name=name,
        cosine=float(np.mean(draws @ reference / np.maximum(norms * norm, 1e-300))),
        norm_ratio=float(np.mean(norms) / norm),
        bias=float(np.linalg.norm(draws.mean(axis=0) - reference) / norm),
        bias_error=float(np.sqrt(by_chance) / norm),
        variance=float(variance / norm**2),
    )


def _variance(draws: np.ndarray) -> float:
    return float(np.sum(draws.var(axis=0, ddof=1))) if len(draws) > 1 else 0.0


def _median_seconds(call: Any, repeats: int = 7) -> float:
    jax.block_until_ready(call())
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))
