"""What the commands do."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from snnlearn import report, risk
from snnlearn._errors import SnnlearnError
from snnlearn._files import write_json
from snnlearn.algorithms import Devices, GradientDescent, Training
from snnlearn.algorithms.devices import ONE_DEVICE
from snnlearn.cli import build, interrupts
from snnlearn.cli.axis import shown
from snnlearn.cli.config import as_table
from snnlearn.cli.encode import encode as encode_one_input
from snnlearn.cli.folders import locked, new_folder
from snnlearn.cli.options import AS_IT_IS, Encode, Evaluate, Predict, Train
from snnlearn.cli.predictions import Predictions, check_kind
from snnlearn.cli.processes import join, leads
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of, judged, recall, remember
from snnlearn.cli.terminal import printable
from snnlearn.coding import AbstractEncoder, Rescaled, Spikes
from snnlearn.data import Dataset, Recorded, read_events, read_values
from snnlearn.hypothesis import Hypothesis, decisions, scores, ties
from snnlearn.model_file import save
from snnlearn.report.baseline import logistic_regression
from snnlearn.report.measure import select, summarise


def keep_compiled_programs() -> None:
    """Let JAX keep compiled programs in the user's cache folder, so that a second start compiles nothing."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snnlearn" / "xla"
        cache.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return  # There is no home that can be written: each start compiles.
    # That it is full or cannot be written costs time, and nothing else.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def train(options: Train) -> int:
    """Train from the start, or go on with a run."""
    if options.resume is not None:
        return _resume(options.resume, epochs=options.epochs, distributed=options.distributed, allow=options.allow)
    options.check()
    devices = join() if options.distributed else ONE_DEVICE
    with new_folder(options.out, options.data) if leads() else contextlib.nullcontext() as path:
        task, encoder, algorithm, training = prepare(options, devices)
        algorithm.trace(encoder, training, task)  # so that a rule refuses before anything is written
        folder = RunFolder.create(path, options) if path is not None else None
        if folder is not None:
            remember(folder, task)
            folder.begin()
        return _finish(folder, options, task, encoder, algorithm, training)


def _resume(path: Path, *, epochs: int, distributed: bool, allow: tuple[str, ...]) -> int:
    """Go on with a run, to more epochs than it has if any are given."""
    folder = RunFolder.open(path, allow=allow)
    devices = join() if distributed else ONE_DEVICE
    with locked(path) if leads() else contextlib.nullcontext():
        options = folder.options()
        if epochs != AS_IT_IS:
            options = dataclasses.replace(options, epochs=epochs)
        options.check()
        if epochs != AS_IT_IS and leads():
            folder.lengthen(epochs)
        task, encoder, algorithm, training = prepare(options, devices, data_of(folder))
        if leads():
            training = folder.restore(training)
        training = devices.agreed(training)
        return _finish(folder if leads() else None, options, task, encoder, algorithm, training)


class _Console(Console):
    """A console for names of files and classes, which are neither markup nor commands to the terminal."""

    def __init__(self):
        super().__init__(markup=False, emoji=False, highlight=False, quiet=not leads())

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text, keep="\n"), style, control)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console_of() -> Console:
    """Where the commands print."""
    return _Console()


def prepare(
    options: Train, devices: Devices = ONE_DEVICE, task: Dataset | None = None
) -> tuple[Dataset, AbstractEncoder, GradientDescent, Training]:
    """Data, encoder, algorithm and a training before its first epoch.

    Args:
        options: of the training.
        devices: which share it.
        task: the data; None reads what the options name.
    """
    keep_compiled_programs()
    with console_of().status("Preparing"):
        task = build.dataset(options) if task is None else task
        encoder = build.encoder(options, task)
        algorithm = dataclasses.replace(build.algorithm(options, task, encoder.dt), devices=devices)
        network = build.structure(options, task, encoder)
        keys = jax.vmap(jax.random.key)(np.arange(options.seed, options.seed + options.seeds))
        training = algorithm.start(encoder, network, task, keys=keys)
        return task, encoder, algorithm, training


def _finish(
    folder: RunFolder | None,
    options: Train,
    task: Dataset,
    encoder: AbstractEncoder,
    algorithm: GradientDescent,
    training: Training,
) -> int:
    """Train and conclude; without a folder, help another process to."""
    console = console_of()
    if folder is None:
        _run_epochs(console, folder, task, encoder, algorithm, training)
        return 0
    console.print(f"Run: {folder.path}", soft_wrap=True)
    for note in task.notes:
        console.print(note, soft_wrap=True)
    try:
        training = _run_epochs(console, folder, task, encoder, algorithm, training)
        with console.status("Measuring the risk"):
            summary = _conclude(folder, options, task, algorithm.hypotheses(encoder, training), training)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"go on with {folder.resume_command()}") from None
    report.print_summary(summary, console)
    console.print(f"Report: {folder.path / 'report.html'}", soft_wrap=True)
    return 0


