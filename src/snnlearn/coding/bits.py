"""How many bits of a value its spikes carry."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._errors import SnnlearnError
from snnlearn.coding.base import AbstractEncoder
from snnlearn.coding.checks import check_part
from snnlearn.coding.information import (
    binomial_channel,
    mutual_information,
    mutual_information_estimate,
    pattern_information,
)
from snnlearn.coding.likelihood import LogLikelihood

LEVELS = np.linspace(0.0, 1.0, 256, dtype=np.float32)
"""The values that are told apart: the grey levels of 8 bits, equally likely, over the code's range."""

_DRAWS = 32  # of each level, where spikes are too many to sum over: the standard error is below 0.01 bits


def bits_per_value(encoder: AbstractEncoder, in_shape: tuple[int, ...] = ()) -> float:
    """Mutual information of a value and its spikes, in bits: at most 8, for 256 equally likely levels.

    Exact if only the number of spikes matters (`Rate`, `PoissonRate`) and for codes without noise; an estimate, to 0.01
    bits, for a population with a rate code. `RankOrder` encodes all values of a sample together: it has the entropy of
    their order, per value, for independent values without ties. The information in a code of changes depends on the
    signal, so `Delta` and `SendOnDelta` have no such number.

    It follows from what the encoder states: its `bits`, or else `range` and `draws` or `probability`.

    Args:
        encoder: the encoder.
        in_shape: the shape of a sample, which only `RankOrder` depends on.

    Raises:
        SnnlearnError: if it is not known for this encoder.

    >>> from snnlearn.coding import Phase, Rate
    >>> bits_per_value(Phase(num_steps=8))  # the spikes are the binary digits
    8.0
    >>> round(bits_per_value(Rate(num_steps=50, max_rate=1000)), 2)
    2.28
    """
    check_part("bits_per_value", AbstractEncoder, "an encoder, such as Rate(100)", encoder=encoder)
    known = encoder.bits(in_shape)
    bits = _by_trying(encoder) if known is None else known
    if isinstance(bits, str):
        raise SnnlearnError(f"{type(encoder).__name__}: its bits per value are unknown: {bits}")
    return bits


def _by_trying(encoder: AbstractEncoder) -> float | str:
    """The bits, from the output for each level; or the reason why that is not enough."""
    if encoder.range is None or not encoder.gives_spikes:
        return "it has no range of values, or gives no spikes; define its `bits`"
    low, high = encoder.range
    levels = low + (high - low) * jnp.asarray(LEVELS)
    if not encoder.draws:
        key = jax.random.key(0)  # which it ignores
        return pattern_information(jax.vmap(lambda x: encoder(x, key=key))(levels))
    chance = encoder.probability(levels)
    if chance is None:
        return "it draws random numbers, but has no `probability`; define that or its `bits`"
    if chance.shape == levels.shape:
        return mutual_information(binomial_channel(encoder.num_steps, np.asarray(chance, np.float64)))
    coins = LogLikelihood.bernoulli(chance.reshape(len(levels), -1))
    return mutual_information_estimate(_scores(encoder, coins, jnp.tile(levels, _DRAWS)))[0]


@eqx.filter_jit
def _scores(encoder: AbstractEncoder, readout: LogLikelihood, xs: Float[Array, " M"]) -> Float[Array, "M K"]:
    keys: PRNGKeyArray = jax.random.split(jax.random.key(0), len(xs))

    def one(draw: tuple[Array, PRNGKeyArray]) -> Float[Array, " K"]:
        return readout(encoder(draw[0], key=draw[1]).reshape(encoder.num_steps, -1))

    return jax.lax.map(one, (xs, keys), batch_size=256)
