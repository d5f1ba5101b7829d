"""Samples as an estimator trains on them: a function of the points and of how much each counts, not of rows."""

from __future__ import annotations

import numpy as np

from snnlearn.data import WeightedSample
from snnlearn.data.base import Sample, digests, stratify

LEAST_BATCHES = 16
"""Batches of an epoch at least; a smaller sample is repeated."""


def distinct(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> WeightedSample:
    """Equal z as one whose weight is the sum of theirs, in an order that follows from the z alone.

    So an integer weight is as many rows, weight 0 is none, and the order of rows is nothing, bit for bit.

    Args:
        x: `[m, *shape]`.
        y: labels `[m]`, or real targets `[m, D]`.
        weights: `[m]`, > 0.
    """
    keys = np.stack([digests(x), digests(y.reshape(len(y), -1))], axis=1)
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
    sizes = np.bincount(labels)
    if np.any(np.maximum(1, np.round(fraction * sizes)) >= sizes):
        return sample, sample
    train, validation = stratify(Sample(sample.x, labels), {"validation": fraction}, seed)
    if len(np.unique(labels[train])) < len(sizes):  # equal x of several classes went with the first of them
        return sample, sample
    return _take(sample, train), _take(sample, validation)


def repeated(sample: WeightedSample, size: int) -> WeightedSample:
    """The same sample in at least so many rows: repeated, and each z's weight shared out among its rows.

    So small samples of any size share their compiled programs, and an epoch of them is worth its while.

    Args:
        sample: the sample.
        size: rows, at least.
    """
    m = len(sample.y)
    index = np.arange(max(m, size)) % m
    shares = sample.weights / np.bincount(index)
    return WeightedSample(sample.x[index], sample.y[index], shares[index].astype(np.float32))


def standard(sample: WeightedSample) -> tuple[np.ndarray, np.ndarray]:
    """Per feature its mean and its mean + standard deviation, which `Rescaled` maps to 0 and 1; constant, twice its mean.

    Args:
        sample: the sample.
    """
    x = sample.x.astype(np.float64)
    mean = np.average(x, axis=0, weights=sample.weights)
    deviation = np.sqrt(np.average(np.square(x - mean), axis=0, weights=sample.weights))
    deviation = np.where(x.min(axis=0) < x.max(axis=0), deviation, 0.0)
    return mean.astype(np.float32), (mean + deviation).astype(np.float32)


def _take(sample: WeightedSample, indices: np.ndarray) -> WeightedSample:
    return WeightedSample(sample.x[indices], sample.y[indices], sample.weights[indices])
