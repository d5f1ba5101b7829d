"""A trained network on many chips."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from snnlearn._errors import SnnlearnError
from snnlearn.circuits import Chip, Events, decision_steps, events, risk_over_chips, sensitivities
from snnlearn.circuits import deploy as deploy_on
from snnlearn.cli import build, interrupts
from snnlearn.cli.choices import CHIPS
from snnlearn.cli.commands import console_of, form_of, keep_compiled_programs
from snnlearn.cli.folders import locked
from snnlearn.cli.options import Deploy
from snnlearn.cli.risk import labelled_file
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of, judged, recall
from snnlearn.data import Sample
from snnlearn.hypothesis import Hypothesis, encode, predict
from snnlearn.report.deploy import DeploySummary, deploy_report
from snnlearn.report.files import present

_SENSITIVE = 50
"""Chips on which each effect is switched off, which takes as many evaluations as there are effects."""
_COUNTED = 128
"""Samples whose spikes and operations are counted, for the energy."""
_GOOD = 0.02
"""By how much a good chip may err more than the network as designed, where the user does not say."""


def deploy(options: Deploy) -> int:
    """Measure, print and write a page."""
    options.check()
    keep_compiled_programs()
    folder = RunFolder.open(options.run, allow=options.allow)
    if options.mismatch is not None and "mismatch" not in CHIPS.taken(options.chip):
        raise SnnlearnError(f"--mismatch has no effect on {options.chip}, which has no mismatch; drop it")
    chip = build.chip(options.chip, vars(options))
    out = folder.path if options.out is None else options.out
    with locked(out):
        summary = _measured(options, folder, chip)
        present(deploy_report(summary), out, console_of(), f"{summary.name}.html")
    return 0


def _measured(options: Deploy, folder: RunFolder, chip: Chip) -> DeploySummary:
    hypothesis, names = folder.load()
    trained_on = data_of(folder)
    if trained_on.num_classes is None:
        raise SnnlearnError(f"deploy: {options.run} does not decide between classes, whose errors are what is counted")
    if options.data is None:
        given, source = trained_on.test, "the run's own test sample"
    else:
        given, notes = labelled_file(options.data, hypothesis, form_of(folder, hypothesis, names))
        source = "; ".join([str(options.data), *notes])
    sample, seen, left_out = judged(given, recall(folder))
    if seen:
        source += f", some of which trained the network ({seen}), so that this is no risk"
    designed = predict(hypothesis, sample.x) != sample.y
    keys = jax.random.split(jax.random.key(options.chip_seed), options.chips)
    acting = [effect for effect in chip.effects if effect.applies(hypothesis.network)]
    few = keys[: min(_SENSITIVE, len(keys))]
    with _counting(len(keys) + len(acting) * len(few)) as each:
        risk = risk_over_chips(hypothesis, chip, sample, keys=keys, each=each)
        costs = sensitivities(
            hypothesis, chip, sample, keys=few, with_all=risk, each=each, confidence=options.confidence
        )
    steps = decision_steps(hypothesis, sample.x)
    most = min(1.0, float(np.mean(designed)) + _GOOD) if options.under is None else options.under
    return DeploySummary(
        title=f"{trained_on.name} on {chip.name}",
        chip=chip.name,
        chip_source=chip.source,
        sample=source + left_out,
        designed=designed,
        risk=risk,
        most=most,
        confidence=options.confidence,
        sensitivities=costs,
        sensitive_chips=len(few),
        duration=hypothesis.encoder.num_steps * hypothesis.network.dt,
        decided=None if steps is None else steps * hypothesis.network.dt,
        account=chip.energy.account(_events(hypothesis, chip, sample, keys[0])),
        reproduce=_command(options),
    )


def _events(hypothesis: Hypothesis, chip: Chip, sample: Sample, key: Array) -> Events:
    """What happens on the first of the chips, of some samples."""
    some = jnp.asarray(sample.x[:_COUNTED])
    inputs = encode(hypothesis.encoder, some, key=jax.random.key(0))
    lengths = None if hypothesis.encoder.length(some[0]) is None else jax.vmap(hypothesis.encoder.length)(some)
    return events(deploy_on(hypothesis.network, chip, key=key), hypothesis.encoder, inputs, lengths)


@contextlib.contextmanager
def _counting(total: int) -> Iterator[Callable[[Iterator], Iterator]]:
    """A progress bar over evaluations of one chip; ctrl-C ends between two."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console_of(), transient=True) as progress:
        bar = progress.add_task("Chips", total=total)

        def each(found: Iterator) -> Iterator:
            for one in interrupts.between(found):
                yield one
                progress.advance(bar)

        yield each


def _command(options: Deploy) -> str:
    words = ["snnlearn", "deploy", str(options.run), "--chip", options.chip, "--chips", str(options.chips)]
    words += ["--chip-seed", str(options.chip_seed)]
    for name in sorted(set(CHIPS.taken(options.chip))):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if options.data is not None:
        words += ["--data", str(Path(options.data))]
    return shlex.join(words)
