"""`compare` and `gradients`: several rules side by side, from the command line."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn.algorithms import gradient_descent
from snnlearn.algorithms.gradient_descent import seed
from snnlearn.cli import build, compare, main
from snnlearn.cli.build import default_loss
from snnlearn.cli.by_data import chosen
from snnlearn.cli.commands import prepare
from snnlearn.cli.compare import gradient_memory, of_hidden_units, options_of, working_memory
from snnlearn.cli.gradients import _of_length
from snnlearn.cli.options import Compare
from snnlearn.coding import PackedSpikes
from snnlearn.report.summary import LayerSummary

pytestmark = pytest.mark.usefixtures("blank")

SMALL = ["--data", "digits", "--num-steps", "6", "--layers", "16", "--batch-size", "64"]


def test_compare_trains_each_rule_and_reports(tmp_path, capsys, monkeypatch):
    read, everything, before = [], build.everything, gradient_descent._epoch._cached._cache_size()  # pyright: ignore
    monkeypatch.setattr(build, "everything", lambda options: read.append(options.data) or everything(options))
    rules = ["bptt", "eprop", "superspike"]
    rates = ["--learning-rates", "1e-3", "0.1", "1e20"]
    assert (
        main(
            [
                "compare",
                *SMALL,
                "--epochs",
                "3",
                *rates,
                "--seeds",
                "2",
                "--out",
                str(tmp_path / "c"),
                "--rules",
                *rules,
            ]
        )
        == 0
    )
    found = {one["rule"]: one for one in json.loads((tmp_path / "c" / "comparison.json").read_text())}
    assert set(found) == set(rules)
    assert found["bptt"]["learning_rate"] == 0.1  # 1e-3 trains next to nothing in three epochs, and 1e20 diverges
    assert found["bptt"]["loss"] == "stepwise-cross-entropy" and found["superspike"]["loss"] == "van-rossum"
    # One feed-forward hidden layer: e-prop's gradient is BPTT's.
    assert found["eprop"]["test_errors"] == found["bptt"]["test_errors"]
    low, high = found["bptt"]["interval"]
    assert low < found["bptt"]["risk"] < high and found["bptt"]["risk"] < 0.5
    page = (tmp_path / "c" / "report.html").read_text()
    assert all(f">{rule}<" in page for rule in rules) and "http" not in page.split("</style>")[1].replace("w3.org", "")
    assert "superspike" in capsys.readouterr().out
    # All step sizes of a rule are one program, on data that is read once.
    assert gradient_descent._epoch._cached._cache_size() - before <= len(rules)  # pyright: ignore
    assert read == ["digits"]


def test_gradients_measures_each_rule_and_says_which_refuse(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("snnlearn.cli.gradients._LONG", 50)  # long sequences take long to compile
    rules = ["bptt", "eprop", "ottt", "weight-perturbation"]
    arguments = ["gradients", *SMALL, "--neuron", "alif", "--repeats", "4", "--out", str(tmp_path / "g"), "--rules"]
    assert main([*arguments, *rules, "--encode", "rate", "--xi", "2"]) == 0
    out = capsys.readouterr().out
    assert "use EProp" in out  # OTTT's refusal of ALIF
    # E-prop is asked as it trains, with images of packed spikes; of one feed-forward layer its gradient is BPTT's.
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "+1.000" in rows["bptt"] and "+1.000" in rows["eprop"]
    found = {one["rule"]: one for one in json.loads((tmp_path / "g" / "gradients.json").read_text())}
    assert list(found) == ["bptt", "eprop", "weight-perturbation"]
    assert found["eprop"]["layers"][0]["cosine"] == pytest.approx(1, abs=1e-3) and found["bptt"]["num_steps"] == 6
    page = (tmp_path / "g" / "report.html").read_text()
    assert "WeightPerturbation" in page and all(
        words in page for words in (" test; 10 classes", "6 steps of 1 ms", "16-10")
    )


def test_gradients_of_a_run_are_of_its_network_on_its_data_in_its_code(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("snnlearn.cli.gradients._LONG", 20)
    assert main(["gradients", "--run", str(finished), "--rules", "bptt", "--flow", "--out", str(tmp_path / "g")]) == 0
    flow = json.loads((tmp_path / "g" / "flow.json").read_text())
    assert np.shape(flow["norms"]) == (2, 8) and flow["time_constants"][1].keys() == {"tau_mem"}
    # The readout is a leaky integrator, whose errors are those of its membrane alone.
    np.testing.assert_allclose(flow["half_lives"][1], np.log(2) * flow["time_constants"][1]["tau_mem"], rtol=1e-3)
    assert "Lyapunov" in (tmp_path / "g" / "report.html").read_text()
    (found,) = json.loads((tmp_path / "g" / "gradients.json").read_text())
    assert found["num_steps"] == 8 and len(found["layers"]) == 3
    assert "blobs" in (tmp_path / "g" / "report.html").read_text()


def test_a_killed_comparison_goes_on(tiny, say, tmp_path, monkeypatch, capsys):
    """The first rule is not trained again, and the options are those of a file."""
    (tmp_path / "few.toml").write_text("epochs = 2\nseeds = 1\n")
    folder, train, trained = tmp_path / "c", compare._train, []

    def killed(options, task, advance):
        trained.append(options.rule)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return train(options, task, advance)

    monkeypatch.setattr(compare, "_train", killed)
    data = [*tiny[: tiny.index("--epochs")], "--batch-size", "6", "--config", str(tmp_path / "few.toml")]
    rules = ["--rules", "bptt", "ottt", "--learning-rates", "0.05", "--paired"]
    assert main(["compare", *data, *rules, "--out", str(folder)]) == 130
    assert f"snnlearn compare --resume {folder}" in capsys.readouterr().err
    assert [file.name for file in (folder / "rules").iterdir()] == ["bptt.json"]
    before = (folder / "rules" / "bptt.json").stat().st_mtime_ns
    say("compare", "--resume", folder)
    assert trained == ["bptt", "ottt", "ottt"] and (folder / "rules" / "bptt.json").stat().st_mtime_ns == before
    found = json.loads((folder / "comparison.json").read_text())
    assert [one["rule"] for one in found] == ["bptt", "ottt"] and np.shape(found[0]["curves"]) == (1, 2)
    assert (folder / "paired.json").exists()
    (folder / "rules" / "ottt.json").write_text("{}")
    assert main(["compare", "--resume", str(folder)]) == 2
    assert "ottt.json is damaged; remove it" in capsys.readouterr().err
    (folder / "config.toml").write_text((folder / "config.toml").read_text().replace("epochs = 2", "epochs = 3"))
    assert main(["compare", "--resume", str(folder)]) == 2
    assert "config.toml was changed after the comparison began" in capsys.readouterr().err


def test_memory_of_a_gradient_is_that_of_what_training_gives_the_rule():
    """Both commands say the same of the same batch; backpropagation's grows with its length, e-prop's does not."""
    growth = {}
    for rule in ("bptt", "eprop"):
        options = options_of(Compare(layers=("16",), num_steps=40, batch_size=8, encode="rate"), rule, 0.01)
        task = build.dataset(options)
        experiment, training = prepare(chosen(options, task)[0], task)
        algorithm, train = experiment.algorithm, experiment.data.train
        network, x, y = seed(training.network, 0), jnp.asarray(train.x[:8]), jnp.asarray(train.y[:8])
        inputs = algorithm.inputs(experiment.encoder, network, x, keys=jax.random.split(jax.random.key(0), 8))
        assert isinstance(inputs, PackedSpikes)
        shapes = [_of_length(inputs, steps) for steps in (40, 1280, 5120)]
        own, long, longer = (
            working_memory(lambda n, x, y, a=algorithm: a.rule(n, a.loss, x, y, key=jax.random.key(0)), network, x, y)
            for x in shapes
        )
        assert own == gradient_memory(experiment, training)
        growth[rule] = longer / long
    assert growth["bptt"] > 3 and growth["eprop"] < 1.5


def test_gradients_of_a_rule_that_learns_from_chance_stand_for_the_expected_loss(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    noisy = ["--escape-noise", "--surrogate", "sigmoid", "--repeats", "8", "--out", str(tmp_path / "g")]
    assert main(["gradients", *SMALL, *noisy, "--rules", "xie-seung"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.lstrip().startswith("xie-seung"))
    _, _, _, bias, _, by_chance, variance, *_ = row.split()
    assert float(variance) > 0
    assert 0.5 < float(bias) / float(by_chance) < 2  # unbiased, so that chance explains the distance


def test_compare_gives_each_rule_a_loss_that_it_takes():
    chosen = {rule: options_of(Compare(), rule, 0.01) for rule in ("bptt", "superspike", "xie-seung", "eventprop")}
    assert {rule: options.loss or default_loss(options) for rule, options in chosen.items()} == {
        "bptt": "stepwise-cross-entropy",
        "superspike": "van-rossum",
        "xie-seung": "cross-entropy",
        "eventprop": "cross-entropy",
    }


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compare", "--rules", "eprop", "--learning-rates", "0"], "--learning-rates has 0.0"),
        (["train", "--rule", "eprop", "--loss", "cross-entropy"], "StepwiseCrossEntropy"),
        (["train", "--rule", "ottt", "--neuron", "alif"], "use EProp"),
        (["train", "--loss", "van-rossum"], "--readout count"),
        (["train", "--loss", "stepwise-cross-entropy", "--readout", "max"], "--readout mean"),
        (["train", "--rule", "xie-seung"], "EscapeNoise"),
        (["train", "--rule", "eventprop", "--readout", "mean"], "FirstSpike"),
        (["gradients", "--rules", "ottt", "--neuron", "alif"], "no rule of --rules is defined"),
        (["compare", "--rules", "ottt", "--neuron", "alif"], "no rule of --rules has a result"),
        (["compare", "--data", "missing.npz"], "missing.npz cannot be read"),
        (["gradients", "--data", "missing.npz"], "missing.npz cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, sentence, capsys, tmp_path):
    command, *rest = arguments
    assert main([command, *SMALL, *rest, "--out", str(tmp_path / "x")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "--rule xie-seung --escape-noise --surrogate sigmoid --loss mean-squared --learning-rate 0.03".split(),
        [
            "--rule",
            "eventprop",
            "--neuron",
            "cuba-lif",
            "--encode",
            "latency",
            "--xi",
            "0.5",
            "--learning-rate",
            "0.05",
        ],
    ],
)
def test_rules_without_surrogate_gradients_lower_the_loss(arguments, tmp_path):
    assert main(["train", *SMALL, "--epochs", "3", *arguments, "--out", str(tmp_path / "r")]) == 0
    losses = [
        json.loads(line)["training_loss"][0] for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()
    ]
    assert losses[-1] < 0.98 * losses[0]


def test_rates_are_means_over_hidden_units_of_which_there_may_be_none():
    def layer(rates, spiking=True):
        rates = np.asarray(rates, float)
        return LayerSummary("", len(rates), spiking, rates, float(np.mean(rates == 0)) if spiking else 0.0, 0.0, 1.0)

    readout = layer([0.0, 0.0], spiking=False)
    assert of_hidden_units([readout]) == (0.0, 0.0)
    firing_rate, silent = of_hidden_units([layer([0.0, 10.0]), layer([30.0]), readout])
    assert firing_rate == pytest.approx(40 / 3) and silent == pytest.approx(1 / 3)
