"""Samples as an estimator trains on them: a function of the points and of how much each counts, not of rows."""

from __future__ import annotations

import numpy as np

from snnlearn.data import WeightedSample
from snnlearn.data.base import Sample, check_fractions, digests, stratify

LEAST_BATCHES = 16
"""Batches of an epoch at least; a smaller sample is repeated."""


def distinct(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> WeightedSample:
    """Equal z as one whose weight is the sum of theirs, in an order that follows from the z alone.

    So an integer weight is as many rows, weight 0 is none, and the order of rows is nothing, bit for bit.

    Args:
        x: `[m, *shape]`.
        y: labels `[m]`, or real targets `[m, D]`.
        weights: `[m]`, ≥ 0.
    """
    halfwords = np.ascontiguousarray(y).reshape(len(y), -1).view(np.uint16)  # which a digest tells apart exactly
    keys = np.stack([digests(x), digests(halfwords)], axis=1)
    _, first, number = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return WeightedSample(x[first], y[first], np.bincount(number.ravel(), weights).astype(np.float64))


def held_out(
    sample: WeightedSample, labels: np.ndarray, fraction: float, seed: int
) -> tuple[WeightedSample, WeightedSample]:
    """Training and validation, stratified by labels; twice the whole if some class is too small to be cut.

    Args:
        sample: what to cut.
        labels: by which to stratify, `[m]`.
        fraction: for validation, in (0, 1).
        seed: of the cut.
    """
    check_fractions({"validation_fraction": fraction}, seed)
    sizes = np.bincount(labels)
    if np.any(np.maximum(1, np.round(fraction * sizes)) >= sizes):
        return sample, sample
    train, validation = stratify(Sample(sample.x, labels), {"validation": fraction}, seed)
    if len(np.unique(labels[train])) < len(sizes):  # equal x of several classes went with the first of them
        return sample, sample
    return _take(sample, train), _take(sample, validation)


def repeated(sample: WeightedSample, size: int) -> Sample | WeightedSample:
    """The same sample in at least so many rows: repeated, and each z's weight shared out among its rows.

    So small samples of any size share their compiled programs, and an epoch of them is worth its while.

    Args:
        sample: the sample.
        size: rows, at least.
    """
    m = len(sample.y)
    if m >= size and np.all(sample.weights == sample.weights[0]):  # which every loss and rule takes
        return Sample(sample.x, sample.y)
    index = np.arange(max(m, size)) % m
    shares = sample.weights / np.bincount(index)
    return WeightedSample(sample.x[index], sample.y[index], shares[index].astype(np.float32))


def mean_and_deviation(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of each value; 0 where it is constant.

    Args:
        values: `[m, *shape]`.
        weights: how much each counts, `[m]`.
    """
    values = values.astype(np.float64)
    mean = np.average(values, axis=0, weights=weights)
    deviation = np.sqrt(np.average(np.square(values - mean), axis=0, weights=weights))
    return mean, np.where(values.min(axis=0) < values.max(axis=0), deviation, 0.0)


def _take(sample: WeightedSample, indices: np.ndarray) -> WeightedSample:
    return WeightedSample(sample.x[indices], sample.y[indices], sample.weights[indices])
