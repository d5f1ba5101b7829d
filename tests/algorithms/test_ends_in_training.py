"""Nothing that comes after a sample's end has an influence on training, decisions, rates or counts."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import Hypothesis, predict, risk
from snnlearn._errors import SnnlearnError
from snnlearn.algorithms import GradientDescent
from snnlearn.coding import AbstractDecoder, Current, Framewise, HoldLast, MeanMembrane, Spikes
from snnlearn.data import LearningData, Sample, held, with_lengths
from snnlearn.data.ends import filled
from snnlearn.hypothesis import scores
from snnlearn.losses import CrossEntropy, RateBand
from snnlearn.network import AsGiven, FluctuationDriven, diagnose, feedforward
from snnlearn.report.measure import operations

KEY = jax.random.key(3)
RNG = np.random.default_rng(0)
M, T = 12, 6
LENGTHS = np.arange(M) % 4 + 2
X = 2 * RNG.normal(size=(M, T, 2)).astype(np.float32)
Y = (np.arange(M) % 2).astype(np.int32)
CUT = with_lengths(X, LENGTHS)
NETWORK = feedforward((2, 4, 2), key=KEY)


def longer(x):
    return np.concatenate([x, np.full((len(x), 3, 2), np.nan, np.float32)], axis=1)


def framewise(num_frames):
    return Framewise(Current(num_steps=2), num_frames)


def trained(x, encoder, *, initialisation=AsGiven(), weights=None):  # noqa: B008
    sample = Sample(x, Y)
    loss = CrossEntropy() + 1e-4 * RateBand(50.0, 100.0)
    algorithm = GradientDescent(loss, initialisation=initialisation, epochs=2, batch_size=4)
    training = algorithm.start(encoder, NETWORK, LearningData("it", sample, sample, 2), keys=KEY[None])
    for epoch in algorithm.go_on(encoder, training, LearningData("it", sample, sample, 2)):
        training = epoch.training
    return algorithm.hypotheses(encoder, training)[0], epoch.metrics  # pyright: ignore


def test_more_padding_makes_no_other_training():
    short, metrics = trained(CUT, framewise(T))
    long, its = trained(longer(CUT), framewise(T + 3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), short.network, long.network)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), metrics, its)
    np.testing.assert_allclose(scores(short, CUT), scores(long, longer(CUT)), rtol=1e-4, atol=1e-5)
    alone = Hypothesis(framewise(3), short.network, short.decoder)
    of_three = LENGTHS == 3
    np.testing.assert_allclose(scores(alone, X[of_three, :3]), scores(short, CUT)[of_three], rtol=1e-4, atol=1e-5)
    holding = scores(short, held(CUT))
    assert np.abs(holding - scores(short, CUT)).max() > 1e-3
    assert risk.risk(short, Sample(CUT, Y)).errors == int(np.sum(predict(short, CUT) != Y))


def test_what_drives_the_first_weights_is_no_padding():
    algorithm, sample = GradientDescent(initialisation=FluctuationDriven(), epochs=1, batch_size=4), Sample(CUT, Y)
    drawn = algorithm.start(framewise(T), NETWORK, LearningData("it", sample, sample, 2), keys=KEY[None]).network
    again = np.stack([np.concatenate([x[:n], x[:n], x[:n]])[:T] for x, n in zip(X, LENGTHS, strict=True)])
    _, key, _ = jax.random.split(KEY, 3)
    expected = [
        FluctuationDriven()(NETWORK, jnp.repeat(jnp.asarray(x), 2, axis=1), key=key).layers[0].synapses.weight
        for x in (again, filled(CUT, 0.0))
    ]
    np.testing.assert_allclose(drawn.layers[0].synapses.weight[0], expected[0], rtol=1e-5)
    assert not np.allclose(expected[0], expected[1], rtol=1e-2)


def test_rates_and_counts_are_of_the_samples_own_steps():
    network = jax.tree.map(lambda a: 20 * a if eqx.is_inexact_array(a) else a, NETWORK)
    encoder = framewise(T)
    encoded = jnp.stack([encoder(jnp.asarray(X[0]), key=KEY)] * 2)
    lengths = jnp.array([8, 8])
    found, alone = diagnose(network, encoded, lengths)[0], diagnose(network, encoded[:, :8])[0]
    assert found is not None and alone is not None and float(found.firing_rate.sum()) > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, alone)
    counted, its = operations(network, encoder, encoded, lengths), operations(network, encoder, encoded[:, :8])
    assert [float(n) for n in counted] == [float(n) for n in its] and float(counted.macs) == 8 / 2 * 2 * 4
    with pytest.raises(SnnlearnError, match="inputs has B = 2, but lengths has B = 1"):
        diagnose(network, encoded, lengths[:1])


def test_certificates_end_with_the_sample():
    prior = risk.prior_around(feedforward((2, 2), key=KEY))
    algorithm = risk.MinimisedBound(optimizer=optax.sgd(0.1), epochs=1, batch_size=M)
    cases = (CUT, framewise(T)), (longer(CUT), framewise(T + 3))
    posteriors = [algorithm(prior, encoder, Sample(x, Y), key=KEY) for x, encoder in cases]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *posteriors)
    wrong = [
        risk.gibbs_errors(posteriors[0], encoder, MeanMembrane(), Sample(x, Y), draws=2, key=KEY)
        for x, encoder in cases
    ]
    np.testing.assert_array_equal(*wrong)


def test_spikes_end_by_their_mark():
    spikes = RNG.integers(0, 2, (3, 40, 2), np.uint8)
    hypothesis = Hypothesis(Spikes(num_steps=40), feedforward((2, 3), key=KEY), MeanMembrane())
    found = scores(hypothesis, with_lengths(spikes, [40, 33, 1]))
    for x, score, length in zip(spikes, found, (40, 33, 1), strict=True):
        alone = Hypothesis(Spikes(num_steps=length), hypothesis.network, MeanMembrane())
        np.testing.assert_allclose(scores(alone, x[None, :length])[0], score, rtol=1e-5, atol=1e-6)


class LastSteps(AbstractDecoder):
    def __call__(self, output):
        return output[-3:].mean(axis=0)


def test_parts_that_do_not_know_of_ends():
    flat = feedforward((12, 2), key=KEY)
    one, other = Current(num_steps=3), HoldLast(Current(num_steps=3))
    whole = Hypothesis(one, flat, MeanMembrane())
    ends = "the samples end at different times, and"
    with pytest.raises(SnnlearnError, match=f"predict: {ends} Current takes all .* to the last step, by HoldLast"):
        predict(whole, CUT)
    sample = Sample(CUT, Y)
    with pytest.raises(SnnlearnError, match=f"GradientDescent: it: {ends} Current takes all of a sample at once"):
        GradientDescent(batch_size=4).start(one, flat, LearningData("it", sample, sample, 2), keys=KEY[None])
    holding = Hypothesis(other, flat, MeanMembrane())
    np.testing.assert_array_equal(scores(whole, held(CUT)), scores(holding, CUT))
    unaware = Hypothesis(framewise(T), NETWORK, LastSteps())
    assert np.isfinite(scores(unaware, X)).all()
    with pytest.raises(SnnlearnError, match=f"{ends} LastSteps does not say how it decides .*; define its until"):
        predict(unaware, CUT)
    with pytest.raises(SnnlearnError, match="NaN or infinite"):
        predict(unaware, np.where(np.arange(T)[:, None] == 2, np.nan, X))
