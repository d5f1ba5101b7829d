"""The losses of a stream so far, in constant memory: sums, the last ones, and means of batches."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from snnlearn._errors import SnnlearnError
from snnlearn.risk import Interval, t_interval

BATCHES = 64
"""At most so many means of batches are kept; then neighbours are joined, so there are half as many, twice as long."""


class Record(NamedTuple):
    """The losses of the steps so far: the learner's, and those of P comparators.

    Sums are of double precision and added step by step, so that they do not depend on how the stream is cut.

    Args:
        steps: their number.
        totals: the sum of each, `[1 + P]`, the learner's first.
        window: the learner's last losses, step t at t mod W, `[W]`.
        batches: means of the learner's losses in batches of equal length, `[BATCHES]`, of which `full` are known.
        full: how many these are.
        length: steps of a batch.
        rest: the sum of the steps after the last full batch.
        largest: the learner's largest loss.
    """

    steps: int
    totals: Float[np.ndarray, " predictors"]
    window: Float[np.ndarray, " W"]
    batches: Float[np.ndarray, " batches"]
    full: int
    length: int
    rest: Float[np.ndarray, ""]
    largest: Float[np.ndarray, ""]


def nothing_yet(predictors: int, window: int) -> Record:
    """The record before the first step.

    Args:
        predictors: the learner and its comparators.
        window: W.
    """
    zeros = np.zeros(BATCHES)
    return Record(0, np.zeros(predictors), np.zeros(window), zeros, 0, 1, np.zeros(()), np.asarray(-np.inf))


def recorded(record: Record, losses: Float[np.ndarray, "n predictors"]) -> Record:
    """The record with the losses of the next steps."""
    losses = losses.astype(np.float64)
    # `cumsum` adds one after the other, where `sum` would add by pairs that depend on how many there are.
    totals = np.cumsum(np.concatenate([record.totals[None], losses]), axis=0)[-1]
    window = record.window.copy()
    last = np.arange(max(0, len(losses) - len(window)), len(losses))
    window[(record.steps + last) % len(window)] = losses[last, 0]
    batches, full, length, rest = record.batches.copy(), record.full, record.length, float(record.rest)
    in_rest = record.steps - full * length
    first = 0
    while first < len(losses):
        more = losses[first : first + length - in_rest, 0]
        rest, in_rest, first = float(np.cumsum([rest, *more])[-1]), in_rest + len(more), first + len(more)
        if in_rest == length:
            batches[full], full, rest, in_rest = rest / length, full + 1, 0.0, 0
            if full == BATCHES:
                batches[: BATCHES // 2] = (batches[::2] + batches[1::2]) / 2
                batches[BATCHES // 2 :], full, length = 0.0, BATCHES // 2, 2 * length
    largest = np.maximum(record.largest, losses[:, 0].max(initial=-np.inf))
    return Record(record.steps + len(losses), totals, window, batches, full, length, np.asarray(rest), largest)


class Regret(NamedTuple):
    r"""The regret so far, $R_T=\sum_{t\le T}\ell(p_t,y_t)-\min_{c\in\mathcal C}\sum_{t\le T}\ell(c_t,y_t)$.

    $p_t$ is what the learner predicted before it saw $y_t$, by the weights that it had then, and $\mathcal C$ the
    finite set of comparators, fixed before the stream, each of which predicts every step, too; the best of them is
    known only in hindsight (Cesa-Bianchi & Lugosi 2006, "Prediction, Learning, and Games", §2.1,
    doi:10.1017/CBO9780511546921). It may be below 0. Small regret is no small loss: it may only say that no comparator
    is good.

    It is *not* the regret against the best weights of the network (Zinkevich 2003), which nobody can compute, and no
    bound on it is known: that theory asks for convex losses, and a spiking network's is not. It is not what the learner
    would have lost in another world either: where its predictions change what comes next, comparators are judged on the
    stream that the learner brought about.

    Args:
        steps: T.
        loss: the learner's sum of losses.
        comparators: that of each comparator, in order.
        best: which of these is least.
        regret: $R_T$.
        recent: the learner's mean loss in the last steps, as many as its window has.
    """

    steps: int
    loss: float
    comparators: tuple[float, ...]
    best: int
    regret: float
    recent: float

    @property
    def mean_loss(self) -> float:
        """The learner's mean loss: the prequential risk (Dawid 1984), each step tested before it was trained on."""
        return self.loss / self.steps

    @property
    def mean_regret(self) -> float:
        """$R_T / T$."""
        return self.regret / self.steps


