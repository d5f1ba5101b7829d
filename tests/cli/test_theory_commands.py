"""`risk`, `certify`, `no-free-lunch`, `compare --paired` and `sweep`: what each says and writes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from snnlearn.cli import build, main, sweep
from snnlearn.cli.config import read_config
from snnlearn.cli.folders import RUN
from snnlearn.hypothesis import predict, scores
from snnlearn.model_file import load

pytestmark = pytest.mark.usefixtures("blank")


def is_offline(page: Path) -> bool:
    return re.search(r'(src|href)="(?!#|data:)|https?://(?!www\.w3\.org)', page.read_text()) is None


@pytest.fixture(scope="module")
def trained_on(finished):
    return build.dataset(read_config(finished / "config.toml"))


def test_risk_says_what_is_known(finished, trained_on, say, tmp_path):
    out = say("risk", finished, "--confidence", "0.9", "--bits", "3", "8", "--out", tmp_path)
    found = json.loads((tmp_path / "risk.json").read_text())
    hypothesis, _ = load(finished / "model.npz")
    wrong = predict(hypothesis, trained_on.test.x) != trained_on.test.y
    k, n = int(wrong.sum()), wrong.size
    assert found["label"] == "risk" and (found["errors"], found["n"]) == (k, n) and "0.0\xa0% risk" in out
    exact = stats.binomtest(k, n).proportion_ci(0.9, "exact")
    score = stats.binomtest(k, n).proportion_ci(0.9, "wilson")
    assert found["intervals"]["Clopper–Pearson"] == pytest.approx([exact.low, exact.high], abs=1e-9)
    assert found["intervals"]["Wilson"] == pytest.approx([score.low, score.high], abs=1e-9)
    assert set(found["intervals"]) >= {"Hoeffding", "empirical Bernstein", "bootstrap (BCa)"}
    training = float(np.mean(predict(hypothesis, trained_on.train.x) != trained_on.train.y))
    assert found["empirical_risk"] == training
    assert found["generalization_gap"] == pytest.approx(k / n - training)
    probabilities = np.exp(scores(hypothesis, trained_on.test.x).astype(float))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    brier = np.mean(np.sum((probabilities - np.eye(3)[trained_on.test.y]) ** 2, axis=1))
    assert found["calibration"][0]["brier"] == pytest.approx(brier, rel=1e-6)
    assert found["calibration"][1]["temperature"] > 0
    bounds = {one["name"]: one["value"] for one in found["bounds"]}
    upper = stats.binomtest(k, n, alternative="less").proportion_ci(0.9, "exact").high
    assert bounds["test sample, one-sided exact"] == pytest.approx(upper, abs=1e-9)
    assert bounds["finite class, 3 bits"] < bounds["finite class, 8 bits"] <= 1
    assert is_offline(tmp_path / "risk.html") and "Reliability diagram" in (tmp_path / "risk.html").read_text()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_the_error_on_data_that_was_seen_is_never_called_risk(part, finished, trained_on, say, tmp_path):
    sample = getattr(trained_on, part)
    np.savez(tmp_path / "seen.npz", x=sample.x, y=sample.y)
    label = "empirical risk (training data)" if part == "train" else "empirical risk (validation data)"
    for command in ("evaluate", "risk"):
        extra = ["--out", tmp_path] if command == "risk" else []
        out = say(command, finished, "--data", tmp_path / "seen.npz", *extra)
        assert label in out.splitlines()[command == "risk"]  # the first line, or the first in the frame
        assert "interval" not in out
    found = json.loads((tmp_path / "risk.json").read_text())
    assert found["label"] == label and found["intervals"] == {} and found["gap_interval"] is None
    assert not any("test sample" in one["name"] for one in found["bounds"])


def test_no_free_lunch_counts_every_task(say, tmp_path):
    out = say("no-free-lunch", "--points", "3", "--samples", "1", "--out", tmp_path / "n")
    found = json.loads((tmp_path / "n" / "no_free_lunch.json").read_text())
    assert len(found["learners"]) >= 6 and any("spiking" in one["name"] for one in found["learners"])
    assert found["closed_form"] == pytest.approx(1 / 3, abs=1e-15)  # ½ (1 − 1/3)
    for one in found["learners"]:
        assert one["off_training_set"] == pytest.approx(0.5, abs=1e-12)
        assert one["risk"] == pytest.approx(1 / 3 + one["seen"], abs=1e-12)
    smooth = {one["name"]: one["off_training_set_smooth"] for one in found["learners"]}
    assert smooth["nearest"] < 0.2 < 0.8 < smooth["contrary"]  # with a prior on tasks they do differ
    assert "Closed form" in out and is_offline(tmp_path / "n" / "report.html")


def test_certify_bounds_the_risk(blobs, say, tmp_path):
    options = "--layers 16 --num-steps 8 --epochs 12 --batch-size 6 --xi 1 --learning-rate 0.1 --bound-epochs 2"
    out = say(
        "certify", "--data", blobs, *options.split(), "--networks", "5", "--delta", "0.1", "--out", tmp_path / "c"
    )
    found = json.loads((tmp_path / "c" / "certificate.json").read_text())
    assert found["m"] == 42 and found["delta"] == 0.1 and found["draws"] == 5
    # kl(R̂ ‖ bound) is (KL + ln(2 √m / δ)) / m, where a fifth of δ went to the draws.
    q, p = found["empirical_risk_bound"], found["bound"]
    kl = q * np.log(q / p) + (1 - q) * np.log((1 - q) / (1 - p))
    assert kl == pytest.approx((found["kl"] + np.log(2 * np.sqrt(42) / 0.08)) / 42, rel=1e-6)
    assert found["empirical_risk"] < q < p < 0.5
    assert "With 90\xa0% confidence the risk of this stochastic" in out and is_offline(tmp_path / "c" / "report.html")


def test_two_runs_in_pairs(finished, trained_on, tiny, say, tmp_path):
    shutil.copytree(finished, tmp_path / "first")
    say("train", *tiny, "--seed", "7", "--epochs", "1", "--out", tmp_path / "second")
    out = say("compare", "--paired", tmp_path / "first", tmp_path / "second", "--out", tmp_path / "p")
    found = json.loads((tmp_path / "p" / "paired.json").read_text())
    first, second = (
        predict(load(tmp_path / run / "model.npz")[0], trained_on.test.x) != trained_on.test.y
        for run in ("first", "second")
    )
    b, c = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    pair = found["samples"][0]
    assert pair["difference"] == pytest.approx((b - c) / first.size)
    assert pair["p_value"] == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1.0)
    assert pair["n"] == first.size and "McNemar" in out
    assert found["seeds"] == []  # other seeds: no pairs of trainings
    assert is_offline(tmp_path / "p" / "report.html")


def test_runs_of_other_splits_are_no_pair(finished, tiny, tmp_path, capsys):
    shutil.copytree(finished, tmp_path / "other")
    with np.load(finished / "seen.npz") as arrays:
        seen = dict(arrays)
    for of in "xy":  # tested on what the other was trained on
        first = seen[f"train.{of}"][:24].copy()
        seen[f"train.{of}"][:24], seen[f"test.{of}"] = seen[f"test.{of}"], first
    np.savez(tmp_path / "other" / "seen.npz", **seen)
    RUN.begin(tmp_path / "other")
    assert main(["compare", "--paired", str(finished), str(tmp_path / "other"), "--out", str(tmp_path / "p")]) == 2
    assert "another test sample" in capsys.readouterr().err and not (tmp_path / "p").exists()


def test_rules_in_pairs_over_seeds(tiny, say, tmp_path):
    rules = ["--rules", "bptt", "ottt", "--learning-rates", "0.05", "--epochs", "2", "--paired"]
    say("compare", *tiny[: tiny.index("--learning-rate")], *rules, "--out", tmp_path / "c")
    pair = json.loads((tmp_path / "c" / "paired.json").read_text())[0]
    errors = {one["rule"]: one for one in json.loads((tmp_path / "c" / "comparison.json").read_text())}
    a, b = (np.array(errors[rule]["test_errors"]) / errors[rule]["test_size"] for rule in ("bptt", "ottt"))
    assert pair["difference"] == pytest.approx(np.mean(a - b)) and pair["n"] == 2
    assert "In pairs" in (tmp_path / "c" / "report.html").read_text()


@pytest.fixture
def small_sweep(blobs):
    options = "--num-steps 8 --epochs 3 --batch-size 6 --seeds 2 --xi 1 --learning-rate 0.1 --layers 16"
    return ["sweep", "--data", str(blobs), *options.split()]


def test_a_killed_sweep_goes_on(small_sweep, say, tmp_path, monkeypatch, capsys):
    folder, train, calls = tmp_path / "s", sweep._train, []

    def killed(options, task):
        calls.append(options.layers)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return train(options, task)

    monkeypatch.setattr(sweep, "_train", killed)
    grid = ["--vary", "layers=4,16", "neuron=lif,if", "--sizes"]
    assert main([*small_sweep, *grid, "--out", str(folder)]) == 130
    assert f"snnlearn sweep --resume {folder}" in capsys.readouterr().err
    done = folder / "configurations" / "000.json"
    before = done.stat().st_mtime_ns, done.read_text()
    assert [file.name for file in (folder / "configurations").iterdir()] == ["000.json"]
    out = say("sweep", "--resume", folder)
    assert (done.stat().st_mtime_ns, done.read_text()) == before and len(calls) == 5
    found = json.loads((folder / "summary.json").read_text())
    settings = [one["settings"] for one in found["configurations"]]
    assert sorted(map(str, settings)) == sorted(
        str({"layers": layers, "neuron": neuron}) for layers in ("4", "16") for neuron in ("lif", "if")
    )
    for one in found["configurations"]:
        risks = np.array(one["test_errors"]) / one["test_size"]
        half = stats.t.ppf(0.975, 1) * risks.std(ddof=1) / np.sqrt(2)
        assert one["risk"] == pytest.approx(risks.mean())
        assert one["risk_interval"] == pytest.approx(np.clip([risks.mean() - half, risks.mean() + half], 0, 1))
    by = {(one["settings"]["layers"], one["settings"]["neuron"]): one["risk"] for one in found["configurations"]}
    effect = next(one for one in found["effects"] if one["option"] == "layers")
    assert effect["difference"] == pytest.approx(np.mean([by["16", n] - by["4", n] for n in ("lif", "if")]))
    assert effect["pairs"] == 2 and effect["p_value_holm"] >= effect["p_value"]
    assert "What matters" in (folder / "report.html").read_text() and is_offline(folder / "report.html")
    assert "Fewest validation errors" in out


def test_a_configuration_that_cannot_be_is_reported_and_the_others_go_on(small_sweep, say, tmp_path):
    grid = ["--vary", "rule=bptt,ottt", "neuron=alif", "--epochs", "1", "--sizes", "12"]
    out = say(*small_sweep, *grid, "--out", tmp_path / "s")
    found = json.loads((tmp_path / "s" / "summary.json").read_text())
    assert [one["settings"]["rule"] for one in found["configurations"]] == ["bptt"]
    assert "use EProp" in found["refused"][0]["reason"]
    assert found["sizes"] == [12, 84] and np.shape(found["size_errors"]) == (2, 2)
    law = np.polyfit(np.log([12, 84]), np.log((np.array(found["size_errors"]) + 0.5) / 25).T, 1)[0]
    assert found["power_law"]["exponent"] == pytest.approx(-law.mean()) and "m^(−" in out


def test_only_the_training_samples_size_changes(trained_on):
    part = sweep._part(trained_on.train, 12, 3)
    assert part.x.shape == (12, 3) and set(part.y) == {0, 1, 2}
    rows = {row.tobytes() for row in trained_on.train.x}
    assert {row.tobytes() for row in part.x} <= rows
