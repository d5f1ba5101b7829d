"""Learning rules: how credit is assigned."""

from snnlearn.rules.backpropagation import BPTT as BPTT
from snnlearn.rules.base import AbstractRule as AbstractRule
