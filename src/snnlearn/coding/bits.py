"""How many bits of a value arrive in its spikes."""

from __future__ import annotations

import math
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy import stats
from scipy.special import gammaln

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.burst import Burst
from snnlearn.coding.direct import Framewise, Rescaled
from snnlearn.coding.information import (
    binomial_channel,
    mutual_information,
    mutual_information_estimate,
    pattern_information,
)
from snnlearn.coding.likelihood import LogLikelihood
from snnlearn.coding.phase import Phase
from snnlearn.coding.population import Population, gaussian_activations
from snnlearn.coding.rank_order import RankOrder
from snnlearn.coding.rate import PoissonRate, Rate, RegularRate
from snnlearn.coding.temporal import Latency, LinearLatency

LEVELS = np.linspace(0.0, 1.0, 256, dtype=np.float32)
"""The values that are told apart: the grey levels of 8 bits, equally likely."""

_DRAWS = 32  # of each level, where spikes are too many to sum over: the standard error is below 0.01 bits


@singledispatch
def bits_per_value(encoder: AbstractEncoder, in_shape: tuple[int, ...] = ()) -> float:
    """Mutual information of a value and its spikes, in bits: at most 8, of 256 equally likely levels in [0, 1].

    Exact where spikes are no more than counted (`Rate`, `PoissonRate`) and for codes without noise; an estimate, to
    0.01 bits, for a population of rates. `RankOrder` tells about all values of a sample together: there it is the
    entropy of their order, for independent values without ties, per value. What a code of changes carries depends on
    how the signal moves, so `Delta` and `SendOnDelta` have no such number.

    For a code of your own: `bits_per_value.register(MyCode)(lambda code, in_shape=(): …)`.

    Args:
        encoder: the encoder.
        in_shape: the shape of a sample, which only `RankOrder` depends on.

    Raises:
        SnnlearnError: if it is not known for this encoder.

    >>> bits_per_value(Phase(num_steps=8))  # the spikes are the binary digits
    8.0
    >>> round(bits_per_value(Rate(num_steps=50, max_rate=1000)), 2)
    2.28
    """
    raise SnnlearnError(
        f"{type(encoder).__name__}: the bits of a value are not known for it; compute them, and bits_per_value.register"
    )


@bits_per_value.register
def _(encoder: Rate | PoissonRate, in_shape: tuple[int, ...] = ()) -> float:
    return mutual_information(binomial_channel(encoder.num_steps, _probability(encoder, jnp.asarray(LEVELS))))


@bits_per_value.register
def _(encoder: RegularRate | Latency | LinearLatency | Phase | Burst, in_shape: tuple[int, ...] = ()) -> float:
    return _noiseless(encoder)


@bits_per_value.register
def _(encoder: Population, in_shape: tuple[int, ...] = ()) -> float:
    if not isinstance(encoder.encoder, Rate | PoissonRate):
        return _noiseless(encoder)
    levels = encoder.low + (encoder.high - encoder.low) * jnp.asarray(LEVELS)
    chance = _probability(encoder.encoder, gaussian_activations(levels, encoder.centres, encoder.sigma))
    scores = _scores(encoder, LogLikelihood.bernoulli(jnp.asarray(chance, jnp.float32)), jnp.tile(levels, _DRAWS))
    return mutual_information_estimate(scores)[0]


@bits_per_value.register
def _(encoder: RankOrder, in_shape: tuple[int, ...] = ()) -> float:
    """The spikes tell which values fire and in what order: `H(k) + Σ_k P(k) log₂ n!/(n − k)!` for k spikes of n."""
    n = math.prod(in_shape)
    above = stats.binom.pmf(np.arange(n + 1), n, 1.0 - encoder.threshold)
    most = min(n, encoder.num_steps)
    chance = np.append(above[:most], above[most:].sum())
    orders = (gammaln(n + 1) - gammaln(n + 1 - np.arange(most + 1))) / math.log(2)
    return float((stats.entropy(chance, base=2) + chance @ orders) / n)


@bits_per_value.register
def _(encoder: Rescaled, in_shape: tuple[int, ...] = ()) -> float:
    return bits_per_value(encoder.encoder, in_shape)


@bits_per_value.register
def _(encoder: Framewise, in_shape: tuple[int, ...] = ()) -> float:
    return bits_per_value(encoder.encoder, in_shape[1:])


def _probability(encoder: Rate | PoissonRate, x: Float[Array, "..."]) -> np.ndarray:
    return np.asarray(encoder.probability(x), np.float64)


def _noiseless(encoder: AbstractEncoder) -> float:
    key = jax.random.key(0)  # which a code without noise ignores
    levels = jnp.asarray(LEVELS)
    if isinstance(encoder, Population):
        levels = encoder.low + (encoder.high - encoder.low) * levels
    return pattern_information(jax.vmap(lambda x: encoder(x, key=key))(levels))


@eqx.filter_jit
def _scores(encoder: AbstractEncoder, readout: LogLikelihood, xs: Float[Array, " M"]) -> Float[Array, "M K"]:
    keys: PRNGKeyArray = jax.random.split(jax.random.key(0), len(xs))
    return jax.lax.map(lambda draw: readout(encoder(draw[0], key=draw[1])), (xs, keys), batch_size=256)
