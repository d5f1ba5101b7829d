"""The network that the options name."""

from __future__ import annotations

import dataclasses
import inspect
import math
import pkgutil
import re
from collections.abc import Collection
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from snnlearn import coding, network, neurons
from snnlearn._errors import SnnlearnError
from snnlearn.cli.choices import DELAY_KERNELS, NEURONS, READOUTS, RULES, SURROGATES
from snnlearn.cli.config import read_config
from snnlearn.cli.options import Train
from snnlearn.cli.options.shared import Codes
from snnlearn.data import Dataset
from snnlearn.hypothesis import check_size

# Of sizes in --layers: an array has fewer than 2^63 numbers, and a layer's shape is a product of three.
_MOST_DIGITS = 6


def artificial(options: Any) -> bool:
    """Whether the units are those of an artificial network, to which each step of the data is one step."""
    if (name := getattr(options, "neuron", None)) is None:
        return False
    return NEURONS[name].redrawn or (
        not NEURONS[name].network and issubclass(NEURONS.load(name), neurons.AbstractStateless)
    )


def of_sequences(options: Any) -> bool:
    """Whether the network is one that is made for sequences."""
    return NEURONS[options.neuron].network


def structure(options: Train, task: Dataset, code: coding.AbstractEncoder) -> network.Network:
    """The network; its weights are drawn when a training starts."""
    shapes = eqx.filter_eval_shape(lambda: _structure(options, task, code))
    # At the start 256 samples measure what drives the layers; Adam has two numbers for each parameter.
    samples = max(options.counts()[1], min(256, len(task.train.y)))
    check_size(code, shapes, samples=samples * options.seeds, copies=4 * options.seeds)
    return _structure(options, task, code)


def _structure(options: Train, task: Dataset, code: coding.AbstractEncoder) -> network.Network:
    if of_sequences(options):
        return _of_sequences(options, task, code)
    key = jax.random.key(0)
    layers: list[network.Layer] = []
    pools: list[network.AbstractSynapses] = []
    shape = _arriving(options, task, code)
    for spec in options.layers:
        synapses = _synapses(spec, shape, options.bias, key)
        shape = synapses.out_shape
        if isinstance(synapses, network.AveragePool2d):
            pools.append(synapses)
            continue
        loop = network.Dense(shape[0], shape[0], key=key) if options.recurrent and len(shape) == 1 else None
        arriving = _late(options, _chain(pools, synapses), code)
        layers.append(network.Layer(arriving, _neuron(options, shape, code.dt), loop))
        pools = []
    outputs = decoder_of(options, task, code.dt).num_units(task.num_outputs)
    readout = network.Dense(math.prod(shape), outputs, use_bias=options.bias, key=key)
    layers.append(network.Layer(_chain(pools, readout), _readout(options, code.dt)))
    return network.Network(tuple(layers))


def _arriving(options: Train, task: Dataset, code: coding.AbstractEncoder) -> tuple[int, ...]:
    """The shape of the input of a step."""
    shape = code.out_shape(task.shape)
    # The neurons of a value, or ON and OFF, are an axis more, which is none of an image.
    return (math.prod(shape),) if len(shape) > len(task.shape) - options.series else shape


def _of_sequences(options: Train, task: Dataset, code: coding.AbstractEncoder) -> network.Network:
    """A whole network, by the function that its name stands for."""
    sizes = _sizes(options)
    values = _of_units(options, (), code.dt) | {
        "in_size": math.prod(_arriving(options, task, code)),
        "out_size": decoder_of(options, task, code.dt).num_units(task.num_outputs),
        "hidden_size": sizes[0],
        "hidden_sizes": sizes,
        "depth": len(sizes),
        "state_size": options.state_size or sizes[0],
        "readout": _readout(options, code.dt),
        "key": jax.random.key(0),
    }
    unit = pkgutil.resolve_name(NEURONS[options.neuron].unit)
    taken = inspect.signature(unit).parameters
    values["unit"] = unit(**{name: one for name, one in values.items() if name in taken and one is not None})
    return NEURONS.build(options.neuron, values)


