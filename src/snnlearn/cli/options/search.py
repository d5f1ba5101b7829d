"""Options of the commands that train many configurations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.options.kinds import Count, Folder, Within
from snnlearn.cli.options.train import Train


@dataclass(frozen=True, kw_only=True)
class Sweep(Train):
    """Train a grid of configurations, several seeds of each side by side, and see which aspects matter.

    Each configuration is saved when it is finished; --resume continues an interrupted sweep. For the base
    configuration, given by the options that --vary does not name, the size of the training sample is varied and a power
    law fitted.
    """

    distributed: tyro.conf.Suppress[bool] = False
    baseline: tyro.conf.Suppress[bool] = False
    resume: Folder = None
    """A sweep's folder to resume. All options are taken from it."""
    out: Folder = None
    """The folder to create. By default runs/sweep-DATA, with a number added if that exists."""
    vary: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=A,B,...")] = (
        "layers=32,128,64-64",
        "num-steps=10,20",
        "tau-mem=5e-3,20e-3",
        "recurrent=false,true",
        "encode=current,latency",
    )
    """What to vary: options of train with their values, such as rule=bptt,eprop; the grid is their product. Join hidden
    layers by '-'."""
    sizes: Annotated[tuple[int, ...], Within(2, 1_000_000_000), tyro.conf.arg(metavar="INT...")] = (80, 160, 320, 640)
    """Sizes of the training sample on which the base configuration is also trained, besides the whole; the number of
    updates stays the same."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("64",)
    """Hidden layers, see train."""
    epochs: Count = 12
    """Passes over the training sample."""
    seeds: Annotated[int, Within(1, 10_000)] = 5
    """Trainings of each configuration, side by side, from different random seeds."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if self.seeds < 2:
            raise SnnlearnError(f"--seeds is {self.seeds}; a sweep compares means over seeds, give at least 2")
        if len(set(self.sizes)) < len(self.sizes):
            raise SnnlearnError("--sizes has a number twice; give each once")


@dataclass(frozen=True, kw_only=True)
class Tune(Train):
    """Search for a better configuration, or tune a network by hand.

    Needs the package optuna (pip install 'snnlearn[tune]'). Each trial trains one configuration from several random
    seeds; the validation error says which to try next, and which to choose. At the end the chosen configuration and the
    given one are trained from new seeds and compared on the test sample, once. Writes chosen.toml, for train --config.

    With --manual, a page in the browser has a slider for each number of a network, and shows at once what it does.
    """

    distributed: tyro.conf.Suppress[bool] = False
    baseline: tyro.conf.Suppress[bool] = False
    resume: Folder = None
    """A search's folder to resume. All options are taken from it."""
    out: Folder = None
    """The folder to create. By default runs/tune-DATA, with a number added if that exists."""
    vary: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUES...")] = (
        "learning-rate=log:0.01..1",
        "tau-mem=log:2e-3..100e-3",
        "tau-out=log:2e-3..100e-3",
        "xi=log:0.5..4",
    )
    """What to vary: options of train, each with a range, tau-mem=5e-3..50e-3, by factors instead of steps with log:,
    learning-rate=log:0.01..1, or a list, rule=bptt,eprop. Join hidden layers by '-'. Trials that differ only in numbers
    that are no counts, such as these, share their compiled programs."""
    trials: Count = 60
    """Trials, the given configuration first."""
    objectives: Annotated[tuple[Literal["error", "loss", "synops", "macs", "parameters"], ...], tyro.conf.arg()] = (
        "error",
    )
    """What should be small: validation error or loss, operations of one inference, trained numbers. Of several, the
    report shows every trial that no other beats in all of them; the first decides."""
    prune: Literal["median", "hyperband", "none"] = "median"
    """Give up trials that are worse than the median of others at the same epoch, or by hyperband; with several
    objectives none is given up."""
    seeds: Annotated[int, Within(1, 10_000)] = 3
    """Trainings of each trial, side by side, from different random seeds."""
    confirm_seeds: Annotated[int, Within(2, 10_000)] = 10
    """Trainings of the chosen and of the given configuration, from seeds that the search has not used."""
    manual: Annotated[tuple[Path, ...] | None, tyro.conf.arg(metavar="[RUN]")] = None
    """Tune by hand: the network of a run, or, without one, a small network."""
    port: Annotated[int, Within(0, 65535)] = 0
    """By hand: the port of the page on this machine; 0 takes a free one."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if not self.vary:
            raise SnnlearnError(
                "--vary has nothing; give an option of train and its values, such as tau-mem=5e-3..0.05"
            )
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise SnnlearnError(
                "--objectives has one twice, or none; give each once, such as --objectives error synops"
            )
