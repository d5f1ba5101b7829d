"""Every option of the command line, as plain data: nothing here needs JAX, so `--help` comes at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlearn._errors import SnnlearnError

Code = Literal[
    "current",
    "rate",
    "poisson-rate",
    "regular-rate",
    "latency",
    "linear-latency",
    "rank-order",
    "phase",
    "burst",
    "population",
    "delta",
    "send-on-delta",
]
OnTop = Literal["rate", "poisson-rate", "regular-rate", "latency", "linear-latency"]
Readout = Literal["mean", "max", "last", "count", "first-spike"]
Rule = Literal[
    "bptt",
    "truncated-bptt",
    "rtrl",
    "eprop",
    "eprop-random",
    "ottt",
    "superspike",
    "forward-gradient",
    "node-perturbation",
    "weight-perturbation",
    "evolution-strategy",
    "eventprop",
    "xie-seung",
]
ONLINE = ("truncated-bptt", "rtrl", "eprop", "eprop-random", "ottt")
"""Rules that need a loss of each time step."""
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
Number = Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a spiking network, end with its risk.

    Writes a run folder: configuration, metrics, checkpoints, the model, report.html.
    """

    config: File = None
    """A TOML file of options, as a run writes it (config.toml). Options given here as well take precedence."""
    resume: Folder = None
    """A run folder to go on with; all options are taken from it."""
    out: Folder = None
    """The run folder to make. By default runs/DATA, with a number added if that exists."""
    distributed: bool = False
    """Share each batch among all devices: those of this process and, if JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID say so, or Slurm or Open MPI do, of the others that run the same command. The first writes all."""

    data: str = "digits"
    """digits, mnist, fashion-mnist, yin-yang, randman, spike-xor, an .npz file, or an .h5 file or folder of events."""
    data_folder: Folder = None
    """Where mnist or fashion-mnist lie as IDX files, gzipped or not."""
    validation: float = 0.1
    """Share of the data that selects the epoch. Sets with a test set of their own give it from their training set."""
    test: float = 0.2
    """Share of the data that estimates the risk, for data without a test set of its own."""
    split_seed: int = 0
    """Random seed of the split, and of synthetic data."""

    encode: Code | None = None
    """How values become spikes; data that are spikes already take none. The default is current."""
    series: bool = False
    """The first axis of a sample is time: each frame is encoded by itself, one after the other; delta codes need it."""
    num_steps: int = 20
    """Time steps T of a sample, or of each frame of a series; of recorded events, those up to num-steps · dt count."""
    dt: float = 1e-3
    """Time step, s."""
    max_rate: float = 500.0
    """Rate codes: firing rate of the value 1, Hz."""
    latency_tau: float = 10e-3
    """Latency code: time constant of the charging membrane, s."""
    latency_threshold: Number = None
    """Values up to this never fire: by default 0.2, for linear-latency and rank-order 0, in a population 0.1."""
    num_phases: int = 8
    """Phase code: binary digits of a cycle."""
    max_spikes: int = 5
    """Burst code: spikes of the value 1."""
    population: int = 8
    """Population code: neurons for each value."""
    population_code: OnTop = "linear-latency"
    """Population code: how the neurons' activations become spikes."""
    delta_threshold: float = 0.1
    """Delta codes: the change that is a spike, as a share of the data's range."""

    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("256",)
    """Hidden layers: 256 is dense, 16c5 or, padded by 2, 16c5p2 a convolution of kernel 5, p2 an average pooling."""
    recurrent: bool = False
    """Connect each dense hidden layer to itself."""
    bias: bool = False
    """Give each unit a trained constant current."""
    neuron: Literal["lif", "cuba-lif", "alif", "if"] = "lif"
    """The hidden layers' neuron."""
    tau_mem: float = 10e-3
    """Membrane time constant, s."""
    tau_syn: float = 10e-3
    """Synaptic time constant of cuba-lif, s."""
    tau_adapt: float = 200e-3
    """Adaptation time constant of alif, s."""
    beta: float = 0.1
    """Adaptation strength of alif."""
    tau_out: float = 10e-3
    """Time constant of the readout's membrane, s."""
    refractory: float = 0.0
    """Refractory period, s; 0 is none."""
    reset: Literal["subtract", "zero"] = "subtract"
    """What a spike does to the membrane."""
    reset_next_step: bool = False
    """Reset in the step after the spike."""
    escape_noise: bool = False
    """Units draw their spikes, by the probability of which surrogate sigmoid or gaussian is the derivative; xie-seung
    needs it."""
    surrogate: Literal["fast-sigmoid", "sigmoid", "atan", "triangle", "boxcar", "gaussian"] = "atan"
    """The spike's derivative."""
    surrogate_slope: Number = None
    """Its steepness: slope, alpha, 1/width or 1/sigma; the surrogate's own default if not given."""
    train_time_constants: bool = False
    """Train a membrane time constant for each unit of dense hidden layers."""
    readout: Readout | None = None
    """What decides: the mean, largest or last membrane of leaky integrators, spike counts or the first spike; by
    default mean, count for superspike and xie-seung, first-spike for eventprop."""

    loss: Literal["cross-entropy", "mean-squared", "stepwise-cross-entropy", "van-rossum"] | None = None
    """Of the readout's scores; of its membrane in each step (stepwise); of its spikes (van-rossum, readout count). The
    default is cross-entropy, stepwise-cross-entropy for online rules, van-rossum for superspike."""
    rate_band: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = None
    """Penalise hidden units that fire below or above these rates, Hz."""
    rate_band_weight: float = 1e-4
    """Weight of that penalty."""
    rule: Rule = "bptt"
    """The learning rule."""
    segment: int | None = None
    """BPTT: time steps between two states that are kept; those between are computed again on the way back, for the same
    gradient in less memory. By default all are kept."""
    truncate: int = 10
    """Truncated BPTT: time steps of a block."""
    steps_per_update: int | None = None
    """Online rules: change the weights during the sequence, after so many time steps; by default after it."""
    draws: int = 8
    """Forward gradient, perturbation and evolution strategy: how many directions one gradient is estimated from."""
    sigma: float = 0.1
    """Perturbation and evolution strategy: standard deviation of the noise, on weights or currents."""
    optimizer: Literal["adam", "adamw", "adamax", "rmsprop", "sgd"] = "adam"
    """The optimiser."""
    learning_rate: float = 1e-2
    """Its step size at the start."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the step size goes on: down to 0 along a half cosine, or not at all."""
    weight_decay: float = 1e-4
    """Weight decay of adamw."""
    clip_gradient: Number = None
    """Largest norm of a gradient."""
    xi: float = 2.0
    """Fluctuation-driven initialisation: the threshold, in standard deviations of the membrane."""
    epochs: int = 40
    """Passes over the training sample."""
    batch_size: int = 64
    """Samples of one gradient."""
    seeds: int = 1
    """Trainings side by side, from different random seeds; their mean and interval are reported."""
    seed: int = 0
    """The first random seed."""

    def check(self) -> None:
        """Refuse numbers out of range, of those options too that the others leave without use.

        Raises:
            SnnlearnError: naming the option, its value and the range.
        """
        for names, expected, holds in _RANGES:
            for name in names.split():
                number = getattr(self, name)
                if number is not None and not holds(number):
                    raise SnnlearnError(f"--{name.replace('_', '-')} is {number}; give {expected}")


