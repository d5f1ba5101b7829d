"""A run that is stopped, in whatever way, and gone on with ends where the unbroken one ends, bit for bit."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from snnlearn.cli import main, run_folder
from snnlearn.cli.run_folder import RunFolder

# In another process: a checkpoint after each epoch, and at the end how many programs the cache did not have. Such short
# epochs would all be over before a signal came, so each waits a little.
OFTEN = """
import atexit, time, snnlearn.cli.run_folder, jax
snnlearn.cli.run_folder._SECONDS_BETWEEN_CHECKPOINTS = 0
add_metrics = snnlearn.cli.run_folder.RunFolder.add_metrics
def add_metrics_slowly(*arguments):
    add_metrics(*arguments)
    time.sleep(0.4)
snnlearn.cli.run_folder.RunFolder.add_metrics = add_metrics_slowly
misses = []
jax.monitoring.register_event_listener(lambda event, **_: misses.append(event) if "cache_misses" in event else None)
atexit.register(lambda: print("misses:", len(misses)))
"""


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_same_end(run: Path, unbroken: Path) -> None:
    def without_seconds(folder):
        return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(folder)]

    with np.load(run / "model.npz") as one, np.load(unbroken / "model.npz") as other:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert without_seconds(run) == without_seconds(unbroken)


@pytest.fixture(autouse=True)
def no_report(monkeypatch):
    """Drawing it takes longer than all else here."""
    monkeypatch.setattr("snnlearn.report.files.page", lambda _: "")


def test_metrics_are_a_line_for_each_epoch(finished):
    names = {"epoch", "seconds", "training_loss", "gradient_norm", "validation_loss", "validation_error"}
    assert all(set(line) == names for line in lines(finished))
    assert [line["epoch"] for line in lines(finished)] == list(range(1, 13))
    curves = np.array([line["training_loss"] for line in lines(finished)])
    assert curves.shape == (12, 2) and np.all(curves[-1] < 0.7 * curves[0]), "this training must learn something"
    assert len(np.unique(curves)) > 20, "each seed and epoch must be another"


def test_ctrl_c_and_a_kill(start, tiny, finished, tmp_path):
    """The first process is interrupted, and has compiled nothing that `finished` had not; the second one is killed."""
    run = tmp_path / "run"
    first = start("train", *tiny, "--out", run, first=OFTEN)
    wait_for_lines(first, run, 3)
    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=60)
    assert (first.returncode, err) == (130, f"interrupted; resume with snnlearn train --resume {run}\n")
    assert out.splitlines()[-1] == "misses: 0"
    stopped = lines(run)
    assert 3 <= len(stopped) < 12

    second = start("train", "--resume", run, first=OFTEN)
    wait_for_lines(second, run, len(stopped) + 1)
    time.sleep(random.uniform(0, 0.1))
    second.kill()
    second.communicate()
    assert not (run / "model.npz").exists()
    assert lines(run)[:2] == stopped[:2], "the second process must not have started anew"

    assert main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, finished)
    assert lines(run)[:2] == stopped[:2]


def wait_for_lines(process, run: Path, number: int) -> None:
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def interrupted(tiny, tmp_path_factory) -> Path:
    """A run that was interrupted while it wrote the line of epoch 6, and had saved nothing until then."""
    run = tmp_path_factory.mktemp("interrupted") / "run"
    add_metrics = RunFolder.add_metrics

    def interrupt(self, epoch):
        if epoch.number == 6:
            with (run / "metrics.jsonl").open("a") as file:
                file.write('{"epoch": 6, "sec')
            raise KeyboardInterrupt
        add_metrics(self, epoch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "_SECONDS_BETWEEN_CHECKPOINTS", 1e9)
        patch.setattr(RunFolder, "add_metrics", interrupt)
        assert main(["train", *tiny, "--out", str(run)]) == 130
    return run


def test_ctrl_c_saves_the_last_whole_epoch(interrupted, finished, tmp_path):
    with np.load(interrupted / "checkpoint.npz") as checkpoint:
        np.testing.assert_array_equal(checkpoint["epoch"], [5, 5])
    run = shutil.copytree(interrupted, tmp_path / "run")
    assert main(["train", "--resume", str(run)]) == 0
    assert_same_end(run, finished)
    seconds = [line["seconds"] for line in lines(run)]
    with (interrupted / "metrics.jsonl").open() as file:
        assert seconds[:5] == [json.loads(next(file))["seconds"] for _ in range(5)]
    # It is done, so that going on measures again and trains no more.
    assert main(["train", "--resume", str(run)]) == 0
    assert [line["seconds"] for line in lines(run)] == seconds


def test_a_stopped_run_is_of_use(interrupted, blobs, say):
    """Its best network so far decides and is judged, which is said; nothing in the folder changes."""
    before = {file.name: file.read_bytes() for file in interrupted.iterdir()}
    out = say("evaluate", interrupted)
    assert "The training is not finished: this is the best network of 5 of 12 epochs. Go on with" in out
    with np.load(interrupted / "checkpoint.npz") as checkpoint:
        errors = checkpoint["best_errors"].min()
    assert say("predict", interrupted, blobs).count("│") == 5 * 120
    with np.load(blobs) as arrays:
        assert errors < 12, "a network that has learned"
        assert f"of {len(arrays['y']) // 5})" in out
    assert {file.name: file.read_bytes() for file in interrupted.iterdir()} == before


def forget_epochs(run: Path) -> None:
    (run / "metrics.jsonl").write_text("")


def cut_checkpoint(run: Path) -> None:
    (run / "checkpoint.npz").write_bytes((run / "checkpoint.npz").read_bytes()[:-100])


def change_options(run: Path) -> None:
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("split_seed = 0", "split_seed = 1"))


def take_anothers_checkpoint(run: Path) -> None:
    with np.load(run / "checkpoint.npz") as checkpoint:
        np.savez(run / "checkpoint.npz", **{**checkpoint, "run": checkpoint["run"][::-1]})


def choose_an_epoch_to_come(run: Path) -> None:
    with np.load(run / "checkpoint.npz") as checkpoint:
        np.savez(run / "checkpoint.npz", **{**checkpoint, "best_epoch": np.full_like(checkpoint["best_epoch"], 99)})


def put_seeds_apart(run: Path) -> None:
    with np.load(run / "checkpoint.npz") as checkpoint:
        np.savez(run / "checkpoint.npz", **{**checkpoint, "epoch": checkpoint["epoch"] - np.int32([0, 1])})


def write_what_is_no_epoch(run: Path) -> None:
    first, *rest = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join([first, "3\n", *rest]))


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (forget_epochs, "has 0 of the 5 epochs"),
        (cut_checkpoint, "checkpoint.npz is damaged"),
        (change_options, "config.toml was changed after the run began"),
        (take_anothers_checkpoint, "checkpoint.npz does not belong to this run"),
        (choose_an_epoch_to_come, "has an impossible number of epochs"),
        (put_seeds_apart, "has an impossible number of epochs"),
        (write_what_is_no_epoch, "has 1 of the 5 epochs"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_harm_is_found(harm, expected, interrupted, tmp_path, capsys):
    run = shutil.copytree(interrupted, tmp_path / "run")
    harm(run)
    assert main(["train", "--resume", str(run)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and expected in err


def test_a_finished_run_trains_on(finished, tmp_path):
    """Its first epochs stay; the schedule is that of the longer training, and the options stay those it began with."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    config = (run / "config.toml").read_bytes()
    assert main(["train", "--resume", str(run), "--epochs", "15"]) == 0
    assert [line["epoch"] for line in lines(run)] == list(range(1, 16))
    assert lines(run)[:12] == lines(finished)
    assert RunFolder.open(run).options().epochs == 15 and (run / "config.toml").read_bytes() == config
    assert main(["train", "--resume", str(run), "--epochs", "14"]) == 2
    (run / "epochs").write_text("many")
    assert main(["train", "--resume", str(run)]) == 2


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ("--layers", "8")),
        ("train", ("--tau-mem", "0.02")),
        ("train", ("--encode", "rate")),
        ("train", ("--num-steps", "9")),
        ("compare", ("--bias",)),
        ("sweep", ("--vary", "xi=1,2")),
    ],
)
def test_what_a_network_to_start_from_replaces_is_refused(finished, blobs, tmp_path, capsys, command, options):
    given = ("--data", str(blobs), "--start", str(finished), *options, "--out", str(tmp_path / "out"))
    assert main([command, *given]) == 2
    option = "--xi" if command == "sweep" else options[0]
    assert capsys.readouterr().err.startswith(f"error: {option} has no effect with --start, whose network and code are")
    assert not (tmp_path / "out").exists()
