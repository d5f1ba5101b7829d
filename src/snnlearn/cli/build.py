"""From options to objects."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn import coding, data, losses, network, rules
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.algorithms import Devices, Experiment, GradientDescent, Optimizer, constant, cosine
from snnlearn.algorithms.devices import ONE_DEVICE
from snnlearn.circuits import Chip, ForChips
from snnlearn.cli.axis import is_own
from snnlearn.cli.choices import CHIPS, CODES, DATA, LOSSES, NEURONS, ON_TOP, OPTIMIZERS, READOUTS, RULES
from snnlearn.cli.networks import artificial, decoder_of, of_sequences, readout_of, structure
from snnlearn.cli.options import TIME_UNITS, Data, Encode, Train, axes
from snnlearn.data import Dataset
from snnlearn.data.formats import format_of
from snnlearn.model_file import load


def own_classes(options: Train) -> tuple[type[eqx.Module], ...]:
    """The classes that a run's model may contain besides this library's: those of the modules in its options."""
    chosen = [(axis, getattr(options, option)) for option, axis in axes(type(options)).items()]
    classes = [axis.load(name) for axis, name in chosen if name is not None and is_own(name)]
    found = [thing for cls in classes for thing in vars(sys.modules[cls.__module__]).values()]
    return tuple(cls for cls in found if isinstance(cls, type) and issubclass(cls, eqx.Module))


def dataset(options: Train) -> Dataset:
    """The data that the options name; samples that the algorithm sees are not in the test part."""
    return everything(options).unseen()


def chip(name: str, values: Mapping[str, Any]) -> Chip:
    """The kind of chip that a name stands for.

    Args:
        name: one of the table, or `module:function` of one's own.
        values: options by name, for its arguments.

    Raises:
        SnnlearnError: if there is no such function, or it gives something else.
    """
    made = CHIPS.build(name, values)
    if not isinstance(made, Chip):
        raise SnnlearnError(f"{name} gave {shown(made)}; return a snnlearn.circuits.Chip")
    return made


def everything(options: Train) -> Dataset:
    """The data that the options name, all of it."""
    for option in ("horizon", "delay"):
        taken = options.data in DATA.choices and DATA.takes(options.data, option)
        if getattr(options, option) is not None and not taken:
            raise SnnlearnError(f"--{option} has no effect on --data {options.data}; drop it")
    if options.data in DATA.choices:
        task = DATA.build(options.data, vars(options) | window(options) | {"after_42": 42 + options.split_seed})
        if options.task not in (None, task.task):
            raise SnnlearnError(f"--task is {options.task}, but {options.data} is {task.task}; drop it")
        return _weighted(options, _sequence(options, task))
    split = {"validation": options.validation, "test": options.test, "seed": options.split_seed}
    path = Path(options.data)
    if not path.exists() and format_of(path) is None:
        raise SnnlearnError(f"--data is {options.data!r}; give one of {', '.join(DATA.choices)}, or {DATA.others}")
    return _weighted(options, _sequence(options, data.load(path, **asked(options), **split)))


def _sequence(options: Train, task: Dataset) -> Dataset:
    """Images as a series, if that is asked for, or the network is for sequences."""
    match options.sequence:
        case None if options.start is None and of_sequences(options) and _is_images(task):
            note = f"{options.neuron} learns sequences, so that images are shown row by row, as by --sequence rows."
            rows = data.sequential(task, by="rows")
            return replace(rows, notes=(*rows.notes, note))
        case None:
            return task
        case "permuted":
            return data.sequential(task, permutation=options.split_seed)
        case by:
            return data.sequential(task, by=by)


def _is_images(task: Dataset) -> bool:
    return task.structure == "image" and len(task.shape) == 2


def _weighted(options: Train, task: Dataset) -> Dataset:
    if options.class_weight is None:
        return task
    if task.num_classes is None:
        raise SnnlearnError(f"--class-weight balances classes, but the task of {task.name} is {task.task}; drop it")
    return task.balanced()


def only_classes(task: Dataset, command: str) -> None:
    """Refuse a task without classes.

    Raises:
        SnnlearnError: naming the command, which counts errors.
    """
    if task.num_classes is None:
        raise SnnlearnError(
            f"{command} counts errors of classes, but the task of {task.name} is {task.task}; train, predict, evaluate "
            "and risk take it"
        )


def asked(options: Train | Data) -> dict[str, Any]:
    """What the options say about a file of data."""
    return {
        "label": options.label,
        "task": options.task,
        "group": options.group,
        "time_unit": None if options.time_unit is None else TIME_UNITS[options.time_unit],
        "num_steps": options.num_steps,
        "dt": 1e-3 if options.dt is None and options.num_steps is None else options.dt,
    }


def window(options: Any) -> dict[str, Any]:
    """Number and length of time steps, for data that are not recordings; one for artificial networks."""
    usual = 1 if artificial(options) else 20
    return {
        "num_steps": usual if options.num_steps is None else options.num_steps,
        "dt": 1e-3 if options.dt is None else options.dt,
    }


def experiment(options: Train, task: Dataset, *, devices: Devices = ONE_DEVICE) -> Experiment[GradientDescent]:
    """All that the options name: data, encoder, network, algorithm and seeds.

    Args:
        options: of a training, with all that the data decide.
        task: the data.
        devices: which share the training.
    """
    keys = jax.vmap(jax.random.key)(np.arange(options.seed, options.seed + options.seeds))
    if options.start is not None:
        return _continued(options, task, keys, devices)
    code = encoder(options, task)
    learner = replace(algorithm(options, task, code.dt), devices=devices)
    return Experiment(task, code, structure(options, task, code), learner, keys)


def _continued(options: Train, task: Dataset, keys: jax.Array, devices: Devices) -> Experiment[GradientDescent]:
    """A training that begins with a network there is."""
    assert options.start is not None
    path = options.start / "model.npz"
    if not path.is_file():
        raise SnnlearnError(f"--start is {options.start}, which has no model.npz; give the folder of a finished run")
    start, _ = load(path, allow=own_classes(options))
    size = math.prod(start.encoder.out_shape(task.shape))
    takes, gives = math.prod(start.network.in_shape), math.prod(start.network.out_shape)
    if (takes, gives, start.decoder.task) != (size, task.num_outputs, task.task):
        what = {"classification": "classes", "regression": "values", "multi-label": "labels"}
        raise SnnlearnError(
            f"--start: its network takes {takes} inputs and gives {gives} {what[start.decoder.task]}, and {task.name} "
            f"has {size} and {task.num_outputs} {what[task.task]}; give data of the same kind"
        )
    learner = algorithm(options, task, start.network.dt, units=start.decoder)
    learner = replace(learner, initialisation=network.AsGiven(), devices=devices)
    return Experiment(task, start.encoder, start.network, learner, keys)


def encoder(options: Train, task: Dataset) -> coding.AbstractEncoder:
    """The encoder of the task's samples."""
    if task.kind == "spikes":
        if options.encode is not None or options.series:
            option = f"--encode {options.encode}" if options.encode is not None else "--series"
            raise SnnlearnError(f"{option}: {task.name} already is spikes; drop it")
        return coding.Spikes(num_steps=task.train.x.shape[1], dt=task.dt)
    if task.ends and not options.series:
        parts = {name: getattr(task, name)._replace(x=data.held(getattr(task, name).x)) for name in PARTS}
        return coding.HoldLast(_scaled(code_of(options, task), options, replace(task, **parts)))
    return _scaled(code_of(options, task), options, task)


