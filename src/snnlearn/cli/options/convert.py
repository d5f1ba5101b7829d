"""Options of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snnlearn.cli.choices import CODES, CONVERSIONS, DATA
from snnlearn.cli.options.kinds import Count, Folder, Role, Scaling, Within
from snnlearn.cli.options.shared import Codes, DataOptions


@dataclass(frozen=True, kw_only=True)
class Convert(Codes, DataOptions):
    """Convert an artificial network to spiking neurons, and report the risk before and after.

    Writes a folder that evaluate, predict, risk and train --start take like a run's: the model, conversion.json,
    report.html with the error of each layer, its causes and its bound.
    """

    resume: tyro.conf.Suppress[Path | None] = None
    distributed: tyro.conf.Suppress[bool] = False
    source: Annotated[Path, tyro.conf.Positional]
    """The artificial network: a run folder or model.npz of a training with --neuron rectifier or quantised; an ONNX
    file; a Keras model (.keras, .h5); an MLP of scikit-learn (.skops); or weights (.safetensors, .pt) with --layers."""
    data: Annotated[str | None, DATA, Role.TASK, tyro.conf.arg(metavar=DATA.metavar)] = None  # pyright: ignore[reportIncompatibleVariableOverride]
    """What it was trained on, as in train: the training sample calibrates, the validation sample measures the layers,
    the test sample tells the risk. By default that of the run."""
    encode: Annotated[str | None, CODES, tyro.conf.arg(metavar=CODES.metavar)] = None
    """How the spiking network gets its input. By default as a constant current; a code's error is reported apart."""
    scale: Scaling = None
    """How values are scaled for a network from a file, as in train. By default as it errs least on training samples."""
    method: Annotated[str, CONVERSIONS, tyro.conf.arg(metavar=CONVERSIONS.metavar)] = "percentile"
    """What chooses how much activation a spike in each step stands for; qcfs needs units of train --neuron
    quantised."""
    percentile: Annotated[float | None, Within(1e-9, 100.0), tyro.conf.arg(metavar="FLOAT")] = None
    """Of the activations above 0. By default the one with the smallest bound of the output's error."""
    charge: Annotated[float | None, Within(-100.0, 100.0), tyro.conf.arg(metavar="FLOAT")] = None
    """Membrane at the start, in thresholds; 0.5 rounds the spike count instead of cutting it off. By default that of
    the method."""
    reset: Literal["subtract", "zero"] = "subtract"
    """What a spike does to the membrane; with zero, the error does not vanish with more steps."""
    max_pooling: Literal["refused", "pairwise"] = "refused"
    """Max pooling in a file: refused, or by rectifiers that compare two units each, layers that add their errors."""
    num_steps: Count = 32
    """Time steps T of the spiking network."""
    samples: Count = 1024
    """How many training samples calibrate."""
    layers: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LAYER...")] = ()
    """The hidden layers of a file of weights alone, as in train: 16c5, 16c5p2, p2 or 256, with rectifiers."""
    out: Folder = None
    """The folder to create. By default runs/converted-SOURCE, with a number added if that exists."""
