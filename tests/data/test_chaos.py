"""The Mackey–Glass series against another solver of the same equation, and what its samples are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from snnlearn._errors import SnnlearnError
from snnlearn.data import mackey_glass
from snnlearn.data.chaos import delayed


def by_the_method_of_steps(tau: int, start: float, size: int) -> np.ndarray:
    """Delay by delay, each an ordinary equation whose past is the solution of the last, to high accuracy."""
    past, values, found = (lambda t: start), start, []
    for number in range(-(-size // tau)):
        at = number * tau

        def rate(t, s, past=past):
            delayed_value = past(t - tau)
            return 0.2 * delayed_value / (1 + delayed_value**10) - 0.1 * s

        solution = solve_ivp(
            rate, (at, at + tau), [values], "DOP853", rtol=1e-12, atol=1e-13, dense_output=True, max_step=0.5
        )
        past, values = (lambda t, f=solution.sol: float(f(t)[0])), solution.y[0, -1]
        found += [past(at + i) for i in range(tau)]
    return np.array(found[:size])


def test_the_series_solves_the_equation():
    exact = by_the_method_of_steps(17, 1.2, 60)
    np.testing.assert_allclose(delayed(17, 1.2, 60), exact, atol=1e-6)
    # Steps of Euler, ten in a unit of time as well, would not do.
    s = [1.2] * 171
    for k in range(170, 170 + 590):
        s.append(s[k] + 0.1 * (0.2 * s[k - 170] / (1 + s[k - 170] ** 10) - 0.1 * s[k]))
    assert np.abs(np.array(s[170::10]) - exact).max() > 1e-3


def test_samples_are_windows_in_time_order_that_share_nothing():
    data = mackey_glass(horizon=4, history=3, num_train=50, num_validation=20, num_test=30)
    series = delayed(17, 1.2, 1000 + 50 + 20 + 30 + 3 * 6)[1000:].astype(np.float32)
    at = 0
    for part, size in ((data.train, 50), (data.validation, 20), (data.test, 30)):
        for i in range(size):
            assert part.x[i, :, 0].tolist() == series[at + i : at + i + 3].tolist()
            assert part.y[i, 0] == series[at + i + 2 + 4]
        at += size + 3 + 4 - 1
    assert data.structure == "series" and data.task == "regression"


def test_another_seed_is_another_series():
    of = [mackey_glass(num_train=30, num_validation=5, num_test=5, seed=seed).train.y for seed in (0, 1, 1)]
    assert not np.allclose(of[0], of[1]) and np.array_equal(of[1], of[2])


@pytest.mark.parametrize("name", ["horizon", "history", "num_train", "num_validation", "num_test", "tau"])
def test_numbers_out_of_range(name):
    with pytest.raises(SnnlearnError, match=f"{name} is 0; give a whole number from 1"):
        mackey_glass(**{name: 0})
    with pytest.raises(SnnlearnError, match="seed is -1"):
        mackey_glass(seed=-1)
