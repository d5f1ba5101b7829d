"""Signed weights as pairs of conductances, which are never negative."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import check_not_negative, check_positive, number


class Conductances(NamedTuple):
    """The conductances of the two devices of each weight, S."""

    plus: Float[Array, "..."]
    minus: Float[Array, "..."]


@final
class DifferentialPair(Component):
    r"""A weight as the difference of two conductances, $w = \frac{w_{max}}{G_{max}-G_{min}}(G^+-G^-)$.

    One device carries the weight, and the other stays at $G_{min}$, as aihwkit's `SinglePairConductanceConverter` has
    it. What acts on conductances one after the other, such as programming and then drift, does so on the pair of the
    weight that is left.

    Args:
        g_max: the largest conductance, S; that of the largest weight.
        g_min: the least, S, ≥ 0 and below `g_max`.
        w_max: the largest weight, > 0, beyond which weights are clipped, with the derivative of the identity; None is
            the largest absolute value of each array of weights.

    Raises:
        SnnlearnError: for conductances or a weight outside their range.

    >>> pair = DifferentialPair(g_max=20e-6, w_max=2.0)
    >>> plus, minus = pair.conductances(jnp.array([-1.0, 2.0]))
    >>> [round(1e6 * float(g)) for g in (*plus, *minus)]
    [0, 20, 10, 0]
    """

    g_max: float | Float[Array, ""] = eqx.field(converter=number, default=25e-6)
    g_min: float | Float[Array, ""] = eqx.field(converter=number, default=0.0)
    w_max: float | Float[Array, ""] | None = eqx.field(converter=number, default=None)

    def __check_init__(self):
        check_positive(self, g_max=self.g_max)
        check_not_negative(self, g_min=self.g_min)
        if self.w_max is not None:
            check_positive(self, w_max=self.w_max)
        if isinstance(self.g_max, float) and isinstance(self.g_min, float) and self.g_min >= self.g_max:
            raise SnnlearnError(
                f"DifferentialPair: g_min is {self.g_min} S, not below g_max = {self.g_max} S; lower it, or raise g_max"
            )

    def conductances(self, weight: Float[Array, "..."]) -> Conductances:
        """The pairs of weights."""
        share = weight / self._largest(weight)
        share = share + jax.lax.stop_gradient(jnp.clip(share, -1, 1) - share)
        return Conductances(*(self.g_min + (self.g_max - self.g_min) * jnp.maximum(s, 0) for s in (share, -share)))

    def changed(
        self, weight: Float[Array, "..."], change: Callable[[Float[Array, "... 2"]], Float[Array, "... 2"]]
    ) -> Float[Array, "..."]:
        """The weights whose conductances have changed.

        Args:
            weight: the weights.
            change: from the conductances of both devices of each weight, S, in the last axis, to those in their place.
        """
        after = change(jnp.stack(self.conductances(weight), axis=-1))
        return self.per_siemens(weight) * (after[..., 0] - after[..., 1])

    def per_siemens(self, weight: Float[Array, "..."]) -> Float[Array, ""]:
        """The weight of a siemens."""
        return self._largest(weight) / (self.g_max - self.g_min)

    def _largest(self, weight: Float[Array, "..."]) -> Float[Array, ""]:
        """It is set once, and no part of derivatives."""
        if self.w_max is not None:
            return jnp.asarray(self.w_max, weight.dtype)
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(weight)))
        return jnp.where(largest > 0, largest, 1.0)
