"""Where the data z = (x, y) comes from: files, known sets, and synthetic tasks with known answers.

Every loader returns a [`Dataset`][snnlearn.data.Dataset] whose training, validation and test parts are disjoint and
checked. Nothing here needs JAX.
"""

from __future__ import annotations

from snnlearn.data.arrays import npz, read_labelled, read_series, read_values
from snnlearn.data.base import Dataset, LearningData, Sample, WeightedSample, overlap, split
from snnlearn.data.chaos import mackey_glass
from snnlearn.data.coincidence import Coincidences
from snnlearn.data.distributions import (
    AbstractDistribution,
    BinomialCounts,
    FlippedConcept,
    GaussianPair,
    GaussianScales,
    GaussianXor,
    NoisyFunction,
    OverlappingUniforms,
    PoissonCounts,
    SpikeTrains,
    YinYang,
)
from snnlearn.data.ends import held, lengths_of, with_lengths
from snnlearn.data.found import Column, Form
from snnlearn.data.hdf5 import Recorded, events, read_events
from snnlearn.data.images import digits, fashion_mnist, idx, mnist, read_idx
from snnlearn.data.loading import Read, load, read_like
from snnlearn.data.long_range import adding, copy, delayed_xor, narma, sequential
from snnlearn.data.mnist_1d import mnist1d
from snnlearn.data.spike_events import structured_events, write_events
from snnlearn.data.synthetic import randman, spike_xor, yin_yang
from snnlearn.data.working_memory import evidence_accumulation, store_recall

__all__ = [
    "AbstractDistribution",
    "BinomialCounts",
    "Coincidences",
    "Column",
    "Dataset",
    "FlippedConcept",
    "Form",
    "GaussianPair",
    "GaussianScales",
    "GaussianXor",
    "LearningData",
    "NoisyFunction",
    "OverlappingUniforms",
    "PoissonCounts",
    "Read",
    "Recorded",
    "Sample",
    "SpikeTrains",
    "WeightedSample",
    "YinYang",
    "adding",
    "copy",
    "delayed_xor",
    "digits",
    "events",
    "evidence_accumulation",
    "fashion_mnist",
    "held",
    "idx",
    "lengths_of",
    "load",
    "mackey_glass",
    "mnist",
    "mnist1d",
    "narma",
    "npz",
    "overlap",
    "randman",
    "read_events",
    "read_idx",
    "read_labelled",
    "read_like",
    "read_series",
    "read_values",
    "sequential",
    "spike_xor",
    "split",
    "store_recall",
    "structured_events",
    "with_lengths",
    "write_events",
    "yin_yang",
]
