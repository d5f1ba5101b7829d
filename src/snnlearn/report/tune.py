"""The report of a search: what was chosen, whether it is better on test data, and which settings matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from snnlearn.algorithms import Trial, front
from snnlearn.report.figures import BLUE, CYCLE, GREY, ORANGE, shorten
from snnlearn.report.paired import Pair, pair_section
from snnlearn.report.value import Code, Figure, Headline, Note, Panels, Report, Section, Table
from snnlearn.report.words import estimate, gap, number, percent, quantity
from snnlearn.risk import Comparison, compare_algorithms, t_interval


@dataclass(frozen=True)
class Learned:
    """A configuration trained from seeds that the search has not used.

    Args:
        wrong: whether each seed's hypothesis errs on each test sample, ``[K, n]``.
        validation_errors: Of the epoch kept, ``[K]``.
        selected_seed: The position of the one with the fewest.
        synops: Synaptic operations of one inference.
        macs: Its multiply-accumulates, for inputs of synapses that are not spikes.
    """

    wrong: np.ndarray
    validation_errors: np.ndarray
    selected_seed: int
    synops: float
    macs: float

    @property
    def risks(self) -> np.ndarray:
        """Test error of each seed."""
        return self.wrong.mean(axis=1)


@dataclass(frozen=True)
class Confirmation:
    """The chosen configuration and the given one on the test sample."""

    chosen: Learned
    given: Learned

    @classmethod
    def of(cls, found: Mapping[str, Any], seeds: int, size: int) -> Confirmation:
        """From its file.

        Raises:
            ValueError: if it is not of so many seeds and test samples.
        """
        made = {}
        for name in ("chosen", "given"):
            one = dict(found[name])
            one["wrong"] = np.array(one["wrong"], bool)
            one["validation_errors"] = np.array(one["validation_errors"], float)
            made[name] = Learned(**one)
            if made[name].wrong.shape != (seeds, size) or not 0 <= made[name].selected_seed < seeds:
                raise ValueError(name)
        return cls(**made)

    def over_seeds(self) -> Comparison:
        """Which training is better."""
        return compare_algorithms(self.chosen.risks, self.given.risks)


@dataclass(frozen=True)
class Tuned:
    """The result of `snnlearn tune`.

    Args:
        title: The data and how much was tried.
        trials: All of them.
        objectives: What should be small; the first decides.
        ranges: Of each setting, as the user wrote it.
        logarithmic: The settings that are varied by factors.
        importance: Of each setting, as shares; empty if not known.
        best: The chosen trial.
        first: The given configuration's trial; None if it is not in the ranges.
        confirmation: On the test sample; None if the given configuration was chosen.
        command: That trains the chosen configuration.
    """

    title: str
    trials: tuple[Trial, ...]
    objectives: tuple[str, ...]
    ranges: dict[str, str]
    logarithmic: tuple[str, ...]
    importance: dict[str, float]
    best: Trial
    first: Trial | None
    confirmation: Confirmation | None
    command: str

    def count(self, outcome: str) -> int:
        """The trials of an outcome."""
        return sum(one.outcome == outcome for one in self.trials)

    def tried(self) -> str:
        """The number of trials, in words."""
        others = [
            f"{n} {what}" for what in ("given up early", "refused") if (n := self.count(what.removesuffix(" early")))
        ]
        return f"{len(self.trials)} trials" + (f" ({', '.join(others)})" if others else "")

    def sentence(self) -> str:
        """The result, in words."""
        if self.confirmation is None:
            return f"None of {self.tried()} has fewer validation errors than the given configuration: keep that."
        chosen, found = self.confirmation.chosen, self.confirmation.over_seeds()
        seeds, interval = len(chosen.risks), t_interval(chosen.risks).clip(0.0, 1.0)
        against = f"{gap(found.difference, found.interval, 2)}, p = {found.p_value:.2g}"
        verdict = (
            "Chosen on validation data"
            if found.p_value < 0.05 and found.difference < 0
            else "It is worse than the given one on test data. Chosen on validation data"
            if found.p_value < 0.05
            else "No gain beyond chance. Chosen on validation data"
        )
        return (
            f"{verdict} from {self.tried()}: {words(self.best.settings)}. Test error, mean over {seeds} new seeds, "
            f"{estimate(float(chosen.risks.mean()), interval, 2)}; against the given configuration {against}, compared "
            "once."
        )


def words(settings: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{name.replace('_', '-')} {shown(value)}" for name, value in settings.items())


def shown(value: Any) -> str:
    """A setting's value: three digits are enough to read."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def measured(objective: str, value: float) -> str:
    """A value of an objective."""
    return percent(value, 2) if objective == "error" else number(value, 4) if objective == "loss" else quantity(value)


