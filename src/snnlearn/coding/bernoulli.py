"""Independent random spikes, drawn as fast as memory can be written.

JAX's own counter-based generator (Threefry, 20 rounds) costs more than the network that the spikes drive. Spikes need
no cryptographic strength, so each random word is an integer hash of a counter, whose start and step depend on the key
(the construction of SplitMix). As usual in JAX, equal keys give equal spikes, and `vmap` over keys agrees with a loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, UInt32

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import shown
from snnlearn.coding.base import check_whole
from snnlearn.coding.checks import an_array


def bernoulli_spikes(p: Float[Array, "*shape"], num_steps: int, *, key: PRNGKeyArray) -> Float[Array, "T *shape"]:
    """Independent spikes, each with probability p.

    Each spike uses 24 random bits: p is rounded to a multiple of 2⁻²⁴, and 0 and 1 are exact. The derivative is
    straight-through, `∂S_t/∂p = 1`, that of the expected spike.

    Args:
        p: probability of a spike in one step; clipped to [0, 1], and NaN gives NaN, never a spike.
        num_steps: number of steps T.
        key: the randomness.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> bernoulli_spikes(jnp.array([0.0, 1.0]), 3, key=jax.random.key(0)).tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    p, words = _chances("bernoulli_spikes", p, num_steps, key), _stream(key)
    spikes = (words(_counters((num_steps, *p.shape))) >> 8) < _level(p)[None]
    return spikes.astype(jnp.float32) + (p - jax.lax.stop_gradient(p))[None]


def packed_spikes(p: Float[Array, "*shape"], num_steps: int, *, key: PRNGKeyArray) -> UInt32[Array, "W *shape"]:
    """The spikes of `bernoulli_spikes`, 32 steps to a word: step t is bit t mod 32 of word ⌊t / 32⌋.

    It needs 1/32 of the memory, and writing memory limits the speed of `bernoulli_spikes`. No derivative.

    Args:
        p: probability of a spike in one step; clipped to [0, 1], and NaN never spikes, as a bit cannot be NaN.
        num_steps: number of steps T; W = ⌈T / 32⌉, and the bits after the last step are 0.
        key: the randomness.

    Raises:
        SnnlearnError: if an argument is not that.

    >>> packed_spikes(jnp.array([0.0, 1.0]), 4, key=jax.random.key(0)).tolist()
    [[0, 15]]
    """
    p, words = _chances("packed_spikes", p, num_steps, key), _stream(key)
    counters = _counters((-(-num_steps // 32), 32, *p.shape))
    level = jnp.where(jnp.isnan(p), 0, _level(p))[None]
    packed = jnp.zeros((len(counters), *p.shape), jnp.uint32)
    for bit in range(32):
        packed |= ((words(counters[:, bit]) >> 8) < level).astype(jnp.uint32) << bit
    in_the_last = (num_steps - 1) % 32 + 1
    return packed.at[-1].set(packed[-1] & np.uint32(2**in_the_last - 1))


def unpack_spikes(packed: UInt32[Array, "W *shape"], num_steps: int) -> Float[Array, "T *shape"]:
    """The spikes, 0 or 1, of words of 32 steps each; the inverse of packing.

    Raises:
        SnnlearnError: if these are not words.

    >>> unpack_spikes(jnp.array([0b101], jnp.uint32), 4).tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    packed = an_array("unpack_spikes", packed, "packed")
    if packed.dtype != jnp.uint32 or packed.ndim == 0:
        raise SnnlearnError(
            f"unpack_spikes: packed is an array {packed.shape} of {packed.dtype}; give words [W, ...] of uint32"
        )
    check_whole("unpack_spikes", at_least=0, num_steps=num_steps)
    bit = jnp.arange(32, dtype=jnp.uint32).reshape(1, 32, *(1 for _ in packed.shape[1:]))
    bits = (packed[:, None] >> bit) & 1
    return bits.reshape(-1, *packed.shape[1:])[:num_steps].astype(jnp.float32)


def _level(p: Float[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """How many of the 2²⁴ random values mean a spike."""
    return jnp.round(jnp.clip(p, 0.0, 1.0) * 2**24).astype(jnp.uint32)


def _counters(shape: tuple[int, ...]) -> UInt32[Array, "..."]:
    """0, 1, 2, … in this shape."""
    size = math.prod(shape)
    if size > 2**32:
        raise SnnlearnError(f"one key gives 2³² random words, but {size} are asked for; split the key and the steps")
    return jax.lax.iota(jnp.uint32, size).reshape(shape)


def _chances(owner: str, p: Float[Array, "*shape"], num_steps: int, key: PRNGKeyArray) -> Float[Array, "*shape"]:
    """The probabilities, after checking all arguments."""
    check_whole(owner, at_least=1, num_steps=num_steps)
    if not isinstance(key, jax.Array):
        raise SnnlearnError(f"{owner}: key is {shown(key)}; give a random key, such as jax.random.key(0)")
    return an_array(owner, p, "p")


def _stream(key: PRNGKeyArray) -> Callable[[UInt32[Array, "..."]], UInt32[Array, "..."]]:
    """The key's random words `mix(start + i · step)`, as a function of i; start and odd step are random."""
    start, step = jax.random.bits(key, (2,), jnp.uint32)
    return lambda i: _mix(start + i * (step | 1))


def _mix(x: UInt32[Array, "..."]) -> UInt32[Array, "..."]:
    """A bijection of 32 bits in which each bit of x flips each bit of the result with probability ½.

    Source: the constants of lowbias32, Wellons, Hash Function Prospector (2018).
    """
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)
