"""The report of a sweep: which aspects matter, which configuration is best, what more data would do."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from snnlearn.report.figures import BLUE, CYCLE, GREY, ORANGE, shorten
from snnlearn.report.paired import Pair, corrected, out_of_reach
from snnlearn.report.value import Figure, Headline, Note, Panels, Paragraph, Report, Section, Table
from snnlearn.report.words import estimate, percent, quantity
from snnlearn.risk import Interval, PowerLaw, compare_algorithms, fit_power_law, t_interval


@dataclass(frozen=True)
class Configuration:
    """The result of one configuration.

    Args:
        settings: Its options, as words.
        test_errors: Wrong decisions of each seed, ``[K]``; empty if it was refused.
        test_size: Test samples.
        train_errors: Wrong decisions on the training sample, ``[K]``.
        train_size: Training samples.
        validation_errors: Of the epoch kept, ``[K]``.
        validation_size: Validation samples.
        parameters: Trained numbers.
        synops: Synaptic operations of one inference.
        macs: Its multiply-accumulates, for inputs of synapses that are not spikes.
        seconds: Its duration.
        refused: Why it could not be trained; empty if it could.
    """

    settings: dict[str, str]
    test_errors: np.ndarray
    test_size: int
    train_errors: np.ndarray
    train_size: int
    validation_errors: np.ndarray
    validation_size: int
    parameters: int
    synops: float
    macs: float
    seconds: float
    refused: str

    @classmethod
    def of(cls, found: dict[str, Any]) -> Configuration:
        """From its file."""
        counts = ("test_errors", "train_errors", "validation_errors")
        numbers = ("test_size", "train_size", "validation_size", "parameters")
        unknown = {"refused": "", "synops": 0.0, "macs": 0.0, "seconds": 0.0} | dict.fromkeys(numbers, 0)
        values: dict[str, Any] = unknown | dict.fromkeys(counts, ()) | found
        values |= {name: np.array(values[name], int) for name in counts}
        if not np.all(np.isfinite([values[name] for name in (*numbers, "synops", "macs", "seconds")])):
            raise ValueError("a number is not finite")
        return cls(**values)

    @property
    def risks(self) -> np.ndarray:
        """Test error of each seed."""
        return self.test_errors / self.test_size

    @property
    def risk(self) -> float:
        """Their mean."""
        return float(self.risks.mean())

    @property
    def interval(self) -> Interval:
        """Of the mean over seeds."""
        return t_interval(self.risks).clip(0.0, 1.0)

    @property
    def empirical_risk(self) -> float:
        """Mean training error over seeds."""
        return float(self.train_errors.mean() / self.train_size)

    @property
    def validation_error(self) -> float:
        """Mean over seeds for the kept epochs: the criterion to select a configuration."""
        return float(self.validation_errors.mean() / self.validation_size)

    @property
    def name(self) -> str:
        """Its settings in a line."""
        return ", ".join(f"{name} {value}" for name, value in self.settings.items()) or "as it is"


class Effect(NamedTuple):
    """The effect of one option, all else equal: two of its values, compared in matched configurations."""

    option: str
    values: Pair


@dataclass(frozen=True)
class Swept:
    """The result of `snnlearn sweep`.

    Args:
        title: The data and how much was trained.
        configurations: All of them, in the grid's order.
        sizes: Of the training sample, for the base configuration; empty if not varied.
        size_errors: Test errors there, ``[K, S]``.
        test_size: Test samples.
        base: The base configuration, as words.
    """

    title: str
    configurations: tuple[Configuration, ...]
    sizes: tuple[int, ...]
    size_errors: np.ndarray
    test_size: int
    base: dict[str, str]

    @property
    def trained(self) -> list[Configuration]:
        """Those that could be trained, the fewest validation errors first."""
        done = [one for one in self.configurations if not one.refused]
        return sorted(done, key=lambda one: (one.validation_error, one.name))

    @property
    def axes(self) -> dict[str, list[str]]:
        """The values of each option that was varied."""
        found: dict[str, list[str]] = {}
        for one in self.configurations:
            for name, value in one.settings.items():
                if value not in found.setdefault(name, []):
                    found[name].append(value)
        return {name: values for name, values in found.items() if len(values) > 1}

    def effects(self) -> list[Effect]:
        """For each option and pair of values that at least two configurations have in common: second less first."""
        by_settings = {tuple(one.settings.items()): one.risk for one in self.trained}
        options, found = [], []
        for option, values in self.axes.items():
            for first, second in itertools.combinations(values, 2):
                risks = []
                for settings, risk in by_settings.items():
                    other = tuple((name, second if name == option else value) for name, value in settings)
                    if dict(settings)[option] == first and other in by_settings:
                        risks.append((by_settings[other], risk))
                if len(risks) >= 2:
                    options.append(option)
                    found.append(Pair(first, second, compare_algorithms(*np.transpose(risks)), 1.0))
        return [Effect(*one) for one in zip(options, corrected(found), strict=True)]

    def power_law(self) -> PowerLaw | None:
        """Of risk against the size of the training sample."""
        if not self.sizes:
            return None
        return fit_power_law(np.array(self.sizes), (self.size_errors + 0.5) / (self.test_size + 1))

    def sentence(self) -> str:
        """The result, in words."""
        if not self.trained:
            return "No configuration could be trained; the reasons stand below."
        best = self.trained[0]
        words = (
            f"Fewest validation errors: {best.name}. Its test error, mean over {len(best.test_errors)} seeds, is "
            f"{estimate(best.risk, best.interval, 2)}."
        )
        clear = [one for one in self.effects() if one.values.p_value < 0.05]
        if clear:
            option, most = max(clear, key=lambda one: abs(one.values.comparison.difference))
            change = "raises" if most.comparison.difference > 0 else "lowers"
            words += (
                f" What matters most: {option} {most.second} instead of {most.first} {change} the test error by "
                f"{100 * abs(most.comparison.difference):.1f} percentage points, everything else equal."
            )
        return words


_CONFIGURATIONS = ("configuration", "test error (95 %)", "training", "validation", "parameters", "synops", "MACs")
_EFFECTS = ("option", "from", "to", "change of test error, points (95 %)", "pairs", "p", "p (Holm)")
_COMPARED = (
    "Each panel varies one option, everything else equal: dots are configurations (mean over seeds), the line "
    "joins their means. The table compares matched configurations: t interval, sign-flip test, corrected for "
    "the number of comparisons. It speaks of the values tried, on this data."
)
_CHOSEN = (
    "In the order of validation errors, by which one may choose; to choose by test errors would spoil them. "
    "Intervals: t, over seeds."
)


def sweep_report(swept: Swept) -> Report:
    """Report which options matter, which configuration is best, and what more data would do.

    Args:
        swept: The result.
    """
    trained, effects, law, sections = swept.trained, swept.effects(), swept.power_law(), []
    if effects:
        rows = [(one.option, *one.values.cells()) for one in sorted(effects, key=lambda one: one.values.p_value)]
        reach = out_of_reach([one.values.comparison for one in effects])
        found = [Paragraph(reach)] if reach else []
        top = 100 * max(one.risk for one in trained)
        panels = Panels([_axis(swept, option, number, top) for number, option in enumerate(swept.axes)], width=300)
        sections.append(Section("What matters", [Note(_COMPARED), panels, *found, Table(_EFFECTS, rows)]))
    if law is not None:
        note = (
            f"The base configuration ({', '.join(f'{k} {v}' for k, v in swept.base.items())}) on parts of the "
            "training sample, another part for each seed, with the same number of updates. The law holds where the "
            "points are on the line, and promises nothing beyond."
        )
        label = "Test error against the size of the training sample"
        drawn = Figure(label, (4.8, 3.2), partial(_draw_sizes, swept=swept, law=law))
        sections.append(Section("More data", [Note(note), Panels([drawn], width=480), Paragraph(_law(law))]))
    if trained:
        drawn = Figure("Errors of all configurations", (7.0, 2.8), partial(_draw_ranking, trained=trained))
        rows = Table(_CONFIGURATIONS, [_configuration(one) for one in trained], most=8)
        sections.append(Section("Configurations", [Note(_CHOSEN), Panels([drawn], width=700), rows]))
    refused = [(one.name, one.refused) for one in swept.configurations if one.refused]
    if refused:
        sections.append(Section("Not trained", [Table(("configuration", "why"), refused)], detail=True))
    number = percent(trained[0].risk, 1) if trained else "–"
    many = (
        f"{len(refused)} configuration{'s'[: len(refused) > 1]} could not be trained; the report says why, at its end."
    )
    return Report(
        kind="sweep",
        title=swept.title,
        headline=Headline(number, "test error, chosen by validation", swept.sentence()),
        warnings=[many] if refused else [],
        sections=sections,
        numbers={"summary": _numbers(swept)},
    )


def _numbers(swept: Swept) -> dict[str, Any]:
    law, trained = swept.power_law(), swept.trained
    of_one = ("settings", "risk", "empirical_risk", "validation_error", "test_errors", "test_size", "parameters")
    of_one = (*of_one, "synops", "macs", "seconds")
    return {
        "title": swept.title,
        "configurations": [
            {name: getattr(one, name) for name in of_one} | {"risk_interval": one.interval[:2]} for one in trained
        ],
        "refused": [{"settings": o.settings, "reason": o.refused} for o in swept.configurations if o.refused],
        "effects": [
            {"option": one.option, "pairs": one.values.comparison.n, **one.values.numbers()} for one in swept.effects()
        ],
        "sizes": swept.sizes,
        "size_errors": swept.size_errors,
        "power_law": law and {"exponent": law.exponent, "scale": law.scale, "exponent_interval": law.interval[:2]},
        "seconds": float(sum(one.seconds for one in trained)),
    }


def _configuration(one: Configuration) -> tuple[str, ...]:
    error = f"{percent(one.risk, 2)} ({100 * one.interval.low:.1f}–{100 * one.interval.high:.1f})"
    others = percent(one.empirical_risk, 2), percent(one.validation_error, 2)
    return one.name, error, *others, f"{one.parameters:,}", quantity(one.synops), quantity(one.macs)


def _law(law: PowerLaw) -> str:
    low, high, _ = law.interval
    words = f"Risk against training samples: m^(-{law.exponent:.2f}), exponent between {low:.2f} and {high:.2f}."
    return words.replace("-", "−")


def _axis(swept: Swept, option: str, number: int, top: float) -> Figure:
    values = swept.axes[option]

    def draw(figure: Any) -> None:
        ax, means = figure.subplots(), []
        for position, value in enumerate(values):
            risks = np.array([100 * one.risk for one in swept.trained if one.settings[option] == value])
            spread = np.linspace(-0.12, 0.12, len(risks)) if len(risks) > 1 else np.zeros(len(risks))
            ax.plot(position + spread, risks, ".", color=GREY, markersize=3.5, alpha=0.7)
            means.append(risks.mean() if risks.size else np.nan)
        ax.plot(range(len(values)), means, "o-", color=CYCLE[number % len(CYCLE)], linewidth=1.6)
        ax.set_xticks(range(len(values)), [shorten(value, 12) for value in values])
        ax.set(ylim=(0, 1.05 * top), xlim=(-0.5, len(values) - 0.5), ylabel="test error (%)")
        ax.set_title(shorten(option, 30))

    return Figure(f"Test error against {option}", (3.2, 2.5), draw)


def _draw_sizes(figure: Any, swept: Swept, law: PowerLaw) -> None:
    ax, m, risks = figure.subplots(), np.array(swept.sizes), 100 * swept.size_errors / swept.test_size
    means = risks.mean(axis=0)
    ax.plot(m, risks.T, ".", color=GREY, markersize=4)
    ax.plot(m, means, "o", color=BLUE, label="mean over seeds")
    ax.plot(m, 100 * law(m), color=ORANGE, label=f"{law.scale:.2g} m^(−{law.exponent:.2f})")
    ax.set(xscale="log", yscale="log", xlabel="training samples m", ylabel="test error (%)")
    ax.set_xticks(m, [str(size) for size in m])
    ax.xaxis.set_minor_locator(NullLocator())
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 50) if means.min() / 2 <= t <= 2 * risks.max()]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.legend()


def _draw_ranking(figure: Any, trained: list[Configuration]) -> None:
    ax, rank = figure.subplots(), np.arange(1, len(trained) + 1)
    low, high = 100 * np.array([one.interval[:2] for one in trained]).T
    test, validation, fitted = (
        [100 * getattr(one, name) for one in trained] for name in ("risk", "validation_error", "empirical_risk")
    )
    ax.vlines(rank, low, high, color=BLUE, linewidth=1.4, alpha=0.7)
    ax.plot(rank, test, "o", color=BLUE, markersize=3.5, label="test")
    ax.plot(rank, validation, "-", color=ORANGE, linewidth=1.2, label="validation")
    ax.plot(rank, fitted, ".", color=GREY, label="training")
    ax.set(xlabel="configuration, by validation error", ylabel="error (%)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=7.5)
