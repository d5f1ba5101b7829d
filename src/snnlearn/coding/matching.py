"""Which inverse fits which encoder."""

from __future__ import annotations

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.burst import Burst
from snnlearn.coding.delta import Delta, SendOnDelta
from snnlearn.coding.direct import Framewise, Rescaled
from snnlearn.coding.inverses import (
    AbstractReconstruction,
    InverseBurst,
    InverseDelta,
    InverseFramewise,
    InverseLatency,
    InverseLinearLatency,
    InversePhase,
    InversePoissonRate,
    InverseRankOrder,
    InverseRate,
    InverseRegularRate,
    InverseRescaled,
)
from snnlearn.coding.likelihood import LeastSquares, MaximumLikelihood, TuningCurves
from snnlearn.coding.phase import Phase
from snnlearn.coding.population import Population, TunedPopulation
from snnlearn.coding.rank_order import RankOrder
from snnlearn.coding.rate import PoissonRate, Rate, RegularRate
from snnlearn.coding.temporal import Latency, LinearLatency
from snnlearn.coding.tuning import GaussianTuning


@singledispatch
def inverse_of(encoder: AbstractEncoder) -> AbstractReconstruction:
    """The reconstruction that fits an encoder, with the encoder's own parameters.

    A population of rates is read by maximum likelihood, one of another code by least squares. For an encoder of your
    own, `inverse_of.register(MyCode)(lambda code: MyInverse(code.tau))`.

    Args:
        encoder: the encoder.

    Raises:
        SnnlearnError: if none is known.

    >>> code = LinearLatency(num_steps=101)
    >>> inverse_of(code)(code(jnp.array([0.25, 0.5]))).tolist()
    [0.25, 0.5]
    """
    raise SnnlearnError(f"{type(encoder).__name__} has no inverse that is known; write one, and inverse_of.register it")


@inverse_of.register
def _(encoder: Rate) -> AbstractReconstruction:
    return InverseRate(encoder.max_rate, encoder.dt)


@inverse_of.register
def _(encoder: PoissonRate) -> AbstractReconstruction:
    return InversePoissonRate(encoder.max_rate, encoder.dt)


@inverse_of.register
def _(encoder: RegularRate) -> AbstractReconstruction:
    return InverseRegularRate(encoder.max_rate, encoder.phase, encoder.dt)


@inverse_of.register
def _(encoder: Latency) -> AbstractReconstruction:
    return InverseLatency(encoder.tau, encoder.threshold, encoder.dt)


@inverse_of.register
def _(encoder: LinearLatency) -> AbstractReconstruction:
    return InverseLinearLatency(encoder.threshold)


@inverse_of.register
def _(encoder: RankOrder) -> AbstractReconstruction:
    return InverseRankOrder()


@inverse_of.register
def _(encoder: Phase) -> AbstractReconstruction:
    return InversePhase(encoder.num_phases)


@inverse_of.register
def _(encoder: Burst) -> AbstractReconstruction:
    return InverseBurst(encoder.max_spikes, encoder.min_interval, encoder.max_interval)


@inverse_of.register(Delta)
@inverse_of.register(SendOnDelta)
def _(encoder: Delta | SendOnDelta) -> AbstractReconstruction:
    return InverseDelta(encoder.threshold, encoder.initial or 0.0)


@inverse_of.register
def _(encoder: Rescaled) -> AbstractReconstruction:
    return InverseRescaled(inverse_of(encoder.encoder), encoder.low, encoder.high)


@inverse_of.register
def _(encoder: Framewise) -> AbstractReconstruction:
    return InverseFramewise(inverse_of(encoder.encoder), encoder.num_frames)


@inverse_of.register
def _(encoder: Population) -> AbstractReconstruction:
    bells = GaussianTuning(centres=encoder.centres, sigma=encoder.sigma, max_rate=1.0)
    candidates = jnp.linspace(encoder.low, encoder.high, 4 * encoder.num_neurons)
    return _of_population(encoder.encoder, bells, candidates)


@inverse_of.register
def _(encoder: TunedPopulation) -> AbstractReconstruction:
    tuning = encoder.tuning
    circular = not isinstance(tuning, GaussianTuning)
    candidates = jnp.linspace(-jnp.pi, jnp.pi, 4 * tuning.num_neurons) if circular else tuning.preferred
    return _of_population(encoder.encoder, lambda s: tuning(s) / tuning.max_rate, candidates)


def _of_population(
    encoder: AbstractEncoder, activations: TuningCurves, candidates: Float[Array, "G *D"]
) -> AbstractReconstruction:
    """The value behind activations in [0, 1] that the encoder turned into spikes."""
    if isinstance(encoder, Rate | PoissonRate):
        return MaximumLikelihood(lambda s: encoder.max_rate * activations(s), candidates, dt=encoder.dt)
    return LeastSquares(inverse_of(encoder), activations, candidates)
