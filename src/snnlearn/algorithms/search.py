"""Tuning by search: which numbers an algorithm should have, by the validation sample; by Optuna, an extra."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

import hashlib
import sqlite3
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.optuna import optuna_package
from snnlearn.algorithms.pruning import AbstractPruning, Median
from snnlearn.algorithms.ranges import AbstractRange


class Trial(NamedTuple):
    """A finished trial.

    Args:
        number: from 0.
        settings: what was tried, by name.
        values: what it came to, each the less the better; empty if it was given up or refused.
        curve: the first value after each epoch.
        notes: more that is known of it, for JSON.
        tie: decides between equal values, the less the better.
        refused: why it could not be trained; empty if it could.
    """

    number: int
    settings: dict[str, Any]
    values: tuple[float, ...]
    curve: tuple[float, ...]
    notes: dict[str, Any]
    tie: float = 0.0
    refused: str = ""

    @property
    def outcome(self) -> str:
        """In a word."""
        return "refused" if self.refused else "finished" if self.values else "given up"


class GivenUp(Exception):
    """A trial that is not worth its other epochs."""


Report = Callable[[float], None]
"""Tells the first value after one more epoch; raises `GivenUp`."""


class Outcome(NamedTuple):
    """What a trial came to.

    Args:
        values: each the less the better.
        notes: more that is known of it, for JSON.
        tie: decides between equal values, the less the better.
    """

    values: tuple[float, ...]
    notes: Mapping[str, Any] = types.MappingProxyType({})
    tie: float = 0.0


@final
class Search(Component):
    r"""Look for the settings of the least value, by the tree-structured Parzen estimator (TPE).

    From the settings tried so far, the better ones and the others are fitted by densities $l$ and $g$, and those with
    the largest $l/g$ are tried next (Bergstra et al. 2011). The random numbers of trial n come from the seed and n, and
    only finished trials are kept, so that a search that was killed goes on as if it had not been.

    Args:
        space: for each setting, by name, the values to try.
        trials: how many, ≥ 1.
        seed: of the random numbers, ≥ 0.
        pruning: when a trial is given up; with several objectives none is.
        epochs: of each trial, for the pruning, ≥ 1.
        objectives: the number of values of a trial. Of several, trials that none beats in all are looked for.
        first: settings to begin with, such as the defaults, where they are in the space.

    Raises:
        SnnlearnError: for an argument of another kind, or out of its range.

    Source: J. Bergstra et al., NeurIPS 24 (2011); with several objectives Y. Ozaki et al., GECCO (2020),
    doi:10.1145/3377930.3389817; both as Optuna has them, all settings in one density.

    >>> from snnlearn.algorithms import Between
    >>> search = Search({"x": Between(-4.0, 4.0)}, trials=30)
    >>> trials = list(search.run(lambda settings, report: Outcome(((settings["x"] - 1) ** 2,))))
    >>> best = min(trials, key=lambda trial: trial.values)
    >>> abs(best.settings["x"] - 1) < 0.2
    True
    """

    space: Mapping[str, AbstractRange]
    trials: int = 60
    seed: int = 0
    pruning: AbstractPruning = Median()
    epochs: int = 1
    objectives: int = 1
    first: Mapping[str, Any] | None = None

    def __check_init__(self):
        check_fields(self, "space", "trials", "seed", "pruning", "epochs", "objectives", "first")
        if not self.space:
            raise SnnlearnError("Search: space is empty; give a name and a range, such as {'x': Between(0.0, 1.0)}")
        for name, low in (("trials", 1), ("seed", 0), ("epochs", 1), ("objectives", 1)):
            if getattr(self, name) < low:
                raise SnnlearnError(f"Search: {name} is {getattr(self, name)}; give at least {low}")

    def run(self, evaluate: Callable[[dict[str, Any], Report], Outcome], file: Path | None = None) -> Iterator[Trial]:
        """Try one after the other, and yield each when it is finished.

        Args:
            evaluate: what settings come to; it may report the first value after each epoch. A refusal by a
                `SnnlearnError` counts as worse than all others.
            file: an SQLite file of Optuna, which holds the finished trials; those that it has are yielded first.

        Raises:
            SnnlearnError: if Optuna is missing, or the file is damaged or of another search.
        """
        optuna = optuna_package()
        kept = None if file is None else _kept(file, self.objectives)
        done = [] if kept is None else kept.trials
        distributions = {name: one.distribution() for name, one in self.space.items()}
        if file is not None and any(dict(one.distributions) != distributions for one in done):
            raise SnnlearnError(f"{file} is of a search over other settings; restore it, or remove it to search again")
        study = optuna.create_study(
            study_name=_NAME, directions=["minimize"] * self.objectives, pruner=self.pruning.pruner(self.epochs)
        )
        study.add_trials(done)
        for one in done:
            yield self._trial(one)
        for n in range(len(done), self.trials):
            study.sampler = optuna.samplers.TPESampler(seed=_seed(self.seed, n), multivariate=True)
            if n == 0 and (start := self._start()) is not None:
                study.enqueue_trial(start)
            self._try(study, distributions, evaluate)
            found = study.trials[-1]
            if kept is not None:
                kept.add_trial(found)
            yield self._trial(found)

    def _start(self) -> dict[str, Any] | None:
        if self.first is None:
            return None
        places = {name: one.place(self.first.get(name)) for name, one in self.space.items()}
        return None if None in places.values() else places

    def _try(self, study: Any, distributions: dict[str, Any], evaluate: Callable) -> None:
        pruned, trial = optuna_package().trial.TrialState.PRUNED, study.ask(distributions)
        curve: list[float] = []

        def report(value: float) -> None:
            curve.append(value)
            if self.objectives == 1:
                trial.report(value, len(curve))
                if trial.should_prune():
                    raise GivenUp

        settings = {name: one.value(trial.params[name]) for name, one in self.space.items()}
        outcome, refused = None, ""
        try:
            outcome = evaluate(settings, report)
        except GivenUp:
            pass
        except SnnlearnError as refusal:
            refused = str(refusal)
        kept = Outcome(()) if outcome is None else outcome
        for name, note in {"curve": curve, "refused": refused, "tie": kept.tie, "notes": dict(kept.notes)}.items():
            trial.set_user_attr(name, note)
        if outcome is None:
            study.tell(trial, state=pruned)
        else:
            study.tell(trial, list(map(float, outcome.values)))

    def _trial(self, found: Any) -> Trial:
        complete, known = found.state == optuna_package().trial.TrialState.COMPLETE, found.user_attrs
        settings = {name: one.value(found.params[name]) for name, one in self.space.items()}
        return Trial(
            found.number,
            settings,
            values=tuple(found.values) if complete else (),
            curve=tuple(known["curve"]),
            notes=known["notes"],
            tie=known["tie"],
            refused=known["refused"],
        )

    def importance(self, trials: Sequence[Trial]) -> dict[str, float]:
        """How much each setting decides whether a trial is among the best, as shares of 1; the largest first.

        Args:
            trials: of this search; given up and refused ones are ignored.

        Returns:
            empty if too few are finished, or all have the same value.

        Raises:
            SnnlearnError: if Optuna is missing.

        Source: S. Watanabe, A. Bansal and F. Hutter, PED-ANOVA, IJCAI (2023), doi:10.24963/ijcai.2023/488; of the
        first value.
        """
        optuna = optuna_package()
        finished = [one for one in trials if one.values]
        if len({one.values[0] for one in finished}) < 2 or len(finished) < 10:
            return {}
        distributions, study = {name: one.distribution() for name, one in self.space.items()}, optuna.create_study()
        for one in finished:
            params = {name: ways.place(one.settings[name]) for name, ways in self.space.items()}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=one.values[0]))
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
        return {name: float(share) for name, share in found.items()}


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the least first value, of equals with the least of the others, then by tie; None if none is.

    >>> one, other = Trial(0, {}, (0.5, 3.0), (), {}), Trial(1, {}, (0.5, 2.0), (), {})
    >>> best([one, other]).number
    1
    """
    return min((one for one in trials if one.values), key=lambda one: (one.values, one.tie, one.number), default=None)


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that no other beats in one value without losing in another, by their first value.

    >>> [one.number for one in front([Trial(n, {}, v, (), {}) for n, v in enumerate([(1, 2), (2, 1), (2, 2)])])]
    [0, 1]
    """
    finished = [one for one in trials if one.values]

    def beaten(one: Trial) -> bool:
        return any(
            other.values != one.values and all(a <= b for a, b in zip(other.values, one.values, strict=True))
            for other in finished
        )

    kept: dict[tuple[float, ...], Trial] = {}
    for one in finished:
        if not beaten(one):
            kept.setdefault(one.values, one)
    return sorted(kept.values(), key=lambda one: one.values)


_NAME = "tune"


def _seed(seed: int, number: int) -> int:
    """The seed of one trial's random numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "little")


def _kept(file: Path, objectives: int) -> Any:
    """The study in a file."""
    optuna = optuna_package()
    from sqlalchemy.exc import SQLAlchemyError

    if file.exists() and not file.is_file():
        raise SnnlearnError(f"{file} is not a file; restore it")

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file)  # whatever is in its name

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage = optuna.storages.RDBStorage("sqlite://", {"creator": connect})
        study = optuna.create_study(
            storage=storage, study_name=_NAME, directions=["minimize"] * objectives, load_if_exists=True
        )
        for trial in study.trials:
            _ = [trial.user_attrs[name] for name in ("curve", "notes", "tie", "refused")], trial.values, trial.params
        if len(study.directions) != objectives:
            raise ValueError
        return study
    except (SQLAlchemyError, sqlite3.Error, KeyError, ValueError, TypeError, AssertionError, RuntimeError) as error:
        raise SnnlearnError(
            f"{file} is damaged; restore it, or remove it to search again from the first trial"
        ) from error
