"""Scales that the artificial network was trained with."""

from __future__ import annotations

import math
from typing import final

from snnlearn._errors import SnnlearnError
from snnlearn.conversion.base import AbstractConversion, Examples
from snnlearn.conversion.plan import Plan, Setting, Settings


@final
class QCFS(AbstractConversion):
    r"""The scale of a population is the ceiling that its units were trained with, and it starts at half a threshold.

    In T steps of a constant current $z$, a unit then spikes $\mathrm{clip}(\lfloor zT/\lambda+1/2\rfloor,0,T)$ times:
    for T = `levels`, its rate is the activation of a `QuantisedRectifier` exactly. Later layers differ only by the
    moments of their input's spikes ("unevenness").

    Bu, Fang, Ding, Dai, Yu & Huang 2022, "Optimal ANN-SNN conversion for high-accuracy and ultra-low-latency spiking
    neural networks" ("quantisation clip-floor-shift").

    >>> QCFS().needs_data
    False
    """

    @property
    def needs_data(self) -> bool:
        """It does not."""
        return False

    def __call__(self, plan: Plan, examples: Examples | None) -> Settings:
        """See the base.

        Raises:
            SnnlearnError: if an activation function has no ceiling.
        """
        for population in plan.populations:
            if math.isinf(population.part.ceiling):
                raise SnnlearnError(
                    f"QCFS: {population.name} has no ceiling; train the network with QuantisedRectifier units, or use "
                    "PercentileNormalisation() and Calibration()"
                )
        return Settings(tuple(Setting(population.part.ceiling, 0.5) for population in plan.populations))
