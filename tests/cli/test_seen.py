"""What a run has seen is known whatever becomes of its file: sorted, cut, added to, or given under another name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from snnlearn.cli import build, main
from snnlearn.cli.options import Train
from snnlearn.data import write_events

pytestmark = pytest.mark.usefixtures("blank")

OPTIONS = "--layers 16 --num-steps 8 --epochs 12 --batch-size 6 --seeds 2 --xi 1 --learning-rate 0.1".split()


@pytest.fixture(scope="module")
def task():
    y = np.arange(120) % 3
    return np.eye(3)[y] + 0.1 * np.random.default_rng(1).standard_normal((120, 3)), y


@pytest.fixture(scope="module")
def run(task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    np.savez(folder / "mine.npz", x=task[0], y=task[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "--data", "mine.npz", *OPTIONS, "--out", "run"]) == 0
    return folder / "run"


@pytest.fixture
def put(run, task):
    """Puts another file in the place of the run's."""
    file = run.parent / "mine.npz"
    yield lambda x, y: np.savez(file, x=x, y=y)
    np.savez(file, x=task[0], y=task[1])


def test_sorted_or_longer_files_have_the_same_parts(run, task, put, say, tmp_path):
    before = say("evaluate", run)  # from another folder than the one it was started in
    (x, y), order = task, np.argsort(task[1], kind="stable")
    put(np.concatenate([x[order], x[:3] + 1]), np.concatenate([y[order], y[:3]]))
    assert say("evaluate", run) == before
    say("risk", run, "--out", tmp_path)
    found = json.loads((tmp_path / "risk.json").read_text())
    assert found["label"] == "risk" and found["n"] == 24


def test_files_that_lack_samples_are_refused(run, task, put, capsys):
    for x, y in ((task[0][:60], task[1][:60]), (task[0], task[1][::-1])):
        put(x, y)
        for command in (["evaluate", str(run)], ["risk", str(run)], ["train", "--resume", str(run)]):
            assert main(command) == 2
            assert "samples are no longer in it" in capsys.readouterr().err


def test_samples_that_were_seen_are_left_out(run, task, say, tmp_path):
    x, y = task
    file, fresh = tmp_path / "more.npz", x[:30] + 0.01
    np.savez(file, x=np.concatenate([x, fresh]), y=np.concatenate([y, y[:30]]))
    out = say("evaluate", run, "--data", file)
    # 24 test samples and 30 new ones; 96 trained or selected.
    assert "errors of 54)" in out and "96 more of it are training or validation data" in out
    say("risk", run, "--data", file, "--out", tmp_path)
    assert json.loads((tmp_path / "risk.json").read_text())["n"] == 54


def test_copies_are_not_called_unseen(say, tmp_path):
    """60 random points with random labels, five times each: learned by heart, they are right half of the time."""
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 3)), rng.integers(0, 2, 60)
    np.savez(tmp_path / "five.npz", x=np.tile(x, (5, 1)), y=np.tile(y, 5))
    say("train", "--data", tmp_path / "five.npz", *OPTIONS, "--out", tmp_path / "run")
    with np.load(tmp_path / "run" / "seen.npz") as file:
        seen = dict(file)
    assert not np.isin(seen["test.x"], np.concatenate([seen["train.x"], seen["validation.x"]])).any()
    # Where a class has but one x, none is unseen, and the page and the summary say so.
    np.savez(tmp_path / "one.npz", x=np.repeat(np.eye(3), 20, axis=0), y=np.repeat(np.arange(3), 20))
    out = say("train", "--data", tmp_path / "one.npz", *OPTIONS, "--out", tmp_path / "all")
    assert "never seen" not in out and "no estimate of its risk" in " ".join(out.replace("│", " ").split())
    assert say("evaluate", tmp_path / "all").startswith("empirical risk (training data)")


def test_a_run_on_events_is_applied_to_new_recordings(say, tmp_path):
    rng = np.random.default_rng(0)

    def record(name: str, m: int):
        """Class 0 spikes early, class 1 late, of 100 ms; every sample differs."""
        trains = rng.random((m, 100, 3)) < 0.1
        trains[: m // 2, 50:], trains[m // 2 :, :50] = 0, 0
        trains[:, 99, 2] = 1
        return write_events(tmp_path / name, list(trains), np.repeat([0, 1], m // 2))

    common = ["--epochs", "2", "--batch-size", "8", "--layers", "4", "--num-steps", "10"]
    out = say("train", "--data", record("old.h5", 40), *common, "--out", tmp_path / "run")
    assert "fall in a time step where their unit has spiked already" in " ".join(out.split())
    new = record("new.h5", 20)
    assert " of 20)" in say("evaluate", tmp_path / "run", "--data", new)
    assert "% risk" in say("risk", tmp_path / "run", "--data", new, "--bits", "4", "--out", tmp_path / "r")
    table = [line.split("│") for line in say("predict", tmp_path / "run", new).splitlines()]
    assert sum(len(cells) > 2 and cells[2].strip().isdigit() for cells in table) == 20
    # By default, the steps hold the whole recording.
    task = build.dataset(Train(data=str(new), validation=0.2))
    assert task.shape == (100, 3) and task.dt == 1e-3
