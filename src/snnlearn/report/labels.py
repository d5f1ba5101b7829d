"""The report of a training that learned which of several labels hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.report.baseline import features, not_too_many
from snnlearn.report.measure import History, example, in_common
from snnlearn.report.summary import TrainingSummary
from snnlearn.report.training import (
    activity,
    curves,
    delays,
    examples,
    how_to_reproduce,
    network_rows,
    reset_rows,
    rounding_rows,
    training_numbers,
    training_rows,
)
from snnlearn.report.value import Headline, Numbers, Report, Row, Section, Table
from snnlearn.report.words import digits_of, estimate, gap, percent
from snnlearn.risk import Comparison, LabelRisk, compare_losses, label_risk, t_interval

_STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class LabelBaseline:
    """A method to compare a network's decisions about labels with.

    Args:
        name: What it is, and how it was chosen.
        hamming: Its share of wrong decisions on the test sample.
        comparison: The network's share of wrong decisions less the baseline's, on the same test samples.
    """

    name: str
    hamming: float
    comparison: Comparison


@dataclass(frozen=True, kw_only=True)
class LabelSummary(TrainingSummary):
    """One training run that learned which of L labels hold.

    Args:
        label_names: The L labels.
        decided: Of the saved model on the test sample, 1 where a label is decided to hold, ``[n, L]``.
        truth: 1 where it does, ``[n, L]``.
        test_errors: Wrong decisions about labels of each seed on the test sample, of n L, ``[K]``.
        train_errors: The same on the training sample, ``[K]``.
        baselines: What plain methods make of the same data; none if that was not asked for.
    """

    label_names: tuple[str, ...]
    decided: np.ndarray
    truth: np.ndarray
    test_errors: np.ndarray
    train_errors: np.ndarray
    baselines: tuple[LabelBaseline, ...] = ()


def summarise_labels(
    hypotheses: Sequence[Hypothesis],
    data: Dataset,
    history: History,
    *,
    title: str,
    config: dict[str, object],
    why_plain: str | None,
    reproduce: str = "",
    baselines: Callable[[Dataset, np.ndarray], tuple[LabelBaseline, ...]] | None = None,
) -> LabelSummary:
    """Measure hypotheses that decide about labels, one for each random seed; the test sample is used here, once.

    Args:
        hypotheses: one for each seed.
        data: what they were trained on.
        history: how the training went.
        title: what the run is called.
        config: the run's options.
        why_plain: why the training ran as plain JAX; None if it ran by kernels.
        reproduce: a command that repeats the run.
        baselines: puts other methods beside the chosen hypothesis, given which of its decisions are wrong, `[n, L]`.
    """
    truth, names = data.test.y, data.output_names
    decided = [predict(one, data.test.x) for one in hypotheses]

    def losses_of(hypothesis: Hypothesis) -> np.ndarray:
        return (predict(hypothesis, data.test.x) != truth).mean(axis=1)

    common = in_common(hypotheses, data, history, losses_of, said=())
    chosen = common["selected_seed"]
    of_chosen = decided[chosen]
    said = [", ".join(np.array(names)[row > 0].tolist()) or "none" for row in (*truth[:3], *of_chosen[:3])]
    shown = len(said) // 2
    return LabelSummary(
        **common,
        title=title,
        label_names=names,
        decided=of_chosen,
        truth=truth,
        test_errors=np.array([int(np.sum(one != truth)) for one in decided]),
        train_errors=np.array([int(np.sum(predict(one, data.train.x) != data.train.y)) for one in hypotheses]),
        examples=tuple(example(hypotheses[chosen], data, i, said[i], said[shown + i]) for i in range(shown)),
        config=config,
        why_plain=why_plain,
        reproduce=reproduce,
        baselines=() if baselines is None else baselines(data, of_chosen != truth),
    )


def label_baselines(data: Dataset, wrong: np.ndarray) -> tuple[LabelBaseline, ...]:
    """What is usual for each label, and a logistic regression for each, put beside a network.

    The strength of the regularisation is the one with the fewest wrong decisions about validation. A large training
    sample is cut to 10,000, or to fewer if there are more than 20 labels. The test sample is used once by each.

    Args:
        data: The data.
        wrong: Which of the network's decisions about the test sample are wrong, `[n, L]`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    validation, test = features(data, data.validation), features(data, data.test)
    train = features(data, data.train)
    cut, note = not_too_many(train, min(10_000, max(1_000, 200_000 // train.y.shape[1])))
    usual = (cut.y.mean(axis=0) > 0.5).astype(int)

    def decide(strength: float, sample: Sample) -> np.ndarray:
        columns = []
        for label, own in enumerate(cut.y.T):
            if np.all(own == own[0]):
                columns.append(np.full(len(sample.y), own[0]))
                continue
            regression = LogisticRegression(C=strength, max_iter=2000)
            columns.append(make_pipeline(StandardScaler(), regression).fit(cut.x, cut.y[:, label]).predict(sample.x))
        return np.stack(columns, axis=1)

    strength = min(_STRENGTHS, key=lambda c: int(np.sum(decide(c, validation) != validation.y)))
    decided = {
        "what is usual for each label": np.broadcast_to(usual, test.y.shape),
        f"logistic regression, one for each label, C = {strength:g} by validation{note}": decide(strength, test),
    }
    found = []
    for name, one in decided.items():
        its = one != test.y
        comparison = compare_losses(wrong.mean(axis=1), its.mean(axis=1), resamples=1999)
        found.append(LabelBaseline(name, float(its.mean()), comparison))
    return tuple(found)


def label_report(summary: LabelSummary) -> Report:
    """Report the result of a training that learned labels: the errors first, then details.

    Args:
        summary: The run.
    """
    found, digits = label_risk(summary.decided, summary.truth), digits_of(summary.truth.size)
    tables = {
        "Risk": [*_rows(summary, found), *reset_rows(summary), *rounding_rows(summary)],
        "Network": network_rows(summary),
        "Training": training_rows(summary),
    }
    each = [
        (name, estimate(one.value, one.interval, digits), percent(float(holds)))
        for name, one, holds in zip(summary.label_names, found.labels, summary.truth.mean(axis=0), strict=True)
    ]
    caption = "Errors with exact 95\xa0% intervals (Clopper–Pearson)"
    return Report(
        kind="training report",
        title=summary.title,
        headline=Headline(percent(found.hamming, digits), "Hamming error", _sentence(summary, found)),
        warnings=summary.warnings,
        sections=[
            Section("Numbers", [Numbers(rows, caption) for caption, rows in tables.items()]),
            Section("Each label", [Table(("label", "test error", "holds in"), each, caption, most=12)]),
            Section("Learning curves", curves(summary)),
            Section("Activity", activity(summary), detail=True),
            *delays(summary),
            Section("Examples", examples(summary)),
            Section("How to reproduce", how_to_reproduce(summary), detail=True),
        ],
        numbers={
            "summary": {
                **training_numbers(summary),
                "task": "multi-label",
                "hamming_error": found.hamming,
                "hamming_interval": found.hamming_interval[:2],
                "subset_error": found.subset.value,
                "subset_interval": found.subset.interval[:2],
                "labels": {
                    name: {"error": one.value, "interval": one.interval[:2]}
                    for name, one in zip(summary.label_names, found.labels, strict=True)
                },
                "test_errors": summary.test_errors,
                "train_errors": summary.train_errors,
                "baselines": summary.baselines,
            }
        },
    )


def _sentence(summary: LabelSummary, found: LabelRisk) -> str:
    digits = digits_of(summary.truth.size)
    where = f"On {summary.test_size:,} samples it has never seen"
    if summary.all_seen:
        where = f"On the {summary.test_size:,} test samples, all of which it has seen, so that this is no estimate"
    return (
        f"{where}, the network is wrong in {percent(found.hamming, digits)} of its decisions about "
        f"{len(summary.label_names)} labels; in {percent(found.subset.value, digits)} of the samples it is wrong about "
        "some label."
    )


def _rows(summary: LabelSummary, found: LabelRisk) -> list[Row]:
    digits, decisions = digits_of(summary.truth.size), summary.truth.size
    shares = summary.test_errors / decisions
    seeds = percent(float(shares[0]), digits), "one seed: the spread over seeds is unknown"
    if summary.num_seeds > 1:
        how = f"mean of {summary.num_seeds} seeds; 95\xa0% t-interval over seeds, same test set"
        seeds = estimate(float(shares.mean()), t_interval(shares).clip(0.0, 1.0), digits), how
    trained = summary.train_errors[summary.selected_seed] / (summary.train_size * len(summary.label_names))
    rows = [
        Row(
            "Hamming error, saved model",
            estimate(found.hamming, found.hamming_interval, digits),
            "wrong decisions of all; 95\xa0% bootstrap interval over samples (BCa), approximate",
        ),
        Row(
            "Subset error",
            estimate(found.subset.value, found.subset.interval, digits),
            f"{found.subset.errors:,} of {found.n:,} samples with a wrong decision; exact 95\xa0% Clopper–Pearson",
        ),
        Row("Hamming error, over seeds", *seeds),
        Row("Hamming error, training", percent(float(trained), digits), "empirical risk of the saved model"),
    ]
    for one in summary.baselines:
        name, _, how = one.name.partition(", ")
        against = f"paired over test samples: p = {one.comparison.p_value:.2g} (sign flips)"
        rows += [
            Row(f"{name[:1].upper()}{name[1:]}", percent(one.hamming, digits), f"baseline{how and f', {how}'}"),
            Row(f"Saved model − {name}", gap(one.comparison.difference, one.comparison.interval, digits), against),
        ]
    return rows
