"""Scales from the currents of the spiking network itself."""

from __future__ import annotations

from typing import final

from snnlearn._parameters import check_finite
from snnlearn.conversion.base import AbstractConversion, Examples
from snnlearn.conversion.normalisation import positive_scale
from snnlearn.conversion.plan import Plan, Setting, Settings
from snnlearn.conversion.run import peak
from snnlearn.network import Layer, Network
from snnlearn.neurons import Identity


@final
class ThresholdBalancing(AbstractConversion):
    """The scale of a population is the largest current that it gets in any step of the spiking network.

    Layer after layer, each measured on the spikes of those before, which come in volleys: the scale is larger than the
    largest activation, and no unit ever has more than one spike's worth of current. A threshold of λ is here weights
    divided by λ, which is the same.

    Sengupta, Ye, Wang, Liu & Roy 2019, "Going deeper in spiking neural networks: VGG and residual architectures",
    algorithm 1 ("spike-norm"); biases, negative parts and graphs are not the paper's.

    Args:
        charge: the membrane at the start, in thresholds.

    Raises:
        SnnlearnError: if charge is not finite.

    >>> ThresholdBalancing().needs_data
    True
    """

    charge: float = 0.0

    def __check_init__(self):
        check_finite(self, charge=self.charge)

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base."""
        assert examples is not None  # `needs_data`
        settings: list[Setting] = []
        for population in plan.populations:
            *before, last = plan.hidden([*settings, Setting(1.0, self.charge)], examples.reset)
            currents = Layer(last.connections, Identity(dt=last.neuron.dt))
            highest = float(peak(Network((*before, currents)), examples.encoder, examples.inputs))
            why = f"no current into it is above 0 on the {len(examples.inputs)} calibration samples"
            settings.append(Setting(positive_scale(population, highest, why), self.charge))
        return Settings(tuple(settings))
