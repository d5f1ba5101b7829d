"""What is measured equals what is counted by hand."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from snnlearn.coding import Current, Framewise, MeanMembrane, Rate, Spikes
from snnlearn.data import Dataset, Sample
from snnlearn.hypothesis import Hypothesis, predict
from snnlearn.network import AveragePool2d, Chain, Conv2d, Dense, Layer, Network, with_reset
from snnlearn.neurons import LI, LIF, NoReset
from snnlearn.report.baseline import advice, baselines
from snnlearn.report.figures import draw_example, example_size
from snnlearn.report.measure import (
    History,
    dense_network,
    multiply_accumulates,
    operations,
    select,
    summarise,
    warnings,
)
from snnlearn.report.run import run_report
from snnlearn.report.summary import LayerSummary
from snnlearn.report.training import reset_rows
from snnlearn.report.value import Numbers


def dense(weight, use_bias: bool = False) -> Dense:
    weight = jnp.asarray(weight, jnp.float32)
    synapses = Dense(weight.shape[1], weight.shape[0], use_bias=use_bias, key=jax.random.key(0))
    return eqx.tree_at(lambda s: s.weight, synapses, weight)


def sparse(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers, of which about a third is 0."""
    return np.where(rng.random(shape) < 0.33, 0, rng.standard_normal(shape)).astype(np.float32)


def count_dense(weight, x) -> int:
    weight, x = np.asarray(weight), np.ravel(x)
    return sum(bool(x[j] != 0 and weight[i, j] != 0) for i in range(weight.shape[0]) for j in range(weight.shape[1]))


def count_convolution(weight, x, padding: int) -> int:
    """Of stride 1: each weight meets each input that its window holds, if both are not 0."""
    weight, x = np.asarray(weight), np.asarray(x)
    _, channels, size, _ = weight.shape
    height, width = (side + 2 * padding - size + 1 for side in x.shape[1:])
    total = 0
    for kernel in weight:
        for row, column in np.ndindex(height, width):
            for channel, down, right in np.ndindex(channels, size, size):
                i, j = row + down - padding, column + right - padding
                if 0 <= i < x.shape[1] and 0 <= j < x.shape[2]:
                    total += bool(x[channel, i, j] != 0 and kernel[channel, down, right] != 0)
    return total


@pytest.mark.parametrize("encoder", [Spikes(9), Current(9), Framewise(Current(3), 3), Framewise(Rate(3), 3)])
def test_operations_of_dense_layers(encoder):
    """With recurrence, zeros among weights and inputs, and biases, which cost none; currents are counted densely."""
    rng = np.random.default_rng(2)
    forward, loop, out = 3 * sparse(rng, 5, 4), sparse(rng, 5, 5), sparse(rng, 2, 5)
    first = Layer(dense(forward, use_bias=True), LIF(tau_mem=3e-3), dense(loop))
    network = Network((first, Layer(dense(out), LI())))
    shape = {Spikes: (9, 4), Current: (4,), Framewise: (3, 4)}[type(encoder)]
    inputs = jnp.stack([encoder(jnp.round(rng.random(shape)), key=jax.random.key(k)) for k in range(3)])
    arriving = recurrent = hidden = 0
    for sample in inputs:
        alone = Network((first,))
        state, spikes = alone.initial_state(), np.zeros(5)
        for x in sample:
            recurrent += count_dense(loop, spikes)
            arriving += count_dense(forward, x)
            spikes, state = alone.step(jnp.asarray(x), state)
            hidden += count_dense(out, spikes)
    assert min(arriving, recurrent, hidden) > 0, "units must spike before the last step"
    found = operations(network, encoder, inputs)
    synops = recurrent + hidden + (arriving if encoder.gives_spikes else 0)
    assert float(found.synops) == pytest.approx(synops / 3)
    # Of a current, 4 · 5 products each time that it changes.
    assert float(found.macs) == (0 if encoder.gives_spikes else 9 / encoder.held_steps * 20)
    assert dense_network(network) == "4-5-2"


def test_what_a_readout_feeds_back_is_no_spike():
    """And what a layer of neurons that do not spike gives to the next: products, whatever the input."""
    rng = np.random.default_rng(0)
    layers = (Layer(dense(rng.random((3, 2))), LI(), dense(rng.random((3, 3)))), Layer(dense(rng.random((4, 3))), LI()))
    found = operations(Network(layers), Spikes(5), jnp.ones((1, 5, 2)))
    assert (float(found.synops), float(found.macs)) == (5 * 6, 4 * 9 + 5 * 12)


