"""Small valid files of every format that the command line reads, for the trial to spoil."""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

SMALL = ("--data", "blobs.npz", "--layers", "4", "--num-steps", "4", "--batch-size", "16")
TINY = (*SMALL, "--epochs", "2", "--learning-rate", "0.1")


def write_good_inputs(folder: Path) -> None:
    """Data of each format, options, a finished run, one that has half its epochs, and a sweep."""
    from matplotlib.image import imsave

    from snnlearn.algorithms import GradientDescent
    from snnlearn.cli import main

    folder.mkdir(parents=True)
    y = np.arange(60) % 3
    x = np.eye(3)[y] + 0.1 * np.random.default_rng(0).standard_normal((60, 3))
    np.savez(folder / "blobs.npz", x=x, y=y)
    np.savez(folder / "spikes.npz", x=(x[:, None] > [[0.2], [0.5], [0.8]]).astype(np.uint8), y=y, dt=1e-3)
    np.save(folder / "x.npy", x[:2])
    np.savez(folder / "x.npz", x=x[:2])
    (folder / "signal.csv").write_text("left,right\n0.0,1.0\n0.5,0.5\n1.0,0.25\n")
    imsave(folder / "image.png", np.random.default_rng(0).random((4, 4)))
    write_events(folder / "events.h5")
    _write_models(folder)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(12, 3, 3))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(12))
    (folder / "options.toml").write_text(
        'data = "blobs.npz"\nlayers = ["4"]\nnum_steps = 4\nepochs = 1\nbatch_size = 16\nbeta = 0.2\n'
        'neuron = "alif"\nrate_band = [1.0, 50.0]\n'
    )
    with contextlib.chdir(folder), contextlib.redirect_stdout(open(os.devnull, "w")):
        assert main(["train", *TINY, "--out", "run"]) == 0
        with _stopping_in_epoch(GradientDescent, 2):
            assert main(["train", *TINY, "--out", "half"]) == 130
        assert main(["sweep", *TINY, "--seeds", "2", "--vary", "xi=1,2", "--sizes", "--out", "sweep"]) == 0
        Path("sweep/configurations/001.json").unlink()


def _write_models(folder: Path) -> None:
    """Files of other software, and data that fit some of them."""
    made = Path(__file__).parents[1] / "conversion" / "files"
    names = {"classifier.skops": "mlp.skops", "torch.onnx": "model.onnx", "plain.safetensors": "weights.safetensors"}
    for name, new in (names | {"keras.keras": "model.keras", "keras.h5": "model.h5"}).items():
        (folder / new).write_bytes((made / name).read_bytes())
    with np.load(made / "scikit_learn.npz") as file:
        np.savez(folder / "mlp.npz", x=file["x"], y=np.unique(file["classes"], return_inverse=True)[1])
    with np.load(made / "torch.npz") as file:
        np.savez(folder / "images.npz", x=file["many"], y=file["classes"])


@contextlib.contextmanager
def _stopping_in_epoch(algorithm: type, last: int) -> Iterator[None]:
    """As ctrl-C does."""
    epoch, epochs = algorithm.epoch, itertools.count(1)

    def stop(self, encoder, training, task):
        if next(epochs) == last:
            raise KeyboardInterrupt
        return epoch(self, encoder, training, task)

    algorithm.epoch = stop
    try:
        yield
    finally:
        algorithm.epoch = epoch


def write_events(path: Path) -> None:
    """Events of two classes, as the Spiking Heidelberg Digits have them."""
    with h5py.File(path, "w") as file:
        file["labels"] = np.arange(20) % 2
        times = file.create_dataset("spikes/times", 20, h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", 20, h5py.vlen_dtype(np.int32))
        for sample in range(20):
            times[sample], units[sample] = [1e-3, 3e-3], [sample % 2, 2]


def idx(*shape: int, kind: int = 8) -> bytes:
    """An IDX file of bytes 0, 1, 2, 0, …"""
    values = np.arange(np.prod(shape)) % 3
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values.astype(np.uint8).tobytes()
