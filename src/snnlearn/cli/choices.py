"""What the names on the command line stand for, as plain data: nothing here needs JAX.

A component is built from the options that are called as its fields are; the table says which are called otherwise, and
what else the command line must know. A class of one's own needs no line here: it is named `module:Class`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from snnlearn._errors import SnnlearnError


@dataclass(frozen=True)
class Choice:
    """A class that has a name.

    Args:
        path: the class, as `module:Class`.
        fields: what fills a field, where it is called otherwise: a value of the axis by its name, or a number.
    """

    path: str
    fields: Mapping[str, str | float] = field(default_factory=dict)


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


C = TypeVar("C", bound=Choice)


@dataclass(frozen=True, eq=False)  # by identity, since what stands beside a type must have a hash
class Axis(Generic[C]):
    """A part of a training that is chosen by name.

    Args:
        kind: of what is known of each choice.
        base: the abstract base of its classes.
        part: the field of another component that holds one.
        choices: by name.
        values: what its classes' fields are filled with, and the option that each comes from.
        default: the name of what stands inside a class of one's own that wraps another and says not which.
    """

    kind: type[C]
    base: str
    part: str
    choices: Mapping[str, C]
    values: Mapping[str, str]
    default: str

    def __getitem__(self, name: str) -> C:
        return self.choices[name] if name in self.choices else self.kind(name)

    @property
    def metavar(self) -> str:
        """How help shows what can be given."""
        return f"{{{','.join(self.choices)},MODULE:CLASS}}"

    def fault(self, name: str) -> str | None:
        """What is wrong with a name and what to give, as a clause; None if it stands for a class."""
        if name in self.choices:
            return None
        try:
            _own(name, self)
        except _NoChoice as fault:
            return str(fault)
        return None

    def load(self, name: str) -> type:
        """The class that a name stands for.

        Raises:
            SnnlearnError: if there is none, or it is no class of this axis.
        """
        if name in self.choices:
            return pkgutil.resolve_name(self.choices[name].path)
        try:
            return _own(name, self)
        except _NoChoice as fault:
            raise SnnlearnError(f"{name}: {fault}") from fault

    def build(self, name: str, values: Mapping[str, Any]) -> Any:
        """What a name stands for, its fields filled from the values that are called as they are, or as the table says.

        A field that nothing fills keeps its default. A class that wraps another of the axis, and has no default for
        it, gets the axis's.

        Args:
            name: the name.
            values: those of the axis; None is no value, and others than the axis's are not looked at.

        Raises:
            SnnlearnError: if there is no such class, or a field without a default that nothing fills.
        """
        given: dict[str, Any] = {}
        for argument, source, needed in self._fields(name):
            value = source
            if isinstance(source, str):
                value = values.get(source) if source in self.values else None
            if value is None and needed:
                if argument != self.part:
                    known = ", ".join([*self.values, self.part])
                    raise SnnlearnError(
                        f"{name} needs {argument}, which no option fills; give it a default, or one of these names: "
                        f"{known}"
                    )
                value = self.build(self.default, values)
            if value is not None:
                given[argument] = value
        return self.load(name)(**given)

    def taken(self, name: str) -> tuple[str, ...]:
        """The options that fill the fields of what a name stands for, or of what stands inside."""
        found: list[str] = []
        for argument, source, needed in self._fields(name):
            if source in self.values:
                found.append(self.values[str(source)])
            elif needed and argument == self.part:
                found += self.taken(self.default)
        return tuple(found)

    def takes(self, name: str, value: str) -> bool:
        """Whether a value fills a field of what a name stands for; else it need not be made."""
        return any(source == value for _, source, _ in self._fields(name))

    def _fields(self, name: str) -> list[tuple[str, str | float, bool]]:
        """Of each argument of a class: its name, what fills it, and whether it must be filled."""
        rest = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        arguments = [one for one in inspect.signature(self.load(name)).parameters.values() if one.kind not in rest]
        return [(one.name, self[name].fields.get(one.name, one.name), one.default is one.empty) for one in arguments]


class _NoChoice(Exception):
    """Why a name stands for no class, as a clause."""


def is_own(name: str) -> bool:
    """Whether a name is that of a class of one's own.

    >>> is_own("package.module:Class"), is_own("alif"), is_own("a b:c")
    (True, False, False)
    """
    module, _, cls = name.partition(":")
    return all(part.isidentifier() for part in (*module.split("."), cls))


def shown(name: str) -> str:
    """A name as titles have it.

    >>> shown("alif"), shown("package.module:Class")
    ('ALIF', 'Class')
    """
    return name.partition(":")[2] or name.upper()


def like(name: str, names: list[str]) -> str | None:
    """The name that was meant, as a clause; None if none is like it."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}?" if close else None


def _own(path: str, axis: Axis) -> type:
    """A class of one's own, imported."""
    if not is_own(path):
        names = f"give one of {', '.join(axis.choices)}, or a class of your own as module:Class"
        raise _NoChoice(like(path, list(axis.choices)) or names)
    module, _, name = path.partition(":")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)  # as python -m does
    try:
        found = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever stands in the file
        missing = isinstance(error, ModuleNotFoundError) and module.startswith(error.name or "")
        what = "run from the folder that it is in, or put that on PYTHONPATH" if missing else "mend it"
        raise _NoChoice(f"{module} cannot be imported ({type(error).__name__}: {error}); {what}") from error
    cls, base = getattr(found, name, None), pkgutil.resolve_name(axis.base)
    if not isinstance(cls, type):
        classes = [name for name, thing in vars(found).items() if isinstance(thing, type) and issubclass(thing, base)]
        raise _NoChoice(f"{module} has no class {name}; {like(name, classes) or 'give one that it has'}")
    if not issubclass(cls, base):
        raise _NoChoice(f"it is no {base.__name__}; derive it from {axis.base.replace(':', '.')}")
    if inspect.isabstract(cls):
        raise _NoChoice(f"it is abstract; write its {', '.join(sorted(cls.__abstractmethods__))}")
    return cls


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
