"""Tasks of working memory in spikes, for a second and more, at 1 ms a step."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.base import Dataset, Sample
from snnlearn.data.counts import at_least, counts_of

SIGNAL, COMMAND, NOISE = 0.04, 0.05, 0.01  # spikes a step and input: 40, 50 and 10 Hz


def evidence_accumulation(
    *,
    num_cues: int = 7,
    cue: int = 100,
    gap: int = 50,
    delay: int = 1050,
    recall: int = 150,
    group: int = 10,
    num_train: int = 1000,
    num_validation: int = 500,
    num_test: int = 1000,
    seed: int = 0,
) -> Dataset:
    """Say from which side most cues came, long after the last.

    Cues come one after the other, each from the left or from the right: in a trial from a side drawn for it with
    probability 0.7. Four groups of inputs spike as independent Poisson processes: one for each side while its cue
    lasts, at 40 Hz; one in the last `recall` steps, in which the answer is asked for, at 40 Hz; and one of noise, at
    10 Hz all the time.

    Args:
        num_cues: Cues of a trial, odd.
        cue: Steps of a cue, 1 or more.
        gap: Steps before each cue, 0 or more.
        delay: Steps from the end of the last cue to the recall, 0 or more.
        recall: Steps of the recall, 1 or more.
        group: Inputs of each group, 1 or more.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the samples.

    Returns:
        The data set, x `[m, T, 4 · group]` of kind "spikes", T = num_cues · (cue + gap) + delay + recall, in the
        classes left and right.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, after the mice of Engelhard et al. 2019.

    >>> d = evidence_accumulation(num_train=2, num_validation=2, num_test=2)
    >>> d.shape, d.class_names
    ((2250, 40), ('left', 'right'))
    """
    counts = counts_of("evidence_accumulation", num_train, num_validation, num_test)
    at_least(1, "evidence_accumulation", num_cues=num_cues, cue=cue, recall=recall, group=group)
    at_least(0, "evidence_accumulation", gap=gap, delay=delay, seed=seed)
    if num_cues % 2 == 0:
        raise SnnlearnError(f"evidence_accumulation: num_cues is {num_cues}; give an odd number, so that none is a tie")
    num_steps = num_cues * (cue + gap) + delay + recall
    _check_memory(counts, num_steps, 4 * group)
    rng = np.random.default_rng(seed)

    def draw(m: int) -> Sample:
        likely = rng.choice([0.3, 0.7], (m, 1))
        cues = (rng.random((m, num_cues)) < likely).astype(np.int32)
        x = np.empty((m, num_steps, 4 * group), np.uint8)
        for spikes, sides in zip(x, cues, strict=True):
            rates = rates_of_cues(sides, cue=cue, gap=gap, delay=delay, recall=recall, group=group)
            spikes[:] = rng.random(rates.shape, np.float32) < rates
        return Sample(x, (2 * cues.sum(axis=1) > num_cues).astype(np.int32))

    return _of_spikes("evidence accumulation", [draw(m) for m in counts], ("left", "right"))


def rates_of_cues(
    cues: Integer[np.ndarray, " cues"], *, cue: int, gap: int, delay: int, recall: int, group: int
) -> Float[np.ndarray, "T inputs"]:
    """The expected spikes of each step and input in a trial of `evidence_accumulation`, given the side of each cue."""
    rates = np.zeros((len(cues) * (cue + gap) + delay + recall, 4 * group))
    for k, side in enumerate(cues):
        start = gap + k * (cue + gap)
        rates[start : start + cue, group * side : group * (side + 1)] = SIGNAL
    rates[-recall:, 2 * group : 3 * group] = SIGNAL
    rates[:, 3 * group :] = NOISE
    return rates


def store_recall(
    *,
    delay: int = 11,
    symbol: int = 200,
    group: int = 25,
    num_train: int = 500,
    num_validation: int = 200,
    num_test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Keep the value that came with the command to store, while others follow, until the command to recall.

    Symbols follow one another, and each shows a value, 0 or 1. One of them, drawn for the trial, comes with the command
    to store; the last is the command to recall and shows no value. Each of four groups of inputs, value 0, value 1,
    store and recall, spikes as independent Poisson processes of 50 Hz while its symbol lasts, and else is silent.

    Args:
        delay: Symbols from the value to the recall at most, 1 or more; there are `delay + 1`.
        symbol: Steps of a symbol, 1 or more, of 1 ms.
        group: Inputs of each group, 1 or more.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the samples.

    Returns:
        The data set, x `[m, (delay + 1) · symbol, 4 · group]` of kind "spikes"; y is the value.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Bellec et al. 2018, arXiv:1803.09574, here with one command to store and one to recall in each trial.

    >>> d = store_recall(num_train=2, num_validation=2, num_test=2)
    >>> d.shape, d.num_classes
    ((2400, 100), 2)
    """
    counts = counts_of("store_recall", num_train, num_validation, num_test)
    at_least(1, "store_recall", delay=delay, symbol=symbol, group=group)
    at_least(0, "store_recall", seed=seed)
    num_steps = (delay + 1) * symbol
    _check_memory(counts, num_steps, 4 * group)
    rng = np.random.default_rng(seed)

    def draw(m: int) -> Sample:
        values, stores = rng.integers(0, 2, (m, delay)), rng.integers(0, delay, m)
        active = np.zeros((m, delay + 1, 4), bool)
        active[:, :-1, 0], active[:, :-1, 1] = values == 0, values == 1
        active[np.arange(m), stores, 2] = True
        active[:, -1, 3] = True
        x = np.empty((m, num_steps, 4 * group), np.uint8)
        for spikes, symbols in zip(x, active, strict=True):
            shown = symbols.repeat(symbol, axis=0).repeat(group, axis=1)
            spikes[:] = shown & (rng.random(shown.shape, np.float32) < COMMAND)
        return Sample(x, values[np.arange(m), stores].astype(np.int32))

    return _of_spikes("store-recall", [draw(m) for m in counts], ("0", "1"))


def _check_memory(counts: tuple[int, int, int], num_steps: int, inputs: int) -> None:
    check_memory(sum(counts) * num_steps * inputs, "the spikes", "give fewer samples or steps")


def _of_spikes(name: str, parts: list[Sample], class_names: tuple[str, ...]) -> Dataset:
    train, validation, test = parts
    return Dataset(name, train, validation, test, len(class_names), "spikes", class_names=class_names)
