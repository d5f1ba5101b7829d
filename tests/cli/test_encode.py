"""What `snnlearn encode` prints, draws and writes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from snnlearn.data import events

COMMON = ("--max-rate", 1000, "--num-steps", 20, "--population", 5)
STILL = ["rate", "poisson-rate", "regular-rate", "latency", "linear-latency", "rank-order", "phase", "burst"]
CODE_LINE = re.compile(r"^([a-z-]+): (\d+) spikes of (\d+) neurons in (\d+) steps", re.MULTILINE)


def counts(said: str) -> dict[str, tuple[int, int, int]]:
    """Spikes, neurons and steps of each code."""
    return {name: (int(spikes), int(n), int(steps)) for name, spikes, n, steps in CODE_LINE.findall(said)}


def opened(path, mode="r") -> Any:
    return h5py.File(path, mode)


@pytest.fixture
def vector(tmp_path) -> Path:
    np.save(tmp_path / "x.npy", [[9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.5, 1.0]])
    return tmp_path / "x.npy"


@pytest.fixture
def signal(tmp_path) -> Path:
    """Two channels over 6 frames, from −1 to 1."""
    np.savetxt(tmp_path / "x.csv", np.stack([np.linspace(-1, 1, 6), np.zeros(6)], axis=1), delimiter=",", header="a,b")
    return tmp_path / "x.csv"


def test_every_code_of_an_image(say, vector, tmp_path, monkeypatch):
    """At p = 1 the rate code spikes in each step; 0.5 and 1 charge the latency code's membrane, 0 does not."""
    monkeypatch.setenv("COLUMNS", "80")
    said = say("encode", vector, "--index", 1, *COMMON, "--out", tmp_path / "codes.html")
    found = counts(said)
    assert list(found) == [*STILL, "population"]
    assert found["latency"] == (2, 4, 20) and found["population"][1:] == (20, 20)
    assert found["regular-rate"] == (30, 4, 20) and found["rank-order"][0] == 2
    assert found["phase"] == (3 + 20, 4, 20)  # 0.5 begins each of 3 cycles; 1 is as close to 1 as 8 digits come
    assert said.endswith(f"Picture: {tmp_path / 'codes.html'}\n")
    page = (tmp_path / "codes.html").read_text()
    assert page.count("<svg") == 1 + len(found) and "http" not in page
    assert all(f'<th scope="row">{name}</th>' in page for name in found)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_pictures(suffix, say, vector, tmp_path):
    out = tmp_path / f"codes{suffix}"
    said = say("encode", vector, "--index", 1, "--codes", "latency", "current", *COMMON, "--out", out)
    assert list(counts(said)) == ["latency"]
    assert out.stat().st_size > 5000 and said.endswith(f"Picture: {out}\n")


def test_every_code_of_a_signal(say, signal, tmp_path):
    """Frames of 10 steps, one after the other; changes have one step for each frame. −1 … 1 is 0 … 1: steps of 0.2."""
    said = say("encode", signal, "--out", tmp_path / "codes.html", "--delta-threshold", 0.15)
    assert "Values from -1 to 1, mapped to 0 … 1." in said
    found = counts(said)
    assert list(found) == [name for name in (*STILL, "population", "delta", "send-on-delta") if name != "rank-order"]
    assert all(found[name][1:] == (2, 60) for name in STILL if name != "rank-order")
    assert found["population"][1:] == (16, 60)
    assert found["delta"] == (1 + 5, 2, 6)  # from the middle down to 0, then up by 0.2 five times
    assert found["linear-latency"][0] == 5 + 6  # all but the value 0
    page = (tmp_path / "codes.html").read_text()
    assert "≤" in page


def test_an_array_is_a_signal_if_told_so(say, tmp_path):
    np.save(tmp_path / "x.npy", np.linspace(0, 1, 5))
    said = say("encode", tmp_path / "x.npy", "--series", "--codes", "send-on-delta", "--out", tmp_path / "c.html")
    assert counts(said)["send-on-delta"][1:] == (1, 5)


def test_the_error_and_the_bits_are_those_of_the_code(say, tmp_path):
    """Grey levels k/256: the digits return them exactly, and evenly spaced spikes to half a spike."""
    np.save(tmp_path / "x.npy", [[0.0, 77 / 256, 0.5, 255 / 256]])
    said = say("encode", tmp_path / "x.npy", "--codes", "phase", "--num-steps", 8, "--out", tmp_path / "c.html")
    assert "rms error 0, 8 bits per value" in said


def test_encode_draws_by_the_seed(say, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = [say("encode", "--codes", "rate", "--seed", seed) for seed in (1, 1, 2)]
    assert out[0] == out[1] != out[2]
    assert (tmp_path / "codes.html").exists()


def test_events_in_hdf5_are_read_as_data(say, signal, tmp_path):
    """One sample for each code, whose class it is; with its own time step, here frames of 10 ms."""
    names = ["phase", "linear-latency", "send-on-delta"]
    said = say("encode", signal, "--codes", *names, "--out", tmp_path / "spikes.h5")
    with opened(tmp_path / "spikes.h5") as file:
        assert file["extra/keys"].asstr()[:].tolist() == names
        assert file["labels"][:].tolist() == [0, 1, 2]
        assert [len(times) for times in file["spikes/times"]] == [counts(said)[name][0] for name in names]
        times = np.concatenate(file["spikes/times"][2:])
        np.testing.assert_allclose(times / 10e-3, np.round(times / 10e-3), atol=1e-4)
        assert file["spikes/units"][1].tolist().count(1) == 6
    both = tmp_path / "both.h5"
    say("encode", signal, "--codes", *names[:2], "--out", both)
    with opened(both, "r+") as file:  # a class needs a sample in each part: three copies
        for name in ("labels", "spikes/times", "spikes/units"):
            copies, kind = np.tile(file[name][:], 3), file[name].dtype
            del file[name]
            file.create_dataset(name, data=copies, dtype=kind)
    task = events(both, num_steps=60, duration=60e-3, validation=0.3, test=0.3)
    assert task.shape == (60, 2) and task.train.x[task.train.y == 1].sum() == counts(said)["linear-latency"][0]


def test_events_in_numpy(say, signal, tmp_path):
    """An image has x and y; p is on or off of a change, and the neuron of a population."""
    image = np.zeros((1, 2, 3))
    image[0, 1, 2] = 1
    np.save(tmp_path / "x.npy", image)
    say("encode", tmp_path / "x.npy", "--codes", "latency", "population", "--out", tmp_path / "image.npz")
    with np.load(tmp_path / "image.npz") as arrays:
        assert arrays["latency"].tolist() == [(2, 1, 2000, 1)]  # 10 ms · ln(1 / 0.8) = 2.2 ms
        bright = arrays["population"][arrays["population"]["x"] + arrays["population"]["y"] == 3]
        assert set(bright["p"]) == {6, 7}  # centres at 0.92 and 1.08; that at 0.75 is 2.25 σ away
    say("encode", signal, "--codes", "delta", "rate", "--delta-threshold", 0.15, "--out", tmp_path / "signal.npz")
    with np.load(tmp_path / "signal.npz") as arrays:
        on = arrays["delta"]
        assert on.dtype.names == ("x", "t", "p")
        assert on.tolist() == [(0, 0, 0), *((0, 10_000 * frame, 1) for frame in range(1, 6))]
        assert set(arrays["rate"]["p"]) == {1}
