"""Recordings of events: each format is written here by its description, and binned by a loop over whole numbers."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.data import load, read_like
from snnlearn.data.binning import unit_of

from .refusals import refused, spoil

RNG = np.random.default_rng(0)
EVENTS = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)]


def draw(n, height, width, last, *, sort=True):
    """Events of tonic's form, in µs."""
    found = np.zeros(n, EVENTS)
    t = RNG.integers(0, last, n)
    found["t"] = np.sort(t) if sort else t
    found["x"], found["y"] = RNG.integers(0, width, n), RNG.integers(0, height, n)
    found["p"] = RNG.integers(0, 2, n)
    found[-1] = (width - 1, height - 1, last, 1)  # so that the sensor and the window are known
    return found


def binned(events, num_steps, step, height, width):
    """The oracle: whole numbers alone. x[t, (p · height + y) · width + x] = 1 if an event is in that step of µs."""
    x = np.zeros((num_steps, 2 * height * width), np.uint8)
    for event in events.tolist():
        column, row, t, p = event
        if t // step < num_steps:
            x[t // step, (p * height + row) * width + column] = 1
    return x


def nmnist(events):
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for x, y, t, p in events.tolist())


def aedat2(events, header=b"#!AER-DAT2.0\r\n# a comment\r\n"):
    """As a DVS128 in jAER, in which columns count from the right and bit 0 is set for OFF."""
    return header + b"".join(struct.pack(">Ii", y << 8 | (127 - x) << 1 | (1 - p), t) for x, y, t, p in events.tolist())


def davis(events):
    header = b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"
    return header + b"".join(struct.pack(">Ii", y << 22 | x << 12 | p << 11, t) for x, y, t, p in events.tolist())


def write(root, recordings, suffix, pack, classes=("a", "b")):
    for i, one in enumerate(recordings):
        path = root / classes[i % len(classes)] / f"{i:02}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack(one))
    return root


def found_in(task):
    parts = (task.train, task.validation, task.test)
    return sorted((x.tobytes(), int(y)) for part in parts for x, y in zip(part.x, part.y, strict=True))


def expected_of(recordings, num_steps, step, height, width):
    return sorted((binned(one, num_steps, step, height, width).tobytes(), i % 2) for i, one in enumerate(recordings))


FORMATS = {
    "N-MNIST": (".bin", nmnist, (34, 34)),
    "DVS128": (".aedat", aedat2, (128, 128)),
    "DAVIS": (".aedat", davis, (180, 240)),
}


