"""Few-bit weights: whole numbers times a step that some of them share."""

# No "from __future__ import annotations": Equinox reads AbstractVar from the annotations themselves.
from abc import abstractmethod
from typing import NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn.circuits.base import AbstractEffect
from snnlearn.circuits.straight import straight
from snnlearn.circuits.weights import each_weight
from snnlearn.network import Network

# Of a step: sums of up to 2^16 steps are then exact in single precision, whose mantissa has 24.
_STEP_BITS = 8
_CANDIDATES = tuple(part / 16 for part in range(1, 17))


class AbstractShared(Component):
    """Which weights of a connection share one step."""

    @abstractmethod
    def axes(self, ndim: int) -> tuple[int, ...]:
        """The axes of the weights over which a step is shared; of `[units, inputs, …]` if there are two or more."""


@final
class PerLayer(AbstractShared):
    """All weights of a connection share one step.

    >>> PerLayer().axes(2)
    (0, 1)
    """

    def axes(self, ndim: int) -> tuple[int, ...]:
        """See the base."""
        return tuple(range(ndim))


@final
class PerOutput(AbstractShared):
    """The weights to one unit, or of one kernel, share a step: a row of `W`.

    >>> PerOutput().axes(4)
    (1, 2, 3)
    """

    def axes(self, ndim: int) -> tuple[int, ...]:
        """See the base."""
        return tuple(range(1, ndim)) if ndim > 1 else tuple(range(ndim))


@final
class PerInput(AbstractShared):
    """The weights from one input, or of one channel, share a step: a column of `W`.

    >>> PerInput().axes(2)
    (0,)
    """

    def axes(self, ndim: int) -> tuple[int, ...]:
        """See the base."""
        return tuple(axis for axis in range(ndim) if axis != 1) if ndim > 1 else tuple(range(ndim))


class AbstractStep(Component):
    """How large the step of some weights is."""

    @abstractmethod
    def __call__(self, weight: Float[Array, "..."], levels: int, axes: tuple[int, ...]) -> Float[Array, "..."]:
        """The step Δ > 0, with axes of size 1 where it is shared.

        Args:
            weight: the weights.
            levels: the largest whole number.
            axes: over which it is shared.
        """


@final
class LargestWeight(AbstractStep):
    r"""The largest weight is the largest whole number: $\Delta=\max|w|/q_{\max}$, so that nothing is clipped.

    >>> float(LargestWeight()(jnp.array([0.5, -1.0]), 4, (0,))[0])
    0.25
    """

    def __call__(self, weight: Float[Array, "..."], levels: int, axes: tuple[int, ...]) -> Float[Array, "..."]:
        """See the base."""
        largest = jnp.max(jnp.abs(weight), axis=axes, keepdims=True)
        return _in_few_bits(jnp.where(largest > 0, largest, 1.0) / levels)


@final
class PowerOfTwo(AbstractStep):
    r"""The least power of two at which nothing is clipped: a multiplication by it is a shift.

    >>> float(PowerOfTwo()(jnp.array([0.5, -1.1]), 4, (0,))[0])
    0.5
    """

    def __call__(self, weight: Float[Array, "..."], levels: int, axes: tuple[int, ...]) -> Float[Array, "..."]:
        """See the base."""
        mantissa, exponent = jnp.frexp(LargestWeight()(weight, levels, axes))
        return jnp.ldexp(jnp.ones_like(mantissa), jnp.where(mantissa == 0.5, exponent - 1, exponent))


@final
class LeastSquares(AbstractStep):
    r"""The step with the least squared error of the weights, of sixteen up to that of `LargestWeight`.

    Large weights are clipped where that serves the others: what two to four bits need.

    >>> float(LeastSquares()(jnp.array([1.0] * 9 + [4.0]), 1, (0,))[0])
    1.25
    """

    def __call__(self, weight: Float[Array, "..."], levels: int, axes: tuple[int, ...]) -> Float[Array, "..."]:
        """See the base."""
        largest = LargestWeight()(weight, levels, axes)
        steps = jnp.stack([_in_few_bits(part * largest) for part in _CANDIDATES])
        errors = [
            jnp.sum(jnp.square(step * _whole(weight, step, -levels, levels) - weight), axis=axes, keepdims=True)
            for step in steps
        ]
        best = jnp.argmin(jnp.stack(errors), axis=0)
        return jnp.take_along_axis(steps, best[None], axis=0)[0]


class AbstractSign(Component):
    """Where the sign of a weight is kept."""

    @abstractmethod
    def levels(self, bits: int) -> int:
        """The largest whole number in b bits."""

    @abstractmethod
    def allowed(self, weight: Float[Array, "..."]) -> Float[Array, "..."]:
        """The weights that can be kept; 0 in the place of others."""


