"""What the commands do."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.segment import Segment

from snnlearn import report, risk
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import Devices, Experiment, GradientDescent, Training
from snnlearn.algorithms.devices import ONE_DEVICE
from snnlearn.cli import build, interrupts
from snnlearn.cli.axis import shown
from snnlearn.cli.by_data import chosen
from snnlearn.cli.config import as_table
from snnlearn.cli.encode import encode as encode_one_input
from snnlearn.cli.folders import locked, new_folder
from snnlearn.cli.networks import check_effect, check_start
from snnlearn.cli.options import Encode, Evaluate, Predict, Train
from snnlearn.cli.predictions import Predictions, TargetPredictions, check_kind
from snnlearn.cli.processes import join, leads
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of, judged, recall, remember
from snnlearn.cli.terminal import printable
from snnlearn.data import Dataset, Form, Read, Sample, held, read_like
from snnlearn.data.ends import filled
from snnlearn.data.formats import holds_events
from snnlearn.hypothesis import Hypothesis, decisions, scores, ties, why_not_ended
from snnlearn.hypothesis import predict as predict_all
from snnlearn.model_file import save
from snnlearn.report.baseline import baselines
from snnlearn.report.labels import label_baselines
from snnlearn.report.measure import select
from snnlearn.report.value_baseline import value_baselines


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
    """Train from the start, or resume a run."""
    if options.resume is not None:
        return _resume(options.resume, epochs=options.epochs, distributed=options.distributed, allow=options.allow)
    options.check()
    check_effect(options)
    devices = join() if options.distributed else ONE_DEVICE
    with new_folder(options.out, options.data) if leads() else contextlib.nullcontext() as path:
        with console_of().status("Looking at the data"):
            task = build.dataset(options)
            check_start(options, task)
        keep_compiled_programs()
        with console_of().status("Choosing what the options leave to the data"):
            options, because = chosen(options, task)
        experiment, training = prepare(options, task, devices=devices)
        # So that a rule refuses before anything is written.
        experiment.algorithm.trace(experiment.encoder, training, experiment.data.learning)
        folder = RunFolder.create(path, options) if path is not None else None
        if folder is not None:
            remember(folder, experiment.data)
            folder.begin()
        return _finish(folder, options, experiment, training, because)


def _resume(path: Path, *, epochs: int | None, distributed: bool, allow: tuple[str, ...]) -> int:
    """Go on with a run, to more epochs than it has if any are given."""
    if (path / "conversion.json").exists():
        raise SnnlearnError(f"{path} is a conversion, not a training; train it further with --start {path}")
    folder = RunFolder.open(path, allow=allow)
    devices = join() if distributed else ONE_DEVICE
    with locked(path) if leads() else contextlib.nullcontext():
        options = folder.options()
        if epochs is not None:
            options = dataclasses.replace(options, epochs=epochs)
        options.check()
        if epochs is not None and leads():
            folder.lengthen(epochs)
        experiment, training = prepare(options, data_of(folder), devices=devices)
        if leads():
            training = folder.restore(training)
        training = devices.agreed(training)
        return _finish(folder if leads() else None, options, experiment, training)


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
    options: Train, task: Dataset, *, devices: Devices = ONE_DEVICE
) -> tuple[Experiment[GradientDescent], Training]:
    """An experiment, and its training before the first epoch.

    Args:
        options: of the training, with all that the data decide.
        task: the data.
        devices: which share the training.
    """
    keep_compiled_programs()
    with console_of().status("Preparing"):
        experiment = build.experiment(options, task, devices=devices)
        return experiment, experiment.start()


def _finish(
    folder: RunFolder | None,
    options: Train,
    experiment: Experiment[GradientDescent],
    training: Training,
    because: tuple[str, ...] = (),
) -> int:
    """Train and conclude; without a folder, help another process to."""
    console = console_of()
    if folder is None:
        _run_epochs(console, folder, experiment, training)
        return 0
    console.print(f"Run: {folder.path}", soft_wrap=True)
    for note in experiment.data.notes:
        console.print(note, soft_wrap=True)
    if because:
        console.print(f"Chosen for these data: {'; '.join(because)}.", soft_wrap=True)
    try:
        training = _run_epochs(console, folder, experiment, training)
        with console.status("Measuring the risk"):
            summary = _conclude(folder, options, experiment, training)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"resume with {folder.resume_command()}") from None
    report.print_report(summary, console)
    console.print(f"Report: {folder.path / 'report.html'}", soft_wrap=True)
    return 0


def _run_epochs(
    console: Console, folder: RunFolder | None, experiment: Experiment[GradientDescent], training: Training
) -> Training:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        SpinnerColumn(finished_text=""),
        TextColumn("{task.fields[note]}"),
    )
    done, last = int(training.epoch[0]), experiment.algorithm.epochs
    if done == last:
        return training
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Epoch", total=last, completed=done, note="compiling")
        try:
            for epoch in interrupts.between(experiment.epochs(training)):
                if folder is not None:
                    folder.add_metrics(epoch)
                training = epoch.training
                if folder is not None:
                    folder.checkpoint(training, now=epoch.number == last)
                loss, error = np.mean(epoch.metrics.training_loss), np.mean(epoch.metrics.validation_error)
                said = f"error {error:.2%}"
                if experiment.data.task == "regression":
                    said = f"loss {np.mean(epoch.metrics.validation_loss):.3g}"
                progress.update(bar, advance=1, note=f"loss {loss:.3f}, validation {said}")
        except (KeyboardInterrupt, jax.errors.JaxRuntimeError) as error:
            if folder is not None:
                folder.checkpoint(training, now=True)
            if isinstance(error, KeyboardInterrupt) or jax.process_count() == 1:
                raise
            how = f"resume with {folder.resume_command()}" if folder is not None else "process 0 says how to go on"
            raise SnnlearnError(f"another process was lost in epoch {int(training.epoch[0]) + 1}; {how}") from error
    return training


def _conclude(
    folder: RunFolder, options: Train, experiment: Experiment[GradientDescent], training: Training
) -> report.Report:
    """Measure the hypotheses, and write the model of the selected one and the report."""
    hypotheses, history = experiment.hypotheses(training), folder.history(np.asarray(training.best_epoch))
    summarised, reported, others = _REPORTS[experiment.data.task]
    summary = summarised(
        hypotheses,
        experiment.data,
        history,
        title=_title(options, experiment.data),
        config=as_table(options),
        why_plain=experiment.algorithm.why_plain(hypotheses[0].network),
        baselines=others if options.baseline else None,
        reproduce=folder.reproduce_command(),
    )
    save(hypotheses[select(history)], folder.path / "model.npz", class_names=experiment.data.output_names)
    report.write(found := reported(summary), folder.path)
    return found


_REPORTS: dict[str, tuple[Callable[..., Any], Callable[..., report.Report], Callable[..., Any]]] = {
    "classification": (report.summarise, report.run_report, baselines),
    "regression": (report.summarise_values, report.value_report, value_baselines),
    "multi-label": (report.summarise_labels, report.label_report, label_baselines),
}
"""For each task: what measures a training, what reports it, and what stands beside it."""


def _title(options: Train, task: Dataset) -> str:
    if options.start is not None:
        return f"{task.name} · from {options.start.name} · {shown(options.rule)}"
    code = "spikes" if task.kind == "spikes" else f"{(options.encode or 'current').rpartition(':')[2]} code"
    loop, late = " recurrent" if options.recurrent else "", " with delays" if options.delays is not None else ""
    layers = f"{shown(options.neuron)} {'-'.join(options.layers)}{loop}{late}"
    return f"{task.name} · {code} · {layers} · {shown(options.rule)}"


def evaluate(options: Evaluate) -> int:
    """Estimate the risk on other data, or again on the run's own test sample."""
    from snnlearn.cli.risk import labelled_file

    keep_compiled_programs()
    folder = RunFolder.open(options.run, allow=options.allow)
    hypothesis, names, unfinished = learned(folder)
    if options.data is None:
        sample, seen, _ = judged(data_of(folder).test, recall(folder))
        note = "the run's own test sample: choose nothing by this number"
    else:
        given, notes = labelled_file(options.data, hypothesis, form_of(folder, hypothesis, names))
        sample, seen, left_out = judged(given, recall(folder))
        note = "; ".join([f"{len(sample.y)} samples of {options.data}{left_out}", *notes])
    if unfinished:
        console_of().print(unfinished, soft_wrap=True)
    if sample.y.ndim > 1:
        _evaluate_targets(hypothesis, sample, names, note, seen)
        return 0
    scored = scores(hypothesis, sample.x)
    found = risk.risk_of_errors(int(np.sum(decisions(scored) != sample.y)), len(sample.y))
    note += by_chance(scored)
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


