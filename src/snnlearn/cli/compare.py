"""The same network with the same initial weights, trained by several rules."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from snnlearn import report, risk
from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically, write_json
from snnlearn.algorithms import Diverged, Experiment, GradientDescent, Metrics, Training
from snnlearn.algorithms.gradient_descent import seed
from snnlearn.cli import build, interrupts
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, prepare
from snnlearn.cli.config import read_config, read_json, write_config
from snnlearn.cli.folders import COMPARISON, locked, new_folder
from snnlearn.cli.networks import check_effect, check_start
from snnlearn.cli.options import Compare, Gradients, Train
from snnlearn.data import Dataset
from snnlearn.hypothesis import predict
from snnlearn.report.compare import Contender, comparison_report
from snnlearn.report.measure import History, summarise
from snnlearn.report.paired import Pair, compare_all
from snnlearn.report.summary import LayerSummary
from snnlearn.report.value import Row


def compare(options: Compare) -> int:
    """Train with each rule and step size, choose the step size on validation data, and report side by side."""
    if (path := options.resume) is not None:
        COMPARISON.check(path)
        options = read_config(path / "config.toml", Compare, allow=options.allow)
        options.check()
        with locked(path):
            return _compare(options, _data(options), path)
    options.check()
    if options.paired:
        from snnlearn.cli.paired import compare_runs

        return compare_runs(options)
    check_effect(options)
    task = _data(options)  # what is wrong with the data is no rule's refusal
    options, _ = chosen(options, task)
    with new_folder(options.out, f"compare-{Path(options.data).stem}") as path:
        return _compare(options, task, path)


def _data(options: Compare) -> Dataset:
    task = build.dataset(options)
    build.only_classes(task, "compare")
    check_start(options, task)
    return task


def _compare(options: Compare, task: Dataset, path: Path) -> int:
    console = console_of()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    contenders: list[Contender] = []
    wrong: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        total = len(options.rules) * len(options.learning_rates) * options.counts()[0]
        bar = progress.add_task("", total=total)
        for rule in options.rules:
            trained, file = [], path / "rules" / f"{rule}.json"
            if file.exists():
                contender, wrong[rule], diverged = _read(file)
                contenders.append(contender)
                left_out |= diverged
                progress.advance(bar, len(options.learning_rates) * options.counts()[0])
                continue
            try:
                for rate in options.learning_rates:
                    progress.update(bar, description=f"{rule}, step size {rate:g}")
                    try:
                        trained.append(_train(options_of(options, rule, rate), task, lambda: progress.advance(bar)))
                    except Diverged as why:
                        left_out[f"{rule}, step size {rate:g}"] = str(why)
                        console.print(f"{rule}, step size {rate:g}: {why}", soft_wrap=True)
            except SnnlearnError as refusal:
                left_out[rule] = str(refusal)
                console.print(f"{rule}: {refusal}", soft_wrap=True)
                progress.update(bar, total=(total := total - len(options.learning_rates) * options.counts()[0]))
                continue
            except KeyboardInterrupt:
                if not (path / COMPARISON.file).exists():
                    raise
                how = f"go on with snnlearn compare --resume {shlex.quote(str(path))}"
                raise KeyboardInterrupt(how) from None
            if not trained:
                continue
            best = min(trained, key=lambda one: one.validation_error)
            contenders.append(_contender(best, rule))
            wrong[rule] = _wrong(best)
            if not (path / COMPARISON.file).exists():
                write_atomically(path / "config.toml", write_config(options).encode())
                COMPARISON.begin(path)
            diverged = {name: reason for name, reason in left_out.items() if name.startswith(f"{rule}, ")}
            result = {"wrong": wrong[rule].astype(int).tolist(), "left_out": diverged}
            write_json(file, {"contender": contenders[-1].numbers()} | result)
    if not contenders:
        raise SnnlearnError("no rule of --rules has a result; see the messages above for the reasons")
    pairs = _in_pairs(wrong) if options.paired is not None else []
    title = f"{options.data} · {len(contenders)} learning rules"
    on_what = setting(options, task)
    found = comparison_report(contenders, title=title, setting=on_what, pairs=pairs, left_out=left_out)
    report.present(found, path, console)
    return 0


def _read(file: Path) -> tuple[Contender, np.ndarray, dict[str, str]]:
    """A rule's saved result, its errors, and the step sizes without a result."""
    try:
        found = read_json(file)
        wrong, numbers = np.array(found["wrong"], bool), found["contender"]
        arrays = {name: np.array(numbers[name]) for name in ("test_errors", "curves")}
        low, high = map(float, numbers["interval"])
        contender = Contender(**numbers | arrays | {"interval": (low, high)})
        if wrong.shape != (len(contender.test_errors), contender.test_size):
            raise ValueError
        return contender, wrong, {str(name): str(reason) for name, reason in found["left_out"].items()}
    except (SnnlearnError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnnlearnError(f"{file} is damaged; remove it to train the rule again") from error


@dataclasses.dataclass(frozen=True)
class _Trained:
    options: Train
    experiment: Experiment[GradientDescent]
    training: Training
    history: History

    @property
    def validation_error(self) -> float:
        """Validation error of the kept epochs, mean over seeds."""
        kept = np.asarray(self.history.best_epoch) - 1
        return float(np.mean(self.history.validation_error[np.arange(len(kept)), kept]))


def _wrong(best: _Trained) -> np.ndarray:
    """Whether each seed's hypothesis errs on each test sample, `[K, n]`."""
    test = best.experiment.data.test
    return np.stack([predict(one, test.x) != test.y for one in best.experiment.hypotheses(best.training)])


def _in_pairs(wrong: dict[str, np.ndarray]) -> list[Pair]:
    """Over seeds, or with one seed over test samples."""
    if any(len(one) == 1 for one in wrong.values()):
        return compare_all({name: one[0] for name, one in wrong.items()}, risk.compare_hypotheses)
    return compare_all({name: one.mean(axis=1) for name, one in wrong.items()}, risk.compare_algorithms)


def options_of(options: Compare | Gradients, rule: Any, rate: float) -> Train:
    """One rule's options, with a loss and a readout that it accepts."""
    return build.training(options, {"rule": rule, "learning_rate": rate}, several_rules=True)


def setting(options: Train, task: Dataset) -> list[Row]:
    """The setting of a comparison, for its page."""
    samples = ", ".join(f"{len(getattr(task, part).y):,} {part}" for part in ("train", "validation", "test"))
    given = build.window(options)
    count, dt = (task.shape[0], task.dt) if task.kind == "spikes" else (given["num_steps"], given["dt"])
    steps = f"{count} steps{' a frame' if options.series else ''} of {1e3 * dt:g} ms"
    code = "the data's own spikes" if task.kind == "spikes" else f"{options.encode or 'current'} code"
    units = "-".join((*options.layers, str(task.num_outputs)))
    loop = ", each hidden layer recurrent" if options.recurrent else ""
    hidden = f"hidden {options.neuron}, tau_mem {1e3 * options.tau_mem:g} ms, surrogate {options.surrogate}{loop}"
    seeds = f"{options.seeds} seed{'s' if options.seeds > 1 else ''} from {options.seed}"
    epochs, batch_size = options.counts()
    return [
        Row(
            "Data",
            task.name,
            f"samples: {samples}; {task.num_outputs} {_OUTPUTS[task.task]}; split {options.split_seed}",
        ),
        Row("Code", code, steps),
        Row("Network", units, hidden),
        Row("Training", f"{epochs} epochs", f"batches of {batch_size}, {options.optimizer or 'adam'}, {seeds}"),
    ]


_OUTPUTS = {"classification": "classes", "regression": "values", "multi-label": "labels"}


def _train(options: Train, task: Dataset, advance: Callable[[], object]) -> _Trained:
    experiment, training = prepare(options, task)
    metrics, seconds = [], []
    for epoch in interrupts.between(experiment.epochs(training)):
        training = epoch.training
        metrics.append(epoch.metrics)
        seconds.append(epoch.seconds)
        advance()
    curves = {name: np.stack([np.asarray(getattr(m, name)) for m in metrics], axis=1) for name in Metrics._fields}
    history = History(**curves, best_epoch=np.asarray(training.best_epoch), seconds=np.array(seconds))
    return _Trained(options, experiment, training, history)


def gradient_memory(experiment: Experiment[GradientDescent], training: Training) -> int:
    """Bytes of working memory of a batch's gradient, as planned by the compiler, for inputs as in training."""
    algorithm, network = experiment.algorithm, seed(training.network, 0)
    x, y = (jnp.asarray(of_all[: algorithm.batch_size]) for of_all in experiment.data.train)
    inputs = algorithm.inputs(experiment.encoder, network, x, keys=jax.random.split(jax.random.key(0), len(x)))
    return working_memory(
        lambda n, x, y: algorithm.rule(n, algorithm.loss, x, y, key=jax.random.key(0)), network, inputs, y
    )


def working_memory(function: Callable, *arguments: Any) -> int:
    """Bytes that the compiled function needs besides its arguments and results; shapes of arrays suffice."""
    arrays, rest = eqx.partition(arguments, lambda leaf: eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct))
    program = jax.jit(lambda arrays: eqx.filter(function(*eqx.combine(arrays, rest)), eqx.is_array))
    analysis: Any = program.lower(arrays).compile().memory_analysis()
    return int(analysis.temp_size_in_bytes)


