"""Spikes as lists of events: the structured arrays of the tonic library, and files that `events` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._files import replacing


def structured_events(spikes: Shaped[np.ndarray, "T *shape"], dt: float, *, polarity: bool = False) -> np.ndarray:
    """Spikes as a list of events in the order of time, in the form of the tonic library.

    Args:
        spikes: 0 or 1, `[T, N]` of units in a row or `[T, H, W]` of pixels; with one more axis at the end for `p`.
        dt: time step, s.
        polarity: whether the last axis is `p`: off and on, or the neuron of a population. Without it p is 1.

    Returns:
        A structured array, one entry for each spike: the column or unit `x`, the row `y` of pixels, the start `t` of
        the step in µs, and `p`.

    Raises:
        SnnlearnError: The spikes have another number of axes, or are not 0 or 1.

    >>> spikes = np.zeros((4, 2, 3))
    >>> spikes[1, 0, 2] = spikes[3, 1, 0] = 1
    >>> structured_events(spikes, dt=1e-3).tolist()  # x, y, t, p
    [(2, 0, 1000, 1), (0, 1, 3000, 1)]

    Source: Lenz et al. 2021, Tonic, doi:10.5281/zenodo.5079802, for the names and the microseconds.
    """
    spikes = np.asarray(spikes)
    axes = spikes.ndim - 1 - polarity
    if axes not in (1, 2):
        raise SnnlearnError(
            f"spikes have shape {spikes.shape}; give [T, N] or [T, H, W]{', and an axis for p' if polarity else ''}"
        )
    if not np.isin(spikes, (0, 1)).all():
        raise SnnlearnError(f"spikes reach from {spikes.min()} to {spikes.max()}; give 0 and 1")
    step, *place = np.nonzero(spikes)
    names = ("y", "x")[2 - axes :]
    dtype = [(name, np.int32) for name in sorted(names)] + [("t", np.int64), ("p", np.int32)]
    found = np.empty(step.size, dtype)
    found["t"] = np.round(1e6 * dt * step)
    found["p"] = place[-1] if polarity else 1
    for name, index in zip(names, place, strict=False):
        found[name] = index
    return found


def write_events(
    path: str | os.PathLike[str],
    trains: Sequence[np.ndarray],
    labels: Sequence[int] | np.ndarray,
    *,
    dt: float | Sequence[float] = 1e-3,
    class_names: Sequence[str] = (),
) -> Path:
    """Write spikes to an HDF5 file in the layout of the Spiking Heidelberg Digits, which `events` reads.

    Args:
        path: The file; an older one is replaced.
        trains: The spikes of each sample, 0 or 1, `[T, N]`; samples may differ in steps and units.
        labels: The class of each sample.
        dt: Time step of the samples in s, or of each. A spike in step t has the time t · dt.
        class_names: A name for each class, under `extra/keys`.

    Returns:
        The path.

    Raises:
        SnnlearnError: Labels or time steps are not as many as samples, there is none, or a value is not 0 or 1.

    >>> import tempfile
    >>> from snnlearn.data import events
    >>> file = write_events(Path(tempfile.mkdtemp(), "two.h5"), 4 * [np.eye(3), 1 - np.eye(3)], 4 * [0, 1])
    >>> np.array_equal(events(file, num_steps=3, duration=3e-3).test.x.sum((1, 2)), [3, 6])
    True
    """
    import h5py  # a slow import that only these files need

    steps = np.broadcast_to(np.asarray(dt, float), len(trains)) if np.ndim(dt) == 0 else np.asarray(dt, float)
    if not 0 < len(trains) == len(labels) == len(steps):
        raise SnnlearnError(
            f"write_events got {len(trains)} samples, {len(labels)} labels and {len(steps)} time steps; give the same "
            "number of each, and at least one"
        )
    if not all(np.isin(spikes, (0, 1)).all() for spikes in trains):
        raise SnnlearnError("write_events got values that are not 0 or 1; give spikes")
    with replacing(path) as new, h5py.File(new, "w") as file:
        file["labels"] = np.asarray(labels, np.int32)
        times = file.create_dataset("spikes/times", len(trains), h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", len(trains), h5py.vlen_dtype(np.int32))
        for sample, (spikes, step_length) in enumerate(zip(trains, steps, strict=True)):
            step, unit = np.nonzero(spikes)
            times[sample], units[sample] = step * step_length, unit
        if class_names:
            file["extra/keys"] = list(class_names)
    return Path(path)
