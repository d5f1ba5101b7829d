"""Losses of a sample."""

from snnlearn.losses.activity import RateBand as RateBand
from snnlearn.losses.actor_critic import ActorCritic as ActorCritic
from snnlearn.losses.base import AbstractFilteredLoss as AbstractFilteredLoss
from snnlearn.losses.base import AbstractLoss as AbstractLoss
from snnlearn.losses.base import AbstractRateLoss as AbstractRateLoss
from snnlearn.losses.base import AbstractScoreLoss as AbstractScoreLoss
from snnlearn.losses.base import AbstractStepwiseLoss as AbstractStepwiseLoss
from snnlearn.losses.base import StepwiseSum as StepwiseSum
from snnlearn.losses.base import Sum as Sum
from snnlearn.losses.classification import ClassMeanSquaredError as ClassMeanSquaredError
from snnlearn.losses.classification import CrossEntropy as CrossEntropy
from snnlearn.losses.classification import StepwiseCrossEntropy as StepwiseCrossEntropy
from snnlearn.losses.conformance import check_loss as check_loss
from snnlearn.losses.ends import ended as ended
from snnlearn.losses.kernel import Kernel as Kernel
from snnlearn.losses.labels import LabelCrossEntropy as LabelCrossEntropy
from snnlearn.losses.labels import StepwiseLabelCrossEntropy as StepwiseLabelCrossEntropy
from snnlearn.losses.regression import StepwiseValueMeanSquaredError as StepwiseValueMeanSquaredError
from snnlearn.losses.regression import ValueMeanSquaredError as ValueMeanSquaredError
from snnlearn.losses.signals import AlphaVanRossum as AlphaVanRossum
from snnlearn.losses.signals import ClassSpikeTrains as ClassSpikeTrains
from snnlearn.losses.signals import MeanSquaredError as MeanSquaredError
from snnlearn.losses.signals import VanRossum as VanRossum
from snnlearn.losses.weights import weighted as weighted
from snnlearn.losses.window import Window as Window
