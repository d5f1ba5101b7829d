"""Networks for sequences, resonators and delays by their names, on samples that end at different times."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlearn import SnnlearnError, coding, network, neurons
from snnlearn._parameters import trained_part, value
from snnlearn.algorithms.gradient_descent import seed
from snnlearn.cli import build, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.networks import check_effect
from snnlearn.cli.options import Train
from snnlearn.data import Dataset, Sample, with_lengths
from snnlearn.hypothesis import decisions, scores
from snnlearn.model_file import load
from snnlearn.network.delays import all_delays

DT, FRAMES = 2e-3, 6
RNG = np.random.default_rng(3)
ENDS = 3 + np.arange(24) % 4
SERIES = Sample(
    with_lengths(RNG.normal(size=(24, FRAMES, 2)).astype(np.float32), ENDS), np.arange(24, dtype=np.int32) % 2
)
TASK = Dataset("series", SERIES, SERIES, SERIES, 2, "values", low=np.full(2, -4.0), high=np.full(2, 4.0))
IMAGES = Sample(RNG.random((12, 5, 4), np.float32), np.arange(12, dtype=np.int32) % 3)


def options(task: Dataset = TASK, **given: Any) -> Train:
    """Settled by the data, of a training of one epoch."""
    few = {"layers": ("4", "4"), "dt": DT, "epochs": 1, "batch_size": 8, "xi": 1.0, "scale": "none"}
    return chosen(Train(**few | given), task)[0]


def structure(one: Train, task: Dataset = TASK) -> network.Network:
    return build.structure(one, task, build.encoder(one, task))


AWAY: dict[str, dict[str, Any]] = {
    "spiking-lru": {
        "state_size": 3,
        "r_min": 0.5,
        "r_max": 0.6,
        "dropout": 0.2,
        "surrogate": "fast-sigmoid",
        "num_steps": 2,
    },
    "resonate-and-fire": {
        "frequency": (30.0, 90.0),
        "tau_mem": 0.03,
        "reset": "subtract",
        "train_time_constants": True,
        "series": True,
        "num_steps": 1,
    },
    "alif": {
        "delays": 6e-3,
        "delay_kernel": "gaussian",
        "train_time_constants": True,
        "series": True,
        "num_steps": 1,
    },
}


@pytest.mark.parametrize("neuron", AWAY)
def test_every_parameter_is_trained_and_what_follows_the_end_counts_for_nothing(neuron):
    one = options(neuron=neuron, layers=("4",), **AWAY[neuron])
    experiment = build.experiment(one, TASK)
    start = experiment.start()
    after = experiment.run()
    for before, then in zip(*(jax.tree.leaves(trained_part(t.network)) for t in (start, after)), strict=True):
        assert np.isfinite(then).all() and not np.array_equal(before, then)
    (found,) = experiment.hypotheses(after)
    scored = scores(found, SERIES.x)
    for sample in (0, 1):  # of 3 and 4 frames
        steps = ENDS[sample] * one.num_steps
        xs = found.encoder(jnp.asarray(SERIES.x[sample]), key=jax.random.key(0))[:steps]
        outputs = found.decoder(found.network(xs)[0])
        np.testing.assert_allclose(scored[sample], outputs, rtol=1e-4, atol=1e-6)
    if neuron == "alif":
        # What is kept has whole delays, and the training goes on with those that are learned.
        assert np.array_equal(all_delays(found.network) % 1, np.zeros(8))
        assert (all_delays(seed(after.network, 0)) % 1 != 0).all()


def test_options_of_networks_for_sequences_arrive():
    made = structure(options(neuron="spiking-lru", **AWAY["spiking-lru"]))
    memory, spikes = made.layers[0].neuron, made.layers[1].neuron
    assert isinstance(memory, neurons.LRU) and memory.nu.value.shape == (3,)  # pyright: ignore
    assert 0.5 <= np.exp(-np.asarray(value(memory.nu))).min() and np.exp(-np.asarray(value(memory.nu))).max() <= 0.6
    assert spikes == neurons.Dropout(network.threshold(surrogate=neurons.FastSigmoid(), dt=DT), 0.2)
    assert len(made.layers) == 5  # two blocks
    for name, unit in {"rnn": neurons.Tanh, "gru": neurons.GRU, "lstm": neurons.LSTM}.items():
        one = options(neuron=name, layers=("4", "3"))
        made = structure(one)
        assert [layer.neuron for layer in made.layers] == [unit(dt=DT)] * 2 + [neurons.Identity(dt=DT)]
        assert [layer.shape for layer in made.layers] == [(4,), (3,), (2,)]
        assert all(layer.recurrent is not None for layer in made.layers[:2])
        assert one.series and one.num_steps == 1
        assert build.algorithm(one, TASK, DT).initialisation == network.Redrawn()
    made = structure(options(neuron="lru", layers=("4", "4", "4"), r_min=0.2))
    assert made.layers[-1].neuron == neurons.Identity(dt=DT) and len(made.layers) == 1 + 3 * 5 + 1
    assert {value(layer.neuron.nu).shape for layer in made.layers if isinstance(layer.neuron, neurons.LRU)} == {(4,)}


def test_resets_frequencies_and_time_constants_arrive():
    one = {"neuron": "resonate-and-fire", "frequency": (30.0, 90.0), "series": True}
    fixed, trained = (structure(options(**one, train_time_constants=t)).layers[0].neuron for t in (False, True))
    for neuron in (fixed, trained):
        np.testing.assert_allclose(value(neuron.frequency), [30, 50, 70, 90], rtol=1e-6)
    assert fixed.reset == neurons.NoReset() and isinstance(fixed.frequency, neurons.Constant)
    assert not isinstance(trained.frequency, neurons.Constant)
    none = structure(options(neuron="lif", reset="none", series=True))
    assert network.why_step_by_step(none.layers) is None
    for name, taus in {
        "cuba-lif": ("tau_mem", "tau_syn"),
        "alif": ("tau_mem", "tau_adapt"),
        "adex": ("tau_w",),
    }.items():
        neuron = structure(options(neuron=name, train_time_constants=True, series=True)).layers[0].neuron
        assert {field: value(getattr(neuron, field)).shape for field in taus} == dict.fromkeys(taus, (4,))
        assert len(jax.tree.leaves(eqx.filter(neuron, eqx.is_array))) == len(taus)


def test_delays_are_of_the_pairs_of_dense_hidden_layers():
    made = structure(options(delays=6e-3, recurrent=True, series=True, num_steps=1))
    first, second, readout = made.layers
    for layer, shape in ((first, (4, 2)), (second, (4, 4))):
        late, loop = (connection.synapses for connection in layer.connections)
        assert isinstance(late, network.DelayedSynapses) and isinstance(loop, network.Dense)
        assert (late.max_delay, late.kernel) == (3, network.InterpolatedDelay())
        assert value(late.delays).shape == shape
    assert isinstance(readout.synapses, network.Dense)
    task = Dataset("images", IMAGES, IMAGES, IMAGES, 3, "values")
    with pytest.raises(SnnlearnError, match="--delays are those of dense layers"):
        structure(options(task, delays=6e-3, layers=("2c3", "4"), num_steps=4), task)


def test_images_are_shown_to_networks_for_sequences_row_by_row():
    task = Dataset("images", IMAGES, IMAGES, IMAGES, 3, "values")
    assert build._sequence(Train(neuron="lif"), task) is task
    shown = build._sequence(Train(neuron="lru"), task)
    assert (shown.shape, shown.structure) == ((5, 4), "series")
    assert shown.notes[-1].startswith("lru learns sequences, so that images are shown row by row")
    one, because = chosen(Train(neuron="lru"), shown)
    assert one.series and one.num_steps == 1 and "--series, frame by frame, for lru" in because
    assert build.encoder(replace(one, scale="none"), shown) == coding.Framewise(coding.Current(num_steps=1), 5)
    assert build._sequence(Train(neuron="lru", sequence="pixels"), task).shape == (20, 1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"neuron": "lru", "tau_mem": 0.02}, "--tau-mem has no effect on lru; drop it"),
        ({"neuron": "lru", "recurrent": True}, "--recurrent has no effect on lru"),
        ({"neuron": "gru", "xi": 1.0}, "--xi has no effect on gru"),
        ({"neuron": "rnn", "delays": 0.01}, "--delays has no effect on rnn"),
        ({"neuron": "spiking-lru", "reset": "zero"}, "--reset has no effect on spiking-lru"),
        ({"neuron": "lstm", "dropout": 0.1}, "--dropout has no effect on lstm"),
        ({"neuron": "dpi", "reset": "none"}, "--reset has no effect on dpi"),
        ({"neuron": "if", "train_time_constants": True}, "--train-time-constants has no effect on if"),
        ({"neuron": "lif", "state_size": 3}, "--state-size has no effect on lif"),
        ({"neuron": "alif", "frequency": (1.0, 2.0)}, "--frequency has no effect on alif"),
        ({"delay_kernel": "gaussian"}, "--delay-kernel has no effect on lif"),
    ],
)
def test_what_has_no_effect_is_refused(given, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        check_effect(Train(**given))


def test_what_has_an_effect_is_not_refused():
    check_effect(Train(neuron="lru", state_size=3, r_min=0.5, r_max=0.6, dropout=0.1))
    check_effect(Train(neuron="spiking-lru", surrogate_slope=2.0, surrogate="atan", xi=1.0, tau_out=0.02))
    check_effect(Train(neuron="resonate-and-fire", reset="none", frequency=(1.0, 2.0), delays=0.01))
    check_effect(Train(neuron="lif", rule="eventprop", tau_syn=0.02))  # of the readout
    with pytest.raises(SnnlearnError, match="--tau-syn has no effect on lif"):
        check_effect(Train(neuron="lif", tau_syn=0.02))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"neuron": "lru", "layers": ("4", "5")}, "the blocks of lru have the same number of units"),
        ({"neuron": "lstm", "layers": ("3c3",)}, "--layers is '3c3'; give lstm numbers of units"),
        ({"neuron": "lru", "layers": ()}, "--layers is ''; give lru numbers of units"),
        ({"neuron": "gru", "readout": "count"}, "--readout count reads spikes, and the readout of gru has none"),
        ({"delays": 0.1}, "--delays is 0.1 s, but a sample has 6 steps of 0.002 s; give from 0.002 to 0.01"),
        ({"neuron": "resonate-and-fire", "frequency": (1.0, 300.0)}, "give less than 250"),
        ({"reset": "none", "reset_next_step": True}, "--reset-next-step has no effect with --reset none"),
    ],
)
def test_what_cannot_be_is_refused(given, sentence):
    with pytest.raises(SnnlearnError, match=sentence):
        structure(options(**{"series": True, "num_steps": 1} | given))


def test_a_run_with_delays_reports_what_rounding_costs(say, blank, tmp_path):
    """From the command line to the report, risk and evaluate; and it trains on."""
    run, x = tmp_path / "run", SERIES.x
    lines = [":".join(",".join(map(repr, c[~np.isnan(c)].tolist())) for c in one.T) for one in x]
    head = "@timeStamps false\n@univariate false\n@classLabel true x y\n@data\n"
    text = [f"{line}:{'xy'[label]}" for line, label in zip(lines, SERIES.y, strict=True)]
    (tmp_path / "a.ts").write_text(head + "\n".join(text))
    some = (
        "--series --num-steps 1 --layers 4 --epochs 1 --batch-size 4 --xi 1 --no-baseline --validation 0.2 --test 0.4"
    )
    say("train", "--data", tmp_path / "a.ts", *some.split(), "--delays", 3e-3, "--out", run)
    summary = json.loads((run / "summary.json").read_text())
    found = load(run / "model.npz")[0]
    data = build.dataset(Train(data=str(tmp_path / "a.ts"), validation=0.2, test=0.4))
    learned, whole = (
        np.mean(decisions(scores(replace(found, network=one), data.test.x)) != data.test.y)
        for one in (found.network, network.rounded(found.network))
    )
    assert (all_delays(found.network) % 1 != 0).all() and " · LIF 4 with delays · " in summary["title"]
    assert (summary["risk"], summary["with_rounded_delays"]["risk"]) == pytest.approx((learned, whole))
    page = (run / "report.html").read_text()
    assert "Test error with rounded delays" in page and "Change with rounded delays" in page
    assert "Delays of layer 1: 1 · LIF 4" in page and "Delays of layer 2" not in page
    assert "errors of 10" in say("evaluate", run)
    said = say("evaluate", run, "--data", tmp_path / "a.ts")
    assert "they hold their last value" in said and "value.." not in said and "value.;" not in said
    say("risk", run, "--out", tmp_path / "risk")
    say("train", "--resume", run, "--epochs", "2")
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_name_says_what_it_takes(capsys):
    for name, taken in (
        ("spiking-lru", "--state-size, --r-min, --r-max, --dropout"),
        ("resonate-and-fire", "--frequency"),
    ):
        with pytest.raises(SystemExit):
            main(["train", "--neuron", name, "--help"])
        assert taken in " ".join(capsys.readouterr().out.replace("│", " ").split())