def _run_epochs(
    console: Console,
    folder: RunFolder | None,
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
        SpinnerColumn(finished_text=""),
        TextColumn("{task.fields[note]}"),
    )
    done = int(training.epoch[0])
    if done == algorithm.epochs:
        return training
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Epoch", total=algorithm.epochs, completed=done, note="compiling")
        try:
            for epoch in range(done + 1, algorithm.epochs + 1):
                interrupts.check()
                start = time.perf_counter()
                trained, metrics = jax.block_until_ready(algorithm.epoch(encoder, training, task))
                if folder is not None:
                    folder.add_metrics(epoch, metrics, time.perf_counter() - start)
                training = trained
                if folder is not None:
                    folder.checkpoint(training, now=epoch == algorithm.epochs)
                loss, error = np.mean(metrics.training_loss), np.mean(metrics.validation_error)
                progress.update(bar, advance=1, note=f"loss {loss:.3f}, validation error {error:.2%}")
        except (KeyboardInterrupt, jax.errors.JaxRuntimeError) as error:
            if folder is not None:
                folder.checkpoint(training, now=True)
            if isinstance(error, KeyboardInterrupt) or jax.process_count() == 1:
                raise
            how = f"go on with {folder.resume_command()}" if folder is not None else "process 0 says how to go on"
            raise SnnlearnError(f"another process was lost in epoch {int(training.epoch[0]) + 1}; {how}") from error
    return training


def _conclude(
    folder: RunFolder, options: Train, task: Dataset, hypotheses: list[Hypothesis], training: Training
) -> report.RunSummary:
    """Measure the hypotheses, and write the model of the selected one and the report."""
    history = folder.history(np.asarray(training.best_epoch))
    encoder, network = hypotheses[0].encoder, hypotheses[0].network
    summary = summarise(
        hypotheses,
        task,
        history,
        title=_title(options, task),
        config=as_table(options),
        why_plain=build.algorithm(options, task, network.dt).why_plain(encoder, network),
        baseline=logistic_regression if options.baseline else None,
        reproduce=folder.reproduce_command(),
    )
    save(hypotheses[select(history)], folder.path / "model.npz", class_names=summary.class_names)
    write_json(folder.path / "summary.json", _numbers(summary))
    report.write_html(summary, folder.path / "report.html")
    return summary


def _title(options: Train, task: Dataset) -> str:
    code = "spikes" if task.kind == "spikes" else f"{(options.encode or 'current').rpartition(':')[2]} code"
    loop = " recurrent" if options.recurrent else ""
    layers = f"{shown(options.neuron)} {'-'.join(options.layers)}{loop}"
    return f"{task.name} · {code} · {layers} · {shown(options.rule)}"


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
        "test_left_out": summary.left_out,
        "test_all_seen": summary.all_seen,
        "train_errors": summary.train_errors.tolist(),
        "train_size": summary.train_size,
        "chance": summary.chance,
        "baseline": None if summary.baseline is None else dataclasses.asdict(summary.baseline),
        "selected_seed": summary.selected_seed,
        "parameters": summary.parameters,
        "firing_rates": {layer.name: float(np.mean(layer.firing_rate)) for layer in summary.layers if layer.spiking},
        "synops": summary.synops,
        "macs": summary.macs,
        "dense": summary.dense,
        "dense_macs": summary.dense_macs,
        "wall_time": summary.wall_time,
        "samples_per_second": summary.samples_per_second,
        "warnings": list(summary.warnings),
        "environment": summary.environment,
    }


