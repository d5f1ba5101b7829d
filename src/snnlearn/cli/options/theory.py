"""Options of the commands of learning theory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.options.kinds import Checked, Count, Folder, Positive, Seed, Share, Within
from snnlearn.cli.options.train import Train


@dataclass(frozen=True, kw_only=True)
class NoFreeLunch(Checked):
    """Average learning algorithms over all tasks of a small domain, exactly, and compare with the closed form.

    x is one of k points, a task is one of their 2^k labelings, and a sample is n draws. Every task and every sample is
    enumerated for seven algorithms, among them a spiking network trained by BPTT.
    """

    points: Annotated[int, Within(2, 8)] = 4
    """k, the number of points in the domain."""
    samples: Annotated[int, Within(1, 20)] = 2
    """n, the number of draws that an algorithm sees."""
    smoothness: Annotated[float, Within(1e-9, 1.0)] = 0.1
    """In a non-uniform world, the factor by which each change of label between neighbouring points makes a task less
    likely."""
    seed: Seed = 0
    """Random seed of the spiking network's initial weights."""
    out: Folder = None
    """The folder to create. By default runs/no-free-lunch, with a number added if that exists."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if (2 * self.points) ** self.samples > 20_000:
            raise SnnlearnError(
                f"--points is {self.points} and --samples {self.samples}; give fewer, with (2 · points)^samples at "
                "most 20,000, since all are enumerated"
            )


@dataclass(frozen=True, kw_only=True)
class Certify(Train):
    """Train a stochastic spiking network together with a bound on its risk that holds for any distribution of data.

    One part of the training sample trains a prior, as train does; the other trains a Gaussian around it, by any rule,
    to minimise the PAC-Bayes bound, and certifies it. The test sample is used once, to check that the bound holds.
    """

    distributed: tyro.conf.Suppress[bool] = False
    baseline: tyro.conf.Suppress[bool] = False
    resume: tyro.conf.Suppress[Path | None] = None
    seeds: tyro.conf.Suppress[int] = 1
    out: Folder = None
    """The folder to create. By default runs/certificate-DATA, with a number added if that exists."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("64",)
    """Hidden layers, see train."""
    delta: Share = 0.05
    """The chance that the certificate is false."""
    prior_share: Share = 0.5
    """Share of the training sample that trains the prior, and is not used for the certificate."""
    prior_std: Positive = 0.05
    """Standard deviation of the prior's weights, relative to the root mean square of each layer's weights."""
    bound_epochs: Count = 20
    """Passes over the certifying sample."""
    bound_learning_rate: Positive = 1e-3
    """Step size for minimising the bound (Adam)."""
    networks: Count = 100
    """Networks drawn for each certifying sample."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if self.seeds > 1:
            raise SnnlearnError(f"seeds is {self.seeds}; a certificate is for one network, drop it")
