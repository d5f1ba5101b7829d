"""When a search gives a trial up."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

from abc import abstractmethod
from typing import Any, final

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms.optuna import optuna_package


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
        return optuna_package().pruners.MedianPruner(self.startup, int(self.wait * epochs))


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
        return optuna_package().pruners.HyperbandPruner(1, max(1, epochs), self.factor)


@final
class WholeTrials(AbstractPruning):
    """Give up no trial."""

    def pruner(self, epochs: int) -> Any:
        """See the base."""
        return optuna_package().pruners.NopPruner()