def test_operations_of_convolutions():
    """Pooling costs none; the means that it gives of spikes are no spikes, and cost where they meet a weight."""
    rng = np.random.default_rng(1)
    convolution = Conv2d((2, 3, 3), 3, 2, padding=1, key=jax.random.key(0))
    convolution = eqx.tree_at(lambda s: s.weight, convolution, jnp.asarray(4 * sparse(rng, 3, 2, 2, 2)))
    readout = dense(sparse(rng, 2, 48))
    layers = (Layer(Chain(AveragePool2d((2, 6, 6), 2), convolution), LIF(tau_mem=2e-3)), Layer(readout, LI()))
    inputs = 1.0 * (rng.random((2, 4, 2, 6, 6)) < 0.2)
    macs = synops = 0
    for sample in inputs:
        alone = Network(layers[:1])
        state: Any = alone.initial_state()
        for x in sample:
            pooled = x.reshape(2, 3, 2, 3, 2).mean(axis=(2, 4))
            macs += count_convolution(convolution.weight, pooled, padding=1)
            out, state = alone.step(jnp.asarray(x, jnp.float32), state)
            synops += count_dense(readout.weight, out)
    assert synops > 0
    found = operations(Network(layers), Spikes(4), jnp.asarray(inputs, jnp.float32))
    assert (float(found.synops), float(found.macs)) == pytest.approx((synops / 2, macs / 2))
    # 3 · 4 · 4 outputs of 2 · 2 · 2 products each, and a dense readout of 48 inputs.
    assert multiply_accumulates(Network(layers)) == 3 * 4 * 4 * 8 + 48 * 2


def layer(**changes) -> LayerSummary:
    healthy: dict[str, Any] = dict(
        name="1 · LIF 9", units=9, spiking=True, firing_rate=np.ones(9), silent=0.2, saturated=0.04, surrogate_mass=0.02
    )
    return LayerSummary(**(healthy | changes))


def test_warnings():
    assert warnings([layer(), layer(spiking=False, silent=1.0, saturated=1.0, surrogate_mass=0.0)]) == []
    for change, words in (
        ({"silent": 0.3}, "1 · LIF 9: 30% of its units never spike. Use fewer units, lower xi"),
        ({"saturated": 0.06}, "6% of its units spike in nearly every step, so they carry little. Raise xi"),
        ({"surrogate_mass": 0.009}, "0.90% of the peak, so hardly any gradient passes. Use a wider surrogate"),
    ):
        (found,) = warnings([layer(), layer(**change)])
        assert words in found
    assert len(warnings([layer(silent=0.5, saturated=0.5, surrogate_mass=0.0)])) == 3


def history(**changes) -> History:
    """Of 3 seeds over 2 epochs."""
    fields = dict(
        training_loss=np.ones((3, 2)),
        gradient_norm=np.ones((3, 2)),
        validation_loss=np.array([[0.1, 0.9], [0.5, 0.4], [0.3, 0.2]]),
        validation_error=np.array([[0.0, 0.3], [0.2, 0.1], [0.0, 0.1]]),
        best_epoch=np.array([2, 2, 2]),
        seconds=np.array([4.0, 1.0]),
    )
    return History(**(fields | changes))


def test_select():
    """By the kept epoch, then by validation errors, then by the loss, then the first."""
    assert select(history()) == 2
    assert select(history(best_epoch=np.array([1, 2, 2]))) == 0
    assert select(history(best_epoch=np.array([1, 2, 1]))) == 0
    assert select(history(best_epoch=np.array([2, 2, 1]))) == 2
    assert select(history(validation_loss=np.zeros((3, 2)))) == 1


@pytest.fixture(scope="module")
def task() -> Dataset:
    """Images of 1 × 2 pixels whose class is the brighter pixel, but for 2 labels in 12, of which class 1 has 7."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.array([0, 1], np.int32), (5, 7))
    x = np.stack([1 - y, y], axis=1)[:, None] * 0.5 + 0.1 + 0.1 * rng.random((12, 1, 2))
    y[[0, 11]] = 1 - y[[0, 11]]
    test = Sample(x.astype(np.float32), y)
    train = Sample(test.x[:8], test.y[:8])
    return Dataset("pixels", train, test, test, 2, "values", class_names=("left", "right"))


def argmax_of(weight) -> Hypothesis:
    """A network without hidden units: its readout's mean membrane is a positive multiple of W x."""
    return Hypothesis(Current(num_steps=5), Network((Layer(dense(weight), LI()),)), MeanMembrane())


