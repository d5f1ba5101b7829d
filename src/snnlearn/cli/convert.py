"""From an artificial to a spiking network."""

from __future__ import annotations

import dataclasses
import shlex

import jax
import jax.numpy as jnp
import numpy as np

from snnlearn import conversion, neurons, report
from snnlearn.cli import build
from snnlearn.cli.choices import CONVERSIONS
from snnlearn.cli.commands import console_of, keep_compiled_programs
from snnlearn.cli.convert_source import Given, given
from snnlearn.cli.folders import new_folder
from snnlearn.cli.options import Convert
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import remember
from snnlearn.conversion.hypothesis import artificial_inputs
from snnlearn.conversion.run import coding_error
from snnlearn.conversion.sources import verify
from snnlearn.hypothesis import Hypothesis, decisions, encode, predict, scores
from snnlearn.model_file import save
from snnlearn.report.conversion import ConversionSummary, conversion_report
from snnlearn.report.conversion_errors import Errors
from snnlearn.report.conversion_values import Values
from snnlearn.report.measure import multiply_accumulates, operations
from snnlearn.report.value_baseline import value_baselines
from snnlearn.risk import relative_errors

_PROBE = 128
_VERIFIED = 16
_MUCH = 0.25
"""Of the input's power a sixteenth."""


def convert(options: Convert) -> int:
    """Read, convert, measure, and write a folder."""
    options.check()
    keep_compiled_programs()
    console = console_of()
    with new_folder(options.out, f"converted-{options.source.stem}") as path:
        with console.status("Reading"):
            found = given(options)
        with console.status("Converting"):
            spiking, converted = _converted(options, found)
        with console.status("Measuring the risk"):
            summary = _measured(options, found, spiking, converted)
        folder = RunFolder.create(path, found.options)
        remember(folder, found.task)
        folder.begin()
        save(spiking, path / "model.npz", class_names=found.task.output_names)
        console.print(f"Conversion: {path}", soft_wrap=True)
        report.present(conversion_report(summary), path, console)
    return 0


def _converted(options: Convert, found: Given) -> tuple[Hypothesis, conversion.Converted]:
    method = CONVERSIONS.build(options.method, vars(options))
    code = None
    if options.encode not in (None, "current"):
        code = build.coder(options.encode, options)  # pyright: ignore[reportArgumentType]
    return conversion.convert_hypothesis(
        found.hypothesis,
        method,
        found.task.train.x[: options.samples] if method.needs_data else None,
        num_steps=options.num_steps,
        code=code,
        reset=neurons.ToValue() if options.reset == "zero" else neurons.Subtract(),
    )


def _measured(
    options: Convert, found: Given, spiking: Hypothesis, converted: conversion.Converted
) -> ConversionSummary:
    task, net = found.task, found.hypothesis.network
    some = artificial_inputs(found.hypothesis.encoder, task.validation.x[: 2 * _PROBE])
    check = None
    if found.read is not None and found.read.reference is not None:
        difference = verify(found.read, some[:_VERIFIED])
        check = (difference or 0.0, found.read.reference.software)
    steps = sorted({*(2**n for n in range(options.num_steps.bit_length())), options.num_steps})
    inputs = encode(spiking.encoder, jnp.asarray(task.validation.x[:_PROBE]), key=jax.random.key(0))
    counted = operations(spiking.network, spiking.encoder, inputs)
    plan = converted.plan
    told = coding_error(converted.encoder, plan.input_scale, some, offset=plan.input_offset)
    populations = zip(plan.populations, converted.settings.populations, strict=True)
    method = type(converted.method).__name__
    return ConversionSummary(
        title=f"{task.name} · {options.source.name} · {method} · {options.num_steps} steps",
        method=repr(converted.method),
        notes=(*task.notes, *found.notes, *(found.read.notes if found.read else ())),
        warnings=(*conversion.check_alive(converted, some), *_of_code(told, options)),
        outcome=(_values if task.task == "regression" else _errors)(found, spiking, steps),
        layers=conversion.compare_layers(converted, some),
        code=options.encode or "current",
        coding_error=told,
        scales={population.name: setting.scale for population, setting in populations},
        synops=float(counted.synops),
        macs=float(counted.macs),
        source_macs=float(multiply_accumulates(net)),
        check=check,
        reproduce=_command(options),
    )


def _of_code(error: float, options: Convert) -> list[str]:
    """What to do about a code that tells little of the input."""
    if error < _MUCH:
        return []
    return [
        f"The means of the {options.encode} code are off by {error:.0%} of the input, before any layer: give more "
        "steps, a higher --max-rate, or --encode current."
    ]


def _command(options: Convert) -> str:
    """The command line, with what is not a default."""
    words = ["snnlearn", "convert", str(options.source)]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name in ("source", "out") or value == field.default:
            continue
        option = field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)


def _errors(found: Given, spiking: Hypothesis, steps: list[int]) -> Errors:
    """Wrong decisions of both networks; the test sample is used here, once by each."""
    task = found.task
    samples = {"validation": task.validation, "test": task.test}
    scored = {part: conversion.scores_over_time(spiking, one.x, tuple(steps)) for part, one in samples.items()}
    wrong = {
        part: np.stack([decisions(scored[part][:, n]) != one.y for n in range(len(steps))])
        for part, one in samples.items()
    }
    artificial = {part: decisions(scores(found.hypothesis, one.x)) != one.y for part, one in samples.items()}
    return Errors(
        steps=steps,
        validation_errors=[int(one.sum()) for one in wrong["validation"]],
        validation_size=len(task.validation.y),
        artificial_validation_errors=int(artificial["validation"].sum()),
        wrong=wrong["test"],
        artificial_wrong=artificial["test"],
    )


def _values(found: Given, spiking: Hypothesis, steps: list[int]) -> Values:
    """Predictions of both networks, and of plain methods; the test sample is used here, once by each."""
    task = found.task
    scale = task.train.y.astype(float).std(axis=0)
    validated = conversion.scores_over_time(spiking, task.validation.x, tuple(steps))
    predicted = conversion.scores_over_time(spiking, task.test.x, tuple(steps)).astype(float)
    truth = task.test.y.astype(float)

    def loss(predictions: np.ndarray) -> float:
        return float(relative_errors(predictions, task.validation.y, scale).mean())

    return Values(
        steps=steps,
        names=task.output_names,
        scale=scale,
        truth=truth,
        predicted=predicted,
        artificial=predict(found.hypothesis, task.test.x).astype(float),
        validation_losses=[loss(validated[:, n]) for n in range(len(steps))],
        artificial_validation_loss=loss(predict(found.hypothesis, task.validation.x)),
        baselines=value_baselines(task, relative_errors(predicted[:, -1], truth, scale)),
    )
