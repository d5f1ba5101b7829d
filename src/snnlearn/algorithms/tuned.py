"""An algorithm that searches for the best of another one's settings."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

import math
from collections.abc import Callable, Mapping
from typing import Any, final

import jax
import numpy as np
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.base import AbstractAlgorithm
from snnlearn.algorithms.iterative import AbstractIterativeAlgorithm
from snnlearn.algorithms.pruning import AbstractPruning, Median
from snnlearn.algorithms.ranges import AbstractRange
from snnlearn.algorithms.search import Outcome, Report, Search
from snnlearn.coding import AbstractEncoder
from snnlearn.data import LearningData
from snnlearn.hypothesis import Hypothesis
from snnlearn.network import Network


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
