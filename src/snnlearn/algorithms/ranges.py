"""The values that a search may choose among."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.

import math
from abc import abstractmethod
from typing import Any, final

import equinox as eqx

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import number
from snnlearn.algorithms.optuna import optuna_package


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
        return optuna_package().distributions.FloatDistribution(float(self.low), float(self.high), log=self.log)

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
        return optuna_package().distributions.IntDistribution(self.low, self.high, log=self.log)

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
        return optuna_package().distributions.CategoricalDistribution(tuple(choices))

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
