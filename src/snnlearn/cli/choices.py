"""The table of names: classes, what fills their fields, and other facts for the command line.

It is plain data: choices, help, captions and objects are made from it, and `snnlearn --help` reads it without JAX. A
component's fields are filled from the options of the same name; the table lists those with other names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from snnlearn.cli.axis import Axis, Choice


@dataclass(frozen=True)
class Code(Choice):
    """An encoder.

    Args:
        caption: what to tell the reader of the page that `encode` writes.
        on_top: whether a population's activations can be encoded by it.
    """

    caption: str = ""
    on_top: bool = False


@dataclass(frozen=True)
class Loss(Choice):
    """A loss.

    Args:
        task: what it is a loss of; None if nobody knows.
        in_place_of: the loss of classes whose part it plays in its task.
    """

    task: str | None = None
    in_place_of: str = ""


@dataclass(frozen=True)
class Units(Choice):
    """A neuron of the hidden layers, or a function that builds a whole network of units that remember.

    Args:
        network: whether it is such a function. Then --layers gives the sizes of its blocks or layers.
        unit: the class of the units that such a function is given, as `module:Class`; empty if it needs none.
        redrawn: whether the sizes of its weights are part of its design. Its units send real values, and its readout
            has no time.
        also: further options that it takes, from which the unit is made.
    """

    network: bool = False
    unit: str = ""
    redrawn: bool = False
    also: tuple[str, ...] = ()


def _same(*options: str) -> dict[str, str]:
    return {option: option for option in options}


CODES = Axis(
    Code,
    base="snnlearn.coding:AbstractEncoder",
    part="encoder",
    default="current",
    values=_same("num_steps", "dt", "max_rate", "latency_tau", "latency_threshold", "num_phases", "max_spikes")
    | _same("delta_threshold", "population")
    | {"on_top": "population_code", "frames": "series"},
    choices={
        "current": Code(
            "snnlearn.coding:Current",
            caption="The value itself, as a current in each step: the first layer of neurons does the coding.",
        ),
        "rate": Code(
            "snnlearn.coding:Rate",
            caption="Each step spikes at random, with a probability proportional to the value. Decoded by counting.",
            on_top=True,
        ),
        "poisson-rate": Code(
            "snnlearn.coding:PoissonRate",
            caption="A Poisson process in time steps: a step spikes if it contains an event. Decoded by counting.",
            on_top=True,
        ),
        "regular-rate": Code(
            "snnlearn.coding:RegularRate",
            caption="The value is the rate of evenly spaced spikes. Decoded by counting, to half a spike.",
            on_top=True,
        ),
        "latency": Code(
            "snnlearn.coding:Latency",
            {"tau": "latency_tau", "threshold": "latency_threshold"},
            caption="The value charges a leaky membrane: a larger one spikes earlier, a small one never.",
            on_top=True,
        ),
        "linear-latency": Code(
            "snnlearn.coding:LinearLatency",
            {"threshold": "latency_threshold"},
            caption="The time of the single spike falls linearly with the value.",
            on_top=True,
        ),
        "rank-order": Code(
            "snnlearn.coding:RankOrder",
            {"threshold": "latency_threshold"},
            caption="One unit fires per step, the largest value first. Only the order is transmitted; it is decoded as "
            "0.9 to the power of the rank.",
        ),
        "phase": Code(
            "snnlearn.coding:Phase",
            caption="The binary digits of the value, most significant first, cycle after cycle.",
        ),
        "burst": Code(
            "snnlearn.coding:Burst",
            caption="A larger value sends more spikes, and sends them faster.",
        ),
        "population": Code(
            "snnlearn.coding:Population",
            {"encoder": "on_top", "num_neurons": "population"},
            caption="Each value drives neurons that prefer different values; the better they fit, the sooner or the "
            "more they fire.",
        ),
        # The receiver's guess before the first event: the middle of the range.
        "delta": Code(
            "snnlearn.coding:Delta",
            {"num_steps": "frames", "threshold": "delta_threshold", "initial": 0.5},
            caption="A spike wherever the signal changes by the threshold from one frame to the next: up in blue, down "
            "in red. Slow changes are lost.",
        ),
        "send-on-delta": Code(
            "snnlearn.coding:SendOnDelta",
            {"num_steps": "frames", "threshold": "delta_threshold", "initial": 0.5},
            caption="A spike whenever the signal is a threshold away from the receiver's estimate: up in blue, down in "
            "red. If the signal is slow enough, the estimate stays within the threshold.",
        ),
    },
)
ON_TOP = replace(
    CODES,
    choices={name: code for name, code in CODES.choices.items() if code.on_top},
    default="linear-latency",
)
"""Codes of a population's activations."""

SURROGATES = Axis(
    Choice,
    base="snnlearn.neurons:AbstractSurrogate",
    part="surrogate",
    default="triangle",
    values={"slope": "surrogate_slope", "width": "surrogate_slope", "dt": "dt"},
    choices={
        "fast-sigmoid": Choice("snnlearn.neurons:FastSigmoid"),
        "sigmoid": Choice("snnlearn.neurons:Sigmoid"),
        "atan": Choice("snnlearn.neurons:Atan", {"alpha": "slope"}),
        "triangle": Choice("snnlearn.neurons:Triangle"),
        "boxcar": Choice("snnlearn.neurons:Boxcar"),
        "gaussian": Choice("snnlearn.neurons:Gaussian", {"sigma": "width"}),
    },
)