@final
class SignOfEach(AbstractSign):
    r"""Each weight has a sign of its own among its b bits: $|q|\le2^{b-1}-1$.

    >>> SignOfEach().levels(4)
    7
    """

    def levels(self, bits: int) -> int:
        """See the base."""
        return 2 ** (bits - 1) - 1

    def allowed(self, weight: Float[Array, "..."]) -> Float[Array, "..."]:
        """All."""
        return weight


@final
class SignOfInput(AbstractSign):
    r"""All weights from an input have its sign (Dale's law), and b bits of magnitude: $|q|\le2^b-1$.

    The sign is that of their sum; weights of the other sign are 0. So are the rows of BrainScaleS-2, where a signed
    weight takes two.

    >>> SignOfInput().allowed(jnp.array([[1.0, 2.0], [-3.0, 1.0]])).tolist()
    [[0.0, 2.0], [-3.0, 1.0]]
    """

    def levels(self, bits: int) -> int:
        """See the base."""
        return 2**bits - 1

    def allowed(self, weight: Float[Array, "..."]) -> Float[Array, "..."]:
        """See the base."""
        total = jnp.sum(weight, axis=PerInput().axes(weight.ndim), keepdims=True)
        return jnp.where(weight * total > 0, weight, jnp.zeros_like(weight))


class WholeWeights(NamedTuple):
    """The weights of a connection as a chip keeps them: `whole * step`.

    Args:
        whole: whole numbers, in the shape of the weights.
        step: the step Δ, with axes of size 1 where it is shared.
    """

    whole: Int[Array, "..."]
    step: Float[Array, "..."]


@final
class QuantisedWeights(AbstractEffect):
    r"""Weights of b bits, $w\to q\,\Delta$ with $q=\mathrm{clip}(\mathrm{round}(w/\Delta),-q_{\max},q_{\max})$.

    It applies to the weights of all connections, not to biases. The derivative passes straight through rounding and
    clipping, so that a network can be trained with it.

    The integer path is the float path bit for bit: of inputs that are whole numbers, such as spikes,
    $\sum_jW_{ij}x_j=\Delta_i\sum_jq_{ij}x_j$ exactly, in single precision and in any order of summation, as long as
    $\sum_j|q_{ij}x_j|\le2^{16}$ and a unit has one step (`PerLayer`, `PerOutput`): a step has eight significant bits,
    so that all partial sums are numbers of 24. With `PerInput` the sums are rounded.

    Args:
        bits: b of each weight; from 2 to 16, or from 1 where the sign is not among them.
        shared: which weights share a step: `PerLayer()`, `PerOutput()` or `PerInput()`.
        step: how large it is: `LargestWeight()`, `PowerOfTwo()` or `LeastSquares()`.
        sign: where signs are kept: `SignOfEach()` or `SignOfInput()`.

    Raises:
        SnnlearnError: for too few or too many bits, or a part of another kind; by the effect, for a network without
            weights.

    >>> from snnlearn.network import feedforward
    >>> network = feedforward((3, 4, 2), key=jax.random.key(0))
    >>> chip = QuantisedWeights(bits=2)(network, key=jax.random.key(1))
    >>> len(jnp.unique(chip.layers[0].synapses.weight))
    3

    Source: Jacob et al. 2018, arXiv:1712.05877 (symmetric, uniform); Bengio et al. 2013, arXiv:1308.3432 (straight
    through).
    """

    bits: int = eqx.field(static=True)
    shared: AbstractShared = PerLayer()
    step: AbstractStep = LargestWeight()
    sign: AbstractSign = SignOfEach()

    def __check_init__(self):
        check_fields(self, "bits", "shared", "step", "sign")
        fewest = next(bits for bits in (1, 2) if self.sign.levels(bits) >= 1)
        if not fewest <= self.bits <= 16:
            raise SnnlearnError(f"QuantisedWeights: bits is {self.bits}; give a whole number from {fewest} to 16")

    @property
    def label(self) -> str:
        """See the base."""
        return "quantised weights"

    def __call__(self, network: Network, *, key: PRNGKeyArray) -> Network:
        """See the base; nothing is drawn."""

        def rounded(weight: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
            whole, step = self.of(weight)
            return straight(weight, whole.astype(weight.dtype) * step)

        return each_weight(self, network, rounded, key=key)

    def of(self, weight: Float[Array, "..."]) -> WholeWeights:
        """The whole numbers that a chip keeps of some weights, and their step.

        Args:
            weight: the weights as trained.
        """
        levels = self.sign.levels(self.bits)
        weight = jax.lax.stop_gradient(self.sign.allowed(weight))
        step = self.step(weight, levels, self.shared.axes(weight.ndim))
        return WholeWeights(_whole(weight, step, -levels, levels).astype(int), step)


def _whole(weight: Array, step: Array, low: int, high: int) -> Array:
    return jnp.clip(jnp.round(weight / step), low, high)


def _in_few_bits(step: Array) -> Array:
    """The next number with few significant bits, not below."""
    mantissa, exponent = jnp.frexp(step)
    return jnp.ldexp(jnp.ceil(mantissa * 2**_STEP_BITS), exponent - _STEP_BITS)
