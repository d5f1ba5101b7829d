"""Samples that end at different times, in one rectangular array: what comes after the end is marked as no value.

The mark is part of x, so whatever maps x to scores knows where each sample ends, and whatever does not meets NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Shaped

from snnlearn._errors import SnnlearnError

NO_SPIKE_NOR_SILENCE = 255
"""In uint8 spikes, where NaN does not exist, the mark of a step after the end."""


def with_lengths(x: Shaped[np.ndarray, "m T *n"], lengths: Any) -> Shaped[np.ndarray, "m T *n"]:
    """Samples of which each ends after its own number of steps; whatever x holds after that is lost.

    The later steps become NaN in all channels, in uint8 spikes 255. Encoders that go through time with a sample give
    silence there, and nothing after the end has an influence: on scores, losses, gradients, rates or counts.

    Args:
        x: series or spikes, `[m, T, *n]`.
        lengths: steps of each sample, `[m]` whole numbers, 1 to T.

    Raises:
        SnnlearnError: x has no axis of time, or there is not one length from 1 to T for each sample.

    >>> with_lengths(np.ones((2, 3, 1)), [3, 1])[..., 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, nan, nan]]
    """
    lengths = np.asarray(lengths)
    if x.ndim < 3:
        raise SnnlearnError(f"lengths: x has shape {x.shape}, which is no series; give x as [samples, steps, channels]")
    if lengths.shape != x.shape[:1]:
        raise SnnlearnError(f"lengths has shape {lengths.shape} for {len(x)} samples; give one for each")
    if lengths.dtype.kind not in "uif" or not np.all(lengths == np.floor(lengths)):
        raise SnnlearnError("lengths holds what is no whole number; give the number of steps of each sample")
    if lengths.size and not 1 <= lengths.min() <= lengths.max() <= x.shape[1]:
        raise SnnlearnError(
            f"lengths goes from {lengths.min():g} to {lengths.max():g}; a sample has from 1 to {x.shape[1]} steps"
        )
    if np.all(lengths == x.shape[1]):
        return x
    mark = NO_SPIKE_NOR_SILENCE if x.dtype in (np.uint8, np.bool_) else np.nan
    kind = np.uint8 if x.dtype == np.bool_ else np.result_type(x.dtype, np.float32) if x.dtype.kind != "u" else x.dtype
    after = np.arange(x.shape[1]) >= lengths[:, None]
    return np.where(after.reshape(*after.shape, *(1,) * (x.ndim - 2)), np.asarray(mark, kind), x.astype(kind))


def rectangular(series: Sequence[Shaped[np.ndarray, "_ *n"]], num_steps: int) -> Shaped[np.ndarray, "m T *n"]:
    """Series of different lengths, `[T_i, *n]`, of at most T steps, in one array.

    >>> rectangular([np.ones((1, 1)), np.ones((2, 1))], 2)[..., 0].tolist()
    [[1.0, nan], [1.0, 1.0]]
    """
    x = np.stack([np.pad(one, ((0, num_steps - len(one)), *((0, 0) for _ in one.shape[1:]))) for one in series])
    return with_lengths(x, [len(one) for one in series])


def about_lengths(lengths: Int[np.ndarray, " m"], num_steps: int) -> tuple[str, ...]:
    """What to say of series that end before the last step, in sentences."""
    if not (shorter := int(np.sum(lengths < num_steps))):
        return ()
    return (
        f"{shorter} of {len(lengths)} series are shorter than {num_steps} values, the shortest {lengths.min()}: frame "
        "by frame, nothing after their end counts; as a whole, they hold their last value.",
    )


def lengths_of(x: Any) -> Int[np.ndarray, " m"] | None:
    """After how many steps each sample ends; None if all go on to the last, or x has no axis of time.

    Args:
        x: samples, `[m, *shape]`, an array of NumPy or JAX.

    >>> lengths_of(with_lengths(np.ones((2, 3, 1)), [3, 1])).tolist(), lengths_of(np.ones((2, 3, 1)))
    ([3, 1], None)
    """
    if x.ndim < 3 or not len(x) or not _marked(np.asarray(x[:, -1:])).any():
        return None
    there = ~_marked(np.asarray(x))
    lengths = np.max(np.where(there, np.arange(1, x.shape[1] + 1), 0), axis=1)
    return None if np.all(lengths == x.shape[1]) else lengths


def own_steps(x: Shaped[np.ndarray, "m T *n"]) -> Int[np.ndarray, " m"]:
    """How many steps each sample has before its end."""
    lengths = lengths_of(x)
    return np.full(len(x), x.shape[1]) if lengths is None else lengths


def after_end(x: Shaped[np.ndarray, "m *shape"]) -> Bool[np.ndarray, "m *shape"] | None:
    """Where x is a mark of what comes after a sample's end; None if all samples go on to the last step."""
    lengths = lengths_of(x)
    if lengths is None:
        return None
    after = np.arange(x.shape[1]) >= lengths[:, None]
    return np.broadcast_to(after.reshape(*after.shape, *(1,) * (x.ndim - 2)), x.shape)


def filled(x: Shaped[np.ndarray, "m *shape"], value: float | int) -> Shaped[np.ndarray, "m *shape"]:
    """The samples with a value after their ends.

    >>> filled(with_lengths(np.ones((2, 3, 1)), [3, 1]), 0.0)[..., 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    """
    after = after_end(x)
    return x if after is None else np.where(after, np.asarray(value, x.dtype), x)


def held(x: Shaped[np.ndarray, "m *shape"]) -> Shaped[np.ndarray, "m *shape"]:
    """The samples with their last value after their ends, for what only takes all of a series at once.

    >>> held(with_lengths(np.array([[[1.0], [2.0], [9.0]]]), [2]))[..., 0].tolist()
    [[1.0, 2.0, 2.0]]
    """
    lengths = lengths_of(x)
    if lengths is None:
        return x
    step = np.minimum(np.arange(x.shape[1]), np.maximum(lengths, 1)[:, None] - 1)
    return x[np.arange(len(x))[:, None], step]


def _marked(x: Shaped[np.ndarray, "m T *n"]) -> Bool[np.ndarray, "m T"]:
    """Which steps are marked in all channels."""
    if x.dtype.kind == "f":
        marks = np.isnan(x)
    elif x.dtype == np.uint8 and not np.any((x > 1) & (x < NO_SPIKE_NOR_SILENCE)):  # else the bytes of an image
        marks = x == NO_SPIKE_NOR_SILENCE
    else:
        return np.zeros(x.shape[:2], bool)
    return np.asarray(marks.all(axis=tuple(range(2, x.ndim))))
