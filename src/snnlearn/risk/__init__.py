"""How good a hypothesis is."""

from snnlearn.risk.empirical import Risk as Risk
from snnlearn.risk.empirical import chance_level as chance_level
from snnlearn.risk.empirical import empirical_risk as empirical_risk
from snnlearn.risk.empirical import generalization_gap as generalization_gap
from snnlearn.risk.empirical import risk as risk
from snnlearn.risk.empirical import risk_of_errors as risk_of_errors
from snnlearn.risk.intervals import Interval as Interval
from snnlearn.risk.intervals import clopper_pearson as clopper_pearson
from snnlearn.risk.intervals import t_interval as t_interval