def regret_of(record: Record) -> Regret:
    """The regret so far.

    Raises:
        SnnlearnError: if there were no steps, or there are no comparators.
    """
    if len(record.totals) < 2:
        raise SnnlearnError(
            "regret: there is nothing to compare with; give the learner comparators, such as Persistence()"
        )
    if not record.steps:
        raise SnnlearnError("regret: the stream has had no steps; advance() first")
    loss, *others = map(float, record.totals)
    best = int(np.argmin(others))
    recent = record.window[: min(record.steps, len(record.window))].mean()
    return Regret(record.steps, loss, tuple(others), best, loss - others[best], float(recent))


def batch_means_interval(record: Record, confidence: float) -> Interval:
    r"""The mean loss per step, with an interval that takes into account that neighbouring steps depend on each other.

    Student's interval of the means of 32 to 63 batches of equal length (Schmeiser 1982, doi:10.1287/opre.30.3.556;
    joined in pairs as the stream goes on, so that memory is constant, as by Yeh & Schmeiser 2000, Winter Simulation
    Conference). It holds asymptotically where losses are stationary and their dependence is shorter
    than a batch. While the learner still learns, or the world drifts, they are not stationary; then it describes the
    mean of the past, and `martingale_interval` is the one that holds.

    Args:
        record: the losses so far.
        confidence: coverage, in (0, 1).

    Raises:
        SnnlearnError: before step 64, or for a confidence out of range.
    """
    if record.steps < BATCHES:
        raise SnnlearnError(
            f"risk: the stream has had {record.steps} steps; of fewer than {BATCHES} no interval is to be trusted"
        )
    return t_interval(record.batches[: record.full], confidence=confidence)


def martingale_interval(record: Record, largest: float, confidence: float) -> Interval:
    r"""The mean over steps of the expected loss given the past, $\frac1T\sum_t\mathbb E[\ell_t\mid\text{past}]$.

    $\frac1T\sum_t\ell_t\pm b\sqrt{\ln(2/\delta)/2T}$ for losses in $[0, b]$, by the inequality of Azuma and Hoeffding
    for martingale differences: whatever the dependence, the drift, or what the learner made of the past (Cesa-Bianchi,
    Conconi & Gentile 2004, doi:10.1109/TIT.2004.833339). It holds for a T chosen in advance, not for that at which one
    liked to stop.

    Args:
        record: the losses so far.
        largest: b, the largest loss that a step can have, > 0.
        confidence: 1 − δ, in (0, 1).

    Raises:
        SnnlearnError: if there were no steps, or for a number out of range.
    """
    if not record.steps:
        raise SnnlearnError("risk: the stream has had no steps; advance() first")
    if not (0 < largest < math.inf):
        raise SnnlearnError(f"risk: largest is {largest}; give the largest loss that a step can have, above 0")
    if not 0 < confidence < 1:
        raise SnnlearnError(f"risk: confidence is {confidence}; give a number between 0 and 1, such as 0.95")
    mean = float(record.totals[0]) / record.steps
    if record.largest > largest:
        raise SnnlearnError(
            f"risk: largest is {largest}, and there was a loss of {float(record.largest):g}; give the largest loss "
            "that a step can have, or use the interval of batch means"
        )
    half = largest * math.sqrt(math.log(2 / (1 - confidence)) / (2 * record.steps))
    return Interval(mean - half, mean + half, confidence).clip(0.0, largest)
