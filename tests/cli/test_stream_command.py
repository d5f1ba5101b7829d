"""snnlearn stream: lines in, predictions out, a state that goes on exactly, and a sentence for what cannot be used."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.cli import main
from snnlearn.coding import Current, Framewise, InUnits, Latency, MeanMembrane, Rate, Rescaled
from snnlearn.hypothesis import Hypothesis
from snnlearn.model_file import save
from snnlearn.network import feedforward
from snnlearn.neurons import LIF
from snnlearn.streaming import Stream

KEY = jax.random.key(0)
NETWORK = feedforward((2, 12, 2), neuron=LIF(v_th=0.05), recurrent=True, key=KEY)
X = np.random.default_rng(0).random((40, 2)).round(3)
TEXT = "".join(f"{a},{b}\n" for a, b in X)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder of model files, whose networks take two numbers."""
    folder = tmp_path_factory.mktemp("models")
    mean = MeanMembrane()
    inside = Rescaled(Current(num_steps=3), jnp.zeros(2), jnp.array([1.0, 2.0]))
    found = {
        "classes": Hypothesis(Rate(num_steps=50), NETWORK, mean),
        "values": Hypothesis(Framewise(inside, 9), NETWORK, InUnits(mean, jnp.full(2, 20.0), jnp.array([1.0, 5.0]))),
        "latency": Hypothesis(Latency(num_steps=10), NETWORK, mean),
    }
    for name, hypothesis in found.items():
        save(hypothesis, folder / f"{name}.npz", class_names=("left", "right") if name != "values" else ())
    return folder


@pytest.fixture
def pipe(monkeypatch, capsys):
    """A function that gives text to the command, and returns its status and what it wrote."""

    def pipe(text: str | bytes, *arguments) -> tuple[int, str, str]:
        content = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        capsys.readouterr()
        status = main(["stream", *map(str, arguments)])
        return status, *capsys.readouterr()

    return pipe


def test_values_are_those_of_the_network_frame_by_frame(models, pipe):
    status, out, err = pipe("a, b\n\n" + TEXT, models / "values.npz")
    assert (status, err) == (0, "")
    stream = Stream(NETWORK)
    steps = np.repeat((X / [1.0, 2.0]).astype(np.float32), 3, axis=0)
    outputs, _ = stream.advance(steps, stream.start())
    expected = np.array([20.0, 20.0]) + [1.0, 5.0] * outputs.reshape(40, 3, 2).mean(axis=1)
    assert np.abs(expected - 20).max() > 1e-2
    found = np.array([[float(word) for word in line.split(",")] for line in out.splitlines()])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_text_and_arrays_are_the_same_lines(models, pipe, tmp_path):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "x.txt").write_text(TEXT.replace(",", "\t"))
    whole = pipe(TEXT, models / "classes.npz")
    assert whole[0] == 0
    assert {line.partition(",")[0] for line in whole[1].splitlines()} == {"left", "right"}
    for name in ("x.npy", "x.txt"):
        assert pipe("", models / "classes.npz", tmp_path / name) == whole


@pytest.mark.parametrize("learn", [False, True])
def test_a_stream_goes_on_exactly_from_its_state(models, pipe, tmp_path, learn):
    """Rate codes draw by the line's number, and learning by the steps since the last update."""
    lines = TEXT.splitlines(keepends=True)
    rule = []
    if learn:
        lines = [f"{line[:-1]},{('left', 'right')[float(line[0:3]) > 0.5]}\n" for line in lines]
        rule = ["--learn", "eprop", "--steps-per-update", 16, "--learning-rate", 0.1]
    _, whole, said = pipe("".join(lines), models / "classes.npz", *rule)
    parts, state = [], tmp_path / "state.npz"
    for part in (lines[:1], lines[1:24], lines[24:]):
        status, out, err = pipe("".join(part), models / "classes.npz", *rule, "--state", state)
        assert status == 0
        parts.append(out)
    assert "".join(parts) == whole
    assert len(whole.splitlines()) == 40
    assert err == said
    if learn:
        assert "40 lines: prequential risk 0." in said
        assert "the network as it was 0." in said
        assert whole != pipe(TEXT, models / "classes.npz")[1], "it learns"


@pytest.mark.parametrize(
    ("text", "arguments", "good", "why"),
    [
        ("1,0\n0,x\n", (), 1, "error: line 2: 'x' in column 2 is no number"),
        ("1,0\n0,nan\n", (), 1, "error: line 2: column 2 is nan, which would stay in the network's state"),
        ("1,0\n0,1e40\n", (), 1, "error: line 2: column 2 is 1e+40, which would stay in the network's state"),
        ("\na,b\n1,0\n0,x\n", (), 1, "error: line 4: 'x' in column 2 is no number"),
        ("1,0\n0\n1,1\n", (), 1, "error: line 2 has 1 column, and those before have 2"),
        ("\n1,0\n0,3\n", (), 1, "error: line 3: column 2 is 3, but the network takes values from 0 to 1"),
        ("1,0,0\n", (), 0, "error: line 1 has 3 inputs, but the network takes 2"),
        ("1,0,left\n1,1,blue\n", ("--learn", "eprop"), 1, "error: line 2: the last column is 'blue', which is none of"),
        ("1\n", ("--learn", "eprop"), 0, "error: line 1 has 1 column, of which the last is to be predicted"),
        ("1,0,left\n", ("--learn", "bptt"), 0, "error: Learner: BPTT knows its gradient only after all steps"),
        (b"\0\1\2", (), 0, "error: this is no text"),
        ("1,0\n", ("missing.csv",), 0, "error: there is no file missing.csv"),
        ("1,0\n", ("--state", "missing/state.npz"), 0, "error: --state: there is no folder missing"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_line(models, pipe, text, arguments, good, why):
    status, out, err = pipe(text, models / "classes.npz", *arguments)
    assert status == 2
    assert len(out.splitlines()) == good
    assert err.splitlines()[-1].startswith(why)


def test_a_byte_order_mark_is_no_part_of_the_first_line(models, pipe):
    lines = "0.1 0.2\n0.3 0.4\n"
    assert pipe(lines.encode("utf-8-sig"), models / "values.npz") == pipe(lines, models / "values.npz")
    assert pipe("\ufeffa,b\r\n0.1,0.2\r\n", models / "values.npz")[1].count("\n") == 1


def test_a_code_with_an_end_is_refused(models, pipe):
    status, out, err = pipe(TEXT, models / "latency.npz")
    assert (status, out) == (2, "")
    assert "Latency is a code of a whole sample, which has an end" in err
    assert "Rate" in err


def test_ctrl_c_keeps_what_was_written_and_a_line_is_answered_at_once(models, tmp_path):
    """A process of its own, which waits for its next line when it is interrupted."""
    state = tmp_path / "state.npz"
    command = [sys.executable, "-m", "snnlearn", "stream", models / "classes.npz", "--state", state]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([*map(str, command)], **pipes, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(TEXT[: TEXT.index("\n") + 1])
        assert process.stdout.readline().count(",") == 2
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
    assert process.returncode == 130
    assert f"interrupted; 1 lines were read; go on after them with the same --state {state}" in err
    assert int(np.load(state)["steps"]) == 1
