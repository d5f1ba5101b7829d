"""Cross-validation: the risk of an algorithm, where data is too scarce to set a part of it aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.data import Sample
from snnlearn.data.base import check, first_equal, take
from snnlearn.risk.intervals import Interval, t_interval

Decide = Callable[[np.ndarray], np.ndarray]
"""A hypothesis as a function from x `[m, *shape]` to classes `[m]`."""


class CrossValidation(NamedTuple):
    """What cross-validation found: the risk of the *algorithm* at (k − 1)/k of the sample, not of one hypothesis.

    Args:
        risk: mean error over the folds, each weighted by its samples.
        interval: t interval over the folds, which share training data: it is too short, and called approximate.
        fold_risks: error of each fold, `[k]`.
        errors: whether each sample was decided wrongly by the hypothesis that had not seen it, `[m]`.
    """

    risk: float
    interval: Interval
    fold_risks: Float[np.ndarray, " k"]
    errors: np.ndarray


@checked
def folds(y: Integer[np.ndarray, " m"], k: int = 5, *, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of what is learned from and what is held out, k times; each sample is held out once, classes alike.

    Args:
        y: labels, `[m]`.
        k: folds, from 2 to m.
        seed: of the order.

    Raises:
        SnnlearnError: if k is not from 2 to m.

    >>> [held_out.size for _, held_out in folds(np.array([0, 1] * 5), 5)]
    [2, 2, 2, 2, 2]
    """
    if not 2 <= k <= len(y):
        raise SnnlearnError(f"folds: k is {k}; give a number from 2 to the {len(y)} samples")
    shuffled = np.random.default_rng(seed).permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]  # dealt out class by class
    for fold in range(k):
        held_out = np.sort(by_class[fold::k])
        yield np.setdiff1d(np.arange(len(y)), held_out, assume_unique=True), held_out


@checked
def cross_validate(
    learn: Callable[[Sample], Decide], sample: Sample, k: int = 5, *, confidence: float = 0.95, seed: int = 0
) -> CrossValidation:
    """Learn from all folds but one, err on that one, for each fold; samples of equal x are in one fold.

    Args:
        learn: the algorithm: from a sample to a function that decides. Whatever it chooses (stopping, hyperparameters)
            it must choose from the sample it gets.
        sample: the data.
        k: folds, ≥ 2.
        confidence: of the interval, in (0, 1).
        seed: of the folds.

    Raises:
        SnnlearnError: for an empty or damaged sample, or k out of range.

    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> s = Sample(np.arange(20.0)[:, None], np.repeat([0, 1], 10))
    >>> cross_validate(lambda s: KNeighborsClassifier(1).fit(s.x, s.y).predict, s).risk  # at the border, 1 of 20
    0.05
    """
    check(sample, "cross_validate: the sample")
    errors, fold_risks = np.zeros(len(sample.y), bool), []
    distinct, number = np.unique(first_equal(sample.x), return_inverse=True)
    for _, chosen in folds(sample.y[distinct], k, seed=seed):
        held_out, rest = np.flatnonzero(np.isin(number, chosen)), np.flatnonzero(~np.isin(number, chosen))
        decide = learn(take(sample, rest))
        errors[held_out] = np.asarray(decide(sample.x[held_out])) != sample.y[held_out]
        fold_risks.append(errors[held_out].mean())
    interval = t_interval(fold_risks, confidence=confidence).clip(0.0, 1.0)
    return CrossValidation(float(errors.mean()), interval, np.array(fold_risks), errors)
