"""A chaotic series whose future follows from its past, to be predicted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from snnlearn.data.base import Dataset, Sample
from snnlearn.data.counts import at_least, counts_of
from snnlearn.data.found import Form

_SUBSTEPS = 10
_WARM_UP = 1000


def mackey_glass(
    *,
    horizon: int = 6,
    history: int = 18,
    num_train: int = 2000,
    num_validation: int = 300,
    num_test: int = 1000,
    tau: int = 17,
    seed: int = 0,
) -> Dataset:
    r"""The Mackey–Glass series: predict $s(t + h)$ from the last values $s(t - 17), \dots, s(t)$.

    $$\dot s(t) = \frac{0.2\,s(t - \tau)}{1 + s(t - \tau)^{10}} - 0.1\,s(t),$$

    sampled once in a unit of time. The parts follow one another in time, and no value of one is in another.

    Args:
        horizon: $h$, how far ahead, in units of time, 1 or more.
        history: How many values x has, 1 or more; τ + 1 determine the future.
        num_train: Number of training samples.
        num_validation: Number of validation samples.
        num_test: Number of test samples.
        tau: The delay τ, in units of time, 1 or more; from 17 on the series is chaotic.
        seed: 0 starts from s = 1.2, as is usual; others from a value drawn from [0.7, 1.7].

    Returns:
        The data set, x `[m, history, 1]`, y `[m, 1]`.

    Raises:
        SnnlearnError: A number is out of range.

    Source: M. C. Mackey and L. Glass, Science 197:287 (1977), doi:10.1126/science.267326, eq. 4b, in its usual units.

    >>> d = mackey_glass(num_train=200, num_validation=20, num_test=20)
    >>> d.shape, d.task, d.target_names
    ((18, 1), 'regression', ('s(t + 6)',))
    """
    counts = counts_of("mackey_glass", num_train, num_validation, num_test)
    at_least(1, "mackey_glass", horizon=horizon, history=history, tau=tau)
    at_least(0, "mackey_glass", seed=seed)
    start = 1.2 if seed == 0 else float(np.random.default_rng(seed).uniform(0.7, 1.7))
    lengths = [number + history + horizon - 1 for number in counts]
    series = delayed(tau, start, _WARM_UP + sum(lengths))[_WARM_UP:]
    pieces = np.split(series.astype(np.float32), np.cumsum(lengths)[:-1])
    train, validation, test = (_windows(piece, history, horizon) for piece in pieces)
    name = f"s(t + {horizon})"
    return Dataset(
        f"mackey-glass, {horizon} ahead",
        train,
        validation,
        test,
        None,
        "values",
        low=train.x.min(axis=(0, 1)),
        high=train.x.max(axis=(0, 1)),
        target_names=(name,),
        doubts=(
            "Test samples overlap in time, so that their errors are not independent: intervals over samples are "
            "shorter than they should be.",
        ),
        form=Form(shape=train.x.shape[1:], targets=(name,), task="regression"),
    )


def _windows(series: Float[np.ndarray, " T"], history: int, horizon: int) -> Sample:
    x = np.lib.stride_tricks.sliding_window_view(series, history)[: len(series) - history - horizon + 1]
    return Sample(x[..., None].copy(), series[history + horizon - 1 :, None].copy())


def delayed(tau: int, start: float, size: int) -> Float[np.ndarray, " size"]:
    """The Mackey–Glass series at t = 0, 1, …, from a constant past: by Runge–Kutta steps of fourth order.

    A step is a tenth of a unit of time. Within a step of the past, the series is the cubic through its ends with its
    derivatives there, so that the order is kept.

    >>> delayed(17, 1.2, 3).round(4).tolist()  # e^(-t / 10) (1.2 - c) + c with c = 2.4 / (1 + 1.2¹⁰)
    [1.2, 1.1176, 1.043]
    """
    h, lag = 1 / _SUBSTEPS, tau * _SUBSTEPS
    s, slope = [start] * (lag + 1), [0.0] * (lag + 1)

    def rate(now: float, past: float) -> float:
        return 0.2 * past / (1 + past**10) - 0.1 * now

    slope[lag] = rate(start, start)
    for k in range(lag, lag + (size - 1) * _SUBSTEPS):
        first, last = s[k - lag], s[k - lag + 1]
        # The derivative jumps at t = 0: a step that ends there is of the constant past.
        end = 0.0 if k - lag + 1 == lag else slope[k - lag + 1]
        middle = (first + last) / 2 + h / 8 * (slope[k - lag] - end)
        k1 = rate(s[k], first)
        k2 = rate(s[k] + h / 2 * k1, middle)
        k3 = rate(s[k] + h / 2 * k2, middle)
        k4 = rate(s[k] + h * k3, last)
        s.append(s[k] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        slope.append(rate(s[k + 1], last))
    return np.array(s[lag::_SUBSTEPS])
