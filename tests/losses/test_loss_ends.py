"""A loss of samples that end early is that of each sample alone, whatever comes after its end."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loss_laws import CASES, CLASSES, LABEL, MEMBRANES, SPIKES, T

from snnlearn._errors import SnnlearnError
from snnlearn.coding import Current, Framewise, HoldLast, SpikeCount
from snnlearn.losses import (
    AbstractLoss,
    AbstractStepwiseLoss,
    ActorCritic,
    ClassSpikeTrains,
    CrossEntropy,
    StepwiseCrossEntropy,
    Window,
    ended,
    weighted,
)
from snnlearn.losses.ends import ended_by

END = 7
ALIKE = ("CrossEntropy of counts", "ClassMeanSquaredError", "ValueMeanSquaredError", "Window", "sum of steps")
ALL = {name: case for name, case in CASES.items() if name not in ALIKE} | {
    "ActorCritic": (ActorCritic(), MEMBRANES, jax.random.randint(jax.random.key(2), (T, 3), 0, 2).astype(jnp.float32)),
    "ClassSpikeTrains": (ClassSpikeTrains(CLASSES, rate=400.0), SPIKES, LABEL),
    "Window from behind": (Window(StepwiseCrossEntropy(), -4, -1), MEMBRANES, LABEL),
}
of_a_signal = ("MeanSquaredError", "VanRossum", "AlphaVanRossum", "ActorCritic")


@pytest.mark.parametrize("name", ALL)
def test_it_is_that_of_the_sample_alone(name):
    loss, outputs, target = ALL[name]
    cut = tuple(output[:END] for output in outputs)
    alone, slopes = jax.jit(jax.value_and_grad(loss))(cut, target[:END] if name in of_a_signal else target)

    def after(a, value):
        return a.at[END:].set(value) if jnp.issubdtype(a.dtype, jnp.floating) else a

    its, targets = ended(loss, jnp.stack([target, target]), jnp.array([END, T]))
    assert its.decoder == loss.decoder and its.length(targets[0]) == END
    value_and_grad = jax.jit(jax.value_and_grad(its))
    for value in (jnp.nan, 100.0):
        dirty = after(target, value) if name in of_a_signal else target
        targets_now = ended(loss, dirty[None], jnp.array([END]))[1]
        found, gradient = value_and_grad(tuple(after(output, value) for output in outputs), targets_now[0])
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-6)
        for whole, short in zip(gradient, slopes, strict=True):
            np.testing.assert_allclose(whole[:END], short, rtol=1e-4, atol=1e-6)
            assert not whole[END:].any()
    whole, _ = value_and_grad(outputs, targets[1])
    np.testing.assert_allclose(whole, loss(outputs, target), rtol=1e-5)
    assert not np.isclose(whole, alone, rtol=1e-3)  # so that the end makes a difference


def test_weights_and_ends_go_together():
    for name in ("CrossEntropy", "StepwiseCrossEntropy", "VanRossum", "sum"):
        loss, outputs, target = CASES[name]
        one, targets = ended(loss, target[None], jnp.array([END]))
        both, rows = weighted(one, targets, jnp.array([3.0]))
        assert both.length(rows[0]) == END
        assert float(both(outputs, rows[0])) == pytest.approx(3 * float(one(outputs, targets[0])), rel=1e-5)


def test_a_sample_that_ends_before_a_window_costs_nothing():
    loss, targets = ended(Window(StepwiseCrossEntropy(), 8), LABEL[None], jnp.array([END]))
    assert float(loss(MEMBRANES, targets[0])) == 0.0


def test_losses_that_do_not_say_what_they_are_then():
    class Mean(AbstractStepwiseLoss):
        decoder: SpikeCount | None = None  # pyright: ignore[reportIncompatibleVariableOverride]

        def moments(self, target, num_steps):
            return jnp.full(num_steps, 1 / num_steps)

        def at_step(self, output, moment):
            return moment * jnp.sum(output)

    class Whole(AbstractLoss):
        decoder: SpikeCount | None = None  # pyright: ignore[reportIncompatibleVariableOverride]

        def __call__(self, outputs, target):
            return jnp.sum(outputs[-1])

    loss, targets = ended(Mean(), LABEL[None], jnp.array([END]))
    with pytest.raises(SnnlearnError, match=r"Mean does not say .* define its moments_until"):
        loss(MEMBRANES, targets[0])
    with pytest.raises(SnnlearnError, match="Whole is a loss of whole samples"):
        ended(Whole(), LABEL[None], jnp.array([END]))


def test_the_encoder_says_where():
    xs, labels = jnp.ones((2, 4, 1)).at[1, 2:].set(jnp.nan), jnp.array([0, 1])
    assert ended_by(HoldLast(Current(3)), CrossEntropy(), xs, labels) == (CrossEntropy(), labels)
    loss, targets = ended_by(Framewise(Current(3), 4), CrossEntropy(), xs, labels)
    assert [int(loss.length(target)) for target in targets] == [12, 6]
    assert targets.dtype == labels.dtype
