"""Scales from the activations of the artificial network, or from its weights alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check, check_finite
from snnlearn.conversion.base import AbstractConversion, Examples
from snnlearn.conversion.bound import error_bound
from snnlearn.conversion.plan import Plan, Population, Setting, Settings
from snnlearn.conversion.run import Activations, activations
from snnlearn.network.graph import FROM_INPUT


def rectified(population: Population, found: Activations) -> Float[Array, "B ..."]:
    """The activations that a population stands for, `[B, *shape]`, in the unit of the source."""
    part = population.part
    return jnp.clip(part.sign * found.currents[population.layer], 0.0, part.ceiling)


def positive_scale(population: Population, scale: float, why: str) -> float:
    """The scale, at most the ceiling of the activation function; 1 of a negative part that stands for nothing.

    Raises:
        SnnlearnError: if it is 0: the population is dead.
    """
    if not scale > 0 and population.part.sign < 0:  # such as of leaky units whose currents are all above 0
        return min(1.0, population.part.ceiling)
    if not scale > 0:
        raise SnnlearnError(
            f"convert: {population.name} is dead: {why}; train the network with a smaller step size or other initial "
            "weights, or remove the layer"
        )
    return min(scale, population.part.ceiling)


def _by(
    plan: Plan, examples: Examples | None, charge: float, of: Callable[[Float[np.ndarray, " n"]], float]
) -> Settings:
    """Each scale as a function of the activations above 0."""
    assert examples is not None  # `needs_data`
    found, settings = activations(plan.source, examples.inputs), []
    for population in plan.populations:
        values = np.asarray(rectified(population, found))
        values = values[values > 0]
        why = f"all its activations are 0 on the {len(examples.inputs)} calibration samples"
        scale = float(of(values)) if values.size else 0.0
        settings.append(Setting(positive_scale(population, scale, why), charge))
    return Settings(tuple(settings))


@final
class MaximumNormalisation(AbstractConversion):
    """The scale of a population is its largest activation on the calibration data.

    Nothing is clipped, but if one activation is much larger than the others, most rates are low and need many steps.

    Diehl, Neil, Binas, Cook, Liu & Pfeiffer 2015, "Fast-classifying, high-accuracy spiking deep networks through weight
    and threshold balancing" ("data-based normalisation").

    Args:
        charge: the membrane at the start, in thresholds: 0 as in the paper; 0.5 rounds instead of cutting off.

    Raises:
        SnnlearnError: if charge is not finite.

    >>> MaximumNormalisation(charge=0.5).charge
    0.5
    """

    charge: float = 0.0

    def __check_init__(self):
        check_finite(self, charge=self.charge)

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base."""
        return _by(plan, examples, self.charge, np.max)


@final
class PercentileNormalisation(AbstractConversion):
    """The scale of a population is a percentile of its activations above 0; larger ones are clipped.

    Rueckauer, Lungu, Hu, Pfeiffer & Liu 2017, "Conversion of continuous-valued deep networks to efficient event-driven
    networks for image classification"; 99.9 is their advice.

    Without a percentile, it is the one of 95, 98, 99, 99.5, 99.9, 99.99 and 100 with the smallest mean of `error_bound`
    of the output, for the encoder's number of steps: fewer steps need a smaller scale. This is not the paper's.

    Args:
        percentile: in (0, 100], or None.
        charge: the membrane at the start, in thresholds: 0 as in the paper; 0.5 rounds instead of cutting off.

    Raises:
        SnnlearnError: if a number is out of its range.

    >>> PercentileNormalisation(99.9).percentile
    99.9
    """

    percentile: float | None = None
    charge: float = 0.0

    def __check_init__(self):
        check_finite(self, charge=self.charge)
        if self.percentile is not None:
            check(self, "a number above 0 and at most 100", lambda p: (p > 0) & (p <= 100), percentile=self.percentile)

    def settled(self, plan: Plan, examples: Examples | None) -> "PercentileNormalisation":
        """With its percentile."""
        if self.percentile is not None:
            return self
        assert examples is not None  # `needs_data`
        few = examples.inputs[:_FOR_THE_BOUND]

        def bound(percentile: float) -> float:
            settings = self._at(percentile, plan, examples)
            return float(jnp.mean(error_bound(plan, settings, few, examples.encoder)[-1].either))

        return PercentileNormalisation(min(_CANDIDATES, key=bound), self.charge)

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base."""
        percentile = self.settled(plan, examples).percentile
        assert percentile is not None
        return self._at(percentile, plan, examples)

    def _at(self, percentile: float, plan: Plan, examples: Examples | None) -> Settings:
        return _by(plan, examples, self.charge, lambda values: float(np.percentile(values, percentile)))


_CANDIDATES = (95.0, 98.0, 99.0, 99.5, 99.9, 99.99, 100.0)
_FOR_THE_BOUND = 64


@final
class WeightNormBound(AbstractConversion):
    r"""The scale of a population is the largest activation that any input in a range could cause; needs no data.

    With inputs in an interval, activations are in $W^+[l,h]+W^-[h,l]+b$, layer by layer. Nothing is ever clipped; but
    the true activations are far smaller, so that many steps are needed.

    Diehl et al. 2015, "model-based normalisation", here with the range of the inputs, biases and negative weights.

    Args:
        low: the least input.
        high: the greatest, above `low`.
        charge: the membrane at the start, in thresholds.

    Raises:
        SnnlearnError: if a number is not finite, or low not below high.

    >>> WeightNormBound().needs_data
    False
    """

    low: float = 0.0
    high: float = 1.0
    charge: float = 0.0

    def __check_init__(self):
        check_finite(self, low=self.low, high=self.high, charge=self.charge)
        if not self.low < self.high:
            raise SnnlearnError(f"WeightNormBound: low is {self.low} and high {self.high}; give low < high")

    @property
    def needs_data(self) -> bool:
        """It does not."""
        return False

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base."""
        found = {}
        bounds = _highest(
            plan._replace(input_scale=1.0, input_offset=0.0), self.low, self.high
        )  # so that one program does for all codes
        for population, highest in zip(plan.populations, bounds, strict=True):
            why = f"no input from {self.low:g} to {self.high:g} takes it above 0"
            found[population] = Setting(positive_scale(population, float(highest), why), self.charge)
        return Settings(tuple(found.values()))


@eqx.filter_jit
def _highest(plan: Plan, low: float, high: float) -> list[Array]:
    """The largest activation of each population, by interval arithmetic."""
    ranges = {FROM_INPUT: (jnp.full(plan.source.in_shape, low), jnp.full(plan.source.in_shape, high))}
    found = []
    for number, layer in enumerate(plan.source.layers):
        centre, radius = jnp.zeros(layer.shape), jnp.zeros(layer.shape)
        for connection, source in plan.drives(number):
            least, most = ranges[source]
            centre += connection.synapses((least + most) / 2).reshape(layer.shape)
            radius += connection.synapses.absolute()((most - least) / 2).reshape(layer.shape)
        parts = [plan.populations[k].part for k in plan.of_layer(number)]
        found += [jnp.max(jnp.clip(part.sign * centre + radius, 0.0, part.ceiling)) for part in parts]
        # Every activation function here is monotone.
        ends = [
            layer.neuron(end, layer.neuron.initial_state(layer.shape))[0] for end in (centre - radius, centre + radius)
        ]
        ranges[number] = (ends[0], ends[1])
    return found
