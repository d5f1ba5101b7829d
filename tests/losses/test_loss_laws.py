"""All losses obey the laws of the conformance suite, and the suite can fail."""

from __future__ import annotations

import inspect

import jax
import jax.numpy as jnp
import pytest

from snnlearn import coding, losses
from snnlearn.losses import (
    AbstractFilteredLoss,
    AbstractLoss,
    AbstractScoreLoss,
    AbstractStepwiseLoss,
    ActorCritic,
    AlphaVanRossum,
    ClassMeanSquaredError,
    ClassSpikeTrains,
    CrossEntropy,
    LabelCrossEntropy,
    MeanSquaredError,
    RateBand,
    StepwiseCrossEntropy,
    StepwiseLabelCrossEntropy,
    StepwiseValueMeanSquaredError,
    ValueMeanSquaredError,
    VanRossum,
    Window,
    check_loss,
    weighted,
)

T, CLASSES = 12, 3
KEYS = jax.random.split(jax.random.key(6), 3)
MEMBRANES = (jnp.zeros((T, 4)).at[::3].set(1.0), 5 * jax.random.normal(KEYS[0], (T, CLASSES)))
SPIKES = (MEMBRANES[0], jax.random.bernoulli(KEYS[1], 0.3, (T, CLASSES)).astype(jnp.float32))
LABEL, SIGNAL = jnp.array(1), jax.random.normal(KEYS[2], (T, CLASSES))
LABELS = jnp.array([1, 0, 1])
TRAINS = (SIGNAL > 0.5).astype(jnp.float32)
CASES = {
    "CrossEntropy": (CrossEntropy(), MEMBRANES, LABEL),
    "CrossEntropy of counts": (CrossEntropy(coding.SpikeCount()), SPIKES, LABEL),
    "ClassMeanSquaredError": (ClassMeanSquaredError(), MEMBRANES, LABEL),
    "ValueMeanSquaredError": (ValueMeanSquaredError(), MEMBRANES, SIGNAL[0]),
    "StepwiseValueMeanSquaredError": (
        StepwiseValueMeanSquaredError(
            coding.InUnits(coding.MeanMembrane(), 2.0, 3.0), scale=jnp.array([1.0, 2.0, 3.0])
        ),
        MEMBRANES,
        SIGNAL[0],
    ),
    "LabelCrossEntropy": (LabelCrossEntropy(), MEMBRANES, LABELS),
    "StepwiseLabelCrossEntropy": (StepwiseLabelCrossEntropy(), MEMBRANES, LABELS),
    "StepwiseCrossEntropy": (StepwiseCrossEntropy(), MEMBRANES, LABEL),
    "MeanSquaredError": (MeanSquaredError(), MEMBRANES, SIGNAL),
    "VanRossum": (VanRossum(), SPIKES, TRAINS),
    "AlphaVanRossum": (AlphaVanRossum(), SPIKES, TRAINS),
    "RateBand": (RateBand(5.0, 20.0), SPIKES, LABEL),
    "Window": (Window(StepwiseCrossEntropy(), 3, 9), MEMBRANES, LABEL),
    "sum": (StepwiseCrossEntropy() + 0.1 * RateBand(5.0, 20.0), MEMBRANES, LABEL),
    "sum of steps": (0.5 * StepwiseCrossEntropy() + Window(StepwiseCrossEntropy(), 0, 4), MEMBRANES, LABEL),
}


@pytest.mark.parametrize("name", CASES)
def test_losses_conform(name):
    check_loss(*CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_a_weighted_loss_conforms_and_is_that_many_times_the_loss(name):
    loss, outputs, target = CASES[name]
    weighted_loss, targets = weighted(loss, jnp.stack([target, target]), jnp.array([3.0, 0.0]))
    check_loss(weighted_loss, outputs, targets[0])
    values = [float(weighted_loss(outputs, target)) for target in targets]
    assert values == pytest.approx([3 * float(loss(outputs, target)), 0.0], rel=1e-5)
    kinds = (AbstractScoreLoss, AbstractStepwiseLoss, AbstractFilteredLoss)
    assert [isinstance(weighted_loss, kind) for kind in kinds] == [isinstance(loss, kind) for kind in kinds]
    assert weighted_loss.decoder == loss.decoder


def test_a_prediction_in_units_costs_as_a_standardised_one():
    """Of scores s and targets y, μ + σs against μ + σy in units of σ costs what s against y does."""
    mean, scale = jnp.array([5.0, -3.0, 100.0]), jnp.array([0.5, 2.0, 30.0])
    for kind in (ValueMeanSquaredError, StepwiseValueMeanSquaredError):
        in_units = kind(coding.InUnits(coding.MeanMembrane(), mean, scale), scale=scale)
        found = in_units(MEMBRANES, mean + scale * SIGNAL[0])
        assert float(found) == pytest.approx(float(kind()(MEMBRANES, SIGNAL[0])), rel=1e-4)


def test_all_that_are_public_are_checked():
    public = {
        kind
        for kind in vars(losses).values()
        if isinstance(kind, type) and issubclass(kind, AbstractLoss) and not inspect.isabstract(kind)
    }
    elsewhere = {ActorCritic, ClassSpikeTrains}  # their targets are of a kind of their own: tests/losses/test_losses.py
    assert {type(loss) for loss, *_ in CASES.values()} == public - elsewhere


class Last(AbstractLoss):
    """The square of the last step, to be broken."""

    decoder: coding.AbstractDecoder | None = None

    def __call__(self, outputs, target):
        return jnp.sum(jnp.square(outputs[-1][-1]))


class Vector(Last):
    def __call__(self, outputs, target):
        return jnp.square(outputs[-1][-1])


class Blind(Last):
    def __call__(self, outputs, target):
        return jnp.asarray(1.0)


class Infinite(Last):
    def __call__(self, outputs, target):
        return jnp.sum(jnp.sqrt(jnp.abs(0 * outputs[-1])))


class Twofold(AbstractStepwiseLoss):
    """Each step counts twice in the whole."""

    decoder: coding.AbstractDecoder | None = None

    def moments(self, target, num_steps):
        return jnp.zeros(num_steps)

    def at_step(self, output, moment):
        return jnp.sum(jnp.square(output))

    def __call__(self, outputs, target):
        return 2 * super().__call__(outputs, target)


def test_a_sound_one_of_ones_own_passes():
    check_loss(Last(), MEMBRANES, LABEL)


@pytest.mark.parametrize(
    ("loss", "law"),
    [
        (Vector(), "not one finite number"),
        (Blind(), "does not look at the outputs"),
        (Infinite(), "not finite"),
        (Twofold(), "not the sum of its steps' parts"),
    ],
)
def test_the_suite_finds_what_is_broken(loss, law):
    with pytest.raises(AssertionError, match=law):
        check_loss(loss, MEMBRANES, LABEL)
