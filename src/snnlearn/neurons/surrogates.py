r"""Surrogate derivatives of the spike $z = H(x)$, $x = v - v_\mathrm{th}$.

In the forward pass every surrogate is the same Heaviside step, 0 at $x = 0$. Derivatives use
`pseudo_derivative`, which is the derivative of the stated `primitive`, a smooth (or piecewise smooth) step. They are
named after their shapes: libraries call at least three different functions "SuperSpike".
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import final

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from snnlearn._component import Component
from snnlearn._parameters import check_positive
from snnlearn.neurons.lowering import LoweredSurrogate, Shape


class AbstractSurrogate(Component):
    """A spike with a usable derivative; add one by giving a primitive and its derivative."""

    @abstractmethod
    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The step whose derivative replaces that of the Heaviside step, up to a constant."""

    @abstractmethod
    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The derivative of `primitive` at `x`."""

    def lowered(self) -> LoweredSurrogate | None:
        """Its pseudo-derivative as the kernels compute it; None if they cannot."""
        return None

    def __call__(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """Spike where `x > 0`, strictly: 1 or 0 in the type of `x`."""

        # A closure, since a module may hold arrays and so cannot be a static argument of custom_jvp.
        @jax.custom_jvp
        def spike(x):
            return (x > 0).astype(x.dtype)

        @spike.defjvp
        def _(primals, tangents):
            (x,), (dx,) = primals, tangents
            return spike(x), self.pseudo_derivative(x) * dx

        return spike(x)


class AbstractEscape(AbstractSurrogate):
    """A surrogate whose primitive is a probability: that of a spike at `x` with a noisy threshold."""


@final
class FastSigmoid(AbstractSurrogate):
    """$1/(1+k|x|)^2$, the derivative of $x/(1+k|x|)$ (Zenke & Ganguli 2018, doi:10.1162/neco_a_01086).

    Args:
        slope: $k$, > 0. For Zenke & Ganguli's height use `Scaled(FastSigmoid(k), k)`.

    Raises:
        SnnlearnError: for a parameter outside its range.

    >>> FastSigmoid(slope=10.0).pseudo_derivative(jnp.array(0.3))
    Array(0.0625, dtype=float32...)
    """

    slope: float = 25.0

    def __check_init__(self):
        check_positive(self, slope=self.slope)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return x / (1 + self.slope * jnp.abs(x))

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return 1 / jnp.square(1 + self.slope * jnp.abs(x))

    def lowered(self) -> LoweredSurrogate:
        """See the base."""
        return LoweredSurrogate(Shape.FAST_SIGMOID, height=1.0, slope=self.slope)


@final
class Sigmoid(AbstractEscape):
    r"""$k\,\sigma(kx)(1-\sigma(kx))$, the derivative of the logistic function $\sigma(kx)$.

    Args:
        slope: $k$, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    slope: float = 25.0

    def __check_init__(self):
        check_positive(self, slope=self.slope)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return jax.nn.sigmoid(self.slope * x)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        s = jax.nn.sigmoid(self.slope * x)
        return self.slope * s * (1 - s)


@final
class Atan(AbstractSurrogate):
    r"""$\frac{\alpha}{2}/(1+(\frac{\pi}{2}\alpha x)^2)$, the derivative of $\frac1\pi\arctan(\frac{\pi}{2}\alpha x)$.

    Args:
        alpha: twice the peak's height, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    alpha: float = 2.0

    def __check_init__(self):
        check_positive(self, alpha=self.alpha)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return jnp.arctan(math.pi / 2 * self.alpha * x) / math.pi

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.alpha / 2 / (1 + jnp.square(math.pi / 2 * self.alpha * x))

    def lowered(self) -> LoweredSurrogate:
        """See the base."""
        return LoweredSurrogate(Shape.ATAN, height=self.alpha / 2, slope=math.pi / 2 * self.alpha)


@final
class Triangle(AbstractSurrogate):
    r"""$h\max(0, 1-|x|/w)$ (Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, with $h=\gamma/v_{th}, w=v_{th}$).

    Args:
        height: $h$, the peak, > 0.
        width: $w$, the half-width of the support, > 0, in the unit of the membrane.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    height: float = 0.3
    width: float = 1.0

    def __check_init__(self):
        check_positive(self, height=self.height, width=self.width)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        x = jnp.clip(x, -self.width, self.width)
        return self.height * (x - x * jnp.abs(x) / (2 * self.width))

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.height * jnp.maximum(0.0, 1 - jnp.abs(x) / self.width)

    def lowered(self) -> LoweredSurrogate:
        """See the base."""
        return LoweredSurrogate(Shape.TRIANGLE, self.height, slope=1 / self.width)


