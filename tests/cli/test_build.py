"""From options to objects: each option reaches the object that it is about, and any choice works with any other."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import circuits, coding, losses, network, neurons, rules
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import GradientDescent
from snnlearn.cli import build, commands, main
from snnlearn.cli.by_data import chosen
from snnlearn.cli.choices import CODES as NAMED
from snnlearn.cli.choices import ON_TOP
from snnlearn.cli.options import Train
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, encode
from snnlearn.model_file import load, save

DT = 2e-3
EIGHT = Sample(np.eye(8, dtype=np.float32), np.arange(8, dtype=np.int32) % 2)
TASK = Dataset("eight", EIGHT, EIGHT, EIGHT, 2, "values")


@pytest.fixture(scope="module")
def images() -> Dataset:
    rng = np.random.default_rng(0)
    sample = Sample(rng.random((12, 6, 6), np.float32), np.arange(12, dtype=np.int32) % 4)
    return Dataset("images", sample, sample, sample, 4, "values")


def train(**choices: Any) -> Train:
    """Options; what choices are of the wrong type, the tests would show."""
    return Train(**choices)


def built(options: Train, task: Dataset) -> tuple[Any, Any, Any]:
    """Encoder, network and algorithm, as a training has them."""
    options.check()
    options, _ = chosen(options, task)
    encoder = build.encoder(options, task)
    return encoder, build.structure(options, task, encoder), build.algorithm(options, task, encoder.dt)


def algorithm_of(options: Train) -> GradientDescent:
    return build.algorithm(chosen(options, TASK)[0], TASK, 1e-3)


CONV = ("3c3", "p2", "2c1p1", "p2", "5")
COMBINATIONS = [
    {"encode": "rate", "neuron": "lif", "readout": "mean", "recurrent": True, "rate_band": (5.0, 50.0)},
    {"encode": "latency", "neuron": "cuba-lif", "readout": "count", "loss": "mean-squared", "bias": True},
    {"encode": "population", "neuron": "alif", "readout": "first-spike", "train_time_constants": True},
    {"encode": "current", "neuron": "if", "readout": "max", "recurrent": True, "refractory": 4e-3},
    {"layers": CONV, "neuron": "lif", "readout": "count", "recurrent": True, "train_time_constants": True},
    {"layers": CONV, "neuron": "cuba-lif", "readout": "last", "encode": "rate", "rate_band": (1.0, 9.0), "bias": True},
    {"layers": CONV, "neuron": "alif", "readout": "mean", "loss": "mean-squared", "encode": "latency"},
    {"layers": ("5", "4", "3"), "neuron": "cuba-lif", "recurrent": True, "train_time_constants": True},
    {"layers": (), "readout": "first-spike"},
    {"layers": ("p3",), "readout": "max"},
    {"reset": "zero", "reset_next_step": True, "surrogate": "triangle", "surrogate_slope": 3.0, "neuron": "alif"},
    {"surrogate": "boxcar", "refractory": 2e-3, "recurrent": True, "encode": "rate", "max_rate": 100.0},
    {"encode": "burst", "series": True, "max_spikes": 3, "readout": "count"},
    {"encode": "delta", "series": True, "neuron": "alif", "recurrent": True},
    {"neuron": "dpi", "recurrent": True},
]


@pytest.mark.parametrize("choices", COMBINATIONS, ids=lambda choices: " ".join(map(str, choices.values())))
def test_any_choice_with_any_other(choices, images):
    """The rule gives a finite loss, and a gradient of the shape of each parameter."""
    options = train(**({"layers": ("5",), "num_steps": 6, "dt": DT, "batch_size": 4} | choices))
    encoder, net, algorithm = built(options, images)
    spiking = options.readout in ("count", "first-spike")
    assert net.out_shape == (4,) and net.dt == encoder.dt == DT
    assert isinstance(net.layers[-1].neuron, neurons.LIF if spiking else neurons.LI)
    inputs = eqx.filter_eval_shape(encode, encoder, jnp.asarray(images.train.x[:3]), key=jax.random.key(0))
    loss, gradient = eqx.filter_eval_shape(
        algorithm.rule, net, algorithm.loss, inputs, jnp.asarray(images.train.y[:3]), key=jax.random.key(1)
    )
    assert loss.shape == ()
    parameters = jax.tree.leaves(eqx.filter(net, eqx.is_inexact_array))
    assert [leaf.shape for leaf in jax.tree.leaves(gradient)] == [leaf.shape for leaf in parameters]


def test_convolution_and_pooling(images):
    """[6, 6] → 3c3 → [3, 4, 4] → p2 → [3, 2, 2] → 2c1p1 → [2, 4, 4] → p2 → [2, 2, 2] → 5 → 4 classes."""
    encoder, net, _ = built(train(layers=CONV, num_steps=6, recurrent=True), images)
    assert [layer.shape for layer in net.layers] == [(3, 4, 4), (2, 4, 4), (5,), (4,)]
    assert [layer.recurrent is None for layer in net.layers] == [True, True, False, True]
    first, second, dense, _ = (layer.synapses for layer in net.layers)
    assert isinstance(first, network.Conv2d) and first.weight.shape == (3, 1, 3, 3)
    for chain, last in ((second, network.Conv2d), (dense, network.Dense)):
        assert isinstance(chain, network.Chain)
        assert [type(stage) for stage in chain.stages] == [network.AveragePool2d, last]
    xs = encode(encoder, jnp.asarray(images.train.x[:1]), key=jax.random.key(0))[0]
    assert net(xs)[0].shape == (6, 4)


SURROGATES = {
    "fast-sigmoid": neurons.FastSigmoid(4.0),
    "sigmoid": neurons.Sigmoid(4.0),
    "atan": neurons.Atan(4.0),
    "triangle": neurons.Triangle(width=0.25),
    "boxcar": neurons.Boxcar(width=0.25),
    "gaussian": neurons.Gaussian(0.25),
}


@pytest.mark.parametrize("name", SURROGATES)
def test_surrogates(name, images):
    _, net, _ = built(train(layers=("5",), surrogate=name, surrogate_slope=4.0, readout="count"), images)
    assert [layer.neuron.surrogate for layer in net.layers] == [SURROGATES[name]] * 2
    _, net, _ = built(train(layers=("5",), surrogate=name), images)
    assert net.layers[0].neuron.surrogate == type(SURROGATES[name])()


def test_every_option_of_a_neuron_arrives(images):
    common = {"tau_mem": 0.03, "refractory": 4e-3, "reset": "zero", "reset_next_step": True, "surrogate": "gaussian"}
    expected = {
        "surrogate": neurons.Gaussian(),
        "reset": neurons.NextStep(neurons.ToValue()),
        "refractory": neurons.Refractory(4e-3),
        "dt": DT,
    }
    physical = {name: expected[name] for name in ("surrogate", "refractory", "dt")}
    for name, own, neuron in (
        ("if", {}, neurons.IF(**expected)),
        ("lif", {}, neurons.LIF(tau_mem=0.03, **expected)),
        ("cuba-lif", {"tau_syn": 0.04}, neurons.CubaLIF(tau_mem=0.03, tau_syn=0.04, **expected)),
        ("alif", {"tau_adapt": 0.3, "beta": 0.7}, neurons.ALIF(tau_mem=0.03, tau_adapt=0.3, beta=0.7, **expected)),
        ("dpi", {}, neurons.DPI(**physical)),
        ("adex", {}, neurons.AdEx(**physical)),
        ("axon-hillock", {}, neurons.AxonHillock(surrogate=neurons.Gaussian(), dt=DT)),
    ):
        _, net, _ = built(train(layers=("5",), neuron=name, dt=DT, tau_out=0.05, **common, **own), images)
        assert net.layers[0].neuron == neuron
        assert net.layers[1].neuron == neurons.LI(tau_mem=0.05, dt=DT)
    _, net, _ = built(train(layers=("5",), tau_mem=0.03, train_time_constants=True), images)
    assert net.layers[0].neuron.reset == neurons.Subtract()
    np.testing.assert_allclose(net.layers[0].neuron.tau_mem.value, np.full(5, 0.03), rtol=1e-6)


STEPS = {"num_steps": 9, "dt": DT}
LEVEL = {"latency_threshold": 0.3}
CODES = {
    "rate": (coding.Rate(max_rate=99.0, **STEPS), {"max_rate": 99.0}),
    "poisson-rate": (coding.PoissonRate(max_rate=99.0, **STEPS), {"max_rate": 99.0}),
    "regular-rate": (coding.RegularRate(max_rate=99.0, **STEPS), {"max_rate": 99.0}),
    "latency": (coding.Latency(tau=8e-3, threshold=0.3, **STEPS), {"latency_tau": 8e-3, **LEVEL}),
    "linear-latency": (coding.LinearLatency(threshold=0.3, **STEPS), LEVEL),
    "rank-order": (coding.RankOrder(threshold=0.3, **STEPS), LEVEL),
    "phase": (coding.Phase(num_phases=3, **STEPS), {"num_phases": 3}),
    "burst": (coding.Burst(max_spikes=3, **STEPS), {"max_spikes": 3}),
    "population": (
        coding.Population(coding.LinearLatency(threshold=0.3, **STEPS), num_neurons=5),
        {"population": 5, **LEVEL},
    ),
    "current": (coding.Current(**STEPS), {}),
}
OF_CHANGES = {"delta": coding.Delta, "send-on-delta": coding.SendOnDelta}


def test_every_code_of_the_library_has_a_name():
    """But for codes around codes, those of the tuning curves, which have no sensible default, and spikes themselves."""
    named = {type(code) for code, _ in CODES.values()} | set(OF_CHANGES.values())
    without = {coding.Framewise, coding.HoldLast, coding.Rescaled, coding.Spikes, coding.TunedPopulation}
    classes = {c for c in vars(coding).values() if isinstance(c, type) and not c.__name__.startswith("Abstract")}
    assert {thing for thing in classes if issubclass(thing, coding.AbstractEncoder)} - without == named
    assert set(NAMED.choices) == {*CODES, *OF_CHANGES}


@pytest.mark.parametrize("name", CODES)
def test_every_option_of_a_code_arrives(name, images):
    expected, own = CODES[name]
    assert build.encoder(train(encode=name, **STEPS, **own), images) == expected
    wide = Sample(10 * images.train.x - 3, images.train.y)
    scaled = Dataset("wide", wide, wide, wide, 4, "values", low=-3.0, high=7.0)
    assert build.encoder(train(encode=name, **STEPS, **own), scaled) == coding.Rescaled(expected, -3.0, 7.0)
    framed = build.encoder(train(encode=name, series=True, **STEPS, **own), images)
    assert framed == coding.Framewise(expected, num_frames=6)
    assert framed.out_shape((6, 6)) == expected.out_shape((6,))


def test_defaults_of_a_code(images):
    assert build.encoder(train(**STEPS), images) == coding.Current(**STEPS)
    silent_up_to = {
        "latency": lambda code: code.threshold,
        "linear-latency": lambda code: code.threshold,
        "rank-order": lambda code: code.threshold,
        "population": lambda code: code.encoder.threshold,
    }
    found = [threshold(build.encoder(train(encode=name, **STEPS), images)) for name, threshold in silent_up_to.items()]
    assert found == [0.2, 0.0, 0.0, 0.1]


@pytest.mark.parametrize("name", ON_TOP.choices)
def test_any_code_on_top_of_a_population(name, images):
    _, own = CODES[name]
    code = build.encoder(train(encode="population", population_code=name, **STEPS, **own), images)
    assert code == coding.Population(CODES[name][0], num_neurons=8)


@pytest.mark.parametrize("name", OF_CHANGES)
def test_codes_of_changes_need_a_series(name, images):
    """6 × 6 as a signal of 6 frames: the data's steps, ON and OFF of each channel, changes from the middle."""
    encoder, net, _ = built(
        train(encode=name, series=True, scale="all", delta_threshold=0.25, layers=("5",), dt=DT), images
    )
    assert encoder == OF_CHANGES[name](6, threshold=0.25, initial=0.5, dt=DT)
    assert net.in_shape == (12,)
    spikes = encode(encoder, jnp.asarray(images.train.x[:1]), key=jax.random.key(0))[0]
    assert spikes.shape == (6, 6, 2) and net(spikes)[0].shape == (6, 4)
    with pytest.raises(SnnlearnError, match=f"{name} encodes changes over time; give --series"):
        build.encoder(train(encode=name), images)


