"""A search for a better configuration; it can be killed at any moment and resumed."""

from __future__ import annotations

import dataclasses
import shlex
import time
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from snnlearn import report
from snnlearn._errors import SnnlearnError
from snnlearn._files import write_atomically, write_json
from snnlearn._parameters import trained_part, with_constants
from snnlearn.algorithms import (
    AbstractRange,
    Between,
    Experiment,
    GradientDescent,
    Hyperband,
    Median,
    OneOf,
    Outcome,
    Search,
    Training,
    Trial,
    Whole,
    WholeTrials,
    best,
    front,
)
from snnlearn.cli import build, interrupts
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.config import converted, read_config, read_json, write_config
from snnlearn.cli.folders import SEARCH, locked, new_folder
from snnlearn.cli.networks import check_start
from snnlearn.cli.options import Train, Tune, roles
from snnlearn.cli.sweep import value_in_words, words
from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis, encode, predict
from snnlearn.model_file import save
from snnlearn.report.measure import operations
from snnlearn.report.tune import Confirmation, Tuned, tuned_report

_PRUNING = {"median": Median(), "hyperband": Hyperband(), "none": WholeTrials()}


def tune(options: Tune) -> int:
    """Start a search, resume one, or open the page for tuning by hand."""
    if options.resume is not None:
        return _resume(options.resume, options.allow)
    options.check()
    if options.manual is not None:
        from snnlearn.cli.manual import tune_by_hand

        return tune_by_hand(options)
    ranges, task = space(options), build.dataset(options)
    build.only_classes(task, "tune")
    check_start(options, task, ranges)
    # Which short trainings decide; each trial decides the rest by itself.
    settled, _ = chosen(options, task)
    options = dataclasses.replace(options, encode=settled.encode, series=settled.series)
    _check(options, ranges, task)
    with new_folder(options.out, f"tune-{Path(options.data).stem}") as path:
        write_atomically(path / "config.toml", write_config(options).encode())
        SEARCH.begin(path)
        return _go_on(path, options, ranges, task)


def _resume(path: Path, allow: tuple[str, ...]) -> int:
    """Resume a search."""
    SEARCH.check(path)
    options = read_config(path / "config.toml", Tune, allow=allow)
    options.check()
    with locked(path):
        return _go_on(path, options, space(options), build.dataset(options))


def space(options: Tune) -> dict[str, AbstractRange]:
    """The values of each option that is varied; those of a list in words."""
    hints = typing.get_type_hints(Train)
    names = [field.name for field in dataclasses.fields(Train) if field.name not in roles()]
    found: dict[str, AbstractRange] = {}
    for text in options.vary:
        option, _, values = text.partition("=")
        name = option.strip().removeprefix("--").replace("-", "_")
        if name not in names or not values:
            raise SnnlearnError(
                f"--vary has {text!r}; give an option of train and its values, such as tau-mem=5e-3..50e-3 or "
                "rule=bptt,eprop"
            )
        if name in found:
            raise SnnlearnError(f"--vary has {option} twice; give all its values at once")
        found[name] = _range(values.strip(), hints[name], f"--vary {option}")
    return found


def _range(text: str, hint: Any, where: str) -> AbstractRange:
    """`A..B`, `log:A..B` or `A,B,C`."""
    log, ends = text.startswith("log:"), text.removeprefix("log:").split("..")
    if len(ends) == 1 and not log:
        options = tuple(words(value_in_words(value.strip(), hint, where)) for value in text.split(","))
        if len(options) < 2 or len(set(options)) < len(options):
            raise SnnlearnError(f"{where} is {text!r}; give a range, such as 1..10, or two or more different values")
        return OneOf(options)
    if len(ends) != 2:
        raise SnnlearnError(f"{where} is {text!r}; give a range by its two ends, such as 1..10 or log:1..100")
    low, high = (value_in_words(end.strip(), hint, where) for end in ends)
    kinds = {bool: None, int: Whole, float: Between}
    kind = kinds.get(type(low))
    if kind is None or type(low) is not type(high):
        raise SnnlearnError(f"{where} is {text!r}, but takes no range; give a list of values, such as a,b")
    try:
        return kind(low, high, log)
    except SnnlearnError as error:
        raise SnnlearnError(f"{where} is {text!r}; {str(error).partition(': ')[2]}") from error