@final
class Boxcar(AbstractSurrogate):
    r"""$h\,\mathbb 1\{|x|\le w/2\}$, the derivative of a clipped line (Esser et al. 2016, doi:10.1073/pnas.1604850113).

    Args:
        height: $h$, > 0.
        width: $w$, the full width of the support, > 0, in the unit of the membrane.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    height: float = 1.0
    width: float = 1.0

    def __check_init__(self):
        check_positive(self, height=self.height, width=self.width)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.height * jnp.clip(x, -self.width / 2, self.width / 2)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.height * (jnp.abs(x) <= self.width / 2).astype(x.dtype)

    def lowered(self) -> LoweredSurrogate:
        """See the base."""
        return LoweredSurrogate(Shape.BOXCAR, self.height, slope=2 / self.width)


@final
class Gaussian(AbstractEscape):
    r"""The normal density $\mathcal N(x; 0, \sigma)$, the derivative of its distribution function.

    Args:
        sigma: standard deviation, > 0, in the unit of the membrane.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    sigma: float = 0.5

    def __check_init__(self):
        check_positive(self, sigma=self.sigma)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return norm.cdf(x / self.sigma)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return norm.pdf(x / self.sigma) / self.sigma


@final
class ExponentialEscape(AbstractEscape):
    r"""$\rho\,dt\,e^{-\rho\,dt}/w$, the derivative of $1-e^{-\rho\,dt}$ with the escape rate $\rho=\rho_0e^{x/w}$.

    The primitive is the probability of a spike within a step of rate ρ (Jolivet, Rauch, Lüscher & Gerstner 2006,
    doi:10.1007/s10827-006-7074-5).

    Args:
        rate: $\rho_0$, the rate at threshold, Hz, > 0.
        width: $w$, the rise of the membrane that multiplies the rate by e, > 0, in the unit of the membrane.
        dt: time step, s, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    rate: float = 100.0
    width: float = 0.2
    dt: float = 1e-3

    def __check_init__(self):
        check_positive(self, rate=self.rate, width=self.width, dt=self.dt)

    def _expected(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """ρ dt; far above threshold, where a spike is certain, it is kept from overflow."""
        return self.rate * self.dt * jnp.exp(jnp.minimum(x / self.width, 50.0))

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return -jnp.expm1(-self._expected(x))

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        expected = self._expected(x)
        return expected * jnp.exp(-expected) / self.width


@final
class MultiGaussian(AbstractSurrogate):
    r"""$\gamma[(1+h)\mathcal N(x;0,\sigma)-h\mathcal N(x;\sigma,s\sigma)-h\mathcal N(x;-\sigma,s\sigma)]$.

    Yin, Corradi & Bohté 2021 (doi:10.1038/s42256-021-00397-w): a Gaussian with negative flanks.

    Args:
        height: $\gamma$, > 0.
        flank: $h$, the share of the flanks, > 0.
        sigma: $\sigma$, > 0, in the unit of the membrane.
        spread: $s$, how much wider the flanks are, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    height: float = 0.5
    flank: float = 0.15
    sigma: float = 0.5
    spread: float = 6.0

    def __check_init__(self):
        check_positive(self, height=self.height, flank=self.flank, sigma=self.sigma, spread=self.spread)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        wide = self.spread * self.sigma
        flanks = norm.cdf((x - self.sigma) / wide) + norm.cdf((x + self.sigma) / wide)
        return self.height * ((1 + self.flank) * norm.cdf(x / self.sigma) - self.flank * flanks)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        wide = self.spread * self.sigma
        flanks = (norm.pdf((x - self.sigma) / wide) + norm.pdf((x + self.sigma) / wide)) / wide
        return self.height * ((1 + self.flank) * norm.pdf(x / self.sigma) / self.sigma - self.flank * flanks)


@final
class StraightThrough(AbstractSurrogate):
    """1 everywhere, the derivative of the identity (Bengio, Léonard & Courville 2013, arXiv:1308.3432)."""

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return x

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return jnp.ones_like(x)

    def lowered(self) -> LoweredSurrogate:
        """See the base."""
        return LoweredSurrogate(Shape.STRAIGHT_THROUGH, height=1.0, slope=0.0)


@final
class Scaled(AbstractSurrogate):
    """Another surrogate, multiplied by a constant.

    Args:
        surrogate: the surrogate to scale.
        scale: the factor, > 0.

    Raises:
        SnnlearnError: for a parameter outside its range.
    """

    surrogate: AbstractSurrogate
    scale: float

    def __check_init__(self):
        check_positive(self, scale=self.scale)

    def primitive(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.scale * self.surrogate.primitive(x)

    def pseudo_derivative(self, x: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """See the base."""
        return self.scale * self.surrogate.pseudo_derivative(x)

    def lowered(self) -> LoweredSurrogate | None:
        """See the base."""
        inside = self.surrogate.lowered()
        return None if inside is None else inside._replace(height=self.scale * inside.height)