def _evaluate_targets(
    hypothesis: Hypothesis, sample: Sample, names: tuple[str, ...], note: str, seen: str | None
) -> None:
    """Print what is known about predictions of values, or about labels."""
    predicted = predict_all(hypothesis, sample.x)
    if sample.y.dtype.kind == "f":
        found = [
            risk.value_risk(*pair) for pair in zip(predicted.T.astype(float), sample.y.T.astype(float), strict=True)
        ]
        lines = [f"{name}: {one}" for name, one in zip(names, found, strict=True)]
    else:
        of_labels = risk.label_risk(predicted, sample.y)
        own = zip(names, of_labels.labels, strict=True)
        lines = [str(of_labels), *(f"{name}: {one}" for name, one in own)]
    console = console_of()
    for line in lines:
        console.print(line, soft_wrap=True)
    rest = f": {seen}, so this is no estimate of how the network does on other data." if seen else "."
    console.print(f"On {note}{rest}", soft_wrap=True)


def predict(options: Predict) -> int:
    """Classify the samples in files, or predict their values or labels."""
    keep_compiled_programs()
    if not options.files:
        raise SnnlearnError("predict: no file was given; give at least one after the run")
    if options.out is not None:
        check_kind(options.out)
    folder = RunFolder.open(options.run, allow=options.allow)
    hypothesis, names, note = learned(folder)
    form = form_of(folder, hypothesis, names)
    read = [read_for(path, hypothesis, form) for path in options.files]
    inputs = [one.x for one in read]
    for path, x in zip(options.files, inputs, strict=True):
        check_values(hypothesis, x, str(path))
    scored = np.concatenate([scores(hypothesis, x) for x in inputs])
    task = hypothesis.decoder.task
    about = {
        "files": [str(path) for path, x in zip(options.files, inputs, strict=True) for _ in x],
        "samples": [number for x in inputs for number in range(len(x))],
        "names": list(names) or [str(number) for number in range(hypothesis.network.out_shape[0])],
    }
    if task == "classification":
        found = Predictions(**about, classes=decisions(scored), scores=scored)
    else:
        found = TargetPredictions(**about, values=scored, labels=task == "multi-label")
    console = console_of()
    console.print(found.table())
    for said in (*([note] if note else []), *dict.fromkeys(said for one in read for said in one.notes)):
        console.print(said, soft_wrap=True)
    if options.out is not None:
        found.write(options.out)
        console.print(f"Predictions: {options.out}", soft_wrap=True)
    return 0


