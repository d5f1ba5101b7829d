"""From an artificial to a spiking network: methods, conversion, and what it costs."""

from snnlearn.conversion.balancing import ThresholdBalancing as ThresholdBalancing
from snnlearn.conversion.base import AbstractConversion as AbstractConversion
from snnlearn.conversion.base import Converted as Converted
from snnlearn.conversion.base import Examples as Examples
from snnlearn.conversion.base import convert as convert
from snnlearn.conversion.bound import Bound as Bound
from snnlearn.conversion.bound import error_bound as error_bound
from snnlearn.conversion.calibration import Calibration as Calibration
from snnlearn.conversion.hypothesis import Conversion as Conversion
from snnlearn.conversion.hypothesis import convert_hypothesis as convert_hypothesis
from snnlearn.conversion.measure import LayerError as LayerError
from snnlearn.conversion.measure import check_alive as check_alive
from snnlearn.conversion.measure import compare_layers as compare_layers
from snnlearn.conversion.measure import scores_over_time as scores_over_time
from snnlearn.conversion.normalisation import MaximumNormalisation as MaximumNormalisation
from snnlearn.conversion.normalisation import PercentileNormalisation as PercentileNormalisation
from snnlearn.conversion.normalisation import WeightNormBound as WeightNormBound
from snnlearn.conversion.plan import Plan as Plan
from snnlearn.conversion.plan import Population as Population
from snnlearn.conversion.plan import Setting as Setting
from snnlearn.conversion.plan import Settings as Settings
from snnlearn.conversion.quantised import QCFS as QCFS