def _contender(best: _Trained, rule: str) -> Contender:
    experiment, hypotheses = best.experiment, best.experiment.hypotheses(best.training)
    why_plain = experiment.algorithm.why_plain(hypotheses[0].network)
    summary = summarise(hypotheses, experiment.data, best.history, title=rule, config={}, why_plain=why_plain)
    statement = report.state_risk(summary)
    firing_rate, silent = of_hidden_units(summary.layers)
    typical = np.median(best.history.seconds[1:]) if len(best.history.seconds) > 1 else best.history.seconds[0]
    return Contender(
        rule=rule,
        loss=best.options.loss or build.default_loss(best.options),
        learning_rate=best.options.step_size(),
        test_errors=summary.test_errors,
        test_size=summary.test_size,
        risk=statement.seed_mean,
        interval=statement.seed_interval[:2] if summary.num_seeds > 1 else statement.risk_interval[:2],
        empirical_risk=float(np.mean(summary.train_errors) / summary.train_size),
        curves=best.history.validation_error,
        seconds_per_epoch=float(typical),
        memory=gradient_memory(experiment, best.training),
        firing_rate=firing_rate,
        synops=summary.synops,
        macs=summary.macs,
        silent=silent,
    )


def of_hidden_units(layers: Sequence[LayerSummary]) -> tuple[float, float]:
    """Mean firing rate, Hz, and share of silent units, over all hidden units that spike; 0 where there are none."""
    hidden = [layer for layer in layers[:-1] if layer.spiking]
    units = max(1, sum(layer.units for layer in hidden))
    rates, silent = (
        sum(np.sum(layer.firing_rate) for layer in hidden),
        sum(layer.silent * layer.units for layer in hidden),
    )
    return float(rates / units), float(silent / units)
