"""What the data decide where the options do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from snnlearn.cli import build, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.options import Train
from snnlearn.coding import Rescaled
from snnlearn.data import Dataset, Sample

RNG = np.random.default_rng(0)


def task(shape: tuple[int, ...], size: int = 40, *, own_range: bool = False) -> Dataset:
    y = np.arange(size, dtype=np.int32) % 2
    x = (100 + y.reshape(-1, *(1 for _ in shape)) + RNG.normal(size=(size, *shape))).astype(np.float32)
    sample, axes = Sample(x, y), tuple(range(len(shape)))
    low, high = (x.min(axes), x.max(axes)) if own_range else (float(x.min()), float(x.max()))
    return Dataset("data", sample, sample, sample, 2, "values", low=low, high=high)


@pytest.mark.parametrize(
    ("size", "batch", "epochs", "rate"),
    [(5, 5, 100, 0.1), (45, 8, 100, 0.1), (400, 32, 67, 0.1), (1257, 64, 43, 0.1), (54_000, 64, 10, 0.03)],
)
def test_batch_epochs_and_step_follow_the_size(size, batch, epochs, rate):
    options, said = chosen(Train(), task((1,), size))
    assert options.counts() == (epochs, batch) and options.learning_rate == rate
    assert any(f"--batch-size {batch}" in one for one in said) and any(f"--epochs {epochs}" in one for one in said)


def test_scales_follow_the_kind_of_data_and_the_code():
    table, image, series = task((3,)), task((6, 6)), task((9, 2), own_range=True)
    assert chosen(Train(), table)[0].scale == "standard"
    assert chosen(Train(encode="rate"), table)[0].scale == "range"
    assert chosen(Train(), image)[0].scale == "centred"
    assert chosen(Train(encode="rate"), image)[0].scale == "all"
    framed, _ = chosen(Train(series=True), series)
    assert (framed.scale, framed.num_steps) == ("standard", 3), "9 frames of 3 steps each"
    for data, options in ((table, Train()), (series, Train(series=True))):
        code = build.encoder(chosen(options, data)[0], data)
        assert isinstance(code, Rescaled)
        z = (data.train.x - np.asarray(code.low)) / np.asarray(code.high - code.low)
        axes = (0, 1) if data is series else 0
        np.testing.assert_allclose(z.mean(axes), 0.0, atol=1e-3)
        np.testing.assert_allclose(z.std(axes), 1.0, rtol=1e-3)


def test_what_is_given_stays_and_nothing_is_chosen_twice():
    given = Train(scale="quantile", batch_size=7, epochs=3, learning_rate=0.2)
    assert chosen(given, task((3,))) == (given, ())
    once, _ = chosen(Train(), task((3,)))
    assert chosen(once, task((3,))) == (once, ())


@pytest.mark.parametrize("aligned", [True, False])
def test_a_series_is_presented_as_validation_says(aligned):
    """Two templates in noise, each at its place; and a pulse at any place, whose sign is the class."""
    x, y = 0.1 * RNG.normal(size=(80, 24, 1)), np.arange(80, dtype=np.int32) % 2
    if aligned:
        x[..., 0] += RNG.normal(size=(80, 24)) + RNG.choice([-1.0, 1.0], (2, 24))[y]
    else:
        x[np.arange(80), RNG.integers(0, 24, 80), 0] += np.where(y == 1, 4, -4)
    parts = [Sample(x[cut].astype(np.float32), y[cut]) for cut in (slice(0, 50), slice(50, 80))]
    data = Dataset("pulses", *parts, parts[1], 2, "values", low=x.min((0, 1)), high=x.max((0, 1)))
    options, said = chosen(Train(layers=("32",)), data)
    assert options.encode == "current" and options.series != aligned
    assert "validation error" in said[0]


def test_a_run_says_what_was_chosen_and_keeps_it(tmp_path, capsys):
    path = tmp_path / "a.csv"
    rows = [f"{i % 2 + RNG.normal() / 9},{1e4 * RNG.normal()},{'yes' if i % 2 else 'no'}" for i in range(60)]
    path.write_text("\n".join(["height,salary,married", *rows]))
    assert main(["train", "--data", str(path), "--layers", "16", "--epochs", "12", "--out", str(tmp_path / "r")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "--scale standard, as the data are a table" in said and "--batch-size 8" in said
    config = (tmp_path / "r" / "config.toml").read_text()
    assert 'scale = "standard"' in config and "batch_size = 8" in config
    found = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert found["risk"] <= 0.1, "the second feature has a range ten thousand times as wide"
    assert [one["name"].partition(",")[0] for one in found["baselines"]] == [
        "logistic regression",
        "nearest neighbours",
    ]
