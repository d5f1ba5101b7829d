"""Rate coding: the value is the firing rate."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_positive
from snnlearn.coding.base import AbstractEncoder, check_window, unit_interval


class Rate(AbstractEncoder):
    """Rate code: every step is an independent coin, `S_t ~ Bernoulli(x · max_rate · dt)`.

    The discrete Poisson process: with p the probability of the coin, a count over T steps has mean T·p and variance
    T·p·(1 − p).

    Args:
        num_steps: number of steps T, ≥ 1.
        max_rate: firing rate of x = 1, Hz; at most one spike per step, so `max_rate · dt ≤ 1`.
        dt: time step, s.

    Raises:
        SnnlearnError: if a field is out of range.

    >>> spikes = Rate(num_steps=1000, max_rate=100)(jnp.array([0.0, 0.5, 1.0]), key=jax.random.key(0))
    >>> spikes.shape
    (1000, 3)
    >>> (spikes.sum(0) / 1.0).tolist()  # 0, 50 and 100 Hz over 1 s
    [0.0, ...]

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 1.4.
    """

    num_steps: int
    max_rate: float = eqx.field(converter=float, default=200.0)
    dt: float = eqx.field(converter=float, default=1e-3)

    def __check_init__(self):
        check_window(self, self.num_steps, self.dt)
        check_positive(self, max_rate=self.max_rate)
        if self.max_rate * self.dt > 1:
            raise SnnlearnError(
                f"Rate: max_rate is {self.max_rate} Hz, more than one spike per step of {self.dt} s; "
                f"lower max_rate to {1 / self.dt:g} Hz or shorten dt"
            )

    def __call__(self, x: Shaped[Array, "*shape"], *, key: PRNGKeyArray) -> Float[Array, "T *shape"]:
        """See the base."""
        return bernoulli_spikes(unit_interval(x) * (self.max_rate * self.dt), self.num_steps, key=key)

    def out_shape(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """One unit per value."""
        return in_shape


def bernoulli_spikes(p: Float[Array, "*shape"], num_steps: int, *, key: PRNGKeyArray) -> Float[Array, "T *shape"]:
    """Independent spikes, each with probability p.

    The random bits are what encoding costs, so a coin takes 16 of them and not 32: p is rounded to a multiple of 2⁻¹⁶.
    The error is at most 2⁻¹⁷, or 0.008 Hz at dt = 1 ms; 0 and 1 are exact.

    Args:
        p: probability of a spike in one step, in [0, 1].
        num_steps: number of steps T.
        key: the randomness.

    >>> bernoulli_spikes(jnp.array([0.0, 1.0]), 3, key=jax.random.key(0)).tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """
    words = jax.random.bits(key, (-(-num_steps // 2), *p.shape), jnp.uint32)
    level = jnp.round(p * 2**16).astype(jnp.uint32)[None]
    spikes = jnp.concatenate([(words & 0xFFFF) < level, (words >> 16) < level])
    return spikes[:num_steps].astype(jnp.float32)
