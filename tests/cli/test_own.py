"""Components of one's own, in a file of one's own: by name on the command line, and in model files."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from snnlearn import SnnlearnError, algorithms, data, load, losses, neurons, predict, report, risk, rules, save
from snnlearn.cli import build, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.config import read_config
from snnlearn.cli.options import Train
from snnlearn.network import feedforward

pytestmark = pytest.mark.usefixtures("blank")

MINE = '''
import typing

import jax
import jax.numpy as jnp
import optax

import snnlearn as sl


@typing.final
class Leaky(sl.neurons.AbstractWrapper):
    """A neuron whose current is damped."""

    neuron: sl.neurons.AbstractNeuron
    damping: float = 0.9

    def initial_state(self, shape):
        return self.neuron.initial_state(shape)

    def __call__(self, current, state):
        return self.neuron(self.damping * current, state)

    def free(self):
        return Leaky(self.neuron.free(), self.damping)


@typing.final
class EveryStep(sl.coding.AbstractSpikeEncoder):
    """Spikes in every step where x is above a level."""

    num_steps: int
    level: float = 0.5
    dt: float = 1e-3

    def __call__(self, x, *, key=None):
        spikes = jnp.where(jnp.isnan(x), x, (x > self.level).astype(jnp.float32))
        return jnp.broadcast_to(spikes, (self.num_steps, *x.shape))

    def out_shape(self, in_shape):
        return in_shape


@typing.final
class Logarithmic(sl.neurons.AbstractSurrogate):
    """1 / (1 + k|x|)."""

    slope: float = 10.0

    def primitive(self, x):
        return jnp.sign(x) * jnp.log1p(self.slope * jnp.abs(x)) / self.slope

    def pseudo_derivative(self, x):
        return 1 / (1 + self.slope * jnp.abs(x))


@typing.final
class Cautious(sl.rules.AbstractRule):
    """Another rule's gradient, times a factor."""

    rule: sl.rules.AbstractRule
    sigma: float = 3.0

    def __call__(self, network, loss, inputs, targets, *, key):
        value, gradient = self.rule(network, loss, inputs, targets, key=key)
        return value, jax.tree.map(lambda g: 0.5 * g, gradient)


@typing.final
class Counts(sl.losses.AbstractScoreLoss):
    """A loss of spike counts alone."""

    decides_by = sl.coding.SpikeCount
    decoder: sl.coding.AbstractDecoder | None = sl.coding.SpikeCount()

    def of_scores(self, scores, target):
        return -scores[target]


@typing.final
class Counting(sl.rules.AbstractRule):
    """A rule for such a loss, and for spikes of a current-based readout."""

    usual_loss = Counts
    usual_decoder = sl.coding.SpikeCount
    usual_readout = sl.neurons.CubaLIF

    def __call__(self, network, loss, inputs, targets, *, key):
        return sl.rules.BPTT()(network, loss, inputs, targets, key=key)


def descent(learning_rate, weight_decay):
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate))


class Needy(sl.rules.AbstractRule):
    """A rule of which no option gives a part."""

    part: int

    def __call__(self, network, loss, inputs, targets, *, key):
        raise AssertionError