def test_summary_of_known_decisions(task):
    """The first of three seeds decides for the brighter pixel, the second for the darker, the third for the left."""
    hypotheses = [argmax_of(np.eye(2)), argmax_of(1 - np.eye(2)), argmax_of([[1, 1], [0, 0]])]
    errors = history(
        training_loss=np.arange(6.0).reshape(3, 2),
        gradient_norm=np.array([[1.0, 300.0]] * 3),
        validation_error=np.array([[0.1, 0.2], [0.9, 0.8], [0.5, 0.5]]),
        best_epoch=np.array([1, 2, 2]),
        seconds=np.array([40.0, 3.0]),
    )
    summary = summarise(
        hypotheses, task, errors, title="a title", config={"seeds": 3}, why_plain=None, reproduce="again"
    )
    assert (summary.selected_seed, summary.selected_epoch.tolist()) == (0, [0, 1, 1])
    assert summary.test_errors.tolist() == [2, 10, 7] and summary.test_size == 12
    assert summary.train_errors.tolist() == [1, 7, 4] and summary.train_size == 8
    assert summary.confusion.tolist() == [[4, 1], [1, 6]]
    # Among the first 8 labels each class has 4; of two that are as frequent, the guess is 0, which 7 of 12 are not.
    assert summary.chance == 7 / 12
    assert summary.parameters == 4 and summary.dt == 1e-3
    assert (summary.dense, summary.dense_macs, summary.num_steps) == ("2-2", 4, 5)
    assert (summary.synops, summary.macs) == (0, 4), "pixels are no spikes, and held for 5 steps"
    assert summary.wall_time == 43 and summary.samples_per_second == 3 * 8 / 3, "the first epoch also compiles"
    np.testing.assert_array_equal(summary.curves["training loss"], errors.training_loss)
    assert (summary.title, summary.config, summary.reproduce) == ("a title", {"seeds": 3}, "again")
    assert len(summary.warnings) == 1 and "gradient grew from 1 in the first epoch to 3e+02" in summary.warnings[0]
    assert [one.name for one in summary.layers] == ["1 · LI 2"]
    assert {"snnlearn", "jax", "python", "device"} <= set(summary.environment)
    # Two decided well, one not, each with what was shown and what the network did.
    assert [example.label == example.predicted for example in summary.examples] == [True, True, False]
    first = summary.examples[0]
    assert first.image is not None and first.label == "left"
    np.testing.assert_array_equal(first.image, task.test.x[1])
    shapes = [(name, values.shape, is_spikes) for name, values, is_spikes in first.layers]
    assert shapes == [("input", (5, 2), False), ("1 · LI 2", (5, 2), False)]


def test_a_single_epoch_is_its_own_throughput(task):
    one = history(**{name: values[:, :1] for name, values in history()._asdict().items() if values.ndim == 2})
    one = one._replace(best_epoch=np.array([1]), seconds=np.array([4.0]))
    one = History(*(values[:1] for values in one))
    assert summarise([argmax_of(np.eye(2))], task, one, title="", config={}, why_plain=None).samples_per_second == 8 / 4


def test_summary_of_unhealthy_units(task):
    """Of four hidden units, two have no input, and two so much that they spike in each step."""
    hidden = Layer(dense([[0, 0], [0, 0], [900, 900], [900, 900]]), LIF())
    hypothesis = Hypothesis(
        Current(num_steps=5), Network((hidden, Layer(dense(np.ones((2, 4))), LI()))), MeanMembrane()
    )
    one = history(**{name: values[:1] for name, values in history()._asdict().items() if name != "seconds"})
    summary = summarise([hypothesis], task, one, title="", config={}, why_plain=None)
    spiking, readout = summary.layers
    assert (spiking.name, spiking.units, spiking.spiking, readout.spiking) == ("1 · LIF 4", 4, True, False)
    np.testing.assert_allclose(spiking.firing_rate, [0, 0, 1000, 1000])
    assert (spiking.silent, spiking.saturated) == (0.5, 0.5) and readout.firing_rate.size == 0
    assert any("50% of its units never spike" in w for w in summary.warnings)
    assert any("50% of its units spike in nearly every step" in w for w in summary.warnings)
    # Both classes get the same score, so that chance decides; a silent layer is spikes all the same.
    assert any("(100.0%) are between classes of equal scores" in w for w in summary.warnings)
    names = [(name, is_spikes) for name, _, is_spikes in summary.examples[0].layers]
    assert names == [("input", False), ("1 · LIF 4", True), ("2 · LI 2", False)]
    assert (summary.synops, summary.macs) == (5 * 2 * 2, 2 * 4)


