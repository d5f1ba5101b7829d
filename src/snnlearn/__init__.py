"""Learning in spiking neural networks.

Data → encoder → network → decoder → loss → rule → algorithm → hypothesis → risk: each is a value, chosen freely.
Sub-packages are imported when first used, so that `import snnlearn` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from snnlearn._errors import SnnlearnError as SnnlearnError

if TYPE_CHECKING:
    from snnlearn import aeon as aeon
    from snnlearn import algorithms as algorithms
    from snnlearn import circuits as circuits
    from snnlearn import coding as coding
    from snnlearn import conversion as conversion
    from snnlearn import data as data
    from snnlearn import environments as environments
    from snnlearn import losses as losses
    from snnlearn import network as network
    from snnlearn import neurons as neurons
    from snnlearn import report as report
    from snnlearn import risk as risk
    from snnlearn import rules as rules
    from snnlearn import sklearn as sklearn
    from snnlearn import streaming as streaming
    from snnlearn.algorithms import Experiment as Experiment
    from snnlearn.algorithms import fit as fit
    from snnlearn.hypothesis import Hypothesis as Hypothesis
    from snnlearn.hypothesis import predict as predict
    from snnlearn.model_file import load as load
    from snnlearn.model_file import save as save

__version__ = "0.1.0"

_PACKAGES = (
    "data",
    "coding",
    "neurons",
    "network",
    "losses",
    "rules",
    "algorithms",
    "conversion",
    "environments",
    "sklearn",
    "aeon",
    "risk",
    "streaming",
    "circuits",
    "report",
)
_NAMES = {
    "Experiment": "algorithms",
    "Hypothesis": "hypothesis",
    "predict": "hypothesis",
    "fit": "algorithms",
    "save": "model_file",
    "load": "model_file",
}


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"snnlearn.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"snnlearn.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'snnlearn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PACKAGES, *_NAMES])
