"""Spiking networks as classifiers of the package aeon: time series of any lengths and number of channels, and early.

Needs `pip install snnlearn[aeon]`.
"""

try:
    import aeon as _aeon  # noqa: F401  # pyright: ignore[reportMissingImports]
except ModuleNotFoundError as error:
    raise ImportError("snnlearn.aeon needs the package aeon: pip install 'snnlearn[aeon]'") from error

from snnlearn.aeon.classifier import SpikingSeriesClassifier as SpikingSeriesClassifier
from snnlearn.aeon.early import SpikingEarlyClassifier as SpikingEarlyClassifier
