"""Every option of the command line, as plain data: nothing here needs JAX, so `--help` comes at once."""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from snnlearn._errors import SnnlearnError
from snnlearn.cli.axis import Axis, like
from snnlearn.cli.choices import (
    CHIPS,
    CODES,
    CONVERSIONS,
    DATA,
    LOSSES,
    NEURONS,
    ON_TOP,
    OPTIMIZERS,
    READOUTS,
    RULES,
    SURROGATES,
)


class Role(Enum):
    """The role of an option that does not define the run itself."""

    PLACE = "it says where a run comes from and goes to, not what it is"
    TASK = "all configurations of a sweep share it: what they learn, and from which seeds"


File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Within:
    """The range of an option's number or numbers; written beside its type.

    Args:
        low: The least.
        high: The greatest.
        between: Whether these two are left out.
    """

    low: int | float
    high: int | float
    between: bool = False

    def __contains__(self, number: int | float) -> bool:
        return self.low < number < self.high if self.between else self.low <= number <= self.high

    def fault(self, number: int | float) -> str | None:
        """What to give instead of a number; None if it is in the range."""
        return None if number in self else f"give {self}"

    def __str__(self) -> str:
        if self.between:
            return f"a number between {self.low:g} and {self.high:g}"
        if isinstance(self.high, int):
            return f"a whole number from {self.low} to {self.high}"
        return f"a number from {self.low:g} to {self.high:g}"


Count = Annotated[int, Within(1, 1_000_000)]
"""A number of things; nobody waits for more than a million."""
Seed = Annotated[int, Within(0, 2**31 - 1)]
Share = Annotated[float, Within(0, 1, between=True)]
Seconds = Annotated[float, Within(1e-9, 1e6)]
Positive = Annotated[float, Within(1e-20, 1e20)]
"""Numbers that float32 can square."""
FromZero = Annotated[float, Within(0.0, 1e20)]
OptionalSeconds = Annotated[float | None, Within(1e-9, 1e6), tyro.conf.arg(metavar="FLOAT")]
OptionalCount = Annotated[int | None, Within(1, 1_000_000), tyro.conf.arg(metavar="INT")]
OptionalPositive = Annotated[float | None, Within(1e-20, 1e20), tyro.conf.arg(metavar="FLOAT")]
OptionalShare = Annotated[float | None, Within(0, 1, between=True), tyro.conf.arg(metavar="FLOAT")]
Rule = Annotated[str, RULES, tyro.conf.arg(metavar=RULES.metavar)]
Optimizer = Annotated[str | None, OPTIMIZERS, tyro.conf.arg(metavar=OPTIMIZERS.metavar)]


@functools.cache
def ranges(options: type) -> dict[str, Within]:
    """The range of each option that has one."""
    return _noted(options, Within)


@functools.cache
def axes(options: type) -> dict[str, Axis]:
    """The axis of each option that chooses a class by name."""
    return _noted(options, Axis)


@functools.cache
def roles() -> dict[str, Role]:
    """The role of each option of a training that has one, in every command."""
    return _noted(Train, Role)


T = TypeVar("T")


def _noted(options: type, kind: type[T]) -> dict[str, T]:
    found = {}
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        own = [note for note in getattr(hint, "__metadata__", ()) if isinstance(note, kind)]
        if own:
            found[name] = own[0]
    return found


