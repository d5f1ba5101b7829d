"""An experiment: its one loop can be left and entered again anywhere, whatever algorithm goes through it."""

from __future__ import annotations

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import snnlearn as sl
from snnlearn.algorithms import AbstractIterativeAlgorithm, GradientDescent, Metrics, Training
from snnlearn.coding import Current, MeanMembrane

KEYS = jax.random.split(jax.random.key(0), 2)
DATA = sl.data.yin_yang(num_train=40, num_validation=20, num_test=6)
NETWORK = sl.network.feedforward((4, 5, 3), key=KEYS[0])
ALGORITHM = GradientDescent(optimizer=optax.adam(0.1), epochs=3, batch_size=20)
EXPERIMENT = sl.Experiment(DATA, Current(num_steps=3), NETWORK, ALGORITHM, KEYS)


def same(a, b):
    return all(map(np.array_equal, *(jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (a, b))))


def test_left_after_an_epoch_it_goes_on_as_if_it_had_not_been():
    seen = []
    last = EXPERIMENT.run(seen.append)
    assert [epoch.number for epoch in seen] == [1, 2, 3] and all(epoch.seconds > 0 for epoch in seen)
    first = next(EXPERIMENT.epochs())
    rest = list(EXPERIMENT.epochs(first.training))
    assert [epoch.number for epoch in rest] == [2, 3]
    assert same([first, *rest], seen) and same(rest[-1].training, last)
    assert not same(first.training.network, last.network)
    assert list(EXPERIMENT.epochs(last)) == []


def test_each_key_is_a_training_of_its_own():
    hypotheses = EXPERIMENT.hypotheses(EXPERIMENT.run())
    assert len(hypotheses) == 2 and not same(*hypotheses)
    alone = dataclasses.replace(EXPERIMENT, keys=KEYS[1:])
    (hypothesis,) = alone.hypotheses(alone.run())
    assert same(hypothesis, sl.fit(ALGORITHM, Current(num_steps=3), NETWORK, DATA, key=KEYS[1]))


class RandomSearch(AbstractIterativeAlgorithm):
    """In each epoch another network at random; the best so far is kept."""

    epochs: int = 4

    def start(self, encoder, network, data, *, keys):
        zero, most = jnp.zeros(len(keys), int), jnp.full(len(keys), len(data.validation.y) + 1)
        several = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(keys)) if eqx.is_array(leaf) else leaf, network)
        return Training(several, (), keys, zero, several, most, jnp.full(len(keys), jnp.inf), zero)

    def epoch(self, encoder, training, data):
        keys = jax.vmap(jax.random.fold_in)(training.key, training.epoch)

        def redrawn(leaf):
            return (
                jax.vmap(lambda key: 20 * jax.random.normal(key, leaf.shape[1:]))(keys) if eqx.is_array(leaf) else leaf
            )

        drawn = jax.tree.map(redrawn, training.network)
        trial = dataclasses.replace(training, network=drawn, best_network=drawn, epoch=training.epoch + 1)
        wrong = [sl.predict(f, data.validation.x) != data.validation.y for f in self.hypotheses(encoder, trial)]
        errors = jnp.array([each.sum() for each in wrong])
        better = errors < training.best_errors

        def chosen(new, old):
            return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old) if eqx.is_array(new) else new

        kept = jax.tree.map(chosen, drawn, training.best_network)
        best = {"best_network": kept, "best_errors": jnp.minimum(errors, training.best_errors)}
        none = jnp.zeros(len(errors))
        return dataclasses.replace(trial, **best), Metrics(none, none, none, errors / len(data.validation.y))

    def hypotheses(self, encoder, training):
        networks = [jax.tree.map(lambda a, k=k: a[k] if eqx.is_array(a) else a, training.best_network) for k in (0, 1)]
        return [sl.Hypothesis(encoder, network, MeanMembrane()) for network in networks[: len(training.epoch)]]


def test_ones_own_algorithm_goes_by_epochs_too():
    experiment = dataclasses.replace(EXPERIMENT, algorithm=RandomSearch())
    errors = np.array([epoch.metrics.validation_error for epoch in experiment.epochs()])
    assert errors.shape == (4, 2) and np.ptp(errors) > 0
    for least, hypothesis in zip(errors.min(axis=0), experiment.hypotheses(experiment.run()), strict=True):
        assert sl.risk.empirical_risk(hypothesis, DATA.validation) == pytest.approx(least)
    sl.algorithms.check_algorithm(RandomSearch(), EXPERIMENT.encoder, NETWORK, DATA.learning, key=KEYS[0])
