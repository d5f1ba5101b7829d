"""Kinds of chips, each with the source and the date of its figures."""

from snnlearn.circuits.chips.ideal import ideal as ideal