@pytest.mark.parametrize(("suffix", "pack", "size"), FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("step", [1000, 700])
def test_binning_is_that_of_whole_numbers(tmp_path, suffix, pack, size, step):
    recordings = [draw(60, 30, 33, 9_999) for _ in range(12)]
    for one in recordings:
        one["t"][0] = 0  # AEDAT counts from the first event
    size = (size[0], size[1]) if size == (34, 34) else (128, 128) if suffix == ".aedat" else size
    task = load(write(tmp_path, recordings, suffix, pack), dt=step * 1e-6)
    num_steps = 9_999 // step + 1
    assert task.shape == (num_steps, 2 * size[0] * size[1]) and task.form.grid == (2, *size)
    assert task.class_names == ("a", "b") and task.dt == step * 1e-6
    assert found_in(task) == expected_of(recordings, num_steps, step, *size)


def test_the_sizes_that_are_not_known_are_those_of_the_events(tmp_path):
    recordings = [draw(30, 40, 50, 999) for _ in range(12)]
    assert load(write(tmp_path, recordings, ".bin", nmnist), dt=1e-4).form.grid == (2, 40, 50)


def test_times_past_the_clock_of_nmnist_and_of_jaer(tmp_path):
    """An event of row 240 adds 2¹³ µs to what follows; a time of 32 bits that turns negative goes on."""
    one = np.array([(1, 2, 5, 1), (0, 240, 6, 0), (3, 4, 7, 0), (0, 240, 0, 0), (5, 6, 8, 1)], EVENTS)
    task = load(write(tmp_path / "bin", [one] * 8, ".bin", nmnist), dt=1e-3)
    assert np.argwhere(task.train.x[0]).tolist() == [
        [0, (34 + 2) * 34 + 1],
        [(7 + 8192) // 1000, 4 * 34 + 3],
        [(8 + 2 * 8192) // 1000, (34 + 6) * 34 + 5],
    ]
    times = np.array([2**31 - 2_000, 2**31 - 1, -(2**31), -(2**31) + 999])
    raw = b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", 0, t) for t in times)
    task = load(write(tmp_path / "aedat", [raw] * 8, ".aedat", bytes), dt=1e-3)
    assert np.argwhere(task.train.x[0])[:, 0].tolist() == [0, 1, 2]


def test_outer_events_and_frames_are_left_out(tmp_path):
    addresses = [1 << 15, 5 << 8 | 3 << 1]
    raw = b"#!AER-DAT2.0\r\n" + b"".join(struct.pack(">Ii", a, t) for t, a in enumerate(addresses))
    assert load(write(tmp_path / "a", [raw] * 8, ".aedat", bytes), dt=1e-3).train.x[0].sum() == 1
    addresses = [1 << 31 | 1 << 12, 1 << 10, 5 << 22 | 3 << 12 | 1 << 11]
    raw = b"#!AER-DAT2.0\r\n# DAVIS346\r\n" + b"".join(struct.pack(">II", a, t) for t, a in enumerate(addresses))
    x = load(write(tmp_path / "b", [raw] * 8, ".aedat", bytes), dt=1e-3).train.x[0]
    assert np.argwhere(x).tolist() == [[0, (128 + 5) * 128 + 3]]


def test_training_and_test_folders_and_a_file_for_the_network(tmp_path):
    recordings = [draw(40, 34, 34, 9_999) for _ in range(16)]
    write(tmp_path / "Train", recordings[:12], ".bin", nmnist)
    write(tmp_path / "Test", recordings[12:], ".bin", nmnist)
    task = load(tmp_path, dt=1e-3)
    assert [len(part.y) for part in (task.train, task.validation, task.test)] == [10, 2, 4]
    assert {one.tobytes() for one in task.test.x} == {
        binned(one, 10, 1000, 34, 34).tobytes() for one in recordings[12:]
    }
    (tmp_path / "one.bin").write_bytes(nmnist(recordings[0]))
    read = read_like(tmp_path / "one.bin", task.form)
    assert read.y is None and (read.x[0] == binned(recordings[0], 10, 1000, 34, 34)).all()
    assert read_like(tmp_path / "Test", task.form).y.tolist() == [0, 0, 1, 1]
    (tmp_path / "two.bin").write_bytes(nmnist(np.array([(40, 2, 5, 1)], EVENTS)))
    with pytest.raises(SnnlearnError, match=r"an event at \(1, 2, 40\).*the network takes a grid of \(2, 34, 34\)"):
        read_like(tmp_path / "two.bin", task.form)


def test_aedat4_is_what_the_makers_of_the_camera_write(tmp_path):
    """The file is of dv-processing 2.0.4: 40 events of a camera of 9 × 12 pixels, from 2023 on its clock."""
    pytest.importorskip("aedat")
    rng, events = np.random.default_rng(0), np.zeros(40, EVENTS)
    events["t"] = np.sort(rng.integers(0, 50_000, 40))
    events["x"], events["y"] = rng.integers(0, 12, 40), rng.integers(0, 9, 40)
    events["p"] = rng.integers(0, 2, 40)
    events["t"] -= events["t"][0]
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name("dv.aedat4"), tmp_path / "ab"[i % 2] / f"{i}.aedat4")
    task = load(tmp_path, dt=1e-3)
    np.testing.assert_array_equal(task.train.x[0], binned(events, task.shape[0], 1000, 128, 128))
    for content in (b"", b"#!AER-DAT4.0\r\n", b"words"):
        (tmp_path / "a" / "2.aedat4").write_bytes(content)
        refused(tmp_path, "2.aedat4 (is damaged|has no events)")


def test_aedat4_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "aedat", None)
    write(tmp_path, [b"#!AER-DAT4.0\r\n"] * 2, ".aedat4", bytes)
    refused(tmp_path, "needs the package aedat; install it by pip install")


REFUSED = {
    "cut": (".bin", nmnist(draw(9, 5, 5, 99))[:-1], "44 bytes, not 5 for each event"),
    "empty": (".bin", b"", "has no events"),
    "words": (".aedat", b"words", "not with #!AER-DAT"),
    "no events": (".aedat", b"#!AER-DAT2.0\r\n", "has no events"),
    "no end": (".aedat", b"#!AER-DAT2.0", "has no events"),
    "half an event": (".aedat", aedat2(draw(9, 5, 5, 99))[:-3], "not 8 for each; it is truncated"),
    "version 3": (".aedat", b"#!AER-DAT3.1\r\n" + bytes(80), "says '#!AER-DAT3.1'; AEDAT 2.0 and 4 are read"),
    "another camera": (".aedat", b"#!AER-DAT2.0\r\n" + struct.pack(">Ii", 1 << 20, 5), "addresses outside a DVS128"),
    "back in time": (".aedat", aedat2(draw(9, 5, 5, 99)[::-1]), "times that decrease"),
    "pickle": (".npy", None, "Python objects"),
    "no fields": (".npy", np.zeros(5), r"is an array of float64 and shape \(5,\); expected events"),
    "no times": (".npy", np.zeros(5, [("x", int), ("y", int)]), "is an array of x, y"),
    "words as times": (".npy", np.zeros(5, [("x", int), ("t", "U3")]), "has t of type <U3"),
    "negative": (".npy", np.array([(1, 1, -5, 1)], EVENTS), "times that are negative"),
    "negative place": (".npy", np.array([(-1, 1, 5, 1)], EVENTS), "negative place"),
    "polarity": (".npy", np.array([(1, 1, 5, 7)], EVENTS), "polarities from 7 to 7"),
    "NaN": (".npy", np.array([(1, np.nan)], [("x", int), ("t", float)]), "not finite"),
    "no sensor": (".npy", np.array([(10**9, 5)], [("x", int), ("t", int)]), "outside all known sensors"),
}


@pytest.mark.parametrize(("suffix", "content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_recordings_that_cannot_be_used(tmp_path, suffix, content, message):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            path = tmp_path / name / f"{i}{suffix}"
            if suffix == ".npy":
                np.save(path, np.array([{}]) if content is None else content, allow_pickle=True)
            else:
                path.write_bytes(content)
    refused(tmp_path, message, dt=1e-3)


@pytest.mark.parametrize("suffix", [".bin", ".aedat", ".aedat4", ".npy"])
def test_spoilt_recordings_are_read_or_refused(tmp_path, suffix):
    if suffix == ".aedat4":
        pytest.importorskip("aedat")
        whole = Path(__file__).with_name("dv.aedat4").read_bytes()
        pack = lambda _: whole  # noqa: E731
    else:
        pack = {".bin": nmnist, ".aedat": aedat2}.get(suffix, bytes)
    write(tmp_path, [draw(20, 9, 9, 9_999) for _ in range(8)], suffix, pack)
    for path in tmp_path.rglob("*.npy"):
        np.save(path, draw(20, 9, 9, 9_999))
    assert spoil(tmp_path / "a" / f"00{suffix}", load_path=tmp_path) > 5


def test_structured_arrays_in_one_file_and_in_python(tmp_path):
    recordings = [draw(40, 4, 5, 9_999, sort=False) for _ in range(12)]
    labels = np.array(["left", "right"] * 6)
    np.savez(tmp_path / "a.npz", *recordings, labels=labels)
    expected = expected_of(recordings, 10, 1000, 4, 5)
    for source in (tmp_path / "a.npz", (recordings, labels), [(r, c) for r, c in zip(recordings, labels, strict=True)]):
        task = load(source, dt=1e-3, time_unit=1e-6)
        assert found_in(task) == expected and task.class_names == ("left", "right")
    np.savez(tmp_path / "b.npz", *recordings, labels=labels[:3])
    refused(tmp_path / "b.npz", "12 recordings and 3 labels")
    np.savez(tmp_path / "c.npz", *recordings)
    refused(tmp_path / "c.npz", "has no labels")
    units = [one[["x", "t"]] for one in recordings]
    assert load((units, labels), dt=1e-3, time_unit=1e-6).form.grid == (5,)


# --- units of time


@pytest.mark.parametrize(
    ("last", "unit"),
    [
        (np.int64(300), 1e-3),
        (np.int32(10_000), 1e-3),
        (np.uint32(10_001), 1e-6),
        (np.int64(10**9), 1e-6),
        (np.int64(10**9 + 1), 1e-9),
        (np.float32(1.5), 1.0),
        (np.float64(100.0), 1.0),
    ],
)
def test_the_unit_of_times(last, unit):
    found, notes = unit_of(np.asarray(last), None, "it")
    assert found == unit and bool(notes) == (unit != 1.0)
    assert unit_of(np.asarray(last), 1e-4, "it") == (1e-4, ())


def shd(path, factor, dtype):
    with h5py.File(path, "w") as file:
        file["labels"] = np.arange(20) % 2
        file["extra/keys"] = ["null", "eins"]
        times = file.create_dataset("spikes/times", 20, h5py.vlen_dtype(dtype))
        units = file.create_dataset("spikes/units", 20, h5py.vlen_dtype(np.int32))
        for sample in range(20):
            times[sample] = (np.array([0.002, 0.0055, 0.8]) * factor).astype(dtype)
            units[sample] = [sample % 2, 2, 3]
    return path


@pytest.mark.parametrize(
    ("factor", "dtype", "unit"),
    [
        (1, np.float32, None),
        (1e6, np.int64, None),
        (1e9, np.int64, 1e-9),
        (1e3, np.float64, 1e-3),
        (1e6, np.float64, 1e-6),
    ],
)
def test_hdf5_with_times_of_any_unit(tmp_path, factor, dtype, unit):
    task = load(shd(tmp_path / "a.h5", factor, dtype), dt=1e-3, time_unit=unit)
    assert task.shape == (801, 4) and task.class_names == ("null", "eins")
    for x, y in zip(task.train.x, task.train.y, strict=True):
        assert np.argwhere(x).tolist() == [[2, y], [5, 2], [800, 3]]


def test_times_that_no_unit_is_said_of(tmp_path):
    refused(shd(tmp_path / "a.h5", 1e3, np.float64), "likely ms: times are in s, so say --time-unit ms", dt=1e-3)
    # Nothing of it is in the window: no training on nothing.
    refused(shd(tmp_path / "b.h5", 1e6, np.float64), "likely µs: times are in s, so say --time-unit us", num_steps=5)
    whole = shd(tmp_path / "c.h5", 1e6, np.int64)
    refused(whole, "none of its 60 events is before 2e-05 s", num_steps=20, dt=1e-6)
    task = load(whole, num_steps=4, dt=1e-3)
    assert "40 of 60 events (66.7%) come after the last time step" in " ".join(task.notes)
    refused(whole, "give the length of a tick", time_unit=0.0)
    task = load(shd(tmp_path / "shd_train.h5", 1e6, np.int64), dt=1e-3)
    shd(tmp_path / "shd_test.h5", 1e6, np.int64)
    assert [len(part.y) for part in (load(tmp_path, dt=1e-3).train, load(tmp_path, dt=1e-3).test)] == [18, 20]
    shd(tmp_path / "shd_valid.h5", 1e6, np.int64)
    assert [len(part.y) for part in (load(tmp_path, dt=1e-3).train, load(tmp_path, dt=1e-3).validation)] == [20, 20]


def test_spoilt_hdf5_is_read_or_refused(tmp_path):
    assert spoil(shd(tmp_path / "a.h5", 1, np.float32), times=30) > 5


def test_more_than_the_memory_holds(tmp_path):
    recordings = [draw(5, 4, 5, 9_999) for _ in range(8)]
    refused(write(tmp_path, recordings, ".bin", nmnist), "GB of memory", dt=1e-9, num_steps=10**9)
