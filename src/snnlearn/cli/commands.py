"""What the commands do."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import time
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from snnlearn import report, risk
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import GradientDescent, Training
from snnlearn.cli import build
from snnlearn.cli.options import Encode, Evaluate, Predict, Train
from snnlearn.cli.run_folder import RunFolder
from snnlearn.coding import AbstractEncoder
from snnlearn.data import Dataset, digits, read_labelled, read_values
from snnlearn.hypothesis import predict as decide
from snnlearn.model_file import load, save, write_atomically
from snnlearn.report.measure import select, summarise


def keep_compiled_programs() -> None:
    """Let JAX keep compiled programs in the user's cache folder, so that a second start compiles nothing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snnlearn" / "xla"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def train(options: Train) -> int:
    """Train from the start."""
    # All that can be wrong with the options shows before the folder is made.
    prepared = _prepare(options)
    folder = RunFolder.create(options.out, options)
    return _finish(folder, options, *prepared)


def resume(path: Path) -> int:
    """Go on with a run."""
    folder = RunFolder.open(path)
    options = folder.options()
    task, encoder, algorithm, fresh = _prepare(options)
    return _finish(folder, options, task, encoder, algorithm, folder.restore(fresh))


def _prepare(options: Train) -> tuple[Dataset, AbstractEncoder, GradientDescent, Training]:
    keep_compiled_programs()
    task = build.dataset(options)
    encoder = build.encoder(options, task)
    network = build.structure(options, task, encoder)
    algorithm = build.algorithm(options, task, network.dt)
    keys = jax.vmap(jax.random.key)(np.arange(options.seed, options.seed + options.seeds))
    return task, encoder, algorithm, algorithm.start(encoder, network, task, keys=keys)


def _finish(
    folder: RunFolder,
    options: Train,
    task: Dataset,
    encoder: AbstractEncoder,
    algorithm: GradientDescent,
    training: Training,
) -> int:
    console = Console()
    try:
        training = _run_epochs(console, folder, task, encoder, algorithm, training)
    except KeyboardInterrupt:
        console.print(f"Interrupted. Go on with: snnlearn train --resume {shlex.quote(str(folder.path))}")
        raise
    finally:
        folder.close()
    history, seconds = folder.history(np.asarray(training.best_epoch))
    hypotheses = algorithm.hypotheses(encoder, training)
    with console.status("Measuring the risk"):
        summary = summarise(
            hypotheses,
            task,
            history,
            title=_title(options, task),
            wall_time=seconds,
            config={k: v for k, v in dataclasses.asdict(options).items() if v is not None},
            reproduce=f"snnlearn train --config {folder.path / 'config.toml'}",
        )
        save(hypotheses[select(history)], folder.path / "model.npz", class_names=summary.class_names)
        write_atomically(folder.path / "summary.json", json.dumps(_numbers(summary), indent=1).encode())
        report.write_html(summary, folder.path / "report.html")
    report.print_summary(summary, console)
    console.print(f"Report: {folder.path / 'report.html'}", soft_wrap=True)
    return 0


def _run_epochs(
    console: Console,
    folder: RunFolder,
    task: Dataset,
    encoder: AbstractEncoder,
    algorithm: GradientDescent,
    training: Training,
) -> Training:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    done = int(training.epoch[0])
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Training", total=algorithm.epochs, completed=done, note="compiling")
        for epoch in range(done + 1, algorithm.epochs + 1):
            start = time.perf_counter()
            training, metrics = jax.block_until_ready(algorithm.epoch(encoder, training, task))
            if not np.all(np.isfinite(metrics.training_loss)):
                raise SnnlearnError(
                    f"the training loss is not finite in epoch {epoch}; lower --learning-rate or set --clip-gradient"
                )
            folder.add_metrics(epoch, metrics, time.perf_counter() - start)
            folder.checkpoint(training, last=epoch == algorithm.epochs)
            note = (
                f"loss {np.mean(metrics.training_loss):.3f}, validation error {np.mean(metrics.validation_error):.2%}"
            )
            progress.update(bar, advance=1, note=note)
    return training


def _title(options: Train, task: Dataset) -> str:
    code = "spikes" if task.kind == "spikes" else f"{options.encode or 'current'} code"
    loop = " recurrent" if options.recurrent else ""
    return f"{task.name} · {code} · {options.neuron.upper()} {'-'.join(options.layers)}{loop} · {options.rule.upper()}"