def test_a_trained_code_of_a_series_is_saved(images, tmp_path):
    options = train(encode="send-on-delta", scale="all", series=True, layers=("5",))
    encoder, net, algorithm = built(options, images)
    save(Hypothesis(encoder, net, algorithm.loss.decoder), tmp_path / "model.npz")
    assert load(tmp_path / "model.npz")[0].encoder == encoder


def test_every_option_of_the_loss_arrives(images):
    decoders = {
        "mean": coding.MeanMembrane(),
        "max": coding.MaxMembrane(),
        "last": coding.LastMembrane(),
        "count": coding.SpikeCount(),
        "first-spike": coding.FirstSpike(dt=DT),
    }
    for readout, decoder in decoders.items():
        _, _, algorithm = built(train(layers=("5",), readout=readout, dt=DT), images)
        assert algorithm.loss == losses.CrossEntropy(decoder)
    _, _, algorithm = built(train(layers=("5",), loss="mean-squared"), images)
    assert algorithm.loss == losses.ClassMeanSquaredError(coding.MeanMembrane())
    _, _, algorithm = built(train(layers=("5",), rate_band=(3.0, 40.0), rate_band_weight=0.01, dt=DT), images)
    outputs, target = (jnp.zeros((5, 3)), jnp.zeros((5, 4))), jnp.array(1)
    # Silent units are 3 Hz below the band; four equal scores cost log 4.
    np.testing.assert_allclose(algorithm.loss(outputs, target), np.log(4) + 0.01 * 3.0**2, rtol=1e-6)
    assert algorithm.loss.decoder == coding.MeanMembrane()


