"""Values and labels on the command line: what is trained, said, written and applied."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest

from snnlearn.cli import build, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.options import Train
from snnlearn.data import Dataset, Sample, load
from snnlearn.hypothesis import predict
from snnlearn.model_file import load as load_model

TINY = "--layers 8 --num-steps 6 --epochs 3 --batch-size 8 --optimizer adam --bias".split()
RNG = np.random.default_rng(4)
X = RNG.normal(size=(80, 3))
Y = X @ [1.0, -2.0, 0.5] + 0.1 * RNG.normal(size=80)


def table(path, *columns, header):
    rows = [",".join(map(repr, row)) for row in np.column_stack([X, *columns]).tolist()]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def values(tmp_path_factory, blank):
    """A run that predicts two values, of which one is the other in other units."""
    folder = tmp_path_factory.mktemp("values")
    file = table(folder / "a.csv", Y, 1000 * Y + 5, header="a,b,c,u,v")
    assert main(["train", "--data", str(file), "--label", "u,v", *TINY, "--out", str(folder / "run")]) == 0
    return file, folder / "run"


def test_what_a_run_reports_is_what_its_model_predicts(values, say, tmp_path):
    file, run = values
    summary = json.loads((run / "summary.json").read_text())
    data = load(file, label="u,v")
    model, names = load_model(run / "model.npz")
    predicted = predict(model, data.test.x)
    assert names == ("u", "v") and predicted.shape == (16, 2)
    mse = np.mean((predicted - data.test.y) ** 2, axis=0)
    assert [summary["targets"][name]["mse"] for name in names] == pytest.approx(mse.tolist(), rel=1e-3)
    relative = np.mean(mse / data.train.y.var(axis=0))
    assert summary["relative_squared_error"] == pytest.approx(relative, rel=1e-3)
    found = [one["name"].partition(",")[0] for one in summary["baselines"]]
    assert found == ["mean of the training values", "ridge regression", "nearest neighbours"]
    # Both values are predicted alike, each in its unit, up to their own rows of the readout.
    assert summary["targets"]["v"]["standard_deviation"] == pytest.approx(
        1000 * summary["targets"]["u"]["standard_deviation"], rel=1e-4
    )
    out = tmp_path / "p.csv"
    assert "u" in say("predict", run, file, "--out", out)
    rows = list(csv.DictReader(out.read_text().splitlines()))
    everything = predict(model, X.astype(np.float32))
    np.testing.assert_allclose([[float(row["u"]), float(row["v"])] for row in rows], everything, rtol=1e-4)


def test_evaluate_and_risk_take_a_run_of_values(values, say, tmp_path):
    file, run = values
    rmse = json.loads((run / "summary.json").read_text())["targets"]["u"]["rmse"]
    assert f"u: root mean square error {rmse:.4g}" in say("evaluate", run)
    assert "64 more of it are training or validation data" in say("evaluate", run, "--data", file)
    say("risk", run, "--out", tmp_path / "risk")
    found = json.loads((tmp_path / "risk" / "risk.json").read_text())
    assert found["values"]["u"]["mse"] == pytest.approx(rmse**2, rel=1e-6) and found["n"] == 16


def test_data_says_what_is_predicted(values, say):
    said = say("data", values[0], "--label", "u,v")
    assert "to be predicted" in said and "--label u,v" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("compare", "compare counts errors of classes"),
        ("sweep", "sweep counts errors of classes"),
        ("certify", "certify counts errors of classes"),
        ("train --rule superspike", "--rule superspike learns classes"),
        ("train --loss cross-entropy", "give squared-error, stepwise-squared-error"),
        ("train --readout count", "use mean, max or last"),
        ("train --class-weight balanced", "--class-weight balances classes"),
        ("train --task classification", "different labels|not a class"),
        ("train --data digits --task regression", "digits is classification"),
    ],
)
def test_what_is_refused(values, options, message, capsys, tmp_path):
    command, *rest = options.split()
    data = [] if "--data" in rest else ["--data", str(values[0]), "--label", "u"]
    assert main([command, *data, *rest, "--out", str(tmp_path / "out")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_labels_are_trained_and_written(say, tmp_path, blank):
    labels = (X > 0.2).astype(int)
    file = table(tmp_path / "a.csv", labels, header="a,b,c,one,two,three")
    run = tmp_path / "run"
    say("train", "--data", file, "--label", "one,two,three", *TINY, "--epochs", "12", "--out", run)
    summary = json.loads((run / "summary.json").read_text())
    data, (model, names) = load(file, label="one,two,three"), load_model(run / "model.npz")
    wrong = predict(model, data.test.x) != data.test.y
    assert names == ("one", "two", "three") and summary["hamming_error"] == pytest.approx(wrong.mean())
    assert summary["subset_error"] == pytest.approx(wrong.any(axis=1).mean())
    assert summary["hamming_error"] < summary["baselines"][0]["hamming"], "what is usual for each label"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = lines[int(np.argmin([line["validation_error"][0] for line in lines]))]["validation_error"][0]
    assert kept == pytest.approx(np.mean(predict(model, data.validation.x) != data.validation.y))
    out = tmp_path / "p.json"
    say("predict", run, file, "--out", out)
    said = json.loads(out.read_text())[0]["probabilities"]
    decided = predict(model, X[:1].astype(np.float32))[0].tolist()
    assert [int(said[name] > 0.5) for name in names] == decided
    assert f"Hamming error {wrong.mean():.2%}" in say("evaluate", run)
    say("risk", run)
    assert json.loads((run / "risk.json").read_text())["hamming_error"] == pytest.approx(wrong.mean())


def test_balanced_classes(say, tmp_path, blank):
    y = (np.arange(240) % 8 == 0).astype(int)
    np.savez(tmp_path / "a.npz", x=RNG.normal(size=(240, 2)) + 1.5 * y[:, None], y=y)
    run = tmp_path / "run"
    said = say("train", "--data", tmp_path / "a.npz", *TINY, "--class-weight", "balanced", "--out", run)
    data, (model, _) = load(tmp_path / "a.npz"), load_model(run / "model.npz")
    wrong = predict(model, data.test.x) != data.test.y
    errors = [wrong[data.test.y == c].mean() for c in (0, 1)]
    assert json.loads((run / "summary.json").read_text())["balanced_error"] == pytest.approx(np.mean(errors))
    assert said.count("Balanced error") == 3, "of the network and both baselines"
    # Validation counts classes alike, too: by the last epoch's or an earlier network.
    shares = [1 / np.sum(data.validation.y == c) for c in (0, 1)]
    weighted = np.mean(
        np.bincount(data.validation.y[predict(model, data.validation.x) != data.validation.y], minlength=2) * shares
    )
    lines = [json.loads(line)["validation_error"][0] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert min(lines) == pytest.approx(weighted, abs=1e-5)


def test_weight_decay_is_as_strong_as_validation_says():
    x = RNG.normal(size=(90, 2)).astype(np.float32)
    y = x[:, :1] + RNG.normal(size=(90, 1)).astype(np.float32)
    parts = [Sample(x[cut], y[cut]) for cut in (slice(0, 60), slice(60, 90))]
    task = Dataset("it", *parts, parts[1], None, "values", low=x.min(0), high=x.max(0))
    options, said = chosen(Train(layers=("8",), num_steps=5, epochs=20, batch_size=8), task)
    decayed, without = map(float, re.findall(r"([\d.e-]+) with", said[-1]))
    assert options.optimizer == ("adamw" if decayed < without else "adam") and options.bias
    given = Train(layers=("8",), num_steps=5, epochs=2, batch_size=8, optimizer="sgd")
    assert chosen(given, task)[0].optimizer == "sgd" and not chosen(given, task)[0].bias
    decoder = build.algorithm(chosen(given, task)[0], task, 1e-3).loss.decoder
    np.testing.assert_allclose(decoder.mean, task.train.y.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(decoder.scale, task.train.y.std(axis=0), rtol=1e-5)
