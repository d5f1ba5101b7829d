"""A trained network on many chips, from the command line."""

from __future__ import annotations

import json

import jax
import numpy as np

import snnlearn as sl
from snnlearn.circuits import deploy, ideal
from snnlearn.cli import main
from snnlearn.cli.run_folder import RunFolder
from snnlearn.cli.seen import data_of


def test_a_run_is_deployed_on_chips_that_are_those_of_the_library(finished, tmp_path, say):
    arguments = ("deploy", finished, "--mismatch", "1.5", "--chips", "4", "--chip-seed", "3", "--out", tmp_path)
    said = say(*arguments)
    assert "yield" in said and "mismatch of neurons" in said and "too few to bound the worst twentieth" in said
    found = json.loads((tmp_path / "deploy-ideal.json").read_text())
    folder = RunFolder.open(finished)
    hypothesis, test = folder.load()[0], data_of(folder).test
    for key, error in zip(jax.random.split(jax.random.key(3), 4), found["errors"], strict=True):
        network = deploy(hypothesis.network, ideal(mismatch=1.5), key=key)
        there = sl.Hypothesis(hypothesis.encoder, network, hypothesis.decoder)
        assert error == np.mean(sl.predict(there, test.x) != test.y)
    designed = np.mean(sl.predict(hypothesis, test.x) != test.y)
    (effect,) = found["sensitivities"]
    assert found["designed_error"] == effect["error_without"] == designed
    assert np.std(found["errors"]) > 0
    assert "--mismatch 1.5" in (tmp_path / "deploy-ideal.html").read_text()


def test_what_cannot_be_deployed_is_refused(finished, tmp_path, capsys):
    for arguments, match in (
        ((finished, "--chip", "dynap"), "give one of|did you mean"),
        ((finished, "--mismatch", "-0.1"), "--mismatch is -0.1"),
        ((finished, "--chips", "1"), "--chips is 1; give a whole number from 2"),
        ((tmp_path,), "run.json|no run"),
    ):
        capsys.readouterr()
        assert main(["deploy", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert any(part in error for part in match.split("|")), error
