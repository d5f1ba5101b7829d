"""Distributions whose Bayes risk is known."""

from snnlearn.data.distributions.base import AbstractDistribution as AbstractDistribution
from snnlearn.data.distributions.gaussians import GaussianPair as GaussianPair
from snnlearn.data.distributions.gaussians import GaussianScales as GaussianScales
from snnlearn.data.distributions.gaussians import GaussianXor as GaussianXor
from snnlearn.data.distributions.regression import NoisyFunction as NoisyFunction
from snnlearn.data.distributions.shapes import FlippedConcept as FlippedConcept
from snnlearn.data.distributions.shapes import OverlappingUniforms as OverlappingUniforms
from snnlearn.data.distributions.shapes import YinYang as YinYang
from snnlearn.data.distributions.spikes import BinomialCounts as BinomialCounts
from snnlearn.data.distributions.spikes import PoissonCounts as PoissonCounts
from snnlearn.data.distributions.spikes import SpikeTrains as SpikeTrains