_HISTORY = (
    "Each dot is a trial, in the order in which they were tried; hollow ones were given up early and are shown with "
    "their best epoch. The line is the best so far. All of it is validation data: the least of many is optimistic, "
    "which is why the gain is confirmed on test data."
)
_MATTERS = (
    "The share of each setting in what makes a trial one of the better ones (PED-ANOVA), and the trials against each "
    "setting. It speaks of the ranges that were searched."
)
_CONFIRMED = (
    "The chosen and the given configuration trained from the same seeds, which the search has not used; seed against "
    "seed on the test sample: sign-flip test and t interval. The test sample was used here, once, for one choice out "
    "of {}; nothing was chosen by it."
)
_FRONT = "Trials that no other beats in all objectives. front/NUMBER.toml in this folder is the configuration of each."


def tuned_report(tuned: Tuned) -> Report:
    """Report what was chosen, whether it is better on test data, and which settings matter.

    Args:
        tuned: The result.
    """
    sections, first = [], tuned.objectives[0]
    if (confirmed := tuned.confirmation) is not None:
        over_seeds = Pair("chosen", "given", confirmed.over_seeds(), confirmed.over_seeds().p_value)
        found = pair_section([over_seeds], Note(_CONFIRMED.format(tuned.tried())), title="Confirmed on test data")
        costs = [(name, quantity(one.synops), quantity(one.macs)) for name, one in vars(confirmed).items()]
        sections.append(Section(found.title, [*found.blocks, Table(("configuration", "synops", "MACs"), costs)]))
    chosen = [
        (name, shown(value), "–" if tuned.first is None else shown(tuned.first.settings[key]), text.partition("=")[2])
        for (key, value), (name, text) in zip(tuned.best.settings.items(), tuned.ranges.items(), strict=True)
    ]
    table = Table(("setting", "chosen", "given", "searched"), chosen)
    sections.append(Section("The choice", [table, Code(tuned.command)]))
    drawn = Figure("Validation " + tuned.objectives[0] + " of each trial", (7.0, 2.8), partial(_history, tuned=tuned))
    sections.append(Section("History", [Note(_HISTORY), Panels([drawn], width=700)]))
    if len(tuned.objectives) > 1:
        others = [
            Figure(f"{tuned.objectives[0]} against {name}", (4.8, 3.2), partial(_front, tuned=tuned, number=n))
            for n, name in enumerate(tuned.objectives[1:], start=1)
        ]
        sections.append(
            Section("What it costs", [Note(_FRONT), Panels(others, width=480), _table(tuned, front(tuned.trials))])
        )
    if tuned.importance:
        bars = Figure(
            "Importance of each setting", (4.8, 0.8 + 0.3 * len(tuned.importance)), partial(_bars, tuned=tuned)
        )
        slices = [
            Figure(f"Trials against {name}", (3.2, 2.5), partial(_slice, tuned=tuned, name=name))
            for name in tuned.importance
        ]
        shares = Table(("setting", "importance"), [(name, percent(s, 0)) for name, s in tuned.importance.items()])
        blocks = [Note(_MATTERS), Panels([bars], width=480), Panels(slices, width=300), shares]
        sections.append(Section("What matters", blocks))
    finished = sorted((one for one in tuned.trials if one.values), key=lambda one: (one.values, one.tie, one.number))
    sections.append(Section("Trials", [_table(tuned, finished)], detail=True))
    if refused := [(str(one.number), words(one.settings), one.refused) for one in tuned.trials if one.refused]:
        sections.append(Section("Not trained", [Table(("trial", "settings", "why"), refused)], detail=True))
    error = measured(first, min(tuned.best.values[:1]))
    headline = Headline(error, f"validation {first}, as given", tuned.sentence())
    if confirmed is not None:
        headline = Headline(
            percent(float(confirmed.chosen.risks.mean()), 1), "test error, chosen by validation", tuned.sentence()
        )
    return Report(
        kind="search",
        title=tuned.title,
        headline=headline,
        warnings=list(_at_the_edge(tuned)),
        sections=sections,
        numbers={"summary": _numbers(tuned)},
    )


def _at_the_edge(tuned: Tuned) -> list[str]:
    """Settings chosen so near the end of their range that better ones may lie beyond."""
    found = []
    for key, value in tuned.best.settings.items():
        name = key.replace("_", "-")
        text = tuned.ranges[name].partition("=")[2].removeprefix("log:")
        if isinstance(value, str) or tuned.confirmation is None:
            continue
        ends, place = np.array(text.split(".."), float), float(value)
        if name in tuned.logarithmic:
            ends, place = np.log(ends), float(np.log(place))
        low, high = ends
        share = (place - low) / (high - low)
        if min(share, 1 - share) < 0.03:
            found.append(f"{name} was chosen at the end of its range, {text}; search beyond it.")
    return found


def _table(tuned: Tuned, trials: Sequence[Trial]) -> Table:
    names = list(tuned.ranges)
    rows = [
        (
            str(one.number),
            *(measured(name, value) for name, value in zip(tuned.objectives, one.values, strict=True)),
            *map(shown, one.settings.values()),
        )
        for one in trials
    ]
    return Table(
        ("trial", *(f"validation {o}" if o in ("error", "loss") else o for o in tuned.objectives), *names), rows, most=8
    )


