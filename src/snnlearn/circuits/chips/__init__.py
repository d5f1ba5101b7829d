"""Kinds of chips: constraint tables with their sources."""

from snnlearn.circuits.chips.brainscales_2 import brainscales_2 as brainscales_2
from snnlearn.circuits.chips.dynap_se1 import dynap_se1 as dynap_se1
from snnlearn.circuits.chips.dynap_se2 import dynap_se2 as dynap_se2
from snnlearn.circuits.chips.ideal import ideal as ideal
from snnlearn.circuits.chips.loihi_2 import loihi_2 as loihi_2
from snnlearn.circuits.chips.speck import speck as speck
from snnlearn.circuits.chips.xylo import xylo as xylo
