"""The physical substrate: what a chip does to a network, and the network that is left."""

from snnlearn.circuits.base import AbstractEffect as AbstractEffect
from snnlearn.circuits.base import AbstractLimit as AbstractLimit
from snnlearn.circuits.base import draw_key as draw_key
from snnlearn.circuits.calibration import calibrate as calibrate
from snnlearn.circuits.calibration import simulated as simulated
from snnlearn.circuits.calibration import Trim as Trim
from snnlearn.circuits.chip import Chip as Chip
from snnlearn.circuits.chip import deploy as deploy
from snnlearn.circuits.chips import ideal as ideal
from snnlearn.circuits.device import AbstractDevice as AbstractDevice
from snnlearn.circuits.device import Converter as Converter
from snnlearn.circuits.device import Measured as Measured
from snnlearn.circuits.device import SimulatedDevice as SimulatedDevice
from snnlearn.circuits.in_the_loop import InTheLoop as InTheLoop
from snnlearn.circuits.laws import AbstractLaw as AbstractLaw
from snnlearn.circuits.laws import LogNormal as LogNormal
from snnlearn.circuits.laws import Normal as Normal
from snnlearn.circuits.mismatch import Mismatch as Mismatch
from snnlearn.circuits.risk import ChipRisk as ChipRisk
from snnlearn.circuits.risk import risk_over_chips as risk_over_chips
from snnlearn.circuits.risk import scores_on_chips as scores_on_chips
from snnlearn.circuits.risk import sensitivities as sensitivities
from snnlearn.circuits.risk import Sensitivity as Sensitivity
from snnlearn.circuits.training import ForChips as ForChips
