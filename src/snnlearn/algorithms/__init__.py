"""Algorithms: from data to a hypothesis."""

from snnlearn.algorithms.base import AbstractAlgorithm as AbstractAlgorithm
from snnlearn.algorithms.base import fit as fit
from snnlearn.algorithms.devices import Devices as Devices
from snnlearn.algorithms.gradient_descent import Diverged as Diverged
from snnlearn.algorithms.gradient_descent import GradientDescent as GradientDescent
from snnlearn.algorithms.gradient_descent import Metrics as Metrics
from snnlearn.algorithms.gradient_descent import Training as Training
from snnlearn.algorithms.optimizers import Optimizer as Optimizer
from snnlearn.algorithms.optimizers import RMaxPropState as RMaxPropState
from snnlearn.algorithms.optimizers import adamw as adamw
from snnlearn.algorithms.optimizers import constant as constant
from snnlearn.algorithms.optimizers import cosine as cosine
from snnlearn.algorithms.optimizers import relative as relative
from snnlearn.algorithms.optimizers import rmaxprop as rmaxprop
