"""Samples that end at different times: how x says it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.coding import QuantileScaling, RangeScaling, StandardScaling
from snnlearn.data import Sample, held, lengths_of, load, npz, read_labelled, read_values, with_lengths
from snnlearn.data.base import check, is_spikes
from snnlearn.data.formats.numpy import ending
from snnlearn.data.found import Form, Found

RNG = np.random.default_rng(3)
M, T = 20, 5
LENGTHS = np.arange(M) % T + 1
X = RNG.normal(size=(M, T, 2)).astype(np.float32)
Y = np.arange(M) % 2
SPIKES = RNG.integers(0, 2, (M, T, 3), np.uint8)


@pytest.mark.parametrize("x", [X, SPIKES, SPIKES.astype(bool), (100 * X).astype(np.int64)], ids=lambda x: str(x.dtype))
def test_x_knows_its_lengths_and_keeps_its_values(x):
    cut = with_lengths(x, LENGTHS)
    assert lengths_of(cut).tolist() == LENGTHS.tolist()
    for one, whole, length in zip(cut, x, LENGTHS, strict=True):
        assert (one[:length] == whole[:length]).all()
    for one, whole, length in zip(held(cut), x, LENGTHS, strict=True):
        assert (one == whole[np.minimum(np.arange(T), length - 1)]).all()
    assert lengths_of(x) is None and with_lengths(x, np.full(M, T)) is x and held(x) is x
    assert is_spikes(cut) == is_spikes(x)
    check(Sample(cut if x.dtype == X.dtype else x, Y), "it")


def test_what_looks_like_an_end_and_is_none():
    white = np.full((2, 4, 4), 255, np.uint8)  # an image's last row
    white[:, 0] = 100
    assert lengths_of(white) is None and not is_spikes(white)
    gap = with_lengths(X, LENGTHS)
    gap[4, 1] = np.nan  # of a sample that goes on
    assert (found := lengths_of(gap)) is not None and found[4] == LENGTHS[4]
    with pytest.raises(SnnlearnError, match="NaN"):
        check(Sample(gap, Y), "it")
    one_channel = X.copy()
    one_channel[0, -1, 0] = np.nan
    with pytest.raises(SnnlearnError, match="NaN"):
        check(Sample(one_channel, Y), "it")
    nothing = X.copy()
    nothing[7] = np.nan
    with pytest.raises(SnnlearnError, match=r"it has a sample without any step \(number 7\)"):
        check(Sample(nothing, Y), "it")


@pytest.mark.parametrize(
    ("x", "lengths", "message"),
    [
        (X, np.arange(M) % T, "from 0 to 4; a sample has from 1 to 5 steps"),
        (X, LENGTHS + 1, "from 2 to 6; a sample has from 1 to 5 steps"),
        (X, LENGTHS - 2, "from -1 to 3; a sample has"),
        (X, LENGTHS - 0.5, "no whole number"),
        (X, [np.nan] * M, "no whole number"),
        (X, ["5"] * M, "no whole number"),
        (X, LENGTHS[:-1], r"shape \(19,\) for 20 samples; give one for each"),
        (X, 5, r"shape \(\) for 20 samples"),
        (X[..., 0], LENGTHS, "which is no series"),
    ],
)
def test_lengths_that_are_none(x, lengths, message):
    with pytest.raises(SnnlearnError, match=message):
        with_lengths(x, lengths)
    with pytest.raises(SnnlearnError, match=message):
        load((x, Y), lengths=lengths)


def test_arrays_lists_and_files_say_the_same(tmp_path):
    task = load((X, Y), lengths=LENGTHS)
    parts = [np.concatenate([getattr(task, part).x for part in ("train", "validation", "test")])]
    assert sorted(lengths_of(parts[0])) == sorted(LENGTHS)
    assert task.structure == "series" and task.ends and task.low.shape == (2,)
    assert "16 of 20 series are shorter than 5 values, the shortest 1" in task.notes[0]
    np.savez(tmp_path / "a.npz", x=X, y=Y, lengths=LENGTHS, x_test=X[:4, :], y_test=Y[:4], lengths_test=[5, 1, 2, 3])
    apart = load(tmp_path / "a.npz")
    assert lengths_of(apart.test.x).tolist() == [5, 1, 2, 3]
    np.savez(tmp_path / "b.npz", x=X, y=Y, lengths=LENGTHS)
    for same in (
        load(([x[:n] for x, n in zip(X, LENGTHS, strict=True)], Y)),
        load(tmp_path / "b.npz"),
        npz(tmp_path / "b.npz"),
    ):
        np.testing.assert_array_equal(same.train.x, task.train.x)
        assert same.notes == task.notes
    for x in (read_values(tmp_path / "b.npz"), read_labelled(tmp_path / "b.npz").x):
        assert lengths_of(x).tolist() == LENGTHS.tolist()
    np.savez(tmp_path / "spikes.npz", x=SPIKES, y=Y, dt=1e-3, lengths=LENGTHS)
    spikes = load(tmp_path / "spikes.npz")
    assert spikes.kind == "spikes" and spikes.ends and spikes.train.x.dtype == np.uint8


def test_recordings_may_end_before_the_window():
    events = [("t", int), ("x", int)]
    recordings = [np.array([(0, 1), (5000, 0)], events) for _ in range(M)]
    task = load((recordings, Y), dt=1e-3, time_unit=1e-6, lengths=LENGTHS)
    assert task.shape == (6, 2) and task.ends
    x, own = task.train.x, lengths_of(task.train.x)
    assert (x[:, 0] == [0, 1]).all() and own.min() < 6
    assert not (x[np.arange(len(x)), own - 1, 0] == 1).any()  # the last event is after every end


def test_files_and_lists_that_are_refused(tmp_path):
    np.savez(tmp_path / "nan.npz", x=with_lengths(X, LENGTHS), y=Y)
    np.savez(tmp_path / "long.npz", x=X, y=Y, lengths=LENGTHS + 5)
    for name, message in (("nan", "say by lengths where samples end"), ("long", "lengths goes from 6 to 10")):
        with pytest.raises(SnnlearnError, match=rf"{name}.npz.*{message}"):
            load(tmp_path / f"{name}.npz")
    with pytest.raises(SnnlearnError, match="lengths is for arrays in Python"):
        load(tmp_path / "nan.npz", lengths=LENGTHS)
    with pytest.raises(SnnlearnError, match="or no spikes, in the last steps"):
        ending(Found(with_lengths(SPIKES, LENGTHS), Y, form=Form(dt=1e-3)), None, "it")
    for x, message in (
        ([X[0], X[0, :, :1]], "different shapes"),
        ([X[0, :, 0], X[0, :3, 0]], "different shapes"),
        ([X[0], X[0, :0]], "at least one step"),
        ([X[0].astype(str), X[0, :3].astype(str)], "not numbers"),
    ):
        with pytest.raises(SnnlearnError, match=message):
            load((x * 10, Y))
    with pytest.raises(SnnlearnError, match="each of which has its own"):
        load(([X[0], X[0, :3]] * 10, Y), lengths=LENGTHS)


@pytest.mark.parametrize(
    "scaling", [RangeScaling(), StandardScaling(), QuantileScaling(0.1)], ids=lambda s: type(s).__name__
)
def test_scales_are_learned_on_what_comes_before_the_end(scaling):
    before = np.concatenate([x[:n] for x, n in zip(X, LENGTHS, strict=True)])
    found = scaling.bounds(with_lengths(X, LENGTHS), axis=(0, 1))
    np.testing.assert_allclose(found, scaling.bounds(before), rtol=1e-6)
    assert not np.allclose(found, scaling.bounds(X, axis=(0, 1)), rtol=1e-3)
