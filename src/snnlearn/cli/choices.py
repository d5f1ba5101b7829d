"""The table of names: classes, what fills their fields, and what else the command line must know of them.

It is plain data: choices, help, captions and objects are made from it, and `snnlearn --help` reads it without JAX. A
component's fields are filled from the options that are called as they are; the table says which are called otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from snnlearn.cli.axis import Axis, Choice


@dataclass(frozen=True)
class Code(Choice):
    """An encoder.

    Args:
        caption: what a reader of the page of `encode` should know.
        on_top: whether a population's activations can be encoded by it.
        of_changes: whether it encodes changes from frame to frame, one step for each.
    """

    caption: str = ""
    on_top: bool = False
    of_changes: bool = False


@dataclass(frozen=True)
class Decoder(Choice):
    """What decides.

    Args:
        of_spikes: whether it reads spikes of the readout, not its membrane.
    """

    of_spikes: bool = False


@dataclass(frozen=True)
class Loss(Choice):
    """A loss.

    Args:
        readout: the only one that it goes with; None for any.
        because: why, as a clause.
    """

    readout: str | None = None
    because: str = ""


@dataclass(frozen=True)
class Rule(Choice):
    """A learning rule.

    Args:
        loss: its default; None for that of its kind, stepwise-cross-entropy if it is online, else cross-entropy.
        readout: its default.
        readout_neuron: the neuron of a readout that spikes.
    """

    loss: str | None = None
    readout: str = "mean"
    readout_neuron: str = "lif"


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
            caption="Each step is a coin; the value is its chance of a spike. Read back by counting.",
            on_top=True,
        ),
        "poisson-rate": Code(
            "snnlearn.coding:PoissonRate",
            caption="A Poisson process seen through steps: a step spikes if it holds an event. Read back by counting.",
            on_top=True,
        ),
        "regular-rate": Code(
            "snnlearn.coding:RegularRate",
            caption="The value is the rate of evenly spaced spikes. Read back by counting, to half a spike.",
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
            caption="One unit fires per step, the largest value first. Only the order arrives, read back as 0.9 to the "
            "power of the rank.",
        ),
        "phase": Code(
            "snnlearn.coding:Phase",
            caption="The binary digits of the value, the half first, cycle after cycle.",
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
            of_changes=True,
        ),
        "send-on-delta": Code(
            "snnlearn.coding:SendOnDelta",
            {"num_steps": "frames", "threshold": "delta_threshold", "initial": 0.5},
            caption="A spike whenever the signal is a threshold away from what the receiver knows: up in blue, down "
            "in red. The receiver follows within the threshold, if the signal is slow enough.",
            of_changes=True,
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

NEURONS = Axis(
    Choice,
    base="snnlearn.neurons:AbstractNeuron",
    part="neuron",
    default="lif",
    values=_same("tau_mem", "tau_syn", "tau_adapt", "beta", "surrogate", "reset", "refractory", "dt"),
    choices={
        "lif": Choice("snnlearn.neurons:LIF"),
        "cuba-lif": Choice("snnlearn.neurons:CubaLIF"),
        "alif": Choice("snnlearn.neurons:ALIF"),
        "if": Choice("snnlearn.neurons:IF"),
    },
)

READOUTS = Axis(
    Decoder,
    base="snnlearn.coding:AbstractDecoder",
    part="decoder",
    default="mean",
    values=_same("dt"),
    choices={
        "mean": Decoder("snnlearn.coding:MeanMembrane"),
        "max": Decoder("snnlearn.coding:MaxMembrane"),
        "last": Decoder("snnlearn.coding:LastMembrane"),
        "count": Decoder("snnlearn.coding:SpikeCount", of_spikes=True),
        "first-spike": Decoder("snnlearn.coding:FirstSpike", of_spikes=True),
    },
)

LOSSES = Axis(
    Loss,
    base="snnlearn.losses:AbstractLoss",
    part="loss",
    default="cross-entropy",
    values={"decoder": "readout", "num_classes": "data", "distance": "dt", "dt": "dt"},
    choices={
        "cross-entropy": Loss("snnlearn.losses:CrossEntropy"),
        "mean-squared": Loss("snnlearn.losses:ClassMeanSquaredError"),
        "stepwise-cross-entropy": Loss(
            "snnlearn.losses:StepwiseCrossEntropy", readout="mean", because="decides by the mean membrane"
        ),
        "van-rossum": Loss(
            "snnlearn.losses:ClassSpikeTrains", readout="count", because="compares spikes of the readout"
        ),
    },
)

RULES = Axis(
    Rule,
    base="snnlearn.rules:AbstractRule",
    part="rule",
    default="bptt",
    values=_same("segment", "truncate", "draws", "sigma", "dt") | {"pairs": "draws", "random_feedback": "seed"},
    choices={
        "bptt": Rule("snnlearn.rules:BPTT"),
        "truncated-bptt": Rule("snnlearn.rules:TruncatedBPTT", {"steps": "truncate"}),
        "rtrl": Rule("snnlearn.rules:RTRL"),
        "eprop": Rule("snnlearn.rules:EProp"),
        "eprop-random": Rule("snnlearn.rules:EProp", {"feedback": "random_feedback"}),
        "ottt": Rule("snnlearn.rules:OTTT"),
        "superspike": Rule("snnlearn.rules:SuperSpike", loss="van-rossum", readout="count"),
        "forward-gradient": Rule("snnlearn.rules:ForwardGradient", {"num_tangents": "draws"}),
        "node-perturbation": Rule("snnlearn.rules:NodePerturbation", {"num_samples": "draws"}),
        "weight-perturbation": Rule("snnlearn.rules:WeightPerturbation", {"num_samples": "draws"}),
        "evolution-strategy": Rule("snnlearn.rules:EvolutionStrategy", {"num_pairs": "pairs"}),
        "eventprop": Rule("snnlearn.rules:EventProp", readout="first-spike", readout_neuron="cuba-lif"),
        "xie-seung": Rule("snnlearn.rules:XieSeung", readout="count"),
    },
)


def rules_by(fact: str) -> str:
    """Which rules differ in a fact from most, as help says it.

    >>> rules_by("readout")
    'count for superspike and xie-seung, first-spike for eventprop'
    """
    names: dict[str, list[str]] = {}
    for name, rule in RULES.choices.items():
        names.setdefault(getattr(rule, fact), []).append(name)
    del names[getattr(Rule(""), fact)]
    return ", ".join(f"{value} for {' and '.join(rules)}" for value, rules in names.items())