_RECURRENT = {"hidden_size": "hidden_sizes", "neuron": "unit"}

NEURONS = Axis(
    Units,
    base="snnlearn.neurons:AbstractNeuron",
    part="neuron",
    default="lif",
    values=_same("tau_mem", "tau_syn", "tau_adapt", "beta", "frequency", "surrogate", "reset", "refractory", "dt")
    | _same("state_size", "r_min", "r_max", "dropout", "readout")
    | {"in_size": "data", "out_size": "data", "key": "seed"}
    | {"hidden_size": "layers", "hidden_sizes": "layers", "depth": "layers", "unit": "dt"},
    choices={
        "lif": Units("snnlearn.neurons:LIF"),
        "cuba-lif": Units("snnlearn.neurons:CubaLIF"),
        "alif": Units("snnlearn.neurons:ALIF"),
        "if": Units("snnlearn.neurons:IF"),
        "adex": Units("snnlearn.neurons:AdEx"),
        "dpi": Units("snnlearn.neurons:DPI"),
        "axon-hillock": Units("snnlearn.neurons:AxonHillock"),
        "rectifier": Units("snnlearn.neurons:Rectifier"),
        "quantised": Units("snnlearn.neurons:QuantisedRectifier"),
        "resonate-and-fire": Units("snnlearn.neurons:ResonateAndFire"),
        "lru": Units(
            "snnlearn.network:deep_lru",
            {"activation": "unit"},
            network=True,
            unit="snnlearn.neurons:GELU",
            redrawn=True,
        ),
        "spiking-lru": Units(
            "snnlearn.network:spiking_lru",
            {"neuron": "unit"},
            network=True,
            unit="snnlearn.network:threshold",
            also=("surrogate",),
        ),
        "rnn": Units(
            "snnlearn.network:recurrent", _RECURRENT, network=True, unit="snnlearn.neurons:Tanh", redrawn=True
        ),
        "gru": Units("snnlearn.network:recurrent", _RECURRENT, network=True, unit="snnlearn.neurons:GRU", redrawn=True),
        "lstm": Units(
            "snnlearn.network:recurrent", _RECURRENT, network=True, unit="snnlearn.neurons:LSTM", redrawn=True
        ),
    },
)

DELAY_KERNELS = Axis(
    Choice,
    base="snnlearn.network:AbstractDelayKernel",
    part="kernel",
    default="interpolated",
    values={"wide": "delays"},
    choices={
        "interpolated": Choice("snnlearn.network:InterpolatedDelay"),
        "gaussian": Choice("snnlearn.network:GaussianDelay"),
    },
)

READOUTS = Axis(
    Choice,
    base="snnlearn.coding:AbstractDecoder",
    part="decoder",
    default="mean",
    values=_same("dt") | {"target_steps": "data"},
    choices={
        "mean": Choice("snnlearn.coding:MeanMembrane"),
        "max": Choice("snnlearn.coding:MaxMembrane"),
        "last": Choice("snnlearn.coding:LastMembrane"),
        "last-steps": Choice("snnlearn.coding:LastSteps", {"steps": "target_steps"}),
        "count": Choice("snnlearn.coding:SpikeCount"),
        "first-spike": Choice("snnlearn.coding:FirstSpike"),
    },
)

LOSSES = Axis(
    Loss,
    base="snnlearn.losses:AbstractLoss",
    part="loss",
    default="cross-entropy",
    values={"decoder": "readout", "num_classes": "data", "scale": "data", "distance": "dt", "dt": "dt"},
    choices={
        "cross-entropy": Loss("snnlearn.losses:CrossEntropy", task="classification"),
        "mean-squared": Loss("snnlearn.losses:ClassMeanSquaredError", task="classification"),
        "stepwise-cross-entropy": Loss("snnlearn.losses:StepwiseCrossEntropy", task="classification"),
        "van-rossum": Loss("snnlearn.losses:ClassSpikeTrains", task="classification"),
        "squared-error": Loss("snnlearn.losses:ValueMeanSquaredError", task="regression", in_place_of="cross-entropy"),
        "stepwise-squared-error": Loss(
            "snnlearn.losses:StepwiseValueMeanSquaredError", task="regression", in_place_of="stepwise-cross-entropy"
        ),
        "label-cross-entropy": Loss(
            "snnlearn.losses:LabelCrossEntropy", task="multi-label", in_place_of="cross-entropy"
        ),
        "stepwise-label-cross-entropy": Loss(
            "snnlearn.losses:StepwiseLabelCrossEntropy", task="multi-label", in_place_of="stepwise-cross-entropy"
        ),
    },
)

