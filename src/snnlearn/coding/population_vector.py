"""Decoders of a population that only need preferred values: population vector and centre of mass."""

from __future__ import annotations

from typing import final

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn.coding.base import AbstractReconstruction
from snnlearn.coding.checks import check_above_zero, check_number, for_jax, known_array, of_neurons, scalar


@final
class PopulationVector(AbstractReconstruction):
    """The direction in which the neurons pull, `ŝ = atan2(P_y, P_x)` of `P = Σ_i (n_i − r₀T) (cos s_i, sin s_i)`.

    For cosine tuning and preferred directions spread evenly over the circle, P is an unbiased estimate of
    `½ N T (r_max − r₀) (cos s, sin s)`.

    Args:
        preferred: the direction s_i that each neuron prefers, rad.
        base_rate: the rate r₀ that carries no direction, Hz, ≥ 0; without effect if the directions are evenly spread.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: if base_rate is negative, or dt is not positive.

    >>> decoder = PopulationVector(jnp.array([0.0, 0.5, 1.0, 1.5]) * jnp.pi)
    >>> round(float(decoder(jnp.array([[1.0, 1.0, 0.0, 0.0]]))), 4)  # halfway between the two that fired
    0.7854

    Source: Georgopoulos, Schwartz & Kettner (1986), doi:10.1126/science.3749885.
    """

    preferred: Float[Array, " n"] = eqx.field(converter=for_jax)
    base_rate: float = eqx.field(converter=scalar, default=0.0)
    dt: float = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        check_above_zero(self, dt=self.dt)
        known_array(self, self.preferred, "preferred", shape="one angle for each neuron, [n]", axes=(1,))
        check_number(self, "a number of at least 0", lambda x: x >= 0, base_rate=self.base_rate)

    def vector(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*shape 2"]:
        """The population vector P itself; its length says how much the neurons agree."""
        spikes = of_neurons(self, spikes, len(self.preferred))
        excess = spikes.sum(axis=0) - self.base_rate * len(spikes) * self.dt
        return excess @ jnp.stack([jnp.cos(self.preferred), jnp.sin(self.preferred)], axis=-1)

    def __call__(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*shape"]:
        """See the base; an angle in (−π, π]."""
        vector = self.vector(spikes)
        return jnp.arctan2(vector[..., 1], vector[..., 0])


@final
class CentreOfMass(AbstractReconstruction):
    """The mean of the preferred values, weighted by spikes, `ŝ = Σ_i n_i s_i / Σ_i n_i`.

    For a dense and even array of Gaussian tuning curves without base rate it is the maximum-likelihood estimate. A
    silent population gives the mean of the centres.

    Args:
        centres: the value that each neuron prefers, `[n]`, or `[n, D]` for values of D dimensions.

    Raises:
        SnnlearnError: if the centres are not such an array.

    >>> CentreOfMass(jnp.array([0.0, 1.0, 4.0]))(jnp.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])).tolist()
    2.0

    Source: Dayan & Abbott, Theoretical Neuroscience (2001), section 3.3.
    """

    centres: Float[Array, " n"] | Float[Array, "n D"] = eqx.field(converter=for_jax)

    def __check_init__(self):
        known_array(self, self.centres, "centres", shape="[n] or [n, D]", axes=(1, 2))

    def __call__(self, spikes: Float[Array, "T *shape n"]) -> Float[Array, "*value"]:
        """See the base."""
        spikes = of_neurons(self, spikes, len(self.centres))
        counts = spikes.sum(axis=0)
        counts = jnp.where(counts.sum(axis=-1, keepdims=True) == 0, 1.0, counts)
        return jnp.tensordot(counts / counts.sum(axis=-1, keepdims=True), self.centres, axes=1)
