r"""No free lunch, by enumeration: every labeling of a small domain, every sample, any learner, exactly.

x is uniform on k points; a learner sees n of them, drawn with replacement, with their labels, and labels all k.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError

Learner = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From the points seen `[n]` and their labels 0 or 1 `[n]` to a label of every point `[k]`."""


class NoFreeLunch(NamedTuple):
    """A learner's risk over all tasks.

    Args:
        risk: averaged over tasks and samples.
        off_training_set: error on points that were not seen, averaged over tasks and samples that leave some.
        seen: the part of the risk that is made on seen points; 0 for a learner that remembers.
        of_task: expected risk on each of the 2^k tasks; the worst is at least the average.
    """

    risk: float
    off_training_set: float
    seen: float
    of_task: Float[np.ndarray, " tasks"]


@checked
def labelings(k: int) -> Integer[np.ndarray, "tasks k"]:
    """All 2^k labelings of k points, k from 1 to 12.

    Raises:
        SnnlearnError: if k is not from 1 to 12.

    >>> labelings(2).tolist()
    [[0, 0], [0, 1], [1, 0], [1, 1]]
    """
    if not 1 <= k <= 12:
        raise SnnlearnError(f"labelings: k is {k}; give a number of points from 1 to 12, since 2^k are enumerated")
    return np.array(list(itertools.product((0, 1), repeat=k)))


@checked
def no_free_lunch_risk(k: int, n: int) -> float:
    r"""$\frac12(1 - 1/k)^n$: the mean risk over all tasks of any learner that is right on what it saw.

    No learner is below it, so that for each learner some task, with Bayes risk 0, costs at least as much.

    Args:
        k: points, ≥ 1.
        n: draws, ≥ 0.

    Raises:
        SnnlearnError: if k is below 1 or n below 0.

    >>> no_free_lunch_risk(4, 2), round(no_free_lunch_risk(10, 5), 6), round(no_free_lunch_risk(100, 50), 6)
    (0.28125, 0.295245, 0.302503)
    """
    if k < 1 or n < 0:
        raise SnnlearnError(f"no_free_lunch_risk: k is {k} and n {n}; give at least 1 point and 0 draws")
    return 0.5 * (1 - 1 / k) ** n


@checked
def no_free_lunch(learner: Learner, k: int, n: int, *, prior: Float[np.ndarray, " tasks"] | None = None) -> NoFreeLunch:
    """Average a learner's risk over all labelings and all samples, by enumeration of both.

    Args:
        learner: the algorithm, a function of what it sees; it is asked once for each different sample.
        k: points, from 1 to 12.
        n: draws, ≥ 1; k^n samples are enumerated.
        prior: probability of each labeling, `[2^k]`; None is uniform. Under any other, learners do differ.

    Raises:
        SnnlearnError: if there is too much to enumerate, or the prior is not a distribution.

    >>> always_one = lambda points, labels: np.ones(4, int)
    >>> no_free_lunch(always_one, 4, 2).risk, no_free_lunch(always_one, 4, 2).off_training_set
    (0.5, 0.5)
    """
    tasks = labelings(k)
    if n < 1 or k**n > 100_000:
        raise SnnlearnError(f"no_free_lunch: k is {k} and n {n}; give n ≥ 1 with at most 100,000 samples k^n")
    weights = np.full(len(tasks), 1 / len(tasks)) if prior is None else np.asarray(prior, float)
    if weights.shape != (len(tasks),) or weights.min() < 0 or abs(weights.sum() - 1) > 1e-9:
        raise SnnlearnError(f"no_free_lunch: prior has shape {weights.shape}; give {len(tasks)} probabilities, sum 1")
    known: dict[bytes, np.ndarray] = {}
    wrong_seen, wrong_unseen, unseen_points, leaving = (np.zeros(len(tasks), object) for _ in range(4))
    for sample in itertools.product(range(k), repeat=n):
        points = np.array(sample)
        unseen = np.setdiff1d(np.arange(k), points)
        seen = np.setdiff1d(np.arange(k), unseen)
        for task, truth in enumerate(tasks):
            key = points.tobytes() + truth[points].tobytes()
            if key not in known:
                known[key] = np.asarray(learner(points, truth[points]))
            wrong = known[key] != truth
            wrong_seen[task] += int(wrong[seen].sum())
            wrong_unseen[task] += int(wrong[unseen].sum())
            if unseen.size:
                unseen_points[task] += Fraction(int(wrong[unseen].sum()), unseen.size)
                leaving[task] += 1
    count = k * k**n
    of_task = np.array([float(Fraction(a + b, count)) for a, b in zip(wrong_seen, wrong_unseen, strict=True)])
    off = [float(a / b) if b else 0.0 for a, b in zip(unseen_points, leaving, strict=True)]
    return NoFreeLunch(
        float(weights @ of_task),
        float(weights @ np.array(off)),
        float(weights @ np.array([int(a) / count for a in wrong_seen])),
        of_task,
    )