_RANGES = (
    (
        "dt max_rate latency_tau delta_threshold tau_mem tau_syn tau_adapt tau_out surrogate_slope learning_rate "
        "clip_gradient xi sigma",
        "a finite number above 0",
        lambda number: 0 < number < math.inf,
    ),
    ("refractory rate_band_weight weight_decay", "a finite number from 0", lambda number: 0 <= number < math.inf),
    ("validation test latency_threshold", "a number between 0 and 1", lambda number: 0 < number < 1),
    (
        "num_steps num_phases max_spikes population epochs batch_size seeds segment truncate draws steps_per_update",
        "a whole number from 1",
        lambda number: number >= 1,
    ),
    ("seed split_seed", "a whole number from 0 to 2147483647", lambda number: 0 <= number < 2**31),
)


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Estimate a trained network's risk on data that it was neither trained nor selected on."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data: File = None
    """An .npz file with x and y, all of which is used; by default the run's own test sample."""


@dataclass(frozen=True, kw_only=True)
class Predict:
    """Decide what files show."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE...")] = ()
    """Images (.png, .jpg), arrays (.npy, .npz with x) or IDX files, of the shape that the network was trained on."""


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Show one image or signal as spikes in each code: what they cost, and what can be read from them."""

    file: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[FILE]")] = None
    """An image (.png, .jpg), array (.npy, .npz with x) or IDX file; with --series or as .csv, a signal [T] or [T, N].
    By default a handwritten digit."""
    series: bool = False
    """The array is a signal: its first axis is time."""
    index: int = 0
    """Which of the file's samples."""
    codes: Annotated[tuple[Code, ...], tyro.conf.arg(metavar="CODE...")] = ()
    """Which codes, named as in train --encode; by default all that make spikes of such an input."""
    num_steps: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Time steps T: by default 50 of an image, 10 of each frame of a signal."""
    dt: float = 1e-3
    """Time step, s."""
    max_rate: float = 200.0
    """Rate codes: firing rate of the value 1, Hz."""
    latency_tau: float = 10e-3
    """Latency code: time constant of the charging membrane, s."""
    latency_threshold: Number = None
    """Values up to this never fire: by default 0.2, for linear-latency and rank-order 0, in a population 0.1."""
    num_phases: int = 8
    """Phase code: binary digits of a cycle."""
    max_spikes: int = 5
    """Burst code: spikes of the value 1."""
    population: int = 8
    """Population code: neurons for each value."""
    population_code: OnTop = "linear-latency"
    """Population code: how the neurons' activations become spikes."""
    delta_threshold: float = 0.1
    """Delta codes: the change that is a spike, as a share of the signal's range."""
    seed: int = 0
    """Random seed of the rate codes."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = field(default_factory=lambda: Path("codes.html"))
    """A picture (.html, .png or .svg), or the spikes themselves: .h5 in the layout of the Spiking Heidelberg Digits,
    .npz as structured events."""


@dataclass(frozen=True, kw_only=True)
class Compare(Train):
    """Train the same network from the same start with several learning rules.

    Each rule's step size is chosen by validation errors; the test sample is used once for each rule. The loss is
    stepwise-cross-entropy, if no other is given; superspike has van-rossum, xie-seung and eventprop cross-entropy, and
    their readouts spike.
    """

    distributed: tyro.conf.Suppress[bool] = False
    paired: Annotated[tuple[Path, ...] | None, tyro.conf.arg(metavar="[RUN...]")] = None
    """Compare in pairs, corrected for their number: two or more finished runs on the test sample that they share; or,
    if none is named, the rules, over seeds (sign-flip test) or, with one seed, over test samples (McNemar's test)."""
    rules: tuple[Rule, ...] = ("bptt", "eprop", "eprop-random", "ottt")
    """The rules."""
    learning_rates: Annotated[tuple[float, ...], tyro.conf.arg(metavar="FLOAT...")] = (3e-3, 1e-2, 3e-2)
    """Step sizes to choose from; --learning-rate is not used."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if not self.rules or not self.learning_rates:
            raise SnnlearnError("--rules and --learning-rates need at least one each")
        for rate in self.learning_rates:
            if not 0 < rate < math.inf:
                raise SnnlearnError(f"--learning-rates has {rate}; give finite numbers above 0")


@dataclass(frozen=True, kw_only=True)
class Gradients(Train):
    """Measure each rule's gradient on one batch, against the gradient that it stands for.

    The reference is BPTT's gradient; for perturbation rules and xie-seung it is the gradient of the loss expected under
    the noise, estimated from other draws. Eventprop, whose loss is of continuous time, stands for itself.
    """

    distributed: tyro.conf.Suppress[bool] = False
    rules: tuple[Rule, ...] = ("bptt", "eprop", "eprop-random", "ottt", "forward-gradient", "weight-perturbation")
    """The rules."""
    repeats: int = 64
    """How many times a random rule is asked."""
    run: Folder = None
    """A run folder, whose trained network to look at instead of a fresh one."""


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Say everything that can be said about one trained network: risk, gap, calibration, bounds.

    Prints the numbers; writes risk.json and risk.html into the run's folder.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data: File = None
    """An .npz file with x and y to use instead of the run's own test sample."""
    confidence: float = 0.95
    """Of the intervals, and 1 − δ of the bounds."""
    bits: tuple[int, ...] = (2, 4, 6, 8)
    """Bounds of finite classes: bits of each weight, to which the trained network is rounded."""
    out: Folder = None
    """Where risk.json and risk.html go, by default the run's folder."""

    def check(self) -> None:
        """Refuse numbers out of range."""
        if not 0 < self.confidence < 1:
            raise SnnlearnError(f"--confidence is {self.confidence}; give a probability between 0 and 1, such as 0.95")
        for bits in self.bits:
            if not 1 <= bits <= 24:
                raise SnnlearnError(f"--bits has {bits}; give whole numbers from 1 to 24")


@dataclass(frozen=True, kw_only=True)
class NoFreeLunch:
    """Average learning algorithms over all tasks of a small domain, exactly, and compare with the closed form.

    x is one of k points, a task is one of their 2^k labelings, and a sample is n draws. Every task and every sample is
    enumerated for seven algorithms, among them a spiking network trained by BPTT.
    """

    points: int = 4
    """k, points of the domain."""
    samples: int = 2
    """n, draws that an algorithm sees."""
    smoothness: float = 0.1
    """How much less likely, in a world that is not uniform, a task is for each change between neighbouring points."""
    seed: int = 0
    """Random seed of the spiking network's initial weights."""
    out: Folder = None
    """The folder to make. By default runs/no-free-lunch, with a number added if that exists."""

    def check(self) -> None:
        """Refuse numbers out of range."""
        if not (2 <= self.points <= 8 and self.samples >= 1 and (2 * self.points) ** self.samples <= 20_000):
            raise SnnlearnError(
                f"--points is {self.points} and --samples {self.samples}; give 2 to 8 points and at least 1 draw, with "
                "(2 · points)^samples at most 20,000, since all are enumerated"
            )
        if not 0 < self.smoothness <= 1:
            raise SnnlearnError(f"--smoothness is {self.smoothness}; give a number above 0, at most 1 (uniform)")
        if not 0 <= self.seed < 2**31:
            raise SnnlearnError(f"--seed is {self.seed}; give a whole number from 0 to 2147483647")


@dataclass(frozen=True, kw_only=True)
class Certify(Train):
    """Train a stochastic spiking network together with a bound of its risk that holds for any distribution of data.

    A part of the training sample trains a prior, as train does; the other part trains a Gaussian around it to minimise
    the PAC-Bayes bound, by any rule, and certifies it. The test sample is used once, to see whether the bound holds.
    """

    distributed: tyro.conf.Suppress[bool] = False
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("64",)
    """Hidden layers, see train."""
    learning_rate: float = 5e-3
    """Step size of the prior's training at its start."""
    delta: float = 0.05
    """The chance that the certificate is false."""
    prior_share: float = 0.5
    """Share of the training sample that trains the prior and has no part in the certificate."""
    prior_std: float = 0.05
    """Standard deviation of the prior's weights, in root mean squares of each layer's."""
    bound_epochs: int = 20
    """Passes over the certifying part."""
    bound_learning_rate: float = 1e-3
    """Step size of the bound's minimisation (Adam)."""
    networks: int = 100
    """Networks drawn for each certifying sample."""

    def check(self) -> None:
        """See the base."""
        super().check()
        for name in ("delta", "prior_share"):
            if not 0 < getattr(self, name) < 1:
                raise SnnlearnError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; give a number between 0 and 1"
                )
        for name in ("prior_std", "bound_learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise SnnlearnError(
                    f"--{name.replace('_', '-')} is {getattr(self, name)}; give a finite number above 0"
                )
        for name in ("bound_epochs", "networks"):
            if getattr(self, name) < 1:
                raise SnnlearnError(f"--{name.replace('_', '-')} is {getattr(self, name)}; give a whole number from 1")
        if self.resume is not None:
            raise SnnlearnError("--resume: a certificate takes a minute and is not resumed; drop it")
        if self.seeds > 1:
            raise SnnlearnError(f"--seeds is {self.seeds}; a certificate is of one network, drop it")