PARTS = ("train", "validation", "test")


def code_of(options: Train, task: Dataset) -> coding.AbstractEncoder:
    """The code of the task's values, once they are scaled."""
    return coder(options.encode or "current", options, task.shape[0] if options.series else None)


def _scaled(code: coding.AbstractEncoder, options: Train, task: Dataset) -> coding.AbstractEncoder:
    if options.scale == "none":
        return code
    if options.scale in (None, "all") or (options.scale == "range" and np.ndim(task.low)):
        low, high = task.low, task.high
        if options.scale == "all":  # whose range may be known without the data, as of an image's bytes
            low, high = float(np.min(low)), float(np.max(high))
        unscaled = np.all(low == 0.0) and np.all(high == 1.0)
        return code if unscaled else coding.Rescaled(code, low, high)
    # Frames come one after the other to the same units, so that all frames of a channel share its scale.
    return _SCALINGS[options.scale].learned(code, task.train.x, axis=(0, 1) if options.series else 0)


_SCALINGS = {
    "range": coding.RangeScaling(),
    "standard": coding.StandardScaling(),
    "centred": coding.CentredScaling(),
    "quantile": coding.QuantileScaling(),
}


def coder(name: str, options: Train | Encode, frames: int | None = None) -> coding.AbstractEncoder:
    """The code of this name, of values in [0, 1].

    Args:
        name: the code.
        options: its parameters.
        frames: how many frames a signal has; None for samples that do not change over time.
    """
    of_changes = CODES.load(name).of_changes
    if of_changes and frames is None:
        raise SnnlearnError(
            f"{name} encodes changes over time; give --series if the data's first axis is time, or another code"
        )
    code = CODES.build(name, _of_code(name, options, frames))
    return code if frames is None or of_changes else coding.Framewise(code, frames)


