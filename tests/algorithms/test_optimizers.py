"""RMaxProp against its recursion in NumPy, and what sets it apart from RMSProp."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from snnlearn import SnnlearnError
from snnlearn.algorithms import rmaxprop

RNG = np.random.default_rng(0)


def steps(optimizer, gradients):
    state, found = optimizer.init(jnp.zeros(gradients.shape[1:])), []
    for gradient in gradients:
        update, state = optimizer.update(jnp.asarray(gradient), state)
        found.append(np.asarray(update))
    return np.stack(found)


@pytest.mark.parametrize("per_layer", [False, True])
def test_it_is_its_recursion(per_layer):
    gradients = RNG.normal(size=(20, 3, 4)).astype(np.float32)
    v, expected = np.zeros((3, 4)), []
    for g in gradients:
        v = np.maximum(0.7 * v, g**2)
        if per_layer:
            v = np.full_like(v, v.max())
        expected.append(-0.02 * g / (np.sqrt(v) + 0.3))
    found = steps(rmaxprop(0.02, decay=0.7, eps=0.3, per_layer=per_layer), gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_no_step_is_longer_than_the_learning_rate_however_rare_the_gradient():
    gradients = np.where(RNG.random((400, 5)) < 0.02, RNG.normal(size=(400, 5)), 0.0).astype(np.float32)
    longest = np.abs(steps(rmaxprop(1e-3), gradients)).max()
    assert longest == pytest.approx(1e-3, rel=1e-5)
    assert np.abs(steps(optax.rmsprop(1e-3, decay=0.98), gradients)).max() > 3e-3


def test_the_learning_rate_may_be_a_schedule_and_the_papers_decay_is_the_default():
    halved = rmaxprop(lambda count: 0.1 * 0.5**count)
    found = steps(halved, np.array([[2.0], [2.0], [1.0]], np.float32))
    v = np.maximum(4 * np.exp(-0.5 / 30), 1.0)
    np.testing.assert_allclose(found.ravel(), [-0.1, -0.05, -0.025 / np.sqrt(v)], rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "name"), [({"decay": 1.0}, "decay"), ({"decay": -0.1}, "decay"), ({"eps": 0.0}, "eps")]
)
def test_it_refuses(wrong, name):
    with pytest.raises(SnnlearnError, match=f"rmaxprop: {name} is"):
        rmaxprop(0.1, **wrong)
