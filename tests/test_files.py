"""A file is written whole or not at all."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from snnlearn import SnnlearnError, _files
from snnlearn._files import replacing, write_atomically, write_json
from snnlearn.data import write_events


def test_the_old_content_or_the_new(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    write_json(path, {"a": 1})
    assert path.read_bytes() == b'{\n "a": 1\n}'

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SnnlearnError, match=r"file cannot be written \(no space left on device\); free some space"):
        write_atomically(path, b"newer")
    assert path.read_bytes() == b'{\n "a": 1\n}' and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_two_writers_do_not_meet(tmp_path):
    with replacing(tmp_path / "file") as one, replacing(tmp_path / "file") as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "file").read_text() == "one"


def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SnnlearnError, match="folder is not a file"):
        write_atomically(tmp_path / "folder", b"")
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"


def test_leftovers_of_a_kill_are_removed(tmp_path):
    (tmp_path / "sizes").mkdir()
    with (
        pytest.raises(KeyboardInterrupt),
        replacing(tmp_path / "sizes" / "a.json") as new,
        pytest.MonkeyPatch.context() as patch,
    ):
        new.write_text("half")
        patch.setattr(type(new), "unlink", lambda *_, **__: None)  # as if the process were gone
        raise KeyboardInterrupt
    _files.remove_leftovers(tmp_path)
    assert list((tmp_path / "sizes").iterdir()) == []


def test_events_survive_a_failure(tmp_path):
    """An older file stays whole when the new one cannot be finished."""
    path = write_events(tmp_path / "e.h5", [np.eye(3)], [0])
    with pytest.raises((TypeError, ValueError)):
        write_events(path, [np.eye(3), "no spikes"], [0, 1])
    with h5py.File(path) as file:
        assert len(file["labels"]) == 1  # pyright: ignore[reportArgumentType]
    assert [file.name for file in tmp_path.iterdir()] == ["e.h5"]