def _sizes(options: Train) -> tuple[int, ...]:
    """Those of the blocks or layers."""
    shown = " ".join(options.layers)
    if not options.layers or not all(re.fullmatch(rf"(?a:\d{{1,{_MOST_DIGITS}}})", spec) for spec in options.layers):
        raise SnnlearnError(f"--layers is {shown!r}; give {options.neuron} numbers of units, such as 64 64")
    sizes = tuple(map(int, options.layers))
    if "depth" in inspect.signature(NEURONS.load(options.neuron)).parameters and len(set(sizes)) > 1:
        raise SnnlearnError(
            f"--layers is {shown!r}, but the blocks of {options.neuron} have the same number of units; give it once "
            "for each block, such as 64 64"
        )
    return sizes


def _chain(pools: list[network.AbstractSynapses], synapses: network.AbstractSynapses) -> network.AbstractSynapses:
    return network.Chain(*pools, synapses) if pools else synapses


def _late(options: Train, synapses: network.AbstractSynapses, code: coding.AbstractEncoder) -> network.AbstractSynapses:
    """The synapses with a delay of each pair, if delays are to be learned."""
    if options.delays is None:
        return synapses
    if not isinstance(synapses, network.Dense):
        raise SnnlearnError("--delays are those of dense layers; drop it, or the convolutions and poolings in --layers")
    longest = round(options.delays / code.dt)
    if not 1 <= longest < code.num_steps:
        raise SnnlearnError(
            f"--delays is {options.delays:g} s, but a sample has {code.num_steps} steps of {code.dt:g} s; give from "
            f"{code.dt:g} to {code.dt * (code.num_steps - 1):g}"
        )
    middle = jnp.full((*synapses.out_shape, *synapses.in_shape), longest / 2)
    # As wide at the start as the authors' for delays up to 25 steps.
    kernel = DELAY_KERNELS.build(options.delay_kernel, {"wide": max(0.5, longest / 2)})
    return network.DelayedSynapses(synapses, middle, longest, kernel)


def _synapses(spec: str, shape: tuple[int, ...], bias: bool, key: jax.Array) -> network.AbstractSynapses:
    match = re.fullmatch(
        r"(?a:(?P<dense>\d+)|p(?P<pool>\d+)|(?P<channels>\d+)c(?P<kernel>\d+)(p(?P<padding>\d+))?)", spec
    )
    if match is None:
        raise SnnlearnError(
            f"--layers has {spec!r}; give numbers of units such as 256, convolutions such as 16c5 or "
            "16c5p2, or poolings such as p2"
        )
    if max(map(len, re.findall(r"\d+", spec))) > _MOST_DIGITS:
        raise SnnlearnError(f"--layers has {spec[:40]!r}; give numbers below {10**_MOST_DIGITS:,}")
    number = {name: int(text) for name, text in match.groupdict().items() if text is not None}
    if "dense" in number:
        return network.Dense(math.prod(shape), number["dense"], use_bias=bias, key=key)
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3:
        raise SnnlearnError(f"--layers has {spec!r}, but its input of shape {shape} is not an image; use dense layers")
    if "pool" in number:
        return network.AveragePool2d(shape, number["pool"])
    padding = number.get("padding", 0)
    return network.Conv2d(shape, number["channels"], number["kernel"], padding=padding, use_bias=bias, key=key)


def _neuron(options: Train, shape: tuple[int, ...], dt: float) -> neurons.AbstractNeuron:
    values = _of_units(options, shape, dt)
    if options.train_time_constants and len(shape) == 1:
        values |= {name: jnp.full(shape, values[name]) for name in NEURONS.values if name.startswith("tau_")}
    given = NEURONS.arguments(options.neuron, values)
    if options.train_time_constants and len(shape) == 1:
        given |= {name: jnp.full(shape, tau) for name, tau in _own_time_constants(options).items()}
    neuron = NEURONS.load(options.neuron)(**given)
    return neurons.EscapeNoise(neuron) if options.escape_noise else neuron  # pyright: ignore[reportCallIssue]


