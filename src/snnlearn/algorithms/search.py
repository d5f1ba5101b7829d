"""Tuning by search: which numbers an algorithm should have, by the validation sample; by Optuna, an extra."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

import hashlib
import math
import sqlite3
import types
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import number
from snnlearn.algorithms.base import AbstractAlgorithm
from snnlearn.algorithms.iterative import AbstractIterativeAlgorithm
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network


class AbstractRange(Component):
    """The values among which a search chooses one."""

    @abstractmethod
    def distribution(self) -> Any:
        """As Optuna's distribution, whose values are numbers and strings.

        Raises:
            SnnlearnError: if Optuna is missing.
        """

    def value(self, found: Any) -> Any:
        """What a value of the distribution stands for."""
        return found

    def place(self, value: Any) -> Any:
        """The value of the distribution that stands for this one; None if it is not in the range."""
        return value if self.distribution()._contains(value) else None


@final
class Between(AbstractRange):
    """The real numbers between two.

    Args:
        low: the least.
        high: the greatest, > low.
        log: whether equal factors, not equal steps, are equally likely; then low > 0.

    Raises:
        SnnlearnError: for numbers that are not in this order, or not finite.
    """

    low: float = eqx.field(converter=number)
    high: float = eqx.field(converter=number)
    log: bool = False

    def __check_init__(self):
        check_fields(self, "low", "high", "log")
        _check_ends(self, self.low, self.high, self.log)

    def distribution(self) -> Any:
        """See the base."""
        return _optuna().distributions.FloatDistribution(float(self.low), float(self.high), log=self.log)

    def place(self, value: Any) -> Any:
        """See the base."""
        return float(value) if isinstance(value, int | float) and self.low <= value <= self.high else None


@final
class Whole(AbstractRange):
    """The whole numbers from one to another.

    Args:
        low: the least.
        high: the greatest, > low.
        log: whether equal factors, not equal steps, are equally likely; then low > 0.

    Raises:
        SnnlearnError: for numbers that are not in this order.
    """

    low: int
    high: int
    log: bool = False

    def __check_init__(self):
        check_fields(self, "low", "high", "log")
        _check_ends(self, self.low, self.high, self.log)

    def distribution(self) -> Any:
        """See the base."""
        return _optuna().distributions.IntDistribution(self.low, self.high, log=self.log)

    def place(self, value: Any) -> Any:
        """See the base."""
        return value if isinstance(value, int) and self.low <= value <= self.high else None


@final
class OneOf(AbstractRange):
    """One of several things without an order, such as rules.

    Args:
        options: two or more.

    Raises:
        SnnlearnError: if there are fewer.

    >>> OneOf(("bptt", "eprop")).place("eprop")
    'eprop'
    """

    options: tuple[Any, ...]

    def __check_init__(self):
        if not isinstance(self.options, tuple) or len(self.options) < 2:
            raise SnnlearnError(f"OneOf: options is {self.options!r}; give a tuple of two or more")

    def _named(self) -> bool:
        return all(isinstance(one, str) for one in self.options) and len(set(self.options)) == len(self.options)

    def distribution(self) -> Any:
        """See the base: the strings themselves; of other things the positions."""
        choices = self.options if self._named() else range(len(self.options))
        return _optuna().distributions.CategoricalDistribution(tuple(choices))

    def value(self, found: Any) -> Any:
        """See the base."""
        return found if self._named() else self.options[found]

    def place(self, value: Any) -> Any:
        """See the base."""
        same = [n for n, one in enumerate(self.options) if one is value or one == value]
        return None if not same else self.options[same[0]] if self._named() else same[0]


def _check_ends(owner: Any, low: int | float, high: int | float, log: bool) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SnnlearnError(f"{type(owner).__name__}: low is {low} and high {high}; give two numbers, low < high")
    if log and low <= 0:
        raise SnnlearnError(f"{type(owner).__name__}: low is {low}, which has no logarithm; give one above 0")


class AbstractPruning(Component):
    """When a trial is given up before its last epoch."""

    @abstractmethod
    def pruner(self, epochs: int) -> Any:
        """As Optuna's pruner.

        Args:
            epochs: how many a trial has, the value after each of which is compared.

        Raises:
            SnnlearnError: if Optuna is missing.
        """


@final
class Median(AbstractPruning):
    """Give up a trial whose best epoch so far is worse than the median of the earlier trials at this epoch.

    Args:
        startup: the number of trials that are not given up, since there is nothing to compare them with, ≥ 1.
        wait: the share of the epochs before the first comparison, in [0, 1).

    Raises:
        SnnlearnError: for a number out of its range.
    """

    startup: int = 5
    wait: float = 0.25

    def __check_init__(self):
        check_fields(self, "startup", "wait")
        if self.startup < 1 or not 0 <= self.wait < 1:
            raise SnnlearnError(
                f"Median: startup is {self.startup} and wait {self.wait}; give at least 1, and a share from 0 below 1"
            )

    def pruner(self, epochs: int) -> Any:
        """See the base."""
        return _optuna().pruners.MedianPruner(self.startup, int(self.wait * epochs))


@final
class Hyperband(AbstractPruning):
    """Give most trials a few epochs, and of these the best third three times as many, and so on (Li et al. 2018).

    Several such competitions, from many trials of few epochs to few trials of many, run beside each other.

    Args:
        factor: of the epochs from one round to the next, ≥ 2.

    Raises:
        SnnlearnError: for a number out of its range.

    Source: L. Li et al., JMLR 18:185 (2018).
    """

    factor: int = 3

    def __check_init__(self):
        check_fields(self, "factor")
        if self.factor < 2:
            raise SnnlearnError(f"Hyperband: factor is {self.factor}; give at least 2")

    def pruner(self, epochs: int) -> Any:
        """See the base."""
        return _optuna().pruners.HyperbandPruner(1, max(1, epochs), self.factor)


@final
class WholeTrials(AbstractPruning):
    """Give up no trial."""

    def pruner(self, epochs: int) -> Any:
        """See the base."""
        return _optuna().pruners.NopPruner()


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
        optuna = _optuna()
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
        pruned, trial = _optuna().trial.TrialState.PRUNED, study.ask(distributions)
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
        complete, known = found.state == _optuna().trial.TrialState.COMPLETE, found.user_attrs
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
        optuna = _optuna()
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


@final
class Tuned(AbstractAlgorithm):
    """Search for the algorithm with the fewest validation errors, and return what it has learned.

    Args:
        make: the algorithm of given settings, which are its named arguments.
        space: for each setting, by name, the values to try.
        trials: how many, ≥ 1.
        seeds: trainings of each trial side by side, of which the mean counts, ≥ 1.
        pruning: when a trial is given up before its last epoch.

    Raises:
        SnnlearnError: for an argument of another kind or out of its range; when it runs, if Optuna is missing, or no
            trial could be trained.

    >>> import optax, snnlearn as sl
    >>> from snnlearn.algorithms import Between, GradientDescent, Optimizer, Tuned
    >>> def make(learning_rate):
    ...     return GradientDescent(optimizer=Optimizer(optax.adam, learning_rate), epochs=2, batch_size=20)
    >>> algorithm = Tuned(make, {"learning_rate": Between(0.01, 1.0, log=True)}, trials=3)
    >>> data = sl.data.yin_yang(num_train=100, num_validation=50, num_test=50)
    >>> network = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
    >>> hypothesis = sl.fit(algorithm, sl.coding.Current(num_steps=10), network, data, key=jax.random.key(1))
    """

    make: Callable[..., AbstractIterativeAlgorithm]
    space: Mapping[str, AbstractRange]
    trials: int = 20
    seeds: int = 1
    pruning: AbstractPruning = Median()

    def __check_init__(self):
        check_fields(self, "make", "space", "trials", "seeds", "pruning")
        if self.seeds < 1:
            raise SnnlearnError(f"Tuned: seeds is {self.seeds}; give at least 1")
        Search(self.space, self.trials)

    def __call__(
        self, encoder: AbstractEncoder, network: Network, data: LearningData, *, key: PRNGKeyArray
    ) -> Hypothesis:
        """See the base.

        Raises:
            SnnlearnError: if Optuna is missing, or no trial could be trained.
        """
        keys, seed = jax.random.split(key, self.seeds), int(jax.random.randint(key, (), 0, 2**31 - 1))
        least, chosen = (math.inf, math.inf), None

        def evaluate(settings: dict[str, Any], report: Report) -> Outcome:
            nonlocal least, chosen
            algorithm = self.make(**settings)
            training = algorithm.start(encoder, network, data, keys=keys)
            for epoch in algorithm.go_on(encoder, training, data):
                training = epoch.training
                report(float(np.mean(epoch.metrics.validation_error)))
            errors, losses = np.asarray(training.best_errors), np.asarray(training.best_loss)
            found = float(errors.mean()), float(losses.mean())
            if found < least:
                least, chosen = found, algorithm.hypotheses(encoder, training)[int(np.lexsort((losses, errors))[0])]
            return Outcome(found[:1], tie=found[1])

        epochs = self.make(**{name: one.value(_any(one)) for name, one in self.space.items()}).epochs
        search = Search(self.space, self.trials, seed=seed, pruning=self.pruning, epochs=epochs)
        trials = list(search.run(evaluate))
        if chosen is None:
            raise SnnlearnError(f"Tuned: no trial could be trained; the last says: {trials[-1].refused}")
        return chosen


def _any(values: AbstractRange) -> Any:
    """Some value of a range's distribution."""
    distribution = values.distribution()
    return distribution.choices[0] if hasattr(distribution, "choices") else distribution.low


_NAME = "tune"


def _optuna() -> Any:
    """The package, which starts slowly and is an extra."""
    try:
        import optuna
    except ImportError as error:
        raise SnnlearnError("a search needs the package optuna; install it by pip install 'snnlearn[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _seed(seed: int, number: int) -> int:
    """The seed of one trial's random numbers."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4], "little")


def _kept(file: Path, objectives: int) -> Any:
    """The study in a file."""
    optuna = _optuna()
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
