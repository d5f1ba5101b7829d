"""What a delay that is no whole number of steps does in discrete time: over which steps an input is spread."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from snnlearn._arguments import check_fields
from snnlearn._component import Component
from snnlearn._errors import SnnlearnError
from snnlearn._parameters import Constant, check_positive, value


class AbstractDelayKernel(Component):
    """The weights with which an input acts 0, 1, … steps after it arrived, given its delay; they add up to 1."""

    @abstractmethod
    def __call__(self, delays: Float[Array, "*d"], max_delay: int) -> Float[Array, "lags *d"]:
        """The weight of each lag from 0 to `max_delay`.

        Args:
            delays: in steps, from 0 to `max_delay`.
            max_delay: the longest, in steps.
        """

    @property
    def only_trains(self) -> bool:
        """Whether it serves training only, so that what is validated and kept has rounded delays in its place."""
        return False

    def at(self, progress: Float[Array, ""]) -> AbstractDelayKernel:
        """The kernel when a share `progress` of the training is done, from 0 to 1."""
        return self


@final
class InterpolatedDelay(AbstractDelayKernel):
    r"""Linear interpolation between the two neighbouring steps, $k_n(d)=\max(0,1-|n-d|)$.

    A whole number of steps is that delay exactly. The derivative by d is the difference of the input in the two steps;
    at a whole number, where it jumps, the mean of both sides.

    >>> InterpolatedDelay()(jnp.array(1.25), 3).tolist()
    [0.0, 0.75, 0.25, 0.0]
    """

    def __call__(self, delays: Float[Array, "*d"], max_delay: int) -> Float[Array, "lags *d"]:
        """See the base."""
        distance = _distance(delays, max_delay)
        return jnp.maximum(0.0, 1.0 - distance * jnp.sign(distance))  # whose derivative at 0 is 0, unlike that of `abs`


@final
class GaussianDelay(AbstractDelayKernel):
    r"""A Gaussian that narrows during training, $k_n(d)\propto e^{-(n-d)^2/2\sigma^2}$ (Hammouamri et al. 2023).

    Interpolation feels only an input one step away; a wide kernel has a derivative by inputs many steps away. With
    progress p from 0 to 1 the width falls exponentially over the first share of the training and then stays,
    $\sigma=\sigma_{wide}(\sigma_{narrow}/\sigma_{wide})^{\min(1,p/s)}$. It only serves training: validation and the
    hypothesis that is kept have rounded delays, the limit σ → 0. What rounding costs, `rounding` measures.

    Args:
        wide: σ at the start, steps, > 0; the authors take half of the longest delay.
        narrow: σ at the end, steps, > 0 and at most `wide`.
        share: of the training over which it narrows, in (0, 1].
        progress: how far the training is; `GradientDescent` sets it before each epoch.

    Raises:
        SnnlearnError: for a number out of its range.

    >>> GaussianDelay(wide=12.0, narrow=0.5).at(jnp.array(0.25)).sigma
    Array(0.5, dtype=float32)

    "Learning delays in spiking neural networks using dilated convolutions with learnable spacings", arXiv:2306.17670;
    their code has σ = 12 → 0.5 over the first quarter of the epochs, for delays up to 25 steps. Not theirs: delays stay
    in range by their logit, where they are clamped.
    """

    wide: float = eqx.field(converter=float)
    narrow: float = eqx.field(converter=float, default=0.5)
    share: float = eqx.field(converter=float, default=0.25)
    progress: Constant = eqx.field(default_factory=lambda: Constant(0.0))  # pyright: ignore[reportArgumentType]

    def __check_init__(self):
        check_fields(self, "wide", "narrow", "share", "progress")
        check_positive(self, wide=self.wide, narrow=self.narrow, share=self.share)
        if self.narrow > self.wide:
            raise SnnlearnError(
                f"GaussianDelay: narrow is {self.narrow} and wide {self.wide} steps; give narrow at most wide"
            )
        if self.share > 1:
            raise SnnlearnError(f"GaussianDelay: share is {self.share}; give a share of the training, at most 1")

    @property
    def sigma(self) -> Float[Array, "*seeds"]:
        """The width now, steps; of each seed, where several are trained side by side."""
        return self.wide * (self.narrow / self.wide) ** jnp.minimum(1.0, value(self.progress) / self.share)

    def __call__(self, delays: Float[Array, "*d"], max_delay: int) -> Float[Array, "lags *d"]:
        """See the base."""
        width = self.sigma.astype(delays.dtype)
        return jax.nn.softmax(-0.5 * jnp.square(_distance(delays, max_delay) / width), axis=0)

    @property
    def only_trains(self) -> bool:
        """It does."""
        return True

    def at(self, progress: Float[Array, ""]) -> GaussianDelay:
        """See the base."""
        array = jnp.asarray(progress, self.progress.array.dtype)
        return eqx.tree_at(lambda kernel: kernel.progress.array, self, array)


def _distance(delays: Float[Array, "*d"], max_delay: int) -> Float[Array, "lags *d"]:
    lags = jnp.arange(max_delay + 1, dtype=delays.dtype)
    return lags.reshape(-1, *(1,) * delays.ndim) - delays[None]
