"""Options as TOML: what a run writes is what it reads back."""

from __future__ import annotations

import dataclasses
import os
import typing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlearn._errors import SnnlearnError
from snnlearn.cli import commands, main
from snnlearn.cli.config import located, own_names, read_config, write_config
from snnlearn.cli.options import Train

ELSEWHERE = ("config", "resume", "out", "distributed", "allow")


def values(hint) -> st.SearchStrategy:
    """Any value of an option's type."""
    kinds = typing.get_args(hint)
    match typing.get_origin(hint):
        case typing.Literal:
            return st.sampled_from(kinds)
        case builtin if builtin is tuple:
            return st.lists(values(str)).map(tuple) if Ellipsis in kinds else st.tuples(*map(values, kinds))
    if type(None) in kinds:
        return st.none() | values(kinds[0])
    return {
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False),
        str: st.text() | st.just("a.b:Own"),
        Path: st.text("abc./ äß\"'\\", min_size=1).map(Path),
    }[hint]


HINTS = {name: hint for name, hint in typing.get_type_hints(Train).items() if name not in ELSEWHERE}


@settings(deadline=None, max_examples=50)
@given(st.fixed_dictionaries({}, optional={name: values(hint) for name, hint in HINTS.items()}))
def test_round_trip(tmp_path_factory, options):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(write_config(Train(**options)).encode())
    own = [name for value in options.values() for name in own_names(value)]
    assert read_config(path, allow=own) == located(Train(**options))


def test_the_strategy_covers_every_option():
    """A list, a pair and a path that need not be are among the types."""
    assert HINTS["layers"] == tuple[str, ...] and HINTS["rate_band"] == tuple[float, float] | None
    assert HINTS["data_folder"] == Path | None


def test_where_a_run_lies_is_no_part_of_it(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(write_config(Train(config=Path("b"), resume=Path("c"), out=Path("d"), epochs=7)))
    assert read_config(path) == Train(epochs=7)


def test_a_run_writes_its_options(finished, blobs):
    assert read_config(finished / "config.toml") == Train(
        data=str(blobs),
        layers=("16",),
        num_steps=8,
        epochs=12,
        batch_size=6,
        seeds=2,
        xi=1.0,
        learning_rate=0.1,
        scale="standard",
    )


def test_options_take_precedence_over_the_file(tmp_path, monkeypatch):
    """Given as two arguments and as one; hyphens and whole numbers in the file; a pair and a list on both sides."""
    path = tmp_path / "a.toml"
    path.write_text("epochs = 3\nbatch-size = 5\ntau_mem = 1\nlayers = ['7', '8']\nrate_band = [1, 2.5]\nbias = true\n")
    taken = []
    monkeypatch.setattr(commands, "train", lambda options: taken.append(options) or 0)
    file = Train(epochs=3, batch_size=5, tau_mem=1.0, layers=("7", "8"), rate_band=(1.0, 2.5), bias=True)
    expected = {
        "": file,
        "--epochs 9": dataclasses.replace(file, epochs=9),
        "--rate-band 3 4 --layers 9": dataclasses.replace(file, rate_band=(3.0, 4.0), layers=("9",)),
        "--no-bias": dataclasses.replace(file, bias=False),
    }
    for line, options in expected.items():
        assert main(["train", "--config", str(path), *line.split()]) == 0
        assert main(["train", *line.split(), f"--config={path}"]) == 0
        assert [dataclasses.replace(taken.pop(), config=None) for _ in range(2)] == [options] * 2


@pytest.mark.parametrize(
    "line",
    [
        "epochs = 1.5",
        "epochs = true",
        "tau_mem = '1'",
        "bias = 1",
        "data = 3",
        "layers = '6'",
        "layers = [6]",
        "out = 'x'",
    ],
)
def test_no_value_is_bent(tmp_path, line):
    path = tmp_path / "a.toml"
    path.write_text(line)
    with pytest.raises(SnnlearnError, match=rf"{path.name}.*{line.split()[0]}"):
        read_config(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    """Its other end never comes."""
    os.mkfifo(tmp_path / "config.toml")
    for arguments in (["sweep", "--resume", str(tmp_path)], ["predict", str(tmp_path), "a.csv", "--allow", "a:B"]):
        assert main(arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
