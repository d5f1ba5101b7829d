"""The physical substrate: what a chip does to a network, and the network that is left."""

from snnlearn.circuits.base import AbstractEffect as AbstractEffect
from snnlearn.circuits.base import AbstractLimit as AbstractLimit
from snnlearn.circuits.base import draw_key as draw_key
from snnlearn.circuits.chip import Chip as Chip
from snnlearn.circuits.chip import deploy as deploy
from snnlearn.circuits.laws import AbstractLaw as AbstractLaw
from snnlearn.circuits.laws import LogNormal as LogNormal
from snnlearn.circuits.laws import Normal as Normal
from snnlearn.circuits.mismatch import Mismatch as Mismatch