@dataclass(frozen=True, kw_only=True)
class Sweep(Train):
    """Train a grid of configurations, several seeds of each side by side, and see which aspects matter.

    Each configuration is written when it is done; a sweep that was stopped goes on with --resume. The training sample's
    size is varied for the base configuration, the one of the options that --vary does not name, with a power law fit.
    """

    distributed: tyro.conf.Suppress[bool] = False
    vary: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=A,B,...")] = (
        "layers=32,128,64-64",
        "num-steps=10,20",
        "tau-mem=5e-3,20e-3",
        "recurrent=false,true",
        "encode=current,latency",
    )
    """What to vary: options of train with their values, such as rule=bptt,eprop; the grid is their product. Hidden
    layers are joined by '-'."""
    sizes: Annotated[tuple[int, ...], tyro.conf.arg(metavar="INT...")] = (80, 160, 320, 640)
    """Sizes of the training sample, besides the whole, on which the base configuration is trained too; the number of
    updates stays the same."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("64",)
    """Hidden layers, see train."""
    learning_rate: float = 2e-2
    """Its step size at the start."""
    epochs: int = 12
    """Passes over the training sample."""
    seeds: int = 5
    """Trainings of each configuration side by side, from different random seeds."""

    def check(self) -> None:
        """See the base."""
        super().check()
        if self.seeds < 2:
            raise SnnlearnError(f"--seeds is {self.seeds}; a sweep compares means over seeds, give at least 2")
        if any(size < 2 for size in self.sizes):
            raise SnnlearnError(f"--sizes has {min(self.sizes)}; give numbers of training samples from 2")
        if len(set(self.sizes)) < len(self.sizes):
            raise SnnlearnError("--sizes has a number twice; give each once")
