"""One process writes a folder at a time; what a kill leaves is gone on with, or begun anew."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest

from snnlearn import SnnlearnError
from snnlearn.cli import main
from snnlearn.cli.folders import LOCK, locked, new_folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_folder_is_a_new_one(here):
    for name in ("digits", "digits-2", "mine"):
        (here / "runs" / name).mkdir(parents=True)
    named = {(None, "digits"): "runs/digits-3", (None, "a/mine.npz"): "runs/mine-2", (None, "."): f"runs/{here.name}"}
    named |= {(Path("runs/mine"), ""): "runs/mine", (Path("a/b/c"), ""): "a/b/c"}
    for (asked, name), expected in named.items():
        with new_folder(asked, name) as path:
            assert path == Path(expected) and path.is_dir()
            with pytest.raises(SnnlearnError, match="is being written by another process"), new_folder(path, ""):
                pass
            (path / "result").touch()
        assert [file.name for file in path.iterdir()] == ["result"]


def test_what_is_not_begun_leaves_nothing(here):
    with pytest.raises(SnnlearnError, match="no"), new_folder(None, "digits"):
        raise SnnlearnError("no")
    with pytest.raises(SnnlearnError, match="no"), new_folder(here / "a" / "b", ""):
        raise SnnlearnError("no")
    assert list(here.iterdir()) == []


def test_what_is_left_half_written_is_free_again_and_nothing_else_is(here):
    with pytest.raises(KeyboardInterrupt), new_folder(here / "a", ""):
        (here / "a" / "config.toml").touch()
        raise KeyboardInterrupt
    assert (here / "a" / LOCK).exists()
    with pytest.raises(KeyboardInterrupt), new_folder(here / "a", ""):
        (here / "a" / "run.json").touch()  # now it is a run
        raise KeyboardInterrupt
    with pytest.raises(SnnlearnError, match="exists already; give another folder, or go on with --resume"):
        new_folder(here / "a", "").__enter__()
    (here / "mine").mkdir()
    (here / "mine" / "config.toml").write_text("epochs = 3")
    with pytest.raises(SnnlearnError, match=r"exists already; give another folder$"):
        new_folder(here / "mine", "").__enter__()
    assert [file.name for file in (here / "mine").iterdir()] == ["config.toml"]


def test_the_kernel_lets_go_of_a_killed_process(here):
    context = multiprocessing.get_context("spawn")
    (here / "run").mkdir()
    ready = context.Event()
    process = context.Process(target=_hold, args=(here / "run", ready), daemon=True)
    process.start()
    assert ready.wait(60)
    with pytest.raises(SnnlearnError, match="is being written by another process"):
        locked(here / "run").__enter__()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with locked(here / "run"):
        pass
    assert list((here / "run").iterdir()) == []


def _hold(folder: Path, ready) -> None:
    with locked(folder):
        ready.set()
        signal.pause()


def test_processes_side_by_side_get_a_folder_each(here):
    """Of those that ask for any folder, each gets its own; of those that ask for the same one, one gets it."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        got = pool.map(_claim, [None] * 40, chunksize=1)
        assert sorted(got) == sorted(f"runs/digits{'' if n == 1 else f'-{n}'}" for n in range(1, 41))
        assert pool.map(_claim, [Path("same")] * 40, chunksize=1).count("same") == 1


def _claim(path: Path | None) -> str | None:
    try:
        with new_folder(path, "digits") as folder:
            (folder / "run.json").write_text("mine")
            return str(folder)
    except SnnlearnError:
        return None


def test_two_resumes_of_one_run(finished, capsys):
    with locked(finished):
        for command in (["train", "--resume", str(finished)], ["risk", str(finished)]):
            assert main(command) == 2
            assert capsys.readouterr().err == (
                f"error: {finished} is being written by another process; wait until it ends, or stop it\n"
            )
    assert not (finished / LOCK).exists()


WRITTEN = ("config.toml", "seen.npz", "run.json", "metrics.jsonl", "checkpoint.npz", "model.npz", "summary.json")


@pytest.mark.parametrize("count", range(len(WRITTEN) + 1))
def test_a_kill_between_two_files_leaves_a_run_or_a_folder_for_another(count, finished, tmp_path, monkeypatch):
    """With the lock and half of the next file, as the kill leaves them."""
    monkeypatch.setattr("snnlearn.report.files.page", lambda _: "")
    run = tmp_path / "run"
    run.mkdir()
    (run / LOCK).touch()
    for name in WRITTEN[:count]:
        shutil.copy(finished / name, run)
    (run / ".next.0123456789abcdef.tmp").touch()
    if count <= WRITTEN.index("run.json"):
        with new_folder(run, ""):
            assert {file.name for file in run.iterdir()} == {LOCK, *WRITTEN[:count]}
        return
    with pytest.raises(SnnlearnError, match="go on with --resume"), new_folder(run, ""):
        pass
    assert main(["train", "--resume", str(run)]) == 0
    assert {file.name for file in run.iterdir()} == {*WRITTEN, "report.html"}
    assert (run / "model.npz").read_bytes() == (finished / "model.npz").read_bytes()
