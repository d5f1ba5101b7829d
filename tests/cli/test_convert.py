"""From an artificial network to a folder with a risk report, and on from there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from snnlearn.cli import main

FILES = Path(__file__).parents[1] / "conversion" / "files"


@pytest.fixture(scope="module")
def artificial(blobs, tmp_path_factory):
    """A run of units without time."""
    out = tmp_path_factory.mktemp("artificial") / "run"
    options = "--layers 12 --neuron rectifier --bias --epochs 12 --batch-size 6 --no-baseline"
    assert main(["train", "--data", str(blobs), *options.split(), "--out", str(out)]) == 0
    return out


@pytest.mark.usefixtures("blank")
def test_a_run_is_converted_reported_evaluated_and_trained_on(artificial, tmp_path, say, capsys):
    out = tmp_path / "spiking"
    assert "layer 1" in say("convert", artificial, "--method", "calibration", "--num-steps", "16", "--out", out)
    assert "Test error, artificial" in (out / "report.html").read_text()
    found = json.loads((out / "conversion.json").read_text())
    assert found["steps"] == [1, 2, 4, 8, 16] and found["first_broken_layer"] is None
    assert found["steps_for_half_a_point"] <= 16
    assert all(layer["largest"] <= layer["bound"] * (1 + 1e-5) for layer in found["layers"])
    assert f"{found['test_errors'][-1]} errors of {found['test_size']}" in say("evaluate", out)
    assert main(["train", "--resume", str(out)]) == 2 and "--start" in capsys.readouterr().err
    say(
        "train",
        "--config",
        artificial / "config.toml",
        "--start",
        out,
        "--epochs",
        "1",
        "--rule",
        "ottt",
        "--out",
        tmp_path / "more",
    )
    assert (tmp_path / "more" / "model.npz").exists()


def test_what_cannot_be_converted_is_not_passed_over(artificial, finished, blobs, tmp_path, capsys):
    """The exit status says so, and one sentence why (spikingjelly#461)."""
    (tmp_path / "mlp.pkl").write_bytes(b"anything")
    shutil.copy(FILES / "plain.safetensors", tmp_path / "plain.safetensors")
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    for arguments, match in (
        ((finished,), "layer 1 is LIF, which has time already"),
        ((artificial, "--method", "qcfs"), "QCFS: layer 1 has no ceiling"),
        ((FILES / "torch.onnx", "--data", blobs), "takes 100 inputs and gives 3 scores, but blobs has 3"),
        ((FILES / "torch.onnx",), "needs --data"),
        ((tmp_path / "mlp.pkl", "--data", blobs), r"is a pickle, .*skops\.io\.dump\(mlp, 'mlp\.skops'\)"),
        ((tmp_path / "plain.safetensors", "--data", blobs), "give the hidden layers by --layers"),
        ((tmp_path / "broken.onnx", "--data", blobs), "damaged, or not an ONNX model"),
        ((tmp_path / "model.txt", "--data", blobs), "is no source that is known"),
        ((artificial, "--percentile", "101"), "--percentile is 101"),
        ((artificial, "--scale", "range"), "--scale range: the network of .* scales its input itself; drop it"),
        (
            (FILES / "regressor.skops", "--data", blobs),
            "takes 4 inputs and gives 2 scores, but blobs has 3 and 3 classes",
        ),
    ):
        capsys.readouterr()
        assert main(["convert", *map(str, arguments), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert re.search(match, error) and error.count("\n") == 1, error
        assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("blank")
@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("keras.keras", ()),
        ("keras.h5", ()),
        ("plain.safetensors", ("--layers", "4c3p1", "p2", "4c3p1", "p2")),
        ("classifier.skops", ()),
    ],
)
def test_a_file_of_other_software_decides_as_its_source_did(file, more, tmp_path, say):
    """The data's labels are the source's own decisions, so that the network that was read must not err once."""
    kind = {"keras": "keras", "plain": "torch", "classifier": "scikit_learn"}[file.split(".")[0]]
    with np.load(FILES / f"{kind}.npz") as expected:
        x = expected["x"] if kind == "scikit_learn" else expected["many"]
        np.savez(tmp_path / "data.npz", x=x, y=expected["classes"])
    out = tmp_path / "out"
    printed = say("convert", FILES / file, "--data", tmp_path / "data.npz", *more, "--num-steps", "8", "--out", out)
    found = json.loads((out / "conversion.json").read_text())
    assert found["artificial_test_errors"] == found["artificial_validation_errors"] == 0
    assert found["test_size"] > 20 and (found["reading_error"] or 0) < 1e-5
    assert f"--scale {'none' if kind == 'scikit_learn' else 'all'}" in printed
    assert "Test error, artificial" in (out / "report.html").read_text()


@pytest.mark.usefixtures("blank")
def test_images_whose_channels_are_elsewhere_are_not_mixed_up(tmp_path, capsys):
    with np.load(FILES / "keras.npz") as expected:
        np.savez(tmp_path / "first.npz", x=expected["many"].transpose(0, 3, 1, 2), y=expected["classes"])
    assert main(["convert", str(FILES / "keras.h5"), "--data", str(tmp_path / "first.npz")]) == 2
    assert re.search(r"shape \[9, 8, 2\], and those of first are \[2, 9, 8\]; move", capsys.readouterr().err)


@pytest.mark.usefixtures("blank")
def test_values_are_read_from_membranes(tmp_path, say):
    """Of scikit-learn's regressor, whose squared error is known."""
    with np.load(FILES / "scikit_learn.npz") as expected:
        x, y, values = expected["x"], expected["y"], expected["values"]
    names = ("product", "difference")
    table = np.concatenate([x, y], axis=1)
    np.savetxt(tmp_path / "data.csv", table, "%.9g", ",", header=",".join(["a", "b", "c", "d", *names]), comments="")
    out, file = tmp_path / "out", FILES / "regressor.skops"
    told = ("--data", tmp_path / "data.csv", "--label", "product,difference", "--task", "regression")
    say("convert", file, *told, "--method", "calibration", "--num-steps", "256", "--out", out)
    found = json.loads((out / "conversion.json").read_text())
    own = np.mean((values - y) ** 2, axis=0)
    assert found["task"] == "regression" and found["reading_error"] < 1e-5
    assert found["artificial_mse"] == pytest.approx(own, rel=1.0)  # on the test part alone
    assert found["relative_squared_errors"][-1] == pytest.approx(found["artificial_relative_squared_error"], abs=0.01)
    assert found["relative_squared_errors"][0] > 10 * found["relative_squared_errors"][-1]
    assert {one["name"].partition(",")[0] for one in found["baselines"]} >= {"ridge regression"}
    assert "product: " in say("evaluate", out)


@pytest.mark.usefixtures("blank")
def test_a_file_of_other_software_from_the_command_line(tmp_path, say):
    rng = np.random.default_rng(0)
    x, y = rng.random((90, 10, 10)).astype(np.float32), np.arange(90) % 3
    np.savez(tmp_path / "images.npz", x=x, y=y)
    file, out = FILES / "torch.onnx", tmp_path / "out"
    say("convert", file, "--data", tmp_path / "images.npz", "--num-steps", "4", "--out", out)
    page = (out / "report.html").read_text()
    assert "largest relative difference from onnx.reference" in page and "The final Softmax is dropped" in page
    assert json.loads((out / "conversion.json").read_text())["reading_error"] < 1e-5
