"""Options of the commands that show data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from snnlearn.cli.choices import CODES
from snnlearn.cli.options.kinds import Folder, OptionalCount, OptionalSeconds, Positive, Seconds, Seed, Within
from snnlearn.cli.options.shared import Codes, FileOptions


@dataclass(frozen=True, kw_only=True)
class Data(FileOptions):
    """Describe a data file before training on it, and print the command for training.

    Shapes, classes and their shares, ranges, lost or assumed values, samples that occur in two parts, event rates.
    """

    file: Annotated[str, tyro.conf.Positional] = "digits"
    """The file or folder, or the name of a data set, as in train --data."""
    data_folder: Folder = None
    """Folder with the IDX files of mnist or fashion-mnist, gzipped or not."""
    num_steps: OptionalCount = None
    """Events: the number of time steps."""
    dt: OptionalSeconds = None
    """Events: the time step, s."""
    out: Folder = None
    """A folder to create, for data.png: a picture of a few samples, the classes and the features."""


@dataclass(frozen=True, kw_only=True)
class Encode(Codes):
    """Show an image or signal as spikes in each code: what they cost, and what can be decoded from them."""

    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None
    """An image (.png, .jpg), array (.npy, .npz with x) or IDX file; with --series or as .csv, a signal [T] or [T, N].
    By default a handwritten digit."""
    series: bool = False
    """The array is a signal: its first axis is time."""
    index: Annotated[int, Within(0, 2**31 - 1)] = 0
    """The number of the sample in the file, from 0."""
    codes: Annotated[tuple[str, ...], CODES, tyro.conf.arg(metavar="CODE...")] = ()
    """The codes, named as in train --encode. By default all that turn such an input into spikes."""
    num_steps: OptionalCount = None
    """Time steps T: by default 50 for an image, 10 for each frame of a signal."""
    dt: Seconds = 1e-3
    """Time step, s."""
    max_rate: Positive = 200.0
    """Rate codes: firing rate of the value 1, Hz."""
    seed: Seed = 0
    """Random seed of the rate codes."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = field(default_factory=lambda: Path("codes.html"))
    """A picture (.html, .png or .svg), or the spikes themselves: .h5 in the layout of the Spiking Heidelberg Digits,
    .npz as structured events."""