def _numbers(summary: report.RunSummary) -> dict:
    """The summary's numbers, without what only a picture needs."""
    statement = report.state_risk(summary)
    several = summary.num_seeds > 1
    return {
        "title": summary.title,
        "risk": statement.risk,
        "risk_interval": statement.risk_interval[:2],
        "empirical_risk": statement.empirical_risk,
        "generalization_gap": statement.generalization_gap,
        "gap_interval": statement.gap_interval[:2],
        "seed_mean": statement.seed_mean,
        "seed_interval": statement.seed_interval[:2] if several else None,
        "test_errors": summary.test_errors.tolist(),
        "test_size": summary.test_size,
        "train_errors": summary.train_errors.tolist(),
        "train_size": summary.train_size,
        "chance": summary.chance,
        "selected_seed": summary.selected_seed,
        "parameters": summary.parameters,
        "firing_rates": {layer.name: float(np.mean(layer.firing_rate)) for layer in summary.layers if layer.spiking},
        "synops": summary.synops,
        "macs": summary.macs,
        "macs_ann": summary.macs_ann,
        "wall_time": summary.wall_time,
        "samples_per_second": summary.samples_per_second,
        "warnings": list(summary.warnings),
        "environment": summary.environment,
    }


def evaluate(options: Evaluate) -> int:
    """Estimate the risk on other data, or again on the run's own test sample."""
    keep_compiled_programs()
    folder = RunFolder.open(options.run)
    hypothesis, _ = load(folder.path / "model.npz")
    if options.data is None:
        sample = build.dataset(folder.options()).test
        note = "the run's own test sample: choose nothing by this number"
    else:
        path = Path(options.data)
        if path.suffix != ".npz":
            raise SnnlearnError(f"--data is {options.data}; give an .npz file with x and y")
        sample = read_labelled(path)
        note = f"all {len(sample.y)} samples of {path}"
    classes = hypothesis.network.out_shape[0]
    if sample.y.max() >= classes:
        raise SnnlearnError(f"--data has the label {sample.y.max()}; the network knows classes 0 to {classes - 1}")
    Console().print(f"{risk.risk(hypothesis, sample)}\nOn {note}.", highlight=False)
    return 0


def predict(options: Predict) -> int:
    """Decide what files show."""
    keep_compiled_programs()
    if not options.files:
        raise SnnlearnError("predict: there is no file; give at least one after the run")
    hypothesis, names = load(RunFolder.open(options.run).path / "model.npz")
    table = Table("file", "sample", "class")
    for path in options.files:
        for number, decision in enumerate(decide(hypothesis, read_values(path))):
            table.add_row(str(path), str(number), names[decision] if names else str(decision))
    Console().print(table)
    return 0


def encode(options: Encode) -> int:
    """Show one input in each code."""
    values = digits().test.x if options.file is None else read_values(options.file)
    if not 0 <= options.index < len(values):
        raise SnnlearnError(f"--index is {options.index}; the file has samples 0 to {len(values) - 1}")
    x = values[options.index]
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        if low == high:
            raise SnnlearnError(f"the sample is constant, {low}; give one whose values differ, or lie in [0, 1]")
        x = (x - low) / (high - low)
    makers = build.codes(options.num_steps, max_rate=options.max_rate, population=options.population)
    spikes = {}
    for name, make in makers.items():
        code = make()
        spikes[name] = np.reshape(np.asarray(code(x, key=jax.random.key(options.seed))), (options.num_steps, -1))
    console = Console()
    for name in ("rate", "latency", "population"):
        console.print(
            f"{name}: {int(spikes[name].sum())} spikes of {spikes[name].shape[1]} neurons in {options.num_steps} steps",
            highlight=False,
        )
        console.print(report.terminal_raster(spikes[name], width=min(console.width, 100), height=8))
    match options.out.suffix:
        case ".html":
            report.write_codes_html(x, spikes, 1e-3, options.out)
        case ".png" | ".svg":
            report.codes_figure(x, spikes, 1e-3).savefig(options.out)
        case suffix:
            raise SnnlearnError(f"--out ends in {suffix!r}; give a path that ends in .html, .png or .svg")
    console.print(f"Picture: {options.out}", soft_wrap=True)
    return 0
