"""Spike events: files in the layout of the Spiking Heidelberg Digits, binned here by a loop over events."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import events, hdf5
from snnlearn.data.binning import step_of


def draw(m: int, seed: int = 0, num_units: int = 12):
    """Random events of m samples; the first sample has none, and some are after 1 s."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, m) * (np.arange(m) > 0)
    times = [rng.random(size).astype(np.float16) * np.float16(1.3) for size in sizes]
    return times, [rng.integers(0, num_units, size).astype(np.uint16) for size in sizes], np.arange(m) % 3


def write(path, times, units, labels, t_type: type = np.float16, n_type: type = np.uint16):
    with h5py.File(path, "w") as f:
        f["labels"] = labels
        for key, rows, dtype in (("spikes/times", times, t_type), ("spikes/units", units, n_type)):
            ragged = f.create_dataset(key, len(rows), h5py.vlen_dtype(dtype))
            for i, row in enumerate(rows):
                ragged[i] = row
    return path


def binned(times, units, num_steps, duration, num_units):
    """Edges are rounded as the times were: k · dt is in step k."""
    x = np.zeros((len(times), num_steps, num_units), np.uint8)
    edges = (np.arange(num_steps + 1) * duration / num_steps).astype(np.float16)
    for i, (t_i, n_i) in enumerate(zip(times, units, strict=True)):
        for t, n in zip(t_i, n_i, strict=True):
            for step in range(num_steps):
                if edges[step] <= t < edges[step + 1]:
                    x[i, step, n] = 1
    return x


