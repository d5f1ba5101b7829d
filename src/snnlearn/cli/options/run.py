"""Options of the commands that read a run's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from snnlearn.cli.choices import CHIPS, RULES
from snnlearn.cli.options.kinds import Count, File, Folder, OptionalShare, Positive, Seed, Share, Within
from snnlearn.cli.options.shared import Reader


@dataclass(frozen=True, kw_only=True)
class Evaluate(Reader):
    """Estimate a trained network's risk on data that it was neither trained nor selected on."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data: File = None
    """A file or folder with labels, in any format that train accepts; all of it is used. By default the run's test
    sample."""


@dataclass(frozen=True, kw_only=True)
class Predict(Reader):
    """Classify the samples in files."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE...")] = ()
    """Files in any format that train accepts, with or without labels, images (.png, .jpg) or arrays (.npy), of the
    shape that the network was trained on."""
    out: File = None
    """A file for the decisions, with the scores of all classes: .csv, .json or .npz."""


@dataclass(frozen=True, kw_only=True)
class Stream(Reader):
    """Run a trained network on lines of numbers as they come, or let it learn from them, in constant memory.

    Reads lines of numbers, separated by commas, semicolons, tabs or spaces, and writes a line for each at once: the
    class and the scores of all classes, the predicted values, or the probability of each label. A line is a frame of a
    signal, or the input of one time step if the network was not trained on a series.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder, or a model file (.npz)."""
    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None
    """Where the lines come from: a text file (such as .csv, whose first line may name the columns), a FIFO, or an array
    (.npy), [lines, numbers]. By default, or for -, the standard input."""
    state: File = None
    """A file with all that the network remembers: if it exists, the stream goes on from it exactly. It is written at
    the end, on ctrl-C, on an error in a line, and every minute."""
    learn: Annotated[str | None, RULES, tyro.conf.arg(metavar="RULE")] = None
    """Learn on the way by an online rule: eprop, eprop-random, ottt, rtrl, diagonal-rtrl or truncated-bptt. The last
    column of a line, or as many as there are values or labels, is then what is to be predicted, and each prediction is
    made before it is seen."""
    learning_rate: Positive = 1e-3
    """Learning: step size of Adam, relative to the weights' size at the start."""
    steps_per_update: Count = 32
    """Learning: steps after which the weights change."""
    confidence: Share = 0.95
    """Learning: confidence of the interval of the risk."""


@dataclass(frozen=True, kw_only=True)
class Risk(Reader):
    """State what is known about one trained network: risk, gap, calibration, bounds.

    Prints the numbers; writes risk.json and risk.html into the run's folder.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data: File = None
    """A file or folder with labels, in any format that train accepts, to use instead of the run's test sample."""
    confidence: Share = 0.95
    """Confidence of the intervals, and 1 − δ of the bounds."""
    bits: Annotated[tuple[int, ...], Within(1, 24)] = (2, 4, 6, 8)
    """Finite-class bounds: the bits per weight to which the trained network is rounded."""
    out: Folder = None
    """Folder for risk.json and risk.html. By default the run folder."""


@dataclass(frozen=True, kw_only=True)
class Deploy(Reader):
    """Deploy a trained network on many chips of a kind: its risk there, the yield, and what each non-ideality costs.

    Prints the numbers; writes deploy-CHIP.json and deploy-CHIP.html into the run's folder.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder, also that of a conversion."""
    chip: Annotated[str, CHIPS, tyro.conf.arg(metavar=CHIPS.metavar)] = "ideal"
    """The kind of chip."""
    chips: Annotated[int, Within(2, 1_000_000)] = 200
    """How many chips are drawn; one alone says nothing about others."""
    mismatch: Annotated[float | None, Within(0.0, 10.0), tyro.conf.arg(metavar="FLOAT")] = None
    """Coefficient of variation of every parameter of every neuron. By default that of the kind of chip."""
    under: OptionalShare = None
    """The error that a good chip may have; the yield is the share of good ones. By default two points above that as
    designed."""
    data: File = None
    """A file or folder with labels, in any format that train accepts, to use instead of the run's test sample."""
    chip_seed: Seed = 0
    """Random seed of the chips: the same seed, the same chips."""
    confidence: Share = 0.95
    """Confidence of the intervals."""
    out: Folder = None
    """Folder for the two files. By default the run folder."""
