"""MNIST-1D: ten short templates, stretched, moved and hidden in noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

from snnlearn._memory import check_memory
from snnlearn.data.base import Dataset, Sample
from snnlearn.data.counts import at_least, counts_of
from snnlearn.data.long_range import series

_HEIGHTS = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)
"""The authors' templates of the digits 0 to 9: how far to the right the pen is, from top to bottom."""

_LENGTH = 72
"""Of a signal before it is resampled: 12 points and at most 60 zeros."""


def mnist1d(*, num_train: int = 4000, num_validation: int = 1000, num_test: int = 1000, seed: int = 42) -> Dataset:
    r"""MNIST-1D: which of ten templates a noisy signal of 40 steps contains.

    A template of 12 points, which starts at 0 and has a standard deviation of 1/6, is followed by 36 to 60 zeros and
    resampled to 72 points; multiplied by a factor in 1 ± 0.2; and rolled by 0 to 47 points. Where it is 0, there is
    correlated noise (0.25 times white noise, smoothed by a Gaussian of 2 points), and everywhere white noise of 0.02.
    A line with a slope within ± 0.375 per signal is subtracted, and the result is resampled to 40 points. All are then
    shifted and scaled together, such that training and test sample have mean 0 and standard deviation 1.

    With the default numbers and seed the training and the test sample are the published ones. The validation sample is
    drawn in the same way in addition.

    Args:
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        seed: Seed of the samples, 0 or more.

    Returns:
        The data set, x `[m, 40, 1]`.

    Raises:
        SnnlearnError: A number is out of range.

    Source: Greydanus and Kobak 2024, arXiv:2011.14439; templates and numbers as in github.com/greydanus/mnist1d.

    >>> d = mnist1d(num_train=80, num_validation=20, num_test=20)
    >>> d.shape, d.num_classes
    ((40, 1), 10)
    """
    counts = counts_of("mnist1d", num_train, num_validation, num_test)
    at_least(0, "mnist1d", seed=seed)
    check_memory(8 * 4 * _LENGTH * sum(counts), "the signals", "give fewer samples")
    x, y = _drawn(num_train + num_test, np.random.RandomState(seed))
    held, held_y = _drawn(num_validation, np.random.RandomState([seed, 1]))
    mean, std = x.mean(), x.std()

    def sample(x: Float[np.ndarray, "m T"], y: Int[np.ndarray, " m"]) -> Sample:
        return Sample(((x - mean) / std)[..., None].astype(np.float32), y.astype(np.int32))

    parts = [sample(x[:num_train], y[:num_train]), sample(held, held_y), sample(x[num_train:], y[num_train:])]
    return series("mnist-1d", parts, class_names=tuple(map(str, range(10))))


def _templates() -> Float[np.ndarray, "10 12"]:
    scaled = _HEIGHTS / _HEIGHTS.std(axis=1, keepdims=True)
    return (scaled - scaled[:, :1]) / 6


def _drawn(m: int, rng: np.random.RandomState) -> tuple[Float[np.ndarray, "m 40"], Int[np.ndarray, " m"]]:
    """Signals of all classes in random order; in that of the authors' random numbers, one signal after the other."""
    labels = np.repeat(np.arange(10), -(-m // 10))
    # What is 0 in a template is not empty, so that only the zeros after it are filled with noise.
    templates = _templates() + 1e-8
    signals, uniform = np.zeros((len(labels), _LENGTH)), rng.random_sample
    smooth, white, slopes = np.empty_like(signals), np.empty_like(signals), np.empty(len(labels))
    for n, label in enumerate(labels):
        zeros = 36 + int(25 * uniform())
        padded = np.concatenate([templates[label], np.zeros(zeros)])
        signal = _resampled(padded, _LENGTH) * (1 + 0.4 * (uniform() - 0.5))
        signals[n] = np.roll(signal, rng.choice(48))
        smooth[n], white[n] = rng.standard_normal(_LENGTH), rng.standard_normal(_LENGTH)
        slopes[n] = 0.75 * (uniform() - 0.5)
    signals = np.where(signals != 0, signals, gaussian_filter1d(0.25 * smooth, 2)) + 0.02 * white
    signals -= slopes[:, None] * np.linspace(-0.5, 0.5, _LENGTH)
    order = rng.permutation(len(labels))[:m]
    return np.stack([_resampled(signal, 40) for signal in signals[order]]), labels[order]


def _resampled(signal: Float[np.ndarray, " n"], size: int) -> Float[np.ndarray, " size"]:
    return np.interp(np.linspace(0, 1, size), np.linspace(0, 1, len(signal)), signal)