@pytest.mark.parametrize("chunk", [4, 256])
def test_events_are_binned_as_by_a_loop(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(hdf5, "_CHUNK", chunk)
    train, test = draw(30), draw(9, seed=1)
    # Labels that are unique could not be stratified, so samples are found again by their bins.
    d = events(write(tmp_path / "a.h5", *train), write(tmp_path / "b.h5", *test), num_steps=16, duration=0.8)
    assert (d.kind, d.name, d.num_classes, d.shape) == ("spikes", "a", 3, (16, 12)) and d.dt == pytest.approx(0.05)
    np.testing.assert_array_equal(d.test.x, binned(*test[:2], 16, 0.8, 12))
    np.testing.assert_array_equal(d.test.y, test[2])
    expected = zip(binned(*train[:2], 16, 0.8, 12), train[2], strict=True)
    found = zip(np.concatenate([d.train.x, d.validation.x]), np.concatenate([d.train.y, d.validation.y]), strict=True)
    assert sorted((x.tobytes(), y) for x, y in found) == sorted((x.tobytes(), y) for x, y in expected)
    assert d.train.x.dtype == np.uint8 and d.train.y.dtype == np.int32 and d.validation.y.size == 3


def test_times_on_the_grid_fall_in_their_step_and_the_end_is_dropped(tmp_path):
    # In floating point 0.29 / 0.01 is below 29: such a time belongs to step 29 nevertheless.
    times = np.arange(101) / 100
    write(tmp_path / "a.h5", [times] * 9, [np.zeros(101, int)] * 9, np.arange(9) % 2, np.float64, np.int64)
    x = events(tmp_path / "a.h5", duration=1.0).train.x
    assert x.shape[1:] == (100, 1) and x.all()
    # At 0.25 s, the last is at the end exactly: were it kept, it would fill the last step of unit 1.
    units = [np.array([0, 1])] * 9
    write(tmp_path / "c.h5", [np.array([0.0, 0.25])] * 9, units, np.arange(9) % 2)
    d = events(tmp_path / "c.h5", num_steps=4, duration=0.25)
    assert d.shape == (4, 2) and np.argwhere(d.train.x.any(axis=0)).tolist() == [[0, 0]]
    for dtype in (np.float32, np.float64):
        late = np.nextafter(dtype(1), dtype(0))
        write(tmp_path / "b.h5", [np.array([t]) for t in (0, late) * 9], [[0]] * 18, np.arange(18) % 2, dtype)
        d = events(tmp_path / "b.h5", num_steps=10)
        assert [np.argwhere(d.train.x[d.train.y == c].any(axis=0)).tolist() for c in (0, 1)] == [[[0, 0]], [[9, 0]]]


def test_one_file_is_cut_in_three_and_units_can_be_given(tmp_path):
    d = events(write(tmp_path / "a.h5", *draw(30)), num_units=20, validation=0.2, test=0.3, seed=1)
    assert (
        d.shape == (100, 20)
        and d.dt == pytest.approx(0.013)
        and [p.y.size for p in (d.train, d.validation, d.test)] == [15, 6, 9]
    )


def test_a_folder_holds_the_two_files_of_shd(tmp_path):
    folder = tmp_path / "shd"
    folder.mkdir()
    write(folder / "shd_train.h5", *draw(30))
    with pytest.raises(SnnlearnError, match=r"shd_test\.h5 is not a file"):
        events(folder)
    write(folder / "shd_test.h5", *draw(6, seed=1, num_units=15))
    d = events(folder)
    # The test file has the greater unit: both parts have as many units.
    assert d.name == "shd" and d.test.x.shape == (6, 100, 15) and d.train.x.shape[2] == 15


def test_other_layouts_are_refused(tmp_path):
    times, units, labels = draw(12)
    negative = [*times[:-1], -times[-1]]
    undefined = [*times[:-1], np.nan * times[-1]]
    cases = {
        "a unit too many": ((times, units, labels), {"num_units": 5}, "expected 0 to 4"),
        "negative units": (
            (times, [np.full(len(n), -1) for n in units], labels, np.float16, int),
            {"num_units": 5},
            "-1",
        ),
        "negative times": ((negative, units, labels), {}, "negative"),
        "undefined times": ((undefined, units, labels), {}, "not finite"),
        "lengths": ((times, [*units[:-1], []], labels), {}, "different numbers of times and units"),
        "labels": ((times, units, labels[:-1]), {}, "12 samples of times, 12 of units and 11 labels"),
        "empty": (([], [], labels[:0]), {}, "at least one"),
        "silent": (([[]] * 12, [[]] * 12, labels), {}, "no events"),
        "label types": ((times, units, labels / 2), {}, "integers in labels"),
        "label range": ((times, units, labels + 2**32), {}, "labels from 4294967296"),
        "classes": ((times, units, labels * 2), {}, "no sample of class 1"),
        "unit types": ((times, units, labels, np.float16, np.float32), {}, "ragged integers in spikes/units"),
    }
    for content, options, message in cases.values():
        with pytest.raises(SnnlearnError, match=message):
            events(write(tmp_path / "a.h5", *content), **options)
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["spikes"] = np.zeros(3)
    with pytest.raises(SnnlearnError, match="spikes/times"):
        events(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["spikes/times"], f["spikes/units"], f["labels"] = np.zeros((3, 4)), np.zeros((3, 4), int), np.arange(3)
    with pytest.raises(SnnlearnError, match="ragged numbers"):
        events(tmp_path / "a.h5")


@pytest.mark.parametrize("changes", [{"num_steps": 0}, {"duration": 0.0}, {"duration": float("inf")}, {"num_units": 0}])
def test_options_out_of_range_are_refused(tmp_path, changes):
    with pytest.raises(SnnlearnError, match=f"{next(iter(changes))} is"):
        events(tmp_path / "a.h5", **changes)


def test_damaged_files_are_refused(tmp_path):
    file = write(tmp_path / "a.h5", *draw(30))
    whole = file.read_bytes()
    for length in (0, 8, 100, 1000, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(SnnlearnError, match=r"a\.h5 is damaged or not HDF5"):
            events(file)


@pytest.mark.parametrize(("dtype", "num_steps"), [(np.float16, 250), (np.float32, 40_000), (np.float64, 1_000_000)])
@pytest.mark.parametrize("dt", [1e-3, 7e-4, 1 / 3])
def test_a_time_of_k_steps_is_in_step_k_in_any_type(dtype, num_steps, dt):
    k = np.arange(num_steps)
    np.testing.assert_array_equal(step_of((k * dt).astype(dtype), dt), k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_time_before_an_edge_is_before_it(dtype):
    assert step_of(np.array([0.009995, 0.0099999], dtype), 10e-3).tolist() == [0, 0]


def one_event(path, latest: float, dtype: type = np.float32):
    """Twenty recordings of two events each."""
    times = [np.array([i * latest / 40, latest]) for i in range(20)]
    return write(path, times, [np.array([i % 2, 2]) for i in range(20)], np.arange(20) % 2, dtype, int)


def test_the_steps_hold_the_whole_recording(tmp_path):
    file = one_event(tmp_path / "a.h5", 0.9993)
    cases = {(): (100, 0.01), (("num_steps", 20),): (20, 0.05), (("dt", 2e-3),): (500, 2e-3)}
    for given, (num_steps, dt) in cases.items():
        d = events(file, **dict(given))
        assert (d.shape, d.dt, d.notes) == ((num_steps, 3), pytest.approx(dt), ())
        assert all(part.x[:, -1, 2].all() for part in (d.train, d.validation, d.test))
    assert events(file, duration=2.0, dt=0.1).shape == (20, 3)


def test_what_binning_loses_is_said(tmp_path):
    times = [np.array([0.001, 0.0015, 0.0018, 0.05]) for _ in range(20)]
    units = [np.array([i % 2, i % 2, 2, 2]) for i in range(20)]
    file = write(tmp_path / "a.h5", times, units, np.arange(20) % 2, np.float64, int)
    late, together = events(file, num_steps=20, dt=1e-3).notes
    assert late.startswith("20 of 80 events (25.0%) come after")
    assert together.startswith("20 of 80 events (25.0%) fall in a time step")
    with pytest.raises(SnnlearnError, match=r"none of its 80 events is before 0.0005 s.*the last is at 0.05 s"):
        events(file, num_steps=5, dt=1e-4)


@pytest.mark.parametrize(("latest", "unit"), [(1234.0, "ms"), (987_654.0, "µs")])
def test_times_in_other_units_are_refused(latest, unit, tmp_path):
    file = one_event(tmp_path / "a.h5", latest, np.float64)
    with pytest.raises(SnnlearnError, match=f"likely {unit}"):
        events(file, dt=1e-3)
    assert events(file, num_steps=10, dt=latest / 9).shape == (10, 3)  # but for those who insist
    with pytest.raises(SnnlearnError, match="give two of them"):
        events(file, num_steps=10, dt=1.0, duration=10.0)


def test_sizes_that_no_machine_holds_are_refused(tmp_path):
    times, units = [np.array([0.5])] * 6, [np.array([2**31])] * 6
    file = write(tmp_path / "a.h5", times, units, np.arange(6) % 2, np.float32, np.int64)
    with pytest.raises(SnnlearnError, match="GB of memory"):
        events(file, num_steps=1000)


def test_recordings_without_labels_are_read_but_not_learned_from(tmp_path):
    file = one_event(tmp_path / "a.h5", 0.5)
    with h5py.File(file, "r+") as opened:
        del opened["labels"]
    assert hdf5.read_events(file, num_steps=6, dt=0.1, num_units=4).x.shape == (20, 6, 4)
    with pytest.raises(SnnlearnError, match="has no labels"):
        events(file)