def _own_time_constants(options: Train) -> dict[str, float]:
    """Those of the neuron that no option fills, such as that of AdEx's adaptation, s."""
    fields = inspect.signature(NEURONS.load(options.neuron)).parameters
    return {
        name: field.default
        for name, field in fields.items()
        if name.startswith("tau_") and name not in NEURONS.values and isinstance(field.default, float)
    }


def _of_units(options: Train, shape: tuple[int, ...], dt: float) -> dict[str, Any]:
    """What fills the fields of the hidden layers' units."""
    _check_resolved(options, dt, *(name for name in NEURONS.taken(options.neuron) if name.startswith("tau_")))
    return vars(options) | {
        "frequency": _frequencies(options, shape, dt),
        "surrogate": _surrogate(options, dt),
        "reset": _reset(options),
        "refractory": neurons.Refractory(options.refractory) if options.refractory != 0 else None,
        "dt": dt,
    }


_RESETS = {"subtract": neurons.Subtract(), "zero": neurons.ToValue(), "none": neurons.NoReset()}


def _reset(options: Train) -> neurons.AbstractReset | neurons.NextStep | None:
    """The reset; None for that of the neuron."""
    if not options.reset_next_step:
        return None if options.reset is None else _RESETS[options.reset]
    if options.reset == "none":
        raise SnnlearnError("--reset-next-step has no effect with --reset none; drop one of them")
    return neurons.NextStep(_RESETS[options.reset or "subtract"])


def _frequencies(options: Train, shape: tuple[int, ...], dt: float) -> Any:
    """Of the units of a layer, or of its channels, evenly from the first to the second number."""
    low, high = options.frequency
    if "frequency" in NEURONS.taken(options.neuron) and max(low, high) >= 0.5 / dt:
        raise SnnlearnError(
            f"--frequency has {max(low, high):g} Hz, which steps of {dt:g} s cannot show; give less than {0.5 / dt:g}"
        )
    each = jnp.asarray(np.linspace(low, high, shape[0] if shape else 1).reshape(-1, *(1,) * (len(shape) - 1)))
    trained = options.train_time_constants and len(shape) == 1
    return each if trained else neurons.Constant(each)  # pyright: ignore[reportArgumentType, reportCallIssue]


def _check_resolved(options: Train, dt: float, *names: str) -> None:
    """Refuse time constants below the time step, by the names of their options."""
    for name in names:
        if dt > getattr(options, name):
            option = name.replace("_", "-")
            raise SnnlearnError(
                f"dt = {dt} s is longer than --{option} {getattr(options, name)}; choose dt at most {option}"
            )


def _surrogate(options: Train, dt: float) -> neurons.AbstractSurrogate:
    slope = options.surrogate_slope
    values = {"slope": slope, "width": None if slope is None else 1 / slope, "dt": dt}
    return SURROGATES.build(options.surrogate, values)


def _readout(options: Train, dt: float) -> neurons.AbstractNeuron:
    reads_spikes = READOUTS.load(readout_of(options)).reads_spikes
    if artificial(options):
        if reads_spikes:
            raise SnnlearnError(
                f"--readout {readout_of(options)} reads spikes, and the readout of {options.neuron} has none; use "
                "mean, max or last"
            )
        return neurons.Identity(dt=dt)
    if not reads_spikes:
        _check_resolved(options, dt, "tau_out")
        return neurons.LI(tau_mem=options.tau_out, dt=dt)
    name = NEURONS.name_of(RULES.load(options.rule).usual_readout)
    _check_resolved(options, dt, "tau_out", *(["tau_syn"] if "tau_syn" in NEURONS.taken(name) else []))
    values = {"tau_mem": options.tau_out, "tau_syn": options.tau_syn, "surrogate": _surrogate(options, dt), "dt": dt}
    neuron = NEURONS.build(name, values)
    return neurons.EscapeNoise(neuron) if options.escape_noise else neuron  # pyright: ignore[reportCallIssue]