def first_update(**choices) -> float:
    """What the optimiser adds to a weight 1 with the gradient 8."""
    optimizer = algorithm_of(train(batch_size=4, **choices)).optimizer
    synapses = sl.network.Dense(1, 1, key=jax.random.key(0))
    synapses, gradient = (jax.tree.map(lambda w, n=number: jnp.full_like(w, n), synapses) for number in (1.0, 8.0))
    update: Any = optimizer.update(gradient, optimizer.init(synapses), synapses, progress=jnp.zeros(()))[0]
    return float(update.weight[0, 0])


def test_every_option_of_the_optimiser_arrives():
    """First steps: those of the Adam family have the length of the rate; decay adds rate · weight_decay · parameter."""
    for name in ("adam", "adamax"):
        np.testing.assert_allclose(first_update(optimizer=name, learning_rate=0.3), -0.3, rtol=1e-4)
    decayed = first_update(optimizer="adamw", learning_rate=0.3, weight_decay=0.5)
    np.testing.assert_allclose(decayed, -0.3 - 0.3 * 0.5, rtol=1e-4)
    np.testing.assert_allclose(first_update(optimizer="sgd", learning_rate=0.3), -0.3 * 8, rtol=1e-6)
    np.testing.assert_allclose(first_update(optimizer="sgd", learning_rate=0.3, clip_gradient=2.0), -0.6, rtol=1e-6)
    np.testing.assert_allclose(first_update(optimizer="rmsprop", learning_rate=0.3), -0.3 / np.sqrt(0.1), rtol=1e-3)


