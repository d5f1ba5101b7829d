"""Options of a training, which most other commands have, too."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from snnlearn.cli.choices import CHIPS, DELAY_KERNELS, LOSSES, NEURONS, READOUTS, SURROGATES
from snnlearn.cli.options.kinds import (
    Count,
    Folder,
    FromZero,
    Optimizer,
    OptionalCount,
    OptionalPositive,
    Positive,
    Role,
    Rule,
    Seconds,
    Seed,
    Within,
    noted,
)
from snnlearn.cli.options.shared import Codes, DataOptions


# Bases from the last to the first, as help shows their options.
@dataclass(frozen=True, kw_only=True)
class Train(Codes, DataOptions):
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
    pooling. Of networks for sequences the units of each block or layer, such as 64 64."""
    recurrent: bool = False
    """Connect each dense hidden layer to itself."""
    bias: bool = False
    """Give each unit a trained constant current."""
    neuron: Annotated[str, NEURONS, tyro.conf.arg(metavar=NEURONS.metavar)] = "lif"
    """The hidden layers' neuron; or a network for sequences: blocks of linear recurrent units (lru), whose outputs
    spike (spiking-lru), or layers of a recurrent artificial network (rnn, gru, lstm)."""
    tau_mem: Seconds = 10e-3
    """Membrane time constant, s."""
    tau_syn: Seconds = 10e-3
    """Synaptic time constant of cuba-lif, s."""
    tau_adapt: Seconds = 200e-3
    """Adaptation time constant of alif, s."""
    beta: FromZero = 0.1
    """Adaptation strength of alif."""
    frequency: Annotated[tuple[float, float], Within(0.0, 1e6), tyro.conf.arg(metavar="LOW HIGH")] = (5.0, 50.0)
    """Frequencies of resonate-and-fire, Hz: those of a layer's units are evenly spaced from the first to the second."""
    state_size: OptionalCount = None
    """Linear recurrent units of each block of lru and spiking-lru: by default as many as --layers says."""
    r_min: Annotated[float, Within(0.0, 1.0)] = 0.9
    """Linear recurrent units: the least share of its state that a unit keeps from step to step, |λ| at the start."""
    r_max: Annotated[float, Within(0.0, 1.0)] = 0.999
    """The largest share; what is kept halves in ln 2 / (1 − r_max) steps."""
    dropout: Annotated[float, Within(0.0, 0.99)] = 0.0
    """Probability with which lru and spiking-lru drop each unit of a block, for a whole sample, in training."""
    tau_out: Seconds = 10e-3
    """Time constant of the readout's membrane, s."""
    refractory: FromZero = 0.0
    """Refractory period, s; 0 for none."""
    reset: Annotated[Literal["subtract", "zero", "none"] | None, tyro.conf.arg(metavar="{subtract,zero,none}")] = None
    """What a spike does to the membrane: by default subtract, or none in resonate-and-fire."""
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
    """Train the time constants of each unit of dense hidden layers: of its membrane, its synaptic current and its
    adaptation, if it has them, and the frequencies of resonate-and-fire."""
    delays: Annotated[float | None, Within(1e-9, 1e6), tyro.conf.arg(metavar="FLOAT")] = None
    """Learn a delay of each synapse from the layer before into dense hidden layers, up to so many seconds. By default
    there are none."""
    delay_kernel: Annotated[str, DELAY_KERNELS, tyro.conf.arg(metavar=DELAY_KERNELS.metavar)] = "interpolated"
    """What a delay between two time steps does in training: it is interpolated, or blurred by a gaussian that narrows,
    and rounded in the network that is kept."""
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


@functools.cache
def roles() -> dict[str, Role]:
    """The role of each option of a training that has one, in every command."""
    return noted(Train, Role)
