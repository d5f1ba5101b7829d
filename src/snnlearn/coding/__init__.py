"""Codes: how a sample becomes spikes, and how spikes become a decision.

An encoder maps one sample to `[T, N]`; a decoder maps the network's `[T, C]` to one score per class. Both are values:
any encoder works with any network and any decoder. `snnlearn.coding.conformance` checks your own.
"""

from snnlearn.coding.base import AbstractDecoder as AbstractDecoder
from snnlearn.coding.base import AbstractEncoder as AbstractEncoder
from snnlearn.coding.decoders import FirstSpike as FirstSpike
from snnlearn.coding.decoders import LastMembrane as LastMembrane
from snnlearn.coding.decoders import MaxMembrane as MaxMembrane
from snnlearn.coding.decoders import MeanMembrane as MeanMembrane
from snnlearn.coding.decoders import SpikeCount as SpikeCount
from snnlearn.coding.direct import Current as Current
from snnlearn.coding.direct import Rescaled as Rescaled
from snnlearn.coding.direct import Spikes as Spikes
from snnlearn.coding.population import Population as Population
from snnlearn.coding.population import gaussian_activations as gaussian_activations
from snnlearn.coding.rate import Rate as Rate
from snnlearn.coding.rate import bernoulli_spikes as bernoulli_spikes
from snnlearn.coding.temporal import Latency as Latency
from snnlearn.coding.temporal import LinearLatency as LinearLatency
from snnlearn.coding.temporal import latency as latency
from snnlearn.coding.temporal import linear_latency as linear_latency
from snnlearn.coding.temporal import spike_at as spike_at
