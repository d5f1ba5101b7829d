"""How the parameters of a circuit depend on temperature."""

from __future__ import annotations

from typing import NamedTuple


class Thermal(NamedTuple):
    """A parameter's dependence on temperature: powers of three factors, whose product it takes.

    Args:
        u_t: that of the thermal voltage, kT/q.
        bias: that of the bias currents.
        dark: that of the currents of transistors that are off.
    """

    u_t: int = 0
    bias: int = 0
    dark: int = 0

    def factor(self, u_t: float, bias: float, dark: float) -> float:
        """What the parameter is multiplied by.

        Args:
            u_t: the factor of the thermal voltage.
            bias: that of the bias currents.
            dark: that of the currents of transistors that are off.

        >>> TIME.factor(u_t=1.1, bias=1.0, dark=2.0)  # C U_T / (κ I)
        1.1
        """
        return u_t**self.u_t * bias**self.bias * dark**self.dark


VOLTAGE = Thermal(u_t=1)
"""Of a width set by diffusion; a voltage from outside depends on nothing."""
BIAS = Thermal(bias=1)
DARK = Thermal(dark=1)
CONDUCTANCE = Thermal(u_t=-1, bias=1)
TIME = Thermal(u_t=1, bias=-1)
"""Of a capacitor that a conductance below threshold discharges."""