RULES = Axis(
    Choice,
    base="snnlearn.rules:AbstractRule",
    part="rule",
    default="bptt",
    values=_same("segment", "truncate", "draws", "sigma", "dt") | {"pairs": "draws", "random_feedback": "seed"},
    settles={"readout": "usual_decoder", "loss": "usual_loss"},
    choices={
        "bptt": Choice("snnlearn.rules:BPTT"),
        "truncated-bptt": Choice("snnlearn.rules:TruncatedBPTT", {"steps": "truncate"}),
        "rtrl": Choice("snnlearn.rules:RTRL"),
        "diagonal-rtrl": Choice("snnlearn.rules:DiagonalRTRL"),
        "eprop": Choice("snnlearn.rules:EProp"),
        "eprop-random": Choice("snnlearn.rules:EProp", {"feedback": "random_feedback"}),
        "ottt": Choice("snnlearn.rules:OTTT"),
        "superspike": Choice("snnlearn.rules:SuperSpike"),
        "forward-gradient": Choice("snnlearn.rules:ForwardGradient", {"num_tangents": "draws"}),
        "node-perturbation": Choice("snnlearn.rules:NodePerturbation", {"num_samples": "draws"}),
        "weight-perturbation": Choice("snnlearn.rules:WeightPerturbation", {"num_samples": "draws"}),
        "evolution-strategy": Choice("snnlearn.rules:EvolutionStrategy", {"num_pairs": "pairs"}),
        "eventprop": Choice("snnlearn.rules:EventProp"),
        "xie-seung": Choice("snnlearn.rules:XieSeung"),
    },
)

DATA = Axis(
    Choice,
    base="",
    part="",
    default="digits",
    values=_same("validation", "test", "split_seed", "data_folder", "num_steps", "dt", "horizon", "delay")
    | {"after_42": "split_seed"},
    others="a file or folder of data",
    choices={
        "digits": Choice("snnlearn.data:digits", {"seed": "split_seed"}),
        "mnist": Choice("snnlearn.data:mnist", {"folder": "data_folder", "seed": "split_seed"}),
        "fashion-mnist": Choice("snnlearn.data:fashion_mnist", {"folder": "data_folder", "seed": "split_seed"}),
        # The published points are those of seed 42, as are the published signals of mnist-1d.
        "yin-yang": Choice("snnlearn.data:yin_yang", {"seed": "after_42"}),
        "randman": Choice("snnlearn.data:randman", {"seed": "split_seed"}),
        "spike-xor": Choice("snnlearn.data:spike_xor", {"seed": "split_seed"}),
        "mackey-glass": Choice("snnlearn.data:mackey_glass", {"seed": "split_seed"}),
        "narma": Choice("snnlearn.data:narma", {"seed": "split_seed"}),
        "copy": Choice("snnlearn.data:copy", {"seed": "split_seed"}),
        "adding": Choice("snnlearn.data:adding", {"seed": "split_seed", "length": "delay"}),
        "mnist-1d": Choice("snnlearn.data:mnist1d", {"seed": "after_42"}),
        "delayed-xor": Choice("snnlearn.data:delayed_xor", {"seed": "split_seed"}),
        "store-recall": Choice("snnlearn.data:store_recall", {"seed": "split_seed"}),
        "evidence-accumulation": Choice("snnlearn.data:evidence_accumulation", {"seed": "split_seed"}),
    },
)

CONVERSIONS = Axis(
    Choice,
    base="snnlearn.conversion:AbstractConversion",
    part="method",
    default="percentile",
    values=_same("percentile", "charge"),
    choices={
        "percentile": Choice("snnlearn.conversion:PercentileNormalisation"),
        "maximum": Choice("snnlearn.conversion:MaximumNormalisation"),
        "calibration": Choice("snnlearn.conversion:Calibration"),
        "qcfs": Choice("snnlearn.conversion:QCFS"),
        "threshold-balancing": Choice("snnlearn.conversion:ThresholdBalancing"),
        "weight-norm-bound": Choice("snnlearn.conversion:WeightNormBound"),
    },
)

OPTIMIZERS = Axis(
    Choice,
    base="",
    part="",
    default="adam",
    values=_same("learning_rate", "weight_decay"),
    choices={
        "adam": Choice("optax:adam"),
        "adamw": Choice("snnlearn.algorithms:adamw"),
        "adamax": Choice("optax:adamax"),
        "rmsprop": Choice("optax:rmsprop"),
        "sgd": Choice("optax:sgd", {"momentum": 0.9}),
    },
)

CHIPS = Axis(
    Choice,
    base="",
    part="",
    default="ideal",
    values=_same("mismatch"),
    choices={
        "ideal": Choice("snnlearn.circuits:ideal"),
        "brainscales-2": Choice("snnlearn.circuits:brainscales_2"),
        "dynap-se1": Choice("snnlearn.circuits:dynap_se1"),
        "dynap-se2": Choice("snnlearn.circuits:dynap_se2"),
        "loihi-2": Choice("snnlearn.circuits:loihi_2"),
        "speck": Choice("snnlearn.circuits:speck"),
        "xylo": Choice("snnlearn.circuits:xylo"),
    },
)
