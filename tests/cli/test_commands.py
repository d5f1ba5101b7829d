"""What each command says and writes when nothing is wrong."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.image import imsave
from rich.cells import cell_len

from snnlearn import coding
from snnlearn.hypothesis import Hypothesis
from snnlearn.model_file import save
from snnlearn.network import feedforward


def decisions(table: str) -> list[str]:
    """The last column of what `predict` prints."""
    return [line.split("│")[3].strip() for line in table.splitlines() if line.startswith("│")]


def test_train_leaves_a_folder(finished):
    names = {"run.json", "config.toml", "seen.npz", "metrics.jsonl", "checkpoint.npz", "model.npz", "summary.json"}
    names.add("report.html")
    assert {path.name for path in finished.iterdir()} == names
    assert (finished / "report.html").read_text().startswith("<!doctype html>")
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["title"] == "blobs · current code · LIF 16 · BPTT"
    assert (summary["train_size"], summary["test_size"], len(summary["test_errors"])) == (84, 24, 2)
    assert summary["parameters"] == 3 * 16 + 16 * 3
    assert summary["risk"] == summary["test_errors"][summary["selected_seed"]] / 24 < summary["chance"] / 2


def test_train_says_what_it_does(say, finished, monkeypatch, tmp_path):
    """Here of a run that is done, so that nothing is trained. On no terminal there are no bars, and no line is long."""
    monkeypatch.setattr("snnlearn.report.files.page", lambda _: "")
    run = shutil.copytree(finished, tmp_path / "a[b] run")
    for width in (80, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        first, *body, last = say("train", "--resume", run).splitlines()
        assert (first, last) == (f"Run: {run}", f"Report: {run / 'report.html'}")
        assert any("On 24 samples it has never seen" in line for line in body)
        assert max(map(cell_len, body)) <= width and "\x1b" not in "".join(body)


def test_evaluate_on_the_test_sample(say, finished):
    summary = json.loads((finished / "summary.json").read_text())
    errors = summary["test_errors"][summary["selected_seed"]]
    out = say("evaluate", finished)
    assert f"({errors} errors of 24)" in out and "the run's own test sample" in out


def test_evaluate_counts_what_predict_decides(say, finished, blobs, tmp_path):
    """On labels that are partly wrong, so that the count is neither 0 nor all."""
    with np.load(blobs) as arrays:
        x, y = arrays["x"][:30] + 1e-3, arrays["y"][:30].copy()
    y[:7] = (y[:7] + 1) % 3
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "labelled.npz", x=x, y=y)
    decided = decisions(say("predict", finished, tmp_path / "x.npy"))
    errors = int(np.sum(np.array(decided, int) != y))
    assert 5 <= errors <= 9
    assert f"({errors} errors of 30)" in say("evaluate", finished, "--data", tmp_path / "labelled.npz")


def test_spikes_and_every_part_away_from_its_default(say, events, tmp_path, monkeypatch):
    """Two classes that differ in one unit are learned, and the loaded model decides so."""
    monkeypatch.setattr("snnlearn.report.files.page", lambda _: "")
    run = tmp_path / "run"
    parts = (
        "--neuron cuba-lif --recurrent --bias --readout count --loss mean-squared --rate-band 5 300 --optimizer adamax"
    )
    sizes = "--layers 12 --num-steps 6 --dt 0.002 --epochs 25 --batch-size 4 --validation 0.2 --test 0.3"
    options = f"{parts} {sizes} --learning-rate 0.05 --schedule constant --surrogate triangle --refractory 0.002"
    say("train", "--data", events, "--out", run, *options.split())
    assert "(0 errors of 6)" in say("evaluate", run)
    spikes = np.zeros((2, 6, 3))
    spikes[:, 4, 2] = spikes[0, 1, 1] = spikes[1, 1, 0] = 1
    np.save(tmp_path / "spikes.npy", spikes)
    assert decisions(say("predict", run, tmp_path / "spikes.npy")) == ["1", "0"]


@pytest.fixture
def digits_run(finished, tmp_path) -> Path:
    """A run on pixels, with names of classes; its network is not trained."""
    run = shutil.copytree(finished, tmp_path / "digits")
    network = feedforward((64, 20, 4), key=jax.random.key(1))
    network = jax.tree.map(lambda leaf: 40 * leaf if isinstance(leaf, jax.Array) else leaf, network)
    hypothesis = Hypothesis(coding.Current(num_steps=8), network, coding.MeanMembrane())
    save(hypothesis, run / "model.npz", class_names=("north", "east", "south", "west"))
    return run


def test_predict_takes_images_and_arrays(say, digits_run, tmp_path):
    """The same pixels as pictures, one by one, and as an array give the same names, in the order of the arguments."""
    pixels = np.random.default_rng(0).integers(0, 32, (6, 8, 8), dtype=np.uint8)
    pixels[np.arange(6), np.arange(6)] += 200  # one bright row each
    np.savez(tmp_path / "all.npz", x=pixels / 255)
    pictures = [tmp_path / f"{number}.png" for number in range(6)]
    for picture, path in zip(pixels, pictures, strict=True):
        imsave(path, picture, cmap="gray", vmin=0, vmax=255)
    one_by_one = decisions(say("predict", digits_run, *pictures))
    assert len(set(one_by_one)) > 1 and set(one_by_one) <= {"north", "east", "south", "west"}
    assert one_by_one == decisions(say("predict", digits_run, tmp_path / "all.npz"))
    assert one_by_one[::-1] == decisions(say("predict", digits_run, *pictures[::-1]))


def test_predictions_in_a_file(say, digits_run, tmp_path):
    """The scores decide, in each kind of file."""
    pixels = np.random.default_rng(0).random((5, 8, 8))
    np.save(tmp_path / "x.npy", pixels)
    np.save(tmp_path / "y.npy", pixels[:2])
    files = (tmp_path / "x.npy", tmp_path / "y.npy")
    shown = decisions(say("predict", digits_run, *files, "--out", tmp_path / "p.json"))
    say("predict", digits_run, *files, "--out", tmp_path / "p.csv")
    say("predict", digits_run, *files, "--out", tmp_path / "p.npz")
    found = json.loads((tmp_path / "p.json").read_text())
    assert [one["class"] for one in found] == [max(one["scores"], key=one["scores"].get) for one in found] == shown
    assert [(Path(one["file"]).name, one["sample"]) for one in found[4:6]] == [("x.npy", 4), ("y.npy", 0)]
    with (tmp_path / "p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == shown
    assert [float(row["score of east"]) for row in rows] == [one["scores"]["east"] for one in found]
    with np.load(tmp_path / "p.npz") as arrays:
        assert arrays["class_names"][arrays["y"]].tolist() == shown and arrays["scores"].shape == (7, 4)
