"""Recordings of event cameras: one in a file, a folder for each class, binned as spikes of pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snnlearn._errors import SnnlearnError
from snnlearn._memory import check_memory
from snnlearn.data.binning import check_some, check_window, losses, step_of, unit_of, window
from snnlearn.data.formats.class_folders import listing
from snnlearn.data.found import Asked, Form, Found

_LARGEST = 10_000  # pixels of a side


class Recording(NamedTuple):
    """Events of one recording.

    Args:
        t: Times in ticks, `[n]`.
        place: Polarity, row and column of each, or the unit alone, `[n, axes]`, int64.
    """

    t: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Recordings:
    """Recordings that are read on demand: a large set need not fit into memory.

    Args:
        sources: The path of each, or the recording itself.
        read: From a source to the recording.
    """

    sources: Sequence[Any]
    read: Callable[[Any], Recording]

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Recording]:
        return map(self.read, self.sources)


@dataclass(frozen=True)
class Camera:
    """A format of one recording in a file.

    Args:
        suffix: How the file's name ends.
        read: What the file holds.
        unit: The length of a tick, s; None if files differ.
        sizes: Known sensors, as (height, width); the first that holds all events is used, or else the size that they
            need.
    """

    suffix: str
    read: Callable[[Path], Recording]
    unit: float | None = None
    sizes: tuple[tuple[int, int], ...] = ()

    def found(self, path: Path, asked: Asked) -> Found:
        """A file, or a folder with a folder for each class."""
        listed = listing(path, (self.suffix,), alone=asked.form is not None)
        if self.unit is not None and asked.time_unit not in (None, self.unit):
            raise SnnlearnError(f"{path}: times in {self.suffix} files are in µs; give no time unit")
        asked = replace(asked, time_unit=self.unit or asked.time_unit)
        recordings = {part: Recordings(files.paths, self.read) for part, files in listed.items()}
        labels = {part: None if files.labels is None else np.array(files.labels) for part, files in listed.items()}
        return binned(recordings, labels, asked, str(path), self.sizes)


def binned(
    parts: dict[str, Recordings],
    labels: dict[str, np.ndarray | None],
    asked: Asked,
    where: str,
    sizes: tuple[tuple[int, int], ...] = (),
) -> Found:
    """Recordings as spikes, `[m, T, N]`: 1 where a pixel has an event of that polarity in that step.

    A unit's number is (polarity · height + row) · width + column.

    Args:
        parts: The recordings of "train" and perhaps "validation" and "test".
        labels: The labels of each part; None if it has none.
        asked: Unit, steps and their length; or the form that a network takes.
        where: The file, for messages.
        sizes: Known sensors.

    Raises:
        SnnlearnError: There are no events, none in the steps, or they do not fit the network's grid.
    """
    check_window(asked.num_steps, None, asked.dt)
    notes: tuple[str, ...] = ()
    latest, greatest = _extent(list(parts.values()), where)
    form = asked.form
    if form is not None and form.shape and form.dt is not None:
        unit, num_steps, dt = asked.time_unit or form.time_unit or 1e-6, form.shape[0], form.dt
        grid = form.grid
        if len(grid) != len(greatest) or any(g >= size for g, size in zip(greatest, grid, strict=True)):
            raise SnnlearnError(
                f"{where} has an event at {greatest} (of {_AXES[len(greatest)]}); the network takes a grid of {grid}"
            )
    else:
        unit, notes = unit_of(latest, asked.time_unit, where)
        num_steps, dt = window(latest, unit, asked.num_steps, None, asked.dt)
        grid = _grid(greatest, sizes)
        form = Form(grid=grid, time_unit=unit, dt=dt)
    m = sum(map(len, parts.values()))
    advice = "give fewer steps (num-steps, dt) or recordings"
    size = f"{where}, {m:,} recordings × {num_steps:,} steps × {np.prod(grid):,} units,"
    check_memory(m * num_steps * int(np.prod(grid)), size, advice)
    counts, found = [], {}
    for part, recordings in parts.items():
        x = np.zeros((len(recordings), num_steps, int(np.prod(grid))), np.uint8)
        num_events = late = 0
        for row, (t, place) in zip(x, recordings, strict=True):
            step = step_of(t, dt / unit)
            kept = step < num_steps
            row[step[kept].astype(np.intp), np.ravel_multi_index(tuple(place[kept].T), grid)] = 1
            num_events, late = num_events + t.size, late + int((~kept).sum())
        check_some(where, num_events, late, num_steps, dt, float(latest) * unit)
        counts.append((num_events, late, num_events - late - int(x.sum(dtype=np.int64))))
        found[part] = Found(x, labels[part], form=form)
    return replace(
        found["train"],
        validation=found.get("validation"),
        test=found.get("test"),
        notes=(*notes, *losses(counts)),
    )


_AXES = {1: "units", 3: "polarity, row and column"}


def _extent(parts: list[Recordings], where: str) -> tuple[np.ndarray, tuple[int, ...]]:
    """The greatest time, in its type, and the greatest place along each axis."""
    latest, greatest = None, None
    for t, place in chain.from_iterable(parts):
        if not t.size:
            continue
        if not (t.min() >= 0 and t.max() < np.inf):  # NaN is neither
            raise SnnlearnError(f"{where} has times that are negative or not finite; expected times from 0")
        if place.min() < 0:
            raise SnnlearnError(f"{where} has an event at a negative place; expected columns and rows from 0")
        newest, furthest = np.asarray(t.max()), place.max(axis=0)
        latest = newest if latest is None or newest > latest else latest
        if greatest is not None and len(greatest) != len(furthest):
            raise SnnlearnError(f"{where} has recordings with and without rows; expected only one kind")
        greatest = furthest if greatest is None else np.maximum(greatest, furthest)
    if latest is None or greatest is None:
        raise SnnlearnError(f"{where} has no events; expected recordings with some")
    if greatest.max() >= _LARGEST**2 or (len(greatest) == 3 and greatest[1:].max() >= _LARGEST):
        raise SnnlearnError(
            f"{where} has an event at {tuple(greatest.tolist())}, outside all known sensors; correct it"
        )
    return latest, tuple(map(int, greatest))


def _grid(greatest: tuple[int, ...], sizes: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    if len(greatest) != 3:
        return tuple(g + 1 for g in greatest)
    known = next(((h, w) for h, w in sizes if greatest[1] < h and greatest[2] < w), None)
    return (2, *(known or (greatest[1] + 1, greatest[2] + 1)))


def pixels(t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray, where: str) -> Recording:
    """Events of pixels; those outside any sensor are refused."""
    p = np.asarray(p).astype(np.int64)
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        if p.min() == -1 and np.isin(p, (-1, 1)).all():
            p = (p + 1) // 2
        else:
            raise SnnlearnError(f"{where} has polarities from {p.min()} to {p.max()}; expected 0 and 1, or −1 and 1")
    place = np.stack([p, np.asarray(y).astype(np.int64), np.asarray(x).astype(np.int64)], axis=1)
    return Recording(np.asarray(t), place)
