"""Algorithms: from data to a hypothesis."""

from snnlearn.algorithms.base import AbstractAlgorithm as AbstractAlgorithm
from snnlearn.algorithms.base import fit as fit
from snnlearn.algorithms.devices import Devices as Devices
from snnlearn.algorithms.gradient_descent import GradientDescent as GradientDescent
from snnlearn.algorithms.gradient_descent import Metrics as Metrics
from snnlearn.algorithms.gradient_descent import Training as Training
from snnlearn.algorithms.optimizers import RMaxPropState as RMaxPropState
from snnlearn.algorithms.optimizers import rmaxprop as rmaxprop
