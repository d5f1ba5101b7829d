"""Options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from snnlearn.cli.choices import CODES, DATA, ON_TOP
from snnlearn.cli.options.kinds import (
    Checked,
    Count,
    File,
    Folder,
    OptionalCount,
    OptionalSeconds,
    OptionalShare,
    Positive,
    Role,
    Scaling,
    Seconds,
    Seed,
    Share,
    Text,
)


@dataclass(frozen=True, kw_only=True)
class Codes(Checked):
    """The parameters of the codes."""

    max_rate: Positive = 500.0
    """Rate codes: firing rate of the value 1, Hz."""
    latency_tau: Seconds = 10e-3
    """Latency code: time constant of the charging membrane, s."""
    latency_threshold: OptionalShare = None
    """Values up to this never fire: by default 0.2, for linear-latency and rank-order 0, in a population 0.1."""
    num_phases: Count = 8
    """Phase code: binary digits of a cycle."""
    max_spikes: Count = 5
    """Burst code: spikes of the value 1."""
    population: Count = 8
    """Population code: neurons for each value."""
    population_code: Annotated[str, ON_TOP, tyro.conf.arg(metavar=ON_TOP.metavar)] = "linear-latency"
    """Population code: how the neurons' activations become spikes."""
    delta_threshold: Positive = 0.1
    """Delta codes: the change that makes a spike, as a share of the data's range."""


@dataclass(frozen=True, kw_only=True)
class Reader(Checked):
    """Commands that read a folder or a configuration, which may come from someone else."""

    allow: Annotated[tuple[str, ...], Role.PLACE] = ()
    """Classes, as module:Class, that a run or a configuration may use besides the library's; using one executes its
    module."""


TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Units of the times of events, s."""


@dataclass(frozen=True, kw_only=True)
class FileOptions(Reader):
    """How to read a data file, where it does not say so itself, and how to split it."""

    label: Annotated[Text, Role.TASK] = None
    """Tables: the column of the classes, by name or number (from 1). By default the one called label, class, target or
    y, or else the last if it holds classes. Several, separated by commas, are labels or values to learn at once."""
    task: Annotated[
        Literal["classification", "regression", "multi-label"] | None,
        Role.TASK,
        tyro.conf.arg(metavar="{classification,regression,multi-label}"),
    ] = None
    """What to learn: one of several classes, real values, or which of several labels hold. By default as the labels
    look: many different numbers are values, several columns of 0 and 1 labels, and all else classes."""
    group: Annotated[Text, Role.TASK] = None
    """Tables: a column, such as the person, whose rows with the same value stay in the same part of the data."""
    time_unit: Annotated[Literal["s", "ms", "us", "ns"] | None, Role.TASK, tyro.conf.arg(metavar="{s,ms,us,ns}")] = None
    """Events: the unit of time. By default it is inferred from the type and range of the times."""
    validation: Annotated[Share, Role.TASK] = 0.1
    """Share of the data that selects the epoch; taken from the training set if the data have a separate test set."""
    test: Annotated[Share, Role.TASK] = 0.2
    """Share of the data that estimates the risk, if the data have no separate test set."""
    split_seed: Annotated[Seed, Role.TASK] = 0
    """Random seed of the split, and of synthetic data."""


@dataclass(frozen=True, kw_only=True)
class DataOptions(FileOptions):
    """Where a training is stored, and what it learns from."""

    config: Annotated[File, Role.PLACE] = None
    """A TOML file of options, such as a run's config.toml. Options on the command line take precedence."""
    resume: Annotated[Folder, Role.PLACE] = None
    """A run folder to resume. All options are taken from it, except --epochs, to train for longer."""
    out: Annotated[Folder, Role.PLACE] = None
    """The run folder to create. By default runs/DATA, with a number added if that exists."""
    distributed: Annotated[bool, Role.PLACE] = False
    """Split each batch across all devices: those of this process and of the others that run the same command, as set by
    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, Slurm or Open MPI. The first process writes all
    files."""

    data: Annotated[str, DATA, Role.TASK, tyro.conf.arg(metavar=DATA.metavar)] = "digits"
    """digits, mnist, fashion-mnist, yin-yang, randman, spike-xor, mackey-glass, narma, copy, adding, mnist-1d,
    delayed-xor, store-recall, evidence-accumulation; or a file or folder: a table (.csv, .parquet, .arff), time series
    (.ts), arrays (.npz), IDX, images, or events (.h5, .bin, .aedat). snnlearn data FILE describes it."""
    data_folder: Annotated[Folder, Role.TASK] = None
    """Folder with the IDX files of mnist or fashion-mnist, gzipped or not."""

    horizon: Annotated[OptionalCount, Role.TASK] = None
    """How far ahead mackey-glass is predicted, in its units of time: by default 6."""
    delay: Annotated[OptionalCount, Role.TASK] = None
    """How many steps back the answer lies: after copy's pattern (by default 8), after each bit of delayed-xor (50),
    after the last cue of evidence-accumulation (1050), or at most, as the length of adding (500); of store-recall, how
    many symbols of 200 steps at most (11)."""
    sequence: Annotated[
        Literal["rows", "pixels", "permuted"] | None, Role.TASK, tyro.conf.arg(metavar="{rows,pixels,permuted}")
    ] = None
    """Images as time series: a row or a pixel in each step, or pixels in an order that is the same for all (by
    --split-seed)."""

    encode: Annotated[str | None, CODES, tyro.conf.arg(metavar=CODES.metavar)] = None
    """How values become spikes; data that are spikes already take none. The default is current."""
    scale: Scaling = None
    """How values are scaled before they are encoded, as learned on the training sample: not at all, all by their common
    range, or each feature by its range, its mean and standard deviation, its mean and the standard deviation of all
    (centred), or its 1 % and 99 % quantiles. By default images are centred, tables and series by mean and standard
    deviation, or by range for codes of [0, 1], in which pixels share theirs."""
    series: bool = False
    """The first axis of a sample is time: each frame is encoded by itself, one after the other; delta codes need it.
    Of a time series (.ts), if neither this nor --encode is given, validation says whether frames or the whole at once
    serve better."""
    num_steps: OptionalCount = None
    """Time steps T of a sample, or of each frame of a series: by default 20, or 50 where values are predicted; for
    recorded events, as many as cover the whole recording."""
    dt: OptionalSeconds = None
    """Time step, s: by default 1e-3; for recorded events with --num-steps, long enough to cover the whole recording."""