'''
NAMES = ("--neuron", "mine:Leaky", "--encode", "mine:EveryStep", "--surrogate", "mine:Logarithmic")
NAMES += ("--rule", "mine:Cautious", "--surrogate-slope", "4", "--tau-mem", "0.02", "--dt", "0.002", "--sigma", "0.3")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The module, in the current folder."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "script.py").write_text("raise SystemExit\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [path for path in sys.path if path])
        patch.chdir(folder)
        patch.delitem(sys.modules, "mine", raising=False)
        yield folder
    sys.modules.pop("mine", None)


@pytest.fixture(scope="module")
def run(mine: Path, tiny: list[str]) -> Path:
    """A run made of them all."""
    small = ["--layers", "8", "--epochs", "2", "--xi", "0.5"]
    assert main(["train", *tiny, *small, *NAMES, "--out", str(mine / "run")]) == 0
    return mine / "run"


OWN = ("mine:Leaky", "mine:Cautious", "mine:EveryStep", "mine:Logarithmic")


@pytest.mark.parametrize("command", ["evaluate {run}", "predict {run} {blobs}", "risk {run}", "train --resume {run}"])
def test_a_folder_alone_imports_nothing(command, run, blobs, monkeypatch, capsys):
    """Whoever made it: its options name modules, which stand in the current folder."""
    monkeypatch.delitem(sys.modules, "mine")
    assert main(command.format(run=run, blobs=blobs).split()) == 2
    assert "mine" not in sys.modules
    assert re.search(r"names .*mine:Leaky.* add --allow mine:.* if you trust it", capsys.readouterr().err)


def module():
    return importlib.import_module("mine")


def test_a_run_is_made_of_them_and_reads_them_again(run, blobs, say):
    own = module()
    hypothesis, _ = load(run / "model.npz", allow=(own.Leaky, own.EveryStep, own.Logarithmic))
    surrogate = own.Logarithmic(slope=4.0)
    inside = neurons.LIF(tau_mem=0.02, surrogate=surrogate, dt=0.002)
    assert hypothesis.network.layers[0].neuron == own.Leaky(inside)
    assert hypothesis.encoder.encoder == own.EveryStep(num_steps=8, dt=0.002)  # inside Rescaled
    assert "Leaky 8 · Cautious" in (run / "report.html").read_text()
    options = read_config(run / "config.toml", allow=OWN)
    assert (options.neuron, options.rule, options.encode) == ("mine:Leaky", "mine:Cautious", "mine:EveryStep")

    assert "0 errors of 24" in say("evaluate", run, "--data", blobs, "--allow", *OWN)
    assert len(say("predict", run, blobs, "--allow", *OWN).splitlines()) > 120
    say("risk", run, "--out", run.parent / "risk", "--allow", *OWN)
    say(
        "gradients",
        "--run",
        run,
        "--rules",
        "mine:Cautious",
        "--repeats",
        2,
        "--out",
        run.parent / "g",
        "--allow",
        *OWN,
    )
    (found,) = json.loads((run.parent / "g" / "gradients.json").read_text())
    assert found["rule"] == "mine:Cautious" and found["layers"][0]["norm_ratio"] == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("evaluate {run} --allow mine:Leaki", "did you mean mine:Leaky?"),
        ("train --allow mine:Leaky --out {new}", "drop it"),
    ],
)
def test_what_is_allowed_is_asked_for(arguments, hint, run, tmp_path, capsys):
    assert main(arguments.format(run=run, new=tmp_path / "new").split()) == 2
    name = arguments.split()[arguments.split().index("--allow") + 1]
    assert capsys.readouterr().err == f"error: --allow names {name}, but nothing uses it; {hint}\n"
    assert not (tmp_path / "new").exists()


def test_an_optimiser_of_ones_own(mine):
    options = Train(optimizer="mine:descent", weight_decay=0.25)
    options.check()
    task = data.digits()
    optimizer = build.algorithm(chosen(options, task)[0], task, 1e-3).optimizer
    assert optimizer.method is module().descent  # pyright: ignore[reportAttributeAccessIssue]
    assert {name: float(x) for name, x in optimizer.arguments.items()} == {"weight_decay": 0.25}  # pyright: ignore


def test_a_stopped_run_goes_on(run, mine, say, tmp_path):
    """From its options alone: nothing of the training was kept."""
    shutil.copytree(run, tmp_path / "r")
    for name in ("model.npz", "checkpoint.npz", "metrics.jsonl"):
        (tmp_path / "r" / name).unlink()
    say("train", "--resume", tmp_path / "r", "--allow", *OWN)
    with np.load(run / "model.npz") as before, np.load(tmp_path / "r" / "model.npz") as after:
        assert all(np.array_equal(before[name], after[name]) for name in before)


def test_they_are_compared_varied_and_shown(mine, tiny, say, tmp_path):
    tiny = [*tiny[: tiny.index("--learning-rate")], "--layers", "6", "--epochs", "1", "--xi", "0.5"]
    rules = ["--rules", "bptt", "mine:Cautious", "--learning-rates", "0.1"]
    say("compare", *tiny, *rules, "--out", tmp_path / "c")
    assert [one["rule"] for one in json.loads((tmp_path / "c" / "comparison.json").read_text())] == [
        "bptt",
        "mine:Cautious",
    ]
    vary = ["--vary", "neuron=lif,mine:Leaky", "--sizes", "--seeds", "2"]
    say("sweep", *tiny, *vary, "--out", tmp_path / "s")
    found = json.loads((tmp_path / "s" / "configurations" / "001.json").read_text())
    assert found["settings"] == {"neuron": "mine:Leaky"} and "refused" not in found
    np.save(tmp_path / "x.npy", [[0.1, 0.9]])
    said = say("encode", tmp_path / "x.npy", "--codes", "mine:EveryStep", "--out", tmp_path / "codes.html")
    assert "mine:EveryStep: 50 spikes of 2 neurons in 50 steps\n" in said
    assert "Spikes in every step where x is above a level." in (tmp_path / "codes.html").read_text()


def test_a_rule_says_which_loss_and_readout_it_goes_with(mine, capsys):
    """As the library's do: nothing but its name is given."""
    options = Train(rule="mine:Counting", layers=("4",), num_steps=3)
    task = build.dataset(options)
    options, _ = chosen(options, task)
    encoder, own = build.encoder(options, task), module()
    network, algorithm = build.structure(options, task, encoder), build.algorithm(options, task, encoder.dt)
    assert isinstance(network.layers[-1].neuron, neurons.CubaLIF)
    assert type(algorithm.loss) is own.Counts and type(algorithm.rule) is own.Counting
    assert build.default_loss(options) == "mine:Counts"
    given = dataclasses.replace(options, loss="mean-squared", readout="first-spike")
    assert type(build.algorithm(given, task, encoder.dt).loss) is losses.ClassMeanSquaredError
    with pytest.raises(
        SnnlearnError, match="--loss mine:Counts is only for decisions by SpikeCount; use --readout count"
    ):
        build.algorithm(dataclasses.replace(options, readout="max"), task, encoder.dt)
    with pytest.raises(SystemExit):
        main(["train", "--rule", "mine:Counting", "--help"])
    assert "mine:Counting defaults to --readout count and --loss mine:Counts." in capsys.readouterr().out


def test_a_run_without_its_module_says_where_it_is_looked_for(run, blobs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(run.parent)])
    monkeypatch.delitem(sys.modules, "mine")
    assert main(["predict", str(run), str(blobs), "--allow", *OWN]) == 2
    said = capsys.readouterr().err
    assert re.search(r"mine:\w+: mine cannot be imported .*; run from the folder that it is in, or put", said)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--neuron alf", "--neuron is alf; did you mean alif?"),
        ("--surrogate x", "--surrogate is x; give one of fast-sigmoid, .*, or a class of your own as module:Class"),
        ("--neuron a/b:C", "give one of lif, .*, or a class of your own"),
        (
            "--rule nowhere:Rule",
            "nowhere cannot be imported .ModuleNotFoundError: .*; run from the folder that it is in",
        ),
        ("--rule broken:Rule", "broken cannot be imported .ZeroDivisionError: division by zero.; correct it"),
        ("--rule script:Rule", "script cannot be imported .SystemExit: .; correct it"),
        ("--rule mine:Cautios", "mine has no class Cautios; did you mean Cautious?"),
        ("--rule mine:jax", "mine has no class jax; give one that it has"),
        ("--rule mine:Leaky", "it is not a subclass of AbstractRule; derive it from snnlearn.rules.AbstractRule"),
        ("--rule snnlearn.rules:AbstractRule", "it is abstract; define its __call__"),
        (
            "--rule mine:Needy",
            "mine:Needy needs part, which no option fills; give it a default, or rename it to one of these: segment",
        ),
    ],
)
def test_what_stands_for_no_class_is_refused(options, sentence, mine, tiny, tmp_path, capsys):
    assert main(["train", *tiny, *options.split(), "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and re.search(sentence.replace("?", r"\?"), said)
    assert not (tmp_path / "x").exists()


def test_from_python(mine, tmp_path):
    """Trained, reported, compared; saved, refused without a word from the reader, and loaded with it."""
    own, task = module(), data.digits(validation=0.1, test=0.2, seed=0)
    neuron, encoder = own.Leaky(neurons.LIF(surrogate=own.Logarithmic())), own.EveryStep(num_steps=4)
    network = feedforward((64, 8, 10), neuron=neuron, key=jax.random.key(0))
    hypotheses = {}
    for rule in (rules.BPTT(), own.Cautious(rules.BPTT())):
        algorithm = algorithms.GradientDescent(losses.CrossEntropy(), rule, epochs=2)
        experiment, found = algorithms.Experiment(task, encoder, network, algorithm, jax.random.key(1)[None]), []
        training = experiment.run(lambda epoch: found.append(epoch.metrics))  # noqa: B023
        hypotheses[type(rule).__name__] = experiment.hypotheses(training)
    wrong = {name: predict(one, task.test.x) != task.test.y for name, (one,) in hypotheses.items()}
    compared = risk.compare_hypotheses(*wrong.values(), resamples=99)
    risks = {name: one.mean() for name, one in wrong.items()}
    assert compared.difference == pytest.approx(risks["BPTT"] - risks["Cautious"]) and max(risks.values()) < 0.6

    curves = {name: np.stack([np.asarray(getattr(one, name)) for one in found], axis=1) for name in found[0]._fields}
    history = report.History(**curves, best_epoch=np.asarray(training.best_epoch), seconds=np.ones(2))
    plain = algorithm.why_plain(network)
    summary = report.summarise(hypotheses["Cautious"], task, history, title="own", config={}, why_plain=plain)
    assert summary.layers[0].spiking and summary.layers[0].firing_rate.any()
    report.write(report.run_report(summary), tmp_path)

    (hypothesis,), path = hypotheses["Cautious"], tmp_path / "model.npz"
    save(hypothesis, path)
    allow = r"load\(path, allow=\(EveryStep, Leaky, Logarithmic\)\)"
    with pytest.raises(SnnlearnError, match=rf"holds mine:EveryStep and mine:Leaky and mine:Logarithmic, .*{allow}"):
        load(path)
    with pytest.raises(SnnlearnError, match=r"holds mine:Logarithmic, "):
        load(path, allow=(own.Leaky, own.EveryStep))
    loaded, _ = load(path, allow=(own.Leaky, own.EveryStep, own.Logarithmic))
    assert loaded.network.layers[0].neuron == neuron and loaded.encoder == encoder
    np.testing.assert_array_equal(predict(loaded, task.test.x) != task.test.y, wrong["Cautious"])
