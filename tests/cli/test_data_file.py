"""`snnlearn data`, and that train, predict and evaluate take what it has looked at."""

from __future__ import annotations

import csv
import json

import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import load
from snnlearn.cli import main

SMALL = "--layers 8 --num-steps 4 --epochs 2 --batch-size 16".split()
RNG = np.random.default_rng(0)


@pytest.fixture
def table(tmp_path):
    """60 flowers by 20 gardeners, two of them the same."""
    with open(tmp_path / "flowers.csv", "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["height", "colour", "gardener", "species"])
        for i in range(60):
            lines.writerow(
                [f"{i % 3 + (i % 59) / 100:.2f}", ["red", "blue"][i % 2], f"g{i // 3}", ["a", "b b", "ç"][i % 3]]
            )
    return tmp_path / "flowers.csv"


def test_it_says_what_is_in_a_table(say, table, tmp_path):
    said = say("data", table, "--group", "gardener", "--out", tmp_path / "out")
    for what in ("height", "colour = red", "b b", "ç", "33.3%", "Columns of words became 2 features"):
        assert what in said
    assert f"To train: snnlearn train --data {table} --group gardener\n" in said
    assert (tmp_path / "out" / "data.png").read_bytes()[:4] == b"\x89PNG"


def test_samples_in_two_parts_are_counted(say, tmp_path):
    x = RNG.random((40, 2))
    np.savez(
        tmp_path / "a.npz", x=x, y=np.arange(40) % 2, x_test=x[:6] * [[1], [1], [2], [2], [2], [2]], y_test=[0, 1] * 3
    )
    assert "2 of 6 test samples equal one of training or validation" in say("data", tmp_path / "a.npz")


def test_it_says_what_is_in_events_and_series(say, events, tmp_path):
    said = say("data", events, "--out", tmp_path / "out")
    assert "10 time steps of 1 ms" in said and "units that never spike" in said
    series = "".join(f"{','.join(map(str, RNG.random(4)))}:{'xy'[i % 2]}\n" for i in range(20))
    (tmp_path / "a.ts").write_text("@timeStamps false\n@classLabel true x y\n@data\n" + series)
    said = say("data", tmp_path / "a.ts", "--out", tmp_path / "out")
    assert "channel 0" in said and said.rstrip().endswith(f"To train: snnlearn train --data {tmp_path}/a.ts")
    assert "digits" in say("data", "digits", "--out", tmp_path / "out")


def test_a_network_of_a_table_predicts_tables(say, table, tmp_path):
    say("train", "--data", table, *SMALL, "--group", "gardener", "--out", tmp_path / "run")
    (tmp_path / "new.csv").write_text("colour,height,more\nred,2.1,x\nblue,0.2,y\n")
    say("predict", tmp_path / "run", tmp_path / "new.csv", "--out", tmp_path / "out.json")
    found = json.loads((tmp_path / "out.json").read_text())
    assert len(found) == 2 and set(found[0]["scores"]) == {"a", "b b", "ç"}
    # Rows of the file itself, in another order, are those that the run has seen.
    assert "of its" not in (said := say("evaluate", tmp_path / "run", "--data", table)) and "left out" in said
    assert "risk" in say("evaluate", tmp_path / "run")
    (tmp_path / "new.csv").write_text("height,colour,species\n2.123,red,ç\n0.777,blue,b b\n")
    assert "errors of 2" in say("evaluate", tmp_path / "run", "--data", tmp_path / "new.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,label\n1,\n", "missing values"),
        ("a.parquet", b"PAR1", "a.parquet"),
        ("a.arff", b"@relation x\n", "no line @data"),
        ("a.ts", b"@data\n1,2:3,4\n", "has no labels"),
        ("a.npz", b"PK", "is damaged"),
        ("a.png", b"PNG", "cannot be read as an image"),
        ("a-images-idx3-ubyte", b"\0\0\x08\x03", "no labels beside it"),
        ("a.h5", b"HDF", "not HDF5"),
        ("a.bin", b"1234", "not 5 for each event"),
        ("a.aedat", b"#!AER-DAT3.1\n", "AEDAT 2.0 and 4 are read"),
        ("a.xyz", b"words", "of no known format"),
    ],
)
@pytest.mark.parametrize("command", ["data", "train --data"])
def test_damage_is_one_sentence(command, name, content, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    capsys.readouterr()
    assert main([*command.split(), name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and message in err, err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_options_of_files_that_cannot_be(capsys, table, tmp_path):
    for line, message in {
        f"data {table} --label colours": "no column colours for the label",
        f"data {table} --out {table}": "is not a folder",
        f"data {tmp_path}/nothing.csv": "No such file",
        "data nothing": "give one of digits, mnist",
    }.items():
        assert main(line.split()) == 2
        assert message in capsys.readouterr().err


def test_series_that_end_at_different_times_are_trained_on_as_they_are(say, tmp_path):
    lines = [",".join(f"{v:.3f}" for v in RNG.normal(size=3 + i % 4)) + f":{'xy'[i % 2]}" for i in range(40)]
    head = "@timeStamps false\n@classLabel true x y\n@data\n"
    (tmp_path / "a.ts").write_text(head + "\n".join(lines))
    said = say("data", tmp_path / "a.ts")
    assert "Samples end after 3 to 6 values, half of them after at most 4." in said and "nan" not in said
    few = "--layers 4 --epochs 1 --batch-size 16 --num-steps 2".split()
    (tmp_path / "new.ts").write_text(head + lines[0] + "\n1,2:x")
    predicted = []
    for name, options in (("frames", ["--series"]), ("whole", ["--encode", "current"])):
        say("train", "--data", tmp_path / "a.ts", *few, *options, "--out", tmp_path / name)
        say("predict", tmp_path / name, tmp_path / "new.ts", "--out", tmp_path / f"{name}.npz")
        say("evaluate", tmp_path / name, "--data", tmp_path / "new.ts")
        with np.load(tmp_path / f"{name}.npz") as found:
            predicted.append(found["scores"])
    assert np.isfinite(predicted).all()
    encoders = [load(tmp_path / name / "model.npz")[0].encoder for name in ("frames", "whole")]
    x = jnp.array([[1.0], [2.0], *[[np.nan]] * 4])
    assert [encoder.length(x) is None for encoder in encoders] == [False, True]
    assert int(encoders[0].length(x)) == 4