def configured(options: Tune, settings: dict[str, Any]) -> Train:
    """The options of one trial; if rules are varied, all have the loss that online rules need.

    Raises:
        SnnlearnError: for a value outside its range, or a name that stands for nothing.
    """
    hints = typing.get_type_hints(Train)
    changes = {
        name: value_in_words(value, hints[name], name)
        if isinstance(value, str)
        else converted(value, hints[name], name)
        for name, value in settings.items()
    }
    dataclasses.replace(options, **changes).check()
    return build.training(options, changes, several_rules=any(text.startswith("rule=") for text in options.vary))


def given(options: Tune, ranges: dict[str, AbstractRange]) -> dict[str, Any]:
    """The settings of the given configuration; those of a list in words."""
    return {
        name: words(getattr(options, name)) if isinstance(one, OneOf) else getattr(options, name)
        for name, one in ranges.items()
    }


def _check(options: Tune, ranges: dict[str, AbstractRange], task: Dataset) -> None:
    """Refuse a search without Optuna, and impossible configurations: the given one, with each end of each range."""
    start = given(options, ranges)
    settings: list[dict[str, Any]] = [{}]
    for name, one in ranges.items():
        one.distribution()
        ends = one.options if isinstance(one, OneOf) else (one.low, one.high)  # pyright: ignore[reportAttributeAccessIssue]
        settings += [{name: end} for end in ends if end != start[name]]
    for one in settings:
        configuration, _ = chosen(configured(options, one), task)
        encoder = build.encoder(configuration, task)
        build.algorithm(configuration, task, encoder.dt)
        eqx.filter_eval_shape(lambda c=configuration, e=encoder: build.structure(c, task, e))


def _go_on(path: Path, options: Tune, ranges: dict[str, AbstractRange], task: Dataset) -> int:
    keep_compiled_programs()
    console = console_of()
    console.print(f"Search: {path}", soft_wrap=True)
    several = len(options.objectives) > 1
    search = Search(
        ranges,
        options.trials,
        seed=options.seed,
        pruning=WholeTrials() if several else _PRUNING[options.prune],
        epochs=chosen(configured(options, {}), task)[0].counts()[0],
        objectives=len(options.objectives),
        first=given(options, ranges),
    )
    try:
        trials = _search(search, options, task, path / "trials.sqlite", console)
        found = best(trials)
        if found is None:
            raise SnnlearnError(f"no trial could be trained; the first says: {trials[0].refused}")
        for one in front(trials) if several else ():
            write_atomically(path / "front" / f"{one.number:03}.toml", _toml(options, one.settings, task))
        write_atomically(path / "chosen.toml", _toml(options, found.settings, task))
        confirmed = None
        if found.settings != given(options, ranges):
            confirmed = _confirmation(path, options, found, task, console)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"resume with snnlearn tune --resume {shlex.quote(str(path))}") from None
    tuned = Tuned(
        title=f"{task.name} · {len(trials)} trials × {options.seeds} seeds",
        trials=tuple(trials),
        objectives=options.objectives,
        ranges=dict(zip((name.replace("_", "-") for name in ranges), options.vary, strict=True)),
        logarithmic=tuple(n.replace("_", "-") for n, one in ranges.items() if getattr(one, "log", False)),
        importance={name.replace("_", "-"): share for name, share in search.importance(trials).items()},
        best=found,
        first=trials[0] if trials[0].settings == given(options, ranges) else None,
        confirmation=confirmed,
        command=f"snnlearn train --config {shlex.quote(str(path / 'chosen.toml'))}",
    )
    report.present(tuned_report(tuned), path, console)
    return 0


def _toml(options: Tune, settings: dict[str, Any], task: Dataset) -> bytes:
    """A configuration for `train`, with what the data decide."""
    return write_config(chosen(configured(options, settings), task)[0]).encode()


def _search(search: Search, options: Tune, task: Dataset, file: Path, console: Any) -> list[Trial]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=console) as progress:
        bar, trials = progress.add_task("Trial", total=search.trials, note=""), []

        def evaluate(settings: dict[str, Any], tell: Callable[[float], None]) -> Outcome:
            return _evaluated(configured(options, settings), options.objectives, task, tell)

        for trial in search.run(evaluate, file):
            interrupts.check()
            trials.append(trial)
            found = best(trials)
            note = "" if found is None else f"best validation {options.objectives[0]} {found.values[0]:.4g}"
            progress.update(bar, completed=len(trials), note=note)
        return trials


