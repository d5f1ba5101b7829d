"""Learning on streams: what rules and optimisers would do by hand, the same to the bit however it is cut."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_stream import same

from snnlearn import SnnlearnError, kernels
from snnlearn.losses import (
    AlphaVanRossum,
    ClassSpikeTrains,
    CrossEntropy,
    MeanSquaredError,
    RateBand,
    StepwiseCrossEntropy,
    Window,
)
from snnlearn.network import feedforward
from snnlearn.neurons import LIF, EscapeNoise, Sigmoid
from snnlearn.risk import t_interval
from snnlearn.rules import BPTT, RTRL, EProp, OnlineXieSeung, SuperSpike, TruncatedBPTT, no_baseline
from snnlearn.streaming import Constantly, Fixed, Learner, Persistence
from snnlearn.streaming.record import batch_means_interval, martingale_interval, nothing_yet, recorded

KEY = jax.random.key(2)
STEPS, INPUTS, OUTPUTS, BLOCK = 30, 3, 2, 7
RNG = np.random.default_rng(0)
XS = 4 * RNG.normal(size=(STEPS, INPUTS)).astype(np.float32)
SIGNAL = RNG.normal(size=(STEPS, OUTPUTS)).astype(np.float32)
TRAINS = (RNG.random((STEPS, OUTPUTS)) < 0.3).astype(np.float32)
LABELS = RNG.integers(0, OUTPUTS, STEPS)
SIZES = (INPUTS, 4, OUTPUTS)
LOOP = feedforward(SIZES, recurrent=True, key=KEY)
SGD = optax.sgd(0.01)


def noisy(**options):
    neuron = EscapeNoise(LIF(v_th=0.3, surrogate=Sigmoid(10.0)))  # pyright: ignore[reportCallIssue]
    return feedforward(SIZES, neuron=neuron, key=KEY, **options)


ALL = {
    "EProp": (LOOP, EProp(), MeanSquaredError(), SIGNAL),
    "SuperSpike": (feedforward(SIZES, readout=LIF(), key=KEY), SuperSpike(), AlphaVanRossum(), TRAINS),
    "TruncatedBPTT": (LOOP, TruncatedBPTT(3), MeanSquaredError(), SIGNAL),
    "OnlineXieSeung": (
        noisy(readout=EscapeNoise(LIF(v_th=0.3, surrogate=Sigmoid(10.0)))),  # pyright: ignore[reportCallIssue]
        OnlineXieSeung(baseline=no_baseline),
        MeanSquaredError(),
        SIGNAL,
    ),
}


def run(learner, xs, targets, cuts):
    state, outputs = learner.start(), []
    for first, last in zip([0, *cuts], [*cuts, len(xs)], strict=True):
        output, state = learner.advance(xs[first:last], targets[first:last], state)
        outputs.append(output)
    return np.concatenate(outputs), state


@pytest.mark.parametrize("name", ALL)
def test_every_rule_learns_the_same_however_the_stream_is_cut_or_saved(name, tmp_path):
    network, rule, loss, targets = ALL[name]
    learner = Learner(network, rule, loss, SGD, BLOCK, comparators=(Fixed(network),))
    whole, state = run(learner, XS, targets, [])
    cut, between = run(learner, XS[:11], targets[:11], [1, 2, 8])
    learner.save(between, tmp_path / "state.npz")
    rest, end = learner.advance(XS[11:], targets[11:], learner.load(tmp_path / "state.npz"))
    np.testing.assert_array_equal(np.concatenate([cut, rest]), whole)
    same(end, state)
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.parameters, learner.start().parameters)
    assert any(jax.tree.leaves(moved))
    # The network as it was has another loss only once the first weights have changed.
    fixed, first = learner.regret(state), learner.regret(run(learner, XS[:BLOCK], targets[:BLOCK], [])[1])
    assert fixed.comparators[0] != fixed.loss or network.layers[-1].neuron.spikes
    np.testing.assert_allclose(first.comparators[0], first.loss, rtol=1e-5) if not network.layers[0].draws else None


@pytest.mark.skipif(kernels.why_plain() is not None, reason=str(kernels.why_plain()))
@pytest.mark.parametrize("kind", ["spikes", "numbers"])
def test_learning_by_the_kernels_is_that_of_plain_jax(kind):
    """Several updates, with traces between them."""
    xs = XS > 1 if kind == "spikes" else XS
    learner = Learner(
        feedforward(SIZES, neuron=LIF(v_th=0.1), recurrent=True, key=KEY), EProp(), MeanSquaredError(), SGD, BLOCK
    )
    outputs, state = run(learner, xs, SIGNAL, [])
    with kernels.plain():
        expected, plain = run(learner, xs, SIGNAL, [])
    assert np.abs(outputs).max() > 1e-3
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    pairs = zip(*(jax.tree.leaves((s.parameters, s.memory.traces)) for s in (state, plain)), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.max(jnp.abs(b), initial=0)) + 1e-9)


def test_the_first_update_is_the_exact_gradient_by_backpropagation(x64):
    network, target = feedforward(SIZES, recurrent=True, key=KEY), SIGNAL.astype(float)
    xs = XS.astype(float)
    learner = Learner(network, RTRL(), MeanSquaredError(), SGD, STEPS)
    _, state = run(learner, xs, target, [4])
    loss, gradient = eqx.filter_jit(BPTT())(
        network, MeanSquaredError(), jnp.asarray(xs[None]), jnp.asarray(target[None]), key=KEY
    )
    expected = eqx.apply_updates(network, jax.tree.map(lambda g: -0.01 * g, gradient))
    pairs = zip(jax.tree.leaves(learner.network_of(state)), jax.tree.leaves(expected), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(state.record.totals[0] / STEPS, loss, rtol=1e-12)
    assert any(float(jnp.abs(leaf).max()) > 1e-4 for leaf in jax.tree.leaves(gradient))


@pytest.fixture(scope="module")
def learner():
    comparators = (Persistence(), Constantly(jnp.array([0.5, 0.0])))
    return Learner(LOOP, EProp(), MeanSquaredError(), SGD, BLOCK, comparators, window=5)


def test_regret_is_the_difference_to_the_best_comparator(learner):
    outputs, state = run(learner, XS, SIGNAL, [3])
    before = np.concatenate([np.zeros((1, OUTPUTS)), SIGNAL[:-1]])
    of = [np.mean((p - SIGNAL) ** 2, axis=1) for p in (outputs, before, np.array([[0.5, 0.0]]))]
    regret = learner.regret(state)
    np.testing.assert_allclose([regret.loss, *regret.comparators], [losses.sum() for losses in of], rtol=1e-5)
    assert regret.best == 1
    assert regret.regret == regret.loss - regret.comparators[1]
    np.testing.assert_allclose(regret.recent, of[0][-5:].mean(), rtol=1e-5)
    assert (regret.mean_loss, regret.mean_regret) == (regret.loss / STEPS, regret.regret / STEPS)
    assert state.steps == STEPS


def test_outputs_are_by_the_weights_before_the_update(learner):
    other = SIGNAL.copy()
    other[BLOCK - 1 :] += 5.0  # from the last step of the first block on
    one, another = (run(learner, XS, targets, [])[0] for targets in (SIGNAL, other))
    np.testing.assert_array_equal(one[:BLOCK], another[:BLOCK])
    assert not np.array_equal(one[BLOCK:], another[BLOCK:])


NAN = np.where(np.arange(STEPS)[:, None] == 4, np.nan, SIGNAL).astype(np.float32)


@pytest.mark.parametrize(
    ("xs", "targets", "why"),
    [
        (XS[:, :2], SIGNAL, r"xs has shape \(30, 2\); give \[T, 3\]"),
        (np.where(XS == XS[6, 1], np.inf, XS), SIGNAL, "step 7 of the stream holds NaN or infinity"),
        (XS, NAN, "target of step 5 of the stream is NaN"),
        (XS, SIGNAL[:-1], r"targets has shape \(29, 2\), and MeanSquaredError takes \(30, 2\)"),
        (XS, LABELS, r"targets has shape \(30,\)"),
        (XS, np.full((STEPS, OUTPUTS), "a"), "targets is an array of <U1; give numbers"),
    ],
)
def test_bad_input_is_refused(learner, xs, targets, why):
    with pytest.raises(SnnlearnError, match=why):
        learner.advance(xs, targets, learner.start())


def test_no_steps_change_nothing(learner):
    outputs, state = learner.advance(XS[:0], SIGNAL[:0], learner.start())
    assert outputs.shape == (0, OUTPUTS)
    same(state, learner.start())


def test_labels_that_are_none_are_refused():
    learner = Learner(LOOP, EProp(), StepwiseCrossEntropy(), SGD)
    for wrong in ([0, 1, 2], [-1, 0, 1]):
        sentence = f"targets goes from {min(wrong)} to {max(wrong)}, and the network decides between 2 classes"
        with pytest.raises(SnnlearnError, match=sentence):
            learner.advance(XS[:3], np.array(wrong), learner.start())
    with pytest.raises(SnnlearnError, match="give whole numbers"):
        learner.advance(XS[:3], np.zeros(3), learner.start())


def test_weights_that_diverge_are_reported():
    learner = Learner(LOOP, EProp(), MeanSquaredError(), optax.sgd(1e38), BLOCK)
    with pytest.raises(SnnlearnError, match="the weights diverged at step 7 of the stream"):
        run(learner, XS, 1e6 * SIGNAL, [])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (
            lambda: Learner(LOOP, BPTT(), MeanSquaredError()),
            "BPTT knows its gradient only after all steps, .* use EProp",
        ),
        (lambda: Learner(LOOP, EProp(), MeanSquaredError(), SGD, 0), "steps_per_update is 0; give at least 1"),
        (lambda: Learner(LOOP, EProp(), CrossEntropy()), "needs a loss that is a sum over time steps"),
        (lambda: Learner(LOOP, EProp(), MeanSquaredError() + RateBand()), "term of firing rates"),
        (lambda: Learner(LOOP, SuperSpike(), AlphaVanRossum()).start(), "layer 2 is LI; use EProp"),
        (
            lambda: Learner(LOOP, EProp(), Window(MeanSquaredError(), 1)).start(),
            "a stream without end has no such window",
        ),
        (
            lambda: Learner(ALL["SuperSpike"][0], SuperSpike(), ClassSpikeTrains(OUTPUTS)).start(),
            "ClassSpikeTrains does not say what it is of a stream",
        ),
        (
            lambda: Learner(LOOP, EProp(), StepwiseCrossEntropy(), comparators=(Persistence(),)).start(),
            "use Constantly",
        ),
        (
            lambda: Learner(LOOP, EProp(), MeanSquaredError(), comparators=(Constantly(jnp.ones(3)),)).start(),
            r"prediction has shape \[3\], and the network's output \[2\]",
        ),
        (
            lambda: Learner(
                LOOP, EProp(), MeanSquaredError(), comparators=(Fixed(feedforward((3, 1), key=KEY)),)
            ).start(),
            r"output has shape \[1\]",
        ),
        (
            lambda: run(
                Learner(LOOP, EProp(), MeanSquaredError(), comparators=(Fixed(feedforward((4, 2), key=KEY)),)),
                *(XS, SIGNAL, []),
            ),
            r"Fixed: network's input has shape \[4\], and the learner's \[3\]",
        ),
    ],
)
def test_what_cannot_learn_on_a_stream_is_refused(make, why):
    with pytest.raises(SnnlearnError, match=why):
        make()


def test_the_state_of_another_learner_is_refused(learner, tmp_path):
    path = tmp_path / "state.npz"
    learner.save(learner.start(), path)
    wider = feedforward((INPUTS, 5, OUTPUTS), recurrent=True, key=KEY)
    for other, why in (
        (
            Learner(wider, EProp(), MeanSquaredError(), SGD, BLOCK, learner.comparators, 5),
            r"of layer 1 is float32\[4, 3\]",
        ),
        (Learner(LOOP, EProp(), MeanSquaredError(), SGD, BLOCK + 1, learner.comparators, 5), r"waiting.0 is float32"),
        (
            Learner(LOOP, EProp(), 2.0 * MeanSquaredError(), SGD, BLOCK, learner.comparators, 5),
            "other weights or constants",
        ),
    ):
        with pytest.raises(SnnlearnError, match=why):
            other.load(path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=5))
def test_the_record_does_not_depend_on_how_losses_come(cuts):
    losses = np.random.default_rng(1).exponential(size=(300, 2)).astype(np.float32)
    whole, piecewise = recorded(nothing_yet(2, 50), losses), nothing_yet(2, 50)
    for piece in np.split(losses, sorted(cuts)):
        piecewise = recorded(piecewise, piece)
    same(piecewise, whole)
    np.testing.assert_allclose(whole.totals, losses.astype(float).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sorted(whole.window), sorted(losses[-50:, 0]))
    length = whole.length
    means = losses[: whole.full * length, 0].astype(float).reshape(-1, length).mean(axis=1)
    np.testing.assert_allclose(whole.batches[: whole.full], means, rtol=1e-6)
    assert 32 <= whole.full < 64
    assert whole.largest == losses[:, 0].max()


def test_intervals_hold_for_losses_that_depend_on_each_other():
    """An autoregressive loss of mean 0.5: batch means cover it, and an interval for independent losses does not."""
    rng, runs, steps, memory = np.random.default_rng(0), 60, 4000, 0.9
    noise = rng.normal(size=(steps, runs)) * np.sqrt(1 - memory**2)
    level, losses = rng.normal(size=runs), np.empty((steps, runs))
    for t in range(steps):
        level = memory * level + noise[t]
        losses[t] = np.clip(0.5 + 0.1 * level, 0, 1)
    records = [recorded(nothing_yet(1, 1), losses[:, [k]]) for k in range(runs)]

    def covered(intervals):
        return np.mean([low < 0.5 < high for low, high, _ in intervals])

    assert covered(batch_means_interval(record, 0.9) for record in records) > 0.8
    assert covered(martingale_interval(record, 1.0, 0.9) for record in records) > 0.9
    assert covered(t_interval(losses[:, k], confidence=0.9) for k in range(runs)) < 0.6


@pytest.mark.parametrize(
    ("interval", "why"),
    [
        (lambda learner, state: learner.risk(state), "of fewer than 64 no interval is to be trusted"),
        (lambda learner, state: learner.conditional_risk(state, 0.1), "there was a loss of"),
        (lambda learner, state: learner.conditional_risk(state, -1.0), "largest is -1.0"),
        (lambda learner, state: learner.conditional_risk(learner.start(), 1.0), "has had no steps"),
        (lambda learner, state: learner.regret(learner.start()), "has had no steps"),
        (lambda learner, state: Learner(LOOP, EProp(), MeanSquaredError()).regret(
            Learner(LOOP, EProp(), MeanSquaredError()).start()), "give the learner comparators"),
    ],
)  # fmt: skip
def test_what_nobody_knows_is_not_said(learner, interval, why):
    _, state = run(learner, XS, SIGNAL, [])
    with pytest.raises(SnnlearnError, match=why):
        interval(learner, state)
