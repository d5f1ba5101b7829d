r"""Risk over chips: the error of a network is a random variable of the device that it runs on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PRNGKeyArray
from scipy import stats

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.chip import Chip, check_room, deploy
from snnlearn.data import Sample
from snnlearn.hypothesis import Hypothesis, decisions, scores
from snnlearn.risk import Interval, clopper_pearson, t_interval

_BATCH = 256


class ChipRisk(NamedTuple):
    """Errors of one network on many chips, all on the same samples.

    Args:
        wrong: whether a chip errs on a sample, `[chips, m]`.
    """

    wrong: Bool[np.ndarray, "chips m"]

    @property
    def errors(self) -> Float[np.ndarray, " chips"]:
        """The share of samples on which each chip errs."""
        return self.wrong.mean(axis=1)

    @property
    def mean(self) -> float:
        """The mean over chips: an unbiased estimate of the risk of a chip that is drawn anew."""
        return float(self.wrong.mean())

    @checked
    def interval(self, *, confidence: float = 0.95) -> Interval:
        r"""A confidence interval of the risk of a chip drawn anew, on a sample drawn anew.

        Every chip meets every sample, so both are sources of error: with the means over each of C chips, of variance
        $s_c^2$, and over each of m samples, of variance $s_m^2$, the variance of the mean of all is estimated by
        $s_c^2/C+s_m^2/m$, which counts the share that belongs to neither alone twice, and so is not too small. Normal
        approximation with the smaller number of degrees of freedom; within [0, 1].

        Raises:
            SnnlearnError: for fewer than two chips or samples.
        """
        chips, m = self.wrong.shape
        if min(chips, m) < 2:
            raise SnnlearnError(f"ChipRisk: an interval needs two chips and two samples; got {chips} and {m}")
        variance = self.wrong.mean(axis=1).var(ddof=1) / chips + self.wrong.mean(axis=0).var(ddof=1) / m
        half = stats.t.isf((1 - confidence) / 2, min(chips, m) - 1) * np.sqrt(variance)
        return Interval(self.mean - half, self.mean + half, confidence).clip(0.0, 1.0)

    @checked
    def quantile(self, share: float, *, confidence: float = 0.95) -> tuple[float, Interval]:
        """The error that a share of all chips does not exceed on these samples, and an interval of it.

        The interval's ends are order statistics, whatever the law of the errors; where there are too few chips to
        bound it, an end is 0 or 1.

        Args:
            share: of the chips, in (0, 1).
            confidence: of the interval.

        Raises:
            SnnlearnError: for a share outside (0, 1).
        """
        if not 0 < share < 1:
            raise SnnlearnError(f"ChipRisk: share is {share}; give a number between 0 and 1")
        ordered = np.sort(self.errors)
        tail = (1 - confidence) / 2
        # How many of the chips lie below the quantile is binomial.
        below = int(stats.binom.ppf(tail, len(ordered), share))
        above = int(stats.binom.isf(tail, len(ordered), share))
        low = ordered[below - 1] if below > 0 else 0.0
        high = ordered[above] if above < len(ordered) else 1.0
        middle = ordered[min(int(np.ceil(share * len(ordered))), len(ordered)) - 1]
        return float(middle), Interval(float(low), float(high), confidence)

    @checked
    def chip_yield(self, most: float, *, confidence: float = 0.95) -> tuple[float, Interval]:
        """The share of chips that err on at most a share of these samples, with its exact interval.

        Args:
            most: the error that is still good, in [0, 1].
            confidence: of the interval (Clopper–Pearson).

        Raises:
            SnnlearnError: for an error outside [0, 1].
        """
        if not 0 <= most <= 1:
            raise SnnlearnError(f"ChipRisk: most is {most}; give a share of errors from 0 to 1")
        good = int(np.sum(self.errors <= most))
        return good / len(self.errors), clopper_pearson(good, len(self.errors), confidence=confidence)


@checked
def scores_on_chips(
    hypothesis: Hypothesis,
    chip: Chip,
    xs: np.ndarray | Array,
    *,
    keys: Key[Array, " chips"],
    key: PRNGKeyArray | None = None,
) -> Iterator[Float[np.ndarray, "m C"]]:
    """The scores of many samples on one chip after another; all chips share one compiled program.

    Args:
        hypothesis: the hypothesis as designed.
        chip: the kind of chip.
        xs: the samples, `[m, *shape]`.
        keys: one for each chip, `[n]`.
        key: random key of encoder and noise, the same on all chips; None is the fixed key 0, as in `predict`.

    Raises:
        SnnlearnError: if the network does not fit on the chip, or the samples do not fit the network.
    """
    if keys.ndim != 1 or len(keys) == 0:
        raise SnnlearnError(f"scores_on_chips: keys has shape {keys.shape}; give one key for each chip")
    # They refuse before anything is compiled; limits look at weights, effects only at shapes.
    check_room(hypothesis.network, chip)
    eqx.filter_eval_shape(lambda key: deploy(hypothesis.network, chip, key=key), keys[0])
    scores(hypothesis, xs[:1])  # as predict refuses
    given, rest = jax.random.key(0) if key is None else key, jnp.asarray(xs)
    return (np.asarray(_scores(hypothesis, chip, rest, given, one)) for one in keys)


@eqx.filter_jit
def _scores(hypothesis: Hypothesis, chip: Chip, xs: Array, key: PRNGKeyArray, identity: PRNGKeyArray) -> Array:
    network = deploy(hypothesis.network, chip, key=identity)
    there = Hypothesis(hypothesis.encoder, network, hypothesis.decoder)
    each = (xs, jax.random.split(key, len(xs)))
    return jax.lax.map(lambda sample: there(sample[0], key=sample[1]), each, batch_size=_BATCH)


@checked
def risk_over_chips(
    hypothesis: Hypothesis,
    chip: Chip,
    sample: Sample,
    *,
    keys: Key[Array, " chips"],
    each: Any = iter,
) -> ChipRisk:
    """The errors of a network on many chips.

    Args:
        hypothesis: the hypothesis as designed; it decides between classes.
        chip: the kind of chip.
        sample: labelled samples that neither trained nor selected it.
        keys: one for each chip, `[n]`.
        each: wraps the iterator over chips, such as a progress bar.

    Raises:
        SnnlearnError: if the network does not fit on the chip, the samples do not fit the network, or it predicts
            values.

    >>> import snnlearn as sl
    >>> from snnlearn.circuits import LogNormal, Mismatch
    >>> data = sl.data.yin_yang(num_train=10, num_validation=10, num_test=50)
    >>> network = sl.network.feedforward((4, 20, 3), key=jax.random.key(0))
    >>> hypothesis = sl.Hypothesis(sl.coding.Current(num_steps=10), network, sl.coding.MeanMembrane())
    >>> kind = Chip("mine", effects=(Mismatch("v_th", LogNormal(0.1)),))
    >>> risk_over_chips(hypothesis, kind, data.test, keys=jax.random.split(jax.random.key(1), 3)).errors.shape
    (3,)
    """
    if hypothesis.decoder.task != "classification":
        raise SnnlearnError(
            f"risk_over_chips: the network's task is {hypothesis.decoder.task}, and only errors of classes are "
            "counted; give a network that classifies, or compare scores_on_chips yourself"
        )
    found = scores_on_chips(hypothesis, chip, sample.x, keys=keys)
    return ChipRisk(np.stack([decisions(one) != np.asarray(sample.y) for one in each(found)]))


class Sensitivity(NamedTuple):
    """What one effect of a chip does, by switching it off.

    Args:
        label: the effect's.
        cost: how much larger the mean error is with it, all other draws being the same.
        interval: of the cost, over chips.
        left: the mean error without it.
    """

    label: str
    cost: float
    interval: Interval
    left: float


@checked
def sensitivities(
    hypothesis: Hypothesis,
    chip: Chip,
    sample: Sample,
    *,
    keys: Key[Array, " chips"],
    with_all: ChipRisk,
    each: Any = iter,
    confidence: float = 0.95,
) -> Sequence[Sensitivity]:
    """What each effect of a chip costs: the same chips with one effect switched off, and all other draws unchanged.

    Effects that the network has nothing for are left out.

    Args:
        hypothesis: the hypothesis as designed.
        chip: the kind of chip.
        sample: the same samples as those of `with_all`.
        keys: one for each chip, at least two: the first of `with_all`.
        with_all: errors with all effects.
        each: wraps the iterator over chips.
        confidence: of the intervals.

    Raises:
        SnnlearnError: for other numbers of chips or samples than those of `with_all`.
    """
    if len(keys) > len(with_all.wrong) or len(keys) < 2:
        raise SnnlearnError(
            f"sensitivities: there are {len(keys)} keys, and errors of {len(with_all.wrong)} chips; give at least two "
            "of the keys that gave those"
        )
    found = []
    for effect in chip.effects:
        if not effect.applies(hypothesis.network):
            continue
        without = risk_over_chips(hypothesis, chip.without(effect.label), sample, keys=keys, each=each)
        difference = with_all.errors[: len(keys)] - without.errors
        interval = t_interval(difference, confidence=confidence)
        found.append(Sensitivity(effect.label, float(difference.mean()), interval, without.mean))
    return found