_MEASURED = 64  # samples, by which operations are counted


def _evaluated(options: Train, objectives: tuple[str, ...], task: Dataset, tell: Callable[[float], None]) -> Outcome:
    """Train one configuration, and measure it on the validation sample."""
    start = time.perf_counter()
    options, _ = chosen(options, task)
    experiment = _sharing(build.experiment(options, task))
    training = experiment.start()
    curves = "validation_loss" if objectives[0] == "loss" else "validation_error"
    for epoch in interrupts.between(experiment.epochs(training)):
        training = epoch.training
        tell(float(np.mean(getattr(epoch.metrics, curves))))
    notes = {
        "errors": np.asarray(training.best_errors).tolist(),
        "epochs": np.asarray(training.best_epoch).tolist(),
        "seconds": time.perf_counter() - start,
    }
    values = tuple(_OBJECTIVES[name](experiment, training) for name in objectives)
    return Outcome(values, notes, tie=float(np.mean(training.best_loss)))


def _sharing(experiment: Experiment[GradientDescent]) -> Experiment[GradientDescent]:
    """The experiment in programs that it shares with those of other numbers."""
    return dataclasses.replace(
        experiment, network=with_constants(experiment.network), algorithm=with_constants(experiment.algorithm)
    )


def _operations(experiment: Experiment[GradientDescent], training: Training) -> Any:
    """Of the first seed's network, on validation samples."""
    network = experiment.hypotheses(training)[0].network
    inputs = encode(experiment.encoder, jnp.asarray(experiment.data.validation.x[:_MEASURED]), key=jax.random.key(0))
    return operations(network, experiment.encoder, inputs)


_OBJECTIVES: dict[str, Callable[[Experiment[GradientDescent], Training], float]] = {
    "error": lambda experiment, training: float(
        np.mean(np.asarray(training.best_errors, float)) / len(experiment.data.validation.y)
    ),
    "loss": lambda experiment, training: float(np.mean(training.best_loss)),
    "synops": lambda experiment, training: float(_operations(experiment, training).synops),
    "macs": lambda experiment, training: float(_operations(experiment, training).macs),
    "parameters": lambda experiment, training: float(
        sum(leaf.size for leaf in jax.tree.leaves(trained_part(experiment.network)))
    ),
}


def _confirmation(path: Path, options: Tune, found: Trial, task: Dataset, console: Any) -> Confirmation:
    """The chosen and the given configuration on the test sample, which is used here, once."""
    file = path / "confirmation.json"
    if file.exists():
        try:
            return Confirmation.of(read_json(file), options.confirm_seeds, len(task.test.y))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnnlearnError(f"{file} is damaged; restore it: the test sample was used for it, once") from error
    with console.status("Confirming on test data"):
        result = {}
        for name, settings in {"chosen": found.settings, "given": {}}.items():
            fresh = dataclasses.replace(
                configured(options, settings), seeds=options.confirm_seeds, seed=options.seed + options.seeds
            )
            fresh, _ = chosen(fresh, task)
            experiment = build.experiment(fresh, task)
            training = experiment.run(lambda _: interrupts.check())
            hypotheses = experiment.hypotheses(training)
            errors, losses = np.asarray(training.best_errors), np.asarray(training.best_loss)
            kept = int(np.lexsort((losses, errors))[0])
            wrong = [predict(one, task.test.x) != task.test.y for one in hypotheses]
            counted = _operations(experiment, training)
            result[name] = {
                "wrong": np.array(wrong).astype(int).tolist(),
                "validation_errors": errors.tolist(),
                "selected_seed": kept,
                "synops": float(counted.synops),
                "macs": float(counted.macs),
            }
            if name == "chosen":
                _save(hypotheses[kept], path, task)
    write_json(file, result)
    return Confirmation.of(result, options.confirm_seeds, len(task.test.y))


def _save(hypothesis: Hypothesis, path: Path, task: Dataset) -> None:
    assert task.num_classes is not None
    save(hypothesis, path / "model.npz", class_names=task.class_names or tuple(map(str, range(task.num_classes))))