def test_the_schedule_arrives():
    """That it ends with the training is tested with the algorithm."""
    for schedule, expected in (("cosine", [1.0, 0.5, 0.0]), ("constant", [1.0, 1.0, 1.0])):
        optimizer = algorithm_of(train(batch_size=4, schedule=schedule)).optimizer
        np.testing.assert_allclose([optimizer.schedule(jnp.array(p)) for p in (0.0, 0.5, 1.0)], expected, atol=1e-6)


def test_segments_arrive_from_the_command_line(monkeypatch):
    taken = []
    monkeypatch.setattr(commands, "train", lambda options: taken.append(options) or 0)
    for line, rule in (("--segment 8", rules.BPTT(segment=8)), ("", rules.BPTT())):
        assert main(["train", *line.split()]) == 0
        assert algorithm_of(taken.pop()).rule == rule


def test_algorithm_options_arrive():
    algorithm = algorithm_of(train(batch_size=3, epochs=5, xi=1.5))
    assert (algorithm.batch_size, algorithm.epochs) == (3, 5)
    assert algorithm.initialisation == network.FluctuationDriven(xi=1.5, band=(0.005, 0.2))
    assert isinstance(algorithm.optimizer, sl.algorithms.Optimizer)


def test_data_of_spikes(events):
    """Steps, time step and cut are the options', and spikes pass as they are."""
    common = {"num_steps": 5, "dt": DT, "validation": 0.2, "test": 0.4, "layers": ("4",), "batch_size": 4}
    sets = {str(events): (20, 3), "randman": (10_000, 20), "spike-xor": (1000, 40)}
    for name, (size, units) in sets.items():
        options = train(data=name, **common)
        task = build.dataset(options)
        encoder, net, _ = built(options, task)
        assert (task.kind, task.shape, task.dt) == ("spikes", (5, units), DT)
        shares = [len(part.y) / size for part in (task.validation, task.test)]
        assert shares == pytest.approx([0.2, 0.4], abs=2e-3)  # copies of a sample stay in one part
        assert encoder == coding.Spikes(num_steps=5, dt=DT) and net.in_shape == (units,) and net.dt == DT
    task = build.dataset(train(data=str(events), **common))
    assert np.argwhere(task.train.x[task.train.y == 1][0]).tolist() == [[1, 1], [4, 2]]


def test_data_of_values():
    task = build.dataset(train(data="yin-yang", split_seed=1))
    other = build.dataset(train(data="yin-yang"))
    assert (task.kind, task.shape) == ("values", (4,)) and not np.array_equal(task.train.x, other.train.x)
    sizes = {len(build.dataset(train(data="digits", test=test)).test.y) for test in (0.1, 0.5)}
    assert max(abs(size - share * 1797) for size, share in zip(sorted(sizes), (0.1, 0.5), strict=True)) < 10


def test_a_kind_of_chip_is_trained_for_by_any_rule():
    found = algorithm_of(train(rule="eprop", chip="ideal", mismatch=0.3, chips=4)).rule
    assert found == circuits.ForChips(rules.EProp(), circuits.ideal(mismatch=0.3), num_chips=4)
    with pytest.raises(SnnlearnError, match="--mismatch is that of a chip; give its kind, too, such as --chip ideal"):
        algorithm_of(train(mismatch=0.3))
