"""The linear recurrent unit."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from snnlearn._arguments import checked
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import PositiveParameter, check, check_positive, number, positive, value
from snnlearn.neurons.base import AbstractNeuron


class LRUState(NamedTuple):
    """The complex state: its real part `v`, and its imaginary part `w`."""

    v: Float[Array, "*units"]
    w: Float[Array, "*units"]


@final
class LRU(AbstractNeuron):
    r"""Linear recurrent unit, a complex number that turns and decays, $h^t=\lambda h^{t-1}+\gamma\,i^t$.

    $\lambda=e^{-\nu+i\theta}$, so that $|\lambda|<1$ for any $\nu>0$, and $\partial h^T/\partial h^t=\lambda^{T-t}$.
    The current's real and imaginary part arrive at the ports `re` and `im`, and the output is both, `[2, *units]`: the
    matrices B and C of a layer are connections (see `network.deep_lru`). It needs no loop over time (`affine`).

    Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu & De 2023, "Resurrecting recurrent neural networks for long
    sequences", arXiv:2303.06349, eq. 6 and 7. The authors' `nu_log`, `theta_log` and `gamma_log` are the logarithms by
    which arrays of positive parameters are trained here, `nu.log` and so on.

    Args:
        nu: $\nu=-\ln|\lambda|$, > 0. A float is fixed, an array is trained.
        theta: the angle $\theta$ by which the state turns in a step, > 0.
        gamma: the gain $\gamma$ of the input, > 0.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> unit = LRU(nu=0.5, theta=jnp.pi / 2, gamma=1.0)
    >>> _, state = unit({"re": jnp.ones(1), "im": jnp.zeros(1)}, unit.initial_state((1,)))
    >>> output, _ = unit({"re": jnp.zeros(1), "im": jnp.zeros(1)}, state)
    >>> output[:, 0].round(3).tolist()  # e^(-0.5) i
    [-0.0, 0.60...]
    """

    nu: PositiveParameter = eqx.field(converter=positive)
    theta: PositiveParameter = eqx.field(converter=positive)
    gamma: PositiveParameter = eqx.field(converter=positive)
    dt: float = eqx.field(converter=number, default=1e-3)

    def __check_init__(self):
        check(self, "a finite number above 0, so that |λ| = exp(−nu) is below 1", lambda nu: nu > 0, nu=self.nu)
        check_positive(self, theta=self.theta, gamma=self.gamma, dt=self.dt)

    @staticmethod
    @checked
    def ring(
        size: int,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        dt: float = 1e-3,
        key: PRNGKeyArray,
    ) -> LRU:
        r"""Units whose eigenvalues are uniform on a ring of the complex plane, with inputs normalised.

        $|\lambda|^2$ is uniform between $r_{min}^2$ and $r_{max}^2$, $\theta$ up to `max_phase`, and
        $\gamma=\sqrt{1-|\lambda|^2}$, with which white noise gives every unit the same variance.

        Args:
            size: units, ≥ 1.
            r_min: inner radius, from 0 to below 1; near 1 for long sequences.
            r_max: outer radius, from `r_min`, of which all units then are, to 1.
            max_phase: the largest angle, in (0, 2π]; small for long sequences.
            dt: time step, s, > 0.
            key: random key.

        Raises:
            SnnlearnError: for a number out of its range; no eigenvalue may be outside the unit disc.
        """
        if size < 1:
            raise SnnlearnError(f"LRU.ring: size is {size}; give at least 1 unit")
        if not 0 <= r_min <= r_max <= 1 or r_max == 0 or r_min == 1:
            raise SnnlearnError(
                f"LRU.ring: the ring is from r_min = {r_min} to r_max = {r_max}; give 0 ≤ r_min ≤ r_max ≤ 1, r_min "
                "below 1 and r_max above 0, as states outside the unit disc grow without bound"
            )
        if not 0 < max_phase <= 2 * math.pi:
            raise SnnlearnError(f"LRU.ring: max_phase is {max_phase}; give an angle in (0, 2π]")
        of_radius, of_phase = jax.random.split(key)
        least = float(jnp.finfo(jnp.result_type(float)).tiny)
        u = jax.random.uniform(of_radius, (size,), minval=least, maxval=1.0)
        # By 1 − |λ|², as |λ|² itself, close to 1, would be rounded to a few values, or to 1.
        lost = (1 - r_max) * (1 + r_max) + (1 - u) * (r_max - r_min) * (r_max + r_min)
        lost = jnp.minimum(lost, 1 - jnp.finfo(lost.dtype).epsneg)
        theta = max_phase * jax.random.uniform(of_phase, (size,), minval=least, maxval=1.0)
        return LRU(-0.5 * jnp.log1p(-lost), theta, jnp.sqrt(lost), dt)

    @property
    def ports(self) -> tuple[str, ...]:
        """The real and the imaginary part of the current."""
        return ("re", "im")

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Real parts, then imaginary parts."""
        return (2, *shape)

    @property
    def affine(self) -> bool:
        """True."""
        return True

    def initial_state(self, shape: tuple[int, ...]) -> LRUState:
        """See the base."""
        return LRUState(jnp.zeros(shape), jnp.zeros(shape))

    def __call__(
        self, current: dict[str, Float[Array, "*units"]], state: LRUState
    ) -> tuple[Float[Array, "2 *units"], LRUState]:
        """See the base."""
        radius, angle, gain = jnp.exp(-value(self.nu)), value(self.theta), value(self.gamma)
        re, im = radius * jnp.cos(angle), radius * jnp.sin(angle)
        v = re * state.v - im * state.w + gain * current["re"]
        w = im * state.v + re * state.w + gain * current["im"]
        return jnp.stack([v, w]), LRUState(v, w)

    def free(self) -> LRU:
        """Itself: it is linear."""
        return self
