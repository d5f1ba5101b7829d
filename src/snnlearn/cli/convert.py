"""From an artificial to a spiking network."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from snnlearn import conversion, network, neurons, report
from snnlearn._errors import SnnlearnError
from snnlearn.cli import build
from snnlearn.cli.by_data import scale_of
from snnlearn.cli.choices import CONVERSIONS
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.folders import new_folder
from snnlearn.cli.options import Convert, Train
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of, remember
from snnlearn.coding import MeanMembrane
from snnlearn.conversion.hypothesis import artificial_inputs
from snnlearn.conversion.run import coding_error
from snnlearn.conversion.sources import (
    AbstractSource,
    Artificial,
    KerasFile,
    OnnxFile,
    Safetensors,
    TorchFile,
    verify,
)
from snnlearn.data import Dataset
from snnlearn.hypothesis import Hypothesis, decisions, encode, scores
from snnlearn.model_file import load, save
from snnlearn.report.conversion import ConversionSummary, conversion_report
from snnlearn.report.measure import multiply_accumulates, operations

_PROBE = 128
_VERIFIED = 16


class _Given(NamedTuple):
    """What is converted, and the data.

    Args:
        hypothesis: the artificial one.
        read: what was read from another software's file; None for this library's.
        task: the data.
        options: of a training on these data, for the folder.
    """

    hypothesis: Hypothesis
    read: Artificial | None
    task: Dataset
    options: Train


def convert(options: Convert) -> int:
    """Read, convert, measure, and write a folder."""
    options.check()
    keep_compiled_programs()
    console = console_of()
    with new_folder(options.out, f"converted-{options.source.stem}") as path:
        with console.status("Reading"):
            given = _given(options)
        with console.status("Converting"):
            spiking, converted = _converted(options, given)
        with console.status("Measuring the risk"):
            summary = _measured(options, given, spiking, converted)
        folder = RunFolder.create(path, given.options)
        remember(folder, given.task)
        folder.begin()
        save(spiking, path / "model.npz", class_names=given.task.class_names)
        console.print(f"Conversion: {path}", soft_wrap=True)
        report.present(conversion_report(summary), path, console)
    return 0


def _given(options: Convert) -> _Given:
    if options.source.is_dir():
        folder = RunFolder.open(options.source, allow=options.allow)
        hypothesis, _ = folder.load()
        if options.data is None:
            base = dataclasses.replace(folder.options(), num_steps=options.num_steps)
            return _fitting(_Given(hypothesis, None, data_of(folder), base), options)
        return _fitting(_Given(hypothesis, None, *_task(options)), options)
    task, training = _task(options)
    if options.source.suffix == ".npz":
        hypothesis, _ = load(options.source)
        return _fitting(_Given(hypothesis, None, task, training), options)
    read = _source(options, task).read()
    encoder = build.encoder(dataclasses.replace(training, encode=None, num_steps=1), task)
    return _fitting(_Given(Hypothesis(encoder, read.network, MeanMembrane()), read, task, training), options)


def _task(options: Convert) -> tuple[Dataset, Train]:
    """The data that the options name, and the options of a training on them."""
    if options.data is None:
        raise SnnlearnError(f"convert {options.source} needs --data: what the network was trained on")
    shared = {field.name for field in dataclasses.fields(Train)} & set(vars(options))
    values = {name: getattr(options, name) for name in shared - {"layers", "reset", "out", "config"}}
    training = Train(**values)
    task = build.dataset(training)
    build.only_classes(task, "convert")
    if task.kind == "spikes":
        raise SnnlearnError(f"convert: {task.name} is spikes, which no artificial network takes; give data of values")
    if training.scale is None:  # other software gives pixels from 0 to 1
        scale = "all" if task.structure == "image" else scale_of(training, task)
        training = dataclasses.replace(training, scale=scale)
    return task, training


def _source(options: Convert, task: Dataset) -> AbstractSource:
    path, kinds = options.source, {".onnx": OnnxFile, ".keras": KerasFile, ".h5": KerasFile, ".hdf5": KerasFile}
    if path.suffix in kinds:
        return kinds[path.suffix](path)
    weights: dict[str, Callable[[Path, network.Network], AbstractSource]] = {
        ".safetensors": Safetensors,
        ".pt": TorchFile,
        ".pth": TorchFile,
    }
    if path.suffix in weights:
        return weights[path.suffix](path, _architecture(options, task))
    if path.suffix in (".pkl", ".pickle", ".joblib"):
        raise SnnlearnError(
            f"{path} is a pickle, which can execute anything when it is opened; in Python, give "
            "snnlearn.conversion.FittedMLP(estimator).read().network to snnlearn.save as part of a Hypothesis, and "
            "convert that model.npz"
        )
    raise SnnlearnError(
        f"{path} is no source that is known; give a run folder, or a file .npz, .onnx, .keras, .h5, .safetensors or .pt"
    )


def _architecture(options: Convert, task: Dataset) -> network.Network:
    """The network that a file of weights is filled into."""
    if not options.layers:
        raise SnnlearnError(f"{options.source} holds weights alone; give the hidden layers by --layers, as in train")
    training = Train(layers=options.layers, neuron="rectifier", bias=True)
    code = build.encoder(dataclasses.replace(training, num_steps=1, scale="none"), task)
    return build.structure(dataclasses.replace(training, batch_size=1, epochs=1), task, code)


def _fitting(given: _Given, options: Convert) -> _Given:
    net, task = given.hypothesis.network, given.task
    size, takes = int(np.prod(given.hypothesis.encoder.out_shape(task.shape))), int(np.prod(net.in_shape))
    if size != takes or net.out_shape != (task.num_classes,):
        raise SnnlearnError(
            f"{options.source} takes {takes} inputs and gives {int(np.prod(net.out_shape))} scores, but {task.name} "
            f"has {size} and {task.num_classes} classes; give the data that it was trained on"
        )
    return given


def _converted(options: Convert, given: _Given) -> tuple[Hypothesis, conversion.Converted]:
    method = CONVERSIONS.build(options.method, vars(options))
    code = None
    if options.encode not in (None, "current"):
        code = build.coder(options.encode, options)  # pyright: ignore[reportArgumentType]
    return conversion.convert_hypothesis(
        given.hypothesis,
        method,
        given.task.train.x[: options.samples] if method.needs_data else None,
        num_steps=options.num_steps,
        code=code,
        reset=neurons.ToValue() if options.reset == "zero" else neurons.Subtract(),
    )


def _measured(
    options: Convert, given: _Given, spiking: Hypothesis, converted: conversion.Converted
) -> ConversionSummary:
    task, net = given.task, given.hypothesis.network
    some = artificial_inputs(given.hypothesis.encoder, task.validation.x[: 2 * _PROBE])
    check = None
    if given.read is not None and given.read.reference is not None:
        difference = verify(given.read, some[:_VERIFIED])
        check = (difference or 0.0, given.read.reference.software)
    steps = sorted({*(2**n for n in range(options.num_steps.bit_length())), options.num_steps})
    over_time = {
        part: conversion.scores_over_time(spiking, sample.x, tuple(steps))
        for part, sample in (("validation", task.validation), ("test", task.test))
    }
    wrong = {
        part: np.stack([decisions(scored[:, n]) != sample.y for n in range(len(steps))])
        for (part, scored), sample in zip(over_time.items(), (task.validation, task.test), strict=True)
    }
    artificial = {
        part: decisions(scores(given.hypothesis, sample.x)) != sample.y
        for part, sample in (("validation", task.validation), ("test", task.test))
    }
    inputs = encode(spiking.encoder, jnp.asarray(task.validation.x[:_PROBE]), key=jax.random.key(0))
    counted = operations(spiking.network, spiking.encoder, inputs)
    populations = zip(converted.plan.populations, converted.settings.populations, strict=True)
    method = type(converted.method).__name__
    return ConversionSummary(
        title=f"{task.name} · {options.source.name} · {method} · {options.num_steps} steps",
        method=repr(converted.method),
        notes=(*task.notes, *(given.read.notes if given.read else ())),
        warnings=conversion.check_alive(converted, some),
        steps=steps,
        validation_errors=[int(one.sum()) for one in wrong["validation"]],
        validation_size=len(task.validation.y),
        artificial_validation_errors=int(artificial["validation"].sum()),
        wrong=wrong["test"],
        artificial_wrong=artificial["test"],
        layers=conversion.compare_layers(converted, some),
        coding_error=coding_error(converted.encoder, converted.plan.input_scale, some),
        scales={population.name: setting.scale for population, setting in populations},
        synops=float(counted.synops),
        macs=float(counted.macs),
        source_macs=float(multiply_accumulates(net)),
        check=check,
        reproduce=f"snnlearn convert {shlex.quote(str(options.source))} --method {options.method} --num-steps "
        f"{options.num_steps}",
    )