def _of_code(name: str, options: Train | Encode, frames: int | None) -> dict[str, Any]:
    values = vars(options) | window(options) | {"frames": frames}
    if CODES.takes(name, "on_top"):
        # There a neuron that fits a value badly is to be silent.
        silent_up_to = 0.1 if options.latency_threshold is None else options.latency_threshold
        on_top = values | {"latency_threshold": silent_up_to}
        values["on_top"] = ON_TOP.build(options.population_code, on_top)
    return values


def _loss_of(options: Train, task: str) -> str:
    """The loss that is given, or the rule's, or what plays the part of the rule's in this task.

    Raises:
        SnnlearnError: it is a loss of another task, or nothing does.
    """
    if (name := options.loss) is not None:
        if LOSSES[name].task not in (None, task):
            fitting = ", ".join(name for name, one in LOSSES.choices.items() if one.task == task)
            raise SnnlearnError(f"--loss {name} is for {LOSSES[name].task}, but the task is {task}; give {fitting}")
        return name
    usual = LOSSES.name_of(RULES.load(options.rule).usual_loss)
    if task == "classification":
        return usual
    playing = [name for name, one in LOSSES.choices.items() if one.task == task and one.in_place_of == usual]
    if not playing:
        raise SnnlearnError(
            f"--rule {options.rule} learns classes, by {usual}, but the task is {task}; use another rule, such as bptt"
        )
    return playing[0]


def algorithm(
    options: Train, task: Dataset, dt: float, *, units: coding.AbstractDecoder | None = None
) -> GradientDescent:
    """How to train.

    Args:
        options: of the training.
        task: the data.
        dt: the time step.
        units: a decoder in whose units values are predicted; None for those of the training sample.
    """
    epochs, batch_size = options.counts()
    return GradientDescent(
        loss=_loss(options, task, dt, units),
        rule=rule(options, dt),
        optimizer=_optimizer(options),
        initialisation=_initialisation(options),
        epochs=epochs,
        batch_size=batch_size,
        steps_per_update=options.steps_per_update,
    )


def _initialisation(options: Train) -> network.AbstractInitialisation:
    if NEURONS[options.neuron].redrawn:
        return network.Redrawn()
    return network.FluctuationDriven(xi=options.xi, band=_BAND)


_BAND = (0.005, 0.2)
"""Spikes per step of each hidden unit at the start."""


