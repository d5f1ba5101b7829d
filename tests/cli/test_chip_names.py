"""Chips by name, and one's own by `module:function`."""

from __future__ import annotations

import pytest

from snnlearn import SnnlearnError
from snnlearn.circuits import Chip, dynap_se2
from snnlearn.cli import build
from snnlearn.cli.choices import CHIPS

MINE = """
import snnlearn as sl
from snnlearn.circuits import Chip, Neurons


def small(most: int = 7) -> Chip:
    return Chip("small", limits=(Neurons(most),))


def nothing():
    return "a chip"
"""


def test_each_name_is_a_chip():
    found = [build.chip(name, {}) for name in CHIPS.choices]
    assert all(isinstance(chip, Chip) for chip in found)
    assert len({chip.name for chip in found}) == len(found)
    assert build.chip("dynap-se2", {}) == dynap_se2()


def test_a_chip_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "my_chips.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    assert CHIPS.fault("my_chips:small") is None
    assert build.chip("my_chips:small", {}).limits[0].most == 7
    with pytest.raises(
        SnnlearnError, match=r"my_chips:nothing gave the string 'a chip'; return a snnlearn.circuits.Chip"
    ):
        build.chip("my_chips:nothing", {})


def test_what_is_no_chip_is_refused():
    for name, reason in {
        "dynapse2": r"did you mean dynap-se[12]\?",
        "truenorth": r"give one of ideal, brainscales-2, .* or a function of your own as module:function",
        "elsewhere/chip.toml": r"give one of ideal, .* or a function of your own as module:function",
    }.items():
        with pytest.raises(SnnlearnError, match=f"{name}: {reason}"):
            build.chip(name, {})
