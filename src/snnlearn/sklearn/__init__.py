"""Spiking networks as scikit-learn estimators, in its conventions: pipelines, searches, cross-validation, calibration.

It is imported for itself, `from snnlearn.sklearn import SpikingClassifier`, so that nothing else waits for
scikit-learn.
"""

from snnlearn.sklearn.classifier import SpikingClassifier as SpikingClassifier
from snnlearn.sklearn.regressor import SpikingRegressor as SpikingRegressor