def test_what_a_network_trained_without_reset_loses_with_it_is_in_its_report(task):
    """A bright left pixel has its unit spike on without reset, and less often than 0.6 times each step with it."""
    hidden = Layer(dense([[8.0, 0.0], [900.0, 900.0]]), LIF(reset=NoReset()))
    network = Network((hidden, Layer(dense([[1.0, 0.0], [0.0, 0.6]]), LI())))
    hypothesis = Hypothesis(Current(num_steps=20), network, MeanMembrane())
    one = history(**{name: values[:1] for name, values in history()._asdict().items() if name != "seconds"})
    summary = summarise([hypothesis], task, one, title="", config={}, why_plain=None)
    found = summary.with_reset
    deployed = Hypothesis(Current(num_steps=20), with_reset(network), MeanMembrane())
    without, wrong = (predict(h, task.test.x) != task.test.y for h in (hypothesis, deployed))
    assert found is not None and found.reset == "Subtract" and found.risk == wrong.mean() != without.mean()
    assert found.comparison.difference == pytest.approx(wrong.mean() - without.mean())
    row, change = reset_rows(summary)
    assert row.label == "Test error with resets" and row.value.startswith(f"{100 * wrong.mean():.1f}")
    assert change.label == "Change with resets" and change.value.startswith(
        f"{100 * (wrong.mean() - without.mean()):.1f} points"
    )
    page = run_report(summary)
    assert any(row in block.rows for section in page.sections for block in section.blocks if isinstance(block, Numbers))
    reset = summarise(
        [replace(hypothesis, network=with_reset(network))], task, one, title="", config={}, why_plain=None
    )
    assert reset.with_reset is None and reset_rows(reset) == []


def test_a_raster_of_many_units_has_each(task):
    """Of 1,300 units the first and the last 300 spike, in each step."""
    weight = np.repeat([[0.0, 0.0], [900.0, 900.0]], (1300, 300), axis=0)
    weight[0] = 900.0
    layers = (Layer(dense(weight), LIF()), Layer(dense(np.ones((2, 1600))), LI()))
    hypothesis = Hypothesis(Current(num_steps=5), Network(layers), MeanMembrane())
    one = history(**{name: values[:1] for name, values in history()._asdict().items() if name != "seconds"})
    example = summarise([hypothesis], task, one, title="", config={}, why_plain=None).examples[0]
    (_, spikes, _), (_, v) = example.layers[1], example.membranes[0]
    assert spikes.shape == (5, 1600) and v.shape == (5, 5)
    assert np.unique(np.nonzero(spikes)[1]).tolist() == [0, *range(1300, 1600)]
    figure = Figure(example_size(example))
    draw_example(figure, example, 1e-3)
    axes = figure.axes[2]
    assert axes.get_title() == "1 · LIF 1600 · 1,505 spikes" and axes.get_ylim() == (1599.5, -0.5)


def test_baselines_are_fitted_to_the_same_split_and_compared_in_pairs(task):
    """The brighter pixel decides but for 2 labels in 12, of which the line that separates the others knows nothing."""
    wrong = np.arange(12) < 3
    for data in (task, events_of(task)):
        line, neighbours = baselines(data, wrong)
        assert line.name.startswith("logistic regression, C = ") and line.errors == 2, "samples 0 and 11"
        assert (line.only_network, line.only_baseline) == (2, 1)
        assert line.comparison.difference == pytest.approx(1 / 12) and line.comparison.p_value == 1
        assert neighbours.name.startswith("nearest neighbours, ") and neighbours.errors < 6
    one = history(**{name: values[:1] for name, values in history()._asdict().items() if name != "seconds"})
    summary = summarise(
        [argmax_of(np.eye(2))],
        task,
        one,
        title="",
        config={},
        why_plain=None,
        baselines=lambda _, w: baselines(task, w),
    )
    risks = run_report(summary).sections[0].blocks[0]
    assert isinstance(risks, Numbers)
    rows = {row.label: row for row in risks.rows}
    assert "2 of 12 wrong" in rows["Logistic regression"].note
    against = rows["Saved model − logistic regression"]
    assert against.value.startswith("0.0 points (0.0 to 0.0)") and "right on 0 that it has wrong: p = 1" in against.note
    assert "Saved model − nearest neighbours" in rows


def test_a_network_that_loses_is_told_so_and_what_to_try():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400).astype(np.int32)
    sample = Sample((y[:, None] + 0.01 * rng.standard_normal((400, 1))).astype(np.float32), y)
    data = Dataset("easy", sample, sample, sample, num_classes=2, kind="values", low=-1.0, high=2.0)
    (said,) = advice(baselines(data, wrong=rng.random(400) < 0.2))
    assert "worse than logistic regression and nearest neighbours" in said and "--encode population" in said
    assert advice(baselines(data, wrong=np.zeros(400, bool))) == []


def events_of(task: Dataset) -> Dataset:
    """The same as spikes: as many in each channel as the pixel is bright, at other times in each sample."""
    rng = np.random.default_rng(1)

    def spikes(part: Sample) -> Sample:
        counts = np.round(20 * part.x[:, 0]).astype(int)
        x = np.zeros((len(counts), 40, 2), np.uint8)
        for sample, channel in np.ndindex(counts.shape):
            x[sample, rng.permutation(40)[: counts[sample, channel]], channel] = 1
        return Sample(x, part.y)

    return dataclasses.replace(
        task, kind="spikes", **{name: spikes(getattr(task, name)) for name in ("train", "validation", "test")}
    )
