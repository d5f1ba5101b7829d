"""Temperature: the thermal voltage and the currents of a chip are not those of its design."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
import operator
from abc import abstractmethod
from typing import final

import equinox as eqx
from jaxtyping import PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check, check_positive, number
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.mismatch import times
from snnlearn.circuits.weights import each_neuron
from snnlearn.network import Layer, Network
from snnlearn.neurons import AbstractNeuron, AbstractWrapper

VOLTS_PER_KELVIN = 8.617333262e-5
"""k/q, exact in the SI of 2019."""

USUAL = 25e-3 / VOLTS_PER_KELVIN
"""The temperature at which the thermal voltage is 25 mV, K: 17 °C."""

LOWEST, HIGHEST = 218.15, 398.15
"""-55 and 125 °C: silicon chips are specified within, and laws of currents hold."""


class AbstractThermalLaw(Component):
    """How a current depends on temperature."""

    @abstractmethod
    def factor(self, kelvin: float, reference: float) -> float:
        """The current at a temperature, over that at another.

        Args:
            kelvin: the temperature, K.
            reference: the other, K.
        """


@final
class Steady(AbstractThermalLaw):
    """It does not: the current of a compensated reference.

    >>> Steady().factor(320.0, 300.0)
    1.0
    """

    def factor(self, kelvin: float, reference: float) -> float:
        """See the base."""
        return 1.0


@final
class ProportionalToTemperature(AbstractThermalLaw):
    r"""$I\propto T$ (PTAT), as of a bootstrapped mirror below threshold, $I=U_T\ln M/R$, the master of bias generators.

    Time constants $CU_T/(\kappa I)$ are then the same at every temperature.

    Source: Delbrück & van Schaik 2005, doi:10.1007/s10470-005-1606-1.

    >>> ProportionalToTemperature().factor(330.0, 300.0)
    1.1
    """

    def factor(self, kelvin: float, reference: float) -> float:
        """See the base."""
        return kelvin / reference


@final
class Doubling(AbstractThermalLaw):
    r"""$I\propto 2^{T/\Delta}$, the rule of thumb for leaks.

    Args:
        every: Δ, K, > 0.

    Raises:
        SnnlearnError: for a number that is not positive.

    >>> Doubling(10.0).factor(320.0, 300.0)
    4.0
    """

    every: float = eqx.field(converter=number, default=10.0)

    def __check_init__(self):
        check_positive(self, every=self.every)

    def factor(self, kelvin: float, reference: float) -> float:
        """See the base."""
        return 2.0 ** ((kelvin - reference) / self.every)


@final
class Activated(AbstractThermalLaw):
    r"""$I\propto e^{-E/kT}$ (Arrhenius): of a transistor that is off, or of one whose gate has a fixed voltage.

    Near 300 K an energy of 0.54 eV is a doubling every 10 K. A voltage V at the gate takes $\kappa qV$ from the energy.

    Args:
        energy: E, eV, > 0.

    Raises:
        SnnlearnError: for a number that is not positive.

    >>> round(Activated(0.54).factor(305.0, 295.0), 2)
    2.01
    """

    energy: float = eqx.field(converter=number, default=0.54)

    def __check_init__(self):
        check_positive(self, energy=self.energy)

    def factor(self, kelvin: float, reference: float) -> float:
        """See the base."""
        return math.exp(self.energy / VOLTS_PER_KELVIN * (1 / reference - 1 / kelvin))


@final
class Temperature(AbstractEffect):
    r"""All neurons at another temperature than the one that they were designed for.

    The thermal voltage $U_T=kT/q$ and two kinds of currents change, and with them each parameter as its circuit says
    (`AbstractNeuron.thermal`):

    | parameter | factor |
    |---|---|
    | time constants, $\tau=CU_T/(\kappa I)$; also those of `LIF` and other neurons without physical units | $u/b$ |
    | conductances, $\kappa I/(2U_T)$ | $b/u$ |
    | the range of voltage of an exponential, such as `delta` of an `AdEx` | $u$ |
    | currents that biases set, thresholds of `DPI` among them | $b$ |
    | what a pulse of fixed length adds to a current, $I_gI_w/I_\tau\cdot t/\tau$ | $b^2/u$ |
    | dark currents | $d$ |

    where $u=T/T_0$, b is by `biases` and d by `dark`. Weights, refractory periods and voltages from outside stay. It
    concerns transistors below threshold: digital neurons have time constants that no temperature changes.

    Args:
        kelvin: T, K, from 218.15 to 398.15 (−55 to 125 °C).
        reference: $T_0$, K, at which the parameters are those of the network, in the same range. At the default the
            thermal voltage is 25 mV, as it is in `DPI`.
        biases: how currents depend on temperature that biases set.
        dark: how those of transistors do that are off.

    Raises:
        SnnlearnError: for a part of another kind, or a temperature outside the range; by the effect, if no neuron
            depends on temperature, or a time constant becomes shorter than the time step.

    >>> from snnlearn.neurons import DPI
    >>> from snnlearn.network import feedforward
    >>> import jax
    >>> network = feedforward((4, 3, 2), neuron=DPI(), key=jax.random.key(0))
    >>> warm = Temperature(300.0)(network, key=jax.random.key(1)).layers[0].neuron
    >>> round(warm.u_t, 2), round(warm.i_0, 2)  # mV, pA
    (25.85, 1.98)
    """

    kelvin: float = eqx.field(converter=number)
    reference: float = eqx.field(converter=number, default=USUAL)
    biases: AbstractThermalLaw = Steady()
    dark: AbstractThermalLaw = Doubling()

    def __check_init__(self):
        check_fields(self, "kelvin", "reference", "biases", "dark")
        within = f"a temperature in kelvin from {LOWEST} to {HIGHEST}, where the laws of silicon circuits hold"
        check(self, within, lambda t: (t >= LOWEST) & (t <= HIGHEST), kelvin=self.kelvin, reference=self.reference)

    def applies(self, network: Network) -> bool:
        """Whether a neuron depends on temperature."""
        return any(layer.neuron.thermal for layer in network.layers)

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base; nothing is drawn."""
        if not self.applies(network):
            raise SnnlearnError(
                "Temperature: no neuron of the network depends on temperature; give one whose neurons have time "
                "constants, or leave this effect out"
            )
        return each_neuron(network, lambda layer, _: self._at(layer))

    def _at(self, layer: Layer) -> AbstractNeuron:
        biases, dark = (law.factor(self.kelvin, self.reference) for law in (self.biases, self.dark))
        neuron = layer.neuron
        for place, thermal in neuron.thermal.items():
            get, factor = operator.attrgetter(place), thermal.factor(self.kelvin / self.reference, biases, dark)
            parameter = get(neuron)
            scaled = parameter * factor if isinstance(parameter, float) else times(parameter, factor)
            neuron = eqx.tree_at(get, neuron, scaled)
        part = neuron
        while isinstance(part, AbstractWrapper):
            part.__check_init__()
            part = part.neuron
        part.__check_init__()
        return neuron
