"""A grid of configurations, several seeds of each side by side; it can be killed at any moment and resumed."""

from __future__ import annotations

import dataclasses
import itertools
import shlex
import time
import tomllib
import typing
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
from snnlearn._parameters import trained_part
from snnlearn.cli import build, interrupts
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.config import converted, read_config, read_json, write_config
from snnlearn.cli.folders import SWEEP, locked, new_folder
from snnlearn.cli.networks import check_start
from snnlearn.cli.options import Sweep, Train, roles
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, encode, predict
from snnlearn.report.measure import operations
from snnlearn.report.sweep import Configuration, Swept, sweep_report


def sweep(options: Sweep) -> int:
    """Start a sweep, or resume one."""
    if options.resume is not None:
        return _resume(options.resume, options.allow)
    options.check()
    settings, task = grid(options), build.dataset(options)
    build.only_classes(task, "sweep")
    check_start(options, task, settings[0])
    _check(options, settings, task)
    with new_folder(options.out, f"sweep-{Path(options.data).stem}") as path:
        write_atomically(path / "config.toml", write_config(options).encode())
        SWEEP.begin(path)
        return _go_on(path, options, settings, task)


def _resume(path: Path, allow: tuple[str, ...]) -> int:
    """Resume a sweep."""
    SWEEP.check(path)
    options = read_config(path / "config.toml", Sweep, allow=allow)
    options.check()
    with locked(path):
        return _go_on(path, options, grid(options), build.dataset(options))


def grid(options: Sweep) -> list[dict[str, Any]]:
    """The settings of each configuration: option by option, the product of their values."""
    hints = typing.get_type_hints(Train)
    names = [field.name for field in dataclasses.fields(Train) if field.name not in roles()]
    axes: dict[str, list[Any]] = {}
    for text in options.vary:
        option, _, values = text.partition("=")
        name = option.strip().removeprefix("--").replace("-", "_")
        if name not in names or not values:
            raise SnnlearnError(
                f"--vary has {text!r}; give an option of train and its values, such as tau-mem=0.01,0.02"
            )
        if name in axes:
            raise SnnlearnError(f"--vary has {option} twice; give all its values at once")
        axes[name] = [value_in_words(value.strip(), hints[name], f"--vary {option}") for value in values.split(",")]
        if len(set(axes[name])) < len(axes[name]):
            raise SnnlearnError(f"--vary {option} has a value twice; give each once")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def value_in_words(text: str, hint: Any, where: str) -> Any:
    """A value as in TOML, but strings without quotes; hidden layers are joined by '-'."""
    if "tuple[str" in str(hint):
        return tuple(text.split("-"))
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    return converted(value, hint, where)


def configured(options: Sweep, settings: dict[str, Any]) -> Train:
    """The options of one configuration; if rules are varied, all have the loss that online rules need."""
    return build.training(options, settings, several_rules=any(text.startswith("rule=") for text in options.vary))


def _check(options: Sweep, settings: list[dict[str, Any]], task: Dataset) -> None:
    """Refuse impossible configurations before training."""
    if options.sizes and max(options.sizes) >= len(task.train.y):
        raise SnnlearnError(
            f"--sizes has {max(options.sizes)}, but the training sample has {len(task.train.y)}; give fewer, the whole "
            "is trained on anyway"
        )
    for size in options.sizes:
        if size < 2 * task.num_outputs:
            raise SnnlearnError(f"--sizes has {size}; give at least twice the {task.num_outputs} classes")
    for one in ({}, *settings):
        configuration = configured(options, one)
        configuration.check()
        configuration, _ = chosen(configuration, task)
        encoder = build.encoder(configuration, task)
        build.algorithm(configuration, task, encoder.dt)
        eqx.filter_eval_shape(lambda c=configuration, e=encoder: build.structure(c, task, e))


def _go_on(path: Path, options: Sweep, settings: list[dict[str, Any]], task: Dataset) -> int:
    keep_compiled_programs()
    console = console_of()
    console.print(f"Sweep: {path}", soft_wrap=True)
    for folder in ("configurations", "sizes"):
        (path / folder).mkdir(exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task("Configuration", total=len(settings) + len(options.sizes) * bool(options.sizes))
            found = []
            for number, one in enumerate(settings):
                found.append(_once(path / "configurations" / f"{number:03}.json", one, options, task))
                progress.advance(bar)
            progress.update(bar, description="Size of the sample")
            sizes = []
            for size in options.sizes:
                file = path / "sizes" / f"{size:06}.json"
                sizes.append(_read_size(file, options) or _write(file, _of_size(options, task, size)))
                progress.advance(bar)
            if options.sizes:
                file = path / "sizes" / f"{len(task.train.y):06}.json"
                sizes.append(_read_size(file, options) or _write(file, _of_size(options, task, len(task.train.y))))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"resume with snnlearn sweep --resume {shlex.quote(str(path))}") from None
    swept = Swept(
        title=f"{task.name} · {len(settings)} configurations × {options.seeds} seeds",
        configurations=tuple(Configuration.of(one) for one in found),
        sizes=tuple(one["size"] for one in sizes),
        size_errors=np.array([one["test_errors"] for one in sizes]).T if sizes else np.zeros((0, 0), int),
        test_size=len(task.test.y),
        base=_shown({name: getattr(options, name) for name in ("layers", "num_steps", "encode", "rule")}),
    )
    report.present(sweep_report(swept), path, console)
    return 0