def rule(options: Train, dt: float) -> rules.AbstractRule:
    """The learning rule."""
    values = vars(options) | {
        "pairs": max(2, options.draws),
        "random_feedback": rules.RandomFeedback(jax.random.key(options.seed)),
        "dt": dt,
    }
    found = RULES.build(options.rule, values)
    if options.chip is not None:
        return ForChips(found, chip(options.chip, values), options.chips)
    if options.mismatch is not None:
        raise SnnlearnError("--mismatch is that of a chip; give its kind, too, such as --chip ideal")
    return found


def training(options: Train, changes: dict[str, Any], *, several_rules: bool) -> Train:
    """One of a command's trainings.

    Args:
        options: of the command.
        changes: what is different in this training.
        several_rules: whether others have other rules. Then the loss is that of each step, which every rule takes,
            where none is given and the readout has it.
    """
    one = Train(**{field.name: getattr(options, field.name) for field in fields(Train)} | changes)
    if several_rules and one.loss is None and readout_of(one) == "mean":
        return replace(one, loss=_STEPWISE[one.task or "classification"])
    return one


_STEPWISE = {
    "classification": "stepwise-cross-entropy",
    "regression": "stepwise-squared-error",
    "multi-label": "stepwise-label-cross-entropy",
}


def default_loss(options: Train) -> str:
    """The default loss of a rule."""
    return _loss_of(replace(options, loss=None), options.task or "classification")


def _loss(options: Train, task: Dataset, dt: float, units: coding.AbstractDecoder | None) -> losses.AbstractLoss:
    readout, name = readout_of(options), _loss_of(options, task.task)
    if (needed := LOSSES.load(name).decides_by) is not None and READOUTS.load(readout) is not needed:
        raise SnnlearnError(
            f"--loss {name} is only for decisions by {needed.__name__}; use --readout {READOUTS.name_of(needed)}"
        )
    values = {"decoder": decoder_of(options, task, dt), "num_classes": task.num_classes, "dt": dt}
    if task.num_classes is None:
        if values["decoder"].reads_spikes:
            raise SnnlearnError(
                f"--readout {readout} reads spikes, whose scores have one sign, but the task is {task.task}; use mean, "
                "max or last"
            )
        values |= _of_targets(values["decoder"], task)
        if units is not None:
            values["decoder"] = units.deciding_by(READOUTS.build(readout, {"dt": dt}))
    if LOSSES.takes(name, "distance"):
        values["distance"] = _distance(name, dt)
    loss = LOSSES.build(name, values)
    if options.rate_band is not None:
        loss = loss + options.rate_band_weight * losses.RateBand(
            low=options.rate_band[0], high=options.rate_band[1], dt=dt
        )
    return loss


def _of_targets(decoder: coding.AbstractDecoder, task: Dataset) -> dict[str, Any]:
    """The decoder of labels; or of values in their own units, and what counts as an error of 1 in each."""
    if task.task == "multi-label":
        return {"decoder": coding.EachLabel(decoder)}
    y = task.train.y.astype(np.float64)
    mean, scale = y.mean(axis=0).astype(np.float32), y.std(axis=0).astype(np.float32)
    return {"decoder": coding.InUnits(decoder, mean, scale), "scale": jnp.asarray(scale)}


def _distance(name: str, dt: float) -> losses.AlphaVanRossum:
    rises_in = 5e-3  # s, as in the paper
    if dt > rises_in:
        raise SnnlearnError(
            f"--loss {name} filters spikes by a kernel that rises in {rises_in} s, but a step lasts {dt} s; choose "
            f"dt at most {rises_in}, or another loss or rule"
        )
    return losses.AlphaVanRossum(tau_rise=rises_in, dt=dt)


def _optimizer(options: Train) -> Optimizer:
    name, rate = options.optimizer or "adam", options.step_size()
    schedule = cosine if options.schedule == "cosine" else constant
    arguments = OPTIMIZERS.arguments(name, vars(options))
    del arguments["learning_rate"]  # which it gives each time, by schedule and size of the weights
    return Optimizer(OPTIMIZERS.load(name), rate, schedule=schedule, clip=options.clip_gradient, arguments=arguments)