def learned(folder: RunFolder) -> tuple[Hypothesis, tuple[str, ...], str]:
    """The hypothesis of a run, the names of its classes and, of a training that was stopped, how far it has come."""
    if (folder.path / "model.npz").exists() or not (folder.path / "checkpoint.npz").exists():
        return *folder.load(), ""
    options = folder.options()
    experiment, fresh = prepare(options, data_of(folder))
    training = folder.last(fresh)
    best = int(np.lexsort((np.asarray(training.best_loss), np.asarray(training.best_errors)))[0])
    note = (
        f"The training is not finished: this is the best network of {int(training.epoch[0])} of {options.counts()[0]} "
        f"epochs. Go on with {folder.resume_command()}"
    )
    return experiment.hypotheses(training)[best], experiment.data.output_names, note


def by_chance(scored: np.ndarray) -> str:
    """The number of ties, as the end of a sentence; empty if none."""
    tied = int(ties(scored).sum())
    return f"; {tied} of the decisions ({tied / len(scored):.1%}) are between equal scores, made by chance" * bool(tied)


def form_of(folder: RunFolder, hypothesis: Hypothesis, names: tuple[str, ...]) -> Form:
    """How the data of a run were read; its seen.npz knows, and for events the network does."""
    form = recall(folder).form if (folder.path / "seen.npz").is_file() else Form()
    encoder, in_shape = hypothesis.encoder, hypothesis.network.in_shape
    names = names or tuple(map(str, range(hypothesis.network.out_shape[0])))
    if hypothesis.decoder.task != "classification":
        form, names = form._replace(targets=form.targets or names, task=hypothesis.decoder.task), ()
    if not encoder.takes_spikes or len(in_shape) != 1:
        return form._replace(class_names=names)
    grid, shape = form.grid or in_shape, (encoder.num_steps, *in_shape)
    return form._replace(class_names=names, grid=grid, shape=shape, dt=encoder.dt)


def read_for(path: Path, hypothesis: Hypothesis, form: Form) -> Read:
    """A file in the form that the network takes.

    Raises:
        SnnlearnError: if it holds events and the network takes none, or does not fit.
    """
    if hypothesis.encoder.takes_spikes or not holds_events(path):
        read = read_like(path, form)
        if why_not_ended(hypothesis.encoder, hypothesis.decoder, read.x) is not None:
            read = read._replace(x=held(read.x))
        return read
    raise SnnlearnError(f"{path} holds events, but the network was trained on values; give a file of values")


def check_values(hypothesis: Hypothesis, x: np.ndarray, where: str) -> None:
    """Refuse values that the network's code would silently clip, such as grey levels 0 … 255."""
    encoder, x = hypothesis.encoder, filled(x, 0)
    if encoder.takes_spikes:
        if not np.all((x == 0) | (x == 1)):
            raise SnnlearnError(f"{where}: values from {x.min()} to {x.max()}, but the network takes spikes, 0 or 1")
    elif encoder.range in (None, (0.0, 1.0)) and not 0 <= x.min() <= x.max() <= 1:
        raise SnnlearnError(
            f"{where}: values from {x.min()} to {x.max()}, but the network was trained on [0, 1]; scale them"
        )


def encode(options: Encode) -> int:
    """Show one input in each code."""
    options.check()
    keep_compiled_programs()
    return encode_one_input(options, console_of())