def _once(file: Path, settings: dict[str, Any], options: Sweep, task: Dataset) -> dict[str, Any]:
    """The result of a configuration, from its file if finished."""
    found, shown = _read(file), _shown(settings)
    if found is not None:
        if found.get("settings") != shown:
            raise SnnlearnError(f"{file} is of other settings; put back the sweep's config.toml, or remove the file")
        try:
            if not (one := Configuration.of(found)).refused:
                _ = one.interval, one.validation_error
        except (TypeError, ValueError, ArithmeticError) as error:
            raise _damaged(file) from error
        return found
    try:
        measured = _train(configured(options, settings), task)
    except SnnlearnError as refusal:  # such as a rule that is not defined for this network
        measured = {"refused": str(refusal)}
    return _write(file, {"settings": shown} | measured)


def words(value: Any) -> str:
    """The words that `value_in_words` reads."""
    text = "-".join(value) if isinstance(value, tuple) else str(value) if value is not None else "default"
    return text.lower() if isinstance(value, bool) else text


def _shown(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as words."""
    return {name.replace("_", "-"): words(value) for name, value in settings.items()}


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    found = read_json(file)
    if not isinstance(found, dict):
        raise _damaged(file)
    return found


def _read_size(file: Path, options: Sweep) -> dict[str, Any] | None:
    found = _read(file)
    if found is None:
        return None
    try:
        errors = np.array(found["test_errors"], int)
        if errors.shape != (options.seeds,) or int(found["size"]) < 1:
            raise _damaged(file)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(file) from error
    return found


def _damaged(file: Path) -> SnnlearnError:
    return SnnlearnError(f"{file} is damaged; remove it, and what it held is trained again")


def _write(file: Path, content: dict[str, Any]) -> dict[str, Any]:
    write_json(file, content)
    return content


def _train(options: Train, task: Dataset) -> dict[str, Any]:
    """All seeds of one configuration, side by side."""
    start = time.perf_counter()
    options, _ = chosen(options, task)
    experiment = build.experiment(options, task)
    training = experiment.run(lambda _: interrupts.check())
    hypotheses, encoder = experiment.hypotheses(training), experiment.encoder
    probe = jnp.asarray(task.test.x[:64])
    inputs, lengths = encode(encoder, probe, key=jax.random.key(0)), jax.vmap(encoder.length)(probe)
    counted = operations(hypotheses[0].network, encoder, inputs, lengths)
    return {
        **_errors(hypotheses, task),
        "validation_errors": np.asarray(training.best_errors).tolist(),
        "validation_size": len(task.validation.y),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained_part(experiment.network))),
        "synops": float(counted.synops),
        "macs": float(counted.macs),
        "seconds": time.perf_counter() - start,
    }


def _of_size(options: Sweep, task: Dataset, size: int) -> dict[str, Any]:
    """The base configuration on a part of the training sample, another part for each seed, with as many updates."""
    base, _ = chosen(configured(options, {}), task)
    epochs, whole_batch = base.counts()
    batch = min(whole_batch, size)
    updates = epochs * (len(task.train.y) // whole_batch)
    base = dataclasses.replace(base, batch_size=batch, epochs=max(1, round(updates / (size // batch))))
    experiment = build.experiment(base, task)
    found: list[dict[str, Any]] = []
    for number in range(base.seed, base.seed + base.seeds):
        part = dataclasses.replace(task, train=_part(task.train, size, number))
        one = dataclasses.replace(experiment, data=part, keys=jax.random.key(number)[None])
        found.append(_errors(one.hypotheses(one.run(lambda _: interrupts.check())), part))
    return {"size": size, "test_errors": [one["test_errors"][0] for one in found], "test_size": len(task.test.y)}


def _part(sample: Sample, size: int, seed: int) -> Sample:
    """At random, with every class in it."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(sample.y))
    first = np.unique(sample.y[order], return_index=True)[1]
    order = np.concatenate([order[first], np.delete(order, first)])[:size]
    return Sample(sample.x[order], sample.y[order])


def _errors(hypotheses: list[Hypothesis], task: Dataset) -> dict[str, Any]:
    """Errors of each seed. The training and the test sample go through the same program."""
    x, y = np.concatenate([task.train.x, task.test.x]), np.concatenate([task.train.y, task.test.y])
    wrong = np.stack([predict(hypothesis, x) != y for hypothesis in hypotheses])
    m = len(task.train.y)
    return {
        "test_errors": wrong[:, m:].sum(axis=1).tolist(),
        "test_size": len(task.test.y),
        "train_errors": wrong[:, :m].sum(axis=1).tolist(),
        "train_size": m,
    }