def readout_of(options: Train) -> str:
    """The readout that is given, or the rule's."""
    return options.readout or READOUTS.name_of(RULES.load(options.rule).usual_decoder)


def decoder_of(options: Train, task: Dataset, dt: float) -> coding.AbstractDecoder:
    """The readout's, without the units or labels of the task."""
    return READOUTS.build(readout_of(options), {"dt": dt, "target_steps": task.target_steps})


def check_effect(options: Train) -> None:
    """Refuse options of the network that are not as usual and do nothing, given the units.

    Raises:
        SnnlearnError: naming the first of them.
    """
    if options.start is not None:
        return  # see check_start
    usual, name, used = Train(), options.neuron, _used(options)
    for option in _OF_NETWORKS:
        if option not in used and getattr(options, option) != getattr(usual, option):
            raise SnnlearnError(
                f"--{option.replace('_', '-')} has no effect on {name}; drop it, or see what train --neuron {name} "
                "--help says that it takes"
            )


def check_start(options: Train, task: Dataset, varied: Collection[str] = ()) -> None:
    """Refuse options that the network of --start replaces, and its code; those of --config may be its own.

    Args:
        options: as given.
        task: the data; where they are events, the time steps are theirs.
        varied: options that take several values.

    Raises:
        SnnlearnError: naming the first of them.
    """
    if options.start is None:
        return
    kind = type(options)
    usual = kind() if options.config is None else read_config(options.config, kind, allow=options.allow)
    replaced = {"layers", "neuron", "encode", "scale", "series", *_OF_NETWORKS} - {"rate_band", "rate_band_weight"}
    replaced |= {field.name for field in dataclasses.fields(Codes)}
    if task.kind == "values":
        replaced |= {"num_steps", "dt"}
    for option in (field.name for field in dataclasses.fields(Train)):
        if option in replaced and (option in varied or getattr(options, option) != getattr(usual, option)):
            raise SnnlearnError(
                f"--{option.replace('_', '-')} has no effect with --start, whose network and code are those of "
                f"{options.start}; drop one of the two"
            )


_OF_UNITS = ("tau_mem", "tau_syn", "tau_adapt", "beta", "frequency", "surrogate", "reset", "refractory")
_OF_BLOCKS = ("state_size", "r_min", "r_max", "dropout")
_OF_LAYERS = ("recurrent", "bias", "delays", "escape_noise")
_OF_SPIKES = ("tau_out", "xi", "rate_band")
_OF_NETWORKS = (
    *(*_OF_UNITS, *_OF_BLOCKS, *_OF_LAYERS, *_OF_SPIKES),
    *("surrogate_slope", "reset_next_step", "train_time_constants", "rate_band_weight", "delay_kernel"),
)


def _used(options: Train) -> set[str]:
    """The options of the network that do something."""
    choice, used = NEURONS[options.neuron], {*NEURONS.taken(options.neuron), *NEURONS[options.neuron].also}
    if not choice.network:
        used |= set(_OF_LAYERS)
        if any(name.startswith("tau_") for name in inspect.signature(NEURONS.load(options.neuron)).parameters):
            used.add("train_time_constants")
    if not choice.redrawn:
        used |= set(_OF_SPIKES)
    if READOUTS.load(readout_of(options)).reads_spikes:
        used |= {"surrogate", *NEURONS.taken(NEURONS.name_of(RULES.load(options.rule).usual_readout))} - {"reset"}
    used |= {"surrogate_slope"} if "surrogate" in used else set()
    used |= {"reset_next_step"} if "reset" in used else set()
    used |= {"rate_band_weight"} if options.rate_band is not None else set()
    used |= {"delay_kernel"} if options.delays is not None else set()
    return used
