"""The statement of risk, and every headline number in words: one source for the page and for the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snnlearn.report.summary import LayerSummary, RunSummary
from snnlearn.risk.intervals import Interval, clopper_pearson, t_interval


@dataclass(frozen=True)
class RiskStatement:
    """What is known about the risk R of the saved model, and of the training that made it.

    Args:
        risk: Test error of the saved model.
        risk_interval: Exact Clopper–Pearson interval of it.
        empirical_risk: Training error R̂ of the saved model; a count, known exactly.
        generalization_gap: R − R̂.
        gap_interval: ``risk_interval`` shifted by R̂.
        seed_risks: Test error of each seed, ``[K]``.
        seed_mean: Their mean.
        seed_interval: Student's t interval of the mean within [0, 1]; nan for one seed.
    """

    risk: float
    risk_interval: Interval
    empirical_risk: float
    generalization_gap: float
    gap_interval: Interval
    seed_risks: np.ndarray
    seed_mean: float
    seed_interval: Interval


def state_risk(summary: RunSummary, *, confidence: float = 0.95) -> RiskStatement:
    """Work out the statement of risk from the error counts of a run.

    Args:
        summary: The run.
        confidence: Coverage of all intervals, in (0, 1).

    Returns:
        The statement; errors are fractions in [0, 1].
    """
    errors = int(summary.test_errors[summary.selected_seed])
    interval = clopper_pearson(errors, summary.test_size, confidence=confidence)
    risk = errors / summary.test_size
    empirical_risk = float(summary.train_errors[summary.selected_seed] / summary.train_size)
    seed_risks = summary.test_errors / summary.test_size
    return RiskStatement(
        risk=risk,
        risk_interval=interval,
        empirical_risk=empirical_risk,
        generalization_gap=risk - empirical_risk,
        gap_interval=interval.shift(-empirical_risk),
        seed_risks=seed_risks,
        seed_mean=float(seed_risks.mean()),
        seed_interval=t_interval(seed_risks, confidence=confidence).clip(0.0, 1.0),
    )


@dataclass(frozen=True)
class Row:
    """One line of a table of numbers: what it is, its value, and what to know about it."""

    label: str
    value: str
    note: str


def headline(summary: RunSummary) -> str:
    """Say the risk of the saved model in one sentence."""
    s, errors, digits = state_risk(summary), summary.test_errors[summary.selected_seed], _digits(summary.test_size)
    if summary.all_seen:
        return (
            f"The network errs on {percent(s.risk, digits)} of the {summary.test_size:,} test samples ({errors:,} "
            "wrong), but each of them equals one that it was trained or selected on: this is no estimate of its risk."
        )
    left_out = (
        f" ({summary.left_out:,} more equal some that it was trained or selected on, and are left out)"
        if summary.left_out
        else ""
    )
    return (
        f"On {summary.test_size:,} samples it has never seen{left_out}, the network errs on {percent(s.risk, digits)} "
        f"({errors:,} wrong). Its true risk lies between {_ends(s.risk_interval, digits, ' and ')} "
        f"with {percent(s.risk_interval.confidence, 0)} confidence."
    )


def risk_rows(summary: RunSummary) -> list[Row]:
    """List the numbers that make up the statement of risk."""
    s, chosen = state_risk(summary), summary.selected_seed
    test_digits, train_digits = _digits(summary.test_size), _digits(summary.train_size)
    level = percent(s.risk_interval.confidence, 0)
    if summary.num_seeds > 1:
        seeds = f" ({_ends(s.seed_interval, test_digits)})"
        seeds_note = f"mean of {summary.num_seeds} seeds; {level} t-interval over seeds, same test set"
    else:
        seeds, seeds_note = "", "one seed: the spread over seeds is unknown"
    return [
        Row(
            "Test error, saved model",
            f"{percent(s.risk, test_digits)} ({_ends(s.risk_interval, test_digits)})",
            f"risk R: {summary.test_errors[chosen]:,} of {summary.test_size:,} wrong; exact {level} Clopper–Pearson",
        ),
        Row(
            "Test error, over seeds",
            f"{percent(s.seed_mean, test_digits)}{seeds}",
            seeds_note,
        ),
        Row(
            "Training error",
            percent(s.empirical_risk, train_digits),
            f"empirical risk R̂ of the saved model: {summary.train_errors[chosen]:,} of {summary.train_size:,} wrong",
        ),
        Row(
            "Generalisation gap",
            f"{_number(100 * s.generalization_gap, test_digits)} points ({_points(s.gap_interval, test_digits)})",
            f"R − R̂ in percentage points; the {level} interval of R, shifted by R̂",
        ),
        Row("Chance", percent(summary.chance, 1), "error of always guessing the most frequent class"),
        *_baseline_rows(summary),
    ]


def _baseline_rows(summary: RunSummary) -> list[Row]:
    found = summary.baseline
    if found is None:
        return []
    digits, interval = _digits(summary.test_size), clopper_pearson(found.errors, summary.test_size)
    against = (
        f"wrong on {found.only_network:,} samples that the baseline has right, right on {found.only_baseline:,} that "
        f"it has wrong: p = {found.comparison.p_value:.2g} (McNemar)"
    )
    return [
        Row(
            "Baseline, test error",
            f"{percent(found.errors / summary.test_size, digits)} ({_ends(interval, digits)})",
            f"{found.name}: {found.errors:,} of {summary.test_size:,} wrong",
        ),
        Row(
            "Saved model − baseline",
            f"{_number(100 * found.comparison.difference, digits)} points "
            f"({_points(found.comparison.interval, digits)})",
            against,
        ),
    ]


def network_rows(summary: RunSummary) -> list[Row]:
    """List what the network is and what it does: parameters, firing rates, operations."""
    rows = [Row("Parameters", f"{summary.parameters:,}", "trained numbers of one network")]
    for layer in summary.layers:
        if layer.spiking:
            rate = f"{np.mean(layer.firing_rate):.3g} Hz"
            rows.append(Row(f"Firing rate, {layer.name}", rate, f"mean over {layer.units:,} units; {activity(layer)}"))
    dense = f"the dense network {summary.dense}"
    rows.append(
        Row("SynOps", quantity(summary.synops), "per inference: an addition for each synapse that a spike reaches")
    )
    if summary.macs:
        note = "per inference: products with what is no spike; a current that is held is multiplied once"
        rows.append(Row("MACs", quantity(summary.macs), note))
    total = summary.synops + summary.macs
    ratio = f"{_ratio(total, summary.dense_macs)} the {quantity(summary.dense_macs)} MACs of {dense}, run once"
    rows.append(Row("Operations", quantity(total), ratio))
    every_step = quantity(summary.dense_macs * summary.num_steps)
    rows.append(Row("MACs, dense, every step", every_step, f"{dense}, run in each of {summary.num_steps} steps"))
    return rows


def training_rows(summary: RunSummary) -> list[Row]:
    """List what the training cost."""
    seeds = "one seed" if summary.num_seeds == 1 else f"all {summary.num_seeds} seeds"
    return [
        Row("Training time", duration(summary.wall_time), f"wall clock, {seeds}"),
        Row("Throughput", f"{quantity(summary.samples_per_second)} samples/s", f"training samples, {seeds}"),
        _computed_by(summary),
    ]


def _computed_by(summary: RunSummary) -> Row:
    if summary.why_plain:
        return Row("Computed by", "plain JAX", summary.why_plain)
    return Row("Computed by", "event kernels", "work only where there are spikes, compiled from C++")


def activity(layer: LayerSummary) -> str:
    r"""Say what fraction of a layer's units is silent or saturated.

    >>> activity(LayerSummary("1", 8, True, np.ones(8), silent=0.25, saturated=0.0, surrogate_mass=0.5))
    '25\xa0% silent, 0\xa0% saturated'
    """
    return f"{percent(layer.silent, 0)} silent, {percent(layer.saturated, 0)} saturated"


def percent(fraction: float, digits: int = 1) -> str:
    r"""Write a fraction as a percentage, with a dash for what is not known.

    >>> percent(0.0278), percent(-0.5, 0), percent(math.nan)
    ('2.8\xa0%', '−50\xa0%', '–')
    """
    return "–" if math.isnan(fraction) else f"{_number(100 * fraction, digits)}\xa0%"


def points(difference: float, interval: Interval) -> str:
    """Write the difference of two percentages with its interval, in percentage points.

    >>> points(-0.0125, Interval(-0.03, 0.005, 0.95))
    '−1.25 (−3.00 to +0.50)'
    """
    low, high, _ = interval
    return f"{100 * difference:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})".replace("-", "−")


def quantity(value: float) -> str:
    r"""Write a count so that it can be read at a glance: digits up to 100,000, then three of them and a letter.

    >>> quantity(1234.4), quantity(4.56e6), quantity(7.2e12)
    ('1,234', '4.56\xa0M', '7,200\xa0G')
    """
    for scale, letter in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if value >= scale:
            scaled = value / (1e3 if letter == "k" else scale)
            return f"{scaled:,.0f}\xa0{letter}" if scaled >= 100 else f"{scaled:.3g}\xa0{letter}"
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    r"""Write a time span in the units a person would use.

    >>> duration(4.21), duration(72.0), duration(7325.0)
    ('4.2\xa0s', '1\xa0min 12\xa0s', '2\xa0h 2\xa0min')
    """
    if seconds < 59.95:
        return f"{seconds:.1f}\xa0s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\xa0min {rest}\xa0s" if minutes < 60 else f"{minutes // 60}\xa0h {minutes % 60}\xa0min"


def _number(value: float, digits: int) -> str:
    return f"{value + 0.0:.{digits}f}".replace("-", "−")


def _ends(interval: Interval, digits: int, between: str = " to ") -> str:
    return f"{_number(100 * interval.low, digits)}{between}{percent(interval.high, digits)}"


def _points(interval: Interval, digits: int) -> str:
    return f"{_number(100 * interval.low, digits)} to {_number(100 * interval.high, digits)}"


def _digits(n: int) -> int:
    """Decimals of a percentage that ``n`` samples can resolve."""
    return 1 if n < 1000 else 2


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.3g} ×" if whole > 0 else "–"
