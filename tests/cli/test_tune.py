"""`tune`: what is searched, that it goes on when killed, and that test data confirm once what validation chose."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import SnnlearnError
from snnlearn._parameters import with_constants
from snnlearn.algorithms import Between, OneOf, Whole
from snnlearn.cli import build, main, tune
from snnlearn.cli.config import read_config
from snnlearn.cli.options import Train, Tune
from snnlearn.data import Sample
from snnlearn.risk import compare_algorithms


@pytest.fixture(scope="module")
def small(blobs):
    options = "--num-steps 6 --epochs 4 --batch-size 12 --seeds 2 --layers 8 --trials 5 --confirm-seeds 2"
    # As given it learns next to nothing, so that something else is chosen.
    return ["tune", "--data", str(blobs), *options.split(), "--learning-rate", "0.002", "--xi", "1"]


VARY = ["--vary", "learning-rate=log:0.001..1"]


def test_a_killed_search_goes_on_and_chooses_the_same(small, say, tmp_path, monkeypatch, capsys, blank):
    out = say(*small, *VARY, "--out", tmp_path / "whole")
    folder, evaluated, calls = tmp_path / "killed", tune._evaluated, []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        return evaluated(*arguments)

    monkeypatch.setattr(tune, "_evaluated", killed)
    assert main([*small, *VARY, "--out", str(folder)]) == 130
    assert f"snnlearn tune --resume {folder}" in capsys.readouterr().err
    assert main(["tune", "--resume", str(folder)]) == 130
    say("tune", "--resume", folder)
    assert len(calls) == 5 + 2
    whole, found = (json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "killed"))
    for one in (*whole["trials"], *found["trials"]):
        del one["seconds"]
    assert found == whole and len(found["trials"]) == 5
    assert (folder / "chosen.toml").read_bytes() == (tmp_path / "whole" / "chosen.toml").read_bytes()

    least = min((one for one in found["trials"] if one["values"]), key=lambda one: one["values"][0])
    assert found["chosen"]["values"] == least["values"] and found["trials"][0]["settings"]["learning_rate"] == 0.002
    chosen = read_config(folder / "chosen.toml", Train)
    assert {name: getattr(chosen, name) for name in found["chosen"]["settings"]} == found["chosen"]["settings"]
    assert "Chosen on validation data" in out or "No gain beyond chance" in out
    assert "from 5 trials" in out and "compared once" in " ".join(out.split())

    # The comparison is of trainings from other seeds; it is made once.
    confirmed, saved = found["confirmation"], json.loads((folder / "confirmation.json").read_text())
    risks = [np.array(saved[name]["wrong"]).mean(axis=1) for name in ("chosen", "given")]
    assert confirmed["trials"] == 5 and confirmed["seeds"]["difference"] == pytest.approx(np.mean(risks[0] - risks[1]))
    assert confirmed["seeds"]["p_value"] == compare_algorithms(*risks).p_value
    repeated = dataclasses.replace(chosen, seed=chosen.seed + 2)
    experiment = build.experiment(repeated, build.dataset(repeated))
    test = experiment.data.test
    learned = experiment.hypotheses(experiment.run())
    assert [float((sl.predict(one, test.x) != test.y).mean()) for one in learned] == pytest.approx(risks[0])
    monkeypatch.setattr(tune, "predict", None)
    say("tune", "--resume", folder)
    (folder / "confirmation.json").write_text("{}")
    assert main(["tune", "--resume", str(folder)]) == 2
    assert "the test sample was used for it, once" in capsys.readouterr().err


def test_no_trial_looks_at_the_test_sample(small):
    options = Tune(data=small[2], num_steps=6, epochs=1, batch_size=12, layers=("8",))
    task, told = build.dataset(options), []
    hidden = dataclasses.replace(task, test=Sample(np.full_like(task.test.x, 1e6), 0 * task.test.y))
    found = [
        tune._evaluated(tune.configured(options, {}), tuple(tune._OBJECTIVES), data, told.append)
        for data in (task, hidden)
    ]
    assert found[0].values == found[1].values and len(found[0].values) == 5 and told[0] == told[1]


@contextlib.contextmanager
def compiled():
    """The names of the programs that are compiled within the block."""
    names: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: names.append(record.getMessage())
    logger = logging.getLogger("jax._src.interpreters.pxla")
    level, propagate, logger.propagate = logger.level, logger.propagate, False
    logger.addHandler(handler)
    with jax.log_compiles():
        yield names
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate


def test_trials_that_differ_in_numbers_share_their_programs(small):
    options = Tune(data=small[2], num_steps=6, epochs=1, batch_size=12, layers=("8",))
    task = build.dataset(options)

    def values(**settings):
        return tune._evaluated(tune.configured(options, settings), ("loss",), task, lambda _: None).values

    usual = values()
    with compiled() as names:
        assert values(learning_rate=0.3, tau_mem=4e-3, tau_out=30e-3, xi=1.0) != usual
        assert names == []
        values(neuron="if")
        assert any("_epoch" in name for name in names)


def test_constants_compute_what_numbers_compute(x64):
    network = sl.network.feedforward((3, 5, 2), neuron=sl.neurons.ALIF(v_th=0.2), key=jax.random.key(0))
    x = 5 * jax.random.normal(jax.random.key(1), (9, 3))
    (expected, _), (found, _) = network(x), with_constants(network)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert jnp.any(expected != 0) and with_constants(with_constants(network)) == with_constants(network)


def test_what_is_searched():
    vary = ("tau-mem=log:1e-3..1e-1", "num-steps=5..40", "rule=bptt,eprop", "layers=32,64-64", "beta=0,0.10")
    assert tune.space(Tune(vary=vary)) == {
        "tau_mem": Between(1e-3, 0.1, log=True),
        "num_steps": Whole(5, 40),
        "rule": OneOf(("bptt", "eprop")),
        "layers": OneOf(("32", "64-64")),
        "beta": OneOf(("0.0", "0.1")),
    }
    options = Tune(vary=vary)
    assert tune.given(options, tune.space(options))["beta"] == "0.1"
    one = tune.configured(options, {"layers": "64-64", "tau_mem": 0.05, "rule": "eprop"})
    assert (one.layers, one.tau_mem, one.rule, one.loss) == (("64", "64"), 0.05, "eprop", "stepwise-cross-entropy")
    assert not isinstance(one, Tune)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ("colour=1..2", "--vary has 'colour=1..2'; give an option of train"),
        ("data=digits,mnist", "give an option of train"),
        ("tau-mem", "--vary has 'tau-mem'"),
        ("tau-mem=0.1", "give a range, such as 1..10, or two or more different values"),
        ("tau-mem=0.1,0.10", "two or more different values"),
        ("tau-mem=0.2..0.1", "low is 0.2 and high 0.1; give two numbers, low < high"),
        ("tau-mem=log:0.1", "give a range by its two ends"),
        ("tau-mem=1..2..3", "give a range by its two ends"),
        ("tau-mem=a..b", "--vary tau-mem is 'a'; give a number"),
        ("beta=log:0..1", "low is 0.0, which has no logarithm"),
        ("rule=bptt..eprop", "takes no range; give a list"),
        ("recurrent=false..true", "takes no range; give a list"),
        ("num-steps=1.5..3", "--vary num-steps is 1.5; give a whole number"),
    ],
)
def test_what_cannot_be_searched(vary, said):
    with pytest.raises(SnnlearnError) as refusal:
        tune.space(Tune(vary=(vary,)))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vary", "xi=1..2", "xi=2..3"], "--vary has xi twice"),
        (["--vary", "xi=0..2"], "--xi is 0.0; give"),
        (["--vary", "tau-mem=1e-4..1e-2"], "dt = 0.001 s is longer than --tau-mem 0.0001"),
        (["--vary", "rule=bptt,nothing"], "--rule is nothing; give one of"),
        (["--objectives", "error", "error"], "--objectives has one twice"),
        (["--trials", "0"], "--trials is 0"),
        (["--confirm-seeds", "1"], "--confirm-seeds is 1"),
        (["--port", "70000"], "--port is 70000"),
        (["--manual", "a", "b"], "--manual has 2 runs"),
        (["--manual", "nowhere"], "nowhere is not a folder"),
        (["--resume", "nowhere"], "nowhere is not a folder; give a search's folder"),
    ],
)
def test_bad_options_in_one_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["tune", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_without_optuna_it_says_what_to_install(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert main([*small, "--out", str(tmp_path / "s")]) == 2
    assert "needs the package optuna; install it by pip install 'snnlearn[tune]'" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_several_objectives_end_in_a_front(small, say, tmp_path, monkeypatch, blank):
    monkeypatch.setattr(tune, "_confirmation", lambda *_: None)
    objectives = ["--objectives", "error", "synops", "--vary", "xi=log:0.5..4", "tau-mem=2e-3..20e-3"]
    out = say(*small, *objectives, "--out", tmp_path / "s")
    found = json.loads((tmp_path / "s" / "summary.json").read_text())
    values = np.array([one["values"] for one in found["trials"]])
    free = {n for n, v in enumerate(values) if not any((w <= v).all() and (w < v).any() for w in values)}
    written = {int(file.stem) for file in (tmp_path / "s" / "front").iterdir()}
    assert written <= free and {tuple(values[n]) for n in free} == {tuple(values[n]) for n in written}
    for number in written:
        read_config(tmp_path / "s" / "front" / f"{number:03}.toml", Train)
    assert "What it costs" in out