class Checked:
    """Options whose numbers have ranges, and whose names stand for components."""

    def check(self) -> None:
        """Refuse values out of range or unknown, also of options that have no effect beside the others.

        Raises:
            SnnlearnError: naming the option, its value and what to give.
        """
        for name, text in vars(self).items():
            if isinstance(text, (str, Path)) and any("\ud800" <= character <= "\udfff" for character in str(text)):
                raise SnnlearnError(f"--{name.replace('_', '-')} is {text}, a name that is not UTF-8; rename it")
        for name, note in (ranges(type(self)) | axes(type(self))).items():
            value: Any = getattr(self, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None and (fault := note.fault(one)):
                    verb = "has" if isinstance(value, tuple) else "is"
                    raise SnnlearnError(f"--{name.replace('_', '-')} {verb} {one}; {fault}")


@dataclass(frozen=True, kw_only=True)
class _Codes(Checked):
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
class _Reader(Checked):
    """Commands that read a folder or a configuration, which may come from someone else."""

    allow: Annotated[tuple[str, ...], Role.PLACE] = ()
    """Classes, as module:Class, that a run or a configuration may use besides the library's; using one executes its
    module."""


TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
"""Units of the times of events, s."""
Scaling = Annotated[
    Literal["none", "all", "range", "standard", "centred", "quantile"] | None,
    tyro.conf.arg(metavar="{none,all,range,standard,centred,quantile}"),
]
Text = Annotated[str | None, tyro.conf.arg(metavar="NAME|NUMBER")]


@dataclass(frozen=True, kw_only=True)
class _File(_Reader):
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
class _Data(_File):
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
    """digits, mnist, fashion-mnist, yin-yang, randman, spike-xor, mackey-glass, narma, copy, adding, delayed-xor; or a
    file or folder: a table (.csv, .parquet, .arff), time series (.ts), arrays (.npz), IDX, images, or events (.h5,
    .bin, .aedat). snnlearn data FILE describes it."""
    data_folder: Annotated[Folder, Role.TASK] = None
    """Folder with the IDX files of mnist or fashion-mnist, gzipped or not."""

    horizon: Annotated[OptionalCount, Role.TASK] = None
    """How far ahead mackey-glass is predicted, in its units of time: by default 6."""
    delay: Annotated[OptionalCount, Role.TASK] = None
    """How many steps back the answer lies: after copy's pattern (by default 8), after each bit of delayed-xor (50), or
    at most, as the length of adding (500)."""
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


# Bases from the last to the first, as help shows their options.
@dataclass(frozen=True, kw_only=True)
class Train(_Codes, _Data):
    """Train a spiking network and report its risk.

    Writes a run folder: configuration, metrics, checkpoints, the model, report.html.

    MODULE:CLASS is your own class, in this folder or on the Python path; its fields are filled by options of their
    names.
    """

    start: Annotated[Folder, Role.TASK] = None
    """Begin with the network of this folder, of a run or a conversion, instead of new weights; it replaces the options
    of the network and the code."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ("256",)
    """Hidden layers: 256 is dense; 16c5 is a convolution with kernel size 5, 16c5p2 one padded by 2; p2 is average
    pooling."""
    recurrent: bool = False
    """Connect each dense hidden layer to itself."""
    bias: bool = False
    """Give each unit a trained constant current."""
    neuron: Annotated[str, NEURONS, tyro.conf.arg(metavar=NEURONS.metavar)] = "lif"
    """The hidden layers' neuron."""
    tau_mem: Seconds = 10e-3
    """Membrane time constant, s."""
    tau_syn: Seconds = 10e-3
    """Synaptic time constant of cuba-lif, s."""
    tau_adapt: Seconds = 200e-3
    """Adaptation time constant of alif, s."""
    beta: FromZero = 0.1
    """Adaptation strength of alif."""
    tau_out: Seconds = 10e-3
    """Time constant of the readout's membrane, s."""
    refractory: FromZero = 0.0
    """Refractory period, s; 0 for none."""
    reset: Literal["subtract", "zero"] = "subtract"
    """What a spike does to the membrane."""
    reset_next_step: bool = False
    """Reset in the step after the spike."""
    escape_noise: bool = False
    """Units draw their spikes at random, with a probability whose derivative is the surrogate, sigmoid or gaussian;
    xie-seung needs it."""
    surrogate: Annotated[str, SURROGATES, tyro.conf.arg(metavar=SURROGATES.metavar)] = "triangle"
    """What replaces the derivative of a spike; triangle and boxcar are 0 far from the threshold, which keeps errors
    from growing through recurrent connections."""
    surrogate_slope: OptionalPositive = None
    """Its steepness: slope, alpha, 1/width or 1/sigma. By default that of the surrogate."""
    train_time_constants: bool = False
    """Train a membrane time constant for each unit of dense hidden layers."""
    readout: Annotated[
        str | None,
        READOUTS,
        tyro.conf.arg(
            metavar=READOUTS.metavar,
            help="What decides: the mean, largest or last membrane of leaky integrators, spike counts or the first "
            "spike. The default depends on the rule (mean for most); train --rule RULE --help shows it.",
        ),
    ] = None
    loss: Annotated[
        str | None,
        LOSSES,
        tyro.conf.arg(
            metavar=LOSSES.metavar,
            help="A loss of the readout's scores, of its membrane in each step (stepwise), or of its spikes "
            "(van-rossum, readout count). The default depends on the rule: for most cross-entropy, or "
            "stepwise-cross-entropy if it is online.",
        ),
    ] = None
    rate_band: Annotated[tuple[float, float] | None, Within(0.0, 1e20), tyro.conf.arg(metavar="LOW HIGH")] = None
    """Penalise hidden units that fire below or above these rates, Hz."""
    rate_band_weight: FromZero = 1e-4
    """Weight of that penalty."""
    rule: Rule = "bptt"
    """The learning rule."""
    segment: OptionalCount = None
    """BPTT: time steps between stored states; the others are recomputed in the backward pass, for the same gradient in
    less memory. By default all are stored."""
    truncate: Count = 10
    """Truncated BPTT: time steps in a block."""
    steps_per_update: OptionalCount = None
    """Online rules: update the weights every so many time steps. By default at the end of the sequence."""
    draws: Count = 8
    """Forward gradient, perturbation and evolution strategy: number of directions for the estimate of one gradient."""
    sigma: Positive = 0.1
    """Perturbation and evolution strategy: standard deviation of the noise, on weights or currents."""
    chip: Annotated[str | None, CHIPS, tyro.conf.arg(metavar=CHIPS.metavar)] = None
    """Train for a kind of chip: the rule's gradient on new chips of it for each batch. By default for none."""
    chips: Count = 1
    """With --chip: how many chips each batch is tried on."""
    mismatch: Annotated[float | None, Within(0.0, 10.0), tyro.conf.arg(metavar="FLOAT")] = None
    """With --chip: coefficient of variation of every parameter of every neuron. By default that of the kind of chip."""
    optimizer: Optimizer = None
    """The optimiser: by default adam; where values are predicted, adam or adamw with strong weight decay, whichever
    validation prefers."""
    learning_rate: OptionalPositive = None
    """Its initial step size, relative to the initial root mean square of the weights that it updates: by default 0.1,
    less for more than 800 gradients."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """How the step size changes: down to 0 along half a cosine, or not at all."""
    weight_decay: FromZero = 1e-4
    """Weight decay of adamw; it applies to the weights of connections only."""
    clip_gradient: OptionalPositive = None
    """Largest norm of a gradient; larger gradients are scaled down to it."""
    xi: Positive = 2.0
    """Fluctuation-driven initialisation: the threshold, in standard deviations of the membrane."""
    class_weight: Annotated[Literal["balanced"] | None, Role.TASK, tyro.conf.arg(metavar="{balanced}")] = None
    """How much the samples of a class count in training and validation: balanced makes all classes count alike, however
    many samples each has. By default all samples count alike."""
    epochs: OptionalCount = None
    """Passes over the training sample: by default so many that there are about 800 gradients, or 1600 where values
    are predicted, from 10 to 100."""
    batch_size: OptionalCount = None
    """Samples of one gradient: by default 64, fewer of a training sample of fewer than 512."""
    seeds: Annotated[int, Role.TASK, Within(1, 10_000)] = 1
    """Trainings side by side, from different random seeds; their mean and interval are reported."""
    seed: Annotated[Seed, Role.TASK] = 0
    """The first random seed."""
    baseline: Annotated[bool, Role.TASK] = True
    """Also fit logistic or ridge regression and nearest neighbours (scikit-learn) to the same samples, and compare them
    with the network on the test sample."""

    def counts(self) -> tuple[int, int]:
        """Epochs and samples of a batch, once the data have settled them."""
        assert self.epochs is not None and self.batch_size is not None
        return self.epochs, self.batch_size

    def step_size(self) -> float:
        """The initial step size, once the data have settled it."""
        assert self.learning_rate is not None
        return self.learning_rate


@dataclass(frozen=True, kw_only=True)
class Evaluate(_Reader):
    """Estimate a trained network's risk on data that it was neither trained nor selected on."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    data: File = None
    """A file or folder with labels, in any format that train accepts; all of it is used. By default the run's test
    sample."""


@dataclass(frozen=True, kw_only=True)
class Predict(_Reader):
    """Classify the samples in files."""

    run: Annotated[Path, tyro.conf.Positional]
    """The run folder."""
    files: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE...")] = ()
    """Files in any format that train accepts, with or without labels, images (.png, .jpg) or arrays (.npy), of the
    shape that the network was trained on."""
    out: File = None
    """A file for the decisions, with the scores of all classes: .csv, .json or .npz."""


@dataclass(frozen=True, kw_only=True)
class Data(_File):
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
class Encode(_Codes):
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


@dataclass(frozen=True, kw_only=True)
class Risk(_Reader):
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


@dataclass(frozen=True, kw_only=True)
class Convert(_Codes, _Data):
    """Convert an artificial network to spiking neurons, and report the risk before and after.

    Writes a folder that evaluate, predict, risk and train --start take like a run's: the model, conversion.json,
    report.html with the error of each layer, its causes and its bound.
    """

    resume: tyro.conf.Suppress[Path | None] = None
    distributed: tyro.conf.Suppress[bool] = False
    source: Annotated[Path, tyro.conf.Positional]
    """The artificial network: a run folder or model.npz of a training with --neuron rectifier or quantised; an ONNX
    file; a Keras model (.keras, .h5); an MLP of scikit-learn (.skops); or weights (.safetensors, .pt) with --layers."""
    data: Annotated[str | None, DATA, Role.TASK, tyro.conf.arg(metavar=DATA.metavar)] = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """What it was trained on, as in train: the training sample calibrates, the validation sample measures the layers,
    the test sample tells the risk. By default that of the run."""
    encode: Annotated[str | None, CODES, tyro.conf.arg(metavar=CODES.metavar)] = None
    """How the spiking network gets its input. By default as a constant current; a code's error is reported apart."""
    scale: Scaling = None
    """How values are scaled for a network from a file, as in train. By default as it errs least on training samples."""
    method: Annotated[str, CONVERSIONS, tyro.conf.arg(metavar=CONVERSIONS.metavar)] = "percentile"
    """What chooses how much activation a spike in each step stands for; qcfs needs units of train --neuron
    quantised."""
    percentile: Annotated[float | None, Within(1e-9, 100.0), tyro.conf.arg(metavar="FLOAT")] = None
    """Of the activations above 0. By default the one with the smallest bound of the output's error."""
    charge: Annotated[float | None, Within(-100.0, 100.0), tyro.conf.arg(metavar="FLOAT")] = None
    """Membrane at the start, in thresholds; 0.5 rounds the spike count instead of cutting it off. By default that of
    the method."""
    reset: Literal["subtract", "zero"] = "subtract"
    """What a spike does to the membrane; with zero, the error does not vanish with more steps."""
    max_pooling: Literal["refused", "pairwise"] = "refused"
    """Max pooling in a file: refused, or by rectifiers that compare two units each, layers that add their errors."""
    num_steps: Count = 32
    """Time steps T of the spiking network."""
    samples: Count = 1024
    """How many training samples calibrate."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ()
    """The hidden layers of a file of weights alone, as in train: 16c5, 16c5p2, p2 or 256, with rectifiers."""
    out: Folder = None
    """The folder to create. By default runs/converted-SOURCE, with a number added if that exists."""


@dataclass(frozen=True, kw_only=True)
class Deploy(_Reader):
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


COMMANDS: dict[str, type] = {
    "train": Train,
    "convert": Convert,
    "evaluate": Evaluate,
    "predict": Predict,
    "compare": Compare,
    "gradients": Gradients,
    "risk": Risk,
    "deploy": Deploy,
    "sweep": Sweep,
    "tune": Tune,
    "certify": Certify,
    "no-free-lunch": NoFreeLunch,
    "encode": Encode,
    "data": Data,
}


def check_names(arguments: list[str]) -> None:
    """Refuse a command or an option that does not exist.

    Args:
        arguments: of the command line; only names are checked.

    Raises:
        SnnlearnError: naming it, and the most similar one.
    """
    if not arguments or arguments[0].startswith("-"):
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise SnnlearnError(f"there is no command {name}; {_like(name, list(COMMANDS))}")
    known = {"--help"} | {f"--{option}" for option in _offered(COMMANDS[name])}
    for argument in rest:
        option = argument.partition("=")[0].replace("_", "-")
        if option.startswith("--") and option not in known and not option.startswith("--tyro-"):
            raise SnnlearnError(f"{name} has no option {option}; {_like(option, sorted(known))}")


def _offered(options: type) -> list[str]:
    """The names of a command's options."""
    names = []
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        notes = getattr(hint, "__metadata__", ())
        if tyro.conf.Suppress not in notes and tyro.conf.Positional not in notes:
            names += [name.replace("_", "-")] + [f"no-{name.replace('_', '-')}"] * (
                bool in (hint, getattr(hint, "__origin__", None))
            )
    return names


def _like(name: str, names: list[str]) -> str:
    return like(name, names) or "snnlearn --help and snnlearn COMMAND --help list all"


def numbers() -> tyro.constructors.ConstructorRegistry:
    """How numbers are read, with errors that do not mention Python."""
    registry = tyro.constructors.ConstructorRegistry()
    specs = {int: _number(int, "a whole number"), float: _number(float, "a number")}
    registry.primitive_rule(lambda info: specs.get(info.type))
    return registry


def _number(kind: type[int] | type[float], words: str) -> tyro.constructors.PrimitiveConstructorSpec:
    def read(texts: list[str]) -> Any:
        try:
            return kind(texts[0])
        except ValueError:
            raise ValueError(f"{texts[0]} is not {words}") from None

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, kind) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )
