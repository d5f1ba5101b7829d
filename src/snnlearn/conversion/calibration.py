"""Correcting a conversion by what its spiking network does on calibration data."""

from __future__ import annotations

from typing import final

import jax.numpy as jnp
from jaxtyping import Array

from snnlearn._arguments import check_fields
from snnlearn.conversion.base import AbstractConversion, Examples
from snnlearn.conversion.normalisation import PercentileNormalisation, rectified
from snnlearn.conversion.plan import Plan, Setting, Settings
from snnlearn.conversion.run import activations, rates
from snnlearn.network import Network


@final
class Calibration(AbstractConversion):
    """Another method's scales, with biases and initial membranes corrected, layer after layer.

    For the encoder's number of steps, a layer's mean error on the calibration data is added to its bias, once for each
    channel of a convolution; what remains of each unit's mean error is made up by its membrane at the start.

    Li, Deng, Dong, Gong & Gu 2021, "A free lunch from ANN: towards efficient, accurate spiking neural networks
    calibration", section 5.1 (the light pipeline). Here one follows the other, and the output is corrected too.

    Args:
        method: chooses the scales.

    Raises:
        SnnlearnError: if the method is of another kind.

    >>> Calibration(PercentileNormalisation(99.9, charge=0.5)).needs_data
    True
    """

    method: AbstractConversion = PercentileNormalisation(charge=0.5)

    def __check_init__(self):
        check_fields(self, "method")

    def settled(self, plan: Plan, examples: Examples | None) -> "Calibration":
        """With what the other method leaves to the data."""
        return Calibration(self.method.settled(plan, examples))

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base."""
        assert examples is not None  # `needs_data`
        chosen = self.method(plan, examples).populations
        found = activations(plan.source, examples.inputs)
        steps = examples.encoder.num_steps
        settings: list[Setting] = []

        def missing(setting: Setting) -> Array:
            """The mean error of each unit of the last population, in spikes per step."""
            layers = plan.hidden([*settings, setting], examples.reset)
            spiking = rates(Network(layers), examples.encoder, examples.inputs)
            target = rectified(plan.populations[len(settings)], found) / setting.scale
            return jnp.mean(target - spiking.reshape(target.shape), axis=0)

        for population, setting in zip(plan.populations, chosen, strict=True):
            error = missing(setting)
            by_channel = jnp.mean(error, axis=tuple(range(1, error.ndim)), keepdims=True)
            shift = population.part.sign * setting.scale * by_channel
            setting = setting._replace(shift=shift if setting.shift is None else setting.shift + shift)
            settings.append(setting._replace(charge=setting.charge + steps * missing(setting)))
        whole = plan.build(Settings(tuple(settings)), examples.reset)
        output = rates(whole, examples.encoder, examples.inputs)
        return Settings(tuple(settings), jnp.mean(found.outputs[-1] - output, axis=0))
