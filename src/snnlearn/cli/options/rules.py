"""Options of the commands that compare learning rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.choices import RULES
from snnlearn.cli.options.kinds import Count, Folder, FromZero, Optimizer, OptionalCount, OptionalPositive, Rule, Within
from snnlearn.cli.options.train import Train


@dataclass(frozen=True, kw_only=True)
class Compare(Train):
    """Train the same network from the same initial weights with several learning rules.

    The validation error selects the step size of each rule; the test sample is used once for each rule. The loss is
    stepwise-cross-entropy by default; a rule whose readout spikes has its own default.
    """

    distributed: tyro.conf.Suppress[bool] = False
    baseline: tyro.conf.Suppress[bool] = False
    rule: tyro.conf.Suppress[Rule] = "bptt"
    learning_rate: tyro.conf.Suppress[OptionalPositive] = 0.1
    resume: Folder = None
    """A comparison's folder to resume. All options are taken from it."""
    out: Folder = None
    """The folder to create. By default runs/compare-DATA, with a number added if that exists."""
    paired: Annotated[tuple[Path, ...] | None, tyro.conf.arg(metavar="[RUN...]")] = None
    """Compare pairs, corrected for multiple comparisons: two or more finished runs on their common test sample; or,
    without runs, the rules, over seeds (sign-flip test) or, for one seed, over test samples (McNemar's test)."""
    rules: Annotated[tuple[str, ...], RULES, tyro.conf.arg(metavar="RULE...")] = (
        "bptt",
        "eprop",
        "eprop-random",
        "ottt",
    )
    """The rules, named as in train --rule."""
    learning_rates: Annotated[tuple[float, ...], Within(1e-20, 1e20), tyro.conf.arg(metavar="FLOAT...")] = (
        0.03,
        0.1,
        0.3,
    )
    """Step sizes to choose from."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if not self.rules or not self.learning_rates:
            raise SnnlearnError("--rules and --learning-rates need at least one each")


@dataclass(frozen=True, kw_only=True)
class Gradients(Train):
    """Compare each rule's gradient on one batch with the gradient that it estimates.

    The reference is BPTT's gradient; for perturbation rules and xie-seung it is the gradient of the expected loss under
    the noise, estimated from other draws. Eventprop, whose loss is in continuous time, is its own reference.
    """

    distributed: tyro.conf.Suppress[bool] = False
    baseline: tyro.conf.Suppress[bool] = False
    rule: tyro.conf.Suppress[Rule] = "bptt"
    learning_rate: tyro.conf.Suppress[OptionalPositive] = 0.1
    resume: tyro.conf.Suppress[Path | None] = None
    steps_per_update: tyro.conf.Suppress[OptionalCount] = None
    optimizer: tyro.conf.Suppress[Optimizer] = None
    schedule: tyro.conf.Suppress[Literal["cosine", "constant"]] = "cosine"
    weight_decay: tyro.conf.Suppress[FromZero] = 1e-4
    clip_gradient: tyro.conf.Suppress[OptionalPositive] = None
    epochs: tyro.conf.Suppress[OptionalCount] = None
    seeds: tyro.conf.Suppress[int] = 1
    out: Folder = None
    """The folder to create. By default runs/gradients-DATA, with a number added if that exists."""
    rules: Annotated[tuple[str, ...], RULES, tyro.conf.arg(metavar="RULE...")] = (
        "bptt",
        "eprop",
        "eprop-random",
        "ottt",
        "forward-gradient",
        "weight-perturbation",
    )
    """The rules, named as in train --rule."""
    repeats: Count = 64
    """Number of gradients drawn from each random rule."""
    flow: bool = False
    """Also follow an error of the last step back through time: how much of it reaches each layer at each lag,
    half-lives beside time constants, and the largest Lyapunov exponent."""
    run: Folder = None
    """A run folder: use its trained network instead of a new one, and the run's data and encoder."""
