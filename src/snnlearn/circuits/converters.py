"""Converters between numbers and few-bit codes: of inputs, currents, membranes and parameters."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
import math
from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, check_not_negative, value
from snnlearn.circuits.base import by_place
from snnlearn.circuits.straight import straight


class AbstractRounding(Component):
    """How a converter decides between the two codes next to a number."""

    draws: eqx.AbstractVar[bool]

    @abstractmethod
    def dither(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """What is added to a number before the nearest code is taken, in steps."""


@final
class Nearest(AbstractRounding):
    """The nearest code.

    >>> Nearest().draws
    False
    """

    draws: bool = eqx.field(static=True, init=False, default=False)

    def dither(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """See the base."""
        return jnp.zeros(shape)


@final
class Stochastic(AbstractRounding):
    r"""Each of the two with the probability that makes the mean right: $E[\mathrm{SR}(x)]=x$ within the range.

    >>> Stochastic().draws
    True

    Source: Croci et al. 2022, doi:10.1098/rsos.211631.
    """

    draws: bool = eqx.field(static=True, init=False, default=True)

    def dither(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        """See the base."""
        return jax.random.uniform(key, shape, minval=-0.5, maxval=0.5)


@final
class Converter(Component):
    r"""A converter of b bits, $x\to l+\Delta\,\mathrm{clip}(\mathrm{round}((x-l)/\Delta),0,2^b-1)$, l being `low`.

    $\Delta=(\mathrm{high}-l)/(2^b-1)$. Of an imperfect one the code is the number of its transitions below
    $g\,x+o\Delta$; transition k is at $l+\Delta(k-\frac12+\mathrm{INL}_k)$, and the width of code k differs
    from $\Delta$ by $\mathrm{DNL}_k=\mathrm{INL}_{k+1}-\mathrm{INL}_k$ steps (IEEE 1241). Offset and gain are drawn
    once for each channel of each chip, and so is DNL: INL is their sum, a random walk from the first transition to the
    last, both of which are exact, since gain and offset are apart.

    The derivative passes straight through rounding, and is 0 where the input is clipped.

    Args:
        bits: b, from 1 to 16.
        low: the number of code 0.
        high: that of the last code, > low.
        rounding: `Nearest()` or `Stochastic()`.
        offset: standard deviation of the offset of a channel, in steps, ≥ 0.
        gain: standard deviation of the gain of a channel around 1, ≥ 0.
        nonlinearity: standard deviation of DNL, in steps, from 0 to 1; for at most 10 bits, as a channel then has a
            table of its transitions.

    Raises:
        SnnlearnError: for 0 bits, an empty or infinite range, or a deviation outside its range.

    >>> adc = Converter(bits=2, low=0.0, high=3.0)
    >>> adc(jnp.array([-1.0, 0.4, 1.6, 7.0])).tolist()
    [0.0, 0.0, 2.0, 3.0]
    """

    bits: int = eqx.field(static=True)
    low: float = eqx.field(converter=float)
    high: float = eqx.field(converter=float)
    rounding: AbstractRounding = Nearest()
    offset: float = eqx.field(converter=float, default=0.0)
    gain: float = eqx.field(converter=float, default=0.0)
    nonlinearity: float = eqx.field(converter=float, default=0.0)

    def __check_init__(self):
        check_fields(self, "bits", "rounding")
        if not 1 <= self.bits <= 16:
            raise SnnlearnError(f"Converter: bits is {self.bits}; give a whole number from 1 to 16")
        if not -math.inf < self.low < self.high < math.inf:
            raise SnnlearnError(
                f"Converter: the range is from low = {self.low} to high = {self.high}; give finite numbers, low < high"
            )
        check_not_negative(self, offset=self.offset, gain=self.gain)
        if not 0 <= self.nonlinearity <= 1:
            raise SnnlearnError(f"Converter: nonlinearity is {self.nonlinearity}; give a number of steps from 0 to 1")
        if self.nonlinearity > 0 and self.bits > 10:
            raise SnnlearnError(
                f"Converter: a table of {2**self.bits - 1:,} transitions for each channel is too large; with "
                f"nonlinearity = {self.nonlinearity} give at most 10 bits"
            )

    @property
    def step(self) -> float:
        """Δ, the width of a code."""
        return (self.high - self.low) / (2**self.bits - 1)

    def drawn(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> "Channels":
        """The channels of one chip, a converter for each number.

        Args:
            shape: of what is converted.
            key: of these converters on this chip.
        """
        gain_key, offset_key, walk_key = jax.random.split(key, 3)

        def normal(std: float, key: PRNGKeyArray, *more: int) -> Array:
            return std * by_place(jax.random.normal, (*shape, *more), key=key)

        integral = None
        if self.nonlinearity and self.bits > 1:
            width = 2**self.bits - 2
            walk = jnp.cumsum(normal(self.nonlinearity, walk_key, width), axis=-1)
            share = jnp.broadcast_to(jnp.arange(1.0, width + 1) / width, walk.shape)
            walk = walk - share * walk[..., -1:]  # the last transition is where it should be
            integral = Constant(jnp.pad(walk, [(0, 0)] * len(shape) + [(1, 0)]))
        return Channels(
            self,
            tuple(shape),
            Constant(1 + normal(self.gain, gain_key)) if self.gain else None,
            Constant(normal(self.offset, offset_key)) if self.offset else None,
            integral,
        )

    def __call__(self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None) -> Float[Array, "..."]:
        """The numbers that an ideal converter makes of some numbers.

        Args:
            x: the numbers.
            key: of stochastic rounding; without it the nearest code is taken.
        """
        return Channels(self, jnp.shape(x))(x, key=key)


@final
class Channels(Component):
    """Converters as they are on one chip, one for each of some numbers.

    Args:
        converter: of which kind.
        shape: of the numbers.
        gain: the factor of each; None is 1.
        offset: what is added to each, in steps; None is 0.
        integral: INL, by how many steps each transition between codes is late, `[*shape, 2^bits - 1]`; None is 0.

    >>> channels = Converter(bits=8, low=0.0, high=1.0, offset=2.0).drawn((3,), key=jax.random.key(0))
    >>> len(set(channels.codes(jnp.full(3, 0.5)).tolist())) > 1
    True
    """

    converter: Converter
    shape: tuple[int, ...] = eqx.field(static=True)
    gain: Constant | None = None
    offset: Constant | None = None
    integral: Constant | None = None

    def codes(self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None) -> Int[Array, "..."]:
        """The codes of some numbers, from 0.

        Args:
            x: the numbers, in any shape of the right size.
            key: of stochastic rounding, new for each conversion; without it the nearest code is taken.
        """
        place = (self._scaled(x) - self.converter.low) / self.converter.step
        if self.offset is not None:
            place = place + value(self.offset)
        if key is not None:
            place = place + self.converter.rounding.dither(self.shape, key=key).astype(place.dtype)
        last = 2**self.converter.bits - 1
        if self.integral is None:
            return jnp.clip(jnp.round(place), 0, last).astype(int)
        late = value(self.integral)
        transitions = jnp.broadcast_to(jnp.arange(0.5, last), late.shape) + late
        return jnp.sum(place[..., None] > transitions, axis=-1)

    def __call__(self, x: Float[Array, "..."], *, key: PRNGKeyArray | None = None) -> Float[Array, "..."]:
        """The numbers that the codes of some numbers stand for, in their shape.

        Args:
            x: the numbers, in any shape of the right size.
            key: of stochastic rounding.
        """
        scaled, low, step = self._scaled(x), self.converter.low, self.converter.step
        made = low + step * self.codes(x, key=key).astype(scaled.dtype)
        within = jnp.clip(scaled, low - step / 2, self.converter.high + step / 2)
        return jnp.reshape(straight(within, made), jnp.shape(x))

    def _scaled(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        x = jnp.reshape(x, self.shape)
        return x if self.gain is None else value(self.gain) * x
