"""Certificates: their pieces are the formulas, and what they promise holds on data held back."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
import pytest

import snnlearn as sl
from snnlearn import risk
from snnlearn._errors import SnnlearnError

TASK = sl.data.GaussianPair(2.0, 2)
ENCODER = sl.coding.Rescaled(sl.coding.Current(num_steps=8), -5.0, 5.0)
DECODER = sl.coding.MeanMembrane()


def network(key=0):
    drawn = sl.network.feedforward((2, 12, 2), use_bias=True, key=jax.random.key(key))
    # As drawn it is too weak to spike.
    return jax.tree.map(lambda leaf: 4 * leaf if eqx.is_inexact_array(leaf) else leaf, drawn)


def test_kl_is_the_closed_form_and_draws_have_their_moments():
    prior = risk.prior_around(network(), relative_std=0.3).weights
    other = risk.prior_around(network(1), relative_std=0.2).weights

    def flat(part):
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(part, eqx.is_array))])

    leaves = [[flat(w.mean), flat(w.log_std)] for w in (other, prior)]
    (m, s), (pm, ps) = leaves
    assert float(other.kl(prior)) == pytest.approx(risk.gaussian_kl(m, np.exp(s), pm, np.exp(ps)), rel=1e-4)
    assert float(prior.kl(prior)) == pytest.approx(0.0, abs=1e-5)
    weight = lambda key: prior.draw(key=key).layers[0].synapses.weight  # noqa: E731
    drawn = np.asarray(jax.jit(jax.vmap(weight))(jax.random.split(jax.random.key(0), 2000)))
    mean, std = prior.mean.layers[0].synapses.weight, np.exp(prior.log_std.layers[0].synapses.weight)
    assert np.abs((drawn.mean(axis=0) - mean) / std).max() < 5 / np.sqrt(2000)
    assert drawn.std(axis=0) == pytest.approx(np.asarray(std), rel=0.1)
    assert std == pytest.approx(np.full_like(std, 0.3 * np.sqrt(np.mean(np.square(mean)))), rel=1e-5)


def test_certificate_is_its_formula():
    sample, prior = TASK.draw(200, seed=1), risk.prior_around(network())
    key = jax.random.key(2)
    found = risk.certify(prior.weights, prior, ENCODER, DECODER, sample, delta=0.1, draws=7, key=key)
    wrong = risk.gibbs_errors(prior.weights, ENCODER, DECODER, sample, draws=7, key=key)
    assert wrong.shape == (200, 7) and found.empirical_risk == pytest.approx(wrong.mean())
    mean = risk.kl_inverse(wrong.mean(), np.log(1 / 0.02) / 1400)
    assert found.bound == pytest.approx(risk.maurer_bound(mean, found.kl, 200, delta=0.08), rel=1e-4)
    assert str(found).startswith("With 90% confidence the risk is below")


def test_prior_that_has_seen_the_sample_is_refused():
    sample = TASK.draw(100, seed=1)
    part = sl.data.Sample(sample.x[:30], sample.y[:30])
    prior = risk.prior_around(network(), part)
    with pytest.raises(SnnlearnError, match="30 of the 100 certifying samples"):
        risk.certify(prior.weights, prior, ENCODER, DECODER, sample, key=jax.random.key(0))
    with pytest.raises(SnnlearnError, match="30 of the 100 certifying samples"):
        risk.MinimisedBound()(prior, ENCODER, sample, key=jax.random.key(0))
    fresh = TASK.draw(20, seed=2)
    risk.certify(prior.weights, prior, ENCODER, DECODER, fresh, draws=1, key=jax.random.key(0))


def test_bad_input_is_refused():
    prior, sample = risk.prior_around(network()), TASK.draw(50, seed=1)
    empty = sl.data.Sample(sample.x[:0], sample.y[:0])
    for delta in (0.0, 1.0):
        with pytest.raises(SnnlearnError, match="delta is"):
            risk.certify(prior.weights, prior, ENCODER, DECODER, sample, delta=delta, key=jax.random.key(0))
    with pytest.raises(SnnlearnError, match="empty"):
        risk.certify(prior.weights, prior, ENCODER, DECODER, empty, key=jax.random.key(0))
    with pytest.raises(SnnlearnError, match="draws is 0"):
        risk.certify(prior.weights, prior, ENCODER, DECODER, sample, draws=0, key=jax.random.key(0))
    with pytest.raises(SnnlearnError, match="relative_std is 0"):
        risk.prior_around(network(), relative_std=0.0)
    with pytest.raises(SnnlearnError, match="more than the 50 samples"):
        risk.MinimisedBound(batch_size=51)(prior, ENCODER, sample, key=jax.random.key(0))
