"""The table of names and the classes that it speaks of say the same."""

from __future__ import annotations

import inspect
import pkgutil
import typing

import pytest

from snnlearn import SnnlearnError, neurons, rules
from snnlearn.cli import choices, main
from snnlearn.cli.axis import Axis
from snnlearn.cli.options import Convert, Deploy, Encode, Role, Train, axes, roles

AXES = {name: thing for name, thing in vars(choices).items() if isinstance(thing, Axis)}


@pytest.mark.parametrize(("of", "name"), [(of, name) for of, axis in AXES.items() for name in axis.choices])
def test_the_table_is_that_of_the_classes(of, name):
    """A class of the axis, whose arguments are those that the table fills, with values that the axis has."""
    axis = AXES[of]
    cls, fields = axis.load(name), axis[name].fields
    if axis.base and not getattr(axis[name], "network", False):
        assert issubclass(cls, pkgutil.resolve_name(axis.base)) and not inspect.isabstract(cls)
    else:
        assert inspect.isfunction(cls)
    arguments = inspect.signature(cls).parameters
    assert set(fields) <= set(arguments)
    assert all(source in axis.values for source in fields.values() if isinstance(source, str))
    assert all(isinstance(source, (str, float)) for source in fields.values())
    needed = {argument.name for argument in arguments.values() if argument.default is argument.empty}
    assert {fields.get(argument, argument) for argument in needed} <= set(axis.values)
    assert type(axis[name]) is axis.kind and axis.fault(name) is None


@pytest.mark.parametrize("of", AXES)
def test_every_value_fills_something_and_comes_from_an_option(of):
    axis = AXES[of]
    filled = {value for value in axis.values for name in axis.choices if axis.takes(name, value)}
    # Those that classes of one's own alone have, and those of codes that are on top of no population.
    beyond = set(axis.values) if of == "ON_TOP" else {"dt"}
    assert set(axis.values) - filled <= beyond
    options = {"CONVERSIONS": Convert, "CHIPS": Deploy}.get(of, Train)
    assert set(axis.values.values()) <= set(typing.get_type_hints(options))
    assert axis.default in axis.choices


def test_what_a_rule_and_a_loss_need_has_a_name():
    for rule in map(choices.RULES.load, choices.RULES.choices):
        for axis, needed in (
            (choices.READOUTS, rule.usual_decoder),
            (choices.NEURONS, rule.usual_readout),
            (choices.LOSSES, rule.usual_loss),
        ):
            assert axis.name_of(needed) in axis.choices
    needed = {choices.LOSSES.load(name).decides_by for name in choices.LOSSES.choices} - {None}
    assert {choices.READOUTS.name_of(decoder) for decoder in needed} <= set(choices.READOUTS.choices)


@pytest.mark.parametrize(
    ("of", "package", "without"),
    [
        ("RULES", rules, {rules.OnlineXieSeung}),
        (
            "SURROGATES",
            neurons,
            {neurons.ExponentialEscape, neurons.MultiGaussian, neurons.Scaled, neurons.StraightThrough},
        ),
    ],
)
def test_every_class_has_a_name_or_is_known_to_have_none(of, package, without):
    """Without a name are those that options have other words for, or that need more than options say."""
    axis = AXES[of]
    base = pkgutil.resolve_name(axis.base)
    classes = {cls for cls in vars(package).values() if isinstance(cls, type) and issubclass(cls, base)}
    final = {cls for cls in classes if not cls.__name__.startswith("Abstract")}
    assert final - without == {axis.load(name) for name in axis.choices}


def test_each_name_is_an_option():
    chosen = {
        "data",
        "encode",
        "population_code",
        "neuron",
        "delay_kernel",
        "surrogate",
        "readout",
        "loss",
        "rule",
        "chip",
        "optimizer",
    }
    assert set(axes(Train)) == chosen
    assert set(axes(Encode)) == {"codes", "population_code"}


def test_help_says_what_a_choice_takes(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--neuron", "alif", "--rule=truncated-bptt", "--help"])
    said = capsys.readouterr().out
    assert "alif takes --tau-mem, --tau-adapt, --beta, --surrogate, --reset, --refractory, --dt.\n" in said
    assert "truncated-bptt takes --truncate.\n" in said
    assert "truncated-bptt defaults to --readout mean and --loss stepwise-cross-entropy.\n" in said
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "takes --" not in capsys.readouterr().out


def test_data_and_optimisers_are_choices_too(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--data", "mnist", "--optimizer", "adamw", "--help"])
    said = capsys.readouterr().out
    assert "mnist takes --data-folder, --validation, --split-seed.\n" in said
    assert "adamw takes --learning-rate, --weight-decay.\n" in said
    assert choices.DATA.fault("yinyang") == "did you mean yin-yang?"
    assert "or a file or folder of data" in str(choices.DATA.fault("zzz"))
    assert choices.DATA.fault("mine.npz") is None and choices.DATA.taken("mine.npz") == ()
    assert choices.OPTIMIZERS.fault("adm") == "did you mean adam?"
    assert choices.OPTIMIZERS.fault("snnlearn.algorithms:rmaxprop") is None
    assert choices.OPTIMIZERS.fault("snnlearn.algorithms:Optimizer") is not None
    with pytest.raises(SnnlearnError, match="mnist needs --data-folder"):
        choices.DATA.build("mnist", {"data_folder": None})


def test_what_is_no_part_of_a_run_and_what_a_sweep_shares():
    by = {role: {name for name, its in roles().items() if its is role} for role in Role}
    assert by[Role.PLACE] == {"config", "resume", "out", "distributed", "allow"}
    task = {
        "data",
        "data_folder",
        "start",
        "validation",
        "test",
        "split_seed",
        "seed",
        "seeds",
        "baseline",
        "label",
        "group",
        "time_unit",
        "task",
        "class_weight",
        "horizon",
        "delay",
        "sequence",
    }
    assert by[Role.TASK] == task


def test_an_option_of_another_part_of_the_same_name_fills_nothing():
    """`beta` is the strength of an adaptation, and the width of a population's tuning."""
    assert choices.CODES.taken("population") == ("population_code", "population")


def test_a_class_without_a_name_is_given_by_its_path():
    """What it wraps is the axis's default, with the options of that."""
    of_lif = choices.NEURONS.taken("lif")
    assert set(of_lif) == {"tau_mem", "surrogate", "reset", "refractory", "dt"}
    assert choices.NEURONS.taken("snnlearn.neurons:Filtered") == (*of_lif, "tau_syn")
    values = {"tau_mem": 0.03, "tau_syn": 0.004, "beta": 7.0, "refractory": None, "dt": 2e-3}
    built = choices.NEURONS.build("snnlearn.neurons:Filtered", values)
    assert built == neurons.Filtered(neurons.LIF(tau_mem=0.03, dt=2e-3), tau_syn=0.004)  # pyright: ignore
    with pytest.raises(SnnlearnError, match="Scaled needs scale, which no option fills"):
        choices.SURROGATES.build("snnlearn.neurons:Scaled", {})
