"""What is known about one trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snnlearn import risk as theory
from snnlearn.cli.commands import by_chance, check_values, console_of, form_of, keep_compiled_programs, read_for
from snnlearn.cli.folders import locked
from snnlearn.cli.options import Risk
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of, judged, recall
from snnlearn.data import Dataset, Form, Sample
from snnlearn.hypothesis import Hypothesis, decisions, predict, scores
from snnlearn.report.files import present
from snnlearn.report.risk import Bound, Calibration, Estimate, KnownRisk, risk_report
from snnlearn.report.target_risk import label_risk_report, value_risk_report
from snnlearn.report.value import Report


def risk(options: Risk) -> int:
    """Measure, print and write a page."""
    options.check()
    keep_compiled_programs()
    folder = RunFolder.open(options.run, allow=options.allow)
    out = folder.path if options.out is None else options.out
    with locked(out):
        return _measure(options, folder, out)


def _measure(options: Risk, folder: RunFolder, out: Path) -> int:
    hypothesis, names = folder.load()
    trained_on = data_of(folder)
    if options.data is None:
        given, source = trained_on.test, "the run's own test sample"
    else:
        given, notes = labelled_file(options.data, hypothesis, form_of(folder, hypothesis, names))
        source = "; ".join([str(options.data), *notes])
    sample, seen, left_out = judged(given, recall(folder))
    console = console_of()
    with console.status("Measuring"):
        if trained_on.num_classes is None:
            found = _of_targets(options, hypothesis, trained_on, sample, source + left_out, seen)
        else:
            found = risk_report(_known(options, hypothesis, trained_on, sample, source + left_out, seen))
    present(found, out, console, "risk.html")
    return 0


def _of_targets(
    options: Risk, hypothesis: Hypothesis, data: Dataset, sample: Sample, source: str, seen: str | None
) -> Report:
    """Of predicted values, or decisions about labels."""
    decided, fitted = predict(hypothesis, sample.x), predict(hypothesis, data.train.x)
    about = {"names": data.output_names, "title": str(options.run), "source": source, "seen": seen}
    about["confidence"] = options.confidence
    if data.task == "multi-label":
        return label_risk_report(decided, sample.y, float(np.mean(fitted != data.train.y)), **about)
    errors = np.mean(np.square(fitted.astype(float) - data.train.y), axis=0)
    return value_risk_report(decided, sample.y, errors, **about)


def labelled_file(path: Path, hypothesis: Hypothesis, form: Form) -> tuple[Sample, tuple[str, ...]]:
    """The sample of a file, checked against the network's input, and notes on losses in reading it.

    Raises:
        SnnlearnError: if it is none or does not fit.
    """
    read = read_for(path, hypothesis, form)
    sample = read.labelled(path)
    check_values(hypothesis, sample.x, f"all {len(sample.y)} samples of {path}")
    return sample, tuple(note.removesuffix(".") for note in read.notes)


def _known(
    options: Risk, hypothesis: Hypothesis, data: Dataset, sample: Sample, source: str, seen: str | None
) -> KnownRisk:
    found = {"train": data.train, "validation": data.validation, "this": sample}
    decided = {name: scores(hypothesis, part.x) for name, part in found.items()}
    wrong = {name: decisions(decided[name]) != part.y for name, part in found.items()}
    source += by_chance(decided["this"])
    errors, n = int(wrong["this"].sum()), len(sample.y)
    temperature = theory.fit_temperature(decided["validation"], data.validation.y)
    return KnownRisk(
        title=str(options.run),
        source=source,
        seen=seen,
        errors=errors,
        n=n,
        confidence=options.confidence,
        estimates=() if seen else _estimates(wrong["this"].astype(float), options.confidence),
        empirical_risk=float(wrong["train"].mean()),
        train_size=len(data.train.y),
        chance=theory.chance_level(data.train, sample),
        calibrations=tuple(
            _calibration(name, decided["this"], sample.y, t)
            for name, t in (("as trained", 1.0), ("with temperature", temperature))
        ),
        bounds=_bounds(options, hypothesis, data, errors, n, held_out=seen is None),
    )


def _estimates(losses: np.ndarray, confidence: float) -> tuple[Estimate, ...]:
    errors, n = int(losses.sum()), losses.size
    several = n >= 2
    return tuple(
        Estimate(name, interval, validity)
        for name, interval, validity in (
            ("Clopper–Pearson", theory.clopper_pearson(errors, n, confidence=confidence), "exact, for every n"),
            ("Wilson", theory.wilson(errors, n, confidence=confidence), "approximate, right on average over risks"),
            ("Hoeffding", theory.hoeffding(losses, confidence=confidence), "every n, any loss in [0, 1]; wide"),
            (
                "empirical Bernstein",
                theory.empirical_bernstein(losses, confidence=confidence) if several else None,
                "every n, any loss in [0, 1]; short where the variance is small",
            ),
            (
                "bootstrap (BCa)",
                theory.bootstrap(losses, confidence=confidence) if several else None,
                "approximate, for large n",
            ),
        )
        if interval is not None
    )


def _calibration(name: str, scores: np.ndarray, y: np.ndarray, temperature: float) -> Calibration:
    p = theory.softmax(scores, temperature)
    return Calibration(
        name, temperature, theory.reliability(p, y), theory.brier_score(p, y), theory.negative_log_likelihood(p, y)
    )


def _bounds(
    options: Risk, hypothesis: Hypothesis, data: Dataset, errors: int, n: int, *, held_out: bool
) -> tuple[Bound, ...]:
    """Upper bounds on the risk, each with its own δ; the few-bit bounds share one."""
    delta, found = 1 - options.confidence, []
    if held_out:
        upper = theory.clopper_pearson(errors, n, confidence=1 - 2 * delta).high if delta < 0.5 else 1.0
        found.append(Bound("test sample, one-sided exact", upper, None, "this network, on data that chose nothing"))
        hoeffding = errors / n + np.sqrt(np.log(1 / delta) / (2 * n))
        found.append(Bound("test sample, Hoeffding", hoeffding, None, "the same; any loss in [0, 1]"))
    for bits in options.bits:
        one = theory.quantised_bound(hypothesis, data.train, bits, delta=delta / len(options.bits))
        found.append(
            Bound(
                f"finite class, {bits} bit{'s' if bits > 1 else ''}",
                one.bound,
                one.empirical_risk,
                f"this network rounded to {bits} bits, by training data alone; ln|F| = {one.log_size:,.0f}, "
                f"m = {one.m:,}",
            )
        )
    return tuple(found)
