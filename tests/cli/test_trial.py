"""A slice of the trial by bad input, and that its judge can say no. All of it: `python -m tests.cli.trial`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snnlearn._errors import SnnlearnError
from snnlearn.cli import options as commands

from .bad_inputs import COMMANDS, Case
from .trial import Outcome, judge, snapshot


def test_no_bad_input_of_a_slice_does_harm():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.cli.trial", "--cases", "12", "--jobs", "1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "; 0 refused" not in done.stdout


def _nothing(_: Path) -> None:
    pass


def _write_nan(folder: Path) -> None:
    (folder / "summary.json").write_text(json.dumps({"risk": math.nan}))


def _write_weights(folder: Path) -> None:
    np.savez(folder / "model.npz", weight=np.array([1.0, np.inf]))


@pytest.mark.parametrize(
    ("status", "err", "work", "fault"),
    [
        (2, "error: --dt is 0; give more\n", _nothing, None),
        (0, "", _nothing, None),
        (1, "Traceback (most recent call last):\n", _nothing, "ends with 1"),
        (2, "error: TypeError: no\n", _nothing, "speaks Python"),
        (2, "error: one\ntwo\n", _nothing, "no single sentence"),
        (2, "", _nothing, "no single sentence"),
        (2, "error: \x1b[31m\n", _nothing, "prints control characters"),
        (2, "error: no\n", lambda folder: (folder / "new").touch(), "leaves new"),
        (2, "error: no\n", lambda folder: (folder / "old").write_text("2"), "changes old"),
        (0, "", lambda folder: (folder / ".a.tmp").touch(), "leaves .a.tmp"),
        (0, "", _write_nan, "writes NaN to summary.json"),
        (0, "", _write_weights, "writes NaN to model.npz"),
    ],
)
def test_the_judge(status, err, work, fault, tmp_path):
    (tmp_path / "old").write_text("1")
    before = snapshot(tmp_path)
    work(tmp_path)
    found = judge(Outcome(Case("option", ()), status, "", err, 0.0), tmp_path, before)
    assert fault in found if fault else found == []


def test_the_judge_lets_no_nan_be_accepted(tmp_path):
    outcome = Outcome(Case("option", (), refused=True), 0, "", "", 0.0)
    assert judge(outcome, tmp_path, {}) == ["accepts what is no number"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_refuses_what_is_outside_its_range(command):
    options = COMMANDS[command][0]
    required = {"run": Path("run")} if command in ("evaluate", "predict", "risk", "deploy") else {}
    required |= {"source": Path("run")} if command == "convert" else {}
    options(**required).check()
    for name, within in commands.ranges(options).items():
        whole = isinstance(within.high, int) and not within.between
        outside = [within.low - 1, within.high + 1] if whole else [math.nan, math.inf, -math.inf, within.low - 1.0]
        default = getattr(options(**required), name)
        for number in outside + ([float(within.low), float(within.high)] if within.between else []):
            value = (number, number) if isinstance(default, tuple) or name == "rate_band" else number
            with pytest.raises(SnnlearnError) as refusal:
                options(**required, **{name: value}).check()
            assert f"--{name.replace('_', '-')} " in str(refusal.value) and str(within) in str(refusal.value)
