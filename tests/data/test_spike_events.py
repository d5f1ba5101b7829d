"""Spikes as events, signals from files: what is written is read again."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import events, read_series, structured_events, write_events

SPIKES = (np.random.default_rng(0).random((7, 4, 5, 2)) < 0.3).astype(np.uint8)


@pytest.mark.parametrize(
    ("spikes", "polarity", "names"),
    [
        (SPIKES[:, 0, :, 0], False, "xtp"),
        (SPIKES[:, 0], True, "xtp"),
        (SPIKES[..., 0], False, "xytp"),
        (SPIKES, True, "xytp"),
    ],
)
def test_events_say_where_and_when_each_spike_is(spikes, polarity, names):
    """Put back into an array of silence, they are the spikes; µs, and in the order of time."""
    found = structured_events(spikes, dt=2.5e-3, polarity=polarity)
    assert found.dtype.names == tuple(names)
    assert (np.diff(found["t"]) >= 0).all()
    back = np.zeros_like(spikes)
    place = (*((found["y"],) if "y" in names else ()), found["x"], *((found["p"],) if polarity else ()))
    back[found["t"] // 2500, *place] = 1
    np.testing.assert_array_equal(back, spikes)
    assert polarity or (found["p"] == 1).all()


def test_no_spikes_are_no_events():
    assert structured_events(np.zeros((3, 2)), dt=1e-3).shape == (0,)


@pytest.mark.parametrize(
    ("spikes", "polarity", "message"),
    [
        (np.zeros(3), False, r"shape \(3,\); give \[T, N\]"),
        (np.zeros((3, 2)), True, "and an axis for p"),
        (np.zeros((3, 2, 2, 2)), False, "give"),
        (np.full((3, 2), -1), False, "give 0 and 1"),
        (np.full((3, 2), 0.5), False, "give 0 and 1"),
        (np.full((3, 2), np.nan), False, "give 0 and 1"),
    ],
)
def test_what_is_no_spikes_is_refused(spikes, polarity, message):
    with pytest.raises(SnnlearnError, match=message):
        structured_events(spikes, 1e-3, polarity=polarity)


@pytest.mark.parametrize("dt", [1e-3, 7e-4])
def test_written_events_are_read_as_the_same_spikes(dt, tmp_path):
    """The first sample of each class differs, and all land in one of the parts."""
    trains = [np.roll(SPIKES[:, 0, :, 0], n, axis=0) for n in range(6)]
    path = write_events(tmp_path / "six.h5", trains, [0, 1] * 3, dt=dt, class_names=["even", "odd"])
    task = events(path, num_steps=7, duration=7 * dt, num_units=5, validation=0.3, test=0.3)
    parts = (task.train, task.validation, task.test)
    found = {(train.tobytes(), int(label)) for part in parts for train, label in zip(part.x, part.y, strict=True)}
    assert found == {(train.tobytes(), n % 2) for n, train in enumerate(trains)}
    with opened(path) as file:
        assert file["extra/keys"].asstr()[:].tolist() == ["even", "odd"]


def opened(path, mode="r") -> Any:
    return h5py.File(path, mode)


def test_samples_may_have_steps_of_their_own(tmp_path):
    path = write_events(tmp_path / "two.h5", [np.eye(2), np.eye(3)], [0, 1], dt=[1e-3, 5e-3])
    with opened(path) as file:
        np.testing.assert_allclose(file["spikes/times"][1], [0, 5e-3, 10e-3], rtol=1e-6)
        np.testing.assert_allclose(file["spikes/times"][0], [0, 1e-3], rtol=1e-6)


@pytest.mark.parametrize(
    ("trains", "labels", "dt"), [([], [], 1e-3), ([np.eye(2)], [0, 1], 1e-3), ([np.eye(2)], [0], [1e-3, 2e-3])]
)
def test_as_many_of_each(trains, labels, dt, tmp_path):
    with pytest.raises(SnnlearnError, match="give the same number of each"):
        write_events(tmp_path / "no.h5", trains, labels, dt=dt)
    assert not any(tmp_path.iterdir())


def test_signals(tmp_path):
    """One channel, several, several signals; whole numbers, as audio has them."""
    x = np.arange(12)
    for name, array, shape in (("one", x, (1, 12, 1)), ("two", x.reshape(6, 2), (1, 6, 2))):
        np.save(tmp_path / f"{name}.npy", array.astype(np.int16))
        read = read_series(tmp_path / f"{name}.npy")
        assert read.shape == shape and read.dtype == np.float32
        np.testing.assert_array_equal(read.ravel(), x)
    np.savez(tmp_path / "many.npz", x=x.reshape(2, 3, 2))
    np.testing.assert_array_equal(read_series(tmp_path / "many.npz"), x.reshape(2, 3, 2))
    (tmp_path / "table.csv").write_text("0,1\n2, 3\n\n")
    np.testing.assert_array_equal(read_series(tmp_path / "table.csv"), [[[0, 1], [2, 3]]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ragged.csv", "1,2\n3\n", "is not a table of numbers"),
        ("words.csv", "a,b\nc,d\n", "is not a table of numbers"),
        ("empty.csv", "", "give a signal|is empty"),
        ("header.csv", "a,b\n", "give a signal|is empty"),
        ("gap.csv", "1\nnan\n", "NaN"),
        ("signal.txt", "1\n", "unknown suffix for a signal"),
        ("nowhere.csv", None, "is not a file"),
    ],
)
def test_what_is_no_signal_is_refused(name, text, message, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SnnlearnError, match=message):
        read_series(tmp_path / name)


def test_too_many_axes_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 2, 3, 4)))
    with pytest.raises(SnnlearnError, match=r"shape \(1, 2, 3, 4\)"):
        read_series(tmp_path / "x.npy")
