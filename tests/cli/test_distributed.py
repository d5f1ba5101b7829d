"""Training on several devices, in one process and in many, which talk over the loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from snnlearn.cli import main, processes

# In float64 rounding does not grow into other spikes.
OPTIONS = ("--layers", "16", "--num-steps", "10", "--rule", "eprop")


def start(*arguments: str, processes: int = 1, devices: int = 1) -> list[subprocess.Popen]:
    """Each process of `snnlearn train`, the first one first."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"JAX_ENABLE_X64": "1", "JAX_NUM_CPU_DEVICES": str(devices)}
    names = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(processes), "JAX_PROCESS_ID": "{process}"}
    if processes > 1:
        environment |= names
    command = [sys.executable, "-m", "snnlearn", "train", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    def of(process: int) -> subprocess.Popen:
        own = {name: value.format(process=process) for name, value in names.items() if name in environment}
        return subprocess.Popen([a.format(process=process) for a in command], env=environment | own, **pipes)

    return [of(process) for process in range(processes)]


def end(started: list[subprocess.Popen]) -> list[str]:
    """What each process wrote to its standard error."""
    return [process.communicate(timeout=240)[1] for process in started]


def losses(run: Path) -> np.ndarray:
    """Training and validation loss of each epoch."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return np.array([[*line["training_loss"], *line["validation_loss"]] for line in lines])


@pytest.fixture(scope="module")
def alone(blank, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The losses of one device."""
    run = tmp_path_factory.mktemp("alone") / "run"
    with jax.enable_x64(True):
        assert main(["train", *OPTIONS, "--epochs", "3", "--out", str(run)]) == 0
    return losses(run)


def test_many_devices_do_what_one_does(alone, tmp_path):
    run = tmp_path / "run"
    started = start(*OPTIONS, "--epochs", "3", "--distributed", "--out", str(run), processes=2, devices=2)
    end(started)
    assert [process.returncode for process in started] == [0, 0]
    np.testing.assert_allclose(losses(run), alone, rtol=1e-9)
    assert (run / "report.html").exists()


def test_a_lost_process_leaves_a_run_to_go_on_with_on_fewer_devices(tmp_path):
    run = tmp_path / "run"
    started = start(*OPTIONS, "--epochs", "60", "--distributed", "--out", str(run), processes=2)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (run / "metrics.jsonl").exists():
        time.sleep(0.05)
    started[1].kill()
    errors = end(started)
    assert started[0].returncode == 2
    assert f"another process was lost in epoch {len(losses(run)) + 1}" in errors[0]
    assert f"--resume {run}" in errors[0]

    # What the first process had done is saved, though its last checkpoint was made before.
    before = losses(run)
    end(start("--resume", str(run)))
    np.testing.assert_array_equal(losses(run)[: len(before)], before)
    assert len(losses(run)) == 60


def test_processes_with_different_data_are_refused(tmp_path):
    options = (*OPTIONS, "--epochs", "3", "--distributed", "--split-seed", "{process}")
    started = start(*options, "--out", str(tmp_path / "run"), processes=2)
    assert all("data, digits, of process 1 differ from those of process 0" in error for error in end(started))
    assert [process.returncode for process in started] == [2, 2]
    assert not (tmp_path / "run").exists()


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    (error,) = end(start("--distributed", "--batch-size", "10", "--out", str(tmp_path / "run"), devices=3))
    assert "3 devices cannot share a batch_size of 10 equally; give a multiple of 3" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("address", "process"), [("127.0.0.1:{taken}", 0), ("127.0.0.1:{free}", 1), ("nowhere", 0)])
def test_an_address_that_cannot_be_used_is_refused(address, process, monkeypatch, capsys):
    monkeypatch.setattr(processes, "_SECONDS_TO_START", 0.3)
    with socket.socket() as taken, socket.socket() as free:
        taken.bind(("", 0))
        taken.listen()
        free.bind(("127.0.0.1", 0))  # and does not listen
        ports = {"taken": taken.getsockname()[1], "free": free.getsockname()[1]}
        monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", address.format(**ports))
        monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
        monkeypatch.setenv("JAX_PROCESS_ID", str(process))
        assert main(["train", "--distributed"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "a free port on it" in err


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"JAX_NUM_PROCESSES": "2"}, "set, but not JAX_COORDINATOR_ADDRESS and JAX_PROCESS_ID"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"}, "from 0 to n - 1"),
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "two", "JAX_PROCESS_ID": "0"}, "is two"),
    ],
)
def test_an_environment_that_names_processes_in_part_is_refused(environment, expected, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "--distributed"]) == 2
    assert expected in capsys.readouterr().err
