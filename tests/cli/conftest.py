"""What the tests of the command line share: a cache of compiled programs, data of a few numbers, one finished run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from matplotlib.figure import Figure

from snnlearn.cli import main


@pytest.fixture(scope="package", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """A cache folder that all starts share, in this process and in others; and JAX's promotion as users have it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch, jax.numpy_dtype_promotion("standard"):
        patch.setenv("XDG_CACHE_HOME", str(folder))
        # As in this process, so that others find its programs.
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", str(jax.config.read("jax_disable_most_optimizations")))
        reset_cache()  # Once other tests have compiled without a cache, JAX would not look for one again.
        yield folder
    jax.config.update("jax_compilation_cache_dir", None)
    reset_cache()


@pytest.fixture(scope="package")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz file: clouds of points around three corners of a cube."""
    y = np.arange(120) % 3
    x = np.eye(3)[y] + 0.1 * np.random.default_rng(0).standard_normal((120, 3))
    path = tmp_path_factory.mktemp("data") / "blobs.npz"
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture(scope="package")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of spike events, which differ in their units, in the layout of the Spiking Heidelberg Digits."""
    path = tmp_path_factory.mktemp("data") / "events.h5"
    with h5py.File(path, "w") as file:
        file["labels"] = np.arange(20) % 2
        times = file.create_dataset("spikes/times", 20, h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", 20, h5py.vlen_dtype(np.int32))
        for sample in range(20):
            times[sample], units[sample] = [3e-3, 9e-3], [sample % 2, 2]
    return path


@pytest.fixture(scope="package")
def tiny(blobs: Path) -> list[str]:
    """Options of a training that takes a moment, but learns."""
    options = "--layers 16 --num-steps 8 --epochs 12 --batch-size 6 --seeds 2 --xi 1 --learning-rate 0.1"
    return ["--data", str(blobs), *options.split()]


@pytest.fixture(scope="package")
def finished(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that is done; to be read, or copied."""
    # What earlier tests compiled would not come to the disk, where later processes look.
    jax.clear_caches()
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main(["train", *tiny, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def blank():
    """Figures are made, but not rendered, which takes longer than a short training: for tests of other things."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda figure, file, **_: file.write('<svg viewBox="0 0 1 1"></svg>'))
        yield


@pytest.fixture
def say(capsys):
    """A function that runs a command and returns what it printed."""

    def say(*arguments) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out

    return say


@pytest.fixture
def start():
    """A function that starts the program as another process, after some statements; what still runs is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str | os.PathLike, first: str = "") -> subprocess.Popen[str]:
        code = f"{first}\nimport sys\nfrom snnlearn.cli import main\nsys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()