def evaluate(options: Evaluate) -> int:
    """Estimate the risk on other data, or again on the run's own test sample."""
    from snnlearn.cli.risk import labelled_file

    keep_compiled_programs()
    folder = RunFolder.open(options.run, allow=options.allow)
    hypothesis, _, unfinished = learned(folder)
    if options.data is None:
        sample, seen, _ = judged(data_of(folder).test, recall(folder))
        note = "the run's own test sample: choose nothing by this number"
    else:
        given, notes = labelled_file(options.data, hypothesis)
        sample, seen, left_out = judged(given, recall(folder))
        note = "; ".join([f"{len(sample.y)} samples of {options.data}{left_out}", *notes])
    scored = scores(hypothesis, sample.x)
    found = risk.risk_of_errors(int(np.sum(decisions(scored) != sample.y)), len(sample.y))
    note += by_chance(scored)
    if unfinished:
        console_of().print(unfinished, soft_wrap=True)
    if seen is None:
        console_of().print(f"{found}\nOn {note}.", soft_wrap=True)
    else:
        part = "validation" if seen.endswith("validation data") else "training"
        console_of().print(
            f"empirical risk ({part} data) {found.value:.2%} ({found.errors} errors of {found.n})\nOn {note}: {seen}, "
            "so this is no estimate of how the network does on other data.",
            soft_wrap=True,
        )
    return 0


def predict(options: Predict) -> int:
    """Decide what files show."""
    keep_compiled_programs()
    if not options.files:
        raise SnnlearnError("predict: there is no file; give at least one after the run")
    if options.out is not None:
        check_kind(options.out)
    hypothesis, names, note = learned(RunFolder.open(options.run, allow=options.allow))
    inputs = [recording(path, hypothesis).x if is_recording(path) else read_values(path) for path in options.files]
    for path, x in zip(options.files, inputs, strict=True):
        check_values(hypothesis, x, str(path))
    scored = np.concatenate([scores(hypothesis, x) for x in inputs])
    found = Predictions(
        files=[str(path) for path, x in zip(options.files, inputs, strict=True) for _ in x],
        samples=[number for x in inputs for number in range(len(x))],
        classes=decisions(scored),
        scores=scored,
        names=list(names) or [str(number) for number in range(hypothesis.network.out_shape[0])],
    )
    console = console_of()
    console.print(found.table())
    if note:
        console.print(note, soft_wrap=True)
    if options.out is not None:
        found.write(options.out)
        console.print(f"Predictions: {options.out}", soft_wrap=True)
    return 0


def learned(folder: RunFolder) -> tuple[Hypothesis, tuple[str, ...], str]:
    """The hypothesis of a run, the names of its classes and, of a training that was stopped, how far it has come."""
    if (folder.path / "model.npz").exists() or not (folder.path / "checkpoint.npz").exists():
        return *folder.load(), ""
    options = folder.options()
    task, encoder, algorithm, fresh = prepare(options, task=data_of(folder))
    training = folder.last(fresh)
    best = int(np.argmin(np.asarray(training.best_errors)))
    note = (
        f"The training is not finished: this is the best network of {int(training.epoch[0])} of {options.epochs} "
        f"epochs. Go on with {folder.resume_command()}"
    )
    return algorithm.hypotheses(encoder, training)[best], task.class_names, note


def by_chance(scored: np.ndarray) -> str:
    """How many decisions are between equal scores, as the end of a sentence; empty if none."""
    tied = int(ties(scored).sum())
    return f"; {tied} of the decisions ({tied / len(scored):.1%}) are between equal scores, made by chance" * bool(tied)


def is_recording(path: Path) -> bool:
    """Whether a file is of events, by its name."""
    return path.suffix in (".h5", ".hdf5")


def recording(path: Path, hypothesis: Hypothesis) -> Recorded:
    """A file of events, in the time steps and units that the network takes.

    Raises:
        SnnlearnError: if it takes no events, or the file does not fit.
    """
    encoder, in_shape = hypothesis.encoder, hypothesis.network.in_shape
    if not isinstance(encoder, Spikes) or len(in_shape) != 1:
        raise SnnlearnError(f"{path} holds events, but the network was trained on values; give an .npz or .npy file")
    return read_events(path, num_steps=encoder.num_steps, dt=encoder.dt, num_units=in_shape[0])


def check_values(hypothesis: Hypothesis, x: np.ndarray, where: str) -> None:
    """Refuse what the network's code would clip without a word, such as grey levels 0 … 255."""
    if isinstance(hypothesis.encoder, Spikes):
        if not np.all((x == 0) | (x == 1)):
            raise SnnlearnError(f"{where}: values from {x.min()} to {x.max()}, but the network takes spikes, 0 or 1")
    elif not isinstance(hypothesis.encoder, Rescaled) and not 0 <= x.min() <= x.max() <= 1:
        raise SnnlearnError(
            f"{where}: values from {x.min()} to {x.max()}, but the network was trained on [0, 1]; scale them"
        )


def encode(options: Encode) -> int:
    """Show one input in each code."""
    options.check()
    keep_compiled_programs()
    return encode_one_input(options, console_of())