def _numbers(tuned: Tuned) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "title": tuned.title,
        "objectives": tuned.objectives,
        "ranges": tuned.ranges,
        "trials": [
            {name: getattr(one, name) for name in ("number", "settings", "values", "outcome", "curve", "refused")}
            | one.notes
            for one in tuned.trials
        ],
        "chosen": {"trial": tuned.best.number, "settings": tuned.best.settings, "values": tuned.best.values},
        "importance": tuned.importance,
        "confirmation": None,
    }
    if (found := tuned.confirmation) is not None:
        numbers["confirmation"] = {
            "trials": len(tuned.trials),
            "test_size": found.chosen.wrong.shape[1],
            **{f"{name}_risks": one.risks for name, one in vars(found).items()},
            "seed_of_the_model": found.chosen.selected_seed,
            "seeds": Pair("chosen", "given", found.over_seeds(), found.over_seeds().p_value).numbers(),
        }
    return numbers


def _first(tuned: Tuned, one: Trial) -> float:
    """The first value, in the unit of the figures; of a trial that was given up its best epoch's."""
    value = min(one.values[:1] or one.curve)
    return 100 * value if tuned.objectives[0] == "error" else value


def _label(objective: str) -> str:
    return {"error": "validation error (%)", "loss": "validation loss"}.get(objective, objective)


def _history(figure: Any, tuned: Tuned) -> None:
    ax = figure.subplots()
    ended = [one for one in tuned.trials if one.values]
    given_up = [one for one in tuned.trials if one.outcome == "given up" and one.curve]
    if given_up and tuned.objectives[0] in ("error", "loss"):
        places = [one.number for one in given_up]
        ax.plot(
            places, [_first(tuned, o) for o in given_up], "o", color=GREY, mfc="none", markersize=4, label="given up"
        )
    values = np.array([_first(tuned, one) for one in ended])
    ax.plot([one.number for one in ended], values, "o", color=BLUE, markersize=4, label="finished")
    ax.step(
        [one.number for one in ended], np.minimum.accumulate(values), where="post", color=ORANGE, label="best so far"
    )
    top = max(2.5 * float(np.median(values)), 1.3 * float(values[0]))  # what is far worse does not matter
    if values.min() >= 0 and values.max() > top:
        ax.set_ylim(0, top)
    ax.set(xlabel="trial", ylabel=_label(tuned.objectives[0]))
    ax.legend(fontsize=7.5)


def _bars(figure: Any, tuned: Tuned) -> None:
    ax, names = figure.subplots(), list(tuned.importance)
    ax.barh(range(len(names)), [100 * tuned.importance[name] for name in names], color=BLUE, height=0.6)
    ax.set_yticks(range(len(names)), [shorten(name, 24) for name in names])
    ax.invert_yaxis()
    ax.set(xlabel="importance (%)", xlim=(0, 100))


def _slice(figure: Any, tuned: Tuned, name: str) -> None:
    ax, key = figure.subplots(), name.replace("-", "_")
    ended = [one for one in tuned.trials if one.values]
    places: list[Any] = [one.settings[key] for one in ended]
    values = [_first(tuned, one) for one in ended]
    if any(isinstance(place, str) for place in places):
        known = list(dict.fromkeys(places))
        ax.set_xticks(range(len(known)), [shorten(one, 12) for one in known])
        ax.set_xlim(-0.5, len(known) - 0.5)
        places = [known.index(one) for one in places]
    elif name in tuned.logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(places) < 20 * min(places) else (1,)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.plot(places, values, ".", color=CYCLE[list(tuned.ranges).index(name) % len(CYCLE)], markersize=5)
    best = ended.index(tuned.best)
    ax.plot(places[best], values[best], "o", color=ORANGE, mfc="none", markersize=8)
    top = 2.5 * float(np.median(values))
    if max(values) > top > 0:
        ax.set_ylim(0, top)
    ax.set(ylabel=_label(tuned.objectives[0]))
    ax.set_title(shorten(name, 30))


def _front(figure: Any, tuned: Tuned, number: int) -> None:
    ax, ended = figure.subplots(), [one for one in tuned.trials if one.values]
    ax.plot([one.values[number] for one in ended], [_first(tuned, o) for o in ended], ".", color=GREY, markersize=5)
    kept = sorted(front(tuned.trials), key=lambda one: one.values[number])
    ax.plot([o.values[number] for o in kept], [_first(tuned, o) for o in kept], "o-", color=BLUE, markersize=4)
    if tuned.first is not None:
        ax.plot(tuned.first.values[number], _first(tuned, tuned.first), "s", color=ORANGE, label="given")
        ax.legend()
    ax.set(xlabel=_label(tuned.objectives[number]), ylabel=_label(tuned.objectives[0]))
