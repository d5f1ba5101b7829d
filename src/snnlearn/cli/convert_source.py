"""What is converted: a run, or a file of other software, and the data that it was trained on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snnlearn import network
from snnlearn._errors import SnnlearnError
from snnlearn.cli import build
from snnlearn.cli.options import Convert, Train
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of
from snnlearn.coding import AbstractDecoder, InUnits, MeanMembrane
from snnlearn.conversion.sources import (
    AbstractSource,
    Artificial,
    KerasFile,
    OnnxFile,
    PairwiseMaxima,
    Refused,
    Safetensors,
    SkopsFile,
    TorchFile,
)
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.model_file import load
from snnlearn.report.words import percent
from snnlearn.risk import relative_errors

_TRIED = 1024


class Given(NamedTuple):
    """What is converted, and the data.

    Args:
        hypothesis: the artificial one.
        read: what was read from another software's file; None for this library's.
        task: the data.
        options: of a training on these data, for the folder.
        notes: what was assumed, in sentences.
    """

    hypothesis: Hypothesis
    read: Artificial | None
    task: Dataset
    options: Train
    notes: tuple[str, ...] = ()


def given(options: Convert) -> Given:
    """Read what is to be converted."""
    if options.scale is not None and (options.source.is_dir() or options.source.suffix == ".npz"):
        raise SnnlearnError(
            f"--scale {options.scale}: the network of {options.source} scales its input itself; drop it"
        )
    if options.source.is_dir():
        folder = RunFolder.open(options.source, allow=options.allow)
        hypothesis, _ = folder.load()
        if options.data is None:
            base = dataclasses.replace(folder.options(), num_steps=options.num_steps)
            return _fitting(Given(hypothesis, None, data_of(folder), base), options)
        return _fitting(Given(hypothesis, None, *_task(options)), options)
    task, training = _task(options)
    if options.source.suffix == ".npz":
        hypothesis, names = load(options.source, allow=build.own_classes(training))
        _check_classes(options, names, task)
        return _fitting(Given(hypothesis, None, task, training), options)
    read = _source(options, task).read()
    _check_classes(options, read.class_names, task)
    return _elsewhere(read, task, training, options)


def _task(options: Convert) -> tuple[Dataset, Train]:
    """The data that the options name, and the options of a training on them."""
    if options.data is None:
        raise SnnlearnError(f"convert {options.source} needs --data: what the network was trained on")
    shared = {field.name for field in dataclasses.fields(Train)} & set(vars(options))
    values = {name: getattr(options, name) for name in shared - {"layers", "reset", "out", "config"}}
    training = Train(**values)
    task = build.dataset(training)
    if task.kind == "spikes":
        raise SnnlearnError(f"convert: {task.name} is spikes, which no artificial network takes; give data of values")
    return task, training


def _source(options: Convert, task: Dataset) -> AbstractSource:
    path = options.source
    kinds = {".onnx": OnnxFile, ".keras": KerasFile, ".h5": KerasFile, ".hdf5": KerasFile}
    if path.suffix in kinds:
        return kinds[path.suffix](path, PairwiseMaxima() if options.max_pooling == "pairwise" else Refused())
    if path.suffix == ".skops":
        return SkopsFile(path)
    weights: dict[str, Callable[[Path, network.Network], AbstractSource]] = {
        ".safetensors": Safetensors,
        ".pt": TorchFile,
        ".pth": TorchFile,
    }
    if path.suffix in weights:
        return weights[path.suffix](path, _architecture(options, task))
    if path.suffix in (".pkl", ".pickle", ".joblib"):
        raise SnnlearnError(
            f"{path} is a pickle, which can execute anything when it is opened; where you trust it, make a safe file "
            f"of it: mlp = joblib.load({path.name!r}); skops.io.dump(mlp, {path.with_suffix('.skops').name!r})"
        )
    raise SnnlearnError(
        f"{path} is no source that is known; give a run folder, or a file .npz, .onnx, .keras, .h5, .skops, "
        ".safetensors or .pt"
    )


def _architecture(options: Convert, task: Dataset) -> network.Network:
    """The network that a file of weights is filled into."""
    if not options.layers:
        raise SnnlearnError(f"{options.source} holds weights alone; give the hidden layers by --layers, as in train")
    training = Train(layers=options.layers, neuron="rectifier", bias=True)
    code = build.encoder(dataclasses.replace(training, num_steps=1, scale="none"), task)
    return build.structure(dataclasses.replace(training, batch_size=1, epochs=1), task, code)


def _check_classes(options: Convert, names: tuple[str, ...], task: Dataset) -> None:
    """Refuse classes in another order, which would all be taken for others."""
    if names and task.class_names and names != task.class_names:
        raise SnnlearnError(
            f"{options.source} decides between {', '.join(names)}, and the classes of {task.name} are "
            f"{', '.join(task.class_names)}; give the data that it was trained on"
        )


def _elsewhere(read: Artificial, task: Dataset, training: Train, options: Convert) -> Given:
    """A network of other software, with the scaling of its input, which no file tells.

    Raises:
        SnnlearnError: if it does not fit the data.
    """
    decoder: AbstractDecoder = InUnits(MeanMembrane()) if task.task == "regression" else MeanMembrane()
    if task.structure == "image" and float(np.max(task.high)) > 127:
        task = dataclasses.replace(task, low=0.0, high=255.0)  # bytes, whether or not the sample has all of them

    def scaled(scale: str) -> Given:
        chosen = dataclasses.replace(training, scale=scale)
        encoder = build.encoder(dataclasses.replace(chosen, encode=None, num_steps=1), task)
        return Given(Hypothesis(encoder, read.network, decoder), read, task, chosen)

    _fitting(scaled("none"), options)
    if training.scale is not None:
        return scaled(training.scale)
    if task.structure == "image":
        within = bool(np.min(task.low) >= 0 and np.max(task.high) <= 1)
        names = ("none",) if within else ("none", "all")
    else:
        names = ("none", "range", "standard")
    some = Sample(task.train.x[:_TRIED], task.train.y[:_TRIED])
    losses = {name: _loss(scaled(name).hypothesis, some, task) for name in names}
    best = min(losses, key=lambda name: losses[name])
    what = "errs least" if task.task == "classification" else "has the least squared error"
    of = percent if task.task == "classification" else "{:.3g}".format
    others = "; ".join(f"{name}: {of(loss)}" for name, loss in losses.items())
    note = f"Inputs are scaled by --scale {best}, with which the network {what} on training samples ({others})."
    return scaled(best)._replace(notes=(note,) if len(names) > 1 else ())


def _loss(hypothesis: Hypothesis, sample: Sample, task: Dataset) -> float:
    predicted = predict(hypothesis, sample.x)
    if task.task == "classification":
        return float(np.mean(predicted != sample.y))
    return float(relative_errors(predicted, sample.y, task.train.y.astype(float).std(axis=0)).mean())


def _fitting(found: Given, options: Convert) -> Given:
    """Refuse data of another kind than the network's."""
    net, task = found.hypothesis.network, found.task
    if task.task == "multi-label":
        raise SnnlearnError(
            f"convert measures classes or values, but the task of {task.name} is multi-label; use "
            "snnlearn.conversion.convert_hypothesis in Python"
        )
    shape, takes = found.hypothesis.encoder.out_shape(task.shape), net.in_shape
    what = f"{task.num_classes} classes" if task.num_classes else f"{task.num_outputs} values"
    if math.prod(shape) != math.prod(takes) or math.prod(net.out_shape) != task.num_outputs:
        raise SnnlearnError(
            f"{options.source} takes {math.prod(takes)} inputs and gives {math.prod(net.out_shape)} scores, but "
            f"{task.name} has {math.prod(shape)} and {what}; give the data that it was trained on"
        )
    if found.hypothesis.decoder.task != task.task:
        raise SnnlearnError(
            f"{options.source} was trained for {found.hypothesis.decoder.task}, but the task of {task.name} is "
            f"{task.task}; give the data that it was trained on"
        )
    one, other = (tuple(side for side in sides if side > 1) for sides in (shape, takes))
    if one != other and len(one) > 1 and len(other) > 1:
        raise SnnlearnError(
            f"{options.source} takes inputs of shape {list(takes)}, and those of {task.name} are {list(shape)}; move "
            "the axes of the data, such as by numpy.moveaxis(x, -1, 1)"
        )
    return found
